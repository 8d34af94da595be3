//! The mean of a figure over rows.

/// A mean over rows, gathered from the means of batches.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    /// A mean that has gathered `sum` over `count` rows already: one that a checkpoint saved.
    pub fn restored(sum: f64, count: usize) -> Mean {
        Mean { sum, count }
    }

    /// Takes in a batch of `rows` rows with this mean.
    pub fn add(&mut self, mean: f64, rows: usize) {
        self.sum += mean * rows as f64;
        self.count += rows;
    }

    /// The mean; 0 over no rows.
    pub fn value(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The sum over the rows.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Rows so far.
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_last_batch_counts_by_its_rows() {
        let mut mean = Mean::default();
        assert_eq!(mean.value(), 0.0);
        mean.add(1.0, 30);
        mean.add(4.0, 10);
        assert_eq!((mean.value(), mean.count()), (1.75, 40));
    }
}
