//! `glassbox show RUN --step N`: the values of a step of the past.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use glassbox::Array;
use glassbox::data::write_png;
use glassbox::tensor::Values;
use glassbox::train::Error;
use glassbox::train::heat::picture;
use glassbox::train::pictures::write_batch;
use glassbox::train::replay::{At, Explained, Kind, Named, Stats};
use serde_json::{Value, json};

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `show` that ask for a step.
#[derive(clap::Args)]
pub struct Arguments {
    /// A step of the run, from 1: its values are computed again
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// A value of the step: conv1/weight, conv1/relu, input, loss, '#123'; also NAME.grad, NAME.update, NAME.next
    #[arg(value_name = "NODE", requires = "step")]
    node: Option<String>,
    /// The gradient of the loss in it
    #[arg(long, requires = "node")]
    grad: bool,
    /// Its figures, which is what is shown by default
    #[arg(long, requires = "node")]
    stats: bool,
    /// All its numbers
    #[arg(long, requires = "node")]
    values: bool,
    /// Write it as a picture: tiles of filters and feature maps, matrices as heat maps, the input as it was fed
    #[arg(long, value_name = "FILE", requires = "node")]
    png: Option<PathBuf>,
    /// Where it comes from, or its number INDEX (17, or 0,5,2): ops, formulas, lines of source, rows, parameters
    #[arg(long, value_name = "INDEX", requires = "node", num_args = 0..=1, default_missing_value = "")]
    explain: Option<String>,
    /// Ops that an explanation goes back
    #[arg(long, value_name = "N", default_value_t = 4, requires = "explain")]
    depth: usize,
}

/// Shows step `step` of the run at `run`.
pub fn run(
    run: &Path,
    data: Option<&Path>,
    step: u64,
    arguments: &Arguments,
    machine: &Machine,
    json: bool,
) -> Result<u8, Error> {
    let mut run = zoo::Run::open_on(machine.cpu()?, run, data)?;
    let at = run.at(step)?;
    let Some(node) = &arguments.node else {
        names(&at, json);
        return Ok(exit::OK);
    };
    let name = if arguments.grad { format!("{node}.grad") } else { node.clone() };
    if let Some(index) = &arguments.explain {
        let index = index_of(index, at.node(&name)?.dims(), &name)?;
        let explained = at.explain(&name, index, arguments.depth)?;
        if json {
            say(json!({ "event": "end", "step": step, "explained": to_json(&explained) }));
        } else {
            tell(&explained);
        }
        return Ok(exit::OK);
    }
    let array = at.tensor(&name)?;
    if let Some(file) = &arguments.png {
        draw(file, &at, &name, &array)?;
        if !json {
            say(format_args!("wrote {}", file.display()));
        }
    }
    let stats = Stats::of(&array);
    if json {
        let mut object = json!({
            "event": "end", "step": step, "name": name, "shape": array.shape().to_vec(),
            "dtype": array.dtype().to_string(), "count": stats.count, "min": finite(stats.min), "max": finite(stats.max),
            "mean": finite(stats.mean), "std": finite(stats.std), "norm": finite(stats.norm), "zeros": stats.zeros,
            "nan": stats.nan, "infinite": stats.infinite, "histogram": stats.histogram,
        });
        if arguments.values {
            object["values"] = (0..stats.count).map(|index| number(&array, index)).collect();
        }
        say(object);
        return Ok(exit::OK);
    }
    if arguments.values {
        numbers(&array);
    }
    if arguments.stats || (!arguments.values && arguments.png.is_none()) {
        figures(&name, step, &array, &stats);
    }
    Ok(exit::OK)
}

/// All names with shapes.
fn names(at: &At, json: bool) {
    if json {
        let values: Vec<Value> = at.names().iter().map(Named::to_json).collect();
        let record = at.record();
        say(json!({
            "event": "end", "step": at.step(), "lr": record.lr, "loss": record.loss, "grad_norm": record.grad_norm,
            "rows": at.batch().rows, "values": values, "nodes": at.nodes().len(),
        }));
        return;
    }
    let record = at.record();
    say(format_args!(
        "step {}: loss {:.6}, lr {:.4e}, |g| {:.6}; {} rows of epoch {}; {} nodes",
        at.step(),
        record.loss,
        record.lr,
        record.grad_norm,
        at.batch().len(),
        at.batch().position.epoch + 1,
        at.nodes().len(),
    ));
    let width = at.names().iter().map(|named| named.name.len()).max().unwrap_or(0);
    let mut kind = None;
    for named in at.names() {
        if kind != Some(named.kind) {
            say(format_args!("\n{}", title(named.kind)));
            kind = Some(named.kind);
        }
        say(format_args!("  {:width$}  {} {}", named.name, named.tensor.dtype(), named.tensor.shape()));
    }
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Batch => "the batch as fed",
        Kind::Activation => "outputs of layers (NAME.grad: the gradient of the loss in it)",
        Kind::Result => "results",
        Kind::Parameter => "parameters before the step (NAME.grad, NAME.update, NAME.next)",
        Kind::Buffer => "buffers before the step (NAME.update, NAME.next)",
        Kind::Memory => "moments and averages before the step (NAME.update, NAME.next)",
    }
}

fn figures(name: &str, step: u64, array: &Array, stats: &Stats) {
    say(format_args!("{name} at step {step}: {} {}", array.dtype(), array.shape()));
    say(format_args!("  min {}  max {}  mean {}  std {}", stats.min, stats.max, stats.mean, stats.std));
    let share = 100.0 * stats.zeros as f64 / stats.count.max(1) as f64;
    say(format_args!(
        "  length {}  zeros {} of {} ({share:.1} %)  NaN {}  infinite {}",
        stats.norm, stats.zeros, stats.count, stats.nan, stats.infinite
    ));
    say(format_args!("  {} |{}| {}", stats.min, stats.bars(), stats.max));
}

/// A line for each run of the last axis.
fn numbers(array: &Array) {
    let width = array.shape().last().copied().unwrap_or(1).max(1);
    let count = array.shape().count();
    for start in (0..count).step_by(width) {
        let mut line = String::new();
        for index in start..count.min(start + width) {
            let space = if index > start { " " } else { "" };
            let _ = match array.values() {
                Values::F32(values) => write!(line, "{space}{:?}", values[index]),
                _ => write!(line, "{space}{}", array.get_f64(index)),
            };
        }
        say(line);
    }
}

/// The input as it was fed, anything else by its numbers.
fn draw(file: &Path, at: &At, name: &str, array: &Array) -> Result<(), Error> {
    let shape = array.shape().to_vec();
    match (array.as_slice::<f32>(), name, &shape[..]) {
        (Some(x), "input", [_, 1 | 3, _, _]) => write_batch(file, x, &shape, &at.run().job().splits.input),
        _ => Ok(write_png(file, &picture(array))?),
    }
}

/// An index as it is written: `17` counts row by row, `0,5,2` gives a place on each axis. Nothing: no index.
fn index_of(text: &str, dims: &[usize], name: &str) -> Result<Option<usize>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let refused = || {
        let shown: Vec<String> = dims.iter().map(usize::to_string).collect();
        Error::usage(
            format!("--explain {text} is no place in {name} [{}]", shown.join(", ")),
            "give one index that counts row by row, or one for each axis: 0,5,2",
        )
    };
    let places: Option<Vec<usize>> = text.split(',').map(|place| place.trim().parse().ok()).collect();
    let places = places.ok_or_else(refused)?;
    match places[..] {
        [index] if dims.len() != 1 => Ok(Some(index)),
        _ if places.len() != dims.len() || places.iter().zip(dims).any(|(place, size)| place >= size) => Err(refused()),
        _ => Ok(Some(places.iter().zip(dims).fold(0, |index, (place, size)| index * size + place))),
    }
}

/// A tree, indented.
fn tell(explained: &Explained) {
    let mut stack = vec![(explained, 0usize)];
    while let Some((node, depth)) = stack.pop() {
        let indent = "  ".repeat(depth);
        let shape: Vec<String> = node.shape.iter().map(usize::to_string).collect();
        let value = match node.index {
            Some(index) if node.shape.iter().product::<usize>() > 1 => {
                format!("number {index} = {}", node.value as f32)
            }
            Some(_) => format!("= {}", node.value as f32),
            None => {
                format!("{}length {}", node.row.map_or(String::new(), |row| format!("row {row}, ")), node.value as f32)
            }
        };
        let name = if node.name.is_empty() { "(not in the step's graph)" } else { &node.name };
        say(format_args!("{indent}{name}: {} [{}], {value}", node.op, shape.join(", ")));
        if let Some(source) = &node.source {
            say(format_args!("{indent}  from {source}"));
        }
        if !node.inputs.is_empty() || node.cut {
            say(format_args!("{indent}  {}; gradient: {}", node.formula, node.gradient_formula));
            let layer = node.layer.as_ref().map_or(String::new(), |layer| format!("{layer}, "));
            let line = node.line.as_ref().map_or(String::new(), |line| format!(": {line}"));
            say(format_args!("{indent}  {layer}{}{line}", node.at));
        }
        if let Some(of) = &node.gradient_of {
            say(format_args!("{indent}  serves the gradient of {of}"));
        }
        if node.cut {
            say(format_args!("{indent}  ..."));
        }
        stack.extend(node.inputs.iter().rev().map(|input| (input, depth + 1)));
    }
}

fn to_json(node: &Explained) -> Value {
    json!({
        "name": node.name, "op": node.op, "formula": node.formula, "gradient_formula": node.gradient_formula,
        "shape": node.shape, "index": node.index, "row": node.row, "value": finite(node.value), "layer": node.layer, "at": node.at,
        "line": node.line, "gradient_of": node.gradient_of, "source": node.source, "cut": node.cut,
        "inputs": node.inputs.iter().map(to_json).collect::<Vec<_>>(),
    })
}

/// A number of an array, as JSON holds it: what is no number is text.
fn number(array: &Array, index: usize) -> Value {
    match array.values() {
        Values::F32(values) if values[index].is_finite() => json!(values[index]),
        Values::I64(values) => json!(values[index]),
        _ => finite(array.get_f64(index)),
    }
}

/// JSON has no NaN and no infinities: they are text.
fn finite(number: f64) -> Value {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}
