//! Softmax and its logarithm. Entries of -infinity (masks) get probability 0.

use crate::tensor::Tensor;

impl Tensor {
    /// `e^x / sum(e^x)` along `axis`.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Tensor {
        let exps = self.below_top(axis).exp();
        &exps / exps.sum_keep(axis)
    }

    /// `x - ln(sum(e^x))` along `axis`.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Tensor {
        let shifted = self.below_top(axis);
        &shifted - shifted.exp().sum_keep(axis).log()
    }

    /// `x - max(x)`: the exponentials cannot overflow, and the shift cancels, so no gradient goes through it.
    #[track_caller]
    pub(super) fn below_top(&self, axis: isize) -> Tensor {
        self - self.max_keep(axis).detach()
    }
}
