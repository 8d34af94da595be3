//! Rows and targets of a table.

use data::{DataError, Dataset, Target};
use train::{Error, Result};

/// The rows `x [n, d]` of a table and their targets `y [n]`: numbers, or 0 and 1 for two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// `[n, d]`, row after row.
    pub x: Vec<f64>,
    /// `[n]`.
    pub y: Vec<f64>,
    /// `d`.
    pub columns: usize,
}

impl Design {
    /// All rows of a dataset of tables.
    ///
    /// # Errors
    /// If a row cannot be read, has another number of columns than the first, or its target is neither one number nor a class.
    pub fn of(rows: &dyn Dataset) -> Result<Design> {
        let mut design = Design { x: Vec::new(), y: Vec::new(), columns: 0 };
        for row in 0..rows.len() {
            let sample = rows.get(row)?;
            let target = match &sample.target {
                Target::Class(class) => *class as f64,
                Target::Values(values) if values.len() == 1 => f64::from(values[0]),
                _ => return Err(unusable(rows, row, "its target is neither one number nor a class")),
            };
            if row > 0 && sample.x.len() != design.columns {
                return Err(unusable(rows, row, "it has another number of columns than the first row"));
            }
            design.columns = sample.x.len();
            design.x.extend(sample.x.iter().map(|&value| f64::from(value)));
            design.y.push(target);
        }
        Ok(design)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.y.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// The row at `at`.
    pub fn row(&self, at: usize) -> &[f64] {
        &self.x[at * self.columns..(at + 1) * self.columns]
    }

    /// The rows `rows`, in that order.
    pub fn select(&self, rows: &[usize]) -> Design {
        Design {
            x: rows.iter().flat_map(|&row| self.row(row)).copied().collect(),
            y: rows.iter().map(|&row| self.y[row]).collect(),
            columns: self.columns,
        }
    }

    /// An error unless there are rows and columns, and all numbers are finite.
    pub(super) fn check(&self) -> Result<()> {
        let what = if self.is_empty() || self.columns == 0 {
            "a table without rows or columns teaches nothing"
        } else if self.x.len() != self.len() * self.columns {
            "the rows and their targets do not fit together"
        } else if !self.x.iter().chain(&self.y).all(|value| value.is_finite()) {
            "the table holds numbers that are not finite"
        } else {
            return Ok(());
        };
        Err(Error::usage(what, "give rows of finite numbers"))
    }
}

fn unusable(rows: &dyn Dataset, row: usize, why: &str) -> Error {
    Error::Data(DataError::Argument {
        what: "rows",
        why: format!("{}: {why}", rows.id(row)),
        help: "give a table with one target column".to_owned(),
    })
}

/// Means and standard deviations of the columns, to bring others to the same scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standard {
    /// Those of `design`; a column that is the same everywhere keeps its scale.
    pub fn of(design: &Design) -> Standard {
        let n = design.len().max(1) as f64;
        let column = |at: usize| (0..design.len()).map(move |row| design.row(row)[at]);
        let mean: Vec<f64> = (0..design.columns).map(|at| column(at).sum::<f64>() / n).collect();
        let deviation = (0..design.columns).map(|at| {
            let variance = column(at).map(|x| (x - mean[at]).powi(2)).sum::<f64>() / n;
            if variance > 0.0 { variance.sqrt() } else { 1.0 }
        });
        Standard { deviation: deviation.collect(), mean }
    }

    /// Of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Of each column.
    pub fn deviation(&self) -> &[f64] {
        &self.deviation
    }

    /// `design` with mean 0 and deviation 1 in each column, if it is the one that this was taken of.
    pub fn apply(&self, design: &Design) -> Design {
        let scale = |(at, x): (usize, &f64)| {
            let column = at % self.mean.len();
            (x - self.mean[column]) / self.deviation[column]
        };
        Design { x: design.x.iter().enumerate().map(scale).collect(), ..design.clone() }
    }
}
