//! Data of the recipe on tables: a CSV file of any columns, one of which is to be predicted from the others.

use std::path::Path;
use std::sync::Arc;

use data::{
    Column, ColumnKind, DataError, Dataset, InMemory, MeanStd, OnBroken, Subset, Table, TableFormat, TableTarget,
    Targets, classes_of, columns_of, fill_gaps, mean_std, rows_without_gaps, split_by_class, table_dataset,
};
use train::suggest::did_you_mean;
use train::{DataFile, Error, Goal, Input, Result, Settings, Splits};

use crate::class_rows;
use crate::settings::whole_path;

/// Whole numbers that are not more different ones than this are taken for classes.
const MOST_CLASSES: usize = 10;

/// The settings of data that is a table.
pub(crate) fn with_table(settings: Settings) -> Settings {
    settings
        .text("data.target", "", "column to predict; empty: the last")
        .word(
            "data.goal",
            "auto",
            &["auto", "number", "class"],
            "what the target is; auto: a class if it is words, or whole numbers of which there are at most 10",
        )
        .text("data.skip", "", "columns to leave out, with commas between them")
        .word(
            "data.missing",
            "error",
            &["error", "skip", "median"],
            "what to do with gaps: refuse them, leave their rows out, or fill them with the median of the rows to learn from",
        )
        .float("data.test", 0.2, 0.0..=0.9, "share of the rows set aside to test on")
        .path("data.test_file", "file of rows to test on, instead; empty: none")
        .word("data.delimiter", "comma", &["comma", "semicolon", "tab", "space"], "what stands between two cells")
        .flag("data.header", true, "the first line holds the names of the columns; otherwise they are 0, 1, 2, ...")
}

/// The parts of the table in a file.
pub(crate) fn table(settings: &Settings, path: Option<&Path>) -> Result<Splits> {
    let Some(path) = path else {
        return Err(Error::usage("this recipe needs a table to learn from", "give --data FILE.csv"));
    };
    let table = read(settings, path)?;
    let target = target_of(settings, &table)?;
    let features = features_of(settings, &table, target)?;
    let missing = settings.get_word("data.missing")?;
    let used: Vec<&str> = features.iter().copied().chain([target]).collect();
    let kept = match missing {
        "skip" => rows_without_gaps(&table, &used)?,
        _ => (0..table.len()).collect(),
    };
    let classes = if is_class(settings, &table, target)? { Some(classes_of(&table, target)?) } else { None };
    let what = match &classes {
        Some(names) => TableTarget::Class(target, names),
        None => TableTarget::Number(target),
    };
    let mut columns = columns_of(&table, &features, missing == "median")?;
    let rows = |columns: &[Column], kept: &[usize]| -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(table_dataset(&table, columns, what, kept).map_err(with_help)?))
    };
    let all = rows(&columns, &kept)?;
    let [train, test, val] = parts(settings, path, &all)?;
    let of_table = |part: &Subset| part.rows().iter().map(|&row| kept[row]).collect::<Vec<_>>();
    fill_gaps(&table, &mut columns, &of_table(&train)).map_err(with_help)?;
    // With the gaps filled as the training rows say.
    let all = rows(&columns, &kept)?;
    let part = |part: &Subset| -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(Subset::new(Arc::clone(&all), part.rows().to_vec())?))
    };
    let train = part(&train)?;
    let root = path.parent().unwrap_or(path);
    let mut files = vec![DataFile::of(root, path)?];
    let test = match settings.get_word("data.test_file")? {
        "" => part(&test)?,
        other => {
            let other = Path::new(other);
            files.push(DataFile::of(root, other)?);
            let other = read(settings, other)?;
            let rows = usable(settings, &other, &used)?;
            Arc::new(table_dataset(&other, &columns, what, &rows).map_err(with_help)?)
        }
    };
    let mut notes = vec![words(&columns, target, classes.as_deref())];
    if settings.get_word("data.target")?.is_empty() {
        notes.push(format!("{target} is the last column: --set data.target=NAME chooses another"));
    }
    notes.extend(gaps_said(&table, &used, missing)?);
    let goal = match &classes {
        Some(_) => {
            notes.extend(class_rows::notes(path, train.as_ref(), test.as_ref())?);
            Goal::Class
        }
        None => number_goal(path, train.as_ref(), target)?,
    };
    let MeanStd { mut mean, mut std } = mean_std(train.as_ref())?;
    leave_words(&columns, &mut mean, &mut std);
    let classes = classes.unwrap_or_else(|| vec![target.to_owned()]);
    let shape = vec![columns.iter().map(Column::width).sum()];
    Ok(Splits {
        train,
        val: if val.is_empty() { None } else { Some(part(&val)?) },
        test,
        input: Input { goal, shape, mean, std, classes, columns, tokens: None },
        augment: Vec::new(),
        source: Some(whole_path(path)),
        files,
        notes,
    })
}

/// All rows of another table, as a model that was trained on one like it is fed them; without the target, unless it is `known`.
pub(crate) fn rows_of(settings: &Settings, input: &Input, path: &Path, known: bool) -> Result<InMemory> {
    let table = read(settings, path)?;
    let mut used: Vec<&str> = input.columns.iter().map(|column| column.name.as_str()).collect();
    let what = match (known, input.goal) {
        (false, _) => TableTarget::None,
        (true, Goal::Number { .. }) => TableTarget::Number(&input.classes[0]),
        (true, _) => TableTarget::Class(target_of(settings, &table)?, &input.classes),
    };
    if let TableTarget::Number(target) | TableTarget::Class(target, _) = what {
        used.push(target);
    }
    let rows = usable(settings, &table, &used)?;
    table_dataset(&table, &input.columns, what, &rows).map_err(with_help)
}

fn read(settings: &Settings, path: &Path) -> Result<Table> {
    if path.is_dir() {
        let what = format!("{} is a folder, and no table", path.display());
        return Err(Error::usage(what, "give the file: --data FILE.csv"));
    }
    let delimiter = match settings.get_word("data.delimiter")? {
        "semicolon" => b';',
        "tab" => b'\t',
        "space" => b' ',
        _ => b',',
    };
    let header = settings.get_flag("data.header")?;
    Ok(Table::read(path, &TableFormat { delimiter, header, on_broken: OnBroken::Fail })?)
}

/// The rows that are used of a table: all, or those without gaps.
fn usable(settings: &Settings, table: &Table, used: &[&str]) -> Result<Vec<usize>> {
    Ok(match settings.get_word("data.missing")? {
        "skip" => rows_without_gaps(table, used)?,
        _ => {
            used.iter().try_for_each(|name| table.column(name).map(drop))?;
            (0..table.len()).collect()
        }
    })
}

/// The name of the target.
fn target_of<'a>(settings: &Settings, table: &'a Table) -> Result<&'a str> {
    let columns = table.columns();
    let at = match settings.get_word("data.target")? {
        "" => columns.len() - 1,
        name => table.column(name)?,
    };
    Ok(&columns[at])
}

/// The names of the columns that it is predicted from.
fn features_of<'a>(settings: &Settings, table: &'a Table, target: &str) -> Result<Vec<&'a str>> {
    let skipped: Vec<&str> =
        settings.get_word("data.skip")?.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let columns = table.columns();
    if let Some(unknown) = skipped.iter().find(|name| !columns.iter().any(|column| column == *name)) {
        let what = format!("data.skip names {unknown}, and {} has no such column", table.path().display());
        return Err(Error::usage(what, did_you_mean(unknown, columns.iter().map(String::as_str))));
    }
    let features: Vec<&str> =
        columns.iter().map(String::as_str).filter(|name| *name != target && !skipped.contains(name)).collect();
    if features.is_empty() {
        return Err(Error::Data(DataError::Broken {
            path: table.path().to_owned(),
            format: "CSV",
            why: format!("there is no column besides the target '{target}'"),
            help: "add columns to predict it from, or set another data.delimiter".to_owned(),
        }));
    }
    Ok(features)
}

/// Whether the target is a class.
fn is_class(settings: &Settings, table: &Table, target: &str) -> Result<bool> {
    match settings.get_word("data.goal")? {
        "class" => return Ok(true),
        "number" => return Ok(false),
        _ => {}
    }
    let classes = classes_of(table, target)?;
    let whole = |name: &String| name.parse().is_ok_and(|x: f64| x.is_finite() && x.fract() == 0.0);
    let number = |name: &String| name.parse().is_ok_and(|x: f64| x.is_finite());
    Ok(!classes.iter().all(number) || (classes.len() <= MOST_CLASSES && classes.iter().all(whole)))
}

/// Rows to learn from, to test on, and to watch by. With a file of its own to test on, none is set aside for that.
fn parts(settings: &Settings, path: &Path, all: &Arc<dyn Dataset>) -> Result<[Subset; 3]> {
    let own_test = !settings.get_word("data.test_file")?.is_empty();
    let test = if own_test { 0.0 } else { settings.get_float("data.test")? };
    let val = settings.get_float("data.val")?;
    if test + val >= 1.0 {
        let what = format!("data.test {test} and data.val {val} leave nothing to learn from");
        return Err(Error::usage(what, "set them so that they add up to less than 1"));
    }
    let seed = settings.get_int("train.seed")? as u64;
    let parts = split_by_class(all, &[1.0 - test - val, test, val], seed)?;
    match <[Subset; 3]>::try_from(parts) {
        Ok(parts) if !parts[0].is_empty() && (own_test || !parts[1].is_empty()) => Ok(parts),
        _ => Err(Error::Data(DataError::Layout {
            path: path.to_owned(),
            why: "there are too few different rows to set some aside for testing".to_owned(),
            found: format!("{} rows", all.len()),
            help: "give more rows, a larger data.test, or rows to test on with data.test_file".to_owned(),
        })),
    }
}

/// Mean and deviation of the targets of the training rows.
fn number_goal(path: &Path, train: &dyn Dataset, target: &str) -> Result<Goal> {
    let mut values = Vec::with_capacity(train.len());
    for row in 0..train.len() {
        if let data::Target::Values(own) = train.target(row)? {
            values.extend(own);
        }
    }
    let constant = values.iter().all(|value| Some(value) == values.first());
    let column = InMemory::new(target, &[1], data::Values::Floats(values), Targets::None, Vec::new())?;
    let MeanStd { mean, std } = mean_std(&column)?;
    if constant {
        return Err(Error::Data(DataError::Layout {
            path: path.to_owned(),
            why: format!("{target} is the same in all rows to learn from, so there is nothing to learn"),
            found: format!("{} rows of {}", train.len(), mean[0]),
            help: "choose another column with --set data.target=NAME".to_owned(),
        }));
    }
    Ok(Goal::Number { mean: mean[0], std: std[0] })
}

/// Numbers that stand for words stay 0 and 1: a rare word would else be far beyond all other numbers.
fn leave_words(columns: &[Column], mean: &mut [f32], std: &mut [f32]) {
    let mut at = 0;
    for column in columns {
        if let ColumnKind::Words { names, .. } = &column.kind {
            mean[at..at + names.len()].fill(0.0);
            std[at..at + names.len()].fill(1.0);
        }
        at += column.width();
    }
}

/// What is predicted from what, in words.
fn words(columns: &[Column], target: &str, classes: Option<&[String]>) -> String {
    let of_words: Vec<&Column> =
        columns.iter().filter(|column| matches!(column.kind, ColumnKind::Words { .. })).collect();
    let from = match (columns.len() - of_words.len(), of_words.len()) {
        (numbers, 0) => format!("{numbers} columns of numbers"),
        (numbers, words) => {
            let width: usize = of_words.iter().map(|column| column.width()).sum();
            format!("{numbers} columns of numbers and {words} of words, which become {width} columns of 0 and 1")
        }
    };
    match classes {
        Some(names) => format!("{target} is predicted, one of {} classes, from {from}", names.len()),
        None => format!("{target} is predicted, a number, from {from}"),
    }
}

/// What became of rows with gaps.
fn gaps_said(table: &Table, used: &[&str], missing: &str) -> Result<Option<String>> {
    let gaps = table.len() - rows_without_gaps(table, used)?.len();
    Ok((gaps > 0).then(|| match missing {
        "skip" => format!("{gaps} of {} rows have gaps, and are left out", table.len()),
        _ => format!("{gaps} of {} rows have gaps, filled with the medians of the rows to learn from", table.len()),
    }))
}

/// An error of a cell with what this recipe can do about it.
fn with_help(error: DataError) -> Error {
    match error {
        DataError::Cell { path, line, column, why, .. } => {
            let help = format!(
                "correct it; or --set data.missing=skip or data.missing=median where something is missing, or data.skip={column} to leave the column out"
            );
            Error::Data(DataError::Cell { path, line, column, why, help })
        }
        other => Error::Data(other),
    }
}
