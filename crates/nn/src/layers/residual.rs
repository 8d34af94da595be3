//! Shortcuts around layers.

use tensor::Tensor;

use crate::layer::{Description, Layer};
use crate::pass::Pass;

/// The body's output plus its input: `y = body(x) + shortcut(x)` (He et al. 2015, equation 1). See [`residual`].
pub struct Residual {
    body: Box<dyn Layer>,
    shortcut: Option<Box<dyn Layer>>,
}

/// `body(x) + x`: the body must keep the shape, unless [`Residual::shortcut`] changes that of x too.
pub fn residual(body: impl Layer + 'static) -> Residual {
    Residual { body: Box::new(body), shortcut: None }
}

impl Residual {
    /// With a layer in the shortcut, where the body changes size or channels: a strided 1x1 convolution, say (equation 2).
    pub fn shortcut(mut self, shortcut: impl Layer + 'static) -> Residual {
        self.shortcut = Some(Box::new(shortcut));
        self
    }
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let through = self.body.forward(x, pass);
        match &self.shortcut {
            Some(shortcut) => through + shortcut.forward(x, pass),
            None => through + x,
        }
    }

    fn describe(&self) -> Description {
        let parts = [Some(&self.body), self.shortcut.as_ref()];
        Description::of("residual", "").made_of(parts.into_iter().flatten().map(|part| part.describe()))
    }
}
