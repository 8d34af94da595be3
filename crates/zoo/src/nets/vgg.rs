//! VGG with sixteen layers (Simonyan and Zisserman 2015, configuration D).

use nn::{
    Fan, Flatten, Gain, Init, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, dropout, linear,
    max_pool2d,
};

/// Initial weights, torchvision's.
const WEIGHT: Init = Init::KaimingNormal { fan: Fan::Out, gain: Gain::Relu };
const ZERO: Init = Init::Constant(0.0);
const DENSE: Init = Init::Normal { mean: 0.0, std: 0.01 };

/// Outputs of each 3 x 3 convolution; a stage ends with pooling.
const STAGES: [&[usize]; 5] = [&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]];

/// For pictures of 224 x 224, others from 32 on; 138,357,544 parameters with 1000 classes.
pub fn vgg16(at: &Scope, channels: usize, classes: usize) -> Sequential {
    vgg(at, channels, classes, false)
}

/// With batch norm behind each convolution; 138,365,992 parameters with 1000 classes.
pub fn vgg16_bn(at: &Scope, channels: usize, classes: usize) -> Sequential {
    vgg(at, channels, classes, true)
}

fn vgg(at: &Scope, channels: usize, classes: usize, norm: bool) -> Sequential {
    let (mut net, mut inputs, mut number) = (Sequential::new(), channels, 0);
    let name = |number: usize| at / "features" / format!("{number}");
    for stage in STAGES {
        for &outputs in stage {
            net = net.then(conv2d(name(number), inputs, outputs, 3).padding(1).init(WEIGHT).bias_init(ZERO));
            if norm {
                net = net.then(batch_norm2d(name(number + 1), outputs));
            }
            (net, inputs, number) = (net.then(Relu), outputs, number + if norm { 3 } else { 2 });
        }
        (net, number) = (net.then(max_pool2d(2)), number + 1);
    }
    let at = at / "classifier";
    net.then(adaptive_avg_pool2d(7))
        .then(Flatten)
        .then(linear(&at / "0", 512 * 7 * 7, 4096).init(DENSE).bias_init(ZERO))
        .then(Relu)
        .then(dropout(&at / "2", 0.5))
        .then(linear(&at / "3", 4096, 4096).init(DENSE).bias_init(ZERO))
        .then(Relu)
        .then(dropout(&at / "5", 0.5))
        .then(linear(&at / "6", 4096, classes).init(DENSE).bias_init(ZERO).init(DENSE).bias_init(ZERO))
}
