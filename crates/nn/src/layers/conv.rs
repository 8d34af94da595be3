//! Convolution over 1 to 3 spatial dimensions.

use tensor::{ConvOptions, Tensor};

use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;
use crate::sizes::{Sizes, by};

/// Convolution (cross-correlation): `[N, inputs, ..] -> [N, outputs, ..]` of size
/// `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`.
pub struct Conv {
    place: Place,
    kind: &'static str,
    inputs: usize,
    outputs: usize,
    kernel: Vec<usize>,
    options: ConvOptions,
    same: bool,
    init: Init,
    weight: Param,
    bias: Option<Param>,
}

/// Convolution of sequences `[N, inputs, length]`.
#[track_caller]
pub fn conv1d(at: Scope, inputs: usize, outputs: usize, kernel: impl Into<Sizes>) -> Conv {
    Conv::new(at, "conv1d", inputs, outputs, kernel.into().over(1))
}

/// Convolution of pictures `[N, inputs, height, width]`.
#[track_caller]
pub fn conv2d(at: Scope, inputs: usize, outputs: usize, kernel: impl Into<Sizes>) -> Conv {
    Conv::new(at, "conv2d", inputs, outputs, kernel.into().over(2))
}

/// Convolution of volumes `[N, inputs, depth, height, width]`.
#[track_caller]
pub fn conv3d(at: Scope, inputs: usize, outputs: usize, kernel: impl Into<Sizes>) -> Conv {
    Conv::new(at, "conv3d", inputs, outputs, kernel.into().over(3))
}

impl Conv {
    #[track_caller]
    fn new(at: Scope, kind: &'static str, inputs: usize, outputs: usize, kernel: Vec<usize>) -> Conv {
        let shape = weight_shape(inputs, outputs, 1, &kernel);
        let init = Init::layer_weight();
        let weight = at.parameter("weight", &shape, init);
        let bias = Some(at.parameter("bias", &[outputs], Init::layer_bias(&shape)));
        let options = ConvOptions::new(kernel.len());
        Conv { place: Place::new(&at), kind, inputs, outputs, kernel, options, same: false, init, weight, bias }
    }

    /// Distance between windows.
    pub fn stride(mut self, stride: impl Into<Sizes>) -> Conv {
        self.options.stride = stride.into().over(self.kernel.len());
        self
    }

    /// Zeros on both sides.
    pub fn padding(mut self, padding: impl Into<Sizes>) -> Conv {
        self.options.padding = padding.into().over(self.kernel.len());
        self
    }

    /// As many zeros as keep the size at stride 1; the odd one behind.
    pub fn padding_same(mut self) -> Conv {
        self.same = true;
        self
    }

    /// Distance between the taps of a window.
    pub fn dilation(mut self, dilation: impl Into<Sizes>) -> Conv {
        self.options.dilation = dilation.into().over(self.kernel.len());
        self
    }

    /// Splits the channels into independent convolutions; as many as there are inputs: depthwise.
    pub fn groups(mut self, groups: usize) -> Conv {
        self.options.groups = groups;
        let shape = weight_shape(self.inputs, self.outputs, groups, &self.kernel);
        self.weight.redeclare(&shape, self.init);
        self.bias.iter().for_each(|bias| bias.redeclare(&[self.outputs], Init::layer_bias(&shape)));
        self
    }

    /// Without a bias, if `false`.
    pub fn bias(mut self, bias: bool) -> Conv {
        if let Some(withdrawn) = self.bias.take_if(|_| !bias) {
            withdrawn.withdraw();
        }
        self
    }

    /// With another initial weight.
    pub fn init(mut self, weight: Init) -> Conv {
        self.init = weight;
        self.weight.redeclare(&weight_shape(self.inputs, self.outputs, self.options.groups, &self.kernel), weight);
        self
    }

    /// With another initial bias.
    pub fn bias_init(self, init: Init) -> Conv {
        self.bias.iter().for_each(|bias| bias.redeclare(&[self.outputs], init));
        self
    }

    fn convolve(&self, x: &Tensor) -> Tensor {
        if x.error().is_none() && x.rank() == self.kernel.len() + 2 && x.dims()[1] != self.inputs {
            let name = self.place.path().rsplit('/').next().unwrap_or_default();
            let message = format!("{} into {} input channels", x.shape(), self.inputs);
            let (kind, found, outputs, kernel) = (self.kind, x.dims()[1], self.outputs, by(&self.kernel));
            let help = format!("{kind}(at / {name:?}, {found}, {outputs}, ..) for a kernel of {kernel}");
            return x.refused(self.kind, message, Some(help));
        }
        let (mut options, mut padded) = (self.options.clone(), x.clone());
        if self.same && options.dilation.len() == self.kernel.len() {
            options.padding = vec![0; self.kernel.len()];
            for (axis, (&k, &d)) in self.kernel.iter().zip(&self.options.dilation).enumerate() {
                let total = d * k.saturating_sub(1);
                options.padding[axis] = total / 2;
                padded = padded.pad(2 + axis as isize, 0, total % 2, 0.0);
            }
        }
        let y = padded.conv(&self.weight.tensor(), &options);
        self.bias.iter().fold(y, |y, bias| add_channels(&y, &bias.tensor()))
    }
}

/// `y [N, C, ..]` plus `bias [C]`.
pub(super) fn add_channels(y: &Tensor, bias: &Tensor) -> Tensor {
    if y.error().is_some() {
        return y.clone();
    }
    y + per_channel(bias, y.rank())
}

/// `x [C]` as `[1, C, 1, ..]` of `rank` dimensions.
pub(super) fn per_channel(x: &Tensor, rank: usize) -> Tensor {
    let mut dims = vec![1; rank];
    if rank > 1 {
        dims[1] = x.count();
    }
    x.reshape(dims)
}

fn weight_shape(inputs: usize, outputs: usize, groups: usize, kernel: &[usize]) -> Vec<usize> {
    [&[outputs, inputs / groups.max(1)], kernel].concat()
}

impl Layer for Conv {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run(self.kind, pass, || self.convolve(x))
    }

    fn describe(&self) -> Description {
        let mut settings = format!("{} -> {}, {}", self.inputs, self.outputs, by(&self.kernel));
        let o = &self.options;
        let mut note = |name: &str, sizes: &[usize], default: usize| {
            if sizes.iter().any(|&size| size != default) {
                settings += &format!(", {name} {}", by(sizes));
            }
        };
        note("stride", &o.stride, 1);
        note("padding", &o.padding, 0);
        note("dilation", &o.dilation, 1);
        note("groups", &[o.groups], 1);
        Description::of(self.kind, settings).at(&self.place, [&self.weight].into_iter().chain(&self.bias))
    }
}
