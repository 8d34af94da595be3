//! LeNet-5 on handwritten digits: recipe `digits`.

use nn::{Flatten, Relu, Scope, Sequential, conv2d, dropout, linear, max_pool2d};
use train::{Input, Settings};

use crate::idx_data::digits_or_mnist;
use crate::recipe::{Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};

/// LeNet-5, modern form (LeCun et al. 1998; ReLU, max pooling, softmax), and dropout with probability `drop` if that is not 0.
/// 61,706 parameters with 10 classes.
#[rustfmt::skip]
pub fn lenet5(at: &Scope, classes: usize, drop: f64) -> Sequential {
    let net = Sequential::new()
        .then(conv2d(at / "conv1", 1, 6, 5).padding(2)).then(Relu).then(max_pool2d(2)) // [N, 6, 14, 14]
        .then(conv2d(at / "conv2", 6, 16, 5)).then(Relu).then(max_pool2d(2))           // [N, 16, 5, 5]
        .then(Flatten)                                                                 // [N, 400]
        .then(linear(at / "fc1", 400, 120)).then(Relu)
        .then(linear(at / "fc2", 120, 84)).then(Relu);                                 // [N, 84]
    let net = if drop > 0.0 { net.then(dropout(at / "dropout", drop)) } else { net };
    net.then(linear(at / "fc3", 84, classes))                                          // logits
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 12,
        batch: 64,
        optimizer: "adam",
        lr: 0.003,
        weight_decay: 0.0,
        schedule: "one_cycle",
        smoothing: 0.0,
    })
    .float("model.dropout", 0.0, 0.0..=0.95, "share of the last hidden layer that is dropped in training")
    .int("data.shift", 2, 0..=8, "training pictures move by up to so many pixels")
}

/// Digits: the set that ships with the library, or MNIST.
pub const RECIPE: Recipe = Recipe {
    name: "digits",
    about: "LeNet-5 on handwritten digits; --data DIR for all of MNIST",
    settings: defaults,
    splits: digits_or_mnist,
    model: |at, settings, input: &Input| {
        Ok(Box::new(lenet5(at, input.classes.len(), settings.get_float("model.dropout")?)))
    },
    loss: plain_loss,
    begin: nothing,
    light_on_dark: true,
};
