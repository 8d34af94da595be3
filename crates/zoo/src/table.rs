//! A perceptron on a table: a number (regression) or a class from columns of numbers and words: recipe `table`.

use nn::{Description, Layer, Pass, Place, Scope, Sequential};
use tensor::Tensor;
use train::{Goal, Input, Losses, Result, Settings, Splits};

use crate::dense::{ACTIVATIONS, Dense, dense};
use crate::recipe::{Loss, Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};
use crate::table_data::{table, with_table};

/// No deviation that is said is smaller than this share of that of all targets.
const LEAST: f64 = 1e-3;

/// A net that speaks in units of the targets' deviation around their mean, in the target's own units: `[N, 1]`, or, if it says how
/// far it may be off, the number and that deviation, `[N, 2]`.
struct InUnits {
    place: Place,
    net: Sequential,
    mean: f64,
    std: f64,
}

impl Layer for InUnits {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let z = self.net.forward(x, pass);
        self.place.run("in_units", pass, || {
            if z.dims().last() != Some(&2) {
                return &z * self.std + self.mean;
            }
            let said = z.narrow(1, 0..1) * self.std + self.mean;
            let deviation = (z.narrow(1, 1..2).exp() + LEAST) * self.std;
            Tensor::concat(&[said, deviation], 1)
        })
    }

    fn describe(&self) -> Description {
        Description::of("in_units", format!("times {} plus {}", self.std, self.mean))
            .at(&self.place, [])
            .made_of([self.net.describe()])
    }
}

fn defaults() -> Settings {
    let training = Defaults {
        epochs: 60,
        batch: 64,
        optimizer: "adamw",
        lr: 0.002,
        weight_decay: 0.01,
        schedule: "cosine",
        smoothing: 0.0,
    };
    with_table(settings(training))
        .int("model.depth", 2, 0..=100, "hidden layers; 0: a linear model")
        .int("model.hidden", 128, 1..=65_536, "units of each hidden layer")
        .word("model.activation", "relu", ACTIVATIONS, "what stands between two layers")
        .flag("model.batch_norm", false, "batch norm between a layer and its activation")
        .float("model.dropout", 0.0, 0.0..=0.95, "share of each hidden layer that is dropped in training")
        .word(
            "train.loss",
            "squared",
            &["squared", "gaussian"],
            "of a number: the squared error; or the likelihood of a normal distribution whose deviation the model says too",
        )
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    let shape = Dense {
        depth: settings.get_size("model.depth")?,
        hidden: settings.get_size("model.hidden")?,
        activation: settings.get_word("model.activation")?,
        init: "default",
        batch_norm: settings.get_flag("model.batch_norm")?,
        dropout: settings.get_float("model.dropout")?,
    };
    let net = dense(at, input.shape.iter().product(), &shape, input.classes.len());
    Ok(match input.goal {
        Goal::Number { mean, std } => {
            Box::new(InUnits { place: Place::new(&(at / "in_units")), net, mean: mean.into(), std: std.into() })
        }
        Goal::Class | Goal::Symbols => Box::new(net),
    })
}

/// The table, and what the model says of a row: with the loss of a distribution, its deviation too.
fn splits(settings: &Settings, path: Option<&std::path::Path>) -> Result<Splits> {
    let mut splits = table(settings, path)?;
    if settings.get_word("train.loss")? == "gaussian" && splits.input.goal.is_number() {
        let deviation = format!("deviation of {}", splits.input.classes[0]);
        splits.input.classes.push(deviation);
    }
    Ok(splits)
}

/// Cross-entropy of a class. Of a number, in units of the targets' deviation: the squared error, or -ln of the density without the
/// constant, `(said - so)^2 / (2 deviation^2) + ln deviation`.
fn loss(settings: &Settings, splits: &Splits) -> Result<Loss> {
    let Goal::Number { std, .. } = splits.input.goal else { return plain_loss(settings, splits) };
    let unit = 1.0 / f64::from(std);
    let gaussian = settings.get_word("train.loss")? == "gaussian";
    Ok(Box::new(move |said: &Tensor, so: &Tensor| {
        let error = (said.narrow(1, 0..1) - so) * unit;
        let square = &error * &error;
        let losses = if gaussian {
            let deviation = said.narrow(1, 1..2) * unit;
            square / (&deviation * &deviation) * 0.5 + deviation.log()
        } else {
            square
        };
        Losses::mean_of(losses.squeeze(1))
    }))
}

/// A table.
pub const RECIPE: Recipe = Recipe {
    name: "table",
    about: "a perceptron that predicts a number or a class from the other columns of a table; needs --data FILE.csv",
    settings: defaults,
    splits,
    model,
    loss,
    begin: nothing,
    light_on_dark: false,
};
