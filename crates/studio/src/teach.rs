//! Small graphs with all their numbers: values on the way forward, gradients on the way back, one op at a time.
//!
//! Every number comes from the engine: values and gradients are graphs, run as in any training. The page adds nothing up.

mod examples;

use std::collections::HashMap;

use cpu::Cpu;
use serde_json::{Value, json};
use tensor::{Array, Tensor};

use crate::Studio;
use crate::error::{Error, Result};
use crate::graph::layout::{Item, Link, place};
use crate::query::Query;
use crate::tensors::finite;
use examples::{Built, EXAMPLES, Example};

/// Width and height of a box.
const BOX: [f32; 2] = [74.0, 40.0];
/// Room for the numbers on the wire behind a box.
const WIRE: f32 = 66.0;
/// Steps of learning in one request, at most.
const MOST_STEPS: usize = 2000;

/// An example with all its numbers.
#[derive(Debug)]
pub struct Lesson {
    /// The nodes, inputs before users.
    pub nodes: Vec<Taught>,
    /// What flows along each arrow.
    pub wires: Vec<Wire>,
}

/// A node.
#[derive(Debug)]
pub struct Taught {
    /// Its name: `x`, `q`, `f`.
    pub name: String,
    /// Name of its op; empty for an input.
    pub op: &'static str,
    /// What the op computes.
    pub formula: &'static str,
    /// How it is differentiated.
    pub gradient_formula: &'static str,
    /// Its value.
    pub value: f64,
    /// The derivative of the result with respect to it.
    pub gradient: f64,
}

/// An input of a node.
#[derive(Debug)]
pub struct Wire {
    /// The input.
    pub from: usize,
    /// The node.
    pub to: usize,
    /// The derivative of the node with respect to this input.
    pub local: f64,
    /// What flows back along it: that times the gradient of the node.
    pub back: f64,
}

/// `/api/teach?example=&set=x:-2,y:5&learn=&rate=`: an example, its numbers and its picture.
pub fn teach(_: &Studio, query: &Query) -> Result<Value> {
    let id = query.get("example").unwrap_or(EXAMPLES[0].id);
    let example = EXAMPLES.iter().find(|example| example.id == id);
    let example = example.ok_or_else(|| Error::Missing(format!("there is no example {id}")))?;
    let mut values = given(example, query.get("set").unwrap_or(""))?;
    let cpu = Cpu::new(1).map_err(|error| Error::Failed(error.to_string()))?;
    let steps = query.number_or("learn", 0usize)?;
    if steps > 0 {
        let rate = query.number_or("rate", example.rate)?;
        learn(&cpu, example, &mut values, rate, steps.min(MOST_STEPS))?;
    }
    let lesson = lesson(&cpu, example, &values)?;
    let mut answer = drawn(&lesson);
    answer["examples"] = EXAMPLES.iter().map(|of| json!({ "id": of.id, "title": of.title })).collect();
    answer["id"] = example.id.into();
    answer["title"] = example.title.into();
    answer["about"] = example.about.into();
    answer["rate"] = example.rate.into();
    answer["inputs"] = example
        .inputs
        .iter()
        .zip(&values)
        .map(|(input, &value)| json!({ "name": input.name, "value": finite(value), "learnt": input.learnt }))
        .collect();
    answer["rows"] = rows(&cpu, example, &values)?;
    Ok(answer)
}

/// The inputs, as far as they are given.
fn given(example: &Example, set: &str) -> Result<Vec<f64>> {
    let mut values: Vec<f64> = example.inputs.iter().map(|input| input.value).collect();
    for pair in set.split(',').filter(|pair| !pair.is_empty()) {
        let found = pair.split_once(':').and_then(|(name, value)| {
            let at = example.inputs.iter().position(|input| input.name == name)?;
            Some((at, value.parse::<f64>().ok().filter(|value| value.is_finite())?))
        });
        let (at, value) = found.ok_or_else(|| Error::Asked(format!("{pair}: no input and number of this example")))?;
        values[at] = value;
    }
    Ok(values)
}

/// Values, gradients, and what flows along each wire.
pub fn lesson(cpu: &Cpu, example: &Example, values: &[f64]) -> Result<Lesson> {
    let leaves: Vec<Tensor> = values.iter().map(|&value| Tensor::scalar(value)).collect();
    let Built { result, mut names } = (example.build)(&leaves);
    result.check()?;
    names.extend(example.inputs.iter().map(|input| input.name).zip(leaves));
    let nodes = train::graph::nodes(&[&result]);
    let number: HashMap<u64, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id(), at)).collect();
    let gradients = result.grad(&nodes);
    let one = Tensor::scalar(1.0f64);
    // Of each wire: where it lies, its local derivative, and that times the gradient of its node.
    let mut wires: Vec<(usize, usize)> = Vec::new();
    let mut flows: Vec<Tensor> = Vec::new();
    for (to, node) in nodes.iter().enumerate() {
        let Some(rule) = node.op().page().gradient.filter(|_| !node.inputs().is_empty()) else { continue };
        let (local, back) = (rule(node, &one), rule(node, &gradients[to]));
        for ((input, local), back) in node.inputs().iter().zip(local).zip(back) {
            let zero = || Tensor::scalar(0.0f64);
            wires.push((number[&input.id()], to));
            flows.extend([local.unwrap_or_else(zero), back.unwrap_or_else(zero)]);
        }
    }
    // All of it is one plan.
    let wanted: Vec<&Tensor> = nodes.iter().chain(&gradients).chain(&flows).collect();
    let all: Vec<f64> = cpu.run(&wanted, &[])?.iter().map(|array| array.get_f64(0)).collect();
    let (forward, rest) = all.split_at(nodes.len());
    let (backward, along) = rest.split_at(nodes.len());
    let name = |node: &Tensor| names.iter().find(|(_, other)| other.id() == node.id()).map(|(name, _)| *name);
    let taught = nodes.iter().enumerate().map(|(at, node)| {
        let page = node.op().page();
        let leaf = node.inputs().is_empty();
        Taught {
            name: name(node).map_or_else(|| format!("n{at}"), str::to_owned),
            op: if leaf { "" } else { page.name },
            formula: if leaf { "" } else { page.formula },
            gradient_formula: if leaf { "" } else { page.gradient_formula },
            value: forward[at],
            gradient: backward[at],
        }
    });
    let nodes = taught.collect();
    let wires = wires.iter().zip(along.chunks_exact(2)).map(|(&(from, to), flow)| Wire {
        from,
        to,
        local: flow[0],
        back: flow[1],
    });
    Ok(Lesson { nodes, wires: wires.collect() })
}

/// Gradient descent on all rows of the example together.
fn learn(cpu: &Cpu, example: &Example, values: &mut [f64], rate: f64, steps: usize) -> Result<()> {
    for _ in 0..steps {
        let leaves = over_rows(example, values);
        let loss = (example.build)(&leaves).result.mean(..);
        let learnt: Vec<usize> = (0..values.len()).filter(|&at| example.inputs[at].learnt).collect();
        let parameters: Vec<&Tensor> = learnt.iter().map(|&at| &leaves[at]).collect();
        let gradients = loss.grad(parameters.iter().copied());
        let next: Vec<Tensor> =
            parameters.iter().zip(&gradients).map(|(value, gradient)| *value - gradient * rate).collect();
        let next = cpu.run(&next.iter().collect::<Vec<_>>(), &[])?;
        learnt.iter().zip(next).for_each(|(&at, value)| values[at] = value.get_f64(0));
    }
    Ok(())
}

/// The inputs with those of the rows as columns, if the example has rows.
fn over_rows(example: &Example, values: &[f64]) -> Vec<Tensor> {
    let column = |name: &str| -> Option<Vec<f64>> {
        let at = example.columns.iter().position(|column| *column == name)?;
        Some(example.rows.iter().map(|row| row[at]).collect())
    };
    let leaf = |(input, &value): (&examples::Input, &f64)| match column(input.name) {
        Some(column) => Tensor::from_vec(column, [example.rows.len()]),
        None => Tensor::scalar(value),
    };
    example.inputs.iter().zip(values).map(leaf).collect()
}

/// The rows of the example, with what the net says of each and the loss of all.
fn rows(cpu: &Cpu, example: &Example, values: &[f64]) -> Result<Value> {
    if example.rows.is_empty() {
        return Ok(Value::Null);
    }
    let Built { result, names } = (example.build)(&over_rows(example, values));
    let answer = names.iter().find(|(name, _)| *name == example.answer).map_or(&result, |(_, tensor)| tensor);
    let values = cpu.run(&[answer, &result.mean(..)], &[])?;
    let answers = |array: &Array| -> Vec<Value> { array.to_f64().into_iter().map(finite).collect() };
    Ok(json!({
        "columns": example.columns, "rows": example.rows, "answer": example.answer, "answers": answers(&values[0]),
        "loss": finite(values[1].get_f64(0)),
    }))
}

/// The lesson, placed from left to right.
fn drawn(lesson: &Lesson) -> Value {
    // The layout runs from top to bottom: lying on its side, it runs from left to right.
    let item = Item { width: BOX[1] + 14.0, height: BOX[0] + WIRE, lane: 0 };
    let links: Vec<Link> = lesson.wires.iter().map(|wire| Link { from: wire.from, to: wire.to, up: false }).collect();
    let placed = place(&vec![item; lesson.nodes.len()], &links);
    let shift = WIRE / 2.0;
    let boxes: Vec<Value> = lesson
        .nodes
        .iter()
        .zip(&placed.places)
        .map(|(node, &[y, x])| {
            json!({
                "name": node.name, "op": node.op, "formula": node.formula, "gradient_formula": node.gradient_formula,
                "value": finite(node.value), "gradient": finite(node.gradient), "x": x - shift, "y": y, "w": BOX[0],
                "h": BOX[1],
            })
        })
        .collect();
    let wires: Vec<Value> = lesson
        .wires
        .iter()
        .zip(&placed.bends)
        .map(|(wire, bends)| {
            let bends: Vec<[f32; 2]> = bends.iter().map(|&[y, x]| [x, y]).collect();
            json!({
                "from": wire.from, "to": wire.to, "local": finite(wire.local), "back": finite(wire.back), "bends": bends,
            })
        })
        .collect();
    let [height, width] = placed.size;
    json!({ "boxes": boxes, "wires": wires, "size": [width, height] })
}

#[cfg(test)]
mod tests;
