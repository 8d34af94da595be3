//! Whether a model is right as often as it says.

/// Rows by the probability of the answer that they were given, in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    bins: Vec<CalibrationBin>,
}

/// A bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CalibrationBin {
    /// Rows in it.
    pub count: usize,
    /// The sum of their probabilities.
    pub confidence: f64,
    /// How many of them were answered right.
    pub right: usize,
}

impl Calibration {
    /// No rows yet, over `bins` bins of 0 to 1; 15 are usual (Guo et al. 2017).
    pub fn new(bins: usize) -> Calibration {
        Calibration { bins: vec![CalibrationBin::default(); bins.max(1)] }
    }

    /// Takes in an answer: its probability, and whether it was right. A probability that is NaN is left out.
    pub fn add(&mut self, confidence: f64, right: bool) {
        let count = self.bins.len();
        // Bins are open below and closed above, as in the paper.
        let at = ((confidence * count as f64).ceil() as usize).clamp(1, count) - 1;
        if confidence.is_nan() {
            return;
        }
        let bin = &mut self.bins[at];
        bin.count += 1;
        bin.confidence += confidence;
        bin.right += usize::from(right);
    }

    /// The bins, lowest probabilities first.
    pub fn bins(&self) -> &[CalibrationBin] {
        &self.bins
    }

    /// The expected calibration error: the mean, over the rows, of the distance between probability and accuracy of their bin.
    pub fn error(&self) -> f64 {
        let rows: usize = self.bins.iter().map(|bin| bin.count).sum();
        let distance: f64 = self.bins.iter().map(|bin| (bin.confidence - bin.right as f64).abs()).sum();
        distance / rows.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_gap_in_each_bin() {
        let mut calibration = Calibration::new(10);
        // 0.8 belongs to the bin that ends there, as 0.75 does.
        for (confidence, right) in [(0.75, true), (0.8, false), (0.95, true), (1.0, true), (0.0, false)] {
            calibration.add(confidence, right);
        }
        calibration.add(f64::NAN, true);
        assert_eq!(calibration.bins()[7].count, 2);
        assert_eq!(calibration.bins()[9].count, 2);
        assert_eq!(calibration.bins()[0].count, 1);
        let wanted = ((1.55 - 1.0) + (2.0 - 1.95)) / 5.0;
        assert!((calibration.error() - wanted).abs() < 1e-12, "{}", calibration.error());
        assert_eq!(Calibration::new(0).error(), 0.0);
    }
}
