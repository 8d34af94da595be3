//! The ledger of any run, to be looked at.

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use super::frame::Frames;
use super::record::{StepRecord, StepRows, StepTimes, step_of};
use super::{ROWS, STEPS, TIMES};
use crate::error::{Error, Result};

/// What is recorded of the steps of a run.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    steps: Vec<StepRecord>,
    rows: Vec<u8>,
    /// Steps of `rows`, and where their payloads lie in it.
    places: Vec<(u64, Range<usize>)>,
    times: Vec<u8>,
    torn: Vec<String>,
}

impl Ledger {
    /// Reads the ledger in the folder of a run: up to the first torn frame of each file. Changes nothing; the run may be
    /// trained at the time.
    ///
    /// # Errors
    /// If a file that is there cannot be read.
    pub fn read(run: &Path) -> Result<Ledger> {
        let log = run.join("log");
        let mut ledger = Ledger { rows: bytes(&log.join(ROWS))?, times: bytes(&log.join(TIMES))?, ..Ledger::default() };
        let all = bytes(&log.join(STEPS))?;
        let mut frames = Frames::of(&all);
        ledger.steps = frames.by_ref().map_while(StepRecord::from_bytes).collect();
        if frames.passed() < all.len() {
            let whole = ledger.steps.len();
            ledger.torn.push(format!("{} is torn at frame {}", log.join(STEPS).display(), whole + 1));
        }
        let mut frames = Frames::of(&ledger.rows);
        let mut places = Vec::new();
        while let Some(payload) = frames.next() {
            let end = frames.passed();
            places.push((step_of(payload).unwrap_or(0), end - payload.len()..end));
        }
        if frames.passed() < ledger.rows.len() {
            ledger.torn.push(format!("{} is torn at frame {}", log.join(ROWS).display(), places.len() + 1));
        }
        ledger.places = places;
        Ok(ledger)
    }

    /// The figures of all recorded steps, in order.
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// The figures of a step, from 1.
    pub fn step(&self, step: u64) -> Option<&StepRecord> {
        let at = self.steps.binary_search_by_key(&step, |record| record.step).ok()?;
        self.steps.get(at)
    }

    /// The rows that a step was fed.
    pub fn rows(&self, step: u64) -> Option<StepRows> {
        let at = self.places.binary_search_by_key(&step, |(of, _)| *of).ok()?;
        StepRows::from_bytes(&self.rows[self.places[at].1.clone()])
    }

    /// The rows of all recorded steps, in order.
    pub fn all_rows(&self) -> impl Iterator<Item = StepRows> {
        self.places.iter().filter_map(|(_, place)| StepRows::from_bytes(&self.rows[place.clone()]))
    }

    /// How long the recorded steps took.
    pub fn times(&self) -> impl Iterator<Item = StepTimes> {
        Frames::of(&self.times).map_while(StepTimes::from_bytes)
    }

    /// What is torn, for people: a killed process, or a change by another hand.
    pub fn torn(&self) -> &[String] {
        &self.torn
    }
}

/// The bytes of a file; none if it is not there, as in a run without a ledger.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::io(path, "read", source)),
    }
}
