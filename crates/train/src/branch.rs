//! A new run that begins where another one was at some step.

use std::fs;
use std::path::Path;

use data::Position;

use crate::begin::step_graph;
use crate::checkpoint::{self, Checkpoint};
use crate::durable;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::record::Record;
use crate::run_dir::{Contents, RunDir};
use crate::same;
use crate::state;
use crate::step::training_loader;

/// Makes a run at `out` that has come as far as `run` had at step `from` (default: its newest checkpoint), to be resumed. Any
/// setting of `job` may be another one, as long as the checkpoint still fits it. `run` is left as it is.
///
/// # Errors
/// If there is no such checkpoint, `out` is there already, or the rows or, with the same settings, the training step of `job`
/// are not those of `run`.
pub fn branch(job: &mut Job, run: &RunDir, from: Option<u64>, out: &Path, command: &str) -> Result<RunDir> {
    let checkpoints = run.checkpoints();
    let found = match from {
        Some(step) => checkpoint::of_step(&checkpoints, step)?,
        None => checkpoint::newest(&checkpoints)?.found.ok_or_else(|| {
            Error::corrupt(&checkpoints, "it holds no complete checkpoint to branch from", "resume the run itself")
        })?,
    };
    branch_from(job, run, &found, out, command)
}

/// As [`branch`], from a checkpoint at hand: one that was computed again ([`crate::Run::checkpoint`]).
///
/// # Errors
/// As for [`branch`].
pub fn branch_from(job: &mut Job, run: &RunDir, found: &Checkpoint, out: &Path, command: &str) -> Result<RunDir> {
    RunDir::check_free(out)?;
    same::check_data(job, run)?;
    let loader = training_loader(job)?;
    if same::same_settings(job, run)? {
        same::check_graph(job, run, &loader)?;
    }
    // What does not fit is refused before anything is made.
    state::load(job, found)?;
    let record = run.record();
    let machine: Vec<(&str, String)> =
        record.machine.iter().map(|(name, fact)| (name.as_str(), fact.clone())).collect();
    let mut branched = Record::new(&record.recipe, command, record.seed, &machine);
    branched.parent = format!("{}, step {}", run.path().display(), found.step);
    let contents = Contents {
        record: branched,
        config: job.settings.to_toml(),
        data: job.splits.to_json()?,
        graph: step_graph(job, &loader.batch_at(Position::default())?)?,
    };
    RunDir::create(Some(out), &contents, |dir| {
        copy_files(&run.path().join("pictures"), &dir.join("pictures"))?;
        // All of the past; what lies behind the checkpoint is cut off when the branch is resumed.
        for name in ["metrics.jsonl", "steps.bin", "rows.bin", "times.bin"] {
            let file = run.path().join("log").join(name);
            if file.exists() {
                durable::write(&dir.join("log").join(name), &durable::read(&file)?)?;
            }
        }
        let files: Vec<(&str, Vec<u8>)> =
            found.files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        checkpoint::save(&dir.join("checkpoints"), found.step, &files).map(drop)
    })
}

/// The files of one folder, but those of later steps: a confusion matrix is made at the end.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(|path| path.is_file() && path.extension().is_some_and(|end| end == "png")) {
        durable::write(&to.join(path.file_name().unwrap_or_default()), &durable::read(&path)?)?;
    }
    Ok(())
}
