//! Why a run went as it did: what stands out in it, with the rows, the layer, the op and the proof.
//!
//! The ledger says which steps and rows stand out, by medians and median absolute deviations (`scan.rs`, `history.rs`); only
//! those steps are computed again, and asked: what were they fed (`fed.rs`), where did NaN begin (`origin.rs`), what do the
//! layers do (`layers.rs`), and what would have been otherwise ([`Run::what_if`]).

mod fed;
mod find;
mod history;
mod layers;
mod origin;
mod probes;
mod robust;
mod scan;

use crate::divergence::Watch;
use crate::error::Result;
use crate::event::Status;
use crate::replay::{Run, WhatIf};

/// Events that are explained; what follows the first few is mostly theirs.
const MOST_EVENTS: usize = 6;

/// What was found in a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Why {
    /// Steps whose figures were looked at.
    pub steps: u64,
    /// Steps that were computed again.
    pub replayed: Vec<u64>,
    /// What stands out: events in their order, so that causes come first; then what is so all the time.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and how many events were left out.
    pub notes: Vec<String>,
}

/// Something unusual.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The step at which it was looked at, from 1.
    pub step: u64,
    /// Other steps that showed the same.
    pub also: Vec<u64>,
    /// Steps that followed from it.
    pub followed: Vec<u64>,
    /// Why it is so, in a sentence.
    pub because: String,
    /// The rows that it comes of.
    pub rows: Vec<Row>,
    /// The layer that it comes of, or shows in.
    pub layer: Option<String>,
    /// The op that it comes of.
    pub op: Option<Operation>,
    /// The numbers that say so.
    pub evidence: Vec<Evidence>,
    /// What would have been otherwise.
    pub what_if: Vec<WhatIf>,
    /// What would have been otherwise, and could not be computed.
    pub untested: Vec<String>,
    /// What to ask `glassbox show RUN` for.
    pub look: Vec<String>,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The learning rate jumped.
    RateJump,
    /// The numbers of a row are far beyond those of all others.
    CorruptRow,
    /// The loss jumped.
    LossSpike,
    /// The gradient jumped.
    GradientSpike,
    /// Loss or gradient are no numbers.
    NotFinite,
    /// Gradients grew and grew.
    ExplodingGradient,
    /// A row is not learnt while the others of its class are.
    MislabelledRow,
    /// Most units of a ReLU layer are 0 for all rows.
    DeadUnits,
    /// The gradient of a weight is 0 in every number.
    ZeroGradient,
    /// The gradient of a weight is smaller than that of another by orders of magnitude.
    VanishingGradient,
    /// The loss did not fall.
    Plateau,
}

impl Kind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::RateJump => "learning-rate jump",
            Kind::CorruptRow => "corrupt row",
            Kind::LossSpike => "loss spike",
            Kind::GradientSpike => "gradient spike",
            Kind::NotFinite => "no number",
            Kind::ExplodingGradient => "exploding gradient",
            Kind::MislabelledRow => "mislabelled row",
            Kind::DeadUnits => "dead units",
            Kind::ZeroGradient => "zero gradient",
            Kind::VanishingGradient => "vanishing gradient",
            Kind::Plateau => "plateau",
        }
    }
}

/// A row that something comes of.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its number among the training rows.
    pub row: u32,
    /// Its place in the batch of the step.
    pub place: Option<usize>,
    /// Where it lies in the data.
    pub id: String,
    /// What it is labelled.
    pub label: Option<String>,
    /// Its loss at the step; NaN if it has none.
    pub loss: f32,
    /// Its losses in all epochs, in order.
    pub losses: Vec<f32>,
    /// Its share of the gradient of the step.
    pub share: Option<f64>,
    /// Its largest number as it was fed, without the sign; NaN if it was not looked at.
    pub largest: f64,
    /// What the model says of it, and how surely.
    pub says: Option<(String, f64)>,
}

/// A number that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What it is.
    pub what: String,
    /// The number.
    pub value: f64,
    /// What is usual.
    pub usual: Option<f64>,
}

/// An op, and what it made of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Name of the op.
    pub name: &'static str,
    /// What it computes.
    pub formula: &'static str,
    /// What its result is called: `losses`, `conv1`, `#123`.
    pub value: String,
    /// Its layer, if it belongs to one.
    pub layer: Option<String>,
    /// `file:line` of the source that made it.
    pub at: String,
    /// The text of that line, if the file is at hand.
    pub line: Option<String>,
    /// Whether it is of the way back.
    pub backward: bool,
    /// How many of its numbers are none.
    pub odd: usize,
    /// How many it has.
    pub count: usize,
    /// The first few of these.
    pub elements: Vec<Element>,
    /// What it was made of.
    pub inputs: Vec<Operand>,
}

/// A number that is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Which one, row by row.
    pub index: usize,
    /// NaN or an infinity.
    pub value: f64,
    /// What it comes to if every op on the way to it computes in f64, if they can.
    pub in_f64: Option<f64>,
    /// The numbers that it was made of; `None` for an input of which it takes many.
    pub inputs: Vec<Option<f64>>,
}

/// An input of an op.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// What it is called.
    pub name: String,
    /// Its smallest number.
    pub least: f64,
    /// Its largest number.
    pub most: f64,
}

impl Run {
    /// What stands out in the run, or at one step of it (from 1), and why. Only steps that stand out are computed again.
    ///
    /// # Errors
    /// As for [`Run::at`].
    pub fn why(&mut self, step: Option<u64>) -> Result<Why> {
        let guess = Watch::expected(self.job().splits.input.classes.len());
        let diverged = self.dir().record().status == Status::Diverged.word();
        let mut why = Why { steps: self.ledger().steps().len() as u64, ..Why::default() };
        if why.steps == 0 {
            why.notes
                .push("there is no ledger (ledger.on): spikes, plateaus and rows could not be looked for".to_owned());
        }
        why.notes.extend(self.ledger().torn().iter().cloned());
        let begun = self.dir().record().branched_at().unwrap_or(0);
        let mut events = scan::events(self.ledger(), guess, diverged);
        events.retain(|event| event.step > begun && step.is_none_or(|step| event.concerns(step)));
        if events.len() > MOST_EVENTS {
            why.notes.push(format!("{} more steps stand out after these", events.len() - MOST_EVENTS));
            events.truncate(MOST_EVENTS);
        }
        // What the layers do once the numbers are lost says nothing.
        let lost = |event: &&scan::Event| event.what == scan::What::NotFinite || (diverged && step.is_none());
        let ends = events.iter().find(lost).map(|event| event.step);
        for event in &events {
            why.replayed.push(event.step);
            why.findings.push(find::explained(self, event)?);
        }
        if let Some(step) = step.filter(|step| events.iter().all(|event| event.step != *step)) {
            why.replayed.push(step);
            why.findings.extend(find::fed(self, step)?);
        }
        let (epochs, needed) = history::epochs(self.ledger());
        if step.is_none() && (1..needed).contains(&epochs) {
            why.notes.push(format!(
                "rows are called mislabelled by their losses over {needed} epochs or more, and the run made {epochs}: that was not looked at"
            ));
        }
        why.findings.extend(find::unlearnt(self, step, guess, &mut why.replayed)?);
        why.findings.extend(probes::layers(self, step, ends, &mut why.replayed)?);
        // Causes that last come before what comes of them.
        let lasting = |kind: Kind| kind >= Kind::MislabelledRow;
        why.findings.sort_by_key(|finding| match lasting(finding.kind) {
            true => (true, 0, finding.kind),
            false => (false, finding.step, finding.kind),
        });
        why.replayed.sort_unstable();
        why.replayed.dedup();
        Ok(why)
    }
}

#[cfg(test)]
mod tests;
