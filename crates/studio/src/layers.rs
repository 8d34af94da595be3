//! What every layer makes of one input, down to the probabilities; and the weights that do it.

use serde_json::{Value, json};
use tensor::{Array, Tensor};
use train::Goal;

use crate::bench::Bench;
use crate::error::Result;
use crate::inputs::{fed, part_of, row};
use crate::network::Network;
use crate::query::Query;
use crate::tensors::{describe, finite};

/// Numbers that are sent of a layer: 64 maps of 32 x 32.
const MOST_OF_LAYER: usize = 1 << 16;
/// Numbers that are sent of all layers together.
const MOST_OF_ALL: usize = 1 << 20;

/// The output of every layer for one input `[1, ..]`, logits and probabilities: by the model as it stands.
///
/// # Errors
/// If the model cannot be evaluated.
pub fn layers(network: &Network, x: &Tensor) -> Result<Value> {
    let pass = nn::Pass::eval().watching();
    let logits = network.model.forward(x, &pass);
    // Of a text, what follows its last letter.
    let logits = match (network.input.goal, logits.dims().get(1)) {
        (Goal::Symbols, Some(&places)) if places > 0 => logits.select(1, places - 1),
        _ => logits,
    };
    let probabilities = (&logits - logits.logsumexp_keep(-1)).exp();
    let seen = pass.seen();
    let mut wanted: Vec<&Tensor> = vec![&probabilities, &logits, x];
    wanted.extend(seen.iter().map(|layer| &layer.output));
    let values = network.cpu.run(&wanted, &[])?;
    let mut left = MOST_OF_ALL;
    let mut of_sample = |array: &Array| -> Result<Value> {
        let most = MOST_OF_LAYER.min(left);
        left -= array.shape().count().min(most);
        // `[1, ..]`: one sample.
        let row = (array.shape().first() == Some(&1)).then_some(0);
        describe(array, row, most)
    };
    let input = of_sample(&values[2])?;
    let mut names: Vec<String> = Vec::new();
    let mut outputs = Vec::new();
    for (layer, value) in seen.iter().zip(&values[3..]) {
        let mut output = of_sample(value)?;
        let passed = names.iter().filter(|name| **name == layer.path).count();
        names.push(layer.path.clone());
        let name = if passed > 0 { format!("{}:{}", layer.path, passed + 1) } else { layer.path.clone() };
        output["name"] = name.into();
        output["kind"] = layer.kind.into();
        outputs.push(output);
    }
    let list =
        |array: &Array| -> Vec<Value> { (0..array.shape().count()).map(|at| finite(array.get_f64(at))).collect() };
    // What is a number has no probability.
    let probabilities = if network.input.goal.is_number() { Vec::new() } else { list(&values[0]) };
    Ok(json!({
        "input": input, "layers": outputs, "logits": list(&values[1]), "probabilities": probabilities,
        "classes": network.input.classes,
    }))
}

/// `/api/layers?run=&step=&part=&row=`: what the model makes of a row with the weights after a step.
pub fn of_row(bench: &mut Bench, query: &Query) -> Result<Value> {
    let (step, at): (u64, usize) = (query.number("step")?, query.number("row")?);
    let (part, rows) = part_of(bench.run()?, query)?;
    let mut object = bench.asked(step, |network, _| {
        let sample = row(rows.as_ref(), at)?;
        let (class, value) = (crate::inputs::class(&sample.target), crate::inputs::value(&sample.target));
        let mut object = layers(network, &fed(network.input, sample)?)?;
        (object["part"], object["row"], object["class"]) = (part.into(), at.into(), class.into());
        object["value"] = value.into();
        Ok(object)
    })?;
    object["step"] = step.into();
    Ok(object)
}

/// `/api/weights?run=&step=&name=`: the parameters after a step, and the numbers of one of them.
pub fn weights(bench: &mut Bench, query: &Query) -> Result<Value> {
    let step: u64 = query.number("step")?;
    let parameters = bench.after(step)?.scope.parameters();
    let named: Vec<Value> =
        parameters.iter().map(|var| json!({ "name": var.name(), "shape": var.shape().to_vec() })).collect();
    // Filters are what people look for first.
    let usual = || parameters.iter().find(|var| var.shape().len() == 4).or(parameters.first());
    let chosen = match query.get("name") {
        Some(name) => parameters.iter().find(|var| var.name() == name),
        None => usual(),
    };
    let weight = chosen.map(|var| -> Result<Value> {
        let mut object = describe(&var.value(), None, MOST_OF_LAYER)?;
        object["name"] = var.name().into();
        Ok(object)
    });
    Ok(json!({ "step": step, "parameters": named, "weight": weight.transpose()? }))
}
