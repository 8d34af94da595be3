//! A perceptron with one hidden layer on handwritten digits: recipe `mlp`.

use nn::{Flatten, Relu, Scope, Sequential, linear};
use train::{Input, Settings};

use crate::idx_data::digits_or_mnist;
use crate::recipe::{Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};

/// The smallest network that bends: pixels, one hidden layer, logits.
#[rustfmt::skip]
pub fn mlp(at: &Scope, pixels: usize, hidden: usize, classes: usize) -> Sequential {
    Sequential::new()
        .then(Flatten)                                       // [N, pixels]
        .then(linear(at / "fc1", pixels, hidden)).then(Relu) // [N, hidden]
        .then(linear(at / "fc2", hidden, classes))           // logits
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
    .int("model.hidden", 128, 1..=65_536, "units of the hidden layer")
    .int("data.shift", 1, 0..=8, "training pictures move by up to so many pixels")
}

/// Digits without convolution.
pub const RECIPE: Recipe = Recipe {
    name: "mlp",
    about: "a perceptron with one hidden layer on handwritten digits; --data DIR for all of MNIST",
    settings: defaults,
    splits: digits_or_mnist,
    model: |at, settings, input: &Input| {
        let pixels = input.shape.iter().product();
        Ok(Box::new(mlp(at, pixels, settings.get_size("model.hidden")?, input.classes.len())))
    },
    loss: plain_loss,
    begin: nothing,
    light_on_dark: true,
};
