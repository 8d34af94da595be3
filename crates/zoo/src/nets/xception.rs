//! Xception (Chollet 2017): depthwise separable convolutions with linear residual connections.

use nn::{
    Flatten, Layer, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, linear, max_pool2d, residual,
};

/// For pictures of 299 x 299, others from 71 on; 22,855,952 parameters with 1000 classes (figure 5).
pub fn xception(at: &Scope, channels: usize, classes: usize) -> Sequential {
    let conv = |name: &str, norm: &str, from: usize, to: usize, stride: usize| {
        Sequential::new()
            .then(conv2d(at / name, from, to, 3).stride(stride).bias(false))
            .then(batch_norm2d(at / norm, to))
            .then(Relu)
    };
    let mut net = Sequential::new()
        .then(conv("conv1", "bn1", channels, 32, 2)) // [N, 32, 149, 149]
        .then(conv("conv2", "bn2", 32, 64, 1)); // [N, 64, 147, 147]
    net = net
        .then(shrinking(&(at / "block1"), 64, 128, 128, false)) // entry flow: [N, 128, 74, 74]
        .then(shrinking(&(at / "block2"), 128, 256, 256, true)) // [N, 256, 37, 37]
        .then(shrinking(&(at / "block3"), 256, 728, 728, true)); // [N, 728, 19, 19]
    for number in 4..12 {
        let at = at / format!("block{number}"); // middle flow
        let body = (0..3).fold(Sequential::new(), |body, step| {
            body.then(Relu).then(separable(&(&at / format!("{step}")), 728, 728))
        });
        net = net.then(residual(body));
    }
    net.then(shrinking(&(at / "block12"), 728, 728, 1024, true)) // exit flow: [N, 1024, 10, 10]
        .then(separable(&(at / "conv3"), 1024, 1536))
        .then(Relu)
        .then(separable(&(at / "conv4"), 1536, 2048))
        .then(Relu)
        .then(adaptive_avg_pool2d(1))
        .then(Flatten)
        .then(linear(at / "fc", 2048, classes))
}

/// Two separable convolutions and pooling, beside a strided 1 x 1 convolution.
fn shrinking(at: &Scope, inputs: usize, middle: usize, outputs: usize, relu_first: bool) -> impl Layer + use<> {
    let mut body = Sequential::new();
    if relu_first {
        body = body.then(Relu);
    }
    body = body
        .then(separable(&(at / "0"), inputs, middle))
        .then(Relu)
        .then(separable(&(at / "1"), middle, outputs))
        .then(max_pool2d(3).stride(2).padding(1));
    residual(body).shortcut(
        Sequential::new()
            .then(conv2d(at / "skip", inputs, outputs, 1).stride(2).bias(false))
            .then(batch_norm2d(at / "skipbn", outputs)),
    )
}

/// A 3 x 3 convolution of each channel alone, a 1 x 1 convolution across them, batch norm.
fn separable(at: &Scope, from: usize, to: usize) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "depthwise", from, from, 3).padding(1).groups(from).bias(false))
        .then(conv2d(at / "pointwise", from, to, 1).bias(false))
        .then(batch_norm2d(at / "bn", to))
}
