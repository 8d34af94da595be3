//! Data of the recipe `text`: texts with a class each, and the tokenizer that the training texts teach.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Dataset, OnBroken, TextColumns, TextRows, TextSplits, Tokenizer};
use train::{DataFile, Error, Goal, Input, Result, Settings, Splits};

use crate::class_rows;
use crate::settings::whole_path;

/// The settings of the data.
pub(crate) fn with_texts(settings: Settings) -> Settings {
    settings
        .text("data.text", "", "column of the text in a table, or several with commas between; empty: by its name")
        .text("data.target", "", "column of the labels in a table; empty: by its name")
        .flag("data.header", true, "the first line of a table names the columns; else they are 0, 1, 2, ...")
        .path("data.test_file", "table to test on; empty: test.csv beside it in its folder, or a share of the rows")
        .word("data.on_broken", "fail", &["fail", "skip"], "what to do with texts that are empty or no UTF-8")
        .int("data.vocabulary", 8000, 256..=65_536, "tokens that are learnt, with the 256 bytes")
        .flag("data.lower", true, "capital letters are small ones")
        .int(
            "data.length",
            0,
            0..=16_384,
            "tokens that are read of a text; 0: as many as 98 % of those to learn from have, at most 512",
        )
}

/// `DIR/CLASS/*.txt`, `DIR/{train,val,test}/CLASS/*.txt`, a table, or a folder of `train.csv` and `test.csv`.
pub(crate) fn labelled_texts(settings: &Settings, path: Option<&Path>) -> Result<Splits> {
    let Some(path) = path else {
        return Err(Error::usage(
            "the recipe text needs texts to learn from",
            "give --data DIR, a folder with a folder of .txt files for each class, or --data FILE.csv, a table with columns text and label",
        ));
    };
    let asked =
        |name: &str| -> Result<Option<&str>> { Ok(Some(settings.get_word(name)?).filter(|word| !word.is_empty())) };
    let columns = TextColumns {
        text: asked("data.text")?
            .map_or_else(Vec::new, |names: &str| names.split(',').map(|name| name.trim().to_owned()).collect()),
        label: asked("data.target")?.map(str::to_owned),
        nameless: !settings.get_flag("data.header")?,
    };
    let on_broken = if settings.get_word("data.on_broken")? == "skip" { OnBroken::Skip } else { OnBroken::Fail };
    let test = asked("data.test_file")?;
    let TextSplits { train: all, val, test } = TextSplits::open(path, test.map(Path::new), &columns, on_broken)?;
    let files = files(path, [Some(&all), val.as_ref(), test.as_ref()])?;
    let shared = |part: Option<TextRows>| part.map(|part| Arc::new(part) as Arc<dyn Dataset>);
    let (val, test) = (shared(val), shared(test));
    let class_rows::Parts { train, val, test } = class_rows::parts(settings, path, "texts", Arc::new(all), val, test)?;
    let mut notes = class_rows::notes(path, train.as_ref(), test.as_ref())?;
    let texts = || (0..train.len()).filter_map(|row| train.words(row));
    // A blank before each, as the model is fed it.
    let spaced: Vec<String> = texts().map(|text| format!(" {text}")).collect();
    let (most, lower) = (settings.get_size("data.vocabulary")?, settings.get_flag("data.lower")?);
    let tokenizer = Tokenizer::learn(spaced.iter().map(String::as_str), most, lower);
    let (length, longer) = length(settings, &tokenizer, &spaced)?;
    notes.push(format!(
        "{} tokens learnt; {length} of a text are read, and {:.1} % of those to learn from have more",
        tokenizer.len() - 1,
        100.0 * longer
    ));
    let input = Input {
        goal: Goal::Class,
        shape: vec![length],
        mean: vec![0.0],
        std: vec![1.0],
        classes: train.class_names().to_vec(),
        columns: Vec::new(),
        tokens: Some(Arc::new(tokenizer)),
    };
    Ok(Splits { train, val, test, input, augment: Vec::new(), source: Some(whole_path(path)), files, notes })
}

/// The files that were read, each once.
fn files(path: &Path, parts: [Option<&TextRows>; 3]) -> Result<Vec<DataFile>> {
    let root: PathBuf = if path.is_dir() { path.to_owned() } else { path.parent().unwrap_or(path).to_owned() };
    let mut files: Vec<DataFile> = Vec::new();
    for part in parts.into_iter().flatten() {
        for (file, class) in part.files() {
            let class = class.and_then(|class| part.class_names().get(class).cloned());
            files.push(DataFile { class, ..DataFile::of(&root, file)? });
        }
    }
    Ok(files)
}

/// How many tokens are read of a text, and the share of the texts that have more: both of some of the texts, if there are many.
fn length(settings: &Settings, tokenizer: &Tokenizer, texts: &[String]) -> Result<(usize, f64)> {
    /// So many texts say how long they are.
    const ASKED: usize = 10_000;
    /// What is read of a text without a setting, at most.
    const MOST: usize = 512;
    let every = texts.len().div_ceil(ASKED).max(1);
    let mut lengths: Vec<usize> = texts.iter().step_by(every).map(|text| tokenizer.encode(text).len()).collect();
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len().saturating_sub(1) * 98 / 100).copied().unwrap_or(1);
    let length = match settings.get_size("data.length")? {
        0 => usual.clamp(1, MOST),
        asked => asked,
    };
    let longer = lengths.len() - lengths.partition_point(|&own| own <= length);
    Ok((length, longer as f64 / lengths.len().max(1) as f64))
}
