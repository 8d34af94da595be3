//! Whether what is computed again is what was recorded.

use std::fmt;
use std::ops::RangeInclusive;

use data::Batch;

use super::Run;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, RowLoss, StepRecord, StepRows};
use crate::step::Figures;

/// Something that a step did not come to again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From 1.
    pub step: u64,
    /// What it is: "the loss", "the hash of the state after it", ...
    pub what: String,
    /// As the ledger says.
    pub recorded: String,
    /// As it was computed now.
    pub computed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Difference { step, what, recorded, computed } = self;
        write!(f, "step {step}: {what} was recorded as {recorded}, and is {computed} now")
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// The step after whose checkpoint the computation began; 0: with the seed.
    pub from: u64,
    /// Steps that were made again, those before the ones asked for included.
    pub steps: u64,
    /// How many of them the ledger holds figures of.
    pub recorded: u64,
    /// How many of them it holds a hash of.
    pub hashes: u64,
    /// What differed.
    pub differences: Vec<Difference>,
}

impl Run {
    /// Makes `steps` (from 1) again, and compares with the ledger: rate, loss, norms, rows and their losses, hashes of the
    /// state. Steps on the way there are made and compared too. `heard` hears what each of `steps` came to.
    ///
    /// # Errors
    /// If there are no such steps, or data or model cannot be computed. A difference is no error.
    pub fn check(&mut self, steps: RangeInclusive<u64>, heard: &mut dyn FnMut(&StepRecord)) -> Result<Checked> {
        let (first, last) = steps.into_inner();
        if first > last {
            return Err(Error::usage(format!("{first}..{last} holds no step"), "give the first step first"));
        }
        self.check_step(first)?;
        self.check_step(last)?;
        let mut differences = Vec::new();
        let from = self.seek(first - 1, false, &mut |made| {
            differences.extend(made.differences.iter().cloned());
            Ok(())
        })?;
        for _ in first..=last {
            let made = self.advance(false)?;
            differences.extend(made.differences);
            heard(&made.record);
        }
        let made = self.ledger.steps().iter().filter(|record| (from + 1..=last).contains(&record.step));
        let (recorded, hashes) =
            (made.clone().count() as u64, made.filter(|record| record.hash.is_some()).count() as u64);
        Ok(Checked { from, steps: last - from, recorded, hashes, differences })
    }
}

/// What a step came to again.
pub(super) struct Made {
    pub record: StepRecord,
    /// Whether the ledger has it.
    pub recorded: bool,
    /// What of it differs from the ledger.
    pub differences: Vec<Difference>,
}

impl Made {
    /// Of the figures of `step` on `batch`; `hash` is of the state after it, if it was taken.
    pub fn of(ledger: &Ledger, figures: &Figures, batch: &Batch, step: u64, hash: Option<u128>) -> Made {
        let (record, rows) = figures.record(step, batch);
        let record = StepRecord { hash, ..record };
        let then = ledger.step(step);
        let differences = then.map_or(Vec::new(), |then| differences(then, &record, ledger.rows(step), &rows));
        Made { record, recorded: then.is_some(), differences }
    }
}

fn differences(then: &StepRecord, now: &StepRecord, fed: Option<StepRows>, rows: &StepRows) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differ = |what: String, recorded: String, computed: String| {
        differences.push(Difference { step: now.step, what, recorded, computed });
    };
    let numbers = [
        ("the loss", Some(then.loss), Some(now.loss)),
        ("the length of the gradient", Some(then.grad_norm), Some(now.grad_norm)),
        ("the length of the weights", then.weight_norm, now.weight_norm),
        ("the length of the update", then.update_norm, now.update_norm),
    ];
    for (what, then, now) in numbers {
        if let (Some(then), Some(now)) = (then, now)
            && !same(then, now)
        {
            differ(what.to_owned(), format!("{then:?}"), format!("{now:?}"));
        }
    }
    if let Some(recorded) = fed {
        let fed = |rows: &[RowLoss]| rows.iter().map(|row| row.row).collect::<Vec<_>>();
        if fed(&recorded.rows) != fed(&rows.rows) || recorded.epoch != rows.epoch {
            differ("the rows".to_owned(), listed(&fed(&recorded.rows)), listed(&fed(&rows.rows)));
        } else {
            let both = recorded.rows.iter().zip(&rows.rows).filter(|(then, now)| !same(then.loss, now.loss));
            for (then, now) in both {
                differ(format!("the loss of row {}", then.row), format!("{:?}", then.loss), format!("{:?}", now.loss));
            }
        }
    }
    if let (Some(then), Some(now)) = (then.hash, now.hash)
        && then != now
    {
        differ("the hash of the state after it".to_owned(), format!("{then:032x}"), format!("{now:032x}"));
    }
    differences
}

/// An error unless a step came to what was recorded.
pub(super) fn met(made: &Made) -> Result<()> {
    made.differences.first().map_or(Ok(()), |difference| Err(refused(difference.clone())))
}

/// The error of a step that does not come to what was recorded, where its values were asked for.
pub(super) fn refused(difference: Difference) -> Error {
    Error::Corrupt {
        path: "log/steps.bin".into(),
        why: difference.to_string(),
        help: "compute with the program and the data that made the run; glassbox replay RUN --all --check tells all \
               differences"
            .to_owned(),
    }
}

/// Bit for bit, but that any NaN is any other.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// The first few of many rows.
fn listed(rows: &[u32]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = rows.iter().take(SHOWN).map(u32::to_string).collect();
    let more = rows.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
