//! CSV as a dataset: columns of numbers as features, one column as the target.

use crate::dataset::{OnBroken, Skipped};
use crate::memory::{InMemory, Targets, Values};
use crate::table::{Table, TableFormat};
use crate::{DataError, Dataset};
use std::collections::HashMap;
use std::path::Path;

/// What the target column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// Classes. If all labels are numbers, equal numbers are one class (`1`, `1.0` and `01`), named by its first text in the
    /// order of code points, and classes are sorted as numbers; else every different text is one, sorted by code point.
    /// `nan` in any case is a missing label.
    Class,
    /// A number.
    Value,
}

/// How a table becomes a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Name of the target column.
    pub target: String,
    /// What it holds.
    pub kind: TargetKind,
    /// Names of the feature columns, in order; empty for all but the target.
    pub features: Vec<String>,
    /// Between cells.
    pub delimiter: u8,
    /// The first row holds the names of the columns. Otherwise they are called 0, 1, 2, ...
    pub header: bool,
    /// What to do with rows of the wrong length, and with missing or unreadable numbers.
    pub on_broken: OnBroken,
}

impl CsvOptions {
    /// Predict column `target` from all others: commas, a header, an error on broken rows.
    pub fn new(target: &str, kind: TargetKind) -> Self {
        let TableFormat { delimiter, header, on_broken } = TableFormat::default();
        CsvOptions { target: target.to_owned(), kind, features: Vec::new(), delimiter, header, on_broken }
    }
}

/// Reads a CSV file as samples `[D]`, one number for each feature column. Ids are `file:line`.
///
/// # Errors
/// As for `Table::read`; if a column is missing, or a cell is empty or no finite number and `on_broken` is `Fail`.
pub fn read_csv(path: &Path, options: &CsvOptions) -> Result<InMemory, DataError> {
    let format = TableFormat { delimiter: options.delimiter, header: options.header, on_broken: options.on_broken };
    csv_dataset(&Table::read(path, &format)?, options)
}

/// As `read_csv`, from a table that was read before.
///
/// # Errors
/// As for `read_csv`.
pub fn csv_dataset(table: &Table, options: &CsvOptions) -> Result<InMemory, DataError> {
    let target = table.column(&options.target)?;
    let features: Vec<usize> = match &options.features[..] {
        [] => (0..table.columns().len()).filter(|&column| column != target).collect(),
        names => names.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?,
    };
    if features.is_empty() {
        return Err(DataError::broken(
            table.path(),
            "CSV",
            format!("there is no column besides the target '{}'", options.target),
            "add columns to predict it from, or set another delimiter",
        ));
    }
    let (mut x, mut y, mut labels, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut skipped = table.skipped().to_vec();
    for row in 0..table.len() {
        let start = x.len();
        let read = features.iter().try_for_each(|&column| number(table, row, column).map(|value| x.push(value)));
        let read = read.and_then(|()| match options.kind {
            TargetKind::Value => number(table, row, target).map(|value| y.push(value)),
            TargetKind::Class => label(table, row, target).map(|label| labels.push(label)),
        });
        match read {
            Ok(()) => lines.push(table.line(row)),
            Err(error) if options.on_broken == OnBroken::Fail => return Err(error),
            Err(error) => {
                x.truncate(start);
                let why = error.to_string();
                skipped.push(Skipped { path: table.path().to_owned(), line: Some(table.line(row)), why });
            }
        }
    }
    let (targets, names) = match options.kind {
        TargetKind::Value => (Targets::Values { values: y, width: 1 }, vec![]),
        TargetKind::Class => {
            let (names, numbers) = classes(&labels);
            (
                Targets::Classes(labels.iter().map(|label| numbers[label]).collect()),
                names.iter().map(|&n| n.to_owned()).collect(),
            )
        }
    };
    let set = InMemory::new(table.path().display().to_string(), &[features.len()], Values::Floats(x), targets, names)?;
    skipped.sort_by_key(|skipped| skipped.line);
    if set.is_empty() {
        return Err(DataError::broken(
            table.path(),
            "CSV",
            format!("no row is left of {}", skipped.len()),
            skipped
                .first()
                .map_or("check that this is the right file".to_owned(), |s| format!("the first problem: {}", s.why)),
        ));
    }
    Ok(set.with_lines(lines, skipped))
}

/// The names of the classes in order, and the class of each label.
pub(crate) fn classes<'a>(labels: &[&'a str]) -> (Vec<&'a str>, HashMap<&'a str, usize>) {
    let mut texts = labels.to_vec();
    texts.sort_unstable();
    texts.dedup();
    let values: Option<Vec<f64>> = texts.iter().map(|text| text.parse().ok().filter(|x: &f64| x.is_finite())).collect();
    let Some(values) = values else {
        let numbers = texts.iter().enumerate().map(|(class, &text)| (text, class)).collect();
        return (texts, numbers);
    };
    // The sum makes -0 the same as 0.
    let mut valued: Vec<(f64, &str)> = values.iter().map(|value| value + 0.0).zip(texts).collect();
    valued.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut names, mut numbers) = (Vec::new(), HashMap::new());
    let mut last = None;
    for (value, text) in valued {
        if last != Some(value) {
            names.push(text);
            last = Some(value);
        }
        numbers.insert(text, names.len() - 1);
    }
    (names, numbers)
}

/// The text of a cell that names a class.
pub(crate) fn label(table: &Table, row: usize, column: usize) -> Result<&str, DataError> {
    let cell = text(table, row, column)?;
    if cell.eq_ignore_ascii_case("nan") {
        return Err(bad_cell(table, row, column, format!("the label is missing ('{cell}')")));
    }
    Ok(cell)
}

pub(crate) fn number(table: &Table, row: usize, column: usize) -> Result<f32, DataError> {
    let cell = text(table, row, column)?;
    match cell.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(bad_cell(table, row, column, format!("'{cell}' is not a finite number"))),
        Err(_) => Err(bad_cell(table, row, column, format!("'{}' is not a number", shortened(cell)))),
    }
}

fn text(table: &Table, row: usize, column: usize) -> Result<&str, DataError> {
    match table.cell(row, column) {
        "" => Err(bad_cell(table, row, column, "the cell is empty".to_owned())),
        cell => Ok(cell),
    }
}

pub(crate) fn bad_cell(table: &Table, row: usize, column: usize, why: String) -> DataError {
    DataError::Cell {
        path: table.path().to_owned(),
        line: table.line(row),
        column: table.columns()[column].clone(),
        why,
        help: "fill it in, choose other feature columns, or have broken rows skipped".to_owned(),
    }
}

pub(crate) fn shortened(cell: &str) -> String {
    const SHOWN: usize = 40;
    if cell.chars().count() <= SHOWN {
        cell.to_owned()
    } else {
        cell.chars().take(SHOWN).chain("...".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    const FLOWERS: &str = "length,width,kind\n1.5,2,b\n-3e-1,4,a\n5,6,b\n";

    fn set(text: &str, options: &CsvOptions) -> Result<InMemory, String> {
        let format = TableFormat { on_broken: options.on_broken, ..TableFormat::default() };
        let table = Table::parse(text.as_bytes().to_vec(), Path::new("f.csv"), &format);
        table.and_then(|table| csv_dataset(&table, options)).map_err(|e| e.to_string())
    }

    #[test]
    fn all_columns_but_the_target_are_features_and_classes_are_sorted() {
        let set = set(FLOWERS, &CsvOptions::new("kind", TargetKind::Class)).unwrap();
        assert_eq!((set.len(), set.shape(), set.class_names()), (3, &[2][..], &["a".to_owned(), "b".to_owned()][..]));
        let sample = set.get(1).unwrap();
        assert_eq!((sample.x, sample.target, set.id(1)), (vec![-0.3, 4.0], Target::Class(0), "f.csv:3".to_owned()));
    }

    #[test]
    fn features_can_be_chosen_and_targets_can_be_numbers() {
        let options = CsvOptions { features: vec!["width".to_owned()], ..CsvOptions::new("length", TargetKind::Value) };
        let sample = set(FLOWERS, &options).unwrap().get(0).unwrap();
        assert_eq!((sample.x, sample.target), (vec![2.0], Target::Values(vec![1.5])));
    }

    #[test]
    fn classes_that_are_numbers_are_sorted_as_numbers() {
        let set = set("x,y\n1,10\n1,9\n1,0\n", &CsvOptions::new("y", TargetKind::Class)).unwrap();
        assert_eq!(set.class_names(), ["0", "9", "10"]);
    }

    #[test]
    fn equal_numbers_are_one_class_and_texts_are_not() {
        let classes = |text: &str| {
            let set = set(text, &CsvOptions::new("y", TargetKind::Class)).unwrap();
            (set.class_names().to_vec(), set.targets().clone())
        };
        let (names, targets) = classes("x,y\n1,1\n1,2\n1,1.0\n1,01\n1,-0\n1,0\n");
        assert_eq!(
            (names, targets),
            (["-0", "01", "2"].map(str::to_owned).to_vec(), Targets::Classes(vec![1, 2, 1, 1, 0, 0]))
        );
        assert_eq!(classes("x,y\n1,1\n1,1.0\n1,cat\n").0, ["1", "1.0", "cat"]);
    }

    #[test]
    fn a_missing_label_is_an_error_with_file_line_and_column() {
        for label in ["nan", "NaN", "NAN", ""] {
            let text = format!("x,y\n1,cat\n2,{label}\n");
            let error = set(&text, &CsvOptions::new("y", TargetKind::Class)).unwrap_err();
            assert!(error.starts_with("f.csv:3: column 'y': the "), "{error}");
            let skip = CsvOptions { on_broken: OnBroken::Skip, ..CsvOptions::new("y", TargetKind::Class) };
            assert_eq!(set(&text, &skip).unwrap().class_names(), ["cat"]);
        }
    }

    #[test]
    fn a_cell_that_is_no_number_is_an_error_with_file_line_and_column() {
        let message = |cell: &str| {
            let text = format!("a,b,y\n1,2,3\n4,{cell},6\n");
            set(&text, &CsvOptions::new("y", TargetKind::Value)).unwrap_err()
        };
        assert_eq!(
            message("high"),
            "f.csv:3: column 'b': 'high' is not a number\n  \
             help: fill it in, choose other feature columns, or have broken rows skipped"
        );
        assert!(message("").starts_with("f.csv:3: column 'b': the cell is empty"));
        assert!(message("NaN").starts_with("f.csv:3: column 'b': 'NaN' is not a finite number"));
        assert!(message("1e99").starts_with("f.csv:3: column 'b': '1e99' is not a finite number"));
    }

    #[test]
    fn broken_rows_are_skipped_and_listed_when_told_to() {
        let options = CsvOptions { on_broken: OnBroken::Skip, ..CsvOptions::new("y", TargetKind::Value) };
        let set = set("a,y\n1,2\n,3\n4\n5,6\n7,x\n", &options).unwrap();
        assert_eq!(set.values(), &Values::Floats(vec![1.0, 5.0]));
        assert_eq!(set.skipped().iter().map(|s| s.line).collect::<Vec<_>>(), [Some(3), Some(4), Some(6)]);
        assert_eq!(set.id(1), "f.csv:5");
    }

    #[test]
    fn a_table_that_leaves_nothing_is_an_error() {
        let options = CsvOptions { on_broken: OnBroken::Skip, ..CsvOptions::new("y", TargetKind::Value) };
        let error = set("a,y\nx,1\n", &options).unwrap_err();
        assert!(error.contains("no row is left of 1\n  help: the first problem: f.csv:2: column 'a'"), "{error}");
        assert!(set("y\n1\n", &options).unwrap_err().contains("no column besides the target 'y'"));
        assert!(set("a,y\n1,2\n", &CsvOptions::new("z", TargetKind::Value)).unwrap_err().contains("no column 'z'"));
    }
}
