//! Limits on gradients.

use tensor::{Error, ErrorKind, Tensor};

/// Keeps the division finite, as in PyTorch.
const EPS: f64 = 1e-6;

/// Which norm of all gradients together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Norm {
    /// The largest absolute value.
    Max,
    /// The p-th root of the sum of p-th powers; 2 is the length, infinity is `Max`.
    P(f64),
}

/// Scales all gradients by one factor, `min(1, max_norm / (norm + 1e-6))`, where `norm` is the length of all of them
/// together (Pascanu et al. 2013). Gives the norm before, and the gradients.
#[track_caller]
pub fn clip_grad_norm(gradients: &[Tensor], max_norm: f64) -> (Tensor, Vec<Tensor>) {
    clip_grad_norm_of(gradients, max_norm, Norm::P(2.0))
}

/// [`clip_grad_norm`] by another norm.
#[track_caller]
pub fn clip_grad_norm_of(gradients: &[Tensor], max_norm: f64, norm: Norm) -> (Tensor, Vec<Tensor>) {
    let total = total_norm(gradients, norm);
    let factor = (max_norm / (&total + EPS)).clamp(f64::NEG_INFINITY, 1.0);
    let clipped = gradients.iter().map(|g| g * &factor).collect();
    (total, clipped)
}

/// The norm of all gradients together.
#[track_caller]
pub fn total_norm(gradients: &[Tensor], norm: Norm) -> Tensor {
    let norm = if norm == Norm::P(f64::INFINITY) { Norm::Max } else { norm };
    if let Norm::P(p) = norm
        && (p == 0.0 || !p.is_finite())
    {
        return Tensor::failure(Error::new(
            ErrorKind::Argument,
            "total_norm",
            format!("there is no norm of order {p}"),
        ));
    }
    let parts = gradients.iter().map(|g| match norm {
        Norm::Max => g.abs().max(..),
        Norm::P(2.0) => (g * g).sum(..),
        Norm::P(1.0) => g.abs().sum(..),
        Norm::P(p) => g.abs().pow(p).sum(..),
    });
    let whole = parts.reduce(|a, b| if norm == Norm::Max { a.maximum(b) } else { a + b });
    match (whole, norm) {
        (None, _) => Tensor::failure(Error::new(ErrorKind::Argument, "total_norm", "no gradients")),
        (Some(whole), Norm::Max | Norm::P(1.0)) => whole,
        (Some(whole), Norm::P(2.0)) => whole.sqrt(),
        (Some(whole), Norm::P(p)) => whole.pow(1.0 / p),
    }
}

/// Limits each element to `-limit..=limit`.
#[track_caller]
pub fn clip_grad_value(gradients: &[Tensor], limit: f64) -> Vec<Tensor> {
    gradients.iter().map(|g| g.clamp(-limit, limit)).collect()
}
