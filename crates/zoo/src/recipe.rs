//! A recipe: what a system is trained by, as plain data.

use std::path::Path;

use nn::losses::{CrossEntropy, Reduction};
use nn::{Layer, Scope};
use tensor::Tensor;
use train::suggest::nearest;
use train::{Error, Input, Job, Losses, Result, Settings, Splits, steps, steps_per_epoch};

pub use train::Loss;

/// A system that can be trained by name.
pub struct Recipe {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// All settings with their defaults.
    pub settings: fn() -> Settings,
    /// The data, from a folder or from what ships with the library.
    pub splits: fn(&Settings, Option<&Path>) -> Result<Splits>,
    /// The model for this input.
    pub model: fn(&Scope, &Settings, &Input) -> Result<Box<dyn Layer>>,
    /// What is made small.
    pub loss: fn(&Settings, &Splits) -> Result<Loss>,
    /// What the model is given of the data or of a file before the first step, such as weights trained elsewhere; whether that is
    /// anything.
    pub begin: fn(&Scope, &Settings, &Splits) -> Result<bool>,
    /// Whether its pictures are light on dark: others are inverted before they are recognised.
    pub light_on_dark: bool,
}

/// All recipes.
pub const RECIPES: [Recipe; 14] = [
    crate::lenet::RECIPE,
    crate::lenet_1998::RECIPE,
    crate::mlp::RECIPE,
    crate::dense::RECIPE,
    crate::fashion::RECIPE,
    crate::images::RECIPE,
    crate::cifar::RECIPE,
    crate::char_rnn::RECIPE,
    crate::lstm_text::RECIPE,
    crate::gpt::RECIPE,
    crate::text::RECIPE,
    crate::rows::RECIPE,
    crate::table::RECIPE,
    crate::adding::RECIPE,
];

/// The names of all recipes.
pub fn names() -> Vec<&'static str> {
    RECIPES.iter().map(|recipe| recipe.name).collect()
}

/// The recipe called `name`.
///
/// # Errors
/// If there is none; the error names the nearest.
pub fn find(name: &str) -> Result<Recipe> {
    let names = names();
    RECIPES.into_iter().find(|recipe| recipe.name == name).ok_or_else(|| {
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}? (recipes: {})", names.join(", ")),
            None => format!("the recipes are {}", names.join(", ")),
        };
        Error::usage(format!("there is no recipe {name:?}"), help)
    })
}

impl Recipe {
    /// Everything that `train::fit` needs, from settings and the folder of the data.
    ///
    /// # Errors
    /// If data or settings cannot be used.
    pub fn job(&self, settings: Settings, dir: Option<&Path>) -> Result<Job> {
        self.job_of(settings, dir, self.begin)
    }

    /// The job of a run that keeps a checkpoint of before its first step: what it began with is there, and is not asked for again.
    ///
    /// # Errors
    /// As for [`Recipe::job`].
    pub(crate) fn job_begun(&self, settings: Settings, dir: Option<&Path>) -> Result<Job> {
        self.job_of(settings, dir, |_, _, _| Ok(true))
    }

    fn job_of(
        &self,
        settings: Settings,
        dir: Option<&Path>,
        begin: fn(&Scope, &Settings, &Splits) -> Result<bool>,
    ) -> Result<Job> {
        let splits = (self.splits)(&settings, dir)?;
        let scope = Scope::root(settings.get_int("train.seed")? as u64);
        let model = (self.model)(&scope, &settings, &splits.input)?;
        let begun = begin(&scope, &settings, &splits)?;
        let loss = (self.loss)(&settings, &splits)?;
        let total = steps(&settings, splits.train.len())?;
        let optimizer = crate::settings::optimizer(&settings, &scope, &splits.input)?;
        let schedule = crate::settings::schedule(&settings, total, steps_per_epoch(&settings, splits.train.len())?)?;
        let average = crate::settings::average(&settings, &scope)?;
        let recipe = self.name.to_owned();
        Ok(Job { recipe, settings, splits, scope, model, loss, optimizer, schedule, average, begun })
    }
}

/// An error, which names the files, unless the data of a training that is about to begin is what its `data.manifest` says.
/// (A run that goes on is held to its own record of the data.)
///
/// # Errors
/// If files changed, or the manifest cannot be read.
pub fn check_manifest(job: &Job) -> Result<()> {
    match job.settings.get_word("data.manifest")? {
        "" => Ok(()),
        path => train::check_manifest(&job.splits, Path::new(path)),
    }
}

/// Begins with what the seed gives.
pub(crate) fn nothing(_: &Scope, _: &Settings, _: &Splits) -> Result<bool> {
    Ok(false)
}

/// Cross-entropy with the recipe's label smoothing.
pub(crate) fn plain_loss(settings: &Settings, splits: &Splits) -> Result<Loss> {
    Ok(weighted_loss(settings.get_float("train.smoothing")?, vec![1.0; splits.input.classes.len()]))
}

/// Cross-entropy with label smoothing, in which a row of class k weighs `weights[k]`. The weights of [`CrossEntropy`] would
/// reach the spread part of the target too, and push every row towards the rare classes.
pub(crate) fn weighted_loss(smoothing: f64, weights: Vec<f32>) -> Loss {
    let even = weights.iter().all(|&weight| weight == 1.0);
    let loss = CrossEntropy { label_smoothing: smoothing, reduction: Reduction::None, ..CrossEntropy::default() };
    let weight = Tensor::from_vec(weights.clone(), [weights.len()]);
    Box::new(move |logits: &Tensor, labels: &Tensor| {
        let losses = loss.loss(logits, labels);
        if even { Losses::mean_of(losses) } else { Losses::weighted(losses, &weight.index_select(0, labels)) }
    })
}
