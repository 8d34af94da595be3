//! `glassbox resume`: goes on with a run, with a branch of it, or with a sweep.

use std::path::{Path, PathBuf};

use glassbox::train::{Error, RunDir, Settings, Source, branch, branch_from, resume};

use crate::machine::Machine;
use crate::screen::Screen;
use crate::sweep;
use crate::train::{command_line, finish, stop_on_signals};

/// Arguments of `resume`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run, or of a sweep
    run: PathBuf,
    /// Branch from this step, which is computed again if it has no checkpoint [default: the newest checkpoint]
    #[arg(long, value_name = "STEP", requires = "name")]
    from: Option<u64>,
    /// Leave the run as it is, and go on in a new one of this name beside it (or at this path, if it has a slash)
    #[arg(long = "as", value_name = "NAME")]
    name: Option<PathBuf>,
    /// Train for N epochs in all, or for N more with +N
    #[arg(long, value_name = "[+]N", allow_negative_numbers = true)]
    epochs: Option<String>,
    /// A setting; without --as only those that say how long to train or that change no result
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the data of the run lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Carries out `resume`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    if zoo::Sweep::is_at(&arguments.run) {
        return resume_sweep(arguments);
    }
    let mut run = RunDir::open(&arguments.run)?;
    let cpu = arguments.machine.cpu()?;
    // Made again from the run's own settings, if it is not there any more.
    let found = match (&arguments.name, arguments.from) {
        (Some(_), Some(step)) => {
            let past = zoo::Run::open_on(arguments.machine.cpu()?, &arguments.run, arguments.data.as_deref());
            Some(past?.checkpoint(step)?)
        }
        _ => None,
    };
    let change = |settings: &mut Settings| changes(settings, arguments);
    let mut job = zoo::reopen(&run, arguments.data.as_deref(), change)?;
    let command = command_line();
    if let Some(name) = &arguments.name {
        let place = place(&arguments.run, name);
        run = match &found {
            Some(found) => branch_from(&mut job, &run, found, &place, &command)?,
            None => branch(&mut job, &run, None, &place, &command)?,
        };
    }
    let stop = stop_on_signals()?;
    let mut screen = Screen::new(arguments.json);
    let end = resume(&cpu, &mut job, run, &command, &stop, &mut |event| screen.show(event));
    finish(screen, end, arguments.json)
}

/// Goes on with a sweep, as it was begun.
fn resume_sweep(arguments: &Arguments) -> Result<u8, Error> {
    let changed = arguments.name.is_some() || arguments.epochs.is_some() || !arguments.set.is_empty();
    if changed || arguments.data.is_some() {
        return Err(Error::usage(
            format!("{} is a sweep: it goes on as it was begun", arguments.run.display()),
            "leave out --from, --as, --epochs, --set and --data, or begin another sweep; its trials are runs that can be resumed alone",
        ));
    }
    sweep::go_on(&zoo::Sweep::open(&arguments.run)?, None, &arguments.machine, arguments.json)
}

/// Where the branch `name` of `run` lies.
fn place(run: &Path, name: &Path) -> PathBuf {
    if name.components().count() > 1 {
        return name.to_owned();
    }
    // A run that is given as `.` lies beside its neighbours too.
    let whole = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    match run.parent() {
        Some(parent) if run.file_name().is_some() => parent.join(name),
        _ => whole.parent().map_or_else(|| name.to_owned(), |parent| parent.join(name)),
    }
}

fn changes(settings: &mut Settings, arguments: &Arguments) -> Result<(), Error> {
    if let Some(text) = &arguments.epochs {
        let source = Source::Flag(format!("--epochs {text}"));
        let more = text.strip_prefix('+').map(|more| more.parse::<i64>());
        let epochs = match more {
            Some(Ok(more)) => settings.get_int("train.epochs")?.saturating_add(more).to_string(),
            _ => text.clone(),
        };
        settings.set("train.epochs", &epochs, source)?;
    }
    arguments.set.iter().try_for_each(|assignment| settings.assign(assignment))
}
