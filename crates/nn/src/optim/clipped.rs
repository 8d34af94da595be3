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
