//! Lengths of the weights and of what a step added to them: one pass over the weights and a copy of them, between two steps.
//!
//! As outputs of the step's plan they would keep the weights from being changed in place, which costs far more. The sums fold
//! in the order of every sum ([`tensor::order`]), so they are the bits that a replay finds in the plan.

use cpu::Cpu;
use cpu::simd::Simd;
use data::{Loader, Position};
use tensor::Var;
use tensor::order::{BLOCK, LANES, fold, fold_lanes};

use crate::error::Result;
use crate::job::Job;
use crate::step::plan_of;

/// While the lengths take in one weight, a core makes so many operations of the products of a step: by the 18 % of a step of
/// `mlp`, which makes 256 for each, on two cores of an EPYC.
const OPERATIONS: f64 = 46.0;
/// Share of a step that the lengths may take to be taken at each, ...
const SHARE: f64 = 0.018;
/// ... and that they take otherwise, on average: they then need the weights before the step too.
const RARE_SHARE: f64 = 0.01;

/// What is needed to take the lengths of a step.
pub(crate) struct Norms {
    parameters: Vec<Var>,
    /// The parameters as they were before the next step, where that is one whose lengths are due.
    before: Vec<Vec<f32>>,
    every: u64,
    simd: Simd,
}

impl Norms {
    /// For the steps of `job` from `next` (from 1) on, as often as its settings say; `None` if never.
    ///
    /// # Errors
    /// If the first step cannot be planned.
    pub fn of(cpu: &Cpu, job: &mut Job, loader: &Loader, next: u64) -> Result<Option<Norms>> {
        let every = match job.settings.get_int("ledger.norms_every")? {
            -1 => usual(cpu, job, loader)?,
            every => every as u64,
        };
        if !job.settings.get_flag("ledger.on")? || every == 0 {
            return Ok(None);
        }
        let parameters = job.optimizer.parameters();
        let before = parameters.iter().map(|var| vec![0.0; var.shape().count()]).collect();
        let mut norms = Norms { parameters, before, every, simd: cpu.machine().simd };
        norms.remember(next);
        Ok(Some(norms))
    }

    /// The lengths of the weights after `step` (from 1), which was just made, and of what it added to them; `None` if they are
    /// not due. Remembers the weights for the next step.
    pub fn take(&mut self, step: u64) -> Option<[f32; 2]> {
        if step.is_multiple_of(self.every) {
            return self.lengths();
        }
        self.remember(step + 1);
        None
    }

    /// Remembers the weights, if the lengths of step `next` are due.
    fn remember(&mut self, next: u64) {
        if next.is_multiple_of(self.every) {
            for (var, before) in self.parameters.iter().zip(&mut self.before) {
                let state = var.state();
                let now = state.value.as_slice().unwrap_or_default();
                before.iter_mut().zip(now).for_each(|(before, now)| *before = *now);
            }
        }
    }

    /// The lengths of the weights and of how they differ from those that were remembered; remembers them in their place.
    fn lengths(&mut self) -> Option<[f32; 2]> {
        let mut sums: Option<[f32; 2]> = None;
        for (var, before) in self.parameters.iter().zip(&mut self.before) {
            let state = var.state();
            let squares = squares(self.simd, state.value.as_slice().unwrap_or_default(), before);
            sums = Some(sums.map_or(squares, |sums| [sums[0] + squares[0], sums[1] + squares[1]]));
        }
        sums.map(|sums| sums.map(f32::sqrt))
    }
}

/// How often lengths are taken if nobody says: at each step, unless that costs too much of it. A function of the step's graph
/// alone, so that the ledger of a run is the same bytes wherever it is trained.
fn usual(cpu: &Cpu, job: &mut Job, loader: &Loader) -> Result<u64> {
    let batch = loader.batch_at(Position::default())?;
    let plan = plan_of(cpu, job, &batch)?;
    let products: usize = plan.steps.iter().map(|step| plan.product_flops(step)).sum();
    let weights: usize = job.optimizer.parameters().iter().map(|var| var.shape().count()).sum();
    let cost = OPERATIONS * weights as f64 / products.max(1) as f64;
    Ok(if cost <= SHARE { 1 } else { ((2.0 * cost / RARE_SHARE).ceil() as u64).min(100) })
}

/// The sums of the squares of `now`, and of how it differs from `before`, which becomes `now`.
fn squares(simd: Simd, now: &[f32], before: &mut [f32]) -> [f32; 2] {
    let mut partial: [Vec<f32>; 2] = [Vec::new(), Vec::new()];
    for (now, before) in now.chunks(BLOCK).zip(before.chunks_mut(BLOCK)) {
        let sums = simd.run(
            #[inline(always)]
            || block(now, before),
        );
        partial.iter_mut().zip(sums).for_each(|(partial, sum)| partial.push(sum));
    }
    partial.map(|partial| match partial[..] {
        [sum] => sum,
        _ => fold(partial.len(), &|at| partial[at], 0.0, |a, b| a + b),
    })
}

/// [`squares`] of at most a block.
#[inline(always)]
fn block(now: &[f32], before: &mut [f32]) -> [f32; 2] {
    let (mut weight, mut change) = ([0.0; LANES], [0.0; LANES]);
    let ((whole, rest), (whole_before, rest_before)) = (now.as_chunks::<LANES>(), before.as_chunks::<LANES>());
    for (now, before) in whole.iter().zip(whole_before) {
        for lane in 0..LANES {
            let difference = now[lane] - before[lane];
            weight[lane] += now[lane] * now[lane];
            change[lane] += difference * difference;
        }
    }
    for (lane, (now, before)) in rest.iter().zip(rest_before).enumerate() {
        let difference = now - before;
        weight[lane] += now * now;
        change[lane] += difference * difference;
    }
    before.copy_from_slice(now);
    [fold_lanes(weight, |a, b| a + b), fold_lanes(change, |a, b| a + b)]
}

#[cfg(test)]
mod tests {
    use nn::clip::{Norm, total_norm};
    use tensor::{Array, RandomKey, Shape, Tensor};

    use super::*;
    use crate::evaluate::number;

    fn noise(name: &str, count: usize) -> Vec<f32> {
        let places = RandomKey::new(3).stream(name).permutation(count);
        places.into_iter().map(|place| (place as f32 / count as f32 - 0.5) * 1.7).collect()
    }

    fn array(values: &[f32]) -> Array {
        Array::of(Shape::new(&[values.len()]).unwrap(), values.to_vec())
    }

    #[test]
    fn the_lengths_are_the_bits_of_the_plan_at_any_vector_width() {
        let sizes = [1, 15, 16, 17, 4096, 4097, 3 * 4096, 70_001, 0];
        let cpu = Cpu::new(2).unwrap();
        for simd in Simd::available() {
            let parameters: Vec<Var> =
                sizes.iter().map(|&n| Var::new(n.to_string(), array(&noise("old", n)))).collect();
            let before = parameters.iter().map(|var| vec![f32::NAN; var.shape().count()]).collect();
            let mut norms = Norms { parameters, before, every: 1, simd };
            norms.remember(1);
            for (var, n) in norms.parameters.iter().zip(sizes) {
                var.set(array(&noise("new", n))).unwrap();
            }
            let tensor = |values: Vec<f32>| Tensor::from_vec(values.clone(), [values.len()]);
            let new: Vec<Tensor> = sizes.iter().map(|&n| tensor(noise("new", n))).collect();
            let change: Vec<Tensor> = sizes.iter().zip(&new).map(|(&n, new)| new - tensor(noise("old", n))).collect();
            let wanted = [&new, &change].map(|all| total_norm(all, Norm::P(2.0)));
            let wanted = cpu.run(&[&wanted[0], &wanted[1]], &[]).unwrap();
            let taken = norms.take(1).unwrap();
            assert_eq!(taken, [number(&wanted[0]), number(&wanted[1])], "{simd:?}");
            // Nothing changed since.
            assert_eq!(norms.take(2), Some([taken[0], 0.0]));
        }
    }

    #[test]
    fn lengths_that_come_rarely_are_those_of_one_step() {
        let var = Var::new("w", array(&[0.0]));
        let mut norms = Norms { parameters: vec![var.clone()], before: vec![vec![0.0]], every: 3, simd: Simd::SCALAR };
        norms.remember(1);
        for step in 1..=9 {
            var.set(array(&[(step * step) as f32])).unwrap();
            let wanted = [(step * step) as f32, (2 * step - 1) as f32];
            assert_eq!(norms.take(step), (step % 3 == 0).then_some(wanted), "step {step}");
        }
    }
}
