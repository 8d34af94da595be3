//! The loss of classification. Its variants (weights, smoothing, ignored targets) are in the `nn` crate.

use crate::dtype::DType;
use crate::tensor::Tensor;

impl Tensor {
    /// Mean over all samples of `-ln softmax(x)[target]`: `self [N, C, ..]` are logits, `target [N, ..]` (i64) the classes.
    ///
    /// A target outside `0..C` is an error of the evaluation.
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor) -> Tensor {
        if target.error().is_some() {
            return target.clone();
        }
        if self.rank() < 2 || target.rank() + 1 != self.rank() || target.dtype() != DType::I64 {
            let message = format!(
                "logits {} and targets {} {}: logits [N, C, ..] need i64 targets [N, ..]",
                self.shape(),
                target.dtype(),
                target.shape()
            );
            return self.refused("cross_entropy", message, None);
        }
        // The target's logit is picked before the shift: the shifted ones need not lie in memory.
        let top = self.max_keep(1).detach();
        let picked = self.gather(1, &target.unsqueeze(1)) - &top;
        ((self - &top).exp().sum_keep(1).log() - picked).mean(..)
    }

    /// The product of each element of `self [..a]` with each of `other [..b]`: `[..a, ..b]`.
    #[track_caller]
    pub fn outer(&self, other: &Tensor) -> Tensor {
        let mut dims = self.dims().to_vec();
        dims.resize(self.rank() + other.rank(), 1);
        self.reshape(dims) * other
    }
}
