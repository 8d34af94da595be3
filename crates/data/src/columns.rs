//! Tables of any columns as rows of numbers: a word becomes a column of its own, a gap is filled or refused.

use std::collections::BTreeSet;

use crate::csv::{bad_cell, classes, number, shortened};
use crate::memory::{InMemory, Targets, Values};
use crate::{DataError, Table};

/// A column of more different words tells rows apart rather than saying what they share.
const MOST_WORDS: usize = 256;

/// How a column of a table becomes numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnKind {
    /// A number.
    Number {
        /// What stands for a gap; without it, a gap is an error.
        fill: Option<f32>,
    },
    /// One of some words.
    Words {
        /// A number for each: 1 for the word that is there, 0 for the others.
        names: Vec<String>,
        /// Whether a gap is allowed: it is 0 for all of them.
        gaps: bool,
    },
}

impl Column {
    /// How many numbers it becomes.
    pub fn width(&self) -> usize {
        match &self.kind {
            ColumnKind::Number { .. } => 1,
            ColumnKind::Words { names, .. } => names.len(),
        }
    }

    fn allow_gaps(&mut self, gaps: bool) {
        match &mut self.kind {
            ColumnKind::Number { fill } => *fill = gaps.then_some(0.0),
            ColumnKind::Words { gaps: allowed, .. } => *allowed = gaps,
        }
    }
}

/// What is to be predicted of the rows of a table.
#[derive(Debug, Clone, Copy)]
pub enum TableTarget<'a> {
    /// Nothing.
    None,
    /// The number in this column.
    Number(&'a str),
    /// The class in this column, by the names of all classes.
    Class(&'a str, &'a [String]),
}

/// The columns `features` (of numbers, if all that is there is numbers; of words otherwise). With `gaps`, gaps are filled: of words
/// with nothing, of numbers with 0, until [`fill_gaps`] knows better.
///
/// # Errors
/// If there is no such column, or one holds too many different words.
pub fn columns_of(table: &Table, features: &[&str], gaps: bool) -> Result<Vec<Column>, DataError> {
    features.iter().map(|name| column_of(table, name, gaps)).collect()
}

fn column_of(table: &Table, name: &str, gaps: bool) -> Result<Column, DataError> {
    let at = table.column(name)?;
    let there = || (0..table.len()).filter(|&row| !table.is_gap(row, at));
    let is_number = |row: &usize| table.cell(*row, at).parse().is_ok_and(|x: f32| x.is_finite());
    let kind = match there().find(|row| !is_number(row)) {
        None => ColumnKind::Number { fill: None },
        Some(odd) => {
            let names: BTreeSet<&str> = there().map(|row| table.cell(row, at)).collect();
            if names.len() > MOST_WORDS {
                let cell = shortened(table.cell(odd, at));
                let why = format!(
                    "'{cell}' is not a number, and as words the column has too many: {} different ones",
                    names.len()
                );
                return Err(bad_cell(table, odd, at, why));
            }
            ColumnKind::Words { names: names.into_iter().map(str::to_owned).collect(), gaps: false }
        }
    };
    let mut column = Column { name: name.to_owned(), kind };
    column.allow_gaps(gaps);
    Ok(column)
}

/// Fills the gaps of columns of numbers that may have some with the median of these rows.
///
/// # Errors
/// If a column with gaps has no number in these rows, or a cell is no number.
pub fn fill_gaps(table: &Table, columns: &mut [Column], rows: &[usize]) -> Result<(), DataError> {
    for column in columns {
        let ColumnKind::Number { fill: fill @ Some(_) } = &mut column.kind else { continue };
        let at = table.column(&column.name)?;
        if (0..table.len()).all(|row| !table.is_gap(row, at)) {
            continue;
        }
        let there = rows.iter().filter(|&&row| !table.is_gap(row, at));
        let mut numbers: Vec<f32> = there.map(|&row| number(table, row, at)).collect::<Result<_, _>>()?;
        if numbers.is_empty() {
            let why = "it has no number in the rows to learn from, so nothing can stand for its gaps".to_owned();
            return Err(bad_cell(table, rows.first().copied().unwrap_or(0), at, why));
        }
        numbers.sort_by(f32::total_cmp);
        let middle = numbers.len() / 2;
        *fill = Some(match numbers.len() % 2 {
            1 => numbers[middle],
            _ => (f64::from(numbers[middle - 1]) / 2.0 + f64::from(numbers[middle]) / 2.0) as f32,
        });
    }
    Ok(())
}

/// The rows in which none of these columns has a gap.
///
/// # Errors
/// If there is no such column.
pub fn rows_without_gaps(table: &Table, columns: &[&str]) -> Result<Vec<usize>, DataError> {
    let columns: Vec<usize> = columns.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?;
    Ok((0..table.len()).filter(|&row| columns.iter().all(|&column| !table.is_gap(row, column))).collect())
}

/// The classes of a column, named and ordered as for [`crate::TargetKind::Class`]; gaps are none.
///
/// # Errors
/// If there is no such column.
pub fn classes_of(table: &Table, column: &str) -> Result<Vec<String>, DataError> {
    let at = table.column(column)?;
    let labels: Vec<&str> =
        (0..table.len()).filter(|&row| !table.is_gap(row, at)).map(|row| table.cell(row, at)).collect();
    Ok(classes(&labels).0.into_iter().map(str::to_owned).collect())
}

/// The rows `rows` of a table as samples `[D]`, the numbers of all columns one after the other. Ids are `file:line`.
///
/// # Errors
/// If the table lacks a column or has none, a cell is a gap that may be none or no finite number, or a word or class is unknown.
pub fn table_dataset(
    table: &Table,
    columns: &[Column],
    target: TableTarget,
    rows: &[usize],
) -> Result<InMemory, DataError> {
    let places: Vec<usize> = columns.iter().map(|column| table.column(&column.name)).collect::<Result<_, _>>()?;
    let width = columns.iter().map(Column::width).sum();
    let mut x = Vec::with_capacity(rows.len().saturating_mul(width));
    for &row in rows {
        columns.iter().zip(&places).try_for_each(|(column, &at)| encode(table, row, at, column, &mut x))?;
    }
    let (targets, names) = match target {
        TableTarget::None => (Targets::None, Vec::new()),
        TableTarget::Number(name) => {
            let at = table.column(name)?;
            let one = |&row: &usize| refuse_gap(table, row, at).and_then(|()| number(table, row, at));
            (Targets::Values { values: rows.iter().map(one).collect::<Result<_, _>>()?, width: 1 }, Vec::new())
        }
        TableTarget::Class(name, names) => {
            let at = table.column(name)?;
            let one = |&row: &usize| refuse_gap(table, row, at).and_then(|()| place_of(table, row, at, names));
            (Targets::Classes(rows.iter().map(one).collect::<Result<_, _>>()?), names.to_vec())
        }
    };
    let lines = rows.iter().map(|&row| table.line(row)).collect();
    let set = InMemory::new(table.path().display().to_string(), &[width], Values::Floats(x), targets, names)?;
    Ok(set.with_lines(lines, table.skipped().to_vec()))
}

fn encode(table: &Table, row: usize, at: usize, column: &Column, x: &mut Vec<f32>) -> Result<(), DataError> {
    let gap = table.is_gap(row, at);
    match &column.kind {
        ColumnKind::Number { fill: Some(fill) } if gap => x.push(*fill),
        ColumnKind::Words { names, gaps: true } if gap => x.resize(x.len() + names.len(), 0.0),
        _ if gap => refuse_gap(table, row, at)?,
        ColumnKind::Number { .. } => x.push(number(table, row, at)?),
        ColumnKind::Words { names, .. } => {
            let word = place_of(table, row, at, names)?;
            x.extend((0..names.len()).map(|place| f32::from(u8::from(place == word))));
        }
    }
    Ok(())
}

fn refuse_gap(table: &Table, row: usize, at: usize) -> Result<(), DataError> {
    if !table.is_gap(row, at) {
        return Ok(());
    }
    let why = match table.cell(row, at) {
        "" => "the cell is empty".to_owned(),
        cell => format!("the value is missing ('{cell}')"),
    };
    Err(bad_cell(table, row, at, why))
}

/// Which of `names` a cell holds: the same text, or the same number.
fn place_of(table: &Table, row: usize, at: usize, names: &[String]) -> Result<usize, DataError> {
    const SHOWN: usize = 12;
    let cell = table.cell(row, at);
    let value = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
    let same_number = || value(cell).and_then(|own| names.iter().position(|name| value(name) == Some(own)));
    names.iter().position(|name| name == cell).or_else(same_number).ok_or_else(|| {
        let known: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        bad_cell(table, row, at, format!("'{}' is none of {}{more}", shortened(cell), known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Dataset, TableFormat, Target};

    const HOUSES: &str = "rooms,sea,age,price\n3,near,10,100\n4,far,,200\n5,NA,30,250\n6,near,20,400\n";

    fn table(text: &str) -> Table {
        Table::parse(text.as_bytes().to_vec(), Path::new("h.csv"), &TableFormat::default()).unwrap()
    }

    #[test]
    fn words_become_columns_and_gaps_the_median_of_the_rows_to_learn_from() {
        let table = table(HOUSES);
        let mut columns = columns_of(&table, &["rooms", "sea", "age"], true).unwrap();
        assert_eq!(columns.iter().map(Column::width).collect::<Vec<_>>(), [1, 2, 1]);
        fill_gaps(&table, &mut columns, &[0, 1, 2]).unwrap();
        let rows = table_dataset(&table, &columns, TableTarget::Number("price"), &[0, 1, 2, 3]).unwrap();
        let x: Vec<Vec<f32>> = (0..4).map(|row| rows.get(row).unwrap().x).collect();
        assert_eq!(x, [[3.0, 0.0, 1.0, 10.0], [4.0, 1.0, 0.0, 20.0], [5.0, 0.0, 0.0, 30.0], [6.0, 0.0, 1.0, 20.0]]);
        assert_eq!((rows.target(3).unwrap(), rows.id(3)), (Target::Values(vec![400.0]), "h.csv:5".to_owned()));
        assert_eq!(rows_without_gaps(&table, &["rooms", "sea", "age"]).unwrap(), [0, 3]);
    }

    #[test]
    fn a_gap_a_strange_word_and_a_strange_class_name_line_and_column() {
        let said = |text: &str, columns: &[Column], target: TableTarget| {
            let table = table(text);
            let rows: Vec<usize> = (0..table.len()).collect();
            table_dataset(&table, columns, target, &rows).unwrap_err().to_string()
        };
        let strict = columns_of(&table(HOUSES), &["rooms", "age"], false).unwrap();
        assert!(said(HOUSES, &strict, TableTarget::None).starts_with("h.csv:3: column 'age': the cell is empty"));
        let words = columns_of(&table("sea\nnear\nfar\n"), &["sea"], false).unwrap();
        assert!(said(HOUSES, &words, TableTarget::None).contains("h.csv:4: column 'sea': the value is missing ('NA')"));
        assert!(said("sea\nnorth\n", &words, TableTarget::None).contains("column 'sea': 'north' is none of far, near"));
        assert!(said("a\n1\n", &words, TableTarget::None).contains("there is no column 'sea'"));
        let names = classes_of(&table("kind\n2\n1.0\n10\n"), "kind").unwrap();
        assert_eq!(names, ["1.0", "2", "10"]);
        let none: [Column; 0] = [];
        assert!(said("kind\n1\n", &none, TableTarget::None).contains("do not make whole rows"));
        let sea = columns_of(&table("sea\n1\n"), &["sea"], false).unwrap();
        let text = "sea,kind\n1,1\n2,3\n";
        assert!(
            said(text, &sea, TableTarget::Class("kind", &names)).contains("h.csv:3: column 'kind': '3' is none of")
        );
    }

    #[test]
    fn names_of_rows_are_no_words() {
        let text: String = (0..400).map(|n| format!("1,house {n}\n")).collect();
        let error = columns_of(&table(&format!("a,name\n{text}")), &["name"], false).unwrap_err().to_string();
        assert!(
            error.contains("h.csv:2: column 'name': 'house 0' is not a number") && error.contains("400"),
            "{error}"
        );
    }
}
