//! Normalisation within each sample: layer, root mean square, group, instance.

use tensor::{DType, Tensor};

use super::conv::per_channel;
use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;
use crate::sizes::{Sizes, by};

/// PyTorch's `eps`.
const EPS: f64 = 1e-5;

/// Scale (1 at first) and shift (0 at first) behind a normalisation.
struct Affine {
    weight: Option<Param>,
    bias: Option<Param>,
}

impl Affine {
    #[track_caller]
    fn new(at: &Scope, shape: &[usize]) -> Affine {
        let weight = Some(at.parameter("weight", shape, Init::Constant(1.0)));
        Affine { weight, bias: Some(at.parameter("bias", shape, Init::Constant(0.0))) }
    }

    fn withdraw(&mut self, weight: bool) {
        let gone = self.weight.take_if(|_| weight).into_iter().chain(self.bias.take());
        gone.for_each(|param| param.withdraw());
    }

    fn params(&self) -> impl Iterator<Item = &Param> {
        self.weight.iter().chain(&self.bias)
    }

    /// `y` scaled and shifted; `raise` gives a parameter the rank of `y`.
    fn apply(&self, y: Tensor, raise: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let y = self.weight.iter().fold(y, |y, weight| y * raise(&weight.tensor()));
        self.bias.iter().fold(y, |y, bias| y + raise(&bias.tensor()))
    }
}

/// Layer normalisation (Ba et al. 2016) over the last dimensions.
pub struct LayerNorm {
    place: Place,
    shape: Vec<usize>,
    eps: f64,
    affine: Affine,
}

/// Normalises over the last dimensions, which are `shape`; `weight` and `bias` of that shape.
#[track_caller]
pub fn layer_norm(at: Scope, shape: impl Into<Sizes>) -> LayerNorm {
    let shape = shape.into().over(1);
    LayerNorm { place: Place::new(&at), affine: Affine::new(&at, &shape), shape, eps: EPS }
}

impl LayerNorm {
    /// Added to the variance; without it 1e-5.
    pub fn eps(mut self, eps: f64) -> LayerNorm {
        self.eps = eps;
        self
    }

    /// Without a shift, if `false`.
    pub fn bias(mut self, bias: bool) -> LayerNorm {
        if !bias {
            self.affine.withdraw(false);
        }
        self
    }

    /// Without scale and shift, if `false`.
    pub fn affine(mut self, affine: bool) -> LayerNorm {
        if !affine {
            self.affine.withdraw(true);
        }
        self
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("layer_norm", pass, || {
            if x.error().is_none() && !x.dims().ends_with(&self.shape) {
                return x.refused("layer_norm", format!("{} does not end in {:?}", x.shape(), self.shape), None);
            }
            self.affine.apply(x.layer_norm(self.shape.len(), self.eps), Tensor::clone)
        })
    }

    fn describe(&self) -> Description {
        Description::of("layer_norm", by(&self.shape)).at(&self.place, self.affine.params())
    }
}

/// Root mean square normalisation (Zhang and Sennrich 2019) over the last dimensions.
pub struct RmsNorm {
    place: Place,
    shape: Vec<usize>,
    eps: Option<f64>,
    weight: Option<Param>,
}

/// Normalises over the last dimensions, which are `shape`; `weight` of that shape.
#[track_caller]
pub fn rms_norm(at: Scope, shape: impl Into<Sizes>) -> RmsNorm {
    let shape = shape.into().over(1);
    let weight = Some(at.parameter("weight", &shape, Init::Constant(1.0)));
    RmsNorm { place: Place::new(&at), shape, eps: None, weight }
}

impl RmsNorm {
    /// Added to the mean square; without it the epsilon of the dtype.
    pub fn eps(mut self, eps: f64) -> RmsNorm {
        self.eps = Some(eps);
        self
    }

    /// Without a scale, if `false`.
    pub fn affine(mut self, affine: bool) -> RmsNorm {
        if let Some(weight) = self.weight.take_if(|_| !affine) {
            weight.withdraw();
        }
        self
    }
}

impl Layer for RmsNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("rms_norm", pass, || {
            if x.error().is_none() && !x.dims().ends_with(&self.shape) {
                return x.refused("rms_norm", format!("{} does not end in {:?}", x.shape(), self.shape), None);
            }
            let own = if x.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
            let y = x.rms_norm(self.shape.len(), self.eps.unwrap_or(own));
            self.weight.iter().fold(y, |y, weight| y * weight.tensor())
        })
    }

    fn describe(&self) -> Description {
        Description::of("rms_norm", by(&self.shape)).at(&self.place, &self.weight)
    }
}

/// Group normalisation (Wu and He 2018).
pub struct GroupNorm {
    place: Place,
    groups: usize,
    channels: usize,
    eps: f64,
    affine: Affine,
}

/// Normalises each of `groups` groups of the channels of each sample of `[N, channels, ..]`.
#[track_caller]
pub fn group_norm(at: Scope, groups: usize, channels: usize) -> GroupNorm {
    GroupNorm { place: Place::new(&at), groups, channels, eps: EPS, affine: Affine::new(&at, &[channels]) }
}

impl GroupNorm {
    /// Added to the variance; without it 1e-5.
    pub fn eps(mut self, eps: f64) -> GroupNorm {
        self.eps = eps;
        self
    }

    /// Without scale and shift, if `false`.
    pub fn affine(mut self, affine: bool) -> GroupNorm {
        if !affine {
            self.affine.withdraw(true);
        }
        self
    }
}

impl Layer for GroupNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("group_norm", pass, || {
            if x.error().is_none() && x.dims().get(1) != Some(&self.channels) {
                return x.refused("group_norm", format!("{} into {} channels", x.shape(), self.channels), None);
            }
            self.affine.apply(x.group_norm(self.groups, self.eps), |p| per_channel(p, x.rank()))
        })
    }

    fn describe(&self) -> Description {
        let settings = format!("{} channels in {} groups", self.channels, self.groups);
        Description::of("group_norm", settings).at(&self.place, self.affine.params())
    }
}

/// Instance normalisation (Ulyanov et al. 2016), without running statistics.
pub struct InstanceNorm {
    place: Place,
    at: Scope,
    kind: &'static str,
    spatial: usize,
    channels: usize,
    eps: f64,
    affine: Affine,
}

/// Normalises each channel of each sample of `[N, channels, length]`.
#[track_caller]
pub fn instance_norm1d(at: Scope, channels: usize) -> InstanceNorm {
    InstanceNorm::new(at, "instance_norm1d", 1, channels)
}

/// Normalises each channel of each sample of `[N, channels, height, width]`.
#[track_caller]
pub fn instance_norm2d(at: Scope, channels: usize) -> InstanceNorm {
    InstanceNorm::new(at, "instance_norm2d", 2, channels)
}

/// Normalises each channel of each sample of `[N, channels, depth, height, width]`.
#[track_caller]
pub fn instance_norm3d(at: Scope, channels: usize) -> InstanceNorm {
    InstanceNorm::new(at, "instance_norm3d", 3, channels)
}

impl InstanceNorm {
    #[track_caller]
    fn new(at: Scope, kind: &'static str, spatial: usize, channels: usize) -> InstanceNorm {
        let affine = Affine { weight: None, bias: None };
        InstanceNorm { place: Place::new(&at), at, kind, spatial, channels, eps: EPS, affine }
    }

    /// Added to the variance; without it 1e-5.
    pub fn eps(mut self, eps: f64) -> InstanceNorm {
        self.eps = eps;
        self
    }

    /// With scale and shift, if `true`.
    #[track_caller]
    pub fn affine(mut self, affine: bool) -> InstanceNorm {
        match affine {
            true if self.affine.weight.is_none() => self.affine = Affine::new(&self.at, &[self.channels]),
            true => {}
            false => self.affine.withdraw(true),
        }
        self
    }

    fn normalise(&self, x: &Tensor) -> Tensor {
        if x.error().is_some() {
            return x.clone();
        }
        if x.rank() != self.spatial + 2 || x.dims()[1] != self.channels {
            return x.refused(self.kind, format!("{} into {} channels", x.shape(), self.channels), None);
        }
        if x.dims()[2..].iter().product::<usize>() == 1 {
            return x.refused(self.kind, format!("{}: one value a channel has no variance", x.shape()), None);
        }
        self.affine.apply(x.instance_norm(self.eps), |p| per_channel(p, x.rank()))
    }
}

impl Layer for InstanceNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run(self.kind, pass, || self.normalise(x))
    }

    fn describe(&self) -> Description {
        Description::of(self.kind, format!("{} channels", self.channels)).at(&self.place, self.affine.params())
    }
}
