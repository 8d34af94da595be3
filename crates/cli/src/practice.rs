//! `glassbox experiment` on training in practice: runs side by side, and the pictures that they make.

use std::fs;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use glassbox::see::picture::write_svg;
use glassbox::train::{Error, Event, replace_file};
use serde_json::json;
use zoo::practice::{Bench, EXPERIMENTS};

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;
use crate::train::{command_line, stop_on_signals};

/// Arguments of an experiment.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the data, such as MNIST's [default: the digits that ship with the program]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Any setting of the recipe (dense; of degradation images, of adding-problem adding), for all runs of the experiment
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where to keep the runs, the pictures and numbers.json; what was stopped there goes on [default: experiments/NAME]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// One of [`EXPERIMENTS`], as asked for: a subcommand for each of them.
pub struct Practice {
    name: String,
    pub arguments: Arguments,
}

impl FromArgMatches for Practice {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Practice, clap::Error> {
        let (name, matches) =
            matches.subcommand().ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        Ok(Practice { name: name.to_owned(), arguments: Arguments::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Practice::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Practice {
    fn augment_subcommands(command: Command) -> Command {
        EXPERIMENTS.iter().fold(command, |command, one| {
            command.subcommand(Arguments::augment_args(Command::new(one.name)).about(one.about).long_about(None))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Practice::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        EXPERIMENTS.iter().any(|one| one.name == name)
    }
}

/// Makes an experiment.
pub fn run(practice: &Practice) -> Result<u8, Error> {
    let Practice { name, arguments } = practice;
    let experiment = EXPERIMENTS.into_iter().find(|one| one.name == name);
    let experiment = experiment
        .ok_or_else(|| Error::usage(format!("there is no experiment {name}"), "see glassbox experiment --help"))?;
    let cpu = arguments.machine.cpu()?;
    let dir = arguments.out.clone().unwrap_or_else(|| PathBuf::from("experiments").join(name));
    fs::create_dir_all(&dir).map_err(|source| Error::io(&dir, "create", source))?;
    let stop = stop_on_signals()?;
    let json = arguments.json;
    let mut listen = |run: &str, event: &Event| tell(run, event, json);
    let command = command_line();
    let mut bench = Bench {
        cpu: &cpu,
        dir: &dir,
        data: arguments.data.as_deref(),
        set: &arguments.set,
        command: &command,
        stop: &stop,
        stopped: false,
        listen: &mut listen,
    };
    let found = match (experiment.make)(&mut bench) {
        Err(_) if bench.stopped => {
            if json {
                say(json!({ "event": "end", "experiment": name, "status": "interrupted" }));
            } else {
                say("stopped; the same command goes on with it");
            }
            return Ok(exit::INTERRUPTED);
        }
        found => found?,
    };
    let mut written = Vec::new();
    for (picture, svg) in &found.pictures {
        let path = dir.join(picture);
        write_svg(&path, svg)?;
        written.push(path.display().to_string());
    }
    let numbers = dir.join("numbers.json");
    replace_file(&numbers, format!("{:#}\n", found.numbers).as_bytes())?;
    written.push(numbers.display().to_string());
    if json {
        say(json!({ "event": "end", "experiment": name, "numbers": found.numbers, "written": written }));
        return Ok(exit::OK);
    }
    say("");
    found.words.iter().for_each(say);
    say(format_args!("\nwrote {}", written.join(", ")));
    Ok(exit::OK)
}

/// A line for each run that ends.
fn tell(run: &str, event: &Event, json: bool) {
    match event {
        Event::Step(_) => {}
        _ if json => {
            let mut object = event.to_json();
            object["run_name"] = json!(run);
            if matches!(event, Event::End(_)) {
                // The end is that of the experiment.
                object["event"] = json!("run");
            }
            say(object);
        }
        Event::Note(note) => say(format_args!("{run}: {note}")),
        Event::End(end) => say(format_args!("{run}: {} after {} steps", end.status.word(), end.step)),
        _ => {}
    }
}
