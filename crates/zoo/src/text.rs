//! Texts into classes: recipe `text`. A mean of tokens (Joulin et al. 2016), a convolution over them (Kim 2014), or an LSTM both ways.
//!
//! A model reads tokens `x [N, T]`, of which 0 is none: what fills a row up, and a token that is covered, changes no answer.

use nn::{Conv, Description, Dropout, Embedding, Init, Layer, Linear, Pass, Recurrent, Scope};
use nn::{conv1d, dropout, embedding, linear, lstm};
use tensor::{DType, Tensor};
use train::{Input, Result, Settings};

use crate::labelled_texts::{labelled_texts, with_texts};
use crate::recipe::{Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};

/// The mean of what stands for the tokens, and for pairs of neighbours if there are `pairs`; a linear head.
pub struct Bag {
    tokens: Embedding,
    pairs: Option<(Embedding, usize)>,
    drop: Dropout,
    head: Linear,
}

impl Bag {
    /// Of `entries` tokens. A pair of tokens is one of `pairs` entries by its hash; with 0, pairs are not looked at.
    #[rustfmt::skip]
    #[track_caller]
    pub fn new(at: &Scope, entries: usize, width: usize, pairs: usize, drop: f64, classes: usize) -> Bag {
        let small = 1.0 / width.max(1) as f64;
        let table = |name: &str, entries| embedding(at / name, entries, width).init(Init::Uniform { low: -small, high: small });
        Bag {
            tokens: table("tokens", entries),                                   // [N, T, width]
            pairs: (pairs > 0).then(|| (table("pairs", pairs), pairs)),         // [N, T - 1, width]
            drop: dropout(at / "dropout", drop),
            head: linear(at / "head", width, classes),                          // logits
        }
    }
}

impl Layer for Bag {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let Some((ids, there)) = read(x) else { return refused(x) };
        let sum = |rows: Tensor, there: &Tensor| rows.keep_where(&there.unsqueeze(-1)).sum(1);
        let count = |there: &Tensor| there.cast(DType::F32).sum_keep(1);
        let mut total = sum(self.tokens.forward(&ids, pass), &there);
        let mut number = count(&there);
        let places = ids.dims()[1];
        if let (Some((table, entries)), 2..) = (&self.pairs, places) {
            let part = |of: &Tensor| (of.narrow(1, 0..places - 1), of.narrow(1, 1..places));
            let ((first, second), (here, next)) = (part(&ids), part(&there));
            let both = here.and(next);
            let hash = (first * HASH[0] + second * HASH[1]) % *entries as i64;
            total = total + sum(table.forward(&hash, pass), &both);
            number = number + count(&both);
        }
        self.head.forward(&self.drop.forward(&(total / number.maximum(1.0)), pass), pass)
    }

    fn describe(&self) -> Description {
        let tables = [Some(&self.tokens), self.pairs.as_ref().map(|(table, _)| table)];
        let tables = tables.into_iter().flatten().map(Layer::describe);
        let parts: Vec<Description> = tables.chain([self.drop.describe(), self.head.describe()]).collect();
        Description::of("bag", "the mean of its tokens").made_of(parts)
    }
}

/// Primes that mix two tokens.
const HASH: [i64; 2] = [1_000_003, 92_821];

/// Windows of 3, 4 and 5 tokens, the greatest of each feature over all of them, dropout, a linear head (Kim 2014, CNN-rand).
pub struct TextConv {
    tokens: Embedding,
    /// With the tokens that each sees.
    windows: Vec<(Conv, usize)>,
    drop: Dropout,
    head: Linear,
}

impl TextConv {
    /// Of `entries` tokens; `features` of each of the three widths.
    #[rustfmt::skip]
    #[track_caller]
    pub fn new(at: &Scope, entries: usize, width: usize, features: usize, drop: f64, classes: usize) -> TextConv {
        const SIZES: [usize; 3] = [3, 4, 5];
        let window = |size| (conv1d(at / format!("conv{size}"), width, features, size).padding(size - 1), size);
        TextConv {
            tokens: table(at, entries, width),                          // [N, T, width]
            windows: SIZES.into_iter().map(window).collect(),           // [N, features, T + size - 1] each
            drop: dropout(at / "dropout", drop),
            head: linear(at / "head", SIZES.len() * features, classes), // logits
        }
    }
}

impl Layer for TextConv {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let Some((ids, there)) = read(x) else { return refused(x) };
        let rows = self.tokens.forward(&ids, pass).keep_where(&there.unsqueeze(-1)).transpose(1, 2);
        let seen = there.cast(DType::F32);
        let greatest = |(conv, size): &(Conv, usize)| {
            let features = conv.forward(&rows, pass).relu(); // [N, features, T + size - 1]
            let windows = features.dims().last().copied().unwrap_or(0);
            let padded = seen.pad(1, size - 1, size - 1, 0.0);
            // A window counts if a token is in it. (No feature is below 0, so others may be 0.)
            let counts = (1..*size).fold(padded.narrow(1, 0..windows), |counts, shift| {
                counts.maximum(padded.narrow(1, shift..shift + windows))
            });
            features.keep_where(&counts.gt(0.0).unsqueeze(1)).max(2)
        };
        let features: Vec<Tensor> = self.windows.iter().map(greatest).collect();
        self.head.forward(&self.drop.forward(&Tensor::concat(&features, 1), pass), pass)
    }

    fn describe(&self) -> Description {
        let windows = self.windows.iter().map(|(conv, _)| conv.describe());
        let parts = std::iter::once(self.tokens.describe()).chain(windows);
        let parts: Vec<Description> = parts.chain([self.drop.describe(), self.head.describe()]).collect();
        Description::of("text_conv", "the greatest over all windows").made_of(parts)
    }
}

/// An LSTM that reads to the last token and one that reads back to the first: their last states, dropout, a linear head.
pub struct TextReader {
    tokens: Embedding,
    layer: Recurrent,
    drop: Dropout,
    head: Linear,
}

impl TextReader {
    /// Of `entries` tokens, with `hidden` units each way.
    #[rustfmt::skip]
    #[track_caller]
    pub fn new(at: &Scope, entries: usize, width: usize, hidden: usize, drop: f64, classes: usize) -> TextReader {
        let layer = lstm(at / "lstm", width, hidden).bidirectional(true).batch_first(true);
        TextReader {
            tokens: table(at, entries, width),              // [N, T, width]
            layer: layer.forget_bias(1.0),                  // states [2, N, hidden]
            drop: dropout(at / "dropout", drop),
            head: linear(at / "head", 2 * hidden, classes), // logits
        }
    }
}

impl Layer for TextReader {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let Some((ids, there)) = read(x) else { return refused(x) };
        let rows = self.tokens.forward(&ids, pass).keep_where(&there.unsqueeze(-1));
        // Up to the last token, and one step at least.
        let places = Tensor::iota(ids.shape(), 1, DType::I64) + 1i64;
        let lengths = places.keep_where(&there).max(1).maximum(1i64);
        let ends = self.layer.sequence(&rows, None, Some(&lengths), pass).hidden;
        let both = Tensor::concat(&[ends.select(0, 0), ends.select(0, 1)], 1);
        self.head.forward(&self.drop.forward(&both, pass), pass)
    }

    fn describe(&self) -> Description {
        Description::of("text_reader", "the last states of a reader each way").made_of([
            self.tokens.describe(),
            self.layer.describe(),
            self.drop.describe(),
            self.head.describe(),
        ])
    }
}

/// What stands for the tokens at first, as Kim (2014) has it.
#[track_caller]
fn table(at: &Scope, entries: usize, width: usize) -> Embedding {
    embedding(at / "tokens", entries, width).init(Init::Uniform { low: -0.25, high: 0.25 })
}

/// The numbers of the tokens, and where there is one.
fn read(x: &Tensor) -> Option<(Tensor, Tensor)> {
    let ids = x.cast(DType::I64);
    (x.rank() == 2 && x.error().is_none()).then(|| (ids.clone(), ids.gt(0i64)))
}

fn refused(x: &Tensor) -> Tensor {
    x.refused("text", format!("{} is not [N, T]", x.shape()), None)
}

fn defaults() -> Settings {
    let settings = settings(Defaults {
        epochs: 5,
        batch: 64,
        optimizer: "adamw",
        lr: 0.001,
        weight_decay: 0.01,
        schedule: "one_cycle",
        smoothing: 0.0,
    });
    let settings = settings
        .word(
            "model.name",
            "cnn",
            &["bag", "cnn", "lstm"],
            "bag: the mean of the tokens; cnn: windows of 3 to 5; lstm: both ways",
        )
        .int("model.width", 128, 1..=8192, "numbers that stand for a token")
        .int("model.features", 100, 1..=65_536, "features of each width of the cnn; units of the lstm each way")
        .int("model.pairs", 0, 0..=10_000_000, "entries for pairs of neighbours in the bag; 0: none")
        .float("model.dropout", 0.5, 0.0..=0.95, "share of the features that is dropped in training");
    with_texts(settings)
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    let size = |name: &str| settings.get_size(name);
    let (width, features, pairs) = (size("model.width")?, size("model.features")?, size("model.pairs")?);
    let drop = settings.get_float("model.dropout")?;
    let entries = input.tokens.as_ref().map_or(1, |tokens| tokens.len());
    let classes = input.classes.len();
    Ok(match settings.get_word("model.name")? {
        "bag" => Box::new(Bag::new(at, entries, width, pairs, drop, classes)),
        "lstm" => Box::new(TextReader::new(at, entries, width, features, drop, classes)),
        _ => Box::new(TextConv::new(at, entries, width, features, drop, classes)),
    })
}

/// Any texts with a class each.
pub const RECIPE: Recipe = Recipe {
    name: "text",
    about: "texts into classes by a mean, a convolution or an LSTM (--model NAME); needs --data, class folders of .txt or a table",
    settings: defaults,
    splits: labelled_texts,
    model,
    loss: plain_loss,
    begin: nothing,
    light_on_dark: false,
};
