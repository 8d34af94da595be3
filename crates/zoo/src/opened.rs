//! A run that was trained before, opened to be used: its recipe, settings, input, and model with trained weights.

use std::path::{Path, PathBuf};

use data::DataError;
use nn::{Layer, Pass, Scope};
use tensor::{DType, Tensor};
use train::{DataRecord, Error, Goal, Input, Job, Result, RunDir, Settings, load_model};

use crate::recipe::{Recipe, find};

/// A trained model and what it needs to be used.
pub struct Opened {
    /// What it was trained by.
    pub recipe: Recipe,
    /// The settings it was trained with.
    pub settings: Settings,
    /// What it sees of a row.
    pub input: Input,
    /// Its parameters by path.
    pub scope: Scope,
    /// The model.
    pub model: Box<dyn Layer>,
    /// The folder of the data it was trained on, if any.
    pub source: Option<PathBuf>,
    /// The hash of the rows that it was tested on (`train::rows_hash`).
    pub test_hash: String,
    /// Steps that the weights were trained for.
    pub step: u64,
    /// What the reader should know, such as torn checkpoints.
    pub notes: Vec<String>,
}

impl Opened {
    /// An error if it knows text and no pictures.
    ///
    /// # Errors
    /// Then.
    pub fn knows_pictures(&self) -> Result<()> {
        match self.input.goal {
            Goal::Class => Ok(()),
            Goal::Symbols => Err(Error::usage(
                format!("a run of the recipe {} knows text and no pictures", self.recipe.name),
                "let it write on with glassbox sample RUN --prompt TEXT",
            )),
        }
    }

    /// The folder of the data: the one given, or else that of the training.
    ///
    /// # Errors
    /// If that of the training is not there any more.
    pub fn data_dir<'a>(&'a self, given: Option<&'a Path>) -> Result<Option<&'a Path>> {
        data_dir(given, self.source.as_deref())
    }
}

/// The folder `given`, or else the `source` of the training.
fn data_dir<'a>(given: Option<&'a Path>, source: Option<&'a Path>) -> Result<Option<&'a Path>> {
    match (given, source) {
        (None, Some(source)) if !source.exists() => Err(Error::Data(DataError::Layout {
            path: source.to_owned(),
            why: "the run was trained on it, and it is not there any more".to_owned(),
            found: "nothing".to_owned(),
            help: "say where it is now with --data DIR".to_owned(),
        })),
        (given, source) => Ok(given.or(source)),
    }
}

/// Opens the run in a folder, with the weights of its newest complete checkpoint.
///
/// # Errors
/// If it is not a run, or a damaged one.
pub fn open(path: &Path) -> Result<Opened> {
    let run = RunDir::open(path)?;
    let (recipe, settings) = recipe_of(&run)?;
    let DataRecord { input, source, test_hash } = run.data()?;
    let scope = Scope::root(run.record().seed);
    let model = (recipe.model)(&scope, &settings, &input)?;
    let shape: Vec<usize> = std::iter::once(1).chain(input.shape.iter().copied()).collect();
    let outputs = model.forward(&Tensor::zeros(&shape, DType::F32), &Pass::eval());
    outputs.check().map_err(|error| damaged(&path.join("data.json"), error.into()))?;
    let wanted = match input.goal {
        Goal::Class => vec![1, input.classes.len()],
        Goal::Symbols => [&shape, &[input.classes.len()][..]].concat(),
    };
    if outputs.dims() != wanted {
        let error = Error::usage("the network does not fit the input that it describes", "");
        return Err(damaged(&path.join("data.json"), error));
    }
    let (step, notes) = load_model(&scope, &run.checkpoints())?;
    Ok(Opened { recipe, settings, input, scope, model, source, test_hash, step, notes })
}

/// What `run` was begun with, with the settings that `change` makes other, to go on with it. Whether it still fits the run is
/// for `train::resume` and `train::branch` to say.
///
/// # Errors
/// If it is a damaged run, its data is not there, or `change` fails.
pub fn reopen(run: &RunDir, data: Option<&Path>, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<Job> {
    let (recipe, mut settings) = recipe_of(run)?;
    change(&mut settings)?;
    let source = run.data()?.source;
    recipe.job(settings, data_dir(data, source.as_deref())?)
}

/// The recipe of a run, and its settings.
fn recipe_of(run: &RunDir) -> Result<(Recipe, Settings)> {
    let recipe = find(&run.record().recipe).map_err(|error| damaged(&run.path().join("run.toml"), error))?;
    let mut settings = (recipe.settings)();
    let (text, file) = run.config()?;
    settings.read_toml(&text, &file).map_err(|error| damaged(&file, error))?;
    Ok((recipe, settings))
}

fn damaged(file: &Path, error: Error) -> Error {
    // What helps with a command does not help with a file that it wrote.
    let why = if let Error::Usage { what, .. } = error { what } else { error.to_string() };
    Error::corrupt(file, why, "take the run from a backup, or train again")
}
