//! Layers side by side.

use tensor::Tensor;

use crate::layer::{Description, Layer};
use crate::pass::Pass;

/// Several layers for one input, their outputs joined along the channels: an Inception module (Szegedy et al. 2015, figure 2b),
/// or, with the identity among them, a dense connection (Huang et al. 2017, equation 2). See [`branches`].
#[derive(Default)]
pub struct Branches(Vec<Box<dyn Layer>>);

/// No layers yet; add them with [`Branches::and`], in the order in which their channels shall lie.
pub fn branches() -> Branches {
    Branches::default()
}

impl Branches {
    /// With one more layer: `[N, C, ..]` to `[N, its channels, ..]`, of the size that the others give.
    pub fn and(mut self, layer: impl Layer + 'static) -> Branches {
        self.0.push(Box::new(layer));
        self
    }
}

impl Layer for Branches {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let outputs: Vec<Tensor> = self.0.iter().map(|branch| branch.forward(x, pass)).collect();
        Tensor::concat(&outputs, 1)
    }

    fn describe(&self) -> Description {
        Description::of("branches", "").made_of(self.0.iter().map(|branch| branch.describe()))
    }
}
