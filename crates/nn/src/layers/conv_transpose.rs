//! Transposed convolution over 1 to 3 spatial dimensions.

use tensor::{ConvOptions, Tensor};

use super::conv::add_channels;
use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;
use crate::sizes::{Sizes, by};

/// The adjoint of a convolution from `outputs` to `inputs` channels: `[N, inputs, ..] -> [N, outputs, ..]` of size
/// `(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`.
pub struct ConvTranspose {
    place: Place,
    kind: &'static str,
    inputs: usize,
    outputs: usize,
    kernel: Vec<usize>,
    options: ConvOptions,
    output_padding: Vec<usize>,
    init: Init,
    weight: Param,
    bias: Option<Param>,
}

/// Transposed convolution of sequences `[N, inputs, length]`.
#[track_caller]
pub fn conv_transpose1d(at: Scope, inputs: usize, outputs: usize, kernel: impl Into<Sizes>) -> ConvTranspose {
    ConvTranspose::new(at, "conv_transpose1d", inputs, outputs, kernel.into().over(1))
}

/// Transposed convolution of pictures `[N, inputs, height, width]`.
#[track_caller]
pub fn conv_transpose2d(at: Scope, inputs: usize, outputs: usize, kernel: impl Into<Sizes>) -> ConvTranspose {
    ConvTranspose::new(at, "conv_transpose2d", inputs, outputs, kernel.into().over(2))
}

/// Transposed convolution of volumes `[N, inputs, depth, height, width]`.
#[track_caller]
pub fn conv_transpose3d(at: Scope, inputs: usize, outputs: usize, kernel: impl Into<Sizes>) -> ConvTranspose {
    ConvTranspose::new(at, "conv_transpose3d", inputs, outputs, kernel.into().over(3))
}

impl ConvTranspose {
    #[track_caller]
    fn new(at: Scope, kind: &'static str, inputs: usize, outputs: usize, kernel: Vec<usize>) -> ConvTranspose {
        let shape = weight_shape(inputs, outputs, 1, &kernel);
        let init = Init::layer_weight();
        let weight = at.parameter("weight", &shape, init);
        let bias = Some(at.parameter("bias", &[outputs], Init::layer_bias(&shape)));
        let (options, output_padding) = (ConvOptions::new(kernel.len()), vec![0; kernel.len()]);
        let place = Place::new(&at);
        ConvTranspose { place, kind, inputs, outputs, kernel, options, output_padding, init, weight, bias }
    }

    /// Distance between windows in the output.
    pub fn stride(mut self, stride: impl Into<Sizes>) -> ConvTranspose {
        self.options.stride = stride.into().over(self.kernel.len());
        self
    }

    /// Elements cut off on both sides of the output.
    pub fn padding(mut self, padding: impl Into<Sizes>) -> ConvTranspose {
        self.options.padding = padding.into().over(self.kernel.len());
        self
    }

    /// Elements added behind: chooses among the sizes that a strided convolution maps to one.
    pub fn output_padding(mut self, padding: impl Into<Sizes>) -> ConvTranspose {
        self.output_padding = padding.into().over(self.kernel.len());
        self
    }

    /// Distance between the taps of a window.
    pub fn dilation(mut self, dilation: impl Into<Sizes>) -> ConvTranspose {
        self.options.dilation = dilation.into().over(self.kernel.len());
        self
    }

    /// Splits the channels into independent convolutions.
    pub fn groups(mut self, groups: usize) -> ConvTranspose {
        self.options.groups = groups;
        let shape = weight_shape(self.inputs, self.outputs, groups, &self.kernel);
        self.weight.redeclare(&shape, self.init);
        self.bias.iter().for_each(|bias| bias.redeclare(&[self.outputs], Init::layer_bias(&shape)));
        self
    }

    /// Without a bias, if `false`.
    pub fn bias(mut self, bias: bool) -> ConvTranspose {
        if let Some(withdrawn) = self.bias.take_if(|_| !bias) {
            withdrawn.withdraw();
        }
        self
    }

    /// With another initial weight.
    pub fn init(mut self, weight: Init) -> ConvTranspose {
        self.init = weight;
        self.weight.redeclare(&weight_shape(self.inputs, self.outputs, self.options.groups, &self.kernel), weight);
        self
    }
}

fn weight_shape(inputs: usize, outputs: usize, groups: usize, kernel: &[usize]) -> Vec<usize> {
    [&[inputs, outputs / groups.max(1)], kernel].concat()
}

impl Layer for ConvTranspose {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run(self.kind, pass, || {
            let y = x.conv_transpose(&self.weight.tensor(), &self.options, &self.output_padding);
            self.bias.iter().fold(y, |y, bias| add_channels(&y, &bias.tensor()))
        })
    }

    fn describe(&self) -> Description {
        let settings =
            format!("{} -> {}, {}, stride {}", self.inputs, self.outputs, by(&self.kernel), by(&self.options.stride));
        Description::of(self.kind, settings).at(&self.place, [&self.weight].into_iter().chain(&self.bias))
    }
}
