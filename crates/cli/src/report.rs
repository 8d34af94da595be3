//! `glassbox report`: a run on one page, as a table, or for TensorBoard.

use std::path::{Path, PathBuf};

use glassbox::train::report::{Answers, Numbers, REPORT, Report, Series};
use glassbox::train::tensorboard::Board;
use glassbox::train::{Error, Goal, RunDir, Status, rows_hash};
use serde_json::json;

use crate::eval::OTHER_ROWS;
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
    let (mut written, mut notes) = (Vec::new(), Vec::new());
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
        notes = page(arguments, &run, &path)?;
        written.push(path);
    }
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    if arguments.json {
        say(json!({
            "event": "end", "run": arguments.run.display().to_string(), "written": written, "notes": notes,
        }));
    } else {
        written.iter().for_each(|path| say(format_args!("wrote {path}")));
    }
    Ok(exit::OK)
}

/// Writes the page, and gives its notes; without data or weights it lacks what the network answers, and says so.
fn page(arguments: &Arguments, run: &RunDir, path: &Path) -> Result<Vec<String>, Error> {
    let Asked { answers, numbers, notes } = asked(arguments).unwrap_or_else(|error| {
        let text = error.to_string();
        let note = format!("there are no answers on this page: {}", text.lines().next().unwrap_or_default());
        Asked { notes: vec![note], ..Asked::default() }
    });
    if !arguments.json {
        notes.iter().for_each(|note| say(format_args!("note: {note}")));
    }
    let mut report = Report::of(run, None, answers.as_ref(), notes.clone())?.with_numbers(numbers.as_ref());
    if run.record().status == Status::Diverged.word() {
        // Without it the page says what to ask.
        let found = zoo::Run::open_on(arguments.machine.cpu()?, &arguments.run, arguments.data.as_deref());
        if let Ok(why) = found.and_then(|mut run| run.why(None)) {
            report = report.with_why(why);
        }
    }
    report.write(path).map_err(|error| match error {
        Error::Io { source, .. } if arguments.out.is_none() => Error::usage(
            format!("cannot write {}: {source}", path.display()),
            "choose another place for the page with --out FILE",
        ),
        other => other,
    })?;
    Ok(notes)
}

/// What the network answers, if that is a class or a number a row, and what the reader should know of it.
#[derive(Default)]
struct Asked {
    answers: Option<Answers>,
    numbers: Option<Numbers>,
    notes: Vec<String>,
}

fn asked(arguments: &Arguments) -> Result<Asked, Error> {
    let opened = zoo::open(&arguments.run)?;
    if opened.input.goal == Goal::Symbols {
        return Ok(Asked { notes: opened.notes, ..Asked::default() });
    }
    let cpu = arguments.machine.cpu()?;
    let splits = opened.splits(arguments.data.as_deref())?;
    let mut notes = opened.notes;
    if !notes.is_empty() {
        notes.push(format!("the answers on this page are those of step {}", opened.step));
    }
    if rows_hash(splits.test.as_ref())? != opened.test_hash {
        notes.push(OTHER_ROWS.to_owned());
    }
    let batch = opened.settings.get_size("eval.batch")?;
    let (model, input) = (opened.model.as_ref(), &opened.input);
    if input.goal.is_number() {
        let numbers = Numbers::of(&cpu, model, splits.test, input, batch)?;
        return Ok(Asked { numbers: Some(numbers), notes, answers: None });
    }
    let answers = Answers::of(&cpu, model, splits.test, input, batch)?;
    Ok(Asked { answers: Some(answers), notes, numbers: None })
}
