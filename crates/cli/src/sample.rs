//! `glassbox sample`: lets a model of text write on.

use std::io::Write;
use std::path::PathBuf;

use glassbox::train::Error;
use serde_json::json;
use zoo::{Sampling, Writer};

use crate::exit;
use crate::machine::Machine;
use crate::screen::{check, say};

/// Arguments of `sample`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run, of the recipe char-rnn, lstm-text or gpt
    run: PathBuf,
    /// What it goes on with [default: a new line]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prompt: String,
    /// How many letters to write
    #[arg(long, value_name = "N", default_value_t = 500)]
    length: usize,
    /// 1: as probable as the model says; less: likelier letters; 0: the likeliest each time
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Choose among so many of the likeliest letters; 0: all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Seed of the choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object, at the end
    #[arg(long)]
    pub json: bool,
}

/// Carries out `sample`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    if !(arguments.temperature >= 0.0 && arguments.temperature.is_finite()) {
        return Err(Error::usage(
            format!("--temperature {}: it must be 0 or more", arguments.temperature),
            "1 is as the model says, 0 the likeliest letter each time",
        ));
    }
    let (opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    let mut writer = Writer::of(&opened, cpu)?;
    writer.read(&arguments.prompt)?;
    let how = Sampling { temperature: arguments.temperature, top_k: arguments.top_k, seed: arguments.seed };
    if arguments.json {
        let mut text = String::new();
        writer.write(arguments.length, &how, &mut |letter| {
            text.push_str(letter);
            true
        })?;
        let run = arguments.run.display().to_string();
        say(json!({ "event": "end", "run": run, "step": opened.step, "prompt": arguments.prompt, "text": text }));
        return Ok(exit::OK);
    }
    let mut out = std::io::stdout().lock();
    let mut put = |text: &str| {
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        let fine = written.is_ok();
        check(written);
        fine
    };
    if put(&arguments.prompt) {
        writer.write(arguments.length, &how, &mut put)?;
        put("\n");
    }
    Ok(exit::OK)
}
