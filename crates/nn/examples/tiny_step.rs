//! Times whole training steps of a net so small that everything but arithmetic shows: 4-128-128-2, batch 64, Adam.
//!
//! `cargo run --release -p glassbox-nn --example tiny_step -- [THREADS]`

use std::time::{Duration, Instant};

use cpu::Cpu;
use glassbox_nn::{Adam, Group, Layer, Optimiser, Pass, Relu, Scope, Sequential, linear};
use tensor::{DType, RandomKey, Tensor, Var};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |threads| threads.parse())?;
    let cpu = Cpu::new(threads)?;
    let at = Scope::root(0);
    let net = Sequential::new()
        .then(linear(&at / "fc1", 4, 128))
        .then(Relu)
        .then(linear(&at / "fc2", 128, 128))
        .then(Relu)
        .then(linear(&at / "fc3", 128, 2));
    let key = RandomKey::new(1);
    let x = cpu.run(&[&Tensor::normal([64, 4], key, DType::F32)], &[])?.remove(0);
    let labels: Vec<i64> = (0..64).map(|i| key.below(i, 2) as i64).collect();
    let optimizer = Adam::new(vec![Group::new(at.parameters())]);
    let parameters = optimizer.parameters();

    let (mut whole, mut tracing): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    let mut nodes = 0;
    for step in 0..4200u32 {
        let start = Instant::now();
        let (x, labels) = (Tensor::from_array(x.clone()), Tensor::from_vec(labels.clone(), [64]));
        let first = x.id();
        let loss = net.forward(&x, &Pass::train(key.step(step))).cross_entropy(&labels);
        let leaves: Vec<Tensor> = parameters.iter().map(Var::tensor).collect();
        let updates = optimizer.step(&loss.grad(&leaves), 1e-3);
        nodes = Tensor::scalar(0f32).id() - first;
        let planned = tensor::plan::trace(&[&loss], &updates)?.hash;
        std::hint::black_box(planned);
        let traced = start.elapsed();
        let again = Instant::now();
        cpu.run(&[&loss], &updates)?;
        drop((loss, updates));
        whole.push(traced + again.elapsed());
        tracing.push(traced);
    }
    let median = |times: &mut [Duration]| {
        let times = &mut times[200..];
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (whole, tracing) = (median(&mut whole), median(&mut tracing));
    println!(
        "{threads} threads: {whole:.1} us a step, of which graph, gradient, optimiser, trace and hash of {nodes} nodes {tracing:.1} us ({:.3} us a node)",
        tracing / nodes as f64
    );
    Ok(())
}
