//! Event files that TensorBoard shows: loss, learning rate and gradient of each step, figures of each epoch, the first batch.

mod record;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::report::Series;
use crate::run_dir::RunDir;

/// The folder of the event files in a run.
pub const FOLDER: &str = "tensorboard";

/// An event file, open for writing.
pub struct Board {
    path: PathBuf,
    file: File,
}

impl Board {
    /// Makes a new event file in `dir`, beside those of earlier parts of a training that has come to `step`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(dir: &Path, step: u64) -> Result<Board> {
        std::fs::create_dir_all(dir).map_err(|source| Error::io(dir, "create", source))?;
        let seconds = now() as u64;
        let mut number = 0;
        loop {
            let path = dir.join(format!("events.out.tfevents.{seconds}.glassbox.{}.{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut board = Board { path, file };
                    board.write(&record::version(now()))?;
                    // What an earlier file says of later steps is to be forgotten, and not what it says of this one.
                    board.write(&record::start(now(), step + 1))?;
                    return Ok(board);
                }
                Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
                Err(source) => return Err(Error::io(&path, "create", source)),
            }
        }
    }

    /// Writes what happened, if TensorBoard has a place for it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn hear(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Step(_) | Event::Epoch(_) => match event.to_json() {
                Value::Object(line) => self.line(&line),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Writes the figures of a line of `metrics.jsonl`.
    fn line(&mut self, line: &serde_json::Map<String, Value>) -> Result<()> {
        const FIGURES: [(&str, &str); 3] = [("loss", "step/loss"), ("lr", "step/lr"), ("grad_norm", "step/grad_norm")];
        let step = line.get("step").and_then(Value::as_u64).unwrap_or(0);
        let number = |name: &str| line.get(name).and_then(Value::as_f64).map(|number| number as f32);
        let mut values: Vec<(String, f32)> = Vec::new();
        if line.get("event").and_then(Value::as_str) == Some("step") {
            values.extend(FIGURES.iter().filter_map(|(name, tag)| Some(((*tag).to_owned(), number(name)?))));
        } else {
            let parts = ["train_", "val_", "test_"];
            let figures =
                line.keys().filter(|name| parts.iter().any(|part| name.starts_with(part)) && !name.ends_with("_rows"));
            values.extend(figures.filter_map(|name| Some((format!("epoch/{name}"), number(name)?))));
        }
        let values: Vec<(&str, f32)> = values.iter().map(|(tag, value)| (tag.as_str(), *value)).collect();
        self.write(&record::scalars(now(), step, &values))
    }

    /// Writes the first batch of a run.
    ///
    /// # Errors
    /// If its picture is there and cannot be read, or the disk refuses.
    pub fn first_batch(&mut self, run: &Path) -> Result<()> {
        let path = run.join("pictures").join("first-batch.png");
        if !path.is_file() {
            return Ok(());
        }
        let (height, width) = data::picture::picture_size(&path)?;
        let png = crate::durable::read(&path)?;
        // Byte 25 of a PNG is its colour type: 0 for grey.
        let channels = if png.get(25) == Some(&0) { 1 } else { 3 };
        self.write(&record::image(now(), 0, "first batch", (height, width, channels), &png))
    }

    /// Writes all figures of a run that was trained before.
    ///
    /// # Errors
    /// If the run cannot be read, or the disk refuses.
    pub fn whole_run(&mut self, run: &RunDir) -> Result<()> {
        self.first_batch(run.path())?;
        let series = Series::read(run)?;
        ["step", "epoch"].into_iter().try_for_each(|event| series.of_event(event).try_for_each(|line| self.line(line)))
    }

    fn write(&mut self, event: &[u8]) -> Result<()> {
        self.file.write_all(&record::frame(event)).map_err(|source| Error::io(&self.path, "write", source))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
