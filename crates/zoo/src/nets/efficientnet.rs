//! EfficientNet-lite0 (Tan and Le 2019; the lite form of 2020: no squeeze and excitation, ReLU6). Names are those of the weights that
//! were converted from TensorFlow's, and so is the padding: what is missing at the right and below is one more than before.

use nn::{
    Description, Fan, Flatten, Gain, Init, Layer, Pass, Relu6, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d,
    conv2d, dropout, linear, residual,
};
use tensor::Tensor;

/// Initial weights of the convolutions.
const WEIGHT: Init = Init::KaimingNormal { fan: Fan::Out, gain: Gain::Relu };

/// Blocks, kernel, stride of the first, expansion, channels.
const TABLE: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];

/// For pictures of 224 x 224, others from 32 on; 4,652,008 parameters with 1000 classes.
pub fn efficientnet_lite0(at: &Scope, channels: usize, classes: usize) -> Sequential {
    let mut net = unit(Sequential::new(), at, ["_conv_stem", "_bn0"], [channels, 32, 3, 2, 1]).then(Relu6); // [N, 32, 112, 112]
    let (mut inputs, mut number) = (32, 0);
    for [blocks, kernel, stride, expansion, outputs] in TABLE {
        for block in 0..blocks {
            let (at, stride) = (at / "_blocks" / format!("{number}"), if block == 0 { stride } else { 1 });
            let hidden = expansion * inputs;
            let mut body = Sequential::new();
            if expansion > 1 {
                body = unit(body, &at, ["_expand_conv", "_bn0"], [inputs, hidden, 1, 1, 1]).then(Relu6);
            }
            body = unit(body, &at, ["_depthwise_conv", "_bn1"], [hidden, hidden, kernel, stride, hidden]).then(Relu6);
            body = unit(body, &at, ["_project_conv", "_bn2"], [hidden, outputs, 1, 1, 1]);
            net = if stride == 1 && inputs == outputs { net.then(residual(body)) } else { net.then(body) };
            (inputs, number) = (outputs, number + 1);
        }
    }
    unit(net, at, ["_conv_head", "_bn1"], [320, 1280, 1, 1, 1])
        .then(Relu6)
        .then(adaptive_avg_pool2d(1))
        .then(Flatten) // [N, 1280]
        .then(dropout(at / "_dropout", 0.2))
        .then(linear(at / "_fc", 1280, classes))
}

/// `net`, then a convolution `[inputs, outputs, kernel, stride, groups]` and batch norm of these names.
fn unit(
    net: Sequential,
    at: &Scope,
    names: [&str; 2],
    [inputs, outputs, kernel, stride, groups]: [usize; 5],
) -> Sequential {
    // With stride 1 as many zeros are missing before as after.
    let (net, padding) = if stride == 1 { (net, kernel / 2) } else { (net.then(Same { kernel, stride }), 0) };
    let conv = conv2d(at / names[0], inputs, outputs, kernel).stride(stride).padding(padding).groups(groups);
    net.then(conv.bias(false).init(WEIGHT)).then(batch_norm2d(at / names[1], outputs).eps(1e-3).momentum(Some(0.01)))
}

/// Zeros around a picture, so that a convolution gives `ceil(size / stride)` rows and columns.
struct Same {
    kernel: usize,
    stride: usize,
}

impl Layer for Same {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        if x.error().is_some() || x.rank() != 4 {
            return x.clone();
        }
        let padded = |x: Tensor, axis: usize| {
            let size = x.dims()[axis];
            let covered = (size.div_ceil(self.stride).max(1) - 1) * self.stride + self.kernel;
            let zeros = covered.saturating_sub(size);
            x.pad(axis as isize, zeros / 2, zeros - zeros / 2, 0.0)
        };
        padded(padded(x.clone(), 2), 3)
    }

    fn describe(&self) -> Description {
        Description::of("same", format!("zeros for {0}x{0}, stride {1}", self.kernel, self.stride))
    }
}
