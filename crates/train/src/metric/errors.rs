//! Errors of numbers: how far what was said lies from what is so.

/// Errors over rows, gathered one by one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Errors {
    count: usize,
    /// Sums of the squared errors and of their sizes.
    squares: f64,
    sizes: f64,
    /// Mean of the targets, and the sum of squares around it (Welford 1962: no digit is lost to a large mean).
    mean: f64,
    around: f64,
}

impl Errors {
    /// Takes in a row: what was said, and what is so.
    pub fn add(&mut self, said: f64, target: f64) {
        self.count += 1;
        self.squares += (said - target).powi(2);
        self.sizes += (said - target).abs();
        let away = target - self.mean;
        self.mean += away / self.count as f64;
        self.around += away * (target - self.mean);
    }

    /// Rows so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The root of the mean squared error.
    pub fn rmse(&self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }

    /// The mean size of an error.
    pub fn mae(&self) -> f64 {
        self.sizes / self.count.max(1) as f64
    }

    /// The share of the targets' variance that is explained: 1 - (sum of squared errors) / (sum of squares around their mean). `None`
    /// if all targets are the same.
    pub fn r_squared(&self) -> Option<f64> {
        (self.around > 0.0).then(|| 1.0 - self.squares / self.around)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_the_formulas_whatever_the_offset() {
        let rows = [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0)];
        for offset in [0.0, 1e9] {
            let mut errors = Errors::default();
            rows.iter().for_each(|(said, target)| errors.add(said + offset, target + offset));
            // (scikit-learn's example for r2_score, mean_squared_error and mean_absolute_error.)
            assert!((errors.r_squared().unwrap() - 0.948_608_137_044_967_8).abs() < 1e-12, "{errors:?}");
            assert_eq!((errors.rmse(), errors.mae(), errors.count()), (0.375f64.sqrt(), 0.5, 4));
        }
    }

    #[test]
    fn nothing_is_explained_where_nothing_varies() {
        let mut errors = Errors::default();
        assert_eq!((errors.rmse(), errors.mae(), errors.r_squared()), (0.0, 0.0, None));
        errors.add(1.0, 2.0);
        assert_eq!((errors.rmse(), errors.r_squared()), (1.0, None));
    }
}
