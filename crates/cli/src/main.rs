//! The `glassbox` binary: trains networks and opens them. One file for each command.

mod bench;
mod data;
mod diff;
mod doctor;
mod dry_run;
mod eval;
mod exit;
mod experiment;
mod explain;
mod machine;
mod open;
mod practice;
mod predict;
mod replay;
mod report;
mod resume;
mod sample;
mod screen;
mod shell;
mod show;
mod step;
mod sweep;
mod train;
mod why;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A deep-learning system whose networks open.
#[derive(Parser)]
#[command(name = "glassbox", version, about, propagate_version = true)]
#[command(after_help = "Try: glassbox train digits\n\n\
    Exit codes: 0 ok, 1 internal, 2 usage, 3 data, 4 system, 5 diverged, 6 corrupt, 130 interrupted.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network by a recipe
    Train(train::Arguments),
    /// Go on with a run that was interrupted or killed, extend it, or branch from it
    Resume(resume::Arguments),
    /// Train a recipe many times under other settings, and compare: a grid, or settings drawn at random
    Sweep(sweep::Arguments),
    /// Measure a run on its test rows, or on other data
    Eval(eval::Arguments),
    /// Say what pictures show, or what belongs to rows of a table
    Predict(predict::Arguments),
    /// Let a model of text write on
    Sample(sample::Arguments),
    /// Say what an answer hangs on, draw it, and check it: gradients, Grad-CAM, occlusion
    Explain(explain::Arguments),
    /// Make an experiment of history or of practice: hubel-wiesel, learning-rate, fitting, ...
    Experiment(experiment::Arguments),
    /// Make steps of a run again, and compare them with what was recorded
    Replay(replay::Arguments),
    /// Show the layers of a run or a recipe, its plan, or any value of any step and where it comes from
    Show(show::Arguments),
    /// Open runs on a local page: curves, every value of every step, every layer of every answer
    Open(open::Arguments),
    /// Say what stands out in a run, and why: spikes, NaN, odd rows, dead units, plateaus
    Why(why::Arguments),
    /// Compare two runs, or the weights of two steps
    Diff(diff::Arguments),
    /// Write a run as one page, as a table, or for TensorBoard
    Report(report::Arguments),
    /// Look at a dataset: what it holds, what is broken, double or leaks; write or check its manifest
    Data(data::Arguments),
    /// Look at this machine and test that it computes right
    Doctor(doctor::Arguments),
    /// Time nets and ops, and the two ceilings of this machine
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    let (json, outcome) = match arguments.command {
        Command::Train(arguments) => (arguments.json, train::run(&arguments)),
        Command::Resume(arguments) => (arguments.json, resume::run(&arguments)),
        Command::Sweep(arguments) => (arguments.json, sweep::run(&arguments)),
        Command::Eval(arguments) => (arguments.json, eval::run(&arguments)),
        Command::Predict(arguments) => (arguments.json, predict::run(&arguments)),
        Command::Sample(arguments) => (arguments.json, sample::run(&arguments)),
        Command::Explain(arguments) => (arguments.json, explain::run(&arguments)),
        Command::Experiment(arguments) => (arguments.json(), experiment::run(&arguments)),
        Command::Replay(arguments) => (arguments.json, replay::run(&arguments)),
        Command::Show(arguments) => (arguments.json, show::run(&arguments)),
        Command::Open(arguments) => (arguments.json, open::run(&arguments)),
        Command::Why(arguments) => (arguments.json, why::run(&arguments)),
        Command::Diff(arguments) => (arguments.json, diff::run(&arguments)),
        Command::Report(arguments) => (arguments.json, report::run(&arguments)),
        Command::Data(arguments) => (arguments.json, data::run(&arguments)),
        Command::Doctor(arguments) => (arguments.json, doctor::run(&arguments)),
        Command::Bench(arguments) => (arguments.json, bench::run(&arguments)),
    };
    let code = outcome.unwrap_or_else(|error| {
        let code = exit::code(&error);
        screen::error(&error, json);
        if json {
            screen::failed(code);
        }
        code
    });
    end(code)
}

/// A command line that makes no sense, or one that asks for help or the version.
fn not_understood(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if !error.use_stderr() {
        screen::check(printed);
        return end(exit::OK);
    }
    if std::env::args_os().any(|word| word == "--json") {
        let message = error.to_string();
        screen::say(serde_json::json!({ "event": "error", "code": exit::USAGE, "message": message.trim_end() }));
        screen::failed(exit::USAGE);
    }
    end(exit::USAGE)
}

/// The exit code, unless what was to be printed was lost.
fn end(code: u8) -> ExitCode {
    match screen::failure() {
        Some(why) if code == exit::OK => {
            let help = "free some space, or send it elsewhere";
            let _ = writeln!(std::io::stderr(), "error: cannot write standard output: {why}\n  help: {help}");
            ExitCode::from(exit::SYSTEM)
        }
        _ => ExitCode::from(code),
    }
}
