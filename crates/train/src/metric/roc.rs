//! How well a score tells two classes apart, over all thresholds.

/// Scores of positive and of negative rows, each in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl Roc {
    /// Of rows with scores, and whether each is positive; `None` if either class is missing or a score is NaN.
    pub fn of(rows: impl IntoIterator<Item = (f64, bool)>) -> Option<Roc> {
        let mut roc = Roc { positive: Vec::new(), negative: Vec::new() };
        for (score, positive) in rows {
            if score.is_nan() {
                return None;
            }
            if positive { roc.positive.push(score) } else { roc.negative.push(score) }
        }
        roc.positive.sort_by(f64::total_cmp);
        roc.negative.sort_by(f64::total_cmp);
        (!roc.positive.is_empty() && !roc.negative.is_empty()).then_some(roc)
    }

    /// The area under the curve: the probability that a positive row has a higher score than a negative one, ties counting half.
    pub fn auc(&self) -> f64 {
        mean(&placements(&self.positive, &self.negative))
    }

    /// The standard error of the area (DeLong, DeLong, Clarke-Pearson 1988): from the variance, over the rows of each class, of the
    /// share of the other class that a row is on the right side of.
    pub fn standard_error(&self) -> f64 {
        let above = placements(&self.positive, &self.negative);
        let below: Vec<f64> = placements(&self.negative, &self.positive).iter().map(|share| 1.0 - share).collect();
        (variance(&above) / above.len() as f64 + variance(&below) / below.len() as f64).sqrt()
    }

    /// The area's confidence interval at 95 %, within 0 and 1.
    pub fn interval(&self) -> (f64, f64) {
        let (auc, reach) = (self.auc(), 1.959_963_984_540_054 * self.standard_error());
        ((auc - reach).max(0.0), (auc + reach).min(1.0))
    }

    /// The largest share of the positive rows that a threshold finds which takes at most `1 - specificity` of the negative rows for
    /// positive: sensitivity at a specificity.
    pub fn sensitivity_at(&self, specificity: f64) -> f64 {
        // Rows above the threshold are taken for positive; of negatives at most so many.
        let allowed = ((1.0 - specificity) * self.negative.len() as f64 + 1e-9).floor() as usize;
        let threshold = match self.negative.len().checked_sub(allowed + 1) {
            Some(at) => self.negative[at],
            None => f64::NEG_INFINITY,
        };
        let found = self.positive.iter().filter(|&&score| score > threshold || threshold == f64::NEG_INFINITY).count();
        found as f64 / self.positive.len() as f64
    }
}

/// For each of `scores` the share of `others` below it, equal ones counting half. Both in order.
fn placements(scores: &[f64], others: &[f64]) -> Vec<f64> {
    let share = |score: &f64| {
        let (below, up_to) =
            (others.partition_point(|other| other < score), others.partition_point(|other| other <= score));
        0.5 * (below + up_to) as f64 / others.len() as f64
    };
    scores.iter().map(share).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Unbiased; 0 of a single value.
fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (values.len() - 1).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_pairs_and_ties_by_half() {
        // sklearn.metrics.roc_auc_score([0, 0, 1, 1], [.1, .4, .35, .8]) == .75
        let roc = Roc::of([(0.1, false), (0.4, false), (0.35, true), (0.8, true)]).unwrap();
        assert_eq!(roc.auc(), 0.75);
        let ties = Roc::of([(1.0, true), (1.0, false), (2.0, true), (0.0, false)]).unwrap();
        assert_eq!(ties.auc(), 0.875);
        assert_eq!(Roc::of([(1.0, true)]), None);
        assert_eq!(Roc::of([(1.0, true), (f64::NAN, false)]), None);
    }

    #[test]
    fn the_error_is_that_of_delong() {
        // Positives above 2/2 and 1/2 of the negatives: variance 1/8; negatives below 2/2 and 1/2: the same. sqrt(1/16 + 1/16).
        let roc = Roc::of([(0.1, false), (0.4, false), (0.35, true), (0.8, true)]).unwrap();
        assert!((roc.standard_error() - 0.125f64.sqrt()).abs() < 1e-15);
        assert_eq!(roc.interval().1, 1.0);
    }

    #[test]
    fn sensitivity_at_a_specificity_keeps_the_negatives_below_the_threshold() {
        let rows =
            (0..10).map(|at| (f64::from(at), false)).chain([(8.5, true), (9.5, true), (3.0, true), (20.0, true)]);
        let roc = Roc::of(rows).unwrap();
        assert_eq!(roc.sensitivity_at(1.0), 0.5); // above 9
        assert_eq!(roc.sensitivity_at(0.9), 0.75); // above 8
        assert_eq!(roc.sensitivity_at(0.0), 1.0);
    }
}
