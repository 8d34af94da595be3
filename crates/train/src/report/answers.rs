//! What a model answered for each row that it was asked about, and which of the rows are worth a look.

use std::sync::Arc;

use cpu::Cpu;
use data::Dataset;
use nn::Layer;

use crate::error::Result;
use crate::evaluate::evaluate_each;
use crate::metric::{Scores, best};
use crate::splits::Input;

/// Rows that are remembered for each cell of the confusion matrix.
const PER_CELL: usize = 8;
/// Classes that an answer names.
const TOP: usize = 3;

/// The answer for one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The row.
    pub row: usize,
    /// Its class.
    pub label: usize,
    /// The likeliest classes with their probabilities, the likeliest first.
    pub top: Vec<(usize, f32)>,
}

impl Answer {
    fn of(row: usize, label: i64, logits: &[f32]) -> Answer {
        let most = f64::from(logits[best(logits)]);
        let weights: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut top: Vec<(usize, f32)> = weights.iter().map(|w| (w / sum) as f32).enumerate().collect();
        top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        top.truncate(TOP);
        Answer { row, label: usize::try_from(label).unwrap_or(usize::MAX), top }
    }

    /// The class that the row was taken for.
    pub fn taken(&self) -> usize {
        self.top.first().map_or(0, |top| top.0)
    }

    /// How sure the model was.
    pub fn probability(&self) -> f32 {
        self.top.first().map_or(0.0, |top| top.1)
    }

    /// Whether it was right.
    pub fn is_right(&self) -> bool {
        self.taken() == self.label
    }
}

/// The answers that a report shows, of all that were given: bounded, however many rows there are.
pub struct Answers {
    /// Of each cell of the confusion matrix, `[label * classes + taken]`: the surest.
    cells: Vec<Vec<Answer>>,
    classes: usize,
    /// The rows.
    pub rows: Arc<dyn Dataset>,
    /// The scores over all rows.
    pub scores: Scores,
}

impl Answers {
    /// Asks a model about all rows.
    ///
    /// # Errors
    /// As for [`crate::evaluate`].
    pub fn of(cpu: &Cpu, model: &dyn Layer, rows: Arc<dyn Dataset>, input: &Input, batch: usize) -> Result<Answers> {
        let classes = input.classes.len();
        let mut cells: Vec<Vec<Answer>> = vec![Vec::new(); classes * classes];
        let scores = evaluate_each(cpu, model, Arc::clone(&rows), input, batch, &mut |row, label, logits| {
            let answer = Answer::of(row, label, logits);
            if let Some(cell) = cells.get_mut(answer.label.saturating_mul(classes).saturating_add(answer.taken())) {
                let place = cell.partition_point(|other| other.probability() >= answer.probability());
                cell.insert(place, answer);
                cell.truncate(PER_CELL);
            }
        })?;
        Ok(Answers { cells, classes, rows, scores })
    }

    /// The surest answers of a cell.
    pub fn cell(&self, label: usize, taken: usize) -> &[Answer] {
        self.cells.get(label * self.classes + taken).map_or(&[], Vec::as_slice)
    }

    /// The answers that were wrong and surest of it, at most `count`.
    pub fn wrong(&self, count: usize) -> Vec<&Answer> {
        let mut wrong: Vec<&Answer> = self.cells.iter().flatten().filter(|answer| !answer.is_right()).collect();
        wrong.sort_by(|a, b| b.probability().total_cmp(&a.probability()).then(a.row.cmp(&b.row)));
        wrong.truncate(count);
        wrong
    }

    /// Right answers of different classes, at most `count`.
    pub fn right(&self, count: usize) -> Vec<&Answer> {
        let of_class = |class: usize, place: usize| self.cell(class, class).get(place);
        (0..PER_CELL)
            .flat_map(|place| (0..self.classes).filter_map(move |class| of_class(class, place)))
            .take(count)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job::{Kind, job};

    #[test]
    fn answers_are_counted_as_the_scores_count_them_and_bounded() {
        let job = job(Kind::Conv, &[]);
        let cpu = Cpu::new(1).unwrap();
        let rows = Arc::clone(&job.splits.train);
        let answers = Answers::of(&cpu, job.model.as_ref(), rows, &job.splits.input, 7).unwrap();
        for (label, taken) in (0..9).map(|cell| (cell / 3, cell % 3)) {
            let cell = answers.cell(label, taken);
            assert_eq!(cell.len(), answers.scores.confusion.count(label, taken).min(PER_CELL));
            assert!(cell.iter().all(|answer| (answer.label, answer.taken()) == (label, taken)));
            assert!(cell.is_sorted_by(|a, b| a.probability() >= b.probability()));
        }
        assert!(answers.wrong(5).len() <= 5 && answers.wrong(99).iter().all(|answer| !answer.is_right()));
        assert!(answers.right(4).iter().all(|answer| answer.is_right()));
    }
}
