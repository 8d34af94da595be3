//! The parts of a dataset whose rows have a class, and whether they have rows of every class: a class that vanished from one must not
//! go unsaid.

use std::path::Path;
use std::sync::Arc;

use data::{DataError, Dataset, class_counts, split_by_class};
use train::{Error, Result, Settings};

/// Share of all rows that is set aside for testing where the data has no part for it.
const TEST_SHARE: f64 = 0.15;

/// The parts of a dataset.
pub(crate) struct Parts {
    pub train: Arc<dyn Dataset>,
    pub val: Option<Arc<dyn Dataset>>,
    pub test: Arc<dyn Dataset>,
}

/// The parts that the data has itself, and else a share of `all` (the training part), class by class. `unit` is what rows are.
///
/// # Errors
/// If too few rows are left to train on, or to test on.
pub(crate) fn parts(
    settings: &Settings,
    place: &Path,
    unit: &str,
    all: Arc<dyn Dataset>,
    val: Option<Arc<dyn Dataset>>,
    test: Option<Arc<dyn Dataset>>,
) -> Result<Parts> {
    let seed = settings.get_int("train.seed")? as u64;
    let share = settings.get_float("data.val")?;
    let (test_share, val_share) = match (&val, &test) {
        (Some(_), Some(_)) => (0.0, 0.0),
        (None, None) => (TEST_SHARE, share),
        _ => (0.0, share),
    };
    if test_share + val_share >= 1.0 {
        return Err(Error::usage(
            format!("data.val cannot be {share}: beside the {TEST_SHARE} to test, nothing is left to train on"),
            format!("set data.val below {}", 1.0 - TEST_SHARE),
        ));
    }
    // A class of a few rows has one to test before it has one to validate.
    let fractions = [1.0 - test_share - val_share, test_share, val_share];
    let [own_train, own_test, own_val]: [Option<Arc<dyn Dataset>>; 3] = {
        let mut split = split_by_class(&all, &fractions, seed)?.into_iter();
        std::array::from_fn(|_| {
            split.next().filter(|part| !part.is_empty()).map(|part| Arc::new(part) as Arc<dyn Dataset>)
        })
    };
    // Data with one part beside `train` is tested on it.
    let (val, test) = match (val, test) {
        (Some(val), None) => (None, Some(val)),
        other => other,
    };
    match (own_train, test.or(own_test)) {
        (Some(train), Some(test)) => Ok(Parts { train, val: val.or(own_val), test }),
        _ => Err(Error::Data(DataError::Layout {
            path: place.to_owned(),
            why: format!("there are too few different {unit} to set some aside for testing"),
            found: format!("{} {unit}, {} of them different", all.len(), different(all.as_ref())?),
            help: format!("add {unit}, or put some into DIR/train/CLASS and some into DIR/test/CLASS"),
        })),
    }
}

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
fn different(rows: &dyn Dataset) -> Result<usize> {
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
