//! Training steps of nets that are built otherwise: depthwise and dense ones, a U, gates, a long context.

use nn::{Adam, ConvTranspose, Group, Layer, Pass, Relu, Scope, Sequential, batch_norm2d, conv_transpose2d, conv2d};
use nn::{embedding, gru, linear, max_pool2d};
use tensor::Tensor;
use zoo::cifar::cifar_net;
use zoo::nets::{densenet121, mobilenet_v2};

use crate::case::{Case, Kind, labels, normal};
use crate::gpt::{Config, Gpt};
use crate::nets::{each_symbol, pictures, supervised};

/// MobileNetV2.
pub const MOBILENET: Case = Case::new(
    Kind::Training,
    "mobilenet",
    "MobileNetV2, 96 x 96, SGD with momentum, batch 16",
    16,
    96,
    |cpu, sizes| {
        let at = Scope::root(0);
        let net = mobilenet_v2(&at, 3, 100);
        pictures(cpu, sizes, &at, net, 100, 4e-5)
    },
);

/// DenseNet-121.
pub const DENSENET: Case =
    Case::new(Kind::Training, "densenet", "DenseNet-121, 64 x 64, SGD with momentum, batch 8", 8, 64, |cpu, sizes| {
        let at = Scope::root(0);
        let net = densenet121(&at, 3, 100);
        pictures(cpu, sizes, &at, net, 100, 1e-4)
    });

/// A U-Net (Ronneberger et al. 2015) with batch norm.
pub const UNET: Case =
    Case::new(Kind::Training, "unet", "U-Net, 32 to 256 channels, 96 x 96, Adam, batch 4", 4, 96, |cpu, sizes| {
        let (at, classes) = (Scope::root(0), 8);
        let net = Unet::new(&at, 32, classes);
        let shape = [sizes.batch, sizes.length, sizes.length];
        let x = normal(cpu, &[shape[0], 3, shape[1], shape[2]], "x")?;
        let y = labels(&shape, classes, "y");
        let optimiser = Adam::new(vec![Group::new(at.trainable())]);
        Ok(supervised(optimiser, 1e-3, move |pass| net.forward(&x, pass).cross_entropy(&y)))
    });

/// A net for small pictures that learns in few passes, with GELU (recipe `cifar` as it was before Muon).
pub const CIFAR: Case = Case::new(
    Kind::Training,
    "cifar",
    "a net as of recipe cifar, 64 and 160 channels, 32 x 32, SGD with momentum, batch 512",
    512,
    32,
    |cpu, sizes| {
        let (at, classes) = (Scope::root(0), 10);
        let net = cifar_net(&at, 64, 160, classes);
        pictures(cpu, sizes, &at, net, classes, 1.3e-3)
    },
);

/// A character model with GRU layers.
pub const CHARGRU: Case = Case::new(
    Kind::Training,
    "chargru",
    "2 GRU layers of 256 over 100 symbols, Adam, batch 24",
    24,
    100,
    |_, sizes| {
        let (at, vocabulary) = (Scope::root(0), 65);
        let net = Sequential::new()
            .then(embedding(&at / "e", vocabulary, 256)) // [N, T, 256]
            .then(gru(&at / "g", 256, 256).layers(2).batch_first(true)) // [N, T, 256]
            .then(linear(&at / "o", 256, vocabulary)); // logits
        let [x, y] = ["x", "y"].map(|name| labels(&[sizes.batch, sizes.length], vocabulary, name));
        let optimiser = Adam::new(vec![Group::new(at.trainable())]);
        Ok(supervised(optimiser, 1e-3, move |pass| each_symbol(&net.forward(&x, pass), &y)))
    },
);

/// A transformer with a long context.
pub const GPT_LONG: Case = Case::new(
    Kind::Training,
    "gpt-long",
    "4 transformer layers of 128 over 1,024 symbols, AdamW, batch 2",
    2,
    1024,
    |_, sizes| {
        let config = Config { vocabulary: 65, layers: 4, width: 128, heads: 4, context: sizes.length };
        let at = Scope::root(0);
        let net = Gpt::new(&at, config);
        let [x, y] = ["x", "y"].map(|name| labels(&[sizes.batch, sizes.length], config.vocabulary, name));
        let optimiser = Adam::w(vec![Group::new(at.trainable()).weight_decay(0.1)]).betas(0.9, 0.99);
        Ok(supervised(optimiser, 1e-3, move |pass| each_symbol(&net.forward(&x, pass), &y)))
    },
);

/// Three times down and up again, with what was seen on the way down put beside.
struct Unet {
    down: Vec<Sequential>,
    bottom: Sequential,
    up: Vec<(ConvTranspose, Sequential)>,
    head: Sequential,
}

impl Unet {
    fn new(at: &Scope, width: usize, classes: usize) -> Unet {
        let widths = [width, 2 * width, 4 * width];
        let inputs = [3, width, 2 * width];
        let down = (0..3).map(|i| double(&(at / format!("down{i}")), inputs[i], widths[i])).collect();
        let up = (0..3).rev().map(|i| {
            let at = at / format!("up{i}");
            (conv_transpose2d(&at / "up", 2 * widths[i], widths[i], 2).stride(2), double(&at, 2 * widths[i], widths[i]))
        });
        Unet {
            down,
            bottom: double(&(at / "bottom"), 4 * width, 8 * width),
            up: up.collect(),
            head: Sequential::new().then(conv2d(at / "head", width, classes, 1)),
        }
    }

    /// Logits `[N, classes, H, W]` of pictures `[N, 3, H, W]`.
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let (mut x, mut seen) = (x.clone(), Vec::new());
        for down in &self.down {
            let here = down.forward(&x, pass);
            x = max_pool2d(2).forward(&here, pass);
            seen.push(here);
        }
        x = self.bottom.forward(&x, pass);
        for ((up, double), beside) in self.up.iter().zip(seen.iter().rev()) {
            x = double.forward(&Tensor::concat(&[beside.clone(), up.forward(&x, pass)], 1), pass);
        }
        self.head.forward(&x, pass)
    }
}

/// Two convolutions, each with batch norm and ReLU.
fn double(at: &Scope, inputs: usize, outputs: usize) -> Sequential {
    let mut net = Sequential::new();
    for (number, inputs) in [inputs, outputs].into_iter().enumerate() {
        net = net
            .then(conv2d(at / format!("conv{number}"), inputs, outputs, 3).padding(1).bias(false))
            .then(batch_norm2d(at / format!("bn{number}"), outputs))
            .then(Relu);
    }
    net
}
