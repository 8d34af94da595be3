//! Residual networks (He et al. 2016): 18 layers for pictures of 32 x 32, and 50 layers of bottlenecks.

use nn::{Flatten, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, linear, max_pool2d, residual};

/// ResNet-18 for CIFAR: no first pooling. 11.2 million parameters with 10 classes.
pub(crate) fn resnet18_cifar(at: &Scope, classes: usize) -> Sequential {
    let mut net = Sequential::new()
        .then(conv2d(at / "conv1", 3, 64, 3).padding(1).bias(false)) // [N, 64, 32, 32]
        .then(batch_norm2d(at / "bn1", 64))
        .then(Relu);
    let mut inputs = 64;
    for (stage, (outputs, stride)) in [(64, 1), (128, 2), (256, 2), (512, 2)].into_iter().enumerate() {
        let at = at / format!("layer{}", stage + 1);
        net = net.then(block(&at / "0", inputs, [[outputs, 3, stride], [outputs, 3, 1]])).then(block(
            &at / "1",
            outputs,
            [[outputs, 3, 1]; 2],
        ));
        inputs = outputs;
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", 512, classes))
}

/// ResNet-50, the stride in the 3 x 3 convolution of a bottleneck. 25.6 million parameters with 1000 classes.
pub(crate) fn resnet50(at: &Scope, classes: usize) -> Sequential {
    let mut net = Sequential::new()
        .then(conv2d(at / "conv1", 3, 64, 7).stride(2).padding(3).bias(false)) // [N, 64, 112, 112]
        .then(batch_norm2d(at / "bn1", 64))
        .then(Relu)
        .then(max_pool2d(3).stride(2).padding(1)); // [N, 64, 56, 56]
    let mut inputs = 64;
    for (stage, (middle, blocks, stride)) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)].into_iter().enumerate()
    {
        let at = at / format!("layer{}", stage + 1);
        for number in 0..blocks {
            let stride = if number == 0 { stride } else { 1 };
            let convs = [[middle, 1, 1], [middle, 3, stride], [4 * middle, 1, 1]];
            net = net.then(block(&at / format!("{number}"), inputs, convs));
            inputs = 4 * middle;
        }
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", 2048, classes))
}

/// `relu(body(x) + x)`, the body made of convolutions `[outputs, kernel, stride]` with batch norm; where the shape changes, x
/// passes a 1 x 1 convolution.
fn block<const N: usize>(at: Scope, inputs: usize, convs: [[usize; 3]; N]) -> Sequential {
    let conv = |at: Scope, from, [to, kernel, stride]: [usize; 3]| {
        conv2d(at, from, to, kernel).stride(stride).padding(kernel / 2).bias(false)
    };
    let (mut body, mut channels, mut stride) = (Sequential::new(), inputs, 1);
    for (number, shape) in (1..).zip(convs) {
        if number > 1 {
            body = body.then(Relu);
        }
        body = body
            .then(conv(&at / format!("conv{number}"), channels, shape))
            .then(batch_norm2d(&at / format!("bn{number}"), shape[0]));
        (channels, stride) = (shape[0], stride * shape[2]);
    }
    let mut block = residual(body);
    if stride != 1 || inputs != channels {
        let at = &at / "downsample";
        let shrink = conv(&at / "0", inputs, [channels, 1, stride]);
        block = block.shortcut(Sequential::new().then(shrink).then(batch_norm2d(&at / "1", channels)));
    }
    Sequential::new().then(block).then(Relu)
}
