//! Where the time of a step goes: each kernel of its plan.

use std::time::{Duration, Instant};

use cpu::Cpu;
use tensor::Result;

use crate::case::Work;

/// One kernel of the plan.
pub struct KernelTime {
    /// Its number in the plan.
    pub index: usize,
    /// Its median time.
    pub time: Duration,
    /// Multiply-adds times 2 of its product, if it is one.
    pub flops: usize,
    /// Bytes of its operands, each counted once.
    pub bytes: usize,
    /// The layer of its main op, and its ops.
    pub what: String,
}

/// Runs steps for about `seconds`: the kernels in the order of the plan, and the medians of a whole step and of what of it
/// is outside of kernels.
///
/// # Errors
/// Those of a step.
pub fn profile(cpu: &Cpu, work: &mut Work, seconds: f64) -> Result<(Vec<KernelTime>, Duration, Duration)> {
    let traced = (work.trace)();
    let outputs: Vec<_> = traced.outputs.iter().collect();
    let plan = cpu.plan(&outputs, &traced.updates)?;
    drop(outputs);
    drop(traced);
    let mut times = vec![Vec::new(); plan.steps.len()];
    let (mut whole, mut outside) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds || whole.len() < 3 {
        let from = Instant::now();
        let traced = (work.trace)();
        let (values, kernels) = cpu.run_timed(&traced.outputs.iter().collect::<Vec<_>>(), &traced.updates)?;
        drop((values, traced));
        let elapsed = from.elapsed();
        whole.push(elapsed);
        outside.push(elapsed.saturating_sub(kernels.iter().sum()));
        times.iter_mut().zip(kernels).for_each(|(all, time)| all.push(time));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let kernels = plan.steps.iter().zip(&mut times).enumerate().map(|(index, (step, times))| {
        let mut names: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
        names.dedup();
        let layer = step.ops.first().and_then(|(_, origin)| origin.layer);
        let layer = layer.map_or(String::new(), |layer| format!("{layer}: "));
        let what = format!("{layer}{}", names.join(" "));
        KernelTime { index, time: median(times), flops: plan.product_flops(step), bytes: plan.bytes(step), what }
    });
    let kernels = kernels.collect();
    Ok((kernels, median(&mut whole), median(&mut outside)))
}
