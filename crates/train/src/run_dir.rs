//! A run on disk: what ran, on what, and what came out. Made whole under a temporary name, then renamed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::durable;
use crate::error::{Error, Result};
use crate::event::Status;
use crate::record::Record;
use crate::splits::{DataRecord, read_data};
use workshop::Workshop;

mod workshop;

/// The folder of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDir {
    path: PathBuf,
    record: Record,
}

/// What a run's folder holds from its beginning.
pub struct Contents {
    /// What ran.
    pub record: Record,
    /// Every setting, as TOML.
    pub config: String,
    /// Files, split, input.
    pub data: Value,
    /// Nodes of the training step.
    pub graph: Value,
}

impl RunDir {
    /// An error if `out` is there already: no run is ever overwritten.
    ///
    /// # Errors
    /// If something lies at `out`.
    pub fn check_free(out: &Path) -> Result<()> {
        if out.symlink_metadata().is_err() {
            return Ok(());
        }
        Err(Error::usage(
            format!("{} is there already, and a run never overwrites anything", out.display()),
            "choose another folder with --out, or remove this one",
        ))
    }

    /// Makes the folder `out`, or `runs/NAME-K` with the first free K. `fill` adds what else belongs into it.
    ///
    /// # Errors
    /// If `out` is there already or cannot be written; then nothing is left behind.
    pub fn create(out: Option<&Path>, contents: &Contents, fill: impl Fn(&Path) -> Result<()>) -> Result<RunDir> {
        let parent = parent_of(out);
        let workshop = Workshop::new(parent)?;
        let temporary = workshop.path();
        write_contents(temporary, contents)?;
        fill(temporary)?;
        durable::sync(temporary)?;
        let path = match out {
            Some(out) => {
                RunDir::check_free(out)?;
                durable::rename(temporary, out, "create")?;
                out.to_owned()
            }
            None => rename_to_free(temporary, parent, &contents.record.recipe)?,
        };
        workshop.keep();
        durable::sync_parent(&path)?;
        Ok(RunDir { path, record: contents.record.clone() })
    }

    /// Temporary folders beside this run that are older than an hour: what was left of processes that were killed before
    /// their runs began.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        workshop::leftovers(parent_of(Some(&self.path)))
    }

    /// Opens the run in a folder.
    ///
    /// # Errors
    /// If it is not a run, or its record is damaged.
    pub fn open(path: &Path) -> Result<RunDir> {
        let record = path.join("run.toml");
        match record.metadata() {
            Ok(found) if found.is_file() => {}
            Err(source) if source.kind() == ErrorKind::PermissionDenied => {
                return Err(Error::io(&record, "read", source));
            }
            _ => {
                let what = if path.exists() { "is not a run: it holds no run.toml" } else { "does not exist" };
                return Err(Error::usage(
                    format!("{} {what}", path.display()),
                    "give the folder of a run, such as runs/digits-1; glassbox train makes one",
                ));
            }
        }
        let text = String::from_utf8_lossy(&durable::read(&record)?).into_owned();
        let record = Record::from_toml(&text, &record)?;
        Ok(RunDir { path: path.to_owned(), record })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What ran.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The text of `config.toml`, and its path.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn config(&self) -> Result<(String, PathBuf)> {
        let path = self.path.join("config.toml");
        Ok((String::from_utf8_lossy(&durable::read(&path)?).into_owned(), path))
    }

    /// What `data.json` says of the data.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn data(&self) -> Result<DataRecord> {
        read_data(&self.path.join("data.json"))
    }

    /// The whole of `data.json`.
    pub(crate) fn data_json(&self) -> Result<Value> {
        self.json("data.json")
    }

    /// The whole of `graph.json`.
    pub(crate) fn graph_json(&self) -> Result<Value> {
        self.json("graph.json")
    }

    fn json(&self, name: &str) -> Result<Value> {
        let path = self.path.join(name);
        serde_json::from_slice(&durable::read(&path)?)
            .map_err(|error| Error::corrupt(&path, error.to_string(), "take it from a backup, or train again"))
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Notes how the run ended, and its figures.
    ///
    /// # Errors
    /// If `run.toml` cannot be replaced.
    pub fn end(&mut self, status: Status, figures: &serde_json::Map<String, Value>) -> Result<()> {
        self.record.status = status.word().to_owned();
        self.record.ended = crate::record::now();
        self.record.figures = figures.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        durable::replace(&self.path.join("run.toml"), self.record.to_toml().as_bytes())
    }

    /// Notes that training goes on from `step` now.
    pub(crate) fn resumed(&mut self, step: u64, command: &str) -> Result<()> {
        self.record.status = Status::Running.word().to_owned();
        self.record.ended = String::new();
        self.record.figures = Vec::new();
        self.record.resumed.push(format!("from step {step} at {} by {command}", crate::record::now()));
        durable::replace(&self.path.join("run.toml"), self.record.to_toml().as_bytes())
    }

    /// Replaces `data.json`: the same data lies elsewhere now.
    pub(crate) fn move_data(&self, data: &Value) -> Result<()> {
        durable::replace(&self.path.join("data.json"), format!("{data:#}\n").as_bytes())
    }

    /// The last step until which the run had other settings; 0 if it always had those of `config.toml`.
    pub(crate) fn was_other_until(&self) -> Result<u64> {
        let failed = |source| Error::io(&self.path, "list", source);
        let mut last = 0;
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let until = name.strip_prefix("config-until-").and_then(|rest| rest.get(..6)?.parse::<u64>().ok());
            last = last.max(until.unwrap_or(0));
        }
        Ok(last)
    }

    /// Replaces `config.toml`; the one until now stays as `config-until-STEP.toml`.
    pub(crate) fn change_config(&self, text: &str, step: u64) -> Result<()> {
        let (old, path) = self.config()?;
        let free = (1u32..).map(|number| match number {
            1 => self.path.join(format!("config-until-{step:06}.toml")),
            _ => self.path.join(format!("config-until-{step:06}-{number}.toml")),
        });
        if let Some(kept) = free.into_iter().find(|path| !path.exists()) {
            durable::replace(&kept, old.as_bytes())?;
        }
        durable::replace(&path, text.as_bytes())
    }
}

/// The folder that holds the run `out`, or runs without a name of their own.
fn parent_of(out: Option<&Path>) -> &Path {
    match out {
        Some(out) => out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        None => Path::new("runs"),
    }
}

fn write_contents(dir: &Path, contents: &Contents) -> Result<()> {
    for folder in [dir.join("log"), dir.join("checkpoints"), dir.join("pictures")] {
        durable::make_dir(&folder)?;
    }
    durable::write(&dir.join("run.toml"), contents.record.to_toml().as_bytes())?;
    durable::write(&dir.join("config.toml"), contents.config.as_bytes())?;
    durable::write(&dir.join("data.json"), format!("{:#}\n", contents.data).as_bytes())?;
    durable::write(&dir.join("graph.json"), format!("{}\n", contents.graph).as_bytes())
}

/// Renames to `NAME-K` with the first K that no one has, however many runs start at once.
fn rename_to_free(temporary: &Path, parent: &Path, name: &str) -> Result<PathBuf> {
    let mut last = None;
    for number in 1..=1_000_000u32 {
        let path = parent.join(format!("{name}-{number}"));
        if path.symlink_metadata().is_ok() {
            continue;
        }
        match fs::rename(temporary, &path) {
            Ok(()) => return Ok(path),
            // Another run was faster; unless something else is wrong, a later number is free.
            Err(source) if path.exists() => last = Some((path, source)),
            Err(source) => return Err(Error::io(&path, "create", source)),
        }
    }
    Err(match last {
        Some((path, source)) => Error::io(&path, "create", source),
        None => Error::usage(format!("{} holds a million runs of {name}", parent.display()), "remove some of them"),
    })
}

#[cfg(test)]
mod tests;
