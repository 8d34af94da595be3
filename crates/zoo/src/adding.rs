//! The adding problem (Hochreiter and Schmidhuber 1997): two of many numbers are marked, and their sum is asked for at the end: recipe
//! `adding`. Only a network that remembers over the whole sequence can know it.

use std::path::Path;
use std::sync::Arc;

use data::{Dataset, InMemory, Targets, Values};
use nn::{Layer, Scope};
use tensor::{RandomKey, Tensor};
use train::{Error, Goal, Input, Losses, Result, Settings, Splits};

use crate::recipe::{Loss, Recipe, nothing};
use crate::rows::RowReader;
use crate::settings::{Defaults, settings};

/// The mean squared error of who always says 1: the variance of a sum of two numbers that are uniform from 0 to 1.
pub const BAR: f64 = 1.0 / 6.0;

/// `rows` sequences of `length` pairs, one after the other: a number that is uniform from 0 to 1, and its mark: 1 at one place of the first
/// half and at one of the second, 0 elsewhere. The target is the sum of the two numbers that are marked. Another `part` has others.
///
/// # Errors
/// If a sequence has no two halves.
pub fn sums(rows: usize, length: usize, seed: u64, part: &str) -> Result<InMemory> {
    if length < 2 {
        return Err(Error::usage("a sequence of one number has no two to add", "set data.length to 2 or more"));
    }
    let half = length / 2;
    let (mut x, mut targets) = (Vec::with_capacity(rows * length * 2), Vec::with_capacity(rows));
    for row in 0..rows {
        // A step of the generator for each sequence.
        let key = RandomKey::new(seed).stream(&format!("adding {part}")).step(row as u32);
        let number = |at: usize| key.uniform(at as u64);
        let place = |at: usize, count: usize| key.below((length + at) as u64, count as u64) as usize;
        let marked = [place(0, half), half + place(1, length - half)];
        x.extend((0..length).flat_map(|at| [number(at), f32::from(u8::from(marked.contains(&at)))]));
        targets.push(marked.into_iter().map(number).sum());
    }
    let targets = Targets::Values { values: targets, width: 1 };
    Ok(InMemory::new(format!("sequences to {part}"), &[2 * length], Values::Floats(x), targets, Vec::new())?)
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 10,
        batch: 32,
        optimizer: "adam",
        lr: 0.01,
        weight_decay: 0.0,
        schedule: "cosine",
        smoothing: 0.0,
    })
    .word("model.cell", "lstm", &["lstm", "gru", "rnn"], "the recurrent cell; rnn: the plain one")
    .int("model.hidden", 32, 1..=65_536, "units of it")
    // With 0, a cell halves with each step: after 200 of them nothing is left.
    .float("model.forget_bias", 3.0, -100.0..=100.0, "what the forget gates of an LSTM begin with")
    .float("train.clip", 1.0, 0.0..=1e9, "greatest length of the gradient; 0: any")
    .int("data.length", 200, 2..=100_000, "numbers of a sequence")
    .int(
        "data.rows",
        12_800,
        1..=1_000_000,
        "sequences to learn from; data.val of as many more watch, and a tenth of as many are tested on",
    )
}

fn splits(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    if dir.is_some() {
        return Err(Error::usage("this recipe makes its own sequences, and reads none", "leave --data out"));
    }
    let (length, rows) = (settings.get_size("data.length")?, settings.get_size("data.rows")?);
    let seed = settings.get_int("train.seed")? as u64;
    let part = |name: &str, rows: usize| -> Result<Arc<dyn Dataset>> { Ok(Arc::new(sums(rows, length, seed, name)?)) };
    let watched = (rows as f64 * settings.get_float("data.val")?) as usize;
    Ok(Splits {
        train: part("learn from", rows)?,
        val: if watched > 0 { Some(part("watch by", watched)?) } else { None },
        test: part("test on", (rows / 10).max(1))?,
        input: Input {
            // In the sums' own units, so that losses are those of the literature.
            goal: Goal::Number { mean: 0.0, std: 1.0 },
            shape: vec![2 * length],
            mean: vec![0.0],
            std: vec![1.0],
            classes: vec!["sum".to_owned()],
            columns: Vec::new(),
            tokens: None,
        },
        augment: Vec::new(),
        source: None,
        files: Vec::new(),
        notes: vec![format!("who always says 1 has a mean squared error of {BAR:.4}")],
    })
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    let (cell, hidden) = (settings.get_word("model.cell")?, settings.get_size("model.hidden")?);
    let bias = settings.get_float("model.forget_bias")?;
    Ok(Box::new(RowReader::new(at, cell, 2, hidden, input.classes.len()).forget_bias(bias)))
}

/// The mean squared error.
fn loss(_: &Settings, _: &Splits) -> Result<Loss> {
    Ok(Box::new(|said: &Tensor, so: &Tensor| {
        let error = said - so;
        Losses::mean_of((&error * &error).squeeze(1))
    }))
}

/// Sums over long sequences.
pub const RECIPE: Recipe = Recipe {
    name: "adding",
    about: "a recurrent network that adds two marked numbers of a long sequence; makes its own sequences",
    settings: defaults,
    splits,
    model,
    loss,
    begin: nothing,
    light_on_dark: false,
};

#[cfg(test)]
mod tests {
    use data::Target;

    use super::*;

    #[test]
    fn a_sequence_has_one_mark_in_each_half_and_their_sum_varies_by_a_sixth() {
        let sums = sums(4000, 11, 3, "train").unwrap();
        let mut squares = 0.0;
        let mut first = [0; 11];
        for row in 0..sums.len() {
            let sample = sums.get(row).unwrap();
            let marked: Vec<usize> = (0..11).filter(|at| sample.x[2 * at + 1] == 1.0).collect();
            assert!(marked.len() == 2 && marked[0] < 5 && (5..11).contains(&marked[1]), "{marked:?}");
            first[marked[0]] += 1;
            first[marked[1]] += 1;
            let sum = sample.x[2 * marked[0]] + sample.x[2 * marked[1]];
            assert_eq!(sample.target, Target::Values(vec![sum]));
            squares += (f64::from(sum) - 1.0).powi(2);
        }
        assert!((squares / 4000.0 - BAR).abs() < 0.012, "{squares}");
        assert!(first.iter().all(|&count| count > 500), "{first:?}");
        assert!(super::sums(1, 1, 0, "train").is_err());
        assert_ne!(sums.get(0).unwrap(), super::sums(1, 11, 3, "test").unwrap().get(0).unwrap());
    }
}
