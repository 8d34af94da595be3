//! MobileNetV2 (Sandler et al. 2018): inverted residuals with linear bottlenecks.

use nn::{
    Fan, Flatten, Gain, Init, Relu6, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, dropout, linear,
    residual,
};

/// Initial weights of the convolutions, torchvision's.
const WEIGHT: Init = Init::KaimingNormal { fan: Fan::Out, gain: Gain::Relu };

/// Table 2: expansion, channels, blocks, stride of the first.
const TABLE: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// For pictures of 224 x 224, others from 32 on; 3,504,872 parameters with 1000 classes.
pub fn mobilenet_v2(at: &Scope, channels: usize, classes: usize) -> Sequential {
    let features = at / "features";
    let mut net = unit(Sequential::new(), &(&features / "0"), channels, 32, 3, 2, 1);
    let (mut inputs, mut number) = (32, 1);
    for [expansion, outputs, blocks, stride] in TABLE {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let body = inverted(&(&features / format!("{number}") / "conv"), inputs, outputs, expansion, stride);
            net = if stride == 1 && inputs == outputs { net.then(residual(body)) } else { net.then(body) };
            (inputs, number) = (outputs, number + 1);
        }
    }
    unit(net, &(&features / format!("{number}")), inputs, 1280, 1, 1, 1)
        .then(adaptive_avg_pool2d(1))
        .then(Flatten)
        .then(dropout(at / "classifier" / "0", 0.2))
        .then(
            linear(at / "classifier" / "1", 1280, classes)
                .init(Init::Normal { mean: 0.0, std: 0.01 })
                .bias_init(Init::Constant(0.0)),
        )
}

/// Widen, a depthwise convolution, narrow without a nonlinearity (table 1).
fn inverted(at: &Scope, inputs: usize, outputs: usize, expansion: usize, stride: usize) -> Sequential {
    let (hidden, mut net, mut number) = (inputs * expansion, Sequential::new(), 0);
    if expansion != 1 {
        net = unit(net, &(at / "0"), inputs, hidden, 1, 1, 1);
        number = 1;
    }
    unit(net, &(at / format!("{number}")), hidden, hidden, 3, stride, hidden)
        .then(conv2d(at / format!("{}", number + 1), hidden, outputs, 1).bias(false).init(WEIGHT))
        .then(batch_norm2d(at / format!("{}", number + 2), outputs))
}

/// `net`, then convolution, batch norm and ReLU6.
fn unit(
    net: Sequential,
    at: &Scope,
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
) -> Sequential {
    let conv =
        conv2d(at / "0", from, to, kernel).stride(stride).padding(kernel / 2).groups(groups).bias(false).init(WEIGHT);
    net.then(conv).then(batch_norm2d(at / "1", to)).then(Relu6)
}
