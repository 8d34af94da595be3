//! Top-k accuracy: the share of rows whose class is among the k highest scores.

use super::rows;

/// Rows whose class is among the highest `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK {
    k: usize,
    right: usize,
    count: usize,
}

impl TopK {
    /// Nothing measured yet.
    pub fn new(k: usize) -> TopK {
        TopK { k, right: 0, count: 0 }
    }

    /// How many of the highest scores count.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Takes in a batch: `logits` are `[N, classes]`, `labels` `[N]`.
    pub fn add(&mut self, logits: &[f32], labels: &[i64]) {
        self.right += rows(logits, labels).filter(|&(scores, label)| rank(scores, label) < self.k).count();
        self.count += labels.len();
    }

    /// In 0..=1; 0 over no rows.
    pub fn value(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.right as f64 / self.count as f64 }
    }
}

/// How many classes come before `label`: those with higher scores, and earlier ones with the same.
fn rank(scores: &[f32], label: usize) -> usize {
    match scores.get(label) {
        Some(own) if !own.is_nan() => {
            let before = |&(class, score): &(usize, &f32)| score > own || (score == own && class < label);
            scores.iter().enumerate().filter(before).count()
        }
        _ => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_earlier_class_and_nan_is_never_right() {
        assert_eq!([0, 1, 2].map(|label| rank(&[0.5, 0.9, 0.5], label)), [1, 0, 2]);
        assert_eq!(rank(&[0.5, f32::NAN], 1), usize::MAX);
    }

    #[test]
    fn the_k_highest_count() {
        let mut top = TopK::new(2);
        top.add(&[0.1, 0.2, 0.3, 0.1, 0.2, 0.3], &[1, 0]);
        assert_eq!(top.value(), 0.5);
    }
}
