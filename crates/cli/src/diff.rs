//! `glassbox diff`: what differs between two runs, or between the weights of two checkpoints.

use std::path::{Path, PathBuf};

use glassbox::train::checkpoint::{Checkpoint, newest, of_step};
use glassbox::train::replay::diff::{self, FirstDiff, RunDiff, TensorDiff};
use glassbox::train::{Error, RunDir};
use serde_json::{Value, json};

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `diff`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a run, or of a run and a step of it: RUN@400
    a: String,
    /// The same of the other one
    b: String,
    /// Where the data of both runs lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `diff`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (a, b) = (Side::of(&arguments.a)?, Side::of(&arguments.b)?);
    if a.step.is_none() && b.step.is_none() {
        let open = |side: &Side| zoo::Run::open_on(arguments.machine.cpu()?, &side.run, arguments.data.as_deref());
        let found = diff::runs(&mut *open(&a)?, &mut *open(&b)?)?;
        if arguments.json {
            say(runs_to_json(&arguments.a, &arguments.b, &found));
        } else {
            tell_runs(&arguments.a, &arguments.b, &found);
        }
        return Ok(exit::OK);
    }
    let (from, to) = (a.checkpoint(arguments)?, b.checkpoint(arguments)?);
    let (mut tensors, single) = diff::checkpoints(&from, &to)?;
    if arguments.json {
        let tensors: Vec<Value> = tensors.iter().map(tensor_to_json).collect();
        say(json!({
            "event": "end", "a": arguments.a, "b": arguments.b, "steps": [from.step, to.step], "tensors": tensors,
            "only_in_one": single,
        }));
        return Ok(exit::OK);
    }
    // Those that moved most, for their length, come first.
    tensors.sort_by(|x, y| moved(y).total_cmp(&moved(x)));
    let width = tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0).max("tensor".len());
    say(format_args!("weights of {} (step {}) and {} (step {})", arguments.a, from.step, arguments.b, to.step));
    say(format_args!(
        "{:width$}  {:>9}  {:>11}  {:>11}  {:>11}  changed",
        "tensor", "moved", "distance", "largest", "length"
    ));
    for tensor in &tensors {
        let TensorDiff { name, distance, largest, norms, differ, count, .. } = tensor;
        let share = 100.0 * moved(tensor);
        say(format_args!(
            "{name:width$}  {share:>7.2} %  {distance:>11.6}  {largest:>11.6}  {:>11.6}  {differ} of {count}",
            norms[0]
        ));
    }
    single.iter().for_each(|name| say(format_args!("{name} is in one of them only")));
    Ok(exit::OK)
}

/// The distance for the length at first.
fn moved(tensor: &TensorDiff) -> f64 {
    tensor.distance / tensor.norms[0].max(f64::MIN_POSITIVE)
}

/// A run, or a step of it.
struct Side {
    run: PathBuf,
    step: Option<u64>,
}

impl Side {
    fn of(text: &str) -> Result<Side, Error> {
        match text.rsplit_once('@') {
            Some((run, step)) if !Path::new(text).exists() => {
                let step = step.parse().map_err(|_| {
                    Error::usage(
                        format!("{text}: {step} is no step"),
                        "write RUN@400; without @ whole runs are compared",
                    )
                })?;
                Ok(Side { run: run.into(), step: Some(step) })
            }
            _ => Ok(Side { run: text.into(), step: None }),
        }
    }

    /// The checkpoint of the step (default: the newest), computed again if it is not there.
    fn checkpoint(&self, arguments: &Arguments) -> Result<Checkpoint, Error> {
        let checkpoints = RunDir::open(&self.run)?.checkpoints();
        match self.step {
            None => newest(&checkpoints)?
                .found
                .ok_or_else(|| Error::corrupt(&checkpoints, "it holds no complete checkpoint", "give a step: RUN@400")),
            Some(step) => match of_step(&checkpoints, step) {
                Ok(found) => Ok(found),
                Err(_) => {
                    zoo::Run::open_on(arguments.machine.cpu()?, &self.run, arguments.data.as_deref())?.checkpoint(step)
                }
            },
        }
    }
}

fn tell_runs(a: &str, b: &str, found: &RunDiff) {
    if found.settings.is_empty() {
        say("all settings are the same");
    } else {
        let width = found.settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
        say(format_args!("settings of {a} and {b}:"));
        for setting in &found.settings {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            say(format_args!("  {:width$}  {}  {}", setting.name, value(&setting.a), value(&setting.b)));
        }
    }
    if !found.curve.is_empty() {
        say(format_args!("\n{:>8}  {:>10}  {:>10}  {:>10}  {:>10}", "step", "loss", "loss", "lr", "lr"));
        for point in &found.curve {
            let ([x, y], [p, q]) = (point.loss, point.lr);
            say(format_args!("{:>8}  {x:>10.4}  {y:>10.4}  {p:>10.3e}  {q:>10.3e}", point.step));
        }
    }
    say("");
    match &found.first {
        None if found.common == 0 => say("the ledgers have no step in common"),
        None => say(format_args!("all {} steps that both ledgers hold are the same, bit for bit", found.common)),
        Some(first) => tell_first(first),
    }
}

fn tell_first(first: &FirstDiff) {
    say(format_args!("the first step that differs is {}: {}", first.step, first.recorded.join("; ")));
    let Some(tensor) = &first.tensor else { return };
    let TensorDiff { name, shapes, distance, largest, differ, count, .. } = tensor;
    if shapes[0] == shapes[1] {
        say(format_args!(
            "the first value of it that differs is {name} {:?}: {differ} of {count} numbers, by up to {largest}, length {distance}",
            shapes[0]
        ));
    } else {
        say(format_args!("the first value of it that differs is {name}: {:?} and {:?}", shapes[0], shapes[1]));
    }
    if first.others > 0 {
        say(format_args!("{} others follow", first.others));
    }
}

fn runs_to_json(a: &str, b: &str, found: &RunDiff) -> Value {
    let settings = found.settings.iter().map(|s| json!({ "name": s.name, "a": s.a, "b": s.b }));
    let curve = found.curve.iter().map(|point| json!({ "step": point.step, "loss": point.loss, "lr": point.lr }));
    let first = found.first.as_ref().map(|first| {
        let tensor = first.tensor.as_ref().map(tensor_to_json);
        json!({ "step": first.step, "recorded": first.recorded, "tensor": tensor, "others": first.others })
    });
    json!({
        "event": "end", "a": a, "b": b, "settings": settings.collect::<Vec<_>>(), "curve": curve.collect::<Vec<_>>(),
        "common_steps": found.common, "first": first,
    })
}

fn tensor_to_json(tensor: &TensorDiff) -> Value {
    json!({
        "name": tensor.name, "shapes": tensor.shapes, "lengths": tensor.norms, "distance": tensor.distance,
        "largest": tensor.largest, "differ": tensor.differ, "count": tensor.count,
    })
}
