//! Times whole training steps (tracing, look-up, forward, backward, Adam), and each kernel of one.
//!
//! `cargo run --release -p glassbox-cpu --example steps -- [NET] [THREADS]`: NET is mlp or lenet (both if left out).

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::Net;
use glassbox_cpu::Cpu;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let threads = args.get(1).map_or(Ok(0), |threads| threads.parse())?;
    let cpu = Cpu::new(threads)?;
    let chosen = |name: &str| args.first().is_none_or(|arg| arg == name);
    if chosen("mlp") {
        time(&cpu, "4-128-128-2, batch 64", Net::perceptron, 4000)?;
    }
    if chosen("lenet") {
        time(&cpu, "LeNet-5, batch 64", || Net::lenet(64), 400)?;
    }
    Ok(())
}

/// A net that has learned its batch by heart has gradients too small for normal numbers, which are slow and are not what
/// training is like: after this many steps a new one begins.
const FRESH: usize = 100;

fn time(cpu: &Cpu, name: &str, make: fn() -> Net, steps: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut whole: Vec<Duration> = Vec::new();
    let mut tracing: Vec<Duration> = Vec::new();
    let mut net = make();
    for step in 0..steps + steps / 10 {
        if step % FRESH == 0 {
            net = make();
        }
        let start = Instant::now();
        let (loss, updates) = net.trace();
        let traced = start.elapsed();
        cpu.run(&[&loss], &updates)?;
        drop((loss, updates));
        whole.push(start.elapsed());
        tracing.push(traced);
    }
    let median = |times: &mut Vec<Duration>| {
        times.drain(..times.len() / 11);
        times.sort();
        (times[times.len() / 2], times[0])
    };
    let (middle, best) = median(&mut whole);
    let (traced, _) = median(&mut tracing);
    println!("{name}: {middle:.1?} a step (best {best:.1?}), {traced:.1?} of it building the graph");

    // Each kernel: the least over many steps.
    let mut kernels: Vec<Vec<Duration>> = Vec::new();
    net = make();
    let (loss, updates) = net.trace();
    let plan = cpu.plan(&[&loss], &updates)?;
    drop((loss, updates));
    for step in 0..steps / 4 {
        if step % FRESH == 0 {
            net = make();
        }
        let (loss, updates) = net.trace();
        let (_, times) = cpu.run_timed(&[&loss], &updates)?;
        kernels.resize(times.len(), Vec::new());
        kernels.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
    }
    println!("{plan}");
    let mut sum = Duration::ZERO;
    for (index, (times, step)) in kernels.iter_mut().zip(&plan.steps).enumerate() {
        let (_, middle) = median(times);
        sum += middle;
        let ops: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
        println!("{index:4} {middle:9.1?}  {}", ops.join(" "));
    }
    println!("     {sum:9.1?}  in kernels\n");
    Ok(())
}
