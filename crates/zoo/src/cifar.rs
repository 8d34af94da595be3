//! A net for pictures of 32 x 32 that learns in few passes (after Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds", and its later form with
//! Muon): recipe `cifar`.

use std::path::Path;

use data::{PadMode, Transform};
use nn::{
    Description, Flatten, Gelu, Init, Layer, Param, Pass, Place, Scope, Sequential, batch_norm2d, conv2d, linear,
    max_pool2d,
};
use see::Pca;
use tensor::{Array, ConvOptions, DType, Tensor, Var};
use train::{Error, Input, Result, Settings, Splits};

use crate::folder_data::class_pictures;
use crate::images::cut;
use crate::recipe::{Recipe, plain_loss};
use crate::settings::{Defaults, settings};
use crate::views::Views;

/// Side of the pieces of pictures whose correlations are taken away first.
const PIECE: usize = 2;
/// Numbers of such a piece of three colours, which are as many directions; each is seen with both signs.
const DIRECTIONS: usize = 3 * PIECE * PIECE;
/// Pictures that the pieces are taken from.
const PICTURES: usize = 5000;
/// Added to the variance along a direction before it is made 1.
const LEAST_VARIANCE: f64 = 5e-4;
/// Shifts of norms learn by so much faster, and by its square with plain descent.
const SHIFT: f64 = 8.0;
/// Logits are made small at first, and confident late.
const SMALL: f64 = 1.0 / 9.0;

/// Whitened pieces, then three groups of `first`, `width` and `width` channels. With 64 and 256, 1,971,352 numbers to learn.
#[rustfmt::skip]
pub fn cifar_net(at: &Scope, first: usize, width: usize, classes: usize) -> Sequential {
    let seen = 2 * DIRECTIONS;
    let net = Sequential::new().then(Whitened::new(at / "whiten")).then(Gelu);       // [N, 24, 31, 31]
    let net = group(net, &(at / "group1"), seen, first);                             // [N, first, 15, 15]
    let net = group(net, &(at / "group2"), first, width);                            // [N, width, 7, 7]
    let net = group(net, &(at / "group3"), width, width);                            // [N, width, 3, 3]
    net.then(max_pool2d(3)).then(Flatten)                                            // [N, width]
        .then(linear(at / "head", width, classes).bias(false)).then(Scaled(SMALL))   // logits
}

/// Two convolutions, the first at full size, the second at half of it.
fn group(net: Sequential, at: &Scope, from: usize, to: usize) -> Sequential {
    let conv = |name: &str, from: usize| conv2d(at / name, from, to, 3).padding(1).bias(false);
    let norm = |name: &str| batch_norm2d(at / name, to).affine(false).eps(1e-12).momentum(Some(0.4));
    net.then(conv("conv1", from))
        .then(max_pool2d(2))
        .then(norm("bn1"))
        .then(Shifted::new(at / "shift1", to))
        .then(Gelu)
        .then(conv("conv2", to))
        .then(norm("bn2"))
        .then(Shifted::new(at / "shift2", to))
        .then(Gelu)
}

/// Each piece of 2 x 2 pixels along the directions in which such pieces differ, with variance 1 along each, and the same negative.
struct Whitened {
    place: Place,
    weight: Param,
    bias: Param,
}

impl Whitened {
    #[track_caller]
    fn new(at: Scope) -> Whitened {
        let shape = [2 * DIRECTIONS, 3, PIECE, PIECE];
        // Any directions, until the data give theirs before the first step.
        let any = Init::Normal { mean: 0.0, std: 1.0 / (DIRECTIONS as f64).sqrt() };
        let weight = at.buffer("weight", &shape, DType::F32, any);
        let bias = at.parameter("bias", &[2 * DIRECTIONS], Init::Constant(0.0));
        Whitened { place: Place::new(&at), weight, bias }
    }
}

impl Layer for Whitened {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let bias = || self.bias.tensor().reshape([1, 2 * DIRECTIONS, 1, 1]);
        self.place.run("whitened", pass, || x.conv(&self.weight.tensor(), &ConvOptions::new(2)) + bias())
    }

    fn describe(&self) -> Description {
        Description::of("whitened", "3 -> 24, 2x2").at(&self.place, [&self.weight, &self.bias])
    }
}

/// `x` plus a number for each channel.
struct Shifted {
    place: Place,
    channels: usize,
    bias: Param,
}

impl Shifted {
    #[track_caller]
    fn new(at: Scope, channels: usize) -> Shifted {
        Shifted { place: Place::new(&at), channels, bias: at.parameter("bias", &[channels], Init::Constant(0.0)) }
    }
}

impl Layer for Shifted {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let shift = || self.bias.tensor().reshape([1, self.channels, 1, 1]) * SHIFT;
        self.place.run("shifted", pass, || x + shift())
    }

    fn describe(&self) -> Description {
        Description::of("shifted", format!("{} channels", self.channels)).at(&self.place, [&self.bias])
    }
}

/// `x` times a number.
struct Scaled(f64);

impl Layer for Scaled {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        x * self.0
    }

    fn describe(&self) -> Description {
        Description::of("scaled", format!("by {:.3}", self.0))
    }
}

/// Gives the first layer the directions of the training pictures; the other convolutions begin as copies of what they see.
fn begin(at: &Scope, _: &Settings, splits: &Splits) -> Result<bool> {
    let whitening = directions(splits)?;
    give(at, "whiten/weight", |_| whitening)?;
    for group in ["group1", "group2", "group3"] {
        give(at, &format!("{group}/conv1/weight"), with_copies)?;
        give(at, &format!("{group}/conv2/weight"), with_copies)?;
    }
    Ok(true)
}

/// Gives the variable called `name` other values.
fn give(at: &Scope, name: &str, values: impl FnOnce(&Var) -> Vec<f32>) -> Result<()> {
    match at.find(name) {
        Some(var) => Ok(var.set(Array::of(*var.shape(), values(&var)))?),
        None => Ok(()),
    }
}

/// The values of a weight `[out, in, 3, 3]` whose first filters pass on one channel each.
fn with_copies(weight: &Var) -> Vec<f32> {
    let mut values = weight.value().as_slice::<f32>().unwrap_or_default().to_vec();
    let [outputs, inputs, ..] = **weight.shape() else { return values };
    for channel in 0..outputs.min(inputs) {
        let filter = &mut values[channel * inputs * 9..][..inputs * 9];
        filter.fill(0.0);
        filter[channel * 9 + 4] = 1.0;
    }
    values
}

/// `[24, 3, 2, 2]`: what makes pieces of training pictures white, and the same negative.
fn directions(splits: &Splits) -> Result<Vec<f32>> {
    let (rows, prepare) = (splits.train.len(), splits.input.prepare(&[]));
    let mut pieces = Vec::new();
    for number in 0..PICTURES.min(rows) {
        let row = number * rows / PICTURES.min(rows);
        let sample = prepare.apply(splits.train.get(row)?, data::augmentation_key(0, 0, row))?;
        let [_, height, width] = sample.shape[..] else { continue };
        // All pieces that do not overlap.
        for (y, x) in (0..height / PIECE).flat_map(|y| (0..width / PIECE).map(move |x| (y * PIECE, x * PIECE))) {
            for channel in 0..3 {
                let line = |y: usize| &sample.x[(channel * height + y) * width + x..][..PIECE];
                (y..y + PIECE).for_each(|y| pieces.extend_from_slice(line(y)));
            }
        }
    }
    let pca = Pca::of(&pieces, DIRECTIONS, DIRECTIONS);
    let mut filters = Vec::new();
    for sign in [1.0, -1.0] {
        for (direction, variance) in pca.components.iter().zip(&pca.variance) {
            let scale = sign / (variance + LEAST_VARIANCE).sqrt();
            filters.extend(direction.iter().map(|x| (x * scale) as f32));
        }
    }
    Ok(filters)
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 9,
        batch: 512,
        optimizer: "muon",
        lr: 0.1,
        weight_decay: 0.0,
        schedule: "triangle",
        smoothing: 0.2,
    })
    .float("train.momentum", 0.6, 0.0..=0.9999, "share of the last step that sgd, nesterov and muon keep")
    .flag("train.normed", true, "muon brings each matrix to one length before a step: for nets that norms follow")
    .float("train.average", 0.98, 0.0..=0.999999, "share that averaged weights keep each step; 0: no averages")
    .float("data.val", 0.02, 0.0..=0.9, "share of the training rows set aside to watch training by")
    .int("model.first", 48, 8..=1024, "channels of the first group")
    .int("model.width", 192, 8..=1024, "channels of the other groups")
    .int("data.size", 32, 32..=32, "height and width of the pictures")
    .word("data.on_broken", "fail", &["fail", "skip"], "what to do with broken files")
    .flag("data.flip", true, "mirror half of the training pictures, and ask about both sides of the others")
    .flag("data.alternate", true, "mirror each training picture in every other epoch, not at random")
    .int("data.cut", 0, 0..=32, "side of a square of training pictures that is painted over, anywhere; 0: none")
    .int("data.shift", 2, 0..=8, "training pictures move by up to so many pixels, the border mirrored")
}

fn splits(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    let Some(dir) = dir else {
        return Err(Error::usage(
            "the recipe cifar needs pictures to learn from",
            "give --data DIR, a folder with a folder of pictures for each class in DIR/train and in DIR/test",
        ));
    };
    let mut splits = class_pictures(settings, dir)?;
    let shift = settings.get_size("data.shift")?;
    splits.input.shape[0] = 3;
    splits.augment = vec![
        Transform::Pad { amount: shift, mode: PadMode::Reflect },
        Transform::RandomCrop { height: splits.input.shape[1], width: splits.input.shape[2], padding: 0 },
    ];
    if settings.get_flag("data.flip")? {
        splits.augment.push(match settings.get_flag("data.alternate")? {
            true => Transform::AlternateFlip,
            false => Transform::HorizontalFlip { probability: 0.5 },
        });
    }
    cut(settings, &mut splits)?;
    Ok(splits)
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    let (first, width) = (settings.get_size("model.first")?, settings.get_size("model.width")?);
    let net = cifar_net(at, first, width, input.classes.len());
    Ok(Box::new(Views { net, window: None, mirror: settings.get_flag("data.flip")? }))
}

/// Small pictures of many classes.
pub const RECIPE: Recipe = Recipe {
    name: "cifar",
    about: "a net for pictures of 32 x 32, such as CIFAR-10, that learns in few passes; needs --data DIR",
    settings: defaults,
    splits,
    model,
    loss: plain_loss,
    begin,
    light_on_dark: false,
};
