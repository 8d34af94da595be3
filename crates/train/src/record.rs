//! `run.toml`: what ran, when, where, and how it ended.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::event::Status;
use crate::toml::{Line, lines, quoted};

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Name of the recipe.
    pub recipe: String,
    /// The command line.
    pub command: String,
    /// Version of the library.
    pub version: String,
    /// Seed of everything random.
    pub seed: u64,
    /// How far it came: a word of [`Status`].
    pub status: String,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC; empty before.
    pub ended: String,
    /// The run and the step that it branched from; empty if it did not.
    pub parent: String,
    /// Each time it was resumed: from which step, when, by which command.
    pub resumed: Vec<String>,
    /// Where it ran: facts by name. No result depends on them.
    pub machine: Vec<(String, String)>,
    /// The final figures, by name.
    pub figures: Vec<(String, String)>,
}

impl Record {
    /// The record of a run that begins now.
    pub fn new(recipe: &str, command: &str, seed: u64, machine: &[(&str, String)]) -> Record {
        Record {
            recipe: recipe.to_owned(),
            command: command.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            status: Status::Running.word().to_owned(),
            started: now(),
            ended: String::new(),
            parent: String::new(),
            resumed: Vec::new(),
            machine: machine.iter().map(|(name, fact)| ((*name).to_owned(), fact.clone())).collect(),
            figures: Vec::new(),
        }
    }

    /// The step that it branched at, if it did.
    pub fn branched_at(&self) -> Option<u64> {
        self.parent.rsplit_once(", step ")?.1.parse().ok()
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let texts = [
            ("recipe", &self.recipe),
            ("command", &self.command),
            ("version", &self.version),
            ("status", &self.status),
            ("started", &self.started),
            ("ended", &self.ended),
        ];
        texts.iter().for_each(|(key, value)| {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        });
        let _ = writeln!(text, "seed = {}", self.seed);
        if !self.parent.is_empty() {
            let _ = writeln!(text, "parent = {}", quoted(&self.parent));
        }
        if !self.resumed.is_empty() {
            let _ = writeln!(text, "\n[resumed]");
        }
        self.resumed.iter().enumerate().for_each(|(index, what)| {
            let _ = writeln!(text, "{} = {}", index + 1, quoted(what));
        });
        let _ = writeln!(text, "\n[machine]");
        self.machine.iter().for_each(|(key, value)| {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        });
        text.push_str("\n[figures]\n");
        self.figures.iter().for_each(|(key, value)| {
            let _ = writeln!(text, "{key} = {value}");
        });
        text
    }

    /// From TOML; `path` is for messages.
    ///
    /// # Errors
    /// If it is not a record.
    pub fn from_toml(text: &str, path: &Path) -> Result<Record> {
        let broken = |why: String| Error::corrupt(path, why, "take it from a backup, or train again");
        let mut record = Record::new("", "", 0, &[]);
        let mut section = "";
        let mut seed = None;
        for (number, line) in lines(text) {
            match (section, line) {
                (_, Err(line)) => return Err(broken(format!("line {number} is no setting: {line:?}"))),
                (_, Ok(Line::Section(name))) => section = name,
                ("machine", Ok(Line::Pair(key, value))) => record.machine.push((key.to_owned(), value)),
                ("resumed", Ok(Line::Pair(_, value))) => record.resumed.push(value),
                ("figures", Ok(Line::Pair(key, value))) => record.figures.push((key.to_owned(), value)),
                (_, Ok(Line::Pair(key, value))) => match key {
                    "recipe" => record.recipe = value,
                    "command" => record.command = value,
                    "version" => record.version = value,
                    "status" => record.status = value,
                    "started" => record.started = value,
                    "ended" => record.ended = value,
                    "parent" => record.parent = value,
                    "seed" => seed = value.parse().ok(),
                    // A later version may add keys.
                    _ => {}
                },
            }
        }
        match seed {
            Some(seed) if !record.recipe.is_empty() => Ok(Record { seed, ..record }),
            _ => Err(broken("it names no recipe or no seed".to_owned())),
        }
    }
}

/// The time of day in UTC, as ISO 8601 to the second.
pub(crate) fn now() -> String {
    utc(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

/// The Gregorian date of a Unix time (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(4_102_444_800), "2100-01-01T00:00:00Z");
    }

    #[test]
    fn a_record_survives_its_file() {
        let mut record =
            Record::new("digits", "glassbox train \"my digits\"", u64::MAX, &[("threads", "2".to_owned())]);
        record.parent = "runs/digits-1, step 400".to_owned();
        record.resumed = vec!["from step 7".to_owned(), "from step 9 by \"me\"".to_owned()];
        record.figures = vec![("test_loss".to_owned(), "0.25".to_owned())];
        assert_eq!(Record::from_toml(&record.to_toml(), Path::new("run.toml")).unwrap(), record);
    }
}
