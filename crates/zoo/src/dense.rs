//! A perceptron of any depth on handwritten digits, with every choice that matters in training as a setting: recipe `dense`.

use nn::{Fan, Flatten, Gain, Init, Relu, Scope, Sequential, Sigmoid, Tanh, batch_norm1d, dropout, linear};
use train::{Input, Result, Settings};

use crate::idx_data::digits_or_mnist;
use crate::recipe::{Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};

/// What stands between two layers.
pub(crate) const ACTIVATIONS: &[&str] = &["relu", "tanh", "sigmoid"];
/// What weights begin with.
const INITS: &[&str] = &["kaiming", "xavier", "default", "small", "large", "zero"];

/// A perceptron's shape.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    /// Hidden layers.
    pub depth: usize,
    /// Units of each.
    pub hidden: usize,
    /// `relu`, `tanh` or `sigmoid`.
    pub activation: &'a str,
    /// See [`init`].
    pub init: &'a str,
    /// Batch norm between a layer and its activation.
    pub batch_norm: bool,
    /// Share of each hidden layer that is dropped in training.
    pub dropout: f64,
}

/// The distribution that a word stands for: `kaiming` (deviation sqrt(2 / inputs), He et al. 2015), `xavier`
/// (sqrt(2 / (inputs + outputs)), Glorot and Bengio 2010), `default` (uniform within 1 / sqrt(inputs), as PyTorch's layers), `small`
/// and `large` (deviation 0.01 and 1, whatever the size) or `zero`.
pub fn init(word: &str) -> Init {
    match word {
        "kaiming" => Init::KaimingNormal { fan: Fan::In, gain: Gain::Relu },
        "xavier" => Init::XavierNormal { gain: Gain::Linear },
        "small" => Init::Normal { mean: 0.0, std: 0.01 },
        "large" => Init::Normal { mean: 0.0, std: 1.0 },
        "zero" => Init::Constant(0.0),
        _ => Init::layer_weight(),
    }
}

/// Pixels, `depth` hidden layers, logits.
pub fn dense(at: &Scope, pixels: usize, shape: &Dense, classes: usize) -> Sequential {
    let mut net = Sequential::new().then(Flatten); // [N, pixels]
    let mut inputs = pixels;
    for number in 1..=shape.depth {
        let layer = linear(at / format!("fc{number}"), inputs, shape.hidden).init(init(shape.init));
        net = net.then(layer); // [N, hidden]
        if shape.batch_norm {
            net = net.then(batch_norm1d(at / format!("bn{number}"), shape.hidden));
        }
        net = match shape.activation {
            "tanh" => net.then(Tanh),
            "sigmoid" => net.then(Sigmoid),
            _ => net.then(Relu),
        };
        if shape.dropout > 0.0 {
            net = net.then(dropout(at / format!("dropout{number}"), shape.dropout));
        }
        inputs = shape.hidden;
    }
    net.then(linear(at / "out", inputs, classes)) // logits
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 15,
        batch: 64,
        optimizer: "adam",
        lr: 0.002,
        weight_decay: 0.0,
        schedule: "cosine",
        smoothing: 0.0,
    })
    .int("model.depth", 2, 0..=1000, "hidden layers")
    .int("model.hidden", 128, 1..=65_536, "units of each hidden layer")
    .word("model.activation", "relu", ACTIVATIONS, "what stands between two layers")
    .word("model.init", "default", INITS, "what weights begin with")
    .flag("model.batch_norm", false, "batch norm between a layer and its activation")
    .float("model.dropout", 0.0, 0.0..=0.95, "share of each hidden layer that is dropped in training")
    .int("data.shift", 1, 0..=8, "training pictures move by up to so many pixels")
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn nn::Layer>> {
    let shape = Dense {
        depth: settings.get_size("model.depth")?,
        hidden: settings.get_size("model.hidden")?,
        activation: settings.get_word("model.activation")?,
        init: settings.get_word("model.init")?,
        batch_norm: settings.get_flag("model.batch_norm")?,
        dropout: settings.get_float("model.dropout")?,
    };
    Ok(Box::new(dense(at, input.shape.iter().product(), &shape, input.classes.len())))
}

/// Digits by a perceptron, for experiments in training.
pub const RECIPE: Recipe = Recipe {
    name: "dense",
    about: "a perceptron of any depth on handwritten digits: initial values, activations, batch norm, dropout as settings",
    settings: defaults,
    splits: digits_or_mnist,
    model,
    loss: plain_loss,
    begin: nothing,
    light_on_dark: true,
};
