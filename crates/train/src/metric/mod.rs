//! What is measured over the rows of a set: one measure a file.

mod accuracy;
mod against_rest;
mod calibration;
mod confusion;
mod errors;
mod mean;
mod roc;
mod top_k;

pub use accuracy::Accuracy;
pub use against_rest::AgainstRest;
pub use calibration::{Calibration, CalibrationBin};
pub use confusion::Confusion;
pub use errors::Errors;
pub use mean::Mean;
pub use roc::Roc;
pub use top_k::TopK;

use serde_json::{Map, Value, json};

use crate::splits::{Goal, Input};

/// All measures of a model, gathered batch by batch; of one of the places of sequences, what holds of rows holds of places.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// What was to be predicted.
    pub goal: Goal,
    /// Mean loss over the rows: of texts, nats a symbol; of numbers, the squared error in units of the variance of those learnt from.
    pub loss: Mean,
    /// Share of rows whose class has the highest score.
    pub accuracy: Accuracy,
    /// Share of rows whose class is among the highest `k`.
    pub top_k: TopK,
    /// What each class was taken for; of no classes for the places of sequences, whose classes may be thousands.
    pub confusion: Confusion,
    /// How well each class is told from the rest; of few classes of rows alone.
    pub against_rest: AgainstRest,
    /// Errors of numbers; empty for all else.
    pub errors: Errors,
}

/// How many of the highest scores `Scores` takes for top-k: 5, as ImageNet has it, but never all classes.
fn usual_k(classes: usize) -> usize {
    5.min(classes.saturating_sub(1)).max(1)
}

impl Scores {
    /// Nothing measured yet, over `classes` classes.
    pub fn new(classes: usize) -> Scores {
        Scores {
            goal: Goal::Class,
            loss: Mean::default(),
            accuracy: Accuracy::default(),
            top_k: TopK::new(usual_k(classes)),
            confusion: Confusion::new(classes),
            against_rest: AgainstRest::new(classes),
            errors: Errors::default(),
        }
    }

    /// Nothing measured yet, of what `input` says is predicted.
    pub fn of(input: &Input) -> Scores {
        let scores = Scores::new(input.classes.len());
        match input.goal {
            Goal::Class => scores,
            goal => Scores { goal, confusion: Confusion::new(0), against_rest: AgainstRest::default(), ..scores },
        }
    }

    /// Bits for each row or place: the loss in nats / ln 2.
    pub fn bits(&self) -> f64 {
        self.loss.value() / std::f64::consts::LN_2
    }

    /// e to the loss: among how many equally likely symbols it is as hard to choose.
    pub fn perplexity(&self) -> f64 {
        tensor::math::f64::exp(self.loss.value())
    }

    /// Takes in a batch: `losses` are `[N]`, `logits` `[N, classes]`, `labels` `[N]`. Row by row, so that the scores do not
    /// depend on how rows are batched.
    pub fn add(&mut self, losses: &[f32], logits: &[f32], labels: &[i64]) {
        losses.iter().for_each(|&loss| self.loss.add(f64::from(loss), 1));
        self.accuracy.add(logits, labels);
        self.top_k.add(logits, labels);
        self.confusion.add(logits, labels);
        self.against_rest.add(logits, labels);
    }

    /// Takes in a number that was said of a row, and the one that is so; the goal is a number.
    pub fn add_number(&mut self, said: f32, target: f32) {
        let Goal::Number { std, .. } = self.goal else { return };
        let (said, target) = (f64::from(said), f64::from(target));
        self.loss.add(((said - target) / f64::from(std)).powi(2), 1);
        self.errors.add(said, target);
    }

    /// The figures by name, each name after `prefix`: `test_loss`, `test_accuracy`, ...; of texts `test_bits`, `test_perplexity` too; of
    /// numbers `test_loss`, `test_r2`, `test_rmse`, `test_mae`.
    pub fn to_json(&self, prefix: &str) -> Map<String, Value> {
        let mut figures = Map::new();
        figures.insert(format!("{prefix}loss"), json!(self.loss.value()));
        if self.goal.is_number() {
            figures.extend(self.errors.r_squared().map(|share| (format!("{prefix}r2"), json!(share))));
            figures.insert(format!("{prefix}rmse"), json!(self.errors.rmse()));
            figures.insert(format!("{prefix}mae"), json!(self.errors.mae()));
            figures.insert(format!("{prefix}rows"), json!(self.loss.count()));
            return figures;
        }
        figures.insert(format!("{prefix}accuracy"), json!(self.accuracy.value()));
        if self.goal == Goal::Symbols {
            figures.insert(format!("{prefix}bits"), json!(self.bits()));
            figures.insert(format!("{prefix}perplexity"), json!(self.perplexity()));
        } else {
            figures.insert(format!("{prefix}balanced_accuracy"), json!(self.confusion.balanced_accuracy()));
        }
        figures.insert(format!("{prefix}top{}", self.top_k.k()), json!(self.top_k.value()));
        figures.insert(format!("{prefix}rows"), json!(self.loss.count()));
        figures
    }
}

/// The rows of `[N, classes]` scores, each with its label.
pub(crate) fn rows<'a>(logits: &'a [f32], labels: &'a [i64]) -> impl Iterator<Item = (&'a [f32], usize)> {
    let classes = logits.len().checked_div(labels.len()).unwrap_or(0).max(1);
    // A negative label becomes a class beyond all others, which no row is taken for.
    logits.chunks_exact(classes).zip(labels.iter().map(|&label| usize::try_from(label).unwrap_or(usize::MAX)))
}

/// The class with the highest score, the first among equals; NaN is never the highest.
pub fn best(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] || (scores[best].is_nan() && !score.is_nan()) {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_wins_and_nan_never() {
        assert_eq!(best(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(best(&[f32::NAN, -1.0, f32::NAN]), 1);
    }

    #[test]
    fn batches_of_any_size_give_the_scores_of_the_whole() {
        let logits = [0.9, 0.1, 0.0, 0.2, 0.7, 0.1, 0.3, 0.3, 0.4];
        let labels = [0, 2, 2];
        let mut whole = Scores::new(3);
        whole.add(&[0.1, 0.7, 0.3], &logits, &labels);
        let mut parts = Scores::new(3);
        parts.add(&[0.1], &logits[..3], &labels[..1]);
        parts.add(&[0.7, 0.3], &logits[3..], &labels[1..]);
        assert_eq!(whole, parts);
        assert_eq!(whole.accuracy.value(), 2.0 / 3.0);
        assert_eq!(whole.to_json("test_")["test_balanced_accuracy"], 0.75);
    }
}
