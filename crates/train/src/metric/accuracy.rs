//! Accuracy: the share of rows whose class has the highest score.

use super::{best, rows};

/// Right rows among all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accuracy {
    right: usize,
    count: usize,
}

impl Accuracy {
    /// An accuracy that has seen `right` of `count` rows right already: one that a checkpoint saved.
    pub fn restored(right: usize, count: usize) -> Accuracy {
        Accuracy { right, count }
    }

    /// Takes in a batch: `logits` are `[N, classes]`, `labels` `[N]`.
    pub fn add(&mut self, logits: &[f32], labels: &[i64]) {
        self.right += rows(logits, labels).filter(|&(scores, label)| best(scores) == label).count();
        self.count += labels.len();
    }

    /// In 0..=1; 0 over no rows.
    pub fn value(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.right as f64 / self.count as f64 }
    }

    /// Right rows.
    pub fn right(&self) -> usize {
        self.right
    }

    /// All rows.
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_highest_score_counts() {
        let mut accuracy = Accuracy::default();
        accuracy.add(&[0.1, 0.9, 0.8, 0.2, 0.0, 1.0, 0.6, 0.4], &[1, 0, 0, 1]);
        assert_eq!(accuracy.value(), 0.5);
    }
}
