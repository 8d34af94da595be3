//! Whether a job is the one that a run was begun with: its settings, its rows, the graph of its step.

use std::path::Path;

use data::{Changes, DataError, Loader, Manifest, Position};
use serde_json::Value;

use crate::begin::step_graph;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::run_dir::RunDir;
use crate::splits::{DataFile, Input, Splits};

/// Settings that may change in the midst of a run, and sections of them that end with a dot: they say how long it is trained
/// and what is kept, or change no result.
pub const CHANGEABLE: [&str; 8] = [
    "train.epochs",
    "train.max_steps",
    "train.patience",
    "eval.batch",
    "data.workers",
    "checkpoint.",
    "ledger.",
    "log.",
];

/// Whether a setting may change in the midst of a run.
pub(crate) fn is_changeable(setting: &str) -> bool {
    CHANGEABLE.iter().any(|name| setting == *name || (name.ends_with('.') && setting.starts_with(name)))
}

/// Whether any setting differs from the run's.
///
/// # Errors
/// If one differs that may not.
pub(crate) fn check_settings(job: &Job, run: &RunDir) -> Result<bool> {
    let then = settings_then(job, run)?;
    let mut changed = false;
    for (then, now) in then.iter().zip(job.settings.iter()).filter(|(then, now)| then.value != now.value) {
        changed = true;
        if !is_changeable(now.name) {
            return Err(Error::usage(
                format!(
                    "{} was begun with {} = {}, and not {}",
                    run.path().display(),
                    then.name,
                    then.value,
                    now.value
                ),
                "a run goes on as it was begun; to go another way from here, branch: --from STEP --as NAME",
            ));
        }
    }
    Ok(changed)
}

/// Whether all settings are the run's.
pub(crate) fn same_settings(job: &Job, run: &RunDir) -> Result<bool> {
    let then = settings_then(job, run)?;
    Ok(then.iter().zip(job.settings.iter()).all(|(then, now)| then.value == now.value))
}

fn settings_then(job: &Job, run: &RunDir) -> Result<Settings> {
    let (text, path) = run.config()?;
    let mut then = job.settings.clone();
    then.read_toml(&text, &path).map_err(|error| {
        let why = if let Error::Usage { what, .. } = error { what } else { error.to_string() };
        Error::corrupt(&path, why, "take it from a backup")
    })?;
    Ok(then)
}

/// An error, which says what changed, unless the job's rows are those of the run.
pub(crate) fn check_data(job: &Job, run: &RunDir) -> Result<()> {
    let (then, now) = (run.data_json()?, job.splits.to_json()?);
    let mut changes = file_changes(&then["files"], &now["files"]);
    if changes.is_empty() {
        for part in ["train", "val", "test"] {
            let (then, now) = (&then["parts"][part], &now["parts"][part]);
            match (&then["rows"], &now["rows"]) {
                (a, b) if a != b => changes.push(format!("{part} has {} rows, not {}", count(b), count(a))),
                _ if then["sha256"] != now["sha256"] => changes.push(format!("rows of {part} have other content")),
                _ => {}
            }
        }
    } else if then["parts"] == now["parts"] {
        // Other files with the same rows in the same order, such as ones that are packed now.
        changes.clear();
    }
    // Read as numbers of a model: a JSON number may come back as its neighbour.
    if changes.is_empty() && Input::from_json(&then["input"]).as_ref() != Some(&job.splits.input) {
        changes.push("its classes, its size or its normalisation changed".to_owned());
    }
    if changes.is_empty() {
        return Ok(());
    }
    Err(Error::Data(DataError::Argument {
        what: "data",
        why: format!("it is not what {} was trained on: {}", run.path().display(), listed(&changes)),
        help: "restore it, say where it is with --data DIR, or train anew on the new data".to_owned(),
    }))
}

/// Which files are gone, changed, or new.
fn file_changes(then: &Value, now: &Value) -> Vec<String> {
    fn files(list: &Value) -> impl Iterator<Item = (&str, &[u8])> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(|file| Some((file["path"].as_str()?, file["sha256"].as_str()?.as_bytes())))
    }
    Changes::between(files(then), files(now)).words().collect()
}

/// An error, which names the files, unless `splits` were read from the files that a manifest lists.
///
/// # Errors
/// If the manifest cannot be read, or files were added, removed or changed since it was written.
pub fn check_manifest(splits: &Splits, path: &Path) -> Result<()> {
    let then = Manifest::read(path)?;
    let root = splits.source.clone().unwrap_or_default();
    let then = then.files.iter().map(|file| (file.path.as_str(), file.hash.as_slice()));
    // Files that are skipped as broken are in the manifest too, if they can be read at all.
    let skipped: Vec<DataFile> = splits
        .skipped()
        .filter_map(|skipped| DataFile::of(&root, &std::path::absolute(&skipped.path).ok()?).ok())
        .collect();
    let now = splits.files.iter().chain(&skipped).map(|file| (file.path.as_str(), file.hash.as_slice()));
    let changes: Vec<String> = Changes::between(then, now).words().collect();
    if changes.is_empty() {
        return Ok(());
    }
    let place = splits.source.as_ref().map_or_else(|| "the data".to_owned(), |source| source.display().to_string());
    Err(Error::Data(DataError::Argument {
        what: "data",
        why: format!("{place} is not what {} says: {}", path.display(), listed(&changes)),
        help: "restore the files, or look at them (glassbox data) and write the manifest again".to_owned(),
    }))
}

fn count(rows: &Value) -> u64 {
    rows.as_u64().unwrap_or(0)
}

/// The first few of many changes.
fn listed(changes: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = changes.len().saturating_sub(SHOWN);
    let shown = changes[..changes.len().min(SHOWN)].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// An error, which names the first node that differs, unless the job's step is that of the run.
pub(crate) fn check_graph(job: &mut Job, run: &RunDir, loader: &Loader) -> Result<()> {
    let (then, now) = (run.graph_json()?, step_graph(job, &loader.batch_at(Position::default())?)?);
    let nodes = |graph: &Value| graph["nodes"].as_array().cloned().unwrap_or_default();
    let (then, now) = (nodes(&then), nodes(&now));
    let place = (0..then.len().max(now.len())).find(|&at| meaning(then.get(at)) != meaning(now.get(at)));
    let Some(at) = place else { return Ok(()) };
    Err(Error::usage(
        format!(
            "{} was begun by another program: node {at} of its training step was {}, and is {} now",
            run.path().display(),
            named(then.get(at)),
            named(now.get(at)),
        ),
        "go on with the program that began it, or train anew",
    ))
}

/// A node without the line of the source where it was made, which moves with every edit.
fn meaning(node: Option<&Value>) -> Option<Value> {
    let mut node = node?.clone();
    node.as_object_mut()?.remove("at");
    Some(node)
}

fn named(node: Option<&Value>) -> String {
    let Some(node) = node else { return "nothing".to_owned() };
    let layer = node["layer"].as_str().map_or(String::new(), |layer| format!(" of {layer}"));
    format!("{} {}{layer}", node["op"].as_str().unwrap_or("nothing"), node["shape"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_that_changed_are_named() {
        let then = json!([{"path": "a", "sha256": "1"}, {"path": "b", "sha256": "2"}, {"path": "c", "sha256": "3"}]);
        let now = json!([{"path": "a", "sha256": "1"}, {"path": "c", "sha256": "4"}, {"path": "d", "sha256": "5"}]);
        assert_eq!(file_changes(&then, &now), ["b is gone", "c changed", "d is new"]);
        assert_eq!(listed(&vec!["x".to_owned(); 10]), "x, x, x, x, x, x, x, x and 2 more");
    }
}
