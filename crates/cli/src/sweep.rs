//! `glassbox sweep`: trains a recipe many times under other settings, and compares the trials.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use glassbox::train::event::duration;
use glassbox::train::{Error, Event, Settings, Source, Status};
use serde_json::json;
use zoo::{Sweep, Told, Trial, Tried};

use crate::exit;
use crate::machine::{Machine, cores};
use crate::screen::say;
use crate::shell::quoted;
use crate::train::{command_line, read_config, stop_on_signals};

/// Trials that the screen's table shows; `table.csv` has all.
const SHOWN: usize = 12;

/// Arguments of `sweep`.
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(help = format!("Name of the recipe: {}", zoo::names().join(", ")))]
    name: String,
    /// A setting and what it is tried with: train.batch=32,64 or train.lr=1e-4..1e-1:log, with :5 for five values of a grid
    #[arg(long = "try", value_name = "KEY=VALUES", required = true)]
    tried: Vec<String>,
    /// So many trials drawn at random, instead of every combination
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    random: Option<u32>,
    /// Seed of what is drawn; that of the trainings is the setting train.seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// What trials are compared by: a figure of the validation rows
    #[arg(long, value_name = "FIGURE", default_value = "val_loss")]
    by: String,
    /// Folder of the data; digits and mlp need none
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Passes over the training rows
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    epochs: Option<String>,
    /// File of settings, such as the config.toml of a run
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting of all trials
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Trials at a time [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Folder of the sweep, which must not exist [default: sweeps/NAME-K]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Carries out `sweep`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let recipe = zoo::find(&arguments.name)?;
    let settings = settings((recipe.settings)(), arguments)?;
    let tried: Vec<Tried> = arguments.tried.iter().map(|text| Tried::parse(text)).collect::<Result<_, _>>()?;
    let random = arguments.random.map(|count| count as usize);
    let trials = zoo::trials(&tried, random, arguments.seed, &settings)?;
    let (out, data) = (arguments.out.as_deref(), arguments.data.as_deref());
    let sweep = Sweep::create(out, &recipe, settings, data, &arguments.tried, &arguments.by, trials)?;
    go_on(&sweep, arguments.jobs, &arguments.machine, arguments.json)
}

/// The recipe's settings, then those of the file, then those of the flags.
fn settings(mut settings: Settings, arguments: &Arguments) -> Result<Settings, Error> {
    if let Some(path) = &arguments.config {
        read_config(&mut settings, path)?;
    }
    if let Some(epochs) = &arguments.epochs {
        settings.set("train.epochs", epochs, Source::Flag(format!("--epochs {epochs}")))?;
    }
    arguments.set.iter().try_for_each(|assignment| settings.assign(assignment))?;
    Ok(settings)
}

/// Trains what is left of a sweep, and tells how its trials compare.
pub fn go_on(sweep: &Sweep, jobs: Option<NonZeroUsize>, machine: &Machine, json: bool) -> Result<u8, Error> {
    let threads = if machine.threads == 0 { cores() } else { machine.threads };
    let jobs = jobs.or(NonZeroUsize::new(threads)).unwrap_or(NonZeroUsize::MIN);
    let waiting = NonZeroUsize::new(sweep.waiting().len()).unwrap_or(NonZeroUsize::MIN);
    let jobs = jobs.min(waiting);
    let each = (threads / jobs).max(1);
    let dir = sweep.dir().display().to_string();
    if !json {
        say(format_args!("{dir}: {} trials, {jobs} at a time, compared by {}", sweep.len(), sweep.by()));
    }
    let stop = stop_on_signals()?;
    let trained = sweep.run(jobs, each, &command_line(), &stop, &mut |told| tell(sweep, &told, json));
    let written = sweep.report();
    trained?;
    let written = written?;
    let results = sweep.results()?;
    let ended =
        |trial: &&Trial| trial.status.as_deref().is_some_and(|status| ["finished", "diverged"].contains(&status));
    let left = sweep.len() - results.iter().filter(ended).count();
    let interrupted = stop.load(Ordering::Relaxed) && left > 0;
    if json {
        say(json!({
            "event": "end", "sweep": dir, "status": if interrupted { "interrupted" } else { "finished" }, "left": left,
            "trials": results.iter().map(to_json).collect::<Vec<_>>(), "written": written,
        }));
    } else {
        closing_words(sweep, &results, left);
    }
    Ok(if interrupted { exit::INTERRUPTED } else { exit::OK })
}

/// One line for each trial that ends; everything as objects.
fn tell(sweep: &Sweep, told: &Told, json: bool) {
    match told {
        Told::Run(trial, event) if json => {
            let mut object = event.to_json();
            object["trial"] = json!(trial);
            // The figures of its test rows are nobody's business before a trial is chosen.
            if let Some(object) = object.as_object_mut() {
                object.retain(|name, _| !name.starts_with("test_"));
            }
            if matches!(event, Event::End(_)) {
                // The end is that of the sweep.
                object["event"] = json!("trial");
            }
            // A step of each of many trainings is more than anybody reads.
            if !matches!(event, Event::Step(_)) {
                say(object);
            }
        }
        Told::Diverged(trial, why) if json => say(json!({ "event": "diverged", "trial": trial, "message": why })),
        Told::Run(number, Event::End(end)) => {
            let figure = sweep.result(*number).ok().and_then(|trial| trial.figure);
            let figure = figure.map_or(String::new(), |figure| format!("{} {figure:.4}  ", sweep.by()));
            let how = if end.status == Status::Finished { "" } else { "stopped, " };
            say(format_args!("trial {number:>3}  {figure}{how}{} steps in {}", end.step, duration(end.seconds)));
        }
        Told::Diverged(number, why) => {
            say(format_args!("trial {number:>3}  diverged: {}", why.lines().next().unwrap_or_default()));
        }
        Told::Run(number, Event::Note(note)) => say(format_args!("trial {number:>3}  note: {note}")),
        Told::Run(..) => {}
    }
}

fn to_json(trial: &Trial) -> serde_json::Value {
    let tried: serde_json::Map<String, _> =
        trial.assignment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "trial": trial.number, "tried": tried, "status": trial.status, "figure": trial.figure, "epoch": trial.epoch,
        "run": trial.run,
    })
}

/// The best trials, and what to do with the very best.
fn closing_words(sweep: &Sweep, results: &[Trial], left: usize) {
    let names: Vec<&str> =
        results.first().into_iter().flat_map(|trial| &trial.assignment).map(|(name, _)| name.as_str()).collect();
    let wide = |name: &str| {
        results.iter().flat_map(|trial| &trial.assignment).filter(|one| one.0 == name).map(|one| one.1.len()).max()
    };
    let widths: Vec<usize> = names.iter().map(|name| wide(name).unwrap_or(0).max(name.len())).collect();
    let row = |cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        cells.join("  ")
    };
    say(format_args!(
        "\ntrial  {}  {:>12}  epoch",
        row(names.iter().map(|name| (*name).to_owned()).collect()),
        sweep.by()
    ));
    for trial in results.iter().take(SHOWN) {
        let figure = match (trial.figure, trial.status.as_deref()) {
            (Some(figure), _) => format!("{figure:.5}"),
            (None, status) => status.unwrap_or("waiting").to_owned(),
        };
        let values = row(trial.assignment.iter().map(|(_, value)| value.clone()).collect());
        say(format_args!("{:>5}  {values}  {figure:>12}  {:>5}", trial.number, trial.epoch));
    }
    if results.len() > SHOWN {
        say(format_args!("  ... and {} more", results.len() - SHOWN));
    }
    let dir = sweep.dir().display().to_string();
    say(format_args!("all of them: {dir}/table.csv, {dir}/sweep.svg"));
    if left > 0 {
        say(format_args!("\n{left} trials are not done; to go on:\n  glassbox resume {}", quoted(&dir)));
        return;
    }
    if let Some(best) = results.first().filter(|best| best.figure.is_some()) {
        let run = best.run.display().to_string();
        let run = quoted(&run);
        say(format_args!(
            "\nthe best is trial {}; it alone may be measured on the test rows:\n  glassbox eval {run}",
            best.number
        ));
        say(format_args!("  glassbox open {}", quoted(&dir)));
    }
}
