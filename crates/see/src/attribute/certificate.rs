//! What can be checked of a map.
//!
//! - Completeness (Sundararajan et al. 2017): the numbers add up to the score's distance from that of the baseline.
//! - Randomisation (Adebayo et al. 2018): with weights shuffled from the output towards the input the map must become another.
//! - Deletion (Samek et al. 2017): if what the map points at is covered, the score must fall further than at random.

use std::sync::Arc;

use serde_json::{Value, json};
use tensor::{Array, DType, RandomKey, Var};
use train::Result;

use super::score::{Frame, baseline, one, scores};
use super::{Attribution, Method, Options, attribute};
use crate::compare::{rank_correlation, similarity};
use crate::net::{Net, floats};

/// All that was checked of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificates {
    /// Of the methods whose numbers are parts of the score.
    pub completeness: Option<Completeness>,
    /// What becomes of the map if the weights are shuffled.
    pub randomisation: Randomisation,
    /// What becomes of the score if the places at the top of the map are covered.
    pub deletion: Deletion,
}

impl Certificates {
    /// All figures; one that is not finite is null.
    pub fn to_json(&self) -> Value {
        let Deletion { removed, score, without_top, without_random, beats } = self.deletion;
        let stages: Vec<Value> = self
            .randomisation
            .stages
            .iter()
            .map(|stage| {
                json!({ "down_to": stage.down_to, "rank_correlation": stage.rank_correlation, "ssim": stage.similarity })
            })
            .collect();
        json!({
            "deletion": {
                "removed": removed, "score": score, "without_top": without_top, "without_random": without_random,
                "beats": beats,
            },
            "randomisation": stages,
            "completeness": self.completeness.map(|complete| {
                json!({ "sum": complete.sum, "difference": complete.difference, "residual": complete.residual })
            }),
        })
    }
}

/// Whether the numbers of a map add up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Completeness {
    /// Their sum.
    pub sum: f64,
    /// The score's distance from that of the baseline, which it should be.
    pub difference: f64,
    /// `|sum - difference| / |difference|`.
    pub residual: f64,
}

/// The map with weights shuffled from the output towards the input, each within its own tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Randomisation {
    /// Stages; in the last one all weights are shuffled.
    pub stages: Vec<Randomised>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Randomised {
    /// The weight down to which all are shuffled: `conv1/weight`.
    pub down_to: String,
    /// Spearman's correlation of the two maps, with their signs: 1 for the same order, about 0 for unrelated ones. (Their sizes alone
    /// would be alike wherever a map is 0 because the input is.)
    pub rank_correlation: f64,
    /// Structural similarity (SSIM) of the two maps, each scaled to a largest size of 1.
    pub similarity: f64,
}

impl Randomisation {
    /// The rank correlation once all weights are shuffled; NaN of a model without weights.
    pub fn last(&self) -> f64 {
        self.stages.last().map_or(f64::NAN, |stage| stage.rank_correlation)
    }
}

/// The score with places covered by the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Deletion {
    /// The share of places that were covered.
    pub removed: f64,
    /// The score of the whole input.
    pub score: f64,
    /// The score without the places at the top of the map.
    pub without_top: f64,
    /// The score without as many places at random: the mean.
    pub without_random: f64,
    /// The share of the random removals that make the score fall less far.
    pub beats: f64,
}

impl Deletion {
    /// How far the score falls.
    pub fn fall(&self) -> f64 {
        self.score - self.without_top
    }

    /// How far it falls at random.
    pub fn random_fall(&self) -> f64 {
        self.score - self.without_random
    }
}

/// Checks a map of `x` that was made with the same `options`.
///
/// The weights of `net` are shuffled meanwhile and then put back, bit for bit: nothing else may use its scope at the same time.
///
/// # Errors
/// As for [`attribute`].
pub fn certify(net: &Net, x: &Array, map: &Attribution, options: &Options) -> Result<Certificates> {
    Ok(Certificates {
        completeness: completeness(net, x, map, options)?,
        randomisation: randomisation(net, x, map, options)?,
        deletion: deletion(net, x, map, options)?,
    })
}

fn completeness(net: &Net, x: &Array, map: &Attribution, options: &Options) -> Result<Option<Completeness>> {
    if !matches!(map.method, Method::Integrated | Method::GradientInput) {
        return Ok(None);
    }
    let empty = Array::of(*x.shape(), baseline(x, options)?);
    let difference = map.score - one(net, &empty, map.class)?;
    let sum: f64 = map.map.to_f64().iter().sum();
    let residual = (sum - difference).abs() / difference.abs().max(f64::MIN_POSITIVE);
    Ok(Some(Completeness { sum, difference, residual }))
}

fn randomisation(net: &Net, x: &Array, map: &Attribution, options: &Options) -> Result<Randomisation> {
    // A layer was declared before those behind it.
    let is_weight = |var: &Var| var.shape().rank() > 1 && var.dtype() == DType::F32;
    let weights: Vec<Var> = net.scope.parameters().into_iter().filter(is_weight).rev().collect();
    let kept = Kept::of(&weights);
    let stages = options.stages.clamp(1, weights.len().max(1));
    let key = RandomKey::new(options.seed).stream("shuffled weights");
    let (height, width) = Frame::of(x)?.height_width();
    let before = map.places.to_f64();
    let (mut done, mut found) = (0, Vec::new());
    for stage in 0..stages.min(weights.len()) {
        let end = weights.len() * (stage + 1) / stages;
        weights[done..end].iter().try_for_each(|var| var.set(shuffled(&var.value(), key.stream(var.name()))))?;
        done = end;
        let after = attribute(net, x, map.class, map.method, options)?.places.to_f64();
        found.push(Randomised {
            down_to: weights[end - 1].name().to_owned(),
            rank_correlation: rank_correlation(&before, &after),
            similarity: similarity(&before, &after, height, width),
        });
    }
    drop(kept);
    Ok(Randomisation { stages: found })
}

/// The same numbers in a random order.
fn shuffled(value: &Array, key: RandomKey) -> Array {
    let values = floats(value);
    let order = key.permutation(values.len());
    Array::of(*value.shape(), order.into_iter().map(|at| values[at]).collect())
}

/// Values of variables, to be given back whatever happens meanwhile.
struct Kept(Vec<(Var, Arc<Array>)>);

impl Kept {
    fn of(vars: &[Var]) -> Kept {
        Kept(vars.iter().map(|var| (var.clone(), var.value())).collect())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (var, value) in &self.0 {
            // The value is of the variable's own shape and dtype, so that it cannot be refused.
            let _ = var.set((**value).clone());
        }
    }
}

fn deletion(net: &Net, x: &Array, map: &Attribution, options: &Options) -> Result<Deletion> {
    let (frame, from) = (Frame::of(x)?, baseline(x, options)?);
    let places = frame.places();
    let count = ((options.removed * places as f64).round() as usize).clamp(1, places.max(1));
    // Equal values in an order of chance: those of the top rows are not the ones that matter.
    let mut order = RandomKey::new(options.seed).stream("ties").permutation(places);
    let values = map.values();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let key = RandomKey::new(options.seed).stream("random removals");
    let mut rows = without(x, &from, &order[..count], places);
    for removal in 0..options.removals.max(1) {
        let order = key.step(removal as u32).permutation(places);
        rows.extend(without(x, &from, &order[..count], places));
    }
    let scores = scores(net, x, rows, map.class, options.batch)?;
    let (without_top, random) = (scores[0], &scores[1..]);
    Ok(Deletion {
        removed: count as f64 / places as f64,
        score: map.score,
        without_top,
        without_random: random.iter().sum::<f64>() / random.len() as f64,
        beats: random.iter().filter(|&&score| score > without_top).count() as f64 / random.len() as f64,
    })
}

/// The input with the baseline at `removed` places, in all channels.
fn without(x: &Array, from: &[f32], removed: &[usize], places: usize) -> Vec<f32> {
    let mut values = floats(x).to_vec();
    for start in (0..values.len()).step_by(places.max(1)) {
        removed.iter().for_each(|place| values[start + place] = from[start + place]);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpu::Cpu;
    use nn::{Flatten, Relu, Scope, Sequential, linear};
    use tensor::Shape;

    fn state(scope: &Scope) -> Vec<Arc<Array>> {
        scope.parameters().iter().map(Var::value).collect()
    }

    #[test]
    fn shuffled_weights_are_put_back_even_after_an_error() {
        let at = Scope::root(5);
        let model =
            Sequential::new().then(Flatten).then(linear(&at / "fc1", 16, 8)).then(Relu).then(linear(&at / "fc2", 8, 3));
        let cpu = Cpu::new(1).unwrap();
        let net = Net { cpu: &cpu, model: &model, scope: &at };
        let x = Array::of(Shape::new(&[1, 1, 4, 4]).unwrap(), (0..16).map(|i| i as f32 / 8.0 - 1.0).collect());
        let before = state(&at);
        let map = attribute(&net, &x, 1, Method::Gradient, &Options::default()).unwrap();
        let checks = certify(&net, &x, &map, &Options::default()).unwrap();
        assert_eq!(checks.randomisation.stages.len(), 2);
        assert_eq!(checks.randomisation.stages[1].down_to, "fc1/weight");
        assert_eq!(state(&at), before);
        // A map that cannot be made again is an error, and the weights are those of before all the same.
        let bad = Options { steps: 0, ..Options::default() };
        let other = Attribution { method: Method::Integrated, ..map };
        assert!(randomisation(&net, &x, &other, &bad).is_err());
        assert_eq!(state(&at), before);
    }
}
