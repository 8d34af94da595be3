//! The reference interpreter: runs a graph node by node with the plain functions on the pages of the ops. Slow; the
//! specification that every device is tested against.

use std::sync::Arc;

use crate::array::Array;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::IdMap;
use crate::tensor::Tensor;

/// The values of `tensors`, computed by the reference implementation of each op.
pub fn evaluate(tensors: &[&Tensor]) -> Result<Vec<Arc<Array>>> {
    let mut values: IdMap<Arc<Array>> = IdMap::default();
    for root in tensors {
        let mut stack = vec![(*root, false)];
        while let Some((node, expanded)) = stack.pop() {
            if values.contains_key(&node.id()) {
                continue;
            }
            if let Some(value) = node.value() {
                values.insert(node.id(), value.clone());
            } else if expanded || node.inputs().is_empty() {
                let value = compute(node, &values)?;
                values.insert(node.id(), Arc::new(value));
            } else {
                stack.push((node, true));
                stack.extend(node.inputs().iter().map(|input| (input, false)));
            }
        }
    }
    Ok(tensors.iter().filter_map(|tensor| values.get(&tensor.id()).cloned()).collect())
}

fn compute(node: &Tensor, values: &IdMap<Arc<Array>>) -> Result<Array> {
    node.check()?;
    if let Some((var, version)) = node.variable() {
        var.check_version(version).map_err(|error| error.at(node.origin()))?;
    }
    let inputs: Vec<&Array> = node.inputs().iter().filter_map(|input| values.get(&input.id()).map(|v| &**v)).collect();
    let page = node.op().page();
    (page.reference)(node, &inputs)
        .map_err(|message| Error::new(ErrorKind::Value, page.name, message).at(node.origin()))
}
