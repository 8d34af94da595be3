//! What the loader, the splits and the statistics ask of a dataset, and views of some of its rows.

use crate::{DataError, Sample, Target};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Rows in a fixed order, each readable on its own and by several threads at once.
pub trait Dataset: Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// The row at `row`, from 0.
    ///
    /// # Errors
    /// If its file cannot be read any more, or `row` is not below `len()`.
    fn get(&self, row: usize) -> Result<Sample, DataError>;

    /// Names of the classes, indexed by `Target::Class`; empty where targets are not classes.
    fn class_names(&self) -> &[String];

    /// Where the row comes from: a file, or a file and the row in it. For people and reports.
    fn id(&self, row: usize) -> String;

    /// SHA-256 of the row's content without its target: equal for duplicates, stable when rows are added.
    ///
    /// # Errors
    /// As for `get`.
    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError>;

    /// What is to be predicted from the row. Cheap where it is known without reading the row.
    ///
    /// # Errors
    /// As for `get`.
    fn target(&self, row: usize) -> Result<Target, DataError> {
        self.get(row).map(|sample| sample.target)
    }

    /// What was left out as broken, because `OnBroken::Skip` was asked for.
    fn skipped(&self) -> &[Skipped] {
        &[]
    }

    /// Whether rows go on where others end, so that they make sense in their order only: a loader then never shuffles them.
    fn in_order(&self) -> bool {
        false
    }

    /// The text that the rows are windows of, if they are.
    fn text(&self) -> Option<&[u16]> {
        None
    }

    /// The row as a text, if it is one: then its numbers are the bytes.
    fn words(&self, _row: usize) -> Option<&str> {
        None
    }

    /// True if there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What to do with a broken file or row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBroken {
    /// Stop with an error that names it.
    #[default]
    Fail,
    /// Leave it out and list it in `Dataset::skipped`.
    Skip,
}

/// Something that was left out as broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its file.
    pub path: PathBuf,
    /// The line in the file where the broken row starts, from 1; `None` if the whole file is broken.
    pub line: Option<usize>,
    /// The error that using it would have raised.
    pub why: String,
}

/// Some rows of a dataset, in a given order: one part of a split.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    rows: Vec<usize>,
}

impl Subset {
    /// The rows `rows` of `dataset`, in that order.
    ///
    /// # Errors
    /// If a row is not below `dataset.len()`.
    pub fn new(dataset: Arc<dyn Dataset>, rows: Vec<usize>) -> Result<Self, DataError> {
        match rows.iter().find(|&&row| row >= dataset.len()) {
            Some(&row) => Err(out_of_range(row, dataset.len())),
            None => Ok(Subset { dataset, rows }),
        }
    }

    /// The rows of the whole dataset that this subset shows.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn source(&self, row: usize) -> Result<usize, DataError> {
        self.rows.get(row).copied().ok_or_else(|| out_of_range(row, self.rows.len()))
    }
}

impl fmt::Debug for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subset").field("of", &self.dataset.len()).field("rows", &self.rows).finish()
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, row: usize) -> Result<Sample, DataError> {
        self.dataset.get(self.source(row)?)
    }

    fn class_names(&self) -> &[String] {
        self.dataset.class_names()
    }

    fn id(&self, row: usize) -> String {
        match self.source(row) {
            Ok(source) => self.dataset.id(source),
            Err(_) => format!("row {row}"),
        }
    }

    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        self.dataset.content_hash(self.source(row)?)
    }

    fn target(&self, row: usize) -> Result<Target, DataError> {
        self.dataset.target(self.source(row)?)
    }

    fn skipped(&self) -> &[Skipped] {
        self.dataset.skipped()
    }

    fn words(&self, row: usize) -> Option<&str> {
        self.dataset.words(self.source(row).ok()?)
    }
}

/// How many rows each class has, in the order of `class_names()`; of sequences, how many places.
///
/// # Errors
/// If a target cannot be read.
pub fn class_counts(dataset: &dyn Dataset) -> Result<Vec<usize>, DataError> {
    let mut counts = vec![0; dataset.class_names().len()];
    let mut count = |class: usize| counts.get_mut(class).into_iter().for_each(|count| *count += 1);
    for row in 0..dataset.len() {
        match dataset.target(row)? {
            Target::Class(class) => count(class),
            Target::Symbols(symbols) => symbols.iter().filter_map(|&class| class.try_into().ok()).for_each(&mut count),
            Target::None | Target::Values(_) => {}
        }
    }
    Ok(counts)
}

pub(crate) fn out_of_range(row: usize, len: usize) -> DataError {
    DataError::argument(
        "row",
        format!("row {row} was asked for, but the dataset has {len} rows"),
        "rows are counted from 0",
    )
}
