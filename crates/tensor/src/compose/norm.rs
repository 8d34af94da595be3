//! Normalisation: values minus their mean, over their deviation.

use crate::shape::AxisSet;
use crate::tensor::Tensor;

impl Tensor {
    /// Layer normalisation (Ba et al. 2016): each slice over the last `axes` axes gets mean 0 and variance 1.
    #[track_caller]
    pub fn layer_norm(&self, axes: usize, eps: f64) -> Tensor {
        match last_axes(self, axes) {
            Some(set) => self.normalised(set, eps),
            None => self.refused("layer_norm", format!("the last {axes} axes of {}", self.shape()), None),
        }
    }

    /// Root mean square normalisation (Zhang and Sennrich 2019): `x / sqrt(mean(x^2) + eps)` over the last `axes` axes.
    #[track_caller]
    pub fn rms_norm(&self, axes: usize, eps: f64) -> Tensor {
        match last_axes(self, axes) {
            Some(set) => self * ((self * self).mean_keep(set) + eps).rsqrt(),
            None => self.refused("rms_norm", format!("the last {axes} axes of {}", self.shape()), None),
        }
    }

    /// Group normalisation (Wu and He 2018): the channels of `self [N, C, ..]` in `groups`, each of a sample normalised.
    #[track_caller]
    pub fn group_norm(&self, groups: usize, eps: f64) -> Tensor {
        if self.rank() < 2 || groups == 0 || !self.dims()[1].is_multiple_of(groups) {
            let message = format!("{groups} groups of the channels (axis 1) of {}", self.shape());
            return self.refused("group_norm", message, None);
        }
        let grouped = self.reshape([self.dims()[0], groups, self.count() / (self.dims()[0] * groups).max(1)]);
        grouped.layer_norm(1, eps).reshape(self.shape())
    }

    /// Instance normalisation (Ulyanov et al. 2016): each channel of each sample of `self [N, C, ..]` normalised.
    #[track_caller]
    pub fn instance_norm(&self, eps: f64) -> Tensor {
        match self.rank().checked_sub(2) {
            Some(spatial) if spatial > 0 => self.layer_norm(spatial, eps),
            _ => self.refused("instance_norm", format!("{} is not [N, C, ..]", self.shape()), None),
        }
    }

    /// Batch normalisation (Ioffe and Szegedy 2015) of `self [N, C, ..]` by its own statistics: the normalised values, and
    /// the mean and (biased) variance of each channel, `[1, C, 1, ..]`.
    #[track_caller]
    pub fn batch_norm(&self, eps: f64) -> [Tensor; 3] {
        if self.rank() < 2 {
            let refused = self.refused("batch_norm", format!("{} is not [N, C, ..]", self.shape()), None);
            return [refused.clone(), refused.clone(), refused];
        }
        self.with_statistics((0..self.rank()).filter(|&axis| axis != 1).collect(), eps)
    }

    #[track_caller]
    fn normalised(&self, axes: AxisSet, eps: f64) -> Tensor {
        let [normalised, ..] = self.with_statistics(axes, eps);
        normalised
    }

    /// Two passes: the mean first, then the squares around it.
    #[track_caller]
    fn with_statistics(&self, axes: AxisSet, eps: f64) -> [Tensor; 3] {
        let mean = self.mean_keep(axes);
        let centred = self - &mean;
        let variance = (&centred * &centred).mean_keep(axes);
        [&centred * (&variance + eps).rsqrt(), mean, variance]
    }
}

fn last_axes(x: &Tensor, axes: usize) -> Option<AxisSet> {
    let first = x.rank().checked_sub(axes)?;
    (axes > 0).then(|| (first..x.rank()).collect())
}
