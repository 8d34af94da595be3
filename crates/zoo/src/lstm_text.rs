//! Letters by an LSTM as one would train it today: recipe `lstm-text`. The model of `char-rnn`, by AdamW with a warm-up and a
//! cosine, a limit on the length of the gradient, dropout, and longer windows.

use train::{Input, Settings};

use crate::char_rnn::{TextLstm, sizes, with_sizes};
use crate::recipe::{Recipe, nothing};
use crate::settings::Defaults;
use crate::text_data::{TextDefaults, streams, text_loss, text_settings};

fn defaults() -> Settings {
    let training = Defaults {
        epochs: 13,
        batch: 32,
        optimizer: "adamw",
        lr: 0.003,
        weight_decay: 0.01,
        schedule: "warmup_cosine",
        smoothing: 0.0,
    };
    let text = TextDefaults { length: 64, test: 0.1, val: 0.0, beta2: 0.99, clip: 1.0, clamp: 0.0 };
    with_sizes(text_settings(training, text), 2, 384, 0.25).float(
        "train.average",
        0.998,
        0.0..=0.999999,
        "share that averaged weights keep each step; 0: no averages",
    )
}

/// A text, letter by letter, as one would today.
pub const RECIPE: Recipe = Recipe {
    name: "lstm-text",
    about: "an LSTM that continues a text letter by letter, trained as one would today; needs --data FILE",
    settings: defaults,
    splits: streams,
    model: |at, settings, input: &Input| Ok(Box::new(TextLstm::new(at, sizes(settings, input)?, None))),
    loss: text_loss,
    begin: nothing,
    light_on_dark: false,
};
