//! Losses against classes: negative log likelihood and cross-entropy.

use tensor::{DType, Tensor};

use super::{Reduction, refused_argument};

/// `-ln softmax(logits)[target]`, with weights, smoothing and ignored targets.
///
/// Logits are `[N, C, ..]` or `[C]`; targets are classes (i64, `[N, ..]` or `[]`) or probabilities (of the shape of the
/// logits). The plain case is [`Tensor::cross_entropy`].
#[derive(Clone, Default)]
pub struct CrossEntropy {
    /// A weight for each class, `[C]`.
    pub weight: Option<Tensor>,
    /// The target that does not count. PyTorch ignores -100 unasked; here a target out of range is an error unless named.
    pub ignore_index: Option<i64>,
    /// The share of the target's probability that is spread over all classes (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// How the samples' losses become one.
    pub reduction: Reduction,
}

/// `-log_probabilities[target]`: cross-entropy behind a log-softmax.
#[derive(Clone, Default)]
pub struct Nll {
    /// A weight for each class, `[C]`.
    pub weight: Option<Tensor>,
    /// The target that does not count.
    pub ignore_index: Option<i64>,
    /// How the samples' losses become one.
    pub reduction: Reduction,
}

impl CrossEntropy {
    /// The loss of `logits`.
    #[track_caller]
    pub fn loss(&self, logits: &Tensor, target: &Tensor) -> Tensor {
        if let Some(bad) = [logits, target].into_iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return refused_argument("cross_entropy", format!("label smoothing {} is no share", self.label_smoothing));
        }
        if logits.rank() == 1 {
            let loss = self.loss(&logits.unsqueeze(0), &target.unsqueeze(0));
            return if self.reduction == Reduction::None { loss.squeeze(0) } else { loss };
        }
        if target.dtype().is_float() && logits.rank() >= 2 {
            return self.against_probabilities(logits, target);
        }
        let nll = Nll { weight: self.weight.clone(), ignore_index: self.ignore_index, reduction: self.reduction };
        let refused = refusal("cross_entropy", logits, target);
        if let Some(refused) = refused.or_else(|| miscounted("cross_entropy", logits, &self.weight)) {
            return refused;
        }
        let log_p = logits.log_softmax(1);
        let plain = nll.loss(&log_p, target);
        if self.label_smoothing == 0.0 {
            return plain;
        }
        let spread = self.weigh(&log_p).sum(1).neg();
        let spread = match self.ignore_index {
            Some(ignored) => spread.keep_where(&target.ne(ignored)),
            None => spread,
        };
        let spread = nll.reduce(spread, &nll.weights(&log_p, target), logits.dims()[0]);
        plain * (1.0 - self.label_smoothing) + spread * (self.label_smoothing / logits.dims()[1] as f64)
    }

    #[track_caller]
    fn against_probabilities(&self, logits: &Tensor, target: &Tensor) -> Tensor {
        if logits.shape() != target.shape() {
            let message = format!("logits {} and probabilities {}", logits.shape(), target.shape());
            return logits.refused("cross_entropy", message, None);
        }
        if let Some(refused) = miscounted("cross_entropy", logits, &self.weight) {
            return refused;
        }
        let smooth = self.label_smoothing;
        let target = match smooth {
            0.0 => target.clone(),
            _ => target * (1.0 - smooth) + smooth / logits.dims()[1] as f64,
        };
        let losses = (self.weigh(&logits.log_softmax(1)) * target).sum(1).neg();
        match self.reduction {
            Reduction::BatchMean => losses.sum(..) / logits.dims()[0] as f64,
            reduction => reduction.of(losses),
        }
    }

    #[track_caller]
    fn weigh(&self, log_p: &Tensor) -> Tensor {
        match &self.weight {
            Some(weight) => log_p * weight.reshape(class_axis(log_p.rank(), weight.count())),
            None => log_p.clone(),
        }
    }
}

impl Nll {
    /// The loss of `log_p`.
    #[track_caller]
    pub fn loss(&self, log_p: &Tensor, target: &Tensor) -> Tensor {
        if let Some(refused) = refusal("nll", log_p, target).or_else(|| miscounted("nll", log_p, &self.weight)) {
            return refused;
        }
        let picked = log_p.gather(1, &self.known(target).unsqueeze(1)).squeeze(1).neg();
        let weights = self.weights(log_p, target);
        let losses = match &weights {
            Some(weights) if self.weight.is_some() => picked * weights,
            _ => picked,
        };
        let losses = match self.ignore_index {
            Some(ignored) => losses.keep_where(&target.ne(ignored)),
            None => losses,
        };
        self.reduce(losses, &weights, log_p.dims()[0])
    }

    /// The targets, class 0 for ignored ones.
    #[track_caller]
    fn known(&self, target: &Tensor) -> Tensor {
        match self.ignore_index {
            Some(ignored) => target.keep_where(&target.ne(ignored)),
            None => target.clone(),
        }
    }

    /// What each sample counts, if not 1.
    #[track_caller]
    fn weights(&self, log_p: &Tensor, target: &Tensor) -> Option<Tensor> {
        let weights = match &self.weight {
            Some(weight) => Some(weight.index_select(0, &self.known(target))),
            None => self.ignore_index.map(|_| Tensor::ones(target.shape(), log_p.dtype())),
        };
        match self.ignore_index {
            Some(ignored) => weights.map(|weights| weights.keep_where(&target.ne(ignored))),
            None => weights,
        }
    }

    #[track_caller]
    fn reduce(&self, losses: Tensor, weights: &Option<Tensor>, batch: usize) -> Tensor {
        match (self.reduction, weights) {
            (Reduction::Mean, Some(weights)) => losses.sum(..) / weights.sum(..),
            (Reduction::BatchMean, _) => losses.sum(..) / batch as f64,
            (reduction, _) => reduction.of(losses),
        }
    }
}

fn class_axis(rank: usize, classes: usize) -> Vec<usize> {
    (0..rank).map(|axis| if axis == 1 { classes } else { 1 }).collect()
}

/// The refusal of weights that are not one for each class of `scores [N, C, ..]`.
#[track_caller]
fn miscounted(op: &str, scores: &Tensor, weight: &Option<Tensor>) -> Option<Tensor> {
    let weight = weight.as_ref().filter(|weight| weight.error().is_some() || weight.dims() != [scores.dims()[1]])?;
    if weight.error().is_some() {
        return Some(weight.clone());
    }
    let message = format!("weights {} for {} classes of {}", weight.shape(), scores.dims()[1], scores.shape());
    Some(scores.refused(op, message, None))
}

#[track_caller]
fn refusal(op: &str, scores: &Tensor, target: &Tensor) -> Option<Tensor> {
    if let Some(bad) = [scores, target].into_iter().find(|t| t.error().is_some()) {
        return Some(bad.clone());
    }
    let others: Vec<usize> = scores.dims().iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, &d)| d).collect();
    if scores.rank() >= 2 && target.dtype() == DType::I64 && target.dims() == others {
        return None;
    }
    let message = format!(
        "scores {} and targets {} {}: scores [N, C, ..] need i64 targets [N, ..]",
        scores.shape(),
        target.dtype(),
        target.shape()
    );
    Some(scores.refused(op, message, None))
}
