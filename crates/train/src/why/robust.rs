//! What is usual: median and median absolute deviation, which a few odd numbers do not move.

/// A median absolute deviation is so many times smaller than the standard deviation of a normal distribution.
const TO_DEVIATION: f64 = 1.4826;
/// Figures that hardly move have no deviation to measure by: this share of their median is always taken for usual.
const LEAST: f64 = 0.05;

/// What some numbers usually are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usual {
    pub median: f64,
    /// Usual distance from it.
    pub spread: f64,
    pub most: f64,
}

impl Usual {
    /// Of the finite ones of some numbers; `None` of none.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Usual> {
        let mut sorted: Vec<f64> = numbers.into_iter().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (median, most) = (middle(&sorted)?, *sorted.last()?);
        let mut distances: Vec<f64> = sorted.iter().map(|x| (x - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let spread = (TO_DEVIATION * middle(&distances)?).max(LEAST * median.abs());
        Some(Usual { median, spread, most })
    }

    /// How many usual distances above the median a number is.
    pub fn distance(&self, x: f64) -> f64 {
        (x - self.median) / self.spread.max(f64::MIN_POSITIVE)
    }
}

/// The median of some numbers, NaN left out; NaN of none.
pub(super) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.into_iter().filter(|x| !x.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    middle(&sorted).unwrap_or(f64::NAN)
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[half - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_number_does_not_move_what_is_usual() {
        let usual = Usual::of([1.0, 1.2, 0.8, 1.1, 0.9, 1e6, f64::NAN]).unwrap();
        assert!((usual.median - 1.05).abs() < 1e-9 && usual.spread < 0.3 && usual.most == 1e6);
        assert!(usual.distance(1e6) > 1e6 && usual.distance(1.2) < 2.0);
        assert_eq!(Usual::of([2.0; 5]).unwrap().spread, 0.1);
        assert!(Usual::of([]).is_none() && median([]).is_nan());
    }
}
