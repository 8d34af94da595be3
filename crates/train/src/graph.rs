//! `graph.json`: the nodes of a training step, with shapes, origins and layers.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tensor::Tensor;

/// The nodes that `outputs` are computed from, inputs before users.
pub fn nodes(outputs: &[&Tensor]) -> Vec<Tensor> {
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    let mut stack: Vec<(Tensor, bool)> = outputs.iter().rev().map(|&output| (output.clone(), false)).collect();
    while let Some((tensor, inputs_done)) = stack.pop() {
        if inputs_done {
            order.push(tensor);
        } else if seen.insert(tensor.id()) {
            let inputs: Vec<Tensor> = tensor.inputs().to_vec();
            stack.push((tensor, true));
            stack.extend(inputs.into_iter().rev().map(|input| (input, false)));
        }
    }
    order
}

/// The graph of `outputs`, each with its name, as `graph.json` holds it.
pub fn to_json(outputs: &[(String, &Tensor)]) -> Value {
    let order = nodes(&outputs.iter().map(|(_, tensor)| *tensor).collect::<Vec<_>>());
    let number: HashMap<u64, usize> = order.iter().enumerate().map(|(number, node)| (node.id(), number)).collect();
    let nodes: Vec<Value> = order
        .iter()
        .map(|node| {
            let origin = node.origin();
            let inputs: Vec<usize> = node.inputs().iter().map(|input| number[&input.id()]).collect();
            json!({
                "op": node.op().page().name,
                "inputs": inputs,
                "shape": node.dims(),
                "dtype": node.dtype().to_string(),
                "variable": node.variable().map(|(var, _)| var.name()),
                "layer": origin.layer.map(|layer| layer.to_string()),
                "at": format!("{}:{}", origin.location.file(), origin.location.line()),
                "gradient_of": node.forward().and_then(|id| number.get(&id)),
            })
        })
        .collect();
    let outputs: Vec<Value> =
        outputs.iter().map(|(name, tensor)| json!({ "name": name, "node": number[&tensor.id()] })).collect();
    json!({ "nodes": nodes, "outputs": outputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_come_before_their_users_and_each_node_once() {
        let x = Tensor::from_vec(vec![1.0f32, 2.0], [2]);
        let y = &x * &x;
        let z = &y + &x;
        let graph = to_json(&[("z".to_owned(), &z)]);
        assert_eq!(graph["nodes"].as_array().unwrap().len(), 3);
        assert_eq!(graph["nodes"][2]["inputs"], json!([1, 0]));
        assert_eq!(graph["outputs"][0]["node"], 2);
        assert_eq!(graph["nodes"][1]["shape"], json!([2]));
    }
}
