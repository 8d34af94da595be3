//! The runs that can be looked at, and what their files say of them without computing anything.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};
use train::{Error as TrainError, RunDir, Source, checkpoint};

use crate::Studio;
use crate::error::{Error, Result};
use crate::query::Query;
use crate::tensors::finite;

/// Folders below the first in which runs are looked for: `runs/sweep/digits-1`.
const DEPTH: usize = 3;
/// Runs that are listed, at most.
const MOST_RUNS: usize = 2000;
/// A run that wrote nothing for longer is not called live.
const LIVE_SECONDS: u64 = 60;

/// A run, a folder of runs, or a model without its run.
pub struct Runs {
    root: PathBuf,
    place: Place,
}

/// What the root is.
enum Place {
    /// A folder of runs.
    Folder,
    /// A run of this name.
    Run(String),
    /// A model of this name, and what its file says of it.
    Model(String, Value),
}

impl Runs {
    /// Of a place.
    ///
    /// # Errors
    /// If nothing is there, or a file that is no model of ours.
    pub fn new(place: &Path) -> train::Result<Runs> {
        let root = fs::canonicalize(place).map_err(|source| match source.kind() {
            ErrorKind::NotFound => {
                let help = "give the folder of a run, a folder of runs, or a model: model.safetensors or a checkpoint";
                TrainError::usage(format!("{} does not exist", place.display()), help)
            }
            _ => TrainError::io(place, "read", source),
        })?;
        let place = if is_run(&root) {
            Place::Run(name_of(&root))
        } else if root.is_dir() && !root.join(train::MODEL).is_file() {
            Place::Folder
        } else {
            Place::Model(name_of(&root), model_facts(&root)?)
        };
        Ok(Runs { root, place })
    }

    /// Where they lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the file of the only model says, if the place is one.
    pub fn model(&self) -> Option<&Value> {
        match &self.place {
            Place::Model(_, facts) => Some(facts),
            _ => None,
        }
    }

    /// Names and folders of all runs, by name.
    pub fn all(&self) -> Vec<(String, PathBuf)> {
        match &self.place {
            Place::Run(only) => return vec![(only.clone(), self.root.clone())],
            Place::Model(..) => return Vec::new(),
            Place::Folder => {}
        }
        let mut found = Vec::new();
        let mut open = vec![(self.root.clone(), 0)];
        while let Some((folder, depth)) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                // A link may lead anywhere.
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !is_dir || hidden || found.len() >= MOST_RUNS {
                    continue;
                }
                let path = entry.path();
                if is_run(&path) {
                    found.extend(self.id(&path).map(|id| (id, path)));
                } else if depth + 1 < DEPTH {
                    open.push((path, depth + 1));
                }
            }
        }
        found.sort_by_key(|(id, _)| natural(id));
        found
    }

    /// The name of the run in a folder.
    fn id(&self, path: &Path) -> Option<String> {
        let parts: Option<Vec<&str>> =
            path.strip_prefix(&self.root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
        Some(parts?.join("/"))
    }

    /// The folder of the run of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, id: &str) -> Result<PathBuf> {
        match &self.place {
            Place::Model(only, _) if only == id => Err(Error::Alone),
            _ => self.find_any(id),
        }
    }

    /// The same, or where the model of this name lies.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_any(&self, id: &str) -> Result<PathBuf> {
        let missing = || Error::Missing(format!("there is no run {id:?} here"));
        if let Place::Run(only) | Place::Model(only, _) = &self.place {
            return if only == id { Ok(self.root.clone()) } else { Err(missing()) };
        }
        let mut path = self.root.clone();
        let parts: Vec<Component> = Path::new(id).components().collect();
        if parts.is_empty() || parts.len() > DEPTH {
            return Err(missing());
        }
        for part in parts {
            // Nothing that leads up, out or along a link.
            let Component::Normal(name) = part else { return Err(missing()) };
            path.push(name);
            if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                return Err(missing());
            }
        }
        if is_run(&path) && self.id(&path).as_deref() == Some(id) { Ok(path) } else { Err(missing()) }
    }
}

fn is_run(path: &Path) -> bool {
    fs::symlink_metadata(path.join("run.toml")).is_ok_and(|found| found.is_file())
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// What a model's file says of it, as far as the list of runs and the facts of a run say it too.
fn model_facts(place: &Path) -> train::Result<Value> {
    let opened = zoo::open_model(place)?.ok_or_else(|| {
        TrainError::usage(
            format!("{} does not say of which network it is", place.display()),
            "give the folder of its run, or the model.safetensors of a checkpoint that this version wrote",
        )
    })?;
    let parameters: usize = opened.scope.parameters().iter().map(|var| var.shape().count()).sum();
    // Of the others nothing is known.
    let told = opened.settings.iter().filter(|row| row.source != Source::Default);
    let settings: Vec<String> = told.map(|row| format!("{} = {}", row.name, row.value)).collect();
    Ok(json!({
        "id": name_of(place), "alone": true, "recipe": opened.recipe.name, "status": "a model alone", "live": false,
        "seed": opened.settings.get_int("train.seed")?, "step": opened.step, "steps": opened.step, "first": opened.step,
        "parameters": parameters, "figures": [], "checkpoints": [opened.step], "resumes": [],
        "config": settings.join("\n"), "input": opened.input.to_json(), "place": place.display().to_string(),
    }))
}

/// A key by which `digits-2` comes before `digits-10`.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0u64)];
    for letter in text.chars() {
        let Some(part) = parts.last_mut() else { continue };
        match letter.to_digit(10) {
            Some(digit) => part.1 = part.1.saturating_mul(10).saturating_add(u64::from(digit)),
            None if part.1 > 0 => parts.push((letter.to_string(), 0)),
            None => part.0.push(letter),
        }
    }
    parts
}

/// `/api/runs`: all runs, how far they came.
pub fn list(studio: &Studio, _: &Query) -> Result<Value> {
    let mut runs: Vec<Value> = studio
        .runs()
        .all()
        .into_iter()
        .map(|(id, path)| {
            summary(studio, &id, &path).unwrap_or_else(|error| json!({ "id": id, "error": error.text() }))
        })
        .collect();
    runs.extend(studio.runs().model().cloned());
    Ok(json!({ "root": studio.runs().root().display().to_string(), "runs": runs }))
}

fn summary(studio: &Studio, id: &str, path: &Path) -> Result<Value> {
    let run = RunDir::open(path)?;
    let record = run.record();
    let last = train::ledger::last(path)?;
    let saved = checkpoint::list(&run.checkpoints())?.last().map(|(step, _)| *step);
    let log = studio.logs().events(path)?;
    let quiet = quiet_seconds(path);
    let live = record.status == "running" && quiet.is_some_and(|seconds| seconds <= LIVE_SECONDS);
    let step = last.as_ref().map(|record| record.step).max(saved).unwrap_or(0);
    let figures: Vec<Value> =
        record.figures.iter().map(|(name, figure)| json!({ "name": name, "value": figure })).collect();
    Ok(json!({
        "id": id, "recipe": record.recipe, "status": record.status, "live": live, "quiet": quiet,
        "started": record.started, "ended": record.ended, "seed": record.seed, "parent": record.parent,
        "resumed": record.resumed.len(), "step": step, "steps": log.steps.max(step), "epochs": log.epochs,
        "parameters": log.parameters, "loss": last.as_ref().map(|record| finite(f64::from(record.loss))),
        "figures": figures,
    }))
}

/// Seconds since the run's log was last written to.
fn quiet_seconds(path: &Path) -> Option<u64> {
    let written = |name: &str| fs::metadata(path.join("log").join(name)).and_then(|found| found.modified()).ok();
    let last = written("steps.bin").max(written("metrics.jsonl")).max(written("events.jsonl"))?;
    Some(SystemTime::now().duration_since(last).map_or(0, |passed| passed.as_secs()))
}

/// `/api/run?run=`: what the files of one run say.
pub fn facts(studio: &Studio, query: &Query) -> Result<Value> {
    let id = query.text("run")?;
    let path = match (studio.runs().find(id), studio.runs().model()) {
        (Err(Error::Alone), Some(facts)) => return Ok(facts.clone()),
        (found, _) => found?,
    };
    let run = RunDir::open(&path)?;
    let record = run.record();
    let (config, _) = run.config()?;
    let data = run.data()?;
    let checkpoints: Vec<u64> = checkpoint::list(&run.checkpoints())?.into_iter().map(|(step, _)| step).collect();
    let mut object = summary(studio, id, &path)?;
    object["command"] = record.command.clone().into();
    object["version"] = record.version.clone().into();
    object["resumes"] = record.resumed.clone().into();
    object["branched_at"] = record.branched_at().into();
    object["first"] = record.branched_at().unwrap_or(0).into();
    object["machine"] = record.machine.iter().map(|(name, fact)| json!([name, fact])).collect();
    object["config"] = config.into();
    object["checkpoints"] = checkpoints.into();
    object["input"] = data.input.to_json();
    object["source"] = data.source.map(|source| source.display().to_string()).into();
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["digits-10", "digits-2", "a-1", "digits-1"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["a-1", "digits-1", "digits-2", "digits-10"]);
    }
}
