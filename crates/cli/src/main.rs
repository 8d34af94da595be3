//! The `glassbox` binary: trains networks and opens them. One file for each command.

mod bench;
mod doctor;
mod eval;
mod exit;
mod predict;
mod screen;
mod show;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A deep-learning system whose networks open.
#[derive(Parser)]
#[command(name = "glassbox", version, about, propagate_version = true)]
#[command(after_help = "Try: glassbox train digits\n\n\
    Exit codes: 0 ok, 2 usage, 3 data, 5 diverged, 6 corrupt, 130 interrupted.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network by a recipe
    Train(train::Arguments),
    /// Measure a run on its test rows, or on other data
    Eval(eval::Arguments),
    /// Say what pictures show
    Predict(predict::Arguments),
    /// Show the layers of a run or a recipe, and its plan
    Show(show::Arguments),
    /// Look at this machine and test that it computes right
    Doctor(doctor::Arguments),
    /// Time nets and ops, and the two ceilings of this machine
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let (json, outcome) = match Arguments::parse().command {
        Command::Train(arguments) => (arguments.json, train::run(&arguments)),
        Command::Eval(arguments) => (arguments.json, eval::run(&arguments)),
        Command::Predict(arguments) => (arguments.json, predict::run(&arguments)),
        Command::Show(arguments) => (arguments.json, show::run(&arguments)),
        Command::Doctor(arguments) => (arguments.json, doctor::run(&arguments)),
        Command::Bench(arguments) => (arguments.json, bench::run(&arguments)),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            screen::error(&error, json);
            ExitCode::from(exit::code(&error))
        }
    }
}
