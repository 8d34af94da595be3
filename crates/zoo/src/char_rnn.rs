//! Letters by an LSTM: recipe `char-rnn` (Karpathy 2015), as its program of that year trains it.

use nn::{
    Description, Dropout, Init, Layer, Linear, Param, Pass, Place, Recurrent, Scope, Sequence, dropout, linear, lstm,
};
use tensor::{DType, Tensor};
use train::{Input, Result, Settings};

use crate::recipe::{Recipe, nothing};
use crate::settings::Defaults;
use crate::text_data::{TextDefaults, streams, text_loss, text_settings};

/// One-hot letters, LSTM layers with dropout between and behind them, a linear head. 240,321 parameters with 2 layers of 128 units
/// and 65 letters.
///
/// In training it reads on where the batch before ended (truncated backpropagation through time): the states after the last step
/// lie in the buffers `carried/h` and `carried/c`, so checkpoints hold them. Otherwise it begins with zeros.
pub struct TextLstm {
    place: Place,
    symbols: usize,
    layers: Recurrent,
    drop: Dropout,
    head: Linear,
    /// h and c, `[layers, rows, hidden]`.
    carried: [Param; 2],
}

/// Sizes of a [`TextLstm`].
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Different letters.
    pub symbols: usize,
    /// LSTM layers.
    pub layers: usize,
    /// Units of each.
    pub hidden: usize,
    /// Share of the outputs of each layer that is dropped in training.
    pub drop: f64,
    /// Rows of a training batch, each of which reads a stream of its own.
    pub rows: usize,
}

impl TextLstm {
    /// With weights from `init`, and forget gates that remember at first.
    #[rustfmt::skip]
    #[track_caller]
    pub fn new(at: &Scope, sizes: Sizes, init: Option<Init>) -> TextLstm {
        let Sizes { symbols, layers, hidden, drop, rows } = sizes;
        let stack = lstm(at / "lstm", symbols, hidden).layers(layers).dropout(drop).batch_first(true); // [N, T, hidden]
        let head = linear(at / "head", hidden, symbols);                                               // logits [N, T, symbols]
        let (stack, head) = match init {
            Some(init) => (stack.init(init), head.init(init).bias_init(init)),
            None => (stack, head),
        };
        let state = |name: &str| (at / "carried").buffer(name, &[layers, rows, hidden], at.dtype(), Init::Constant(0.0));
        TextLstm {
            place: Place::new(at),
            symbols,
            layers: stack.forget_bias(1.0),
            drop: dropout(at / "dropout", drop),
            head,
            carried: [state("h"), state("c")],
        }
    }

    /// Logits `[N, T, symbols]` of what follows `x [N, T]`, and the states after it; `start` are those before it.
    pub fn read(&self, x: &Tensor, start: Option<&[Tensor]>, pass: &Pass) -> (Tensor, Sequence) {
        let one_hot = Tensor::arange(self.symbols, DType::I64).one_hot(self.symbols, DType::F32);
        let letters = one_hot.embedding(&x.cast(DType::I64));
        let read = self.layers.sequence(&letters, start, None, pass);
        (self.head.forward(&self.drop.forward(&read.output, pass), pass), read)
    }
}

impl Layer for TextLstm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let vars: Vec<_> = self.carried.iter().filter_map(Param::var).collect();
        self.place.run("text_lstm", pass, || {
            if !pass.is_training() {
                return self.read(x, None, pass).0;
            }
            let start: Vec<Tensor> = vars.iter().map(|var| pass.current(var)).collect();
            let (logits, read) = self.read(x, Some(&start), pass);
            for (var, after) in vars.iter().zip([Some(read.hidden), read.cell].into_iter().flatten()) {
                pass.update(var, &after);
            }
            logits
        })
    }

    fn describe(&self) -> Description {
        Description::of("text_lstm", format!("{} symbols, state carried in training", self.symbols))
            .at(&self.place, &self.carried)
            .made_of([self.layers.describe(), self.drop.describe(), self.head.describe()])
    }
}

/// The settings of a [`TextLstm`], and those defaults of it.
pub(crate) fn with_sizes(settings: Settings, layers: i64, hidden: i64, drop: f64) -> Settings {
    settings
        .int("model.layers", layers, 1..=64, "LSTM layers")
        .int("model.hidden", hidden, 1..=65_536, "units of each")
        .float("model.dropout", drop, 0.0..=0.95, "share of the outputs of each layer that is dropped in training")
}

/// The sizes that the settings say.
pub(crate) fn sizes(settings: &Settings, input: &Input) -> Result<Sizes> {
    Ok(Sizes {
        symbols: input.classes.len(),
        layers: settings.get_size("model.layers")?,
        hidden: settings.get_size("model.hidden")?,
        drop: settings.get_float("model.dropout")?,
        rows: settings.get_size("train.batch")?,
    })
}

/// Every weight and bias uniform within .08 at first.
const UNIFORM: Init = Init::Uniform { low: -0.08, high: 0.08 };

fn defaults() -> Settings {
    let training = Defaults {
        epochs: 50,
        batch: 50,
        optimizer: "rmsprop",
        lr: 0.002,
        weight_decay: 0.0,
        schedule: "epoch_decay",
        smoothing: 0.0,
    };
    let text = TextDefaults { length: 50, test: 0.05, val: 0.0, beta2: 0.95, clip: 0.0, clamp: 5.0 };
    with_sizes(text_settings(training, text), 2, 128, 0.0)
}

/// A text, letter by letter, as in 2015.
pub const RECIPE: Recipe = Recipe {
    name: "char-rnn",
    about: "an LSTM that continues a text letter by letter, as published in 2015; needs --data FILE",
    settings: defaults,
    splits: streams,
    model: |at, settings, input: &Input| Ok(Box::new(TextLstm::new(at, sizes(settings, input)?, Some(UNIFORM)))),
    loss: text_loss,
    begin: nothing,
    light_on_dark: false,
};
