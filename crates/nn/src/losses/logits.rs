//! Losses between probabilities: binary cross-entropy and Kullback-Leibler divergence.

use tensor::Tensor;

use super::Reduction;

/// Binary cross-entropy of `sigmoid(x)` against a target in 0..=1, stable for any logit:
/// `weight ((1 - t) x + (1 + (pos_weight - 1) t) ln(1 + e^-x))`.
#[derive(Clone, Default)]
pub struct BceWithLogits {
    /// A factor for each element; broadcasts.
    pub weight: Option<Tensor>,
    /// A factor for positive targets; broadcasts (one a class, say).
    pub pos_weight: Option<Tensor>,
    /// How the elements' losses become one.
    pub reduction: Reduction,
}

impl BceWithLogits {
    /// The loss of the logits `x` against `target`, of one shape.
    #[track_caller]
    pub fn loss(&self, x: &Tensor, target: &Tensor) -> Tensor {
        if let Some(refused) = differs("bce_with_logits", x, target) {
            return refused;
        }
        let miss = x.neg().softplus(1.0, f64::INFINITY);
        let miss = match &self.pos_weight {
            Some(pos_weight) => miss * ((pos_weight - 1.0) * target + 1.0),
            None => miss,
        };
        let losses = (1.0 - target) * x + miss;
        let losses = match &self.weight {
            Some(weight) => losses * weight,
            None => losses,
        };
        if losses.error().is_none() && losses.shape() != x.shape() {
            let message = format!("weights that broadcast {} to {}", x.shape(), losses.shape());
            return x.refused("bce_with_logits", message, None);
        }
        self.reduction.of(losses)
    }
}

/// `t (ln t - x)`, 0 where t = 0: the divergence of the log-probabilities `x` from the probabilities `target` (with
/// `log_target`, their logarithms). [`Reduction::BatchMean`] is the mathematical definition.
#[track_caller]
pub fn kl_div(x: &Tensor, target: &Tensor, log_target: bool, reduction: Reduction) -> Tensor {
    if let Some(refused) = differs("kl_div", x, target) {
        return refused;
    }
    reduction.of(if log_target {
        target.exp() * (target - x)
    } else {
        let entropy = target * target.where_else(&target.gt(0.0), 1.0).log();
        entropy - target * x
    })
}

/// The refusal of two tensors that should have one shape.
#[track_caller]
pub(super) fn differs(op: &str, x: &Tensor, target: &Tensor) -> Option<Tensor> {
    if let Some(bad) = [x, target].into_iter().find(|t| t.error().is_some()) {
        return Some(bad.clone());
    }
    let message = || format!("{} {} against {} {}", x.dtype(), x.shape(), target.dtype(), target.shape());
    (x.shape() != target.shape() || x.dtype() != target.dtype()).then(|| x.refused(op, message(), None))
}
