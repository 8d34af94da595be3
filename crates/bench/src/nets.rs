//! Training steps of nets.

use cpu::Cpu;
use nn::losses::{BceWithLogits, Reduction, smooth_l1};
use nn::{Adam, Group, Layer, Optimiser, Pass, Scope, Sgd};
use tensor::{Result, Tensor, Var};

use crate::case::{Case, Kind, Sizes, Traced, Work, key, labels, normal, uniform};
use crate::charlstm::CharLstm;
use crate::gpt::{Config, Gpt};
use crate::models::{Vae, perceptron};
use zoo::nets::{resnet18_small, resnet50};

/// A perceptron.
pub const MLP: Case =
    Case::new(Kind::Training, "mlp", "784-512-512-10, ReLU, SGD with momentum, batch 128", 128, 1, |cpu, sizes| {
        let at = Scope::root(0);
        let net = perceptron(&at, &[784, 512, 512, 10]);
        let (x, y) = (normal(cpu, &[sizes.batch, 784], "x")?, labels(&[sizes.batch], 10, "y"));
        let optimiser = Sgd::new(vec![Group::new(at.trainable())], 0.9);
        Ok(supervised(optimiser, 0.01, move |pass| net.forward(&x, pass).cross_entropy(&y)))
    });

/// LeNet-5.
pub const LENET5: Case =
    Case::new(Kind::Training, "lenet5", "LeNet-5, 28 x 28, Adam, batch 64", 64, 28, |cpu, sizes| {
        let at = Scope::root(0);
        let net = zoo::lenet::lenet5(&at, 10, 0.0);
        let (x, y) = (normal(cpu, &[sizes.batch, 1, 28, 28], "x")?, labels(&[sizes.batch], 10, "y"));
        let optimiser = Adam::new(vec![Group::new(at.trainable())]);
        Ok(supervised(optimiser, 1e-3, move |pass| net.forward(&x, pass).cross_entropy(&y)))
    });

/// ResNet-18 for small pictures.
pub const RESNET18: Case = Case::new(
    Kind::Training,
    "resnet18",
    "ResNet-18 for 32 x 32, SGD with momentum and decay, batch 64",
    64,
    32,
    |cpu, sizes| {
        let at = Scope::root(0);
        let net = resnet18_small(&at, 3, 10);
        pictures(cpu, sizes, &at, net, 10, 5e-4)
    },
);

/// ResNet-50.
pub const RESNET50: Case = Case::new(
    Kind::Training,
    "resnet50",
    "ResNet-50, 224 x 224, SGD with momentum and decay, batch 8",
    8,
    224,
    |cpu, sizes| {
        let at = Scope::root(0);
        let net = resnet50(&at, 3, 1000);
        pictures(cpu, sizes, &at, net, 1000, 1e-4)
    },
);

/// A step of a net for pictures.
pub(crate) fn pictures(
    cpu: &Cpu,
    sizes: Sizes,
    at: &Scope,
    net: impl Layer + 'static,
    classes: usize,
    weight_decay: f64,
) -> Result<Work> {
    let x = normal(cpu, &[sizes.batch, 3, sizes.length, sizes.length], "x")?;
    let y = labels(&[sizes.batch], classes, "y");
    let optimiser = Sgd::new(vec![Group::new(at.trainable())], 0.9).weight_decay(weight_decay);
    Ok(supervised(optimiser, 0.1, move |pass| net.forward(&x, pass).cross_entropy(&y)))
}

/// A character model with LSTM layers.
pub const CHARLSTM: Case = Case::new(
    Kind::Training,
    "charlstm",
    "2 LSTM layers of 512 over 64 symbols, Adam, batch 32",
    32,
    64,
    |_, sizes| {
        let (at, vocabulary) = (Scope::root(0), 65);
        let net = CharLstm::new(&at, vocabulary, 512, 512, 2);
        let [x, y] = ["x", "y"].map(|name| labels(&[sizes.batch, sizes.length], vocabulary, name));
        let optimiser = Adam::new(vec![Group::new(at.trainable())]);
        Ok(supervised(optimiser, 1e-3, move |pass| each_symbol(&net.forward(&x, pass), &y)))
    },
);

/// A small transformer.
pub const GPT_MINI: Case = Case::new(
    Kind::Training,
    "gpt-mini",
    "6 transformer layers of 384 over 256 symbols, AdamW, batch 8",
    8,
    256,
    |_, sizes| {
        let config = Config { vocabulary: 65, layers: 6, width: 384, heads: 6, context: sizes.length };
        let at = Scope::root(0);
        let net = Gpt::new(&at, config);
        let [x, y] = ["x", "y"].map(|name| labels(&[sizes.batch, sizes.length], config.vocabulary, name));
        let (matrices, others) = at.trainable().into_iter().partition(|var| var.shape().rank() >= 2);
        let groups = vec![Group::new(matrices).weight_decay(0.1), Group::new(others).weight_decay(0.0)];
        let optimiser = Adam::w(groups).betas(0.9, 0.99);
        Ok(supervised(optimiser, 1e-3, move |pass| each_symbol(&net.forward(&x, pass), &y)))
    },
);

/// A variational autoencoder.
pub const VAE: Case = Case::new(
    Kind::Training,
    "vae",
    "784-400-20-400-784, binary cross-entropy and KL, Adam, batch 128",
    128,
    1,
    |cpu, sizes| {
        let at = Scope::root(0);
        let net = Vae::new(&at, 784, 400, 20);
        let x = uniform(cpu, &[sizes.batch, 784], "x")?;
        let optimiser = Adam::new(vec![Group::new(at.trainable())]);
        let mut step = 0;
        let reconstruction = BceWithLogits { reduction: Reduction::Sum, ..BceWithLogits::default() };
        Ok(supervised(optimiser, 1e-3, move |pass| {
            step += 1;
            let [logits, mean, log_variance] = net.forward(&x, key("noise").step(step), pass);
            let divergence = (&log_variance + 1.0 - &mean * &mean - log_variance.exp()).sum(..) * -0.5;
            reconstruction.loss(&logits, &x) + divergence
        }))
    },
);

/// Deep Q-learning on a pole: one update from a batch of memories (Mnih et al. 2015).
pub const DQN: Case = Case::new(
    Kind::Training,
    "dqn",
    "4-128-128-2 against its frozen copy, smooth L1, Adam, batch 64",
    64,
    1,
    |cpu, sizes| {
        let (at, frozen) = (Scope::root(0), Scope::root(0));
        let [net, target] = [&at, &frozen].map(|at| perceptron(at, &[4, 128, 128, 2]));
        let n = sizes.batch;
        let (state, next) = (normal(cpu, &[n, 4], "s")?, normal(cpu, &[n, 4], "s2")?);
        let (action, reward) = (labels(&[n, 1], 2, "a"), normal(cpu, &[n], "r")?);
        let last = Tensor::from_vec(vec![0f32; n], [n]);
        let optimiser = Adam::new(vec![Group::new(at.trainable())]);
        Ok(supervised(optimiser, 1e-3, move |pass| {
            let best = target.forward(&next, &Pass::eval()).max(1);
            let goal = (&reward + (1.0 - &last) * best * 0.99).detach();
            let value = net.forward(&state, pass).gather(1, &action).squeeze(1);
            smooth_l1(&value, &goal, 1.0, Reduction::Mean)
        }))
    },
);

/// Cross-entropy of logits `[N, T, C]` against symbols `[N, T]`.
pub(crate) fn each_symbol(logits: &Tensor, target: &Tensor) -> Tensor {
    let classes = logits.dims().last().copied().unwrap_or(1);
    let count = target.count();
    logits.reshape([count, classes]).cross_entropy(&target.reshape([count]))
}

/// A step that makes `loss` smaller.
pub(crate) fn supervised(
    optimiser: impl Optimiser + 'static,
    lr: f64,
    mut loss: impl FnMut(&Pass) -> Tensor + 'static,
) -> Work {
    let parameters = optimiser.parameters();
    let count = parameters.iter().map(|var| var.shape().count()).sum();
    let mut step = 0;
    let trace = move || {
        step += 1;
        let pass = Pass::train(key("pass").step(step));
        let loss = loss(&pass);
        let leaves: Vec<Tensor> = parameters.iter().map(Var::tensor).collect();
        let updates = [optimiser.step(&loss.grad(&leaves), lr), pass.updates()].concat();
        Traced { outputs: vec![loss], updates }
    };
    Work { parameters: count, bytes: None, trace: Box::new(trace) }
}
