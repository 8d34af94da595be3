//! What differs between two runs, or between the weights of two checkpoints.

use std::collections::BTreeSet;
use std::sync::Arc;

use nn::safetensors;
use tensor::Array;

use super::Run;
use crate::checkpoint::Checkpoint;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, StateHash};
use crate::state::MODEL;

/// What differs between two runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunDiff {
    /// Settings with other values.
    pub settings: Vec<SettingDiff>,
    /// Points of both curves: some 8 of the steps that both made, evenly apart.
    pub curve: Vec<Point>,
    /// Steps that both ledgers hold.
    pub common: u64,
    /// The first of them that differs.
    pub first: Option<FirstDiff>,
}

/// A setting with another value in each run; `None` where there is no such setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDiff {
    /// Its name.
    pub name: String,
    /// In the first run.
    pub a: Option<String>,
    /// In the second.
    pub b: Option<String>,
}

/// Both curves at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From 1.
    pub step: u64,
    /// Mean loss of the steps since the last point.
    pub loss: [f64; 2],
    /// Learning rates.
    pub lr: [f64; 2],
}

/// The first step that differs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FirstDiff {
    /// From 1.
    pub step: u64,
    /// What the ledgers tell apart.
    pub recorded: Vec<String>,
    /// The first value that differs, in the order in which a step comes by them: what it began with, its batch, the outputs of
    /// its layers, its results, gradients, next values. `None` if all are the same, or were not computed.
    pub tensor: Option<TensorDiff>,
    /// How many others differ.
    pub others: usize,
}

/// How two tensors of one name differ.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorDiff {
    /// Their name.
    pub name: String,
    /// Their shape, or both if they differ, and then nothing else is known.
    pub shapes: [Vec<usize>; 2],
    /// Lengths of both.
    pub norms: [f64; 2],
    /// Length of their difference.
    pub distance: f64,
    /// The largest difference of two numbers.
    pub largest: f64,
    /// How many numbers differ.
    pub differ: usize,
    /// How many there are.
    pub count: usize,
}

impl TensorDiff {
    /// Of two arrays.
    pub fn of(name: &str, a: &Array, b: &Array) -> TensorDiff {
        let shapes = [a.shape().to_vec(), b.shape().to_vec()];
        let count = a.shape().count();
        let norm = |array: &Array| (0..array.shape().count()).map(|at| array.get_f64(at).powi(2)).sum::<f64>().sqrt();
        let mut diff = TensorDiff {
            name: name.to_owned(),
            norms: [norm(a), norm(b)],
            distance: f64::NAN,
            largest: f64::NAN,
            differ: count,
            count,
            shapes,
        };
        if diff.shapes[0] == diff.shapes[1] {
            let pairs = || (0..count).map(|at| (a.get_f64(at), b.get_f64(at)));
            diff.distance = pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            diff.largest = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            diff.differ = pairs().filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        }
        diff
    }
}

/// What differs between two runs. Their ledgers say which step is the first; that step is then computed again in both.
///
/// # Errors
/// If that step cannot be computed in one of them.
pub fn runs(a: &mut Run, b: &mut Run) -> Result<RunDiff> {
    let settings = settings(&a.job().settings, &b.job().settings);
    let (curve, common) = curve(a.ledger(), b.ledger());
    let Some((step, recorded)) = first_step(a.ledger(), b.ledger()) else {
        return Ok(RunDiff { settings, curve, common, first: None });
    };
    let branched = |run: &Run| run.dir().record().branched_at().unwrap_or(0);
    // What a branch took over from its parent was the same there.
    let mut first = FirstDiff { step, recorded, ..FirstDiff::default() };
    if step > branched(a).max(branched(b)) {
        let mut differing = tensors(a, b, step)?.into_iter();
        first.tensor = differing.next();
        first.others = differing.count();
    }
    Ok(RunDiff { settings, curve, common, first: Some(first) })
}

/// The settings of which two tables differ.
pub fn settings(a: &Settings, b: &Settings) -> Vec<SettingDiff> {
    let value = |settings: &Settings, name: &str| {
        settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.to_string())
    };
    let mut seen = BTreeSet::new();
    let names = a.iter().chain(b.iter()).map(|setting| setting.name).filter(|name| seen.insert(*name));
    let both = names.map(|name| SettingDiff { name: name.to_owned(), a: value(a, name), b: value(b, name) });
    both.filter(|diff| diff.a != diff.b).collect()
}

fn curve(a: &Ledger, b: &Ledger) -> (Vec<Point>, u64) {
    const POINTS: u64 = 8;
    let both: Vec<_> = a.steps().iter().filter_map(|then| Some((then, b.step(then.step)?))).collect();
    let every = (both.len() as u64).div_ceil(POINTS).max(1) as usize;
    let points = both.chunks(every).filter_map(|part| {
        let (last_a, last_b) = part.last()?;
        let mean = |losses: &mut dyn Iterator<Item = f32>| losses.map(f64::from).sum::<f64>() / part.len() as f64;
        let loss = [mean(&mut part.iter().map(|(a, _)| a.loss)), mean(&mut part.iter().map(|(_, b)| b.loss))];
        Some(Point { step: last_a.step, loss, lr: [last_a.lr, last_b.lr] })
    });
    (points.collect(), both.len() as u64)
}

/// The first step that two ledgers tell apart, and by what.
fn first_step(a: &Ledger, b: &Ledger) -> Option<(u64, Vec<String>)> {
    for (then, now) in a.steps().iter().filter_map(|then| Some((then, b.step(then.step)?))) {
        let mut differ = Vec::new();
        let fed = |ledger: &Ledger| {
            ledger.rows(then.step).map(|rows| rows.rows.iter().map(|row| row.row).collect::<Vec<_>>())
        };
        if fed(a).zip(fed(b)).is_some_and(|(a, b)| a != b) {
            differ.push("rows".to_owned());
        }
        let mut figure = |name: &str, a: f64, b: f64| {
            if a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()) {
                differ.push(format!("{name} {a} and {b}"));
            }
        };
        figure("lr", then.lr, now.lr);
        let mut float = |name: &str, a: Option<f32>, b: Option<f32>| {
            if let (Some(a), Some(b)) = (a, b) {
                figure(name, f64::from(a), f64::from(b));
            }
        };
        float("loss", Some(then.loss), Some(now.loss));
        float("gradient length", Some(then.grad_norm), Some(now.grad_norm));
        float("update length", then.update_norm, now.update_norm);
        float("weight length", then.weight_norm, now.weight_norm);
        if then.hash.zip(now.hash).is_some_and(|(a, b)| a != b) {
            differ.push("hash of the state after it".to_owned());
        }
        if !differ.is_empty() {
            return Some((then.step, differ));
        }
    }
    None
}

/// The values of a step that differ, in the order in which the step comes by them.
fn tensors(a: &mut Run, b: &mut Run, step: u64) -> Result<Vec<TensorDiff>> {
    let (a, b) = (a.at(step)?, b.at(step)?);
    // Before the step; then the way through it; then what it leaves.
    let is_state = |name: &str| a.names().iter().any(|named| named.name == name && named.tensor.variable().is_some());
    let all = || a.names().iter().map(|named| named.name.clone());
    let parameters = a.run().job().optimizer.parameters();
    let mut names: Vec<String> = all().filter(|name| is_state(name)).collect();
    names.extend(all().filter(|name| !is_state(name) && !name.ends_with("_norm")));
    names.extend(parameters.iter().map(|var| format!("{}.grad", var.name())));
    names.extend(all().filter(|name| is_state(name)).map(|name| format!("{name}.next")));
    let mut differing = Vec::new();
    for name in names {
        let (Ok(of_a), Ok(of_b)) = (a.tensor(&name), b.tensor(&name)) else { continue };
        if StateHash::of_array(&of_a) != StateHash::of_array(&of_b) {
            differing.push(TensorDiff::of(&name, &of_a, &of_b));
        }
    }
    Ok(differing)
}

/// How the weights of two checkpoints differ, tensor by tensor, in the order of their names; those that only one of them has
/// are left out, and named second.
///
/// # Errors
/// If a checkpoint holds no weights.
pub fn checkpoints(a: &Checkpoint, b: &Checkpoint) -> Result<(Vec<TensorDiff>, Vec<String>)> {
    let (a, b) = (weights(a)?, weights(b)?);
    let both = a.iter().filter_map(|(name, of_a)| Some(TensorDiff::of(name, of_a, b.get(name)?))).collect();
    let names = |one: &nn::State, other: &nn::State| -> Vec<String> {
        one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    Ok((both, [names(&a, &b), names(&b, &a)].concat()))
}

fn weights(checkpoint: &Checkpoint) -> Result<std::collections::BTreeMap<String, Arc<Array>>> {
    let broken = |why: String| Error::corrupt(&checkpoint.place.join(MODEL), why, "take another checkpoint");
    let bytes = checkpoint.files.get(MODEL).ok_or_else(|| broken("the checkpoint does not list it".to_owned()))?;
    Ok(safetensors::from_bytes(bytes).map_err(broken)?.tensors)
}
