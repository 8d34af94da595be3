//! `report.html`: a run on one page that needs nothing else, not even a network. Curves, confusion with the pictures behind each
//! cell, the first batch as fed, answers right and wrong, settings and where they came from, data.

mod answers;
mod chart;
pub mod embed;
mod numbers;
mod page;
mod sections;
mod series;
mod sheet;
mod stopped;

pub use answers::{Answer, Answers};
pub use chart::{number, round_steps};
pub use embed::png_uri;
pub use numbers::{Numbers, Said};
pub use series::Series;

use std::path::Path;

use data::Image;
use serde_json::{Map, Value};

use crate::durable;
use crate::error::Result;
use crate::record::Record;
use crate::run_dir::RunDir;
use crate::why::Why;

/// Name of the page in a run's folder.
pub const REPORT: &str = "report.html";

/// All that a page says.
pub struct Report<'a> {
    record: Record,
    /// Where the run lay when the page was written.
    place: String,
    figures: Map<String, Value>,
    config: String,
    data: Value,
    series: Series,
    /// The first batch, as a PNG.
    first_batch: Option<Vec<u8>>,
    answers: Option<&'a Answers>,
    numbers: Option<&'a Numbers>,
    /// Why something is missing.
    notes: Vec<String>,
    /// The error that ended the training, if one did.
    stopped: Option<String>,
    /// What was found of it.
    why: Option<Why>,
}

impl<'a> Report<'a> {
    /// The page of a run. `figures` are the final ones, where `run.toml` does not hold them yet; `answers` are shown if there
    /// are any; `notes` say why something is missing.
    ///
    /// # Errors
    /// If a file of the run cannot be read.
    pub fn of(
        run: &RunDir,
        figures: Option<Map<String, Value>>,
        answers: Option<&'a Answers>,
        notes: Vec<String>,
    ) -> Result<Report<'a>> {
        let record = run.record().clone();
        let noted =
            || record.figures.iter().filter_map(|(name, text)| Some((name.clone(), text.parse().ok()?))).collect();
        let picture = run.path().join("pictures").join("first-batch.png");
        Ok(Report {
            figures: figures.unwrap_or_else(noted),
            place: run.path().display().to_string(),
            config: run.config()?.0,
            data: run.data_json()?,
            series: Series::read(run)?,
            first_batch: if picture.is_file() { Some(durable::read(&picture)?) } else { None },
            stopped: stopped::error_of(run),
            why: None,
            record,
            answers,
            numbers: None,
            notes,
        })
    }

    /// With the numbers that were said, where a number is predicted.
    pub fn with_numbers(self, numbers: Option<&'a Numbers>) -> Report<'a> {
        Report { numbers, ..self }
    }

    /// With what stands out in the run, for the page of one that diverged.
    pub fn with_why(self, why: Why) -> Report<'a> {
        Report { why: Some(why), ..self }
    }

    /// Writes `curves.svg` and `predictions.svg` into the folder `pictures`, as far as there is something to draw.
    ///
    /// # Errors
    /// If a row cannot be read, or a file cannot be written.
    pub fn write_pictures(&self, pictures: &Path) -> Result<()> {
        let predictions = match self.numbers {
            Some(numbers) => Some(sheet::numbers(numbers)),
            None => self.answers.map(sheet::predictions).transpose()?.flatten(),
        };
        for (name, svg) in [("curves.svg", sheet::curves(self)), ("predictions.svg", predictions)] {
            svg.map_or(Ok(()), |svg| durable::replace(&pictures.join(name), svg.as_bytes()))?;
        }
        Ok(())
    }

    /// The page.
    ///
    /// # Errors
    /// If a row that is to be shown cannot be read.
    pub fn to_html(&self) -> Result<String> {
        page::page(self)
    }

    /// Writes the page, whole or not at all: a training that ends and `glassbox report` may do so at once.
    ///
    /// # Errors
    /// If it cannot be written, or as for `to_html`.
    pub fn write(&self, path: &Path) -> Result<()> {
        durable::replace_shared(path, self.to_html()?.as_bytes())
    }
}

/// What shows a row on the page: its picture, or the beginning of its text; nothing of others.
fn face_of(answers: &Answers, row: usize) -> Result<String> {
    const LETTERS: usize = 280;
    Ok(match (answers.rows.words(row), picture_of(answers, row)?) {
        (Some(text), _) => {
            let more = if text.chars().nth(LETTERS).is_some() { "…" } else { "" };
            format!("<p class=\"words\">{}{more}</p>", page::escaped(&text.chars().take(LETTERS).collect::<String>()))
        }
        (None, Some(uri)) => format!("<img alt=\"\" src=\"{uri}\">"),
        (None, None) => String::new(),
    })
}

/// What rows are, in a word.
fn rows_are(answers: &Answers) -> &'static str {
    if answers.rows.words(0).is_some() { "texts" } else { "pictures" }
}

/// The picture of a row, if it is one.
fn picture_of(answers: &Answers, row: usize) -> Result<Option<String>> {
    let sample = answers.rows.get(row)?;
    let [channels @ (1 | 3), height, width] = sample.shape[..] else { return Ok(None) };
    Ok(Some(embed::picture_uri(Image { channels, height, width, pixels: sample.x })?))
}

#[cfg(test)]
mod tests;
