//! The same graph with another value in one place: what a network would say if it had seen something else there.

use std::collections::HashMap;
use std::panic::Location;

use crate::error::{Error, ErrorKind};
use crate::tensor::{Inputs, Tensor};

impl Tensor {
    /// This value computed with `to` wherever `from` was read. What does not depend on `from` is shared.
    #[track_caller]
    pub fn replaced(&self, from: &Tensor, to: &Tensor) -> Tensor {
        let at = Location::caller();
        if let Some(bad) = [self, from, to].into_iter().find(|tensor| tensor.error().is_some()) {
            return bad.clone();
        }
        if from.shape() != to.shape() || from.dtype() != to.dtype() {
            let message = format!("{} {} by {} {}", from.dtype(), from.shape(), to.dtype(), to.shape());
            let error = Error::new(ErrorKind::Argument, "replaced", message);
            return Tensor::failed(error.help("give a value of the same shape and dtype"), at);
        }
        let mut done: HashMap<u64, Tensor> = HashMap::from([(from.id(), to.clone())]);
        let mut stack = vec![(self.clone(), false)];
        while let Some((node, expanded)) = stack.pop() {
            if done.contains_key(&node.id()) {
                continue;
            }
            if !expanded {
                let inputs = node.inputs().to_vec();
                stack.push((node, true));
                stack.extend(inputs.into_iter().map(|input| (input, false)));
                continue;
            }
            let inputs: Vec<Tensor> = node.inputs().iter().filter_map(|input| done.get(&input.id()).cloned()).collect();
            let is_same = inputs.iter().zip(node.inputs()).all(|(new, old)| new.id() == old.id());
            let (shape, dtype, location) = (*node.shape(), node.dtype(), node.origin().location);
            let rebuilt = match is_same {
                true => node.clone(),
                false => Tensor::node(*node.op(), Inputs::Many(inputs), shape, dtype, location),
            };
            done.insert(node.id(), rebuilt);
        }
        done.remove(&self.id()).unwrap_or_else(|| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::evaluate;

    #[test]
    fn what_depends_on_the_place_is_computed_anew_and_has_gradients() {
        let x = Tensor::from_vec(vec![1.0f32, 2.0], [2]);
        let inner = &x * 3.0;
        let apart = x.exp();
        let y = (&inner * &inner + &apart).sum(..);
        let other = Tensor::from_vec(vec![5.0f32, 7.0], [2]);
        let replaced = y.replaced(&inner, &other);
        let gradient = replaced.grad([&other]).remove(0);
        let found = evaluate(&[&replaced, &gradient, &apart.sum(..)]).unwrap();
        assert!((found[0].get_f64(0) - 74.0 - found[2].get_f64(0)).abs() < 1e-4);
        assert_eq!([found[1].get_f64(0), found[1].get_f64(1)], [10.0, 14.0]);
        assert_eq!(apart.replaced(&inner, &other).id(), apart.id());
        let error = y.replaced(&inner, &Tensor::from_vec(vec![1.0f32], [1])).check().unwrap_err().to_string();
        assert!(error.contains("replaced") && error.contains("same shape and dtype"), "{error}");
    }
}
