//! Settings: a typed table of names, values, limits, and where each value came from.

use std::fmt;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::error::{Error, Result};
use crate::suggest::did_you_mean;
use crate::toml::{Line, lines, quoted};

/// The settings of a run, in the order in which they were declared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    rows: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// `section.key`.
    pub name: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
    /// What it is.
    pub value: Value,
    /// Who said so.
    pub source: Source,
    limits: Limits,
}

/// A value of a setting; its type never changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Flag(bool),
    /// One of the words that the setting takes, or any text.
    Text(String),
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The recipe.
    Default,
    /// A file of settings.
    File(String),
    /// A flag of the command line.
    Flag(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Limits {
    None,
    Int(RangeInclusive<i64>),
    Float(RangeInclusive<f64>),
    Words(&'static [&'static str]),
    Path,
}

impl Settings {
    /// No settings.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// With a whole number within `limits`.
    pub fn int(self, name: &'static str, value: i64, limits: RangeInclusive<i64>, help: &'static str) -> Settings {
        self.with(name, Value::Int(value), Limits::Int(limits), help)
    }

    /// With a number within `limits`.
    pub fn float(self, name: &'static str, value: f64, limits: RangeInclusive<f64>, help: &'static str) -> Settings {
        self.with(name, Value::Float(value), Limits::Float(limits), help)
    }

    /// With yes or no.
    pub fn flag(self, name: &'static str, value: bool, help: &'static str) -> Settings {
        self.with(name, Value::Flag(value), Limits::None, help)
    }

    /// With one of `words`.
    pub fn word(
        self,
        name: &'static str,
        value: &'static str,
        words: &'static [&'static str],
        help: &'static str,
    ) -> Settings {
        self.with(name, Value::Text(value.to_owned()), Limits::Words(words), help)
    }

    /// With any text.
    pub fn text(self, name: &'static str, value: &str, help: &'static str) -> Settings {
        self.with(name, Value::Text(value.to_owned()), Limits::None, help)
    }

    /// With a file, none at first. One that a file of settings names lies beside that file, if its path is no whole one.
    pub fn path(self, name: &'static str, help: &'static str) -> Settings {
        self.with(name, Value::Text(String::new()), Limits::Path, help)
    }

    fn with(mut self, name: &'static str, value: Value, limits: Limits, help: &'static str) -> Settings {
        self.rows.retain(|row| row.name != name);
        self.rows.push(Setting { name, help, value, source: Source::Default, limits });
        self
    }

    /// All settings.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.rows.iter()
    }

    /// Gives `name` the value that `text` says.
    ///
    /// # Errors
    /// If there is no such setting, or the text is no value of it.
    pub fn set(&mut self, name: &str, text: &str, source: Source) -> Result<()> {
        let names: Vec<&str> = self.rows.iter().map(|row| row.name).collect();
        let Some(row) = self.rows.iter_mut().find(|row| row.name == name) else {
            let help = did_you_mean(name, names);
            return Err(Error::usage(format!("{source}: there is no setting {name}"), help));
        };
        let value = row.parse(text).map_err(|help| {
            Error::usage(format!("{source}: {name} cannot be {text:?}"), format!("{help} ({})", row.help))
        })?;
        (row.value, row.source) = (value, source);
        Ok(())
    }

    /// Carries out `name=value`, as `--set` takes it.
    ///
    /// # Errors
    /// As for `set`, or if there is no `=`.
    pub fn assign(&mut self, assignment: &str) -> Result<()> {
        let source = Source::Flag(format!("--set {assignment}"));
        match assignment.split_once('=') {
            Some((name, value)) => self.set(name.trim(), value.trim(), source),
            None => Err(Error::usage(
                format!("--set {assignment} has no value"),
                "write --set name=value, such as train.lr=0.1",
            )),
        }
    }

    /// Takes all values of a file that [`Settings::to_toml`] could have written.
    ///
    /// # Errors
    /// If a line is not `[section]` or `key = value`, or as for `set`.
    pub fn read_toml(&mut self, text: &str, path: &Path) -> Result<()> {
        let mut section = "";
        for (number, line) in lines(text) {
            let place = format!("{}:{number}", path.display());
            match line {
                Ok(Line::Section(name)) => section = name,
                Ok(Line::Pair(key, value)) => {
                    let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
                    let is_path = self.rows.iter().any(|row| row.name == name && row.limits == Limits::Path);
                    let value = match path.parent() {
                        Some(folder) if is_path && !value.is_empty() => folder.join(&value).display().to_string(),
                        _ => value,
                    };
                    self.set(&name, &value, Source::File(place))?;
                }
                Err(line) => {
                    let what = format!("{place}: cannot read {line:?}");
                    return Err(Error::usage(what, "each line is [section] or key = value"));
                }
            }
        }
        Ok(())
    }

    /// The settings as TOML, each with where its value came from.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut sections: Vec<&str> = Vec::new();
        self.rows.iter().for_each(|row| {
            if !sections.contains(&row.section()) {
                sections.push(row.section());
            }
        });
        for section in sections {
            let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
            for row in self.rows.iter().filter(|row| row.section() == section) {
                let key = row.name.split_once('.').map_or(row.name, |(_, key)| key);
                let _ = writeln!(
                    text,
                    "{:<34} # {}; {}",
                    format!("{key} = {}", row.value),
                    one_line(&row.source),
                    row.help
                );
            }
        }
        text
    }

    /// What can be set: each name with its default, what it may be, and what it does.
    pub fn to_help(&self) -> String {
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let names = width(&mut self.rows.iter().map(|row| row.name.len()));
        let values = width(&mut self.rows.iter().map(|row| row.value.to_string().chars().count()));
        let mut text = String::new();
        for row in &self.rows {
            let value = row.value.to_string();
            let _ = writeln!(text, "{:names$}  {value:values$}  {}; {}", row.name, row.help, row.kind());
        }
        text
    }

    /// The values by name, as JSON.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let json = |value: &Value| match value {
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Flag(value) => (*value).into(),
            Value::Text(value) => value.clone().into(),
        };
        self.rows.iter().map(|row| (row.name.to_owned(), json(&row.value))).collect()
    }

    /// A whole number.
    ///
    /// # Errors
    /// If no such number was declared.
    pub fn get_int(&self, name: &str) -> Result<i64> {
        match self.value(name)? {
            Value::Int(value) => Ok(*value),
            other => Err(mistyped(name, other, "a whole number")),
        }
    }

    /// A whole number as a size.
    ///
    /// # Errors
    /// As for `get_int`, or if it is negative.
    pub fn get_size(&self, name: &str) -> Result<usize> {
        let value = self.get_int(name)?;
        usize::try_from(value).map_err(|_| mistyped(name, &Value::Int(value), "a size"))
    }

    /// A number.
    ///
    /// # Errors
    /// If no such number was declared.
    pub fn get_float(&self, name: &str) -> Result<f64> {
        match self.value(name)? {
            Value::Float(value) => Ok(*value),
            other => Err(mistyped(name, other, "a number")),
        }
    }

    /// Yes or no.
    ///
    /// # Errors
    /// If no such setting was declared.
    pub fn get_flag(&self, name: &str) -> Result<bool> {
        match self.value(name)? {
            Value::Flag(value) => Ok(*value),
            other => Err(mistyped(name, other, "true or false")),
        }
    }

    /// A word, or any text.
    ///
    /// # Errors
    /// If no such setting was declared.
    pub fn get_word(&self, name: &str) -> Result<&str> {
        match self.value(name)? {
            Value::Text(value) => Ok(value),
            other => Err(mistyped(name, other, "a word")),
        }
    }

    fn value(&self, name: &str) -> Result<&Value> {
        self.rows.iter().find(|row| row.name == name).map(|row| &row.value).ok_or_else(|| {
            Error::usage(
                format!("the recipe declares no setting {name}"),
                did_you_mean(name, self.rows.iter().map(|row| row.name)),
            )
        })
    }
}

/// What belongs into a comment: control characters, such as line ends in a path, would end it.
fn one_line(source: &Source) -> String {
    let mut text = String::new();
    for letter in source.to_string().chars() {
        if letter.is_control() { text.extend(letter.escape_default()) } else { text.push(letter) }
    }
    text
}

fn mistyped(name: &str, value: &Value, wanted: &str) -> Error {
    Error::usage(format!("setting {name} is {value}, not {wanted}"), "declare it with the type that it is read as")
}

impl Setting {
    fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// What its value may be, in words.
    pub fn kind(&self) -> String {
        match &self.limits {
            Limits::Int(limits) if *limits.end() == i64::MAX => format!("a whole number from {}", limits.start()),
            Limits::Int(limits) => format!("a whole number from {} to {}", limits.start(), limits.end()),
            Limits::Float(limits) => format!("a number from {:?} to {:?}", limits.start(), limits.end()),
            Limits::Words(words) => format!("one of {}", words.join(", ")),
            Limits::Path => "a file".to_owned(),
            Limits::None if matches!(self.value, Value::Flag(_)) => "true or false".to_owned(),
            Limits::None => "any text".to_owned(),
        }
    }

    /// The value that `text` says, or what would be one.
    fn parse(&self, text: &str) -> Result<Value, String> {
        match (&self.value, &self.limits) {
            (Value::Int(_), Limits::Int(limits)) => {
                let value = text.replace('_', "").parse().ok().filter(|value| limits.contains(value));
                value.map(Value::Int).ok_or_else(|| self.kind())
            }
            (Value::Float(_), Limits::Float(limits)) => {
                let value = text.parse().ok().filter(|value| limits.contains(value));
                value.map(Value::Float).ok_or_else(|| self.kind())
            }
            (Value::Text(_), Limits::Words(words)) if !words.contains(&text) => Err(self.kind()),
            (Value::Flag(_), _) => text.parse().map(Value::Flag).map_err(|_| self.kind()),
            // The run may be looked at from another folder.
            (_, Limits::Path) if !text.is_empty() => {
                let whole = std::path::absolute(text).map(|path| path.display().to_string());
                Ok(Value::Text(whole.unwrap_or_else(|_| text.to_owned())))
            }
            _ => Ok(Value::Text(text.to_owned())),
        }
    }
}

impl Value {
    /// As [`Settings::set`] takes it.
    pub fn plain(&self) -> String {
        match self {
            Value::Text(value) => value.clone(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Flag(value) => write!(f, "{value}"),
            Value::Text(value) => f.write_str(&quoted(value)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(place) => f.write_str(place),
            Source::Flag(flag) => f.write_str(flag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new()
            .int("train.epochs", 12, 1..=1000, "passes over the training data")
            .float("train.lr", 0.1, 0.0..=100.0, "greatest learning rate")
            .word("train.schedule", "cosine", &["cosine", "constant"], "how the rate changes")
            .flag("data.flip", true, "mirror half of the pictures")
    }

    #[test]
    fn a_value_outside_its_limits_is_refused_with_the_limits() {
        let error = settings().assign("train.epochs=0").unwrap_err().to_string();
        assert_eq!(
            error,
            "--set train.epochs=0: train.epochs cannot be \"0\"\n  \
             help: a whole number from 1 to 1000 (passes over the training data)"
        );
        let error = Settings::new().float("train.lr", 0.1, 0.0..=1e30, "rate").assign("train.lr=-1").unwrap_err();
        assert!(error.to_string().contains("help: a number from 0.0 to 1e30 (rate)"), "{error}");
        for bad in ["train.lr=NaN", "train.lr=-1", "train.lr=fast", "train.schedule=linear", "data.flip=1"] {
            assert!(settings().assign(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_name_gets_its_neighbour() {
        let error = settings().assign("train.epoch=3").unwrap_err().to_string();
        assert_eq!(error, "--set train.epoch=3: there is no setting train.epoch\n  help: did you mean train.epochs?");
    }

    #[test]
    fn a_file_gives_way_to_a_flag_and_the_table_says_so() {
        let mut settings = settings();
        settings.read_toml("[train]\nepochs = 3\nlr = 0.5 # fast\n", Path::new("my.toml")).unwrap();
        settings.assign("train.lr=0.25").unwrap();
        let text = settings.to_toml();
        assert!(text.contains("epochs = 3                         # my.toml:2; passes over"), "{text}");
        assert!(text.contains("lr = 0.25                          # --set train.lr=0.25; greatest"), "{text}");
        assert!(text.contains("[data]\nflip = true                        # default; mirror"), "{text}");
    }

    #[test]
    fn a_file_that_a_file_names_lies_beside_it() {
        let mut settings = settings().path("data.manifest", "what the data must be");
        let manifest = |settings: &Settings| settings.get_word("data.manifest").unwrap().to_owned();
        let here = std::env::current_dir().unwrap();
        settings.read_toml("[data]\nmanifest = \"lists/m.json\"\n", Path::new("some/my.toml")).unwrap();
        assert_eq!(manifest(&settings), here.join("some/lists/m.json").display().to_string());
        // What is written again is whole, and so are those of flags.
        let mut again = self::settings().path("data.manifest", "what the data must be");
        again.read_toml(&settings.to_toml(), Path::new("/runs/mine/config.toml")).unwrap();
        assert_eq!(manifest(&again), manifest(&settings));
        settings.assign("data.manifest=m.json").unwrap();
        assert_eq!(manifest(&settings), here.join("m.json").display().to_string());
        settings.read_toml("[data]\nmanifest = \"/m.json\"\n", Path::new("some/my.toml")).unwrap();
        assert_eq!(manifest(&settings), "/m.json");
        settings.read_toml("[data]\nmanifest = \"\"\n", Path::new("some/my.toml")).unwrap();
        assert_eq!(manifest(&settings), "");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut changed = settings();
        changed.assign("train.schedule=constant").unwrap();
        changed.assign("train.lr=1e-5").unwrap();
        let mut read = settings();
        read.read_toml(&changed.to_toml(), Path::new("config.toml")).unwrap();
        let values = |settings: &Settings| settings.iter().map(|row| row.value.clone()).collect::<Vec<_>>();
        assert_eq!(values(&read), values(&changed));
    }

    #[test]
    fn a_line_end_in_a_source_stays_within_its_comment() {
        let mut changed = settings();
        changed.read_toml("[train]\nlr = 0.5", Path::new("odd\nname = 1\r.toml")).unwrap();
        let text = changed.to_toml();
        assert!(text.contains("# odd\\nname = 1\\r.toml:2; greatest"), "{text}");
        settings().read_toml(&text, Path::new("config.toml")).unwrap();
    }

    #[test]
    fn a_line_that_is_no_setting_is_named() {
        let error = settings().read_toml("[train]\n\nepochs 3\n", Path::new("a.toml")).unwrap_err().to_string();
        assert!(error.starts_with("a.toml:3: cannot read \"epochs 3\""), "{error}");
    }
}
