//! The logs of the runs, read on as they grow.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use train::ledger::Following;

use crate::error::Result;
use crate::lines::Lines;

/// Runs whose figures are held in memory, at most: a run of 100,000 steps takes 8 MB.
const MOST_HELD: usize = 32;

/// Bytes of a line of figures within which it says what it is: its names are sorted, and `event` is among the first.
const HEAD: usize = 96;

/// What was read of all runs.
#[derive(Default)]
pub struct Logs {
    events: Mutex<HashMap<PathBuf, Arc<Mutex<Events>>>>,
    figures: Mutex<Vec<(PathBuf, Arc<Mutex<Figures>>)>>,
}

/// What the events of a run say of its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Length {
    /// Steps that it is to make.
    pub steps: u64,
    /// Epochs that it is to make.
    pub epochs: u64,
    /// Numbers that are learned.
    pub parameters: u64,
}

struct Events {
    lines: Lines,
    length: Length,
}

/// All figures of a run.
pub struct Figures {
    ledger: Following,
    lines: Lines,
    /// The ends of the epochs.
    epochs: Vec<Map<String, Value>>,
    /// Steps of a run that has no ledger: step, loss, rate, length of the gradient.
    plain: Vec<[f64; 4]>,
}

impl Logs {
    /// What the events of the run at `path` say.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn events(&self, path: &Path) -> Result<Length> {
        let held = {
            let mut all = locked(&self.events);
            let fresh =
                || Events { lines: Lines::of(path.join("log").join("events.jsonl")), length: Length::default() };
            Arc::clone(all.entry(path.to_owned()).or_insert_with(|| Arc::new(Mutex::new(fresh()))))
        };
        let mut events = locked(&held);
        let Events { lines, length } = &mut *events;
        if lines.restarted()? {
            *length = Length::default();
        }
        lines.more(&mut |line| {
            let Ok(event) = serde_json::from_slice::<Value>(line) else { return };
            if event["event"] == "start" {
                let number = |name: &str| event[name].as_u64().unwrap_or(0);
                *length = Length { steps: number("steps"), epochs: number("epochs"), parameters: number("parameters") };
            }
        })?;
        Ok(length.clone())
    }

    /// What `look` finds in the figures of the run at `path`, as they are now.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn figures<T>(&self, path: &Path, look: impl FnOnce(&Figures) -> T) -> Result<T> {
        let held = {
            let mut all = locked(&self.figures);
            let place = all.iter().position(|(of, _)| of == path);
            let entry = match place {
                Some(place) => all.remove(place),
                None => (path.to_owned(), Arc::new(Mutex::new(Figures::of(path)))),
            };
            all.truncate(MOST_HELD - 1);
            all.insert(0, entry);
            Arc::clone(&all[0].1)
        };
        let mut figures = locked(&held);
        figures.read_on()?;
        Ok(look(&figures))
    }
}

impl Figures {
    fn of(path: &Path) -> Figures {
        let lines = Lines::of(path.join("log").join("metrics.jsonl"));
        Figures { ledger: Following::of(path), lines, epochs: Vec::new(), plain: Vec::new() }
    }

    fn read_on(&mut self) -> train::Result<()> {
        self.ledger.read_on()?;
        if self.lines.restarted()? {
            (self.epochs, self.plain) = (Vec::new(), Vec::new());
        }
        let with_ledger = !self.ledger.steps().is_empty();
        let (epochs, plain) = (&mut self.epochs, &mut self.plain);
        self.lines.more(&mut |line| {
            // Of a hundred lines one is an epoch; what the ledger holds of a step need not be parsed.
            let is_epoch = contains(&line[..line.len().min(HEAD)], b"\"event\":\"epoch\"");
            if !is_epoch && with_ledger {
                return;
            }
            let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
            if is_epoch {
                epochs.push(object);
            } else {
                let number = |name: &str| object.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
                plain.push([number("step"), number("loss"), number("lr"), number("grad_norm")]);
            }
        })
    }

    /// Names of all figures: of steps, of epochs.
    pub fn names(&self) -> (Vec<&'static str>, Vec<String>) {
        let steps: &[&str] = match self.ledger.steps() {
            [] if self.plain.is_empty() => &[],
            [] => &["loss", "lr", "grad_norm"],
            _ => &["loss", "lr", "grad_norm", "weight_norm", "update_norm"],
        };
        let mut epochs: Vec<String> = Vec::new();
        for (name, value) in self.epochs.iter().flatten() {
            let is_place = ["epoch", "epochs", "step", "steps"].contains(&name.as_str());
            if value.is_number() && !is_place && !epochs.contains(name) {
                epochs.push(name.clone());
            }
        }
        (steps.to_vec(), epochs)
    }

    /// Step and value of a figure, where it was taken.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        let steps = self.ledger.steps();
        let of_step = |record: &train::ledger::StepRecord| {
            let value = match name {
                "loss" => Some(f64::from(record.loss)),
                "lr" => Some(record.lr),
                "grad_norm" => Some(f64::from(record.grad_norm)),
                "weight_norm" => record.weight_norm.map(f64::from),
                "update_norm" => record.update_norm.map(f64::from),
                _ => None,
            };
            value.map(|value| (record.step as f64, value))
        };
        let place = ["loss", "lr", "grad_norm"].iter().position(|of| *of == name);
        let is_step = place.is_some() || name == "weight_norm" || name == "update_norm";
        match (is_step, steps.is_empty(), place) {
            (true, false, _) => steps.iter().filter_map(of_step).collect(),
            (true, true, Some(place)) => self.plain.iter().map(|step| (step[0], step[place + 1])).collect(),
            (true, true, None) => Vec::new(),
            (false, ..) => {
                let number = |line: &Map<String, Value>, name: &str| line.get(name).and_then(Value::as_f64);
                self.epochs.iter().filter_map(|line| Some((number(line, "step")?, number(line, name)?))).collect()
            }
        }
    }
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|part| part == what)
}

/// Even a reader that panicked left what it held whole: it is only ever added to.
fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
