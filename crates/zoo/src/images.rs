//! A small convolutional network on any folder of class folders, "cat or background": recipe `images`.

use data::class_counts;
use nn::{Flatten, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, linear, max_pool2d};
use train::{Input, Result, Settings, Splits};

use crate::folder_data::class_folders;
use crate::recipe::{Loss, Recipe, weighted_loss};
use crate::settings::{Defaults, settings};

/// Three stages of two 3x3 convolutions with batch norm, each stage at half the size; then the mean over the picture.
/// Any height and width from 8 on.
#[rustfmt::skip]
pub fn small_cnn(at: &Scope, channels: usize, width: usize, classes: usize) -> Sequential {
    let conv = |name: &str, from: usize, to: usize| {
        let at = at / name;
        Sequential::new()
            .then(conv2d(&at / "conv", from, to, 3).padding(1).bias(false))
            .then(batch_norm2d(&at / "bn", to))
            .then(Relu)
    };
    let (w1, w2, w3) = (width, 2 * width, 4 * width);
    Sequential::new()
        .then(conv("block1a", channels, w1)).then(conv("block1b", w1, w1)).then(max_pool2d(2)) // [N, width, H/2, W/2]
        .then(conv("block2a", w1, w2)).then(conv("block2b", w2, w2)).then(max_pool2d(2))       // [N, 2 width, H/4, W/4]
        .then(conv("block3a", w2, w3)).then(conv("block3b", w3, w3))                           // [N, 4 width, H/4, W/4]
        .then(adaptive_avg_pool2d(1)).then(Flatten)                                            // [N, 4 width]
        .then(linear(at / "head", w3, classes))                                                // logits
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 24,
        batch: 64,
        optimizer: "adamw",
        lr: 0.006,
        weight_decay: 0.05,
        schedule: "one_cycle",
        smoothing: 0.1,
    })
    .int("model.width", 24, 1..=512, "channels of the first stage")
    .int("data.size", 0, 0..=512, "pictures are brought to this height and width; 0: their own, at most 64")
    .word("data.on_broken", "fail", &["fail", "skip"], "what to do with broken files")
    .flag("data.flip", true, "mirror half of the training pictures")
    .flag("data.crop", true, "move training pictures by up to an eighth")
    .flag("train.balance", true, "rare classes weigh more, so that all classes count alike")
}

/// Rows of rare classes weigh more: each class has the same weight in the sum.
fn loss(settings: &Settings, splits: &Splits) -> Result<Loss> {
    let counts = class_counts(splits.train.as_ref())?;
    let (rows, classes) = (splits.train.len() as f32, counts.len() as f32);
    let balance = settings.get_flag("train.balance")?;
    let weight = |&count: &usize| if balance { rows / (classes * count.max(1) as f32) } else { 1.0 };
    Ok(weighted_loss(settings.get_float("train.smoothing")?, counts.iter().map(weight).collect()))
}

/// Any folder of class folders.
pub const RECIPE: Recipe = Recipe {
    name: "images",
    about: "a small convolutional network on any folder of class folders; needs --data DIR",
    settings: defaults,
    splits: class_folders,
    model: |at, settings, input: &Input| {
        let width = settings.get_size("model.width")?;
        Ok(Box::new(small_cnn(at, input.shape[0], width, input.classes.len())))
    },
    loss,
    light_on_dark: false,
};
