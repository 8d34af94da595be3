//! Residual networks (He et al. 2016): 18, 34 and 50 layers for ImageNet, 6n + 2 for CIFAR, and the latter without shortcuts.

use nn::{
    Fan, Flatten, Gain, Init, Layer, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, linear,
    max_pool2d, residual,
};

/// Initial weights of the convolutions, torchvision's.
const WEIGHT: Init = Init::KaimingNormal { fan: Fan::Out, gain: Gain::Relu };

/// Layers of a block: `[outputs, kernel, stride]` of each convolution.
type Convs = Vec<[usize; 3]>;

/// For pictures of 224 x 224, others from 32 on; 11,689,512 parameters with 1000 classes.
pub fn resnet18(at: &Scope, channels: usize, classes: usize) -> Sequential {
    stages(at, stem(at, channels), 64, [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)], basic, classes)
}

/// 21,797,672 parameters with 1000 classes.
pub fn resnet34(at: &Scope, channels: usize, classes: usize) -> Sequential {
    stages(at, stem(at, channels), 64, [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)], basic, classes)
}

/// Bottlenecks with the stride in their 3 x 3 convolution; 25,557,032 parameters with 1000 classes.
pub fn resnet50(at: &Scope, channels: usize, classes: usize) -> Sequential {
    stages(at, stem(at, channels), 64, [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)], bottleneck, classes)
}

/// Eighteen layers for small pictures: a 3 x 3 stem, no first pooling. 11,173,962 parameters with 10 classes.
pub fn resnet18_small(at: &Scope, channels: usize, classes: usize) -> Sequential {
    stages(at, small_stem(at, channels, 64), 64, [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)], basic, classes)
}

/// `6 blocks + 2` layers for pictures of 32 x 32 (section 4.2), `width` channels at first, 16 as published: blocks 3 is ResNet-20,
/// 9 ResNet-56. Where the size changes, the shortcut takes every second pixel and fills up with zeros (option A): no parameters.
/// ResNet-20 has 269,722 parameters with 10 classes.
pub fn resnet_cifar(at: &Scope, channels: usize, width: usize, blocks: usize, classes: usize) -> Sequential {
    cifar(at, channels, width, blocks, classes, |body, from, to| {
        let block = residual(body);
        Box::new(if from == to { block } else { block.shortcut(Widened(to)) })
    })
}

/// The same layers without the shortcuts.
pub fn plain_cifar(at: &Scope, channels: usize, width: usize, blocks: usize, classes: usize) -> Sequential {
    cifar(at, channels, width, blocks, classes, |body, _, _| Box::new(body))
}

fn basic(width: usize, stride: usize) -> Convs {
    vec![[width, 3, stride], [width, 3, 1]]
}

fn bottleneck(width: usize, stride: usize) -> Convs {
    vec![[width, 1, 1], [width, 3, stride], [4 * width, 1, 1]]
}

fn stem(at: &Scope, channels: usize) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", channels, 64, 7).stride(2).padding(3).bias(false).init(WEIGHT)) // [N, 64, 112, 112]
        .then(batch_norm2d(at / "bn1", 64))
        .then(Relu)
        .then(max_pool2d(3).stride(2).padding(1)) // [N, 64, 56, 56]
}

fn small_stem(at: &Scope, channels: usize, width: usize) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", channels, width, 3).padding(1).bias(false).init(WEIGHT))
        .then(batch_norm2d(at / "bn1", width))
        .then(Relu)
}

/// Stages `(width, blocks, stride of the first)`, then the mean over the picture and the head.
fn stages<const N: usize>(
    at: &Scope,
    stem: Sequential,
    inputs: usize,
    table: [(usize, usize, usize); N],
    convs: fn(usize, usize) -> Convs,
    classes: usize,
) -> Sequential {
    let (mut net, mut inputs) = (stem, inputs);
    for (stage, (width, blocks, stride)) in (1..).zip(table) {
        for number in 0..blocks {
            let at = at / format!("layer{stage}") / format!("{number}");
            let convs = convs(width, if number == 0 { stride } else { 1 });
            let outputs = convs[convs.len() - 1][0];
            let mut block = residual(body(&at, inputs, &convs));
            if number == 0 && (stride != 1 || inputs != outputs) {
                let shrink =
                    conv2d(&at / "downsample" / "0", inputs, outputs, 1).stride(stride).bias(false).init(WEIGHT);
                block = block
                    .shortcut(Sequential::new().then(shrink).then(batch_norm2d(&at / "downsample" / "1", outputs)));
            }
            (net, inputs) = (net.then(block).then(Relu), outputs);
        }
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", inputs, classes))
}

fn cifar(
    at: &Scope,
    channels: usize,
    width: usize,
    blocks: usize,
    classes: usize,
    block: fn(Sequential, usize, usize) -> Box<dyn Layer>,
) -> Sequential {
    let (mut net, mut inputs) = (small_stem(at, channels, width), width);
    for (stage, outputs) in (1..).zip([width, 2 * width, 4 * width]) {
        for number in 0..blocks {
            let at = at / format!("layer{stage}") / format!("{number}");
            let body = body(&at, inputs, &basic(outputs, if inputs == outputs { 1 } else { 2 }));
            (net, inputs) = (net.then(block(body, inputs, outputs)).then(Relu), outputs);
        }
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", inputs, classes))
}

/// Convolutions with batch norm, ReLU between them.
fn body(at: &Scope, inputs: usize, convs: &[[usize; 3]]) -> Sequential {
    let (mut net, mut inputs) = (Sequential::new(), inputs);
    for (number, &[outputs, kernel, stride]) in (1..).zip(convs) {
        if number > 1 {
            net = net.then(Relu);
        }
        let conv = conv2d(at / format!("conv{number}"), inputs, outputs, kernel)
            .stride(stride)
            .padding(kernel / 2)
            .bias(false)
            .init(WEIGHT);
        net = net.then(conv).then(batch_norm2d(at / format!("bn{number}"), outputs));
        inputs = outputs;
    }
    net
}

/// Every second pixel, and as many channels as are wanted, the new ones zero.
struct Widened(usize);

impl Layer for Widened {
    fn forward(&self, x: &tensor::Tensor, _: &nn::Pass) -> tensor::Tensor {
        if x.error().is_some() || x.rank() != 4 {
            return x.refused("shortcut", format!("{} where a picture belongs", x.shape()), None);
        }
        let [_, channels, height, width] = [x.dims()[0], x.dims()[1], x.dims()[2], x.dims()[3]];
        let small = x.slice(2, 0, height as isize, 2).slice(3, 0, width as isize, 2);
        small.pad(1, 0, self.0.saturating_sub(channels), 0.0)
    }

    fn describe(&self) -> nn::Description {
        nn::Description::of("shortcut", format!("every second pixel, zeros up to {} channels", self.0))
    }
}
