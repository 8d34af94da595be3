//! What a model file says of itself, so that it can be opened where its run is not: which network its weights are of.
//!
//! It stands as text in `__metadata__` of `model.safetensors`. Only what an uninterrupted run and a resumed one share is in it:
//! both end with the same bytes.

use nn::safetensors::Metadata;
use serde_json::Value;

use crate::config::{Settings, Source};
use crate::error::Result;
use crate::job::Job;
use crate::same::is_changeable;
use crate::splits::Input;

/// Which network the weights of a file are of.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// Name of the recipe.
    pub recipe: String,
    /// Steps that the weights were trained for.
    pub step: u64,
    /// The seed of the run.
    pub seed: i64,
    /// What the model sees of a row.
    pub input: Input,
    /// The settings that say what the model is and what it is fed: name and value as text.
    pub settings: Vec<(String, String)>,
}

impl Provenance {
    /// Of the model of a job after `step` steps.
    ///
    /// # Errors
    /// If the job has no seed.
    pub fn of(job: &Job, step: u64) -> Result<Provenance> {
        // Files of the machine say nothing of the network. A state that is carried has a row for each of a batch.
        let told = |name: &str| {
            let is_own = name.starts_with("model.") || name.starts_with("data.") || name == "train.batch";
            is_own && !is_changeable(name) && !["data.manifest", "data.test_file", "model.from"].contains(&name)
        };
        let settings = job.settings.iter().filter(|setting| told(setting.name));
        Ok(Provenance {
            recipe: job.recipe.clone(),
            step,
            seed: job.settings.get_int("train.seed")?,
            input: job.splits.input.clone(),
            settings: settings.map(|setting| (setting.name.to_owned(), setting.value.plain())).collect(),
        })
    }

    /// As text beside the tensors.
    pub fn to_metadata(&self) -> Metadata {
        let settings: serde_json::Map<String, Value> =
            self.settings.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let texts = [
            ("recipe", self.recipe.clone()),
            ("step", self.step.to_string()),
            ("seed", self.seed.to_string()),
            ("input", self.input.to_json().to_string()),
            ("settings", Value::from(settings).to_string()),
        ];
        texts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
    }

    /// What `metadata` tells; `None` if it tells of no network.
    pub fn from_metadata(metadata: &Metadata) -> Option<Provenance> {
        let json = |name: &str| -> Option<Value> { serde_json::from_str(metadata.get(name)?).ok() };
        let settings = json("settings")?;
        let settings =
            settings.as_object()?.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Some(Provenance {
            recipe: metadata.get("recipe")?.clone(),
            step: metadata.get("step")?.parse().ok()?,
            seed: metadata.get("seed")?.parse().ok()?,
            input: Input::from_json(&json("input")?)?,
            settings: settings.collect::<Option<_>>()?,
        })
    }

    /// Gives `settings` the values that the model was made with.
    ///
    /// # Errors
    /// If there is no such setting, or it cannot have such a value.
    pub fn apply(&self, settings: &mut Settings, file: &str) -> Result<()> {
        let seed = ("train.seed".to_owned(), self.seed.to_string());
        let mut all = self.settings.iter().chain([&seed]);
        all.try_for_each(|(name, value)| settings.set(name, value, Source::File(file.to_owned())))
    }
}
