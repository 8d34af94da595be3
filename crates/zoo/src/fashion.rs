//! A small convolutional network on pictures of clothes (Fashion-MNIST): recipe `fashion`.

use std::path::Path;

use data::Transform;
use nn::{Flatten, Relu, Scope, Sequential, batch_norm2d, conv2d, dropout, linear, max_pool2d};
use train::{Error, Input, Result, Settings, Splits};

use crate::idx_data::idx_folder;
use crate::recipe::{Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};
use crate::views::Views;

/// The classes, as the authors name them (Xiao et al. 2017).
const CLASSES: [&str; 10] =
    ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

/// Two stages of convolution, batch norm and pooling, then two dense layers.
#[rustfmt::skip]
pub fn fashion_cnn(at: &Scope, classes: usize) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", 1, 32, 3).padding(1)).then(batch_norm2d(at / "bn1", 32)).then(Relu)
        .then(max_pool2d(2))                                                                            // [N, 32, 14, 14]
        .then(conv2d(at / "conv2", 32, 64, 3).padding(1)).then(batch_norm2d(at / "bn2", 64)).then(Relu)
        .then(max_pool2d(2))                                                                            // [N, 64, 7, 7]
        .then(Flatten)                                                                                  // [N, 3136]
        .then(dropout(at / "dropout", 0.3))
        .then(linear(at / "fc1", 3136, 128)).then(Relu)
        .then(linear(at / "fc2", 128, classes))                                                         // logits
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 10,
        batch: 128,
        optimizer: "adamw",
        lr: 0.003,
        weight_decay: 0.01,
        schedule: "one_cycle",
        smoothing: 0.0,
    })
    .int("data.shift", 1, 0..=8, "training pictures move by up to so many pixels")
    .flag("data.flip", false, "mirror half of the training pictures, and ask about both sides of the others")
}

fn splits(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    let Some(dir) = dir else {
        return Err(Error::usage(
            "the recipe fashion needs Fashion-MNIST",
            "give --data DIR, the folder of its four IDX files (train-images-idx3-ubyte.gz, ...)",
        ));
    };
    let mut splits = idx_folder(settings, dir, &CLASSES)?;
    if settings.get_flag("data.flip")? {
        splits.augment.push(Transform::HorizontalFlip { probability: 0.5 });
    }
    Ok(splits)
}

/// Clothes.
pub const RECIPE: Recipe = Recipe {
    name: "fashion",
    about: "a small convolutional network on Fashion-MNIST; needs --data DIR",
    settings: defaults,
    splits,
    model: |at, settings, input: &Input| {
        let net = fashion_cnn(at, input.classes.len());
        Ok(Box::new(Views { net, window: None, mirror: settings.get_flag("data.flip")? }))
    },
    loss: plain_loss,
    begin: nothing,
    light_on_dark: true,
};
