//! The confusion matrix: what each class was taken for, and what follows from it.

use super::{best, rows};
use std::fmt::Write as _;

/// Counts of (class, taken for).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<usize>,
}

impl Confusion {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> Confusion {
        Confusion { classes, counts: vec![0; classes * classes] }
    }

    /// Takes in a batch: `logits` are `[N, classes]`, `labels` `[N]`.
    pub fn add(&mut self, logits: &[f32], labels: &[i64]) {
        for (scores, label) in rows(logits, labels) {
            let taken = best(scores);
            if label < self.classes && taken < self.classes {
                self.counts[label * self.classes + taken] += 1;
            }
        }
    }

    /// Rows of `class` that were taken for `taken`.
    pub fn count(&self, class: usize, taken: usize) -> usize {
        self.counts.get(class * self.classes + taken).copied().unwrap_or(0)
    }

    /// The counts, one row for each class.
    pub fn table(&self) -> Vec<Vec<usize>> {
        self.counts.chunks(self.classes.max(1)).map(<[usize]>::to_vec).collect()
    }

    /// The share of each class that was recognised; `None` for a class without rows.
    pub fn recall(&self) -> Vec<Option<f64>> {
        let share = |(class, row): (usize, &[usize])| {
            let all: usize = row.iter().sum();
            (all > 0).then(|| row[class] as f64 / all as f64)
        };
        self.counts.chunks(self.classes.max(1)).enumerate().map(share).collect()
    }

    /// The mean recall of the classes that have rows: accuracy as if all classes were as frequent.
    pub fn balanced_accuracy(&self) -> f64 {
        let recall: Vec<f64> = self.recall().into_iter().flatten().collect();
        if recall.is_empty() { 0.0 } else { recall.iter().sum::<f64>() / recall.len() as f64 }
    }

    /// The matrix as text: a row for each class, a column for what it was taken for.
    pub fn to_text(&self, names: &[String]) -> String {
        let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let labels: Vec<String> = (0..self.classes).map(|class| name(class).chars().take(12).collect()).collect();
        let left = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(4);
        let digits = self.counts.iter().max().map_or(1, |count| count.to_string().len());
        let column = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(digits).min(6);
        let mut text = format!("{:left$} ", "");
        labels.iter().for_each(|label| {
            let short: String = label.chars().take(column).collect();
            let _ = write!(text, " {short:>column$}");
        });
        for (class, row) in self.counts.chunks(self.classes.max(1)).enumerate() {
            let _ = write!(text, "\n{:left$} ", labels[class]);
            row.iter().for_each(|count| {
                let _ = write!(text, " {count:>column$}");
            });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_accuracy_weighs_classes_not_rows() {
        let mut confusion = Confusion::new(2);
        // Three rows of class 0, all right; one of class 1, taken for 0.
        confusion.add(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], &[0, 0, 0, 1]);
        assert_eq!(confusion.table(), [[3, 0], [1, 0]]);
        assert_eq!(confusion.balanced_accuracy(), 0.5);
    }

    #[test]
    fn a_class_without_rows_does_not_count() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0.0, 1.0, 0.0], &[1]);
        assert_eq!(confusion.recall(), [None, Some(1.0), None]);
        assert_eq!(confusion.balanced_accuracy(), 1.0);
    }

    #[test]
    fn the_text_names_rows_and_columns() {
        let mut confusion = Confusion::new(2);
        confusion.add(&[1.0, 0.0, 0.0, 1.0], &[0, 0]);
        let text = confusion.to_text(&["cat".to_owned(), "background".to_owned()]);
        assert_eq!(text, "               cat backgr\ncat              1      1\nbackground       0      0");
    }
}
