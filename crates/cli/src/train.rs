//! `glassbox train`: trains a network by a recipe, into the folder of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use glassbox::Cpu;
use glassbox::train::event::{End, duration, grouped};
use glassbox::train::{Error, Event, Job, RunDir, Settings, Source, Status, fit};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::exit;
use crate::screen::{Screen, say};

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Name of the recipe: digits, mlp, fashion, images
    name: String,
    /// Folder of the data; digits and mlp need none
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Passes over the training rows
    #[arg(long, value_name = "N")]
    epochs: Option<String>,
    /// Rows in a step
    #[arg(long, value_name = "N")]
    batch: Option<String>,
    /// Greatest learning rate
    #[arg(long, value_name = "X")]
    lr: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// Threads; changes no result [default: one for each core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Folder of the run, which must not exist [default: runs/NAME-K]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// File of settings, such as the config.toml of a run
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting; `--dry-run` lists them
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Show settings, rows and steps, and stop
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Carries out `train`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let recipe = zoo::find(&arguments.name)?;
    let settings = settings((recipe.settings)(), arguments)?;
    if let Some(out) = &arguments.out {
        RunDir::check_free(out)?;
    }
    let cpu = Cpu::new(arguments.threads)?;
    let mut job = recipe.job(settings, arguments.data.as_deref())?;
    if arguments.dry_run {
        return dry_run(&job, arguments.json);
    }

    let stop = stop_on_signals()?;
    let mut screen = Screen::new(arguments.json);
    let command: Vec<String> = std::iter::once("glassbox".to_owned()).chain(std::env::args().skip(1)).collect();
    let end =
        fit(&cpu, &mut job, arguments.out.as_deref(), &command.join(" "), &stop, &mut |event| screen.show(event))?;
    screen.show(&Event::End(end.clone()));
    if !arguments.json {
        closing_words(&end);
    }
    Ok(if end.status == Status::Interrupted { exit::INTERRUPTED } else { exit::OK })
}

/// The recipe's settings, then those of the file, then those of the flags.
fn settings(mut settings: Settings, arguments: &Arguments) -> Result<Settings, Error> {
    if let Some(path) = &arguments.config {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, "read", source))?;
        settings.read_toml(&text, path)?;
    }
    let flags = [
        ("--epochs", "train.epochs", &arguments.epochs),
        ("--batch", "train.batch", &arguments.batch),
        ("--lr", "train.lr", &arguments.lr),
        ("--seed", "train.seed", &arguments.seed),
    ];
    for (flag, name, value) in flags {
        if let Some(value) = value {
            settings.set(name, value, Source::Flag(format!("{flag} {value}")))?;
        }
    }
    arguments.set.iter().try_for_each(|assignment| settings.assign(assignment))?;
    Ok(settings)
}

/// The first signal asks the loop to stop after its step; the second ends the process at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|source| Error::io(Path::new("signals"), "listen to", source))?;
    }
    Ok(stop)
}

/// What would be trained, and every setting with where its value came from.
fn dry_run(job: &Job, json: bool) -> Result<u8, Error> {
    let rows = [job.splits.train.len(), job.splits.val.as_ref().map_or(0, |val| val.len()), job.splits.test.len()];
    if json {
        let settings: serde_json::Map<String, serde_json::Value> = job.settings.to_json();
        say(json!({
            "event": "end", "recipe": job.recipe, "parameters": job.parameters(), "train_rows": rows[0],
            "val_rows": rows[1], "test_rows": rows[2], "steps": job.steps()?, "settings": settings,
        }));
        return Ok(exit::OK);
    }
    let [train, val, test] = rows.map(grouped);
    say(format_args!("{}: {} parameters", job.recipe, grouped(job.parameters())));
    say(format_args!("rows: {train} to train, {val} to validate, {test} to test; {} steps\n", job.steps()?));
    say(job.settings.to_toml().trim_end());
    Ok(exit::OK)
}

/// The figures, where the run lies, and what to try next.
fn closing_words(end: &End) {
    let run = end.run.display();
    if end.status == Status::Interrupted {
        say(format_args!(
            "stopped after step {}; the checkpoint lies in {run}/checkpoints/step-{:06}",
            end.step, end.step
        ));
        return;
    }
    let figure = |name: &str| end.figures.get(name).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    say(format_args!(
        "test accuracy {:.2} %  balanced {:.2} %  loss {:.4}  ({} rows never trained on)  in {}",
        100.0 * figure("test_accuracy"),
        100.0 * figure("test_balanced_accuracy"),
        figure("test_loss"),
        grouped(figure("test_rows") as usize),
        duration(end.seconds),
    ));
    say(format_args!("run {run}\n\nnext, try:"));
    say(format_args!("  glassbox predict {run} {run}/pictures/test-0.png"));
    say(format_args!("  glassbox show {run}"));
    say(format_args!("  glassbox eval {run}"));
}
