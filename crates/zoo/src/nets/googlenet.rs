//! GoogLeNet (Szegedy et al. 2015), without the two helping classifiers of its training.

use nn::{
    Flatten, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, branches, conv2d, dropout, linear,
    local_response_norm, max_pool2d,
};

/// Which of the two nets that go by the name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inception {
    /// As published: biases, response normalisation, 5 x 5 kernels; 6,998,552 parameters with 1000 classes.
    Published,
    /// As torchvision has it: batch norm, 3 x 3 kernels in place of 5 x 5; 6,624,904 parameters with 1000 classes.
    BatchNorm,
}

/// A row of table 1: outputs of the 1 x 1 branch, of reduction and 3 x 3, of reduction and 5 x 5, of the projection behind pooling.
type Module = (&'static str, [usize; 6]);

const STAGE3: [Module; 2] = [("inception3a", [64, 96, 128, 16, 32, 32]), ("inception3b", [128, 128, 192, 32, 96, 64])];
const STAGE4: [Module; 5] = [
    ("inception4a", [192, 96, 208, 16, 48, 64]),
    ("inception4b", [160, 112, 224, 24, 64, 64]),
    ("inception4c", [128, 128, 256, 24, 64, 64]),
    ("inception4d", [112, 144, 288, 32, 64, 64]),
    ("inception4e", [256, 160, 320, 32, 128, 128]),
];
const STAGE5: [Module; 2] =
    [("inception5a", [256, 160, 320, 32, 128, 128]), ("inception5b", [384, 192, 384, 48, 128, 128])];

/// For pictures of 224 x 224, others from 32 on.
#[rustfmt::skip]
pub fn googlenet(at: &Scope, channels: usize, classes: usize, kind: Inception) -> Sequential {
    let pool = || max_pool2d(3).stride(2).ceil(true);
    let norm = |net: Sequential| if kind == Inception::Published { net.then(local_response_norm(5)) } else { net };
    let mut net = Sequential::new()
        .then(unit(&(at / "conv1"), channels, 64, 7, 2, kind)).then(pool());         // [N, 64, 56, 56]
    net = norm(net)
        .then(unit(&(at / "conv2"), 64, 64, 1, 1, kind))
        .then(unit(&(at / "conv3"), 64, 192, 3, 1, kind));
    net = norm(net).then(pool());                                                    // [N, 192, 28, 28]
    let mut inputs = 192;
    for (stage, modules) in [&STAGE3[..], &STAGE4, &STAGE5].into_iter().enumerate() {
        for (name, outputs) in modules {
            net = net.then(module(&(at / *name), inputs, outputs, kind));
            inputs = outputs[0] + outputs[2] + outputs[4] + outputs[5];
        }
        net = match stage {
            0 => net.then(pool()),                                                   // [N, 480, 14, 14]
            1 if kind == Inception::BatchNorm => net.then(max_pool2d(2).ceil(true)), // [N, 832, 7, 7]
            1 => net.then(pool()),
            _ => net,                                                                // [N, 1024, 7, 7]
        };
    }
    let drop = if kind == Inception::Published { 0.4 } else { 0.2 };
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(dropout(at / "dropout", drop)).then(linear(at / "fc", 1024, classes))
}

/// The module of figure 2b.
#[rustfmt::skip]
fn module(at: &Scope, inputs: usize, &[one, reduce3, three, reduce5, five, pooled]: &[usize; 6], kind: Inception) -> impl nn::Layer + use<> {
    let unit = |name: &str, from, to, kernel| unit(&(at / name), from, to, kernel, 1, kind);
    let wide = if kind == Inception::Published { 5 } else { 3 };
    branches()
        .and(unit("branch1", inputs, one, 1))
        .and(Sequential::new().then(unit("branch2/0", inputs, reduce3, 1)).then(unit("branch2/1", reduce3, three, 3)))
        .and(Sequential::new().then(unit("branch3/0", inputs, reduce5, 1)).then(unit("branch3/1", reduce5, five, wide)))
        .and(Sequential::new().then(max_pool2d(3).stride(1).padding(1)).then(unit("branch4/1", inputs, pooled, 1)))
}

/// Convolution and ReLU, with batch norm between them or a bias.
fn unit(at: &Scope, from: usize, to: usize, kernel: usize, stride: usize, kind: Inception) -> Sequential {
    let norm = kind == Inception::BatchNorm;
    let conv = conv2d(at / "conv", from, to, kernel).stride(stride).padding(kernel / 2).bias(!norm);
    let net = Sequential::new().then(conv);
    if norm { net.then(batch_norm2d(at / "bn", to).eps(0.001)).then(Relu) } else { net.then(Relu) }
}
