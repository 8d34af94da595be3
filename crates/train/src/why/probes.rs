//! What the layers do all the time, seen at a few steps that are cheap to make again.

use super::find::layer_of;
use super::layers::Layers;
use super::{Finding, Kind};
use crate::checkpoint;
use crate::error::Result;
use crate::replay::Run;

/// Steps that are looked at.
const PROBES: usize = 3;
/// Without a checkpoint, a step up to here is computed from the seed.
const MOST_FROM_SEED: u64 = 2000;

/// Dead units, and gradients that are zero or vanish, at all of a few steps; or at `step`. `ends` is the first step whose numbers
/// are none.
pub(super) fn layers(
    run: &mut Run,
    step: Option<u64>,
    ends: Option<u64>,
    replayed: &mut Vec<u64>,
) -> Result<Vec<Finding>> {
    let steps = match step {
        Some(step) => vec![step],
        None => probes(run, ends)?,
    };
    let steps: Vec<u64> = steps.into_iter().filter(|&step| ends.is_none_or(|ends| step < ends)).collect();
    let mut seen = Vec::new();
    for &step in &steps {
        seen.push(Layers::of(&run.at(step)?)?);
        replayed.push(step);
    }
    let Some((last, others)) = seen.split_last() else { return Ok(Vec::new()) };
    let mut findings = dead(&steps, last, others);
    if findings.is_empty() {
        findings.extend(zero(&steps, last, others));
        findings.extend(vanished(&steps, last, others));
    }
    Ok(findings)
}

/// The steps behind checkpoints: one step each to compute.
fn probes(run: &Run, ends: Option<u64>) -> Result<Vec<u64>> {
    let last = ends.map_or(run.last_step()?, |ends| ends - 1);
    let begun = run.dir().record().branched_at().unwrap_or(0);
    let saved = checkpoint::list(&run.dir().checkpoints())?;
    let behind: Vec<u64> =
        saved.iter().map(|(step, _)| step + 1).filter(|step| (begun + 1..=last).contains(step)).collect();
    if behind.is_empty() {
        return Ok(if (begun + 1..=begun + MOST_FROM_SEED).contains(&last) { vec![last] } else { Vec::new() });
    }
    let every = behind.len().div_ceil(PROBES);
    Ok(behind.iter().rev().step_by(every).rev().copied().collect())
}

fn finding(kind: Kind, steps: &[u64], because: String) -> Finding {
    let (step, also) = (steps[steps.len() - 1], &steps[..steps.len() - 1]);
    Finding { also: also.to_vec(), ..Finding::new(kind, step, because) }
}

fn dead(steps: &[u64], last: &Layers, others: &[Layers]) -> Vec<Finding> {
    let always = |value: &str| others.iter().all(|layers| layers.dead.iter().any(|dead| dead.value == value));
    let zero: Vec<String> = last.zero().iter().map(|slope| slope.name.clone()).collect();
    let found = last.dead.iter().filter(|dead| always(&dead.value)).map(|dead| {
        let because = format!(
            "{} of the {} units of {} are 0 for every row of the batch: no gradient comes through them",
            dead.dead, dead.units, dead.layer
        );
        let mut found = finding(Kind::DeadUnits, steps, because);
        found.layer = Some(dead.layer.clone());
        found.with("units that are 0", dead.dead as f64, None);
        found.with("units", dead.units as f64, None);
        found.with("largest number that the ReLU was fed", dead.most, None);
        if !zero.is_empty() {
            found.with(format!("weights with a gradient of 0 ({})", zero.join(", ")), zero.len() as f64, None);
        }
        found.look.push(format!("--step {} {}", found.step, dead.value));
        found.look.push(format!("--step {} {} --explain", found.step, dead.value));
        found
    });
    found.collect()
}

fn zero(steps: &[u64], last: &Layers, others: &[Layers]) -> Option<Finding> {
    let always = |name: &str| others.iter().all(|layers| layers.zero().iter().any(|slope| slope.name == name));
    let names: Vec<String> = last.zero().iter().map(|slope| slope.name.clone()).filter(|name| always(name)).collect();
    let first = names.first()?;
    let because = format!("the gradient of {} is 0 in every number: it is not trained", names.join(", "));
    let mut found = finding(Kind::ZeroGradient, steps, because);
    found.layer = Some(layer_of(first));
    found.with("weights with a gradient of 0", names.len() as f64, None);
    found.look.push(format!("--step {} {first} --grad --explain", found.step));
    Some(found)
}

fn vanished(steps: &[u64], last: &Layers, others: &[Layers]) -> Option<Finding> {
    let always = |name: &str| others.iter().all(|layers| layers.vanished().0.iter().any(|slope| slope.name == name));
    let (slopes, most) = last.vanished();
    let smallest = slopes.into_iter().filter(|slope| always(&slope.name)).min_by(|a, b| a.size.total_cmp(&b.size))?;
    let because = format!(
        "the gradient of {} is {:.0e} times that of the layer with the largest: what is behind it hardly learns",
        smallest.name,
        smallest.size / most
    );
    let mut found = finding(Kind::VanishingGradient, steps, because);
    found.layer = Some(layer_of(&smallest.name));
    found.with(format!("size of {}.grad", smallest.name), smallest.size, Some(most));
    found.look.push(format!("--step {} {} --grad", found.step, smallest.name));
    Some(found)
}
