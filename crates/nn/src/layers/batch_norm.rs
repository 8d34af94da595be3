//! Batch normalisation (Ioffe and Szegedy 2015).

use tensor::{DType, Tensor};

use super::conv::per_channel;
use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;

/// Each channel of `[N, channels, ..]` gets mean 0 and variance 1 over the batch, then a scale and a shift. In evaluation
/// running statistics stand for the batch's, and so they do where the weight is frozen; training passes collect their updates in [`Pass::updates`].
pub struct BatchNorm {
    place: Place,
    kind: &'static str,
    spatial: Vec<usize>,
    channels: usize,
    eps: f64,
    momentum: Option<f64>,
    weight: Option<Param>,
    bias: Option<Param>,
    running: Option<Running>,
}

struct Running {
    mean: Param,
    variance: Param,
    batches: Param,
}

/// Batch normalisation of `[N, channels]` or sequences `[N, channels, length]`.
#[track_caller]
pub fn batch_norm1d(at: Scope, channels: usize) -> BatchNorm {
    BatchNorm::new(at, "batch_norm1d", vec![0, 1], channels)
}

/// Batch normalisation of pictures `[N, channels, height, width]`.
#[track_caller]
pub fn batch_norm2d(at: Scope, channels: usize) -> BatchNorm {
    BatchNorm::new(at, "batch_norm2d", vec![2], channels)
}

/// Batch normalisation of volumes `[N, channels, depth, height, width]`.
#[track_caller]
pub fn batch_norm3d(at: Scope, channels: usize) -> BatchNorm {
    BatchNorm::new(at, "batch_norm3d", vec![3], channels)
}

impl BatchNorm {
    #[track_caller]
    fn new(at: Scope, kind: &'static str, spatial: Vec<usize>, channels: usize) -> BatchNorm {
        let (dtype, shape) = (at.dtype(), [channels]);
        let weight = Some(at.parameter("weight", &shape, Init::Constant(1.0)));
        let bias = Some(at.parameter("bias", &shape, Init::Constant(0.0)));
        let running = Some(Running {
            mean: at.buffer("running_mean", &shape, dtype, Init::Constant(0.0)),
            variance: at.buffer("running_var", &shape, dtype, Init::Constant(1.0)),
            batches: at.buffer("num_batches_tracked", &[], DType::I64, Init::Constant(0.0)),
        });
        let place = Place::new(&at);
        BatchNorm { place, kind, spatial, channels, eps: 1e-5, momentum: Some(0.1), weight, bias, running }
    }

    /// Added to the variance; without it 1e-5.
    pub fn eps(mut self, eps: f64) -> BatchNorm {
        self.eps = eps;
        self
    }

    /// Share of a batch in the running statistics, 0.1 without it; `None` is the mean over all batches.
    pub fn momentum(mut self, momentum: Option<f64>) -> BatchNorm {
        self.momentum = momentum;
        self
    }

    /// Without scale and shift, if `false`.
    pub fn affine(mut self, affine: bool) -> BatchNorm {
        let gone = self.weight.take_if(|_| !affine).into_iter().chain(self.bias.take_if(|_| !affine));
        gone.for_each(|param| param.withdraw());
        self
    }

    /// With another initial scale: 0 makes a residual block the identity at first.
    pub fn init(self, weight: Init) -> BatchNorm {
        self.weight.iter().for_each(|param| param.redeclare(&[self.channels], weight));
        self
    }

    /// Without running statistics, if `false`: the batch's own are used in evaluation too.
    pub fn track(mut self, track: bool) -> BatchNorm {
        if let Some(gone) = self.running.take_if(|_| !track) {
            [gone.mean, gone.variance, gone.batches].iter().for_each(Param::withdraw);
        }
        self
    }

    fn normalise(&self, x: &Tensor, pass: &Pass) -> Tensor {
        if x.error().is_some() {
            return x.clone();
        }
        let fits = x.rank() >= 2 && self.spatial.contains(&(x.rank() - 2)) && x.dims()[1] == self.channels;
        if !fits {
            let message = format!("{} into {} channels", x.shape(), self.channels);
            return x.refused(self.kind, message, None);
        }
        match &self.running {
            Some(running) if !pass.is_training() || self.is_frozen() => {
                let [mean, variance] = [&running.mean, &running.variance].map(|p| per_channel(&p.tensor(), x.rank()));
                self.scaled(x, &mean, &variance)
            }
            running => {
                let count = x.count() / self.channels.max(1);
                if count < 2 && pass.is_training() {
                    let message = format!("{}: one value a channel has no variance", x.shape());
                    return x.refused(self.kind, message, Some("train with larger batches".into()));
                }
                let [_, mean, variance] = x.batch_norm(self.eps);
                if let Some(running) = running {
                    self.track_batch(running, &mean, &variance, count as f64, pass);
                }
                self.scaled(x, &mean, &variance)
            }
        }
    }

    /// A frozen norm is a fixed map: it keeps its statistics, too.
    fn is_frozen(&self) -> bool {
        self.weight.as_ref().is_some_and(Param::is_frozen)
    }

    /// `weight (x - mean) / sqrt(variance + eps) + bias`. What is known of a channel comes first: it is one factor then, and
    /// waits for nobody.
    fn scaled(&self, x: &Tensor, mean: &Tensor, variance: &Tensor) -> Tensor {
        let raise = |p: &Param| per_channel(&p.tensor(), x.rank());
        let inverse = (variance + self.eps).rsqrt();
        let factor = self.weight.iter().fold(inverse, |factor, weight| factor * raise(weight));
        self.bias.iter().fold(factor * (x - mean), |y, bias| y + raise(bias))
    }

    /// `running += share (batch - running)`; the variance without bias.
    fn track_batch(&self, running: &Running, mean: &Tensor, variance: &Tensor, count: f64, pass: &Pass) {
        let vars = [running.mean.var(), running.variance.var(), running.batches.var()];
        let [Some(mean_var), Some(variance_var), Some(batches_var)] = vars else { return };
        let batches = pass.current(&batches_var) + 1;
        let blend = |old: &Tensor, new: Tensor| match self.momentum {
            Some(share) => old * (1.0 - share) + new * share,
            None => old + (new - old) / batches.cast(old.dtype()),
        };
        let [mean, variance] = [mean, variance].map(|batch| batch.detach().reshape([self.channels]));
        pass.update(&mean_var, &blend(&pass.current(&mean_var), mean));
        let unbiased = variance * (count / (count - 1.0));
        pass.update(&variance_var, &blend(&pass.current(&variance_var), unbiased));
        pass.update(&batches_var, &batches);
    }
}

impl Layer for BatchNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run(self.kind, pass, || self.normalise(x, pass))
    }

    fn describe(&self) -> Description {
        let running = self.running.iter().flat_map(|r| [&r.mean, &r.variance, &r.batches]);
        let params = self.weight.iter().chain(&self.bias).chain(running);
        Description::of(self.kind, format!("{} channels", self.channels)).at(&self.place, params)
    }
}
