//! Whether the parts of a dataset have rows of every class: a class that vanished from one must not go unsaid.

use std::path::Path;

use data::{DataError, Dataset, class_counts};
use train::{Error, Result};

/// Notes on classes without rows in the training or the test part.
///
/// # Errors
/// If there is nothing to tell apart: fewer than two classes in the training rows, more classes without training rows than
/// with some, or training rows that are all the same. `dir` is named in it.
pub(crate) fn notes(dir: &Path, train: &dyn Dataset, test: &dyn Dataset) -> Result<Vec<String>> {
    let names = train.class_names();
    let (trained, tested) = (class_counts(train)?, class_counts(test)?);
    let lacking = |counts: &[usize]| -> Vec<&str> {
        names.iter().zip(counts).filter(|(_, count)| **count == 0).map(|(name, _)| name.as_str()).collect()
    };
    let untrained = lacking(&trained);
    let refused = |why: String, help: &str| {
        let present = names.iter().zip(&trained).filter(|(_, count)| **count > 0);
        let found: Vec<String> = present.map(|(name, count)| format!("{name} ({count} to train)")).collect();
        let (dir, help) = (dir.to_owned(), help.to_owned());
        Err(Error::Data(DataError::Layout { path: dir, why, found: listed(&found), help }))
    };
    if names.len() - untrained.len() < 2 {
        let why = "the rows to train on have fewer than two classes, so there is nothing to tell apart".to_owned();
        return refused(why, "add rows of another class");
    }
    if 2 * untrained.len() > names.len() {
        let why =
            format!("{} of {} classes have no row to train on: a label seems wrong", untrained.len(), names.len());
        return refused(why, "correct the labels, or number the classes from 0 without gaps");
    }
    if all_the_same(train)? {
        let why = format!("the {} rows to train on are all the same", train.len());
        return refused(why, "check that this is the right data");
    }
    let note = |lacking: &[&str], why: &str| (!lacking.is_empty()).then(|| format!("{}: {why}", listed(lacking)));
    let untested: Vec<&str> = lacking(&tested).into_iter().filter(|name| !untrained.contains(name)).collect();
    let notes = [
        note(&untrained, "no row to train on, so the network never learns this class"),
        note(&untested, "no row to test on, so nothing is known of how well this class is recognised"),
    ];
    Ok(notes.into_iter().flatten().collect())
}

/// How many rows differ in content.
pub(crate) fn different(rows: &dyn Dataset) -> Result<usize> {
    let hashes = (0..rows.len()).map(|row| rows.content_hash(row));
    Ok(hashes.collect::<Result<std::collections::BTreeSet<_>, DataError>>()?.len())
}

fn all_the_same(rows: &dyn Dataset) -> Result<bool> {
    let first = rows.content_hash(0)?;
    for row in 1..rows.len() {
        if rows.content_hash(row)? != first {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first few of many names.
fn listed(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
