//! An optimiser whose gradients are limited first.

use tensor::{Tensor, Update, Var};

use super::Optimiser;
use crate::clip::{clip_grad_norm, clip_grad_value};

/// Hands gradients on to another optimiser within a limit; 0 is none.
pub struct Clipped {
    inner: Box<dyn Optimiser>,
    /// Each element is limited to -value..=value.
    value: f64,
    /// All together are scaled to this length at most.
    norm: f64,
}

impl Clipped {
    /// With elements within `-value..=value`, then a length of at most `norm`.
    pub fn new(inner: Box<dyn Optimiser>, value: f64, norm: f64) -> Clipped {
        Clipped { inner, value, norm }
    }
}

impl Optimiser for Clipped {
    fn parameters(&self) -> Vec<Var> {
        self.inner.parameters()
    }

    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update> {
        let mut gradients = gradients.to_vec();
        if self.value > 0.0 {
            gradients = clip_grad_value(&gradients, self.value);
        }
        if self.norm > 0.0 {
            gradients = clip_grad_norm(&gradients, self.norm).1;
        }
        self.inner.step(&gradients, lr)
    }

    fn state(&self) -> Vec<Var> {
        self.inner.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Group, Sgd};

    /// What a parameter of zeros is after one step of plain descent at rate 1.
    fn stepped(value: f64, norm: f64) -> Vec<f64> {
        let p = Var::new("p", tensor::Array::zeros(tensor::DType::F32, tensor::Shape::new(&[2]).unwrap()));
        let optimiser = Clipped::new(Box::new(Sgd::new(vec![Group::new(vec![p.clone()])], 0.0)), value, norm);
        let updates = optimiser.step(&[Tensor::from_vec(vec![30f32, -4.0], [2])], 1.0);
        cpu::Cpu::shared().unwrap().run(&[], &updates).unwrap();
        p.value().to_f64()
    }

    #[test]
    fn elements_are_limited_then_the_length() {
        assert_eq!(stepped(0.0, 0.0), [-30.0, 4.0]);
        assert_eq!(stepped(3.0, 0.0), [-3.0, 3.0]);
        let both = stepped(4.0, 2.0);
        assert!(both.iter().zip([-2.0, 2.0]).all(|(p, wanted)| (p - wanted / 2f64.sqrt()).abs() < 1e-5), "{both:?}");
    }
}
