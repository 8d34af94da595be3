//! DenseNet with 121 layers (Huang et al. 2017).

use nn::{
    Fan, Flatten, Gain, Identity, Init, Layer, Relu, Scope, Sequential, adaptive_avg_pool2d, avg_pool2d, batch_norm2d,
    branches, conv2d, linear, max_pool2d,
};

/// Initial weights of the convolutions, torchvision's.
const WEIGHT: Init = Init::KaimingNormal { fan: Fan::In, gain: Gain::Relu };

/// Layers of each dense block (table 1), and the channels that a layer adds.
const BLOCKS: [usize; 4] = [6, 12, 24, 16];
const GROWTH: usize = 32;

/// For pictures of 224 x 224, others from 32 on; 7,978,856 parameters with 1000 classes.
pub fn densenet121(at: &Scope, channels: usize, classes: usize) -> Sequential {
    let features = at / "features";
    let mut net = Sequential::new()
        .then(conv2d(&features / "conv0", channels, 2 * GROWTH, 7).stride(2).padding(3).bias(false).init(WEIGHT)) // [N, 64, 112, 112]
        .then(batch_norm2d(&features / "norm0", 2 * GROWTH))
        .then(Relu)
        .then(max_pool2d(3).stride(2).padding(1)); // [N, 64, 56, 56]
    let mut width = 2 * GROWTH;
    for (block, layers) in (1..).zip(BLOCKS) {
        for number in 1..=layers {
            net = net.then(dense(&(&features / format!("denseblock{block}") / format!("denselayer{number}")), width));
            width += GROWTH;
        }
        if block < BLOCKS.len() {
            net = net.then(transition(&(&features / format!("transition{block}")), width));
            width /= 2;
        }
    }
    net.then(batch_norm2d(&features / "norm5", width)) // [N, 1024, 7, 7]
        .then(Relu)
        .then(adaptive_avg_pool2d(1))
        .then(Flatten)
        .then(linear(at / "classifier", width, classes).bias_init(Init::Constant(0.0)))
}

/// `[x, H(x)]`: a bottleneck of four times the growth, then 3 x 3 (equation 2, "DenseNet-B").
fn dense(at: &Scope, inputs: usize) -> impl Layer + use<> {
    let new = Sequential::new()
        .then(batch_norm2d(at / "norm1", inputs))
        .then(Relu)
        .then(conv2d(at / "conv1", inputs, 4 * GROWTH, 1).bias(false).init(WEIGHT))
        .then(batch_norm2d(at / "norm2", 4 * GROWTH))
        .then(Relu)
        .then(conv2d(at / "conv2", 4 * GROWTH, GROWTH, 3).padding(1).bias(false).init(WEIGHT));
    branches().and(Identity).and(new)
}

/// Half the channels, half the size.
fn transition(at: &Scope, inputs: usize) -> Sequential {
    Sequential::new()
        .then(batch_norm2d(at / "norm", inputs))
        .then(Relu)
        .then(conv2d(at / "conv", inputs, inputs / 2, 1).bias(false).init(WEIGHT))
        .then(avg_pool2d(2))
}
