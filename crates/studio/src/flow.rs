//! How a step's gradient flows: through the layers, into the parameters, and how far it moves them.

use serde_json::{Value, json};
use tensor::Tensor;
use train::replay::{Kind, Stats};

use crate::bench::Bench;
use crate::error::Result;
use crate::query::Query;
use crate::tensors::finite;

/// `/api/flow?run=&step=`: of each layer's output the share of zeros and the length of the gradient in it; of each parameter
/// its length, that of its gradient, that of the update, and the share of the gradient's numbers that are 0.
pub fn flow(bench: &mut Bench, query: &Query) -> Result<Value> {
    let at = bench.at(query.number("step")?)?;
    let mut outputs: Vec<(&str, Tensor, Option<Tensor>)> = Vec::new();
    let mut parameters: Vec<(&str, [Option<Tensor>; 3])> = Vec::new();
    for named in at.names() {
        let part = |end: &str| at.node(&format!("{}.{end}", named.name)).ok();
        match named.kind {
            Kind::Activation => outputs.push((&named.name, named.tensor.clone(), part("grad"))),
            Kind::Parameter => {
                parameters.push((&named.name, [Some(named.tensor.clone()), part("grad"), part("update")]))
            }
            _ => {}
        }
    }
    let of_outputs = outputs.iter().flat_map(|(_, output, gradient)| std::iter::once(output).chain(gradient));
    let of_parameters = parameters.iter().flat_map(|(_, parts)| parts.iter().flatten());
    let wanted: Vec<&Tensor> = of_outputs.chain(of_parameters).collect();
    let values = at.values(&wanted)?;
    let mut next = values.iter();
    let mut stats = |there: bool| if there { next.next().map(|array| Stats::of(array)) } else { None };
    let layers: Vec<Value> = outputs
        .iter()
        .map(|(name, output, gradient)| {
            let (value, gradient) = (stats(true), stats(gradient.is_some()));
            json!({
                "name": name, "shape": output.dims(), "zeros": value.as_ref().map(share_of_zeros),
                "gradient": gradient.map(|stats| finite(stats.norm)),
            })
        })
        .collect();
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|(name, parts)| {
            let [value, gradient, update] = [0, 1, 2].map(|part| stats(parts[part].is_some()));
            let length = |stats: &Option<Stats>| stats.as_ref().map(|stats| finite(stats.norm));
            let ratio = value.as_ref().zip(update.as_ref()).map(|(value, update)| finite(update.norm / value.norm));
            json!({
                "name": name, "weight": length(&value), "gradient": length(&gradient), "update": length(&update),
                "ratio": ratio, "zeros": gradient.as_ref().map(share_of_zeros),
                "bad": gradient.as_ref().map(|stats| stats.nan + stats.infinite),
            })
        })
        .collect();
    Ok(json!({ "step": at.step(), "layers": layers, "parameters": parameters }))
}

fn share_of_zeros(stats: &Stats) -> Value {
    finite(stats.zeros as f64 / stats.count.max(1) as f64)
}
