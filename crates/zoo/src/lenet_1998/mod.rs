//! LeNet-5 as published (LeCun, Bottou, Bengio and Haffner 1998, section II), on handwritten digits: recipe `lenet-1998`.

mod bitmaps;

use std::path::Path;

use nn::losses::{CrossEntropy, Reduction};
use nn::{Description, Flatten, Init, Layer, Param, Pass, Place, Scope, Sequential, conv2d, linear};
use tensor::{ConvOptions, Tensor};
use train::{Error, Input, Losses, Result, Settings, Splits};

use crate::idx_data::digits_or_mnist;
use crate::recipe::{Loss, Recipe, nothing};
use crate::settings::{Defaults, settings};
use bitmaps::{PIXELS, bitmaps};

/// Values of background and ink: of about mean 0 and variance 1 over a picture.
const PAPER: f32 = -0.1;
const INK: f32 = 1.175;

/// Distance of the class of pictures that are of no digit, j, of which the paper says that it is positive.
const NONE: f64 = 10.0;

/// Table I: the maps of S2 that each map of C3 sees.
const SEEN: [&[usize]; 16] = [
    &[0, 1, 2],
    &[1, 2, 3],
    &[2, 3, 4],
    &[3, 4, 5],
    &[0, 4, 5],
    &[0, 1, 5],
    &[0, 1, 2, 3],
    &[1, 2, 3, 4],
    &[2, 3, 4, 5],
    &[0, 3, 4, 5],
    &[0, 1, 4, 5],
    &[0, 1, 2, 5],
    &[0, 1, 3, 4],
    &[1, 2, 4, 5],
    &[0, 2, 3, 5],
    &[0, 1, 2, 3, 4, 5],
];

/// From `[N, 1, 28, 28]` to minus the distances from the ten bitmaps. 60,000 parameters.
#[rustfmt::skip]
pub fn lenet_1998(at: &Scope) -> Sequential {
    let conv = |name: &str, from: usize, to: usize| {
        let uniform = uniform(25 * from);
        conv2d(at / name, from, to, 5).init(uniform).bias_init(uniform)
    };
    Sequential::new()
        .then(Margin)                                                  // [N, 1, 32, 32]
        .then(conv("c1", 1, 6)).then(Squash)                           // [N, 6, 28, 28]
        .then(Subsample::new(at / "s2", 6)).then(Squash)               // [N, 6, 14, 14]
        .then(Sparse::new(at / "c3")).then(Squash)                     // [N, 16, 10, 10]
        .then(Subsample::new(at / "s4", 16)).then(Squash)              // [N, 16, 5, 5]
        .then(conv("c5", 16, 120)).then(Squash)                        // [N, 120, 1, 1]
        .then(Flatten)                                                 // [N, 120]
        .then(linear(at / "f6", 120, PIXELS).init(uniform(120)).bias_init(uniform(120))).then(Squash) // [N, 84]
        .then(Distances)                                               // [N, 10]
}

/// Initial values of units with `inputs` inputs.
fn uniform(inputs: usize) -> Init {
    let bound = 2.4 / inputs as f64;
    Init::Uniform { low: -bound, high: bound }
}

/// Two pixels of paper around a picture of 28 x 28.
struct Margin;

impl Layer for Margin {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        x.pad(-1, 2, 2, PAPER).pad(-2, 2, 2, PAPER)
    }

    fn describe(&self) -> Description {
        Description::of("margin", "2 pixels of paper")
    }
}

/// `1.7159 tanh(2 x / 3)`.
struct Squash;

impl Layer for Squash {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        (x * (2.0 / 3.0)).tanh() * 1.7159
    }

    fn describe(&self) -> Description {
        Description::of("squash", "1.7159 tanh(2 x / 3)")
    }
}

/// Sums over 2 x 2, times a coefficient, plus a bias, both of their map.
struct Subsample {
    place: Place,
    maps: usize,
    weight: Param,
    bias: Param,
}

impl Subsample {
    #[track_caller]
    fn new(at: Scope, maps: usize) -> Subsample {
        let weight = at.parameter("weight", &[maps], uniform(4));
        let bias = at.parameter("bias", &[maps], uniform(4));
        Subsample { place: Place::new(&at), maps, weight, bias }
    }
}

impl Layer for Subsample {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let raise = |p: &Param| p.tensor().reshape([1, self.maps, 1, 1]);
        let sums = || x.avg_pool(&tensor::PoolOptions::new(&[2, 2])) * 4.0;
        self.place.run("subsample", pass, || sums() * raise(&self.weight) + raise(&self.bias))
    }

    fn describe(&self) -> Description {
        Description::of("subsample", format!("{} maps, 2x2", self.maps)).at(&self.place, [&self.weight, &self.bias])
    }
}

/// A convolution of 5 x 5 whose maps see only some maps of the layer before ([`SEEN`]): 60 kernels instead of 96.
struct Sparse {
    place: Place,
    /// Kernels of the maps that see three, four and six others, one map after the other.
    kernels: [Param; 3],
    bias: Param,
}

impl Sparse {
    #[track_caller]
    fn new(at: Scope) -> Sparse {
        let kernels = [("three", 3), ("four", 4), ("six", 6)].map(|(name, seen)| {
            let maps = SEEN.iter().filter(|row| row.len() == seen).count();
            at.parameter(name, &[maps, seen, 5, 5], uniform(25 * seen))
        });
        let bias = at.parameter("bias", &[SEEN.len()], uniform(25 * 4));
        Sparse { place: Place::new(&at), kernels, bias }
    }

    /// `[16, 6, 5, 5]`: the kernels where [`SEEN`] has them, zeros elsewhere.
    fn weight(&self) -> Tensor {
        let zero = Tensor::zeros([1, 5, 5], self.bias.tensor().dtype());
        let own = self.kernels.iter().map(|kernels| {
            let kernels = kernels.tensor();
            kernels.reshape([kernels.count() / 25, 5, 5])
        });
        let all: Vec<Tensor> = std::iter::once(zero).chain(own).collect();
        let mut table = vec![0i64; SEEN.len() * 6];
        let places = SEEN.iter().enumerate().flat_map(|(map, seen)| seen.iter().map(move |&from| 6 * map + from));
        places.zip(1..).for_each(|(place, kernel)| table[place] = kernel);
        let table = Tensor::from_vec(table, [SEEN.len() * 6]);
        Tensor::concat(&all, 0).index_select(0, &table).reshape([SEEN.len(), 6, 5, 5])
    }
}

impl Layer for Sparse {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let bias = || self.bias.tensor().reshape([1, SEEN.len(), 1, 1]);
        self.place.run("sparse_conv2d", pass, || x.conv(&self.weight(), &ConvOptions::new(2)) + bias())
    }

    fn describe(&self) -> Description {
        let params = self.kernels.iter().chain([&self.bias]);
        Description::of("sparse_conv2d", "6 -> 16 by table I, 5x5").at(&self.place, params)
    }
}

/// Euclidean radial basis functions: the squared distances from the bitmaps, negative, so that the nearest digit is the highest.
struct Distances;

impl Layer for Distances {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        let away = x.unsqueeze(1) - bitmaps().unsqueeze(0); // [N, 10, 84]
        -(&away * &away).sum(-1)
    }

    fn describe(&self) -> Description {
        Description::of("distances", "from ten bitmaps of 7x12")
    }
}

/// Equation 9, the maximum a posteriori: `y_target + ln(e^-j + sum over i of e^-y_i)`, which is cross-entropy of one class more,
/// that of pictures of no digit, always `j` away.
fn map_loss(settings: &Settings, _: &Splits) -> Result<Loss> {
    let none = settings.get_float("model.none")?;
    let loss = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() };
    Ok(Box::new(move |outputs: &Tensor, labels: &Tensor| {
        Losses::mean_of(loss.loss(&outputs.pad(-1, 0, 1, -none), labels))
    }))
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 20,
        batch: 10,
        optimizer: "levenberg",
        // Of the paper, times the rows of a step, of which its gradient is the mean.
        lr: 0.0005 * 10.0,
        weight_decay: 0.0,
        schedule: "stairs",
        smoothing: 0.0,
    })
    .float("model.none", NONE, 0.0..=1000.0, "distance of the class of pictures that are no digit; the paper's j")
    .int("data.shift", 0, 0..=8, "training pictures move by up to so many pixels")
}

fn splits(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    let mut splits = digits_or_mnist(settings, dir)?;
    // From 0 to 1 in the file.
    (splits.input.mean, splits.input.std) = (vec![-PAPER / (INK - PAPER)], vec![1.0 / (INK - PAPER)]);
    Ok(splits)
}

fn model(at: &Scope, _: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    if input.classes.len() != 10 {
        return Err(Error::usage(
            format!("lenet-1998 knows bitmaps of the ten digits, not of {} classes", input.classes.len()),
            "train the recipe digits, LeNet-5 in its modern form",
        ));
    }
    Ok(Box::new(lenet_1998(at)))
}

/// Digits as in 1998.
pub const RECIPE: Recipe = Recipe {
    name: "lenet-1998",
    about: "LeNet-5 as published in 1998 (60,000 parameters) on handwritten digits; --data DIR for all of MNIST",
    settings: defaults,
    splits,
    model,
    loss: map_loss,
    begin: nothing,
    light_on_dark: true,
};

#[cfg(test)]
mod tests {
    use cpu::Run;
    use tensor::DType;

    use super::*;

    #[test]
    fn it_has_60_000_parameters_layer_by_layer() {
        let at = Scope::root(0);
        let net = lenet_1998(&at);
        let count = |name: &str| (&at / name).parameters().iter().map(|var| var.shape().count()).sum::<usize>();
        assert_eq!(["c1", "s2", "c3", "s4", "c5", "f6"].map(count), [156, 12, 1516, 32, 48_120, 10_164]);
        assert_eq!(at.parameters().iter().map(|var| var.shape().count()).sum::<usize>(), 60_000);
        assert_eq!(net.forward(&Tensor::zeros([3, 1, 28, 28], DType::F32), &Pass::eval()).dims(), [3, 10]);
    }

    #[test]
    fn each_map_of_c3_sees_those_of_table_i_alone() {
        let at = Scope::root(0);
        let weight = Sparse::new(&at / "c3").weight().to_vec::<f32>().unwrap();
        for (map, kernels) in weight.chunks_exact(6 * 25).enumerate() {
            let seen: Vec<usize> =
                (0..6).filter(|&from| kernels[from * 25..][..25].iter().any(|&x| x != 0.0)).collect();
            assert_eq!(seen, SEEN[map]);
        }
    }

    #[test]
    fn the_loss_is_equation_9() {
        let settings = defaults();
        let splits = splits(&settings, None).unwrap();
        let loss = map_loss(&settings, &splits).unwrap();
        let distances = [3.0f64, 1.5, 9.0];
        let outputs = Tensor::from_vec(distances.map(|y| -y).to_vec(), [1, 3]);
        let found = loss(&outputs, &Tensor::from_vec(vec![1i64], [1])).total;
        let rivals: f64 = distances.iter().map(|y| (-y).exp()).sum();
        let wanted = 1.5 + ((-NONE).exp() + rivals).ln();
        let found = found.to_vec::<f64>().unwrap()[0];
        assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
    }
}
