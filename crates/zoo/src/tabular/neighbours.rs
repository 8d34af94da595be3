//! The nearest neighbours of a row.

use super::design::Design;

/// All rows, asked for those nearest to another (Euclid's distance). Scale the columns first.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours(Design);

impl Neighbours {
    /// Keeps `design`.
    pub fn of(design: Design) -> Neighbours {
        Neighbours(design)
    }

    /// The `k` rows nearest to `row [d]`, nearest first; of rows equally near, the earlier.
    pub fn nearest(&self, row: &[f64], k: usize) -> Vec<usize> {
        let distance = |at: usize| self.0.row(at).iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let mut rows: Vec<(f64, usize)> = (0..self.0.len()).map(|at| (distance(at), at)).collect();
        let k = k.min(rows.len());
        let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if k < rows.len() {
            rows.select_nth_unstable_by(k, order);
            rows.truncate(k);
        }
        rows.sort_by(order);
        rows.into_iter().map(|(_, at)| at).collect()
    }

    /// The class that most of the `k` nearest have; of classes equally frequent, that of the nearest row.
    pub fn class(&self, row: &[f64], k: usize) -> Option<usize> {
        let classes: Vec<usize> = self.nearest(row, k).into_iter().map(|at| self.0.y[at] as usize).collect();
        let votes = |class: usize| classes.iter().filter(|&&other| other == class).count();
        // The first of the maxima: `max_by_key` takes the last.
        classes.iter().rev().copied().max_by_key(|&class| votes(class))
    }

    /// The mean target of the `k` nearest.
    pub fn mean(&self, row: &[f64], k: usize) -> Option<f64> {
        let rows = self.nearest(row, k);
        (!rows.is_empty()).then(|| rows.iter().map(|&at| self.0.y[at]).sum::<f64>() / rows.len() as f64)
    }
}
