//! The parts of a dataset that a run uses, how their rows become inputs, and the record of it all in `data.json`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Column, ColumnKind, DataError, Dataset, Skipped, Tokenizer, Transform, Transforms, class_counts};
use hmac_sha256::Hash;
use serde_json::{Value, json};

use crate::durable::hex;
use crate::error::{Error, Result};

/// The parts of a dataset and what a model needs to know of them.
#[derive(Clone)]
pub struct Splits {
    /// Rows to learn from.
    pub train: Arc<dyn Dataset>,
    /// Rows to watch training by, if any.
    pub val: Option<Arc<dyn Dataset>>,
    /// Rows that are looked at once, at the end.
    pub test: Arc<dyn Dataset>,
    /// What a model sees of a row.
    pub input: Input,
    /// Random changes of training rows, before they become inputs.
    pub augment: Vec<Transform>,
    /// Where the data comes from: a folder, or `None` for what ships with the library.
    pub source: Option<PathBuf>,
    /// The files that were read.
    pub files: Vec<DataFile>,
    /// What the reader should know of the split, such as classes without rows to test.
    pub notes: Vec<String>,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its path within the source.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub hash: [u8; 32],
    /// The class of all that is in it, if it is of one.
    pub class: Option<String>,
}

impl DataFile {
    /// As `data.json` holds it.
    fn to_json(&self) -> Value {
        let mut object = json!({ "path": self.path, "bytes": self.bytes, "sha256": hex(&self.hash) });
        if let Some(class) = &self.class {
            object["class"] = class.as_str().into();
        }
        object
    }

    /// The record of the file at `path` in `source`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(source: &Path, path: &Path) -> Result<DataFile> {
        let bytes = crate::durable::read(path)?;
        let name = path.strip_prefix(source).unwrap_or(path).display().to_string();
        Ok(DataFile { path: name, bytes: bytes.len() as u64, hash: Hash::hash(&bytes), class: None })
    }
}

/// What is predicted of a row.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Goal {
    /// A class: logits `[N, classes]`, labels `[N]`.
    #[default]
    Class,
    /// A class at each of its places, such as the symbol that follows: logits `[N, T, classes]`, labels `[N, T]`. Places whose
    /// label is below 0 do not count.
    Symbols,
    /// A number: outputs `[N, 1]`, or `[N, 2]` with the deviation that the model expects, in the target's own units; targets
    /// `[N, 1]`.
    Number {
        /// The mean of the targets of the training rows.
        mean: f32,
        /// Their standard deviation, which errors are measured by where a loss is asked for.
        std: f32,
    },
}

impl Goal {
    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        matches!(self, Goal::Number { .. })
    }
}

/// How a row becomes the input of a model, and what the outputs stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What is predicted of it.
    pub goal: Goal,
    /// `[C, H, W]` of a picture, `[D]` of a row of a table, `[T]` of a text, in numbers of symbols or tokens.
    pub shape: Vec<usize>,
    /// Mean of the training rows, per channel or for all.
    pub mean: Vec<f32>,
    /// Standard deviation of the training rows, per channel or for all.
    pub std: Vec<f32>,
    /// Names of the classes, or of the numbers, in the order of the outputs.
    pub classes: Vec<String>,
    /// How a row of a table of any columns becomes numbers; empty for all else.
    pub columns: Vec<Column>,
    /// Of texts that are read in tokens: what makes tokens of them.
    pub tokens: Option<Arc<Tokenizer>>,
}

impl Input {
    /// What is done to every row: the size, then `augment` (none outside training), then mean 0 and standard deviation 1. A text becomes
    /// tokens.
    pub fn prepare(&self, augment: &[Transform]) -> Transforms {
        if let (Some(tokenizer), &[length]) = (&self.tokens, &self.shape[..]) {
            return Transforms::new().then(Transform::Tokens { tokenizer: Arc::clone(tokenizer), length });
        }
        let mut transforms = self.resized();
        for transform in augment {
            transforms = transforms.then(transform.clone());
        }
        transforms.then(Transform::Normalise { mean: self.mean.clone(), std: self.std.clone() })
    }

    /// To the channels and the size of the input; a row of a table stays as it is.
    pub fn resized(&self) -> Transforms {
        match self.shape[..] {
            [channels, height, width] => {
                let colours = if channels == 1 { Transform::Grey } else { Transform::Rgb };
                Transforms::new().then(colours).then(Transform::Resize { height, width })
            }
            _ => Transforms::new(),
        }
    }

    /// As `data.json` holds it.
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "shape": self.shape, "mean": self.mean, "std": self.std, "classes": self.classes });
        match self.goal {
            Goal::Class => {}
            Goal::Symbols => object["goal"] = "symbols".into(),
            Goal::Number { mean, std } => {
                object["goal"] = "number".into();
                object["target"] = json!({ "mean": mean, "std": std });
            }
        }
        if !self.columns.is_empty() {
            object["columns"] = self.columns.iter().map(column_to_json).collect();
        }
        if let Some(tokenizer) = &self.tokens {
            object["tokens"] = tokenizer.to_json();
        }
        object
    }

    /// As `data.json` holds it; `None` if it does not, or if no network could take it: sizes of 0 or beyond all pictures,
    /// other channels than 1 or 3, no mean and deviation for each, no classes, columns of another width.
    pub fn from_json(value: &Value) -> Option<Input> {
        let array = |name: &str| value.get(name)?.as_array();
        let sizes = |name: &str| -> Option<Vec<usize>> {
            array(name)?.iter().map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok())).collect()
        };
        let floats = |name: &str| -> Option<Vec<f32>> {
            array(name)?.iter().map(|number| number.as_f64().map(|number| number as f32)).collect()
        };
        let texts = |name: &str| -> Option<Vec<String>> {
            array(name)?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let target = |name: &str| Some(value.get("target")?.get(name)?.as_f64()? as f32);
        let goal = match value.get("goal").map(Value::as_str) {
            None => Goal::Class,
            Some(Some("symbols")) => Goal::Symbols,
            Some(Some("number")) => Goal::Number { mean: target("mean")?, std: target("std")? },
            Some(_) => return None,
        };
        let columns = match value.get("columns") {
            None => Vec::new(),
            Some(columns) => columns.as_array()?.iter().map(column_from_json).collect::<Option<_>>()?,
        };
        let tokens = match value.get("tokens") {
            None => None,
            Some(tokens) => Some(Arc::new(Tokenizer::from_json(tokens)?)),
        };
        let (shape, mean, std, classes) = (sizes("shape")?, floats("mean")?, floats("std")?, texts("classes")?);
        let input = Input { goal, shape, mean, std, classes, columns, tokens };
        input.is_sound().then_some(input)
    }

    fn is_sound(&self) -> bool {
        /// Numbers of one row: more than any picture that can be asked for has, and few enough to allocate.
        const MOST: usize = 1 << 20;
        let count = self.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let first = match self.shape[..] {
            [columns] => columns,
            [channels @ (1 | 3), _, _] => channels,
            _ => return false,
        };
        let fits = |numbers: &[f32]| numbers.len() == 1 || numbers.len() == first;
        count.is_some_and(|count| (1..=MOST).contains(&count))
            && fits(&self.mean)
            && fits(&self.std)
            && self.mean.iter().chain(&self.std).all(|x| x.is_finite())
            && self.std.iter().all(|&std| std > 0.0)
            && !self.classes.is_empty()
            && match self.goal {
                Goal::Number { mean, std } => {
                    mean.is_finite() && std.is_finite() && std > 0.0 && self.classes.len() <= 2
                }
                Goal::Class | Goal::Symbols => true,
            }
            && (self.columns.is_empty() || self.shape == [self.columns.iter().map(Column::width).sum::<usize>()])
            && (self.tokens.is_none() || self.shape.len() == 1)
    }
}

fn column_to_json(column: &Column) -> Value {
    match &column.kind {
        ColumnKind::Number { fill } => json!({ "name": column.name, "fill": fill }),
        ColumnKind::Words { names, gaps } => json!({ "name": column.name, "words": names, "gaps": gaps }),
    }
}

fn column_from_json(value: &Value) -> Option<Column> {
    let kind = match (value.get("words"), value.get("fill")) {
        (Some(words), _) => {
            let names = words.as_array()?.iter().map(|word| word.as_str().map(str::to_owned));
            ColumnKind::Words { names: names.collect::<Option<_>>()?, gaps: value.get("gaps")?.as_bool()? }
        }
        (None, Some(Value::Null)) => ColumnKind::Number { fill: None },
        (None, fill) => ColumnKind::Number { fill: Some(fill?.as_f64()? as f32).filter(|fill| fill.is_finite()) },
    };
    Some(Column { name: value.get("name")?.as_str()?.to_owned(), kind })
}

impl Splits {
    /// What was left out of any part as broken, each once: parts may be of one dataset.
    pub fn skipped(&self) -> impl Iterator<Item = &Skipped> {
        let mut seen = HashSet::new();
        let parts = [Some(&self.train), self.val.as_ref(), Some(&self.test)].into_iter().flatten();
        parts.flat_map(|part| part.skipped()).filter(move |skipped| seen.insert((&skipped.path, skipped.line)))
    }

    /// The content of `data.json`: files, sizes, hashes, split.
    ///
    /// # Errors
    /// If a row cannot be read.
    pub fn to_json(&self) -> Result<Value> {
        let mut parts = serde_json::Map::new();
        for (name, part) in [("train", Some(&self.train)), ("val", self.val.as_ref()), ("test", Some(&self.test))] {
            if let Some(part) = part {
                parts.insert(name.to_owned(), describe(part.as_ref())?);
            }
        }
        let files: Vec<Value> = self.files.iter().map(DataFile::to_json).collect();
        let skipped: Vec<Value> = self
            .skipped()
            .map(|skipped| json!({ "path": skipped.path.display().to_string(), "why": skipped.why }))
            .collect();
        let source = self.source.as_ref().map(|source| source.display().to_string());
        Ok(json!({
            "source": source, "input": self.input.to_json(), "parts": parts, "skipped": skipped, "files": files,
        }))
    }
}

/// Rows, rows of each class, and their hash.
fn describe(part: &dyn Dataset) -> Result<Value> {
    Ok(json!({ "rows": part.len(), "class_rows": class_counts(part)?, "sha256": rows_hash(part)? }))
}

/// SHA-256, in hexadecimal, of all rows with their labels in order: what `data.json` holds of each part.
///
/// # Errors
/// If a row cannot be read.
pub fn rows_hash(part: &dyn Dataset) -> Result<String> {
    let mut hash = Hash::new();
    for row in 0..part.len() {
        hash.update(part.content_hash(row)?);
        match part.target(row)? {
            data::Target::Class(class) => hash.update((class as u64).to_le_bytes()),
            data::Target::Values(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
            data::Target::None | data::Target::Symbols(_) => {}
        }
    }
    Ok(hex(&hash.finalize()))
}

/// What a run's `data.json` says of its data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRecord {
    /// What the model sees of a row.
    pub input: Input,
    /// The folder of the data, if any.
    pub source: Option<PathBuf>,
    /// The [`rows_hash`] of the test part.
    pub test_hash: String,
}

pub(crate) fn read_data(path: &Path) -> Result<DataRecord> {
    let broken = |why: &str| Error::corrupt(path, why, "take the run from a backup, or train again");
    let text = crate::durable::read(path)?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| broken(&error.to_string()))?;
    let input =
        value.get("input").and_then(Input::from_json).ok_or_else(|| broken("it does not describe the input"))?;
    let test_hash = value["parts"]["test"]["sha256"].as_str().unwrap_or_default().to_owned();
    Ok(DataRecord { input, source: value["source"].as_str().map(PathBuf::from), test_hash })
}

/// An error unless rows have the classes that the model tells apart.
///
/// # Errors
/// If the classes differ.
pub fn check_classes(input: &Input, rows: &dyn Dataset) -> Result<()> {
    let classes = rows.class_names();
    if input.classes == classes || input.goal.is_number() {
        return Ok(());
    }
    // (A class may be a line break.)
    let named =
        |classes: &[String]| classes.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(", ");
    Err(Error::Data(DataError::Argument {
        what: "classes",
        why: format!("the data has {}, but the run was trained on {}", named(classes), named(&input.classes)),
        help: "give data with the same classes".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: Value) -> Option<Input> {
        let mut input = json!({ "shape": [3, 8, 8], "mean": [0.5], "std": [0.2], "classes": ["cat", "dog"] });
        input[name] = value;
        Input::from_json(&input)
    }

    #[test]
    fn an_input_comes_back_bit_for_bit_though_a_json_number_need_not() {
        let input = Input {
            goal: Goal::Class,
            shape: vec![3, 32, 32],
            mean: vec![0.492_168_2, 0.481_397_93, 0.447_982_6],
            std: vec![0.245_259_54, 0.242_838_07, 0.260_606_2],
            classes: vec!["cat".to_owned(), "dog".to_owned()],
            columns: Vec::new(),
            tokens: None,
        };
        let column = |name: &str, kind: ColumnKind| Column { name: name.to_owned(), kind };
        let table = Input {
            goal: Goal::Number { mean: 206_855.81, std: 0.1 },
            shape: vec![4],
            mean: vec![0.1; 4],
            std: vec![0.3; 4],
            classes: vec!["price".to_owned()],
            columns: vec![
                column("a", ColumnKind::Number { fill: None }),
                column("b", ColumnKind::Number { fill: Some(0.7) }),
                column("c", ColumnKind::Words { names: vec!["x".to_owned(), "y".to_owned()], gaps: true }),
            ],
            tokens: None,
        };
        let tokens = Some(Arc::new(Tokenizer::learn(["a cat, a dog, a cat"], 300, true)));
        let text = Input { shape: vec![7], mean: vec![0.0], std: vec![1.0], tokens, ..input.clone() };
        // A picture has no tokens.
        assert_eq!(Input::from_json(&Input { shape: vec![1, 7, 7], ..text.clone() }.to_json()), None);
        for input in [input, table, text] {
            let written = input.to_json().to_string();
            assert_eq!(Input::from_json(&serde_json::from_str(&written).unwrap()), Some(input));
        }
    }

    #[test]
    fn an_input_that_no_network_could_take_is_none() {
        assert!(with("shape", json!([1, 28, 28])).is_some() && with("std", json!([1, 2, 3])).is_some());
        let shapes = [json!([]), json!([3, 8]), json!([2, 8, 8]), json!([3, 0, 8]), json!([3, 1_000_000, 1_000_000])];
        for shape in shapes.into_iter().chain([json!([u64::MAX, u64::MAX]), json!([3, u64::MAX, u64::MAX])]) {
            assert_eq!(with("shape", shape.clone()), None, "{shape}");
        }
        for (name, value) in [
            ("mean", json!([])),
            ("mean", json!([1e300])),
            ("std", json!([0.0])),
            ("std", json!([1, 2])),
            ("classes", json!([])),
            ("goal", json!("number")),
            ("goal", json!("colours")),
            ("columns", json!([{ "name": "a", "fill": null }])),
        ] {
            assert_eq!(with(name, value.clone()), None, "{name} {value}");
        }
    }
}
