//! Losses between numbers.

use tensor::Tensor;

use super::logits::differs;
use super::{Reduction, refused_argument};

/// `(x - t)^2`.
#[track_caller]
pub fn mse(x: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
    if let Some(refused) = differs("mse", x, target) {
        return refused;
    }
    let d = x - target;
    reduction.of(&d * &d)
}

/// `|x - t|`; the gradient where they are equal is 0.
#[track_caller]
pub fn l1(x: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
    if let Some(refused) = differs("l1", x, target) {
        return refused;
    }
    reduction.of((x - target).abs())
}

/// `d^2 / 2` where |d| <= delta, else `delta (|d| - delta / 2)`, with d = x - t (Huber 1964).
#[track_caller]
pub fn huber(x: &Tensor, target: &Tensor, delta: f64, reduction: Reduction) -> Tensor {
    if let Some(refused) = differs("huber", x, target) {
        return refused;
    }
    if delta.is_nan() || delta <= 0.0 {
        return refused_argument("huber", format!("delta {delta} is not positive"));
    }
    let d = x - target;
    let size = d.abs();
    let near = size.le(delta);
    // 0 far off, so that the gradient of what is not chosen is 0 even where d is infinite.
    let d = d.keep_where(&near);
    reduction.of((&d * &d * 0.5).where_else(&near, (&size - 0.5 * delta) * delta))
}

/// `d^2 / (2 beta)` where |d| < beta, else `|d| - beta / 2`, with d = x - t (Girshick 2015). With beta 0: L1.
#[track_caller]
pub fn smooth_l1(x: &Tensor, target: &Tensor, beta: f64, reduction: Reduction) -> Tensor {
    if beta == 0.0 {
        return l1(x, target, reduction);
    }
    if let Some(refused) = differs("smooth_l1", x, target) {
        return refused;
    }
    if beta.is_nan() || beta < 0.0 {
        return refused_argument("smooth_l1", format!("beta {beta} is negative"));
    }
    let d = x - target;
    let size = d.abs();
    let near = size.lt(beta);
    // As in `huber`.
    let d = d.keep_where(&near);
    reduction.of((&d * &d * (0.5 / beta)).where_else(&near, &size - 0.5 * beta))
}
