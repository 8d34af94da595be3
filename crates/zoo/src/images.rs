//! A small convolutional network, or one of the published, on any folder of class folders, "cat or background": recipe `images`.

use std::path::Path;

use data::{Dataset, Transform, class_counts};
use nn::{
    Flatten, Layer, Relu, Scope, Sequential, adaptive_avg_pool2d, batch_norm2d, conv2d, linear, max_pool2d, residual,
};
use see::Pca;
use train::{Error, Input, Result, Settings, Splits};

use crate::dense::{Dense, dense};
use crate::folder_data::class_pictures;
use crate::nets::{NAMES, PUBLISHED, colours, plain_cifar, published, resnet_cifar};
use crate::recipe::{Loss, Recipe, weighted_loss};
use crate::settings::{Defaults, settings};
use crate::transfer;
use crate::views::Views;

/// A narrow residual net: a convolution of `first` x `first` (an odd number) at full size, then three stages of a basic block (He et
/// al. 2015, figure 2) with a widening 3x3 convolution between them; every stage at half the size; then the mean over the picture.
/// Any height and width from 8 on.
#[rustfmt::skip]
pub fn small_resnet(at: &Scope, channels: usize, first: usize, width: usize, classes: usize) -> Sequential {
    let wide = |at: &Scope, name: &str, from: usize, to: usize, side: usize| {
        let at = at / name;
        let conv = conv2d(&at / "conv", from, to, side).padding(side / 2).bias(false);
        Sequential::new().then(conv).then(batch_norm2d(&at / "bn", to))
    };
    let conv = |at: &Scope, name: &str, from: usize, to: usize| wide(at, name, from, to, 3);
    let block = |name: &str, width: usize| {
        let at = at / name;
        Sequential::new()
            .then(residual(conv(&at, "a", width, width).then(Relu).then(conv(&at, "b", width, width))))
            .then(Relu)
    };
    let (w1, w2, w3) = (width, 2 * width, 4 * width);
    Sequential::new()
        .then(wide(at, "stem", channels, w1, first)).then(Relu).then(max_pool2d(2))
        .then(block("block1", w1))                                                                   // [N, width, H/2, W/2]
        .then(conv(at, "wide2", w1, w2)).then(Relu).then(max_pool2d(2)).then(block("block2", w2))     // [N, 2 width, H/4, W/4]
        .then(conv(at, "wide3", w2, w3)).then(Relu).then(max_pool2d(2)).then(block("block3", w3))     // [N, 4 width, H/8, W/8]
        .then(adaptive_avg_pool2d(1)).then(Flatten)                                                  // [N, 4 width]
        .then(linear(at / "head", w3, classes))                                                      // logits
}

fn defaults() -> Settings {
    let settings = settings(Defaults {
        epochs: 38,
        batch: 64,
        optimizer: "adamw",
        lr: 0.006,
        weight_decay: 0.05,
        schedule: "one_cycle",
        smoothing: 0.1,
    });
    let settings = settings.word(
        "model.name",
        "small",
        &NAMES,
        "small: the recipe's own net; mlp: no convolution; plain, residual: of 6 blocks + 2 layers; else one as published, with settings \
         of your own for its training",
    )
    .int("model.width", 32, 1..=8192, "channels of the first stage of small, plain and residual; hidden units of mlp")
    .int("model.blocks", 3, 1..=200, "blocks in each stage of plain and residual; hidden layers of mlp")
    .float("model.dropout", 0.0, 0.0..=0.95, "share of the hidden units of mlp that is dropped in training")
    .word(
        "model.first",
        "3",
        &["3", "5", "7", "9", "11"],
        "side of the first filters of the small net; from 7 on one sees what they look for",
    )
    .int("data.size", 0, 0..=512, "pictures are brought to this height and width; 0: their own, at most 64")
    .word("data.on_broken", "fail", &["fail", "skip"], "what to do with broken files")
    .flag("data.flip", true, "mirror half of the training pictures")
    .flag("data.crop", true, "move training pictures by up to an eighth")
    .int("data.cut", 0, 0..=512, "side of a square of training pictures that is painted over with the mean colour, anywhere; 0: none")
    .int("data.window", 0, 0..=512, "the net sees squares of this side: of a training picture one anywhere, of others five, corners and middle; 0: all")
    .float("data.colour", 0.0, 0.0..=10.0, "training pictures change along the directions in which colours differ, by this share of how much they do; AlexNet: 0.1")
    .flag("train.balance", true, "rare classes weigh more, so that all classes count alike");
    transfer::with_transfer(settings)
}

/// A window at a random place of the picture with a border of an eighth, its mirror image half of the time, and a square painted over.
fn splits(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    let Some(dir) = dir else {
        return Err(Error::usage(
            "the recipe images needs pictures to learn from",
            "give --data DIR, a folder that holds a folder for each class: DIR/cat/1.png, DIR/background/1.png, ...",
        ));
    };
    let mut splits = class_pictures(settings, dir)?;
    let name = settings.get_word("model.name")?;
    if !settings.get_word("model.from")?.is_empty()
        && splits.input.shape[0] == 3
        && PUBLISHED.iter().any(|net| net.name == name)
    {
        let (mean, std) = colours(name);
        (splits.input.mean, splits.input.std) = (mean.to_vec(), std.to_vec());
    }
    let strength = settings.get_float("data.colour")? as f32;
    if strength > 0.0 {
        if splits.input.shape[0] != 3 {
            return Err(Error::usage("data.colour changes colours, and the pictures are grey", "leave it at 0"));
        }
        splits.augment.push(Transform::ColourPca { directions: colours_of(splits.train.as_ref())?, strength });
    }
    let (window, &[_, height, width]) = (settings.get_size("data.window")?, &splits.input.shape[..]) else {
        return Err(Error::usage(
            "the pictures have no height and width",
            "give --data DIR, a folder of class folders",
        ));
    };
    if window > height.min(width) {
        let what = format!("windows of {window} x {window} do not fit into pictures of {height} x {width}");
        return Err(Error::usage(what, "make them larger with --set data.size=N, or the window smaller"));
    }
    if window > 0 {
        splits.augment.push(Transform::RandomCrop { height: window, width: window, padding: 0 });
    } else if settings.get_flag("data.crop")? {
        splits.augment.push(Transform::RandomCrop { height, width, padding: height.min(width) / 8 });
    }
    if settings.get_flag("data.flip")? {
        splits.augment.push(Transform::HorizontalFlip { probability: 0.5 });
    }
    cut(settings, &mut splits)?;
    Ok(splits)
}

/// The square of `data.cut` is painted over last, wherever the picture was moved to.
pub(crate) fn cut(settings: &Settings, splits: &mut Splits) -> Result<()> {
    let side = settings.get_size("data.cut")?;
    if let &[_, height, width] = &splits.input.shape[..]
        && side > height.min(width)
    {
        let what = format!("squares of {side} x {side} cover whole pictures of {height} x {width}");
        return Err(Error::usage(what, "cut less with --set data.cut=N: a quarter to a half of the side is usual"));
    }
    if side > 0 {
        splits.augment.push(Transform::Cutout { side, colour: splits.input.mean.clone() });
    }
    Ok(())
}

/// The three directions in which the colours of pixels differ, each as long as they do (standard deviation).
fn colours_of(train: &dyn Dataset) -> Result<[[f32; 3]; 3]> {
    /// Pictures, and pixels of each, that are looked at.
    const SOME: (usize, usize) = (2000, 1000);
    let mut pixels = Vec::new();
    for row in (0..train.len()).step_by(train.len().div_ceil(SOME.0).max(1)) {
        let sample = train.get(row)?;
        let &[3, height, width] = &sample.shape[..] else { continue };
        let plane = height * width;
        (0..plane).step_by(plane.div_ceil(SOME.1).max(1)).for_each(|at| {
            pixels.extend([sample.x[at], sample.x[plane + at], sample.x[2 * plane + at]]);
        });
    }
    let pca = Pca::of(&pixels, 3, 3);
    let mut directions = [[0.0; 3]; 3];
    for ((to, direction), variance) in directions.iter_mut().zip(&pca.components).zip(&pca.variance) {
        to.iter_mut().zip(direction).for_each(|(to, x)| *to = (x * variance.max(0.0).sqrt()) as f32);
    }
    Ok(directions)
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    let (width, blocks) = (settings.get_size("model.width")?, settings.get_size("model.blocks")?);
    let (classes, channels) = (input.classes.len(), input.shape[0]);
    let (window, shape) = match settings.get_size("data.window")? {
        0 => (None, input.shape.clone()),
        side => (Some(side), vec![channels, side, side]),
    };
    let net = match (settings.get_word("model.name")?, &shape[..]) {
        ("mlp", shape) => {
            let dropout = settings.get_float("model.dropout")?;
            let (activation, init) = ("relu", "kaiming");
            let layers = Dense { depth: blocks, hidden: width, activation, init, batch_norm: true, dropout };
            dense(at, shape.iter().product(), &layers, classes)
        }
        ("plain", _) => plain_cifar(at, channels, width, blocks, classes),
        ("residual", _) => resnet_cifar(at, channels, width, blocks, classes),
        (name, &[channels, height, width]) if name != "small" => {
            published(name, at, [channels, height, width], classes)?
        }
        _ => {
            let first = settings.get_word("model.first")?.parse().unwrap_or(3);
            small_resnet(at, channels, first, width, classes)
        }
    };
    transfer::freeze(at, settings)?;
    Ok(Box::new(Views { net, window, mirror: settings.get_flag("data.flip")? }))
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
    about: "a small convolutional network, or a published one (--model NAME), on any folder of class folders; needs --data DIR",
    settings: defaults,
    splits,
    model,
    loss,
    begin: |at, settings, _| transfer::begin(at, settings),
    light_on_dark: false,
};
