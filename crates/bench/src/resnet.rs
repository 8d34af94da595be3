//! Residual networks (He et al. 2016): 18 layers for pictures of 32 x 32, and 50 layers of bottlenecks.

use nn::{
    BatchNorm, Conv, Description, Flatten, Layer, Pass, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d,
    conv2d, linear, max_pool2d,
};
use tensor::Tensor;

/// ResNet-18 for CIFAR: no first pooling. 11.2 million parameters with 10 classes.
pub(crate) fn resnet18_cifar(at: &Scope, classes: usize) -> Sequential {
    let mut net = Sequential::new()
        .then(conv2d(at / "conv1", 3, 64, 3).padding(1).bias(false)) // [N, 64, 32, 32]
        .then(batch_norm2d(at / "bn1", 64))
        .then(Relu);
    let mut inputs = 64;
    for (stage, (outputs, stride)) in [(64, 1), (128, 2), (256, 2), (512, 2)].into_iter().enumerate() {
        let at = at / format!("layer{}", stage + 1);
        net = net.then(Residual::basic(&at / "0", inputs, outputs, stride)).then(Residual::basic(
            &at / "1",
            outputs,
            outputs,
            1,
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
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            net = net.then(Residual::bottleneck(&at / format!("{block}"), inputs, middle, stride));
            inputs = 4 * middle;
        }
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", 2048, classes))
}

/// `relu(f(x) + x)`; where the shape changes, x passes a 1 x 1 convolution.
struct Residual {
    path: Vec<(Conv, BatchNorm)>,
    shortcut: Option<(Conv, BatchNorm)>,
}

impl Residual {
    fn basic(at: Scope, inputs: usize, outputs: usize, stride: usize) -> Residual {
        let path = vec![
            (conv2d(&at / "conv1", inputs, outputs, 3).stride(stride).padding(1), "bn1"),
            (conv2d(&at / "conv2", outputs, outputs, 3).padding(1), "bn2"),
        ];
        Residual::new(at, path, [outputs, outputs], inputs, stride)
    }

    fn bottleneck(at: Scope, inputs: usize, middle: usize, stride: usize) -> Residual {
        let path = vec![
            (conv2d(&at / "conv1", inputs, middle, 1), "bn1"),
            (conv2d(&at / "conv2", middle, middle, 3).stride(stride).padding(1), "bn2"),
            (conv2d(&at / "conv3", middle, 4 * middle, 1), "bn3"),
        ];
        Residual::new(at, path, [middle, middle, 4 * middle], inputs, stride)
    }

    fn new<const N: usize>(
        at: Scope,
        path: Vec<(Conv, &str)>,
        channels: [usize; N],
        inputs: usize,
        stride: usize,
    ) -> Residual {
        let outputs = channels[N - 1];
        let path = path.into_iter().zip(channels);
        let path =
            path.map(|((conv, name), channels)| (conv.bias(false), batch_norm2d(&at / name, channels))).collect();
        let shortcut = (stride != 1 || inputs != outputs).then(|| {
            let at = &at / "downsample";
            (conv2d(&at / "0", inputs, outputs, 1).stride(stride).bias(false), batch_norm2d(&at / "1", outputs))
        });
        Residual { path, shortcut }
    }
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let through = |(conv, norm): &(Conv, BatchNorm), x: &Tensor| norm.forward(&conv.forward(x, pass), pass);
        let shortcut = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| through(shortcut, x));
        let last = self.path.len() - 1;
        let inner = self.path[..last].iter().fold(x.clone(), |x, part| through(part, &x).relu());
        (through(&self.path[last], &inner) + shortcut).relu()
    }

    fn describe(&self) -> Description {
        let parts = self.path.iter().chain(&self.shortcut);
        Description::of("residual", "").made_of(parts.flat_map(|(conv, norm)| [conv.describe(), norm.describe()]))
    }
}
