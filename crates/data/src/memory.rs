//! A dataset held in memory: one block of numbers, one row after the other.

use crate::dataset::{Skipped, out_of_range};
use crate::{DataError, Dataset, Sample, Target};

/// The numbers of a dataset in memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Bytes of pictures; a sample holds them divided by 255.
    Bytes(Vec<u8>),
    /// Numbers as they are.
    Floats(Vec<f32>),
}

/// The targets of a dataset in memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Unlabelled.
    None,
    /// A class a row.
    Classes(Vec<usize>),
    /// `width` numbers a row, row after row.
    Values {
        /// The numbers of all rows.
        values: Vec<f32>,
        /// How many belong to one row.
        width: usize,
    },
}

/// A dataset held in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct InMemory {
    name: String,
    shape: Vec<usize>,
    len: usize,
    values: Values,
    targets: Targets,
    class_names: Vec<String>,
    /// Line of the source file where each row starts; empty if rows are just counted.
    lines: Vec<usize>,
    skipped: Vec<Skipped>,
}

impl InMemory {
    /// Rows of `shape` (`[C, H, W]` or `[D]`), one after the other in `values`.
    ///
    /// `name` says where they come from. `class_names` is indexed by the classes in `targets`; it may be empty if
    /// `targets` holds no classes.
    ///
    /// # Errors
    /// If the numbers do not make whole rows, rows and targets differ in number, or a class has no name.
    pub fn new(
        name: impl Into<String>,
        shape: &[usize],
        values: Values,
        targets: Targets,
        class_names: Vec<String>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        let wrong = |why: String, help: &str| Err(DataError::argument("dataset", format!("{name}: {why}"), help));
        let count = match &values {
            Values::Bytes(v) => v.len(),
            Values::Floats(v) => v.len(),
        };
        let row = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(0);
        if row == 0 || count % row != 0 {
            return wrong(
                format!("{count} numbers do not make whole rows of shape {shape:?}"),
                "pass one row after the other, each with as many numbers as its shape says",
            );
        }
        let len = count / row;
        let labelled = match &targets {
            Targets::None => len,
            Targets::Classes(classes) => {
                if let Some((i, class)) = classes.iter().enumerate().find(|&(_, &c)| c >= class_names.len()) {
                    return wrong(
                        format!("row {i} has class {class}, but there are {} class names", class_names.len()),
                        "name every class; classes are counted from 0",
                    );
                }
                classes.len()
            }
            Targets::Values { values, width } => {
                if *width == 0 || values.len() % width != 0 {
                    return wrong(
                        format!("{} target numbers do not make rows of {width}", values.len()),
                        "pass the same number of targets for every row, at least one",
                    );
                }
                values.len() / width
            }
        };
        if labelled != len {
            return wrong(format!("{len} rows but {labelled} targets"), "every row needs exactly one target");
        }
        Ok(InMemory {
            name,
            shape: shape.to_vec(),
            len,
            values,
            targets,
            class_names,
            lines: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// The same rows, with the line of the source file where each starts and what was left out of it.
    pub(crate) fn with_lines(self, lines: Vec<usize>, skipped: Vec<Skipped>) -> Self {
        InMemory { lines, skipped, ..self }
    }

    /// The same rows with all class names of `other`, which must include the own ones.
    pub(crate) fn with_classes_of(self, other: &InMemory) -> Self {
        InMemory { class_names: other.class_names.clone(), ..self }
    }

    /// The same rows under other class names, such as "cat" for "3".
    ///
    /// # Errors
    /// If the number of names changes.
    pub fn with_class_names(self, names: &[&str]) -> Result<Self, DataError> {
        if names.len() != self.class_names.len() {
            return Err(DataError::argument(
                "class_names",
                format!("{} has {} classes, but {} names were given", self.name, self.class_names.len(), names.len()),
                "give one name for every class",
            ));
        }
        Ok(InMemory { class_names: names.iter().map(|&n| n.to_owned()).collect(), ..self })
    }

    /// Shape of one row: `[C, H, W]` or `[D]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// All targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The place in `values` of the numbers of row `row`.
    fn range(&self, row: usize) -> Result<std::ops::Range<usize>, DataError> {
        if row >= self.len {
            return Err(out_of_range(row, self.len));
        }
        let size: usize = self.shape.iter().product();
        Ok(row * size..(row + 1) * size)
    }
}

impl Dataset for InMemory {
    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, row: usize) -> Result<Sample, DataError> {
        let range = self.range(row)?;
        let x = match &self.values {
            Values::Bytes(v) => v[range].iter().map(|&byte| f32::from(byte) / 255.0).collect(),
            Values::Floats(v) => v[range].to_vec(),
        };
        Ok(Sample { x, shape: self.shape.clone(), target: self.target(row)? })
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn id(&self, row: usize) -> String {
        match self.lines.get(row) {
            Some(line) => format!("{}:{line}", self.name),
            None => format!("{} row {row}", self.name),
        }
    }

    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        let range = self.range(row)?;
        let mut hash = hmac_sha256::Hash::new();
        for &size in &self.shape {
            hash.update((size as u64).to_le_bytes());
        }
        match &self.values {
            Values::Bytes(v) => hash.update(&v[range]),
            Values::Floats(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
        }
        Ok(hash.finalize())
    }

    fn target(&self, row: usize) -> Result<Target, DataError> {
        self.range(row)?;
        Ok(match &self.targets {
            Targets::None => Target::None,
            Targets::Classes(classes) => Target::Class(classes[row]),
            Targets::Values { values, width } => Target::Values(values[row * width..(row + 1) * width].to_vec()),
        })
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(targets: Targets, names: &[&str]) -> Result<InMemory, DataError> {
        let names = names.iter().map(|&n| n.to_owned()).collect();
        InMemory::new("toy", &[1, 1, 2], Values::Bytes(vec![0, 255, 51, 102]), targets, names)
    }

    #[test]
    fn bytes_become_numbers_between_0_and_1() {
        let sample = two(Targets::None, &[]).unwrap().get(1).unwrap();
        assert_eq!(sample, Sample { x: vec![0.2, 0.4], shape: vec![1, 1, 2], target: Target::None });
    }

    #[test]
    fn rows_targets_and_names_must_agree() {
        let error = two(Targets::Classes(vec![0]), &["a"]).unwrap_err().to_string();
        assert_eq!(error, "dataset: toy: 2 rows but 1 targets\n  help: every row needs exactly one target");
        let error = two(Targets::Classes(vec![0, 1]), &["a"]).unwrap_err().to_string();
        assert!(error.contains("row 1 has class 1, but there are 1 class names"), "{error}");
        let error = two(Targets::Values { values: vec![1.0; 3], width: 2 }, &[]).unwrap_err().to_string();
        assert!(error.contains("3 target numbers do not make rows of 2"), "{error}");
        let error = InMemory::new("toy", &[3], Values::Floats(vec![0.0; 4]), Targets::None, vec![]).unwrap_err();
        assert!(error.to_string().contains("4 numbers do not make whole rows of shape [3]"), "{error}");
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        let error = two(Targets::None, &[]).unwrap().get(2).unwrap_err().to_string();
        assert!(error.starts_with("row: row 2 was asked for, but the dataset has 2 rows"), "{error}");
    }

    #[test]
    fn equal_pixels_have_equal_hashes_whatever_the_target() {
        let bytes = Values::Bytes(vec![1, 2, 1, 2, 1, 3]);
        let names = vec!["a".to_owned(), "b".to_owned()];
        let set = InMemory::new("toy", &[2], bytes, Targets::Classes(vec![0, 1, 0]), names).unwrap();
        assert_eq!(set.content_hash(0).unwrap(), set.content_hash(1).unwrap());
        assert_ne!(set.content_hash(0).unwrap(), set.content_hash(2).unwrap());
    }
}
