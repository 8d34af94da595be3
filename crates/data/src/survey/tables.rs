//! Surveys of tables: the kind of each column, missing cells, equal rows, columns that give the target away.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::listing::{Listing, index};
use super::{Draft, Row, broken};
use crate::detection::Fault;
use crate::folder_scan::relative;
use crate::table::is_gap;
use crate::{OnBroken, Table, TableFormat};

/// Names of columns that are the target if none is named.
const TARGETS: [&str; 4] = ["label", "target", "class", "y"];
/// More different values than this are numbers to predict rather than classes.
const MAX_CLASSES: usize = 100;
/// Columns that are described one by one.
const MAX_COLUMNS: usize = 40;

pub(super) fn tables(root: &Path, listing: Listing, target: Option<&str>, draft: &mut Draft) {
    draft.unit = "rows";
    draft.hash_files(root, &listing);
    for file in &listing.files {
        let name = file.path.to_string_lossy().to_ascii_lowercase();
        let delimiter = if name.contains(".tsv") { b'\t' } else { b',' };
        let format = TableFormat { delimiter, header: true, on_broken: OnBroken::Skip };
        match Table::read(&file.path, &format) {
            Err(error) => draft.broken.push(broken(root, &file.path, &error)),
            Ok(table) => {
                let part = draft.part(&listing, file);
                one(&relative(root, &file.path), &table, target, part, draft);
            }
        }
    }
}

fn one(place: &str, table: &Table, target: Option<&str>, part: usize, draft: &mut Draft) {
    for skipped in table.skipped() {
        let line = skipped.line.map_or_else(String::new, |line| format!(":{line}"));
        let why = skipped.why.split_once(": ").map_or(skipped.why.as_str(), |(_, why)| why);
        draft.broken.push(Fault::new(format!("{place}{line}"), why));
    }
    let columns = table.columns();
    let of_name = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
    let target_column = match target {
        Some(name) => of_name(name),
        None => TARGETS.into_iter().find_map(of_name),
    };
    match (target_column, target) {
        (Some(column), _) => draft.fact("target", format!("column {}", columns[column])),
        (None, Some(name)) => draft.faults.push(Fault::new(place, format!("there is no column {name}"))),
        (None, None) => draft
            .notes
            .push("no column is called label, target, class or y: say which is the target with --target".to_owned()),
    }
    for column in 0..columns.len() {
        let facts = Column::of(table, column);
        if column < MAX_COLUMNS {
            draft.fact(format!("column {}", columns[column]), facts.words(table.len()));
        }
        if facts.different == 1 && table.len() > 1 && facts.missing == 0 {
            draft
                .faults
                .push(Fault::new(format!("{place}: {}", columns[column]), "it has the same value in every row"));
        }
        let target = target_column.filter(|&target| target != column && gives_away(table, column, target));
        if let Some(target) = target {
            let why =
                format!("it says the target {}: each of its values comes with one of the target's", columns[target]);
            draft.faults.push(Fault::new(format!("{place}: {}", columns[column]), why));
        }
    }
    if columns.len() > MAX_COLUMNS {
        draft.notes.push(format!("{} more columns are not described", columns.len() - MAX_COLUMNS));
    }
    let is_class = target_column.filter(|&column| {
        let facts = Column::of(table, column);
        facts.different <= MAX_CLASSES && (!facts.fractions || 2 * facts.different <= table.len().min(MAX_CLASSES))
    });
    if let (Some(column), None) = (target_column, is_class) {
        draft.notes.push(format!("{} has so many values that it is taken as a number to predict", columns[column]));
    }
    let missing =
        target_column.map_or(0, |target| (0..table.len()).filter(|&row| is_gap(table.cell(row, target))).count());
    if missing > 0 {
        draft.faults.push(Fault::new(place, format!("{missing} rows have no target")));
    }
    let mut names: Vec<&str> =
        is_class.map_or_else(Vec::new, |column| (0..table.len()).map(|row| table.cell(row, column)).collect());
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(|name| !is_gap(name)).for_each(|name| {
        index(&mut draft.classes, name);
    });
    for row in 0..table.len() {
        let mut hash = hmac_sha256::Hash::new();
        for column in (0..columns.len()).filter(|&column| Some(column) != target_column) {
            let cell = table.cell(row, column);
            hash.update((cell.len() as u64).to_le_bytes());
            hash.update(cell);
        }
        let class = is_class.map(|column| table.cell(row, column)).filter(|cell| !is_gap(cell));
        let class = class.map(|name| index(&mut draft.classes, name));
        let id = format!("{place}:{}", table.line(row));
        draft.push(Row { id, part, class, hash: hash.finalize(), size: None }, None);
    }
}

/// What a column holds.
struct Column {
    missing: usize,
    different: usize,
    /// Least and greatest, if all that is there is numbers.
    numbers: Option<(f64, f64)>,
    fractions: bool,
    /// The commonest texts.
    texts: Vec<(String, usize)>,
}

impl Column {
    fn of(table: &Table, column: usize) -> Column {
        let cells: Vec<&str> =
            (0..table.len()).map(|row| table.cell(row, column)).filter(|cell| !is_gap(cell)).collect();
        let numbers: Option<Vec<f64>> =
            cells.iter().map(|cell| cell.parse().ok().filter(|x: &f64| x.is_finite())).collect();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        cells.iter().for_each(|cell| *counts.entry(cell).or_default() += 1);
        let mut texts: Vec<(String, usize)> = counts.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect();
        texts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        texts.truncate(3);
        let fractions = numbers.as_ref().is_some_and(|numbers| numbers.iter().any(|x| x.fract() != 0.0));
        let numbers = numbers
            .filter(|numbers| !numbers.is_empty())
            .map(|numbers| numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x))));
        Column { missing: table.len() - cells.len(), different: counts.len(), numbers, fractions, texts }
    }

    fn words(&self, rows: usize) -> String {
        let missing = if self.missing > 0 { format!(", {} of {rows} missing", self.missing) } else { String::new() };
        match self.numbers {
            Some((least, most)) => {
                format!("numbers from {least} to {most}, {} different{missing}", self.different)
            }
            None if self.texts.is_empty() => format!("nothing{missing}"),
            None => {
                let shown: Vec<String> = self
                    .texts
                    .iter()
                    .map(|(text, count)| {
                        let short: String = text.chars().take(24).collect();
                        format!("{short} ({count})")
                    })
                    .collect();
                format!("text, {} different: {}{missing}", self.different, shown.join(", "))
            }
        }
    }
}

/// Whether a column tells the target without anything to learn: each value comes with one target, often enough to be no
/// chance, and each target with one value.
fn gives_away(table: &Table, column: usize, target: usize) -> bool {
    let mut of: BTreeMap<&str, &str> = BTreeMap::new();
    let mut back: HashSet<(&str, &str)> = HashSet::new();
    for row in 0..table.len() {
        let (value, label) = (table.cell(row, column), table.cell(row, target));
        if *of.entry(value).or_insert(label) != label {
            return false;
        }
        back.insert((label, value));
    }
    let targets: HashSet<&str> = of.values().copied().collect();
    targets.len() > 1 && back.len() == targets.len() && 2 * of.len() <= table.len()
        || (targets.len() > 1 && (0..table.len()).all(|row| table.cell(row, column) == table.cell(row, target)))
}
