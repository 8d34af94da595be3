//! The figures of a run, from its `metrics.jsonl`: as curves, and as a table for other programs.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::run_dir::RunDir;

/// The figures of a run, one object for each step and each end of an epoch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    lines: Vec<Map<String, Value>>,
}

impl Series {
    /// Reads the figures of a run up to the first torn line.
    ///
    /// # Errors
    /// If the file cannot be read. A run that has none yet has no figures.
    pub fn read(run: &RunDir) -> Result<Series> {
        let path = run.path().join("log").join("metrics.jsonl");
        if !path.is_file() {
            return Ok(Series::default());
        }
        let text = crate::durable::read(&path)?;
        let objects = text.split(|&byte| byte == b'\n').map(|line| serde_json::from_slice(line).ok());
        Ok(Series { lines: objects.map_while(|object| object).collect() })
    }

    /// Step and value of a figure, where it is a number: `loss` of each step, `val_loss` of each epoch.
    pub fn of(&self, event: &str, name: &str) -> Vec<(f64, f64)> {
        let point = |line: &Map<String, Value>| Some((line.get("step")?.as_f64()?, line.get(name)?.as_f64()?));
        self.of_event(event).filter_map(point).collect()
    }

    /// The lines of an event.
    pub fn of_event(&self, event: &str) -> impl Iterator<Item = &Map<String, Value>> {
        self.lines.iter().filter(move |line| line.get("event").and_then(Value::as_str) == Some(event))
    }

    /// All figures as CSV: a row for each line, a column for each name, in the order in which the names come up.
    pub fn to_csv(&self) -> String {
        let mut columns: Vec<&String> = Vec::new();
        for name in self.lines.iter().flat_map(Map::keys) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        // What every line has comes first, whatever the order of an object's names.
        columns.sort_by_key(|name| {
            ["event", "epoch", "epochs", "step", "steps"].iter().position(|first| first == *name).unwrap_or(9)
        });
        let mut text = columns.iter().map(|name| cell(name)).collect::<Vec<_>>().join(",") + "\n";
        for line in &self.lines {
            let cells: Vec<String> = columns
                .iter()
                .map(|name| match line.get(*name) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => cell(text),
                    Some(value) => cell(&value.to_string()),
                })
                .collect();
            text += &(cells.join(",") + "\n");
        }
        text
    }

    /// Writes the figures as CSV.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_csv()).map_err(|source| Error::io(path, "write", source))
    }
}

/// A cell as RFC 4180 has it.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn series() -> Series {
        let lines = [
            json!({"event": "step", "step": 1, "loss": 0.5}),
            json!({"event": "epoch", "step": 1, "val_loss": 0.25, "note": "a, \"b\""}),
            json!({"event": "step", "step": 2, "loss": 0.125}),
        ];
        Series { lines: lines.iter().filter_map(|line| line.as_object().cloned()).collect() }
    }

    #[test]
    fn a_table_has_every_name_as_a_column() {
        let text = series().to_csv();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(
            rows,
            ["event,step,loss,note,val_loss", "step,1,0.5,,", "epoch,1,,\"a, \"\"b\"\"\",0.25", "step,2,0.125,,"]
        );
    }

    #[test]
    fn a_curve_is_the_points_of_one_figure() {
        assert_eq!(series().of("step", "loss"), [(1.0, 0.5), (2.0, 0.125)]);
        assert_eq!(series().of("epoch", "val_loss"), [(1.0, 0.25)]);
        assert!(series().of("epoch", "loss").is_empty());
    }
}
