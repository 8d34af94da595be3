//! Rows whose loss stays high over the epochs while the others of their class are learnt.

use std::collections::BTreeMap;

use super::robust::{Usual, median};
use crate::ledger::Ledger;

/// Epochs in which a row must stand out: the later half of them, at least so many.
const LEAST_EPOCHS: usize = 3;
/// A class is learnt if the median loss of its rows is below this share of a blind guess.
const LEARNT: f64 = 0.3;
/// Usual distances above the median of its class, in the logarithm of the loss.
const FAR: f64 = 2.5;
/// Its losses, without the first epoch, which knows nothing, are so many blind guesses high by their geometric mean. (Of real
/// digits and clothes with labels changed at random, 9 of 10 rows above it are such; of clean digits none is, of clean clothes,
/// whose labels are often doubtful, 1 in 1000.)
const HIGH: f64 = 2.5;
/// So many are enough if the rows above them are not the thin end of those that are merely hard, ...
const HIGH_IF_MANY: f64 = 1.95;
/// ... but at least this share of those above [`HARD`], and not just a few. (Of clean data at most 0.18 are, with 1 % of wrong
/// labels 0.39.)
const MANY: f64 = 0.35;
const NOT_FEW: f64 = 8.0;
/// A row is hard above so many blind guesses.
const HARD: f64 = 1.18;
/// Or its later losses are so many blind guesses high, by the median, ...
const LATER_HIGH: f64 = 3.0;
/// ... never below so many, ...
const NEVER_BELOW: f64 = 2.0;
/// ... and not below this share of those before: a row that is merely hard is learnt slowly.
const STAYS: f64 = 0.7;
/// If more of the rows stand out, they are not odd: the model does not fit them.
const MOST: f64 = 0.03;

/// A row that was not learnt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unlearnt {
    pub row: u32,
    /// The last two steps that were fed it, the last one first.
    pub steps: [u64; 2],
    /// Its losses, epoch by epoch.
    pub losses: Vec<f32>,
    /// The median loss of its class in the last epoch that was fed it.
    pub class: f64,
    /// How often its loss was one of the highest hundredth (or the highest) of its epoch, of the later half of the epochs.
    pub top: usize,
    pub epochs: usize,
}

/// Losses of a row, in order: epoch, step, loss.
type Past = Vec<(u32, u64, f32)>;

/// The rows that were not learnt, the worst first. `class` gives the class of a row, `guess` is the loss of a blind guess.
pub(super) fn unlearnt(ledger: &Ledger, guess: f64, class: impl Fn(u32) -> Option<usize>) -> Vec<Unlearnt> {
    let mut rows: BTreeMap<u32, Past> = BTreeMap::new();
    let mut epochs: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
    for fed in ledger.all_rows() {
        for row in fed.rows.iter().filter(|row| row.loss.is_finite()) {
            rows.entry(row.row).or_default().push((fed.epoch, fed.step, row.loss));
            epochs.entry(fed.epoch).or_default().push(row.loss);
        }
    }
    let late: Vec<u32> = epochs.keys().copied().skip(epochs.len() / 2).collect();
    let Some(from) = late.first().copied().filter(|_| late.len() >= LEAST_EPOCHS) else { return Vec::new() };
    // What makes the top of an epoch.
    let tops: BTreeMap<u32, f32> = epochs
        .into_iter()
        .map(|(epoch, mut losses)| {
            losses.sort_by(|a, b| b.total_cmp(a));
            (epoch, losses[losses.len() / 100])
        })
        .collect();
    // The median of each row in the later half, by class.
    let later = |past: &Past| past.iter().filter(|(epoch, ..)| *epoch >= from).copied().collect::<Past>();
    let middle = |past: &Past| median(past.iter().map(|(.., loss)| f64::from(*loss)));
    let mut classes: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (&row, past) in &rows {
        if let Some(class) = class(row) {
            classes.entry(class).or_default().push(middle(&later(past)));
        }
    }
    let log = |loss: f64| loss.max(1e-6).ln();
    let usual: BTreeMap<usize, (f64, Usual)> = classes
        .into_iter()
        .filter_map(|(class, losses)| {
            Some((class, (median(losses.iter().copied()), Usual::of(losses.into_iter().map(log))?)))
        })
        .collect();
    let levels: BTreeMap<u32, f64> = rows.iter().map(|(&row, past)| (row, level(past) / guess)).collect();
    let above = |level: f64| levels.values().filter(|&&of| of > level).count() as f64;
    let high = if above(HIGH_IF_MANY) >= (MANY * above(HARD)).max(NOT_FEW) { HIGH_IF_MANY } else { HIGH };
    let mut found: Vec<Unlearnt> = Vec::new();
    for (&row, past) in &rows {
        let Some((level, usual)) = class(row).and_then(|class| usual.get(&class)) else { continue };
        let later = later(past);
        let far = usual.distance(log(middle(&later))) > FAR;
        if (levels[&row] > high || stays_high(past, &later, guess))
            && later.len() >= LEAST_EPOCHS
            && *level < LEARNT * guess
            && far
        {
            let top = later.iter().filter(|(epoch, _, loss)| loss >= &tops[epoch]).count();
            let [.., (_, before, _), (_, last, _)] = later[..] else { continue };
            let (steps, epochs) = ([last, before], later.len());
            let losses = past.iter().map(|(.., loss)| *loss).collect();
            found.push(Unlearnt { row, steps, losses, class: *level, top, epochs });
        }
    }
    if found.len() as f64 > (MOST * rows.len() as f64).max(1.0) {
        return Vec::new();
    }
    found.sort_by(|a, b| levels[&b.row].total_cmp(&levels[&a.row]));
    found
}

/// Whether the later losses of a row are higher still than those of rows that are found by all of theirs, each of them, and not
/// falling: in a short run the first epochs know little.
fn stays_high(past: &Past, later: &Past, guess: f64) -> bool {
    let losses = |of: &[(u32, u64, f32)]| of.iter().map(|(.., loss)| f64::from(*loss)).collect::<Vec<_>>();
    let before = median(losses(&past[..past.len() - later.len()]).into_iter().skip(1));
    let (middle, lowest) = (median(losses(later)), losses(later).into_iter().fold(f64::INFINITY, f64::min));
    middle > LATER_HIGH * guess && lowest > NEVER_BELOW * guess && middle > STAYS * before
}

/// How high the losses of a row are, without the first: their geometric mean; 0 if there are none.
fn level(past: &Past) -> f64 {
    let logs = past.iter().skip(1).map(|(.., loss)| f64::from(*loss).max(1e-4).ln());
    let count = logs.len();
    if count == 0 { 0.0 } else { (logs.sum::<f64>() / count as f64).exp() }
}

/// How many epochs the ledger holds, and how many are needed before a row can be called unlearnt.
pub(super) fn epochs(ledger: &Ledger) -> (usize, usize) {
    let mut epochs: Vec<u32> = ledger.all_rows().map(|fed| fed.epoch).collect();
    epochs.dedup();
    (epochs.len(), 2 * LEAST_EPOCHS - 1)
}
