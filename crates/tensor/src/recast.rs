//! The same graph in f64: what a result would be if nothing were rounded to f32.

use std::collections::HashMap;

use crate::dtype::DType;
use crate::op::Op;
use crate::tensor::{Inputs, Tensor};

impl Tensor {
    /// The same graph with every float in f64, from the same leaves. Random numbers stay those of f32.
    pub fn in_f64(&self) -> Tensor {
        let mut done: HashMap<u64, Tensor> = HashMap::new();
        let mut stack = vec![(self.clone(), false)];
        while let Some((node, expanded)) = stack.pop() {
            if done.contains_key(&node.id()) {
                continue;
            }
            if expanded || node.inputs().is_empty() || node.value().is_some() {
                done.insert(node.id(), recast(&node, &done));
            } else {
                let inputs = node.inputs().to_vec();
                stack.push((node, true));
                stack.extend(inputs.into_iter().map(|input| (input, false)));
            }
        }
        done.remove(&self.id()).unwrap_or_else(|| self.clone())
    }
}

fn recast(node: &Tensor, done: &HashMap<u64, Tensor>) -> Tensor {
    let wide = |dtype: DType| if dtype.is_float() { DType::F64 } else { dtype };
    if let Some(value) = node.value() {
        return if node.dtype().is_float() { Tensor::from_array(value.cast(DType::F64)) } else { node.clone() };
    }
    match (node.op(), node.variable()) {
        // A graph that is stale stays one.
        (_, Some((var, version))) if node.dtype().is_float() && var.check_version(version).is_ok() => {
            Tensor::from_array(var.value().cast(DType::F64))
        }
        (Op::Error, _) | (_, Some(_)) => node.clone(),
        (Op::Random(_), _) if node.dtype().is_float() => node.cast(DType::F64),
        (op, _) => {
            let inputs: Vec<Tensor> = node.inputs().iter().filter_map(|input| done.get(&input.id()).cloned()).collect();
            match (op, &inputs[..]) {
                (Op::Cast, [only]) if node.dtype().is_float() => only.cast(DType::F64),
                _ => {
                    let (shape, dtype, at) = (*node.shape(), wide(node.dtype()), node.origin().location);
                    Tensor::node(*op, Inputs::Many(inputs), shape, dtype, at)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::evaluate;

    #[test]
    fn what_overflows_in_f32_is_a_number_in_f64() {
        let x = Tensor::from_vec(vec![1.0f32, 100.0, 0.1], [3]);
        let y = x.exp() * 2.0 + x.sum_keep(0);
        let both = evaluate(&[&y, &y.in_f64()]).unwrap();
        assert_eq!((both[0].get_f64(1), both[1].dtype()), (f64::INFINITY, DType::F64));
        assert!((both[1].get_f64(1) / (2.0 * 100f64.exp()) - 1.0).abs() < 1e-14);
        assert!((both[0].get_f64(2) - both[1].get_f64(2)).abs() < 1e-4);
    }
}
