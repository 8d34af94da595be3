//! `glassbox report`: a run on one page, as a table, or for TensorBoard.

use std::path::{Path, PathBuf};

use glassbox::train::report::{Answers, REPORT, Report, Series};
use glassbox::train::tensorboard::Board;
use glassbox::train::{Error, RunDir, check_classes};
use serde_json::json;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// The page to write [default: RUN/report.html]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the figures of all steps and epochs as a table instead
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the figures as an event file for TensorBoard into this folder instead
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Where the data of the run lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `report`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let run = RunDir::open(&arguments.run)?;
    let mut written = Vec::new();
    if let Some(path) = &arguments.csv {
        Series::read(&run)?.write_csv(path)?;
        written.push(path.clone());
    }
    if let Some(dir) = &arguments.tensorboard {
        Board::create(dir, 0)?.whole_run(&run)?;
        written.push(dir.clone());
    }
    if written.is_empty() || arguments.out.is_some() {
        let path = arguments.out.clone().unwrap_or_else(|| arguments.run.join(REPORT));
        page(arguments, &run, &path)?;
        written.push(path);
    }
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    if arguments.json {
        say(json!({ "event": "end", "run": arguments.run.display().to_string(), "written": written }));
    } else {
        written.iter().for_each(|path| say(format_args!("wrote {path}")));
    }
    Ok(exit::OK)
}

/// Writes the page; without data or weights it lacks what the network answers, and says so.
fn page(arguments: &Arguments, run: &RunDir, path: &Path) -> Result<(), Error> {
    let (answers, notes) = match answers(arguments) {
        Ok(answers) => (Some(answers), Vec::new()),
        Err(error) => {
            let text = error.to_string();
            (None, vec![format!("there are no answers on this page: {}", text.lines().next().unwrap_or_default())])
        }
    };
    if !arguments.json {
        notes.iter().for_each(|note| say(format_args!("note: {note}")));
    }
    Report::of(run, None, answers.as_ref(), notes)?.write(path).map_err(|error| match error {
        Error::Io { source, .. } if arguments.out.is_none() => Error::usage(
            format!("cannot write {}: {source}", path.display()),
            "choose another place for the page with --out FILE",
        ),
        other => other,
    })
}

fn answers(arguments: &Arguments) -> Result<Answers, Error> {
    let opened = zoo::open(&arguments.run)?;
    let cpu = arguments.machine.cpu()?;
    let splits = (opened.recipe.splits)(&opened.settings, opened.data_dir(arguments.data.as_deref())?)?;
    check_classes(&opened.input, splits.test.class_names())?;
    let batch = opened.settings.get_size("eval.batch")?;
    Answers::of(&cpu, opened.model.as_ref(), splits.test, &opened.input, batch)
}
