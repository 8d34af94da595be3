//! How well each of a few classes is told from the rest, over all thresholds.

use super::{Roc, rows};

/// Of more classes nothing is kept: it would be a number for each row and class.
const MOST: usize = 64;

/// For each class the log odds of every row, and whether the row is of the class.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgainstRest {
    scores: Vec<Vec<(f64, bool)>>,
}

impl AgainstRest {
    /// Nothing measured yet, of so many classes.
    pub fn new(classes: usize) -> AgainstRest {
        AgainstRest { scores: vec![Vec::new(); if classes <= MOST { classes } else { 0 }] }
    }

    /// Takes in a batch: `logits` are `[N, classes]`, `labels` `[N]`.
    pub fn add(&mut self, logits: &[f32], labels: &[i64]) {
        if self.scores.is_empty() {
            return;
        }
        for (logits, label) in rows(logits, labels) {
            for (class, (scores, &own)) in self.scores.iter_mut().zip(logits).enumerate() {
                scores.push((log_odds(logits, class, own), class == label));
            }
        }
    }

    /// The curve of each class; `None` of one that is in no row, or in all.
    pub fn curves(&self) -> Vec<Option<Roc>> {
        self.scores.iter().map(|scores| Roc::of(scores.iter().copied())).collect()
    }
}

/// ln(p / (1 - p)) of a class: its logit less the logarithm of the sum of the exponentials of the others.
fn log_odds(logits: &[f32], class: usize, own: f32) -> f64 {
    let others = || logits.iter().enumerate().filter(move |(other, _)| *other != class).map(|(_, &x)| f64::from(x));
    let most = others().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others().map(|x| tensor::math::f64::exp(x - most)).sum();
    f64::from(own) - most - tensor::math::f64::log(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_told_from_the_rest_by_its_odds_and_not_by_its_logit() {
        // Of the second row class 0 has the higher logit, but less of the whole.
        let logits = [1.0, 0.0, 0.0, 2.0, 3.0, 3.0, 0.0, 1.0, 0.5];
        let mut against = AgainstRest::new(3);
        against.add(&logits, &[0, 1, 2]);
        let areas: Vec<f64> = against.curves().iter().map(|curve| curve.as_ref().unwrap().auc()).collect();
        assert_eq!(areas, [1.0, 0.5, 0.5]);
        assert_eq!(AgainstRest::new(65).curves(), []);
        let mut lacking = AgainstRest::new(2);
        lacking.add(&[1.0, 0.0], &[0]);
        assert_eq!(lacking.curves(), [None, None]);
    }
}
