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
/// A row that is merely hard is learnt slowly: its later losses fall below this share of those before (by the medians, without
/// the first epoch, which knows nothing).
const STAYS: f64 = 0.7;
/// Its later losses are so many blind guesses high, by the median, ...
const HIGH: f64 = 3.0;
/// ... and never below so many. (Of 3,600 real digits, odd ones of a healthy run come to 2.5, those with a wrong label to 3.5.)
const NEVER_BELOW: f64 = 2.0;
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

/// Loss of a row, by epoch, and the last steps that were fed it.
#[derive(Default)]
struct Past {
    losses: Vec<(u32, f32)>,
    steps: [u64; 2],
}

/// The rows that were not learnt, the worst first. `class` gives the class of a row, `guess` is the loss of a blind guess.
pub(super) fn unlearnt(ledger: &Ledger, guess: f64, class: impl Fn(u32) -> Option<usize>) -> Vec<Unlearnt> {
    let mut rows: BTreeMap<u32, Past> = BTreeMap::new();
    let mut epochs: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
    for fed in ledger.all_rows() {
        for row in fed.rows.iter().filter(|row| row.loss.is_finite()) {
            let past = rows.entry(row.row).or_default();
            past.losses.push((fed.epoch, row.loss));
            past.steps = [fed.step, past.steps[0]];
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
    let later = |past: &Past| past.losses.iter().filter(|(epoch, _)| *epoch >= from).copied().collect::<Vec<_>>();
    let mut classes: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (&row, past) in &rows {
        if let Some(class) = class(row) {
            classes.entry(class).or_default().push(median(later(past).iter().map(|(_, loss)| f64::from(*loss))));
        }
    }
    let log = |loss: f64| loss.max(1e-6).ln();
    let usual: BTreeMap<usize, (f64, Usual)> = classes
        .into_iter()
        .filter_map(|(class, losses)| {
            Some((class, (median(losses.iter().copied()), Usual::of(losses.into_iter().map(log))?)))
        })
        .collect();
    let mut found: Vec<Unlearnt> = Vec::new();
    for (&row, past) in &rows {
        let Some((level, usual)) = class(row).and_then(|class| usual.get(&class)) else { continue };
        let later = later(past);
        let lowest = later.iter().map(|(_, loss)| f64::from(*loss)).fold(f64::INFINITY, f64::min);
        let middle = median(later.iter().map(|(_, loss)| f64::from(*loss)));
        let before = past.losses.iter().skip(1).filter(|(epoch, _)| *epoch < from);
        let before = median(before.map(|(_, loss)| f64::from(*loss)));
        let stays = middle > HIGH * guess && lowest > NEVER_BELOW * guess && middle > STAYS * before;
        if later.len() >= LEAST_EPOCHS && *level < LEARNT * guess && stays && usual.distance(log(middle)) > FAR {
            let top = later.iter().filter(|(epoch, loss)| *loss >= tops[epoch]).count();
            let losses = past.losses.iter().map(|(_, loss)| *loss).collect();
            found.push(Unlearnt { row, steps: past.steps, losses, class: *level, top, epochs: later.len() });
        }
    }
    if found.len() as f64 > (MOST * rows.len() as f64).max(1.0) {
        return Vec::new();
    }
    let level = |row: &Unlearnt| median(row.losses.iter().map(|loss| f64::from(*loss)));
    found.sort_by(|a, b| level(b).total_cmp(&level(a)));
    found
}
