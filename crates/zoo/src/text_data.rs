//! Data of the recipes on text: parts of one text, as windows that are to be continued.

use std::path::Path;
use std::sync::Arc;

use data::{DataError, Layout, Windows, read_text};
use nn::losses::{CrossEntropy, Reduction};
use tensor::Tensor;
use train::{DataFile, Error, Goal, Input, Losses, Result, Settings, Splits};

use crate::recipe::Loss;
use crate::settings::{Defaults, settings, whole_path};

/// What a recipe on text chooses beside [`Defaults`].
pub(crate) struct TextDefaults {
    /// Symbols of a window.
    pub length: i64,
    /// Share of the text to test on, and of the rest to watch by.
    pub test: f64,
    pub val: f64,
    /// Of the mean square.
    pub beta2: f64,
    /// Limits of the gradient: its length, its elements.
    pub clip: f64,
    pub clamp: f64,
}

/// The settings of a recipe on text.
pub(crate) fn text_settings(defaults: Defaults, text: TextDefaults) -> Settings {
    let (optimizer, schedule) = (defaults.optimizer, defaults.schedule);
    settings(defaults)
        .word(
            "train.optimizer",
            optimizer,
            &["sgd", "adam", "adamw", "muon", "rmsprop"],
            "how parameters follow gradients",
        )
        .word(
            "train.schedule",
            schedule,
            &["constant", "cosine", "one_cycle", "plateau", "warmup_cosine", "epoch_decay"],
            "how the learning rate changes",
        )
        .int(
            "train.warmup",
            100,
            0..=1_000_000,
            "steps until warmup_cosine is at its greatest rate; it ends at a tenth",
        )
        .float("train.beta2", text.beta2, 0.0..=0.999999, "share of the old mean square that adam, adamw, rmsprop keep")
        .float("train.clip", text.clip, 0.0..=1e9, "greatest length of the gradient; 0: any")
        .float("train.clamp", text.clamp, 0.0..=1e9, "greatest element of the gradient; 0: any")
        .int("data.length", text.length, 1..=1_000_000, "symbols of a window, which are read at once")
        .float("data.test", text.test, 0.001..=0.9, "share of the text, at its end, to test on")
        .float("data.val", text.val, 0.0..=0.9, "share of the rest, at its end, set aside to watch training by")
        .int("eval.batch", 32, 1..=65_536, "windows evaluated at once; changes no result")
}

/// Windows that begin every quarter of their length, each read from nothing; in a sweep, those that follow each other share a half.
pub(crate) fn windows(settings: &Settings, path: Option<&Path>) -> Result<Splits> {
    let length = settings.get_size("data.length")?;
    parts(settings, path, Layout::Every((length / 4).max(1)), (length, length / 2))
}

/// As many streams as a batch has rows, each read on from batch to batch; in a sweep, windows are four times as long as what is
/// read of them before a symbol counts.
pub(crate) fn streams(settings: &Settings, path: Option<&Path>) -> Result<Splits> {
    /// What an LSTM has read before this many symbols changes the next one little.
    const BEFORE: usize = 128;
    parts(settings, path, Layout::Streams(settings.get_size("train.batch")?), (4 * BEFORE, BEFORE))
}

/// The parts of a text: training windows as `layout` has them, the others as a sweep of windows of `length` symbols, each symbol
/// asked for once with `before` others before it.
fn parts(settings: &Settings, path: Option<&Path>, layout: Layout, (length, before): (usize, usize)) -> Result<Splits> {
    let Some(path) = path else {
        return Err(Error::usage(
            "this recipe needs a text to learn from",
            "give --data FILE, or a folder of .txt files",
        ));
    };
    let text = read_text(path)?;
    let names = text.names();
    let root = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let files = text.files.iter().map(|file| DataFile::of(root, file)).collect::<Result<_>>()?;
    let symbols = Arc::new(text.symbols);
    let share =
        |of: usize, name: &str| -> Result<usize> { Ok((of as f64 * (1.0 - settings.get_float(name)?)) as usize) };
    let tested = share(symbols.len(), "data.test")?;
    let watched = share(tested, "data.val")?;
    let sweep = |from: usize, to: usize| {
        // A short part is one window.
        let length = length.min((to - from).saturating_sub(1)).max(1);
        Windows::new(&symbols, from..to, length, Layout::Sweep(before.min(length - 1)), &names)
    };
    let train_length = settings.get_size("data.length")?;
    let train = Windows::new(&symbols, 0..watched, train_length, layout, &names)?;
    let val = if watched < tested { Some(sweep(watched, tested)?) } else { None };
    let test = sweep(tested, symbols.len())?;
    if names.len() < 2 {
        return Err(Error::Data(DataError::Argument {
            what: "text",
            why: "it is one letter over and over".to_owned(),
            help: "give a text of several letters".to_owned(),
        }));
    }
    let notes = vec![format!(
        "{} symbols to learn from, {} to watch by, {} to test on; {} different; measured with at least {before} symbols read before each but the first",
        watched,
        tested - watched,
        symbols.len() - tested,
        names.len()
    )];
    Ok(Splits {
        train: Arc::new(train),
        val: val.map(|val| Arc::new(val) as Arc<dyn data::Dataset>),
        test: Arc::new(test),
        input: Input {
            goal: Goal::Symbols,
            shape: vec![train_length],
            mean: vec![0.0],
            std: vec![1.0],
            classes: names,
            columns: Vec::new(),
            tokens: None,
        },
        augment: Vec::new(),
        source: Some(whole_path(path)),
        files,
        notes,
    })
}

/// Cross-entropy of logits `[N, T, symbols]` against the symbols that follow, `[N, T]`.
pub(crate) fn text_loss(settings: &Settings, _: &Splits) -> Result<Loss> {
    let label_smoothing = settings.get_float("train.smoothing")?;
    let rule = CrossEntropy { label_smoothing, reduction: Reduction::None, ..CrossEntropy::default() };
    Ok(Box::new(move |logits: &Tensor, symbols: &Tensor| {
        let classes = logits.dims().last().copied().unwrap_or(1);
        let losses = rule.loss(&logits.reshape([symbols.count(), classes]), &symbols.reshape([symbols.count()]));
        Losses::mean_of(losses.reshape(symbols.shape()))
    }))
}
