//! A run that was trained before, opened to be used: its recipe, settings, input, and model with trained weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{DataError, Dataset, InMemory};
use nn::safetensors::{self, Safetensors};
use nn::{Layer, Pass, Scope};
use tensor::{DType, Tensor};
use train::checkpoint::Checkpoint;
use train::{
    DataRecord, Error, Goal, Input, Job, MODEL, Provenance, Result, RunDir, Settings, Splits, check_classes,
    load_model, load_weights,
};

use crate::recipe::{Recipe, find};
use crate::table_data;

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
    /// An error if it knows texts or rows of numbers, and no pictures.
    ///
    /// # Errors
    /// Then.
    pub fn knows_pictures(&self) -> Result<()> {
        match self.input.goal {
            Goal::Class if self.input.tokens.is_some() => Err(Error::usage(
                format!("a run of the recipe {} knows texts and no pictures", self.recipe.name),
                "give it a text: glassbox predict RUN --text TEXT, or a .txt file",
            )),
            Goal::Class if self.input.shape.len() == 3 => Ok(()),
            Goal::Class | Goal::Number { .. } => Err(Error::usage(
                format!("a run of the recipe {} knows rows of numbers and no pictures", self.recipe.name),
                "look at its figures with glassbox eval RUN, and at any of its steps with glassbox show or open",
            )),
            Goal::Symbols => Err(Error::usage(
                format!("a run of the recipe {} knows text and no pictures", self.recipe.name),
                "let it write on with glassbox sample RUN --prompt TEXT",
            )),
        }
    }

    /// Whether it knows rows of a table of any columns.
    pub fn knows_tables(&self) -> bool {
        !self.input.columns.is_empty()
    }

    /// The rows of a table that holds no target, or one that is not looked at, as the model is fed them.
    ///
    /// # Errors
    /// If the table cannot be read, lacks a column, or a cell cannot be used.
    pub fn rows_of_table(&self, path: &Path) -> Result<InMemory> {
        table_data::rows_of(&self.settings, &self.input, path, false)
    }

    /// The parts of the data that it was trained on, or of other data. Of another table all rows are test rows.
    ///
    /// # Errors
    /// If the data is not there, cannot be read, or has other classes or columns than the model knows.
    pub fn splits(&self, given: Option<&Path>) -> Result<Splits> {
        if let (true, Some(path)) = (self.knows_tables(), given) {
            let rows: Arc<dyn Dataset> = Arc::new(table_data::rows_of(&self.settings, &self.input, path, true)?);
            return Ok(Splits {
                train: Arc::clone(&rows),
                val: None,
                test: rows,
                input: self.input.clone(),
                augment: Vec::new(),
                source: Some(path.to_owned()),
                files: Vec::new(),
                notes: Vec::new(),
            });
        }
        let splits = (self.recipe.splits)(&self.settings, self.data_dir(given)?)?;
        check_classes(&self.input, splits.test.as_ref())?;
        if splits.input.columns != self.input.columns {
            return Err(Error::Data(DataError::Argument {
                what: "columns",
                why: "the table has other columns, words or gaps than when the run was trained".to_owned(),
                help: "restore it, or measure on another table with --data FILE.csv".to_owned(),
            }));
        }
        Ok(splits)
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
    let mut opened = network_of(&run)?;
    (opened.step, opened.notes) = load_model(&opened.scope, &run.checkpoints())?;
    Ok(opened)
}

/// Opens a model without its run: the folder of a checkpoint, or its `model.safetensors`, wherever they were copied to. `None` if
/// the file is no model of ours, or does not say of which network it is (those of versions before this one do not) and lies in no run.
///
/// # Errors
/// If it cannot be read, the folder is no complete checkpoint, or the weights are not those of the network that it tells of.
pub fn open_model(path: &Path) -> Result<Option<Opened>> {
    let file = if path.is_dir() { path.join(MODEL) } else { path.to_owned() };
    // Beside a model in its checkpoint lie the averages of its weights, if any were kept.
    let checkpoint = match path.is_dir() {
        true => Some(whole_checkpoint(path)?),
        false => file.parent().filter(|_| file.ends_with(MODEL)).and_then(|dir| whole_checkpoint(dir).ok()),
    };
    let Safetensors { tensors, metadata } = match checkpoint.as_ref().and_then(|checkpoint| checkpoint.files.get(MODEL))
    {
        Some(bytes) => safetensors::from_bytes(bytes).map_err(|why| Error::corrupt(&file, why, "copy it again"))?,
        None => safetensors::load(&file)?,
    };
    // RUN/checkpoints/step-000400/model.safetensors
    let run = file.ancestors().nth(3).filter(|run| run.join("run.toml").is_file());
    let told = Provenance::from_metadata(&metadata);
    let mut opened = match (&told, run) {
        (Some(told), _) => network_told(told, &file)?,
        (None, Some(run)) => network_of(&RunDir::open(run)?)?,
        (None, None) => return Ok(None),
    };
    match checkpoint {
        Some(checkpoint) => load_weights(&opened.scope, &checkpoint)?,
        None => opened.scope.load_state(&tensors, &file.display().to_string())?,
    }
    opened.step = told.map_or_else(|| step_of(&file), |told| told.step);
    Ok(Some(opened))
}

fn whole_checkpoint(place: &Path) -> Result<Checkpoint> {
    let files = train::checkpoint::read(place).map_err(|why| {
        Error::corrupt(
            place,
            format!("it is no complete checkpoint ({why})"),
            "copy it again, or give its model.safetensors",
        )
    })?;
    Ok(Checkpoint { step: 0, place: place.to_owned(), files })
}

/// The step in the name of the checkpoint that a file lies in.
fn step_of(file: &Path) -> u64 {
    let name = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    name.strip_prefix("step-").and_then(|step| step.parse().ok()).unwrap_or(0)
}

/// The network of a run, as its seed made it.
fn network_of(run: &RunDir) -> Result<Opened> {
    let (recipe, settings) = recipe_of(run)?;
    let DataRecord { input, source, test_hash } = run.data()?;
    let mut opened = network(recipe, settings, input, &run.path().join("data.json"))?;
    (opened.source, opened.test_hash) = (source, test_hash);
    Ok(opened)
}

/// The network that a model file tells of, as its seed made it.
fn network_told(told: &Provenance, file: &Path) -> Result<Opened> {
    let recipe = find(&told.recipe).map_err(|error| damaged(file, error))?;
    let mut settings = (recipe.settings)();
    told.apply(&mut settings, &file.display().to_string()).map_err(|error| damaged(file, error))?;
    network(recipe, settings, told.input.clone(), file)
}

/// `file` describes the input.
fn network(recipe: Recipe, settings: Settings, input: Input, file: &Path) -> Result<Opened> {
    let scope = Scope::root(settings.get_int("train.seed")? as u64);
    let model = (recipe.model)(&scope, &settings, &input)?;
    let shape: Vec<usize> = std::iter::once(1).chain(input.shape.iter().copied()).collect();
    let outputs = model.forward(&Tensor::zeros(&shape, DType::F32), &Pass::eval());
    outputs.check().map_err(|error| damaged(file, error.into()))?;
    let wanted = match input.goal {
        Goal::Class | Goal::Number { .. } => vec![1, input.classes.len()],
        Goal::Symbols => [&shape, &[input.classes.len()][..]].concat(),
    };
    if outputs.dims() != wanted {
        let error = Error::usage("the network does not fit the input that it describes", "");
        return Err(damaged(file, error));
    }
    let (source, test_hash, step, notes) = (None, String::new(), 0, Vec::new());
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
    let dir = data_dir(data, source.as_deref())?;
    // A branch lives by the checkpoint that it branched with.
    let kept = run.record().branched_at().is_some() || first_of(run).is_some();
    if kept { recipe.job_begun(settings, dir) } else { recipe.job(settings, dir) }
}

/// The checkpoint of before the first step, which a run keeps if it began with more than its seed. (A torn one is none: then what it
/// held is asked for again.)
pub(crate) fn first_of(run: &RunDir) -> Option<Checkpoint> {
    train::checkpoint::of_step(&run.checkpoints(), 0).ok()
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
