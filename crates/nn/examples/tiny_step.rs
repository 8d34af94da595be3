//! Times whole training steps of a net so small that everything but arithmetic shows: 4-128-128-2, batch 64, Adam.
//!
//! `cargo run --release -p glassbox-nn --example tiny_step -- [THREADS]`

use std::time::{Duration, Instant};

use cpu::Cpu;
use glassbox_nn::{Adam, Group, Layer, Optimiser, Pass, Relu, Scope, Sequential, linear};
use tensor::{DType, RandomKey, Tensor, Update, Var};

/// A net that has learned its batch by heart has gradients too small for normal numbers, which are slow and are not what
/// training is like: after this many steps a new one begins.
const FRESH: u32 = 100;
const STEPS: u32 = 4000;

struct Training {
    net: Sequential,
    optimizer: Adam,
    parameters: Vec<Var>,
}

impl Training {
    fn new(seed: u64) -> Training {
        let at = Scope::root(seed);
        let net = Sequential::new()
            .then(linear(&at / "fc1", 4, 128))
            .then(Relu)
            .then(linear(&at / "fc2", 128, 128))
            .then(Relu)
            .then(linear(&at / "fc3", 128, 2));
        let optimizer = Adam::new(vec![Group::new(at.parameters())]);
        let parameters = optimizer.parameters();
        Training { net, optimizer, parameters }
    }

    fn step(&self, x: &Tensor, labels: &Tensor, key: RandomKey) -> (Tensor, Vec<Update>) {
        let loss = self.net.forward(x, &Pass::train(key)).cross_entropy(labels);
        let leaves: Vec<Tensor> = self.parameters.iter().map(Var::tensor).collect();
        let updates = self.optimizer.step(&loss.grad(&leaves), 1e-3);
        (loss, updates)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |threads| threads.parse())?;
    let cpu = Cpu::new(threads)?;
    let key = RandomKey::new(1);
    let x = cpu.run(&[&Tensor::normal([64, 4], key, DType::F32)], &[])?.remove(0);
    let labels: Vec<i64> = (0..64).map(|i| key.below(i, 2) as i64).collect();
    let batch = || (Tensor::from_array(x.clone()), Tensor::from_vec(labels.clone(), [64]));

    let [mut whole, mut building, mut tracing] = [const { Vec::<Duration>::new() }; 3];
    let mut training = Training::new(0);
    let mut nodes = 0;
    for step in 0..STEPS {
        if step % FRESH == 0 {
            training = Training::new(u64::from(step));
        }
        let start = Instant::now();
        let (x, labels) = batch();
        let first = x.id();
        let (loss, updates) = training.step(&x, &labels, key.step(step));
        building.push(start.elapsed());
        nodes = Tensor::scalar(0f32).id() - first;
        cpu.run(&[&loss], &updates)?;
        drop((loss, updates));
        whole.push(start.elapsed());
    }
    for step in 0..STEPS / 4 {
        let (x, labels) = batch();
        let (loss, updates) = training.step(&x, &labels, key.step(step));
        let start = Instant::now();
        std::hint::black_box(tensor::plan::trace(&[&loss], &updates)?.hash);
        tracing.push(start.elapsed());
    }
    let median = |times: &mut [Duration]| {
        times.sort();
        (times[times.len() / 2].as_secs_f64() * 1e6, times[0].as_secs_f64() * 1e6)
    };
    let [(whole, best), (building, _), (tracing, _)] =
        [&mut whole, &mut building, &mut tracing].map(|times| median(times));
    println!(
        "{threads} threads: {whole:.1} us a step (best {best:.1}); graph, gradient and optimiser of {nodes} nodes {building:.1} us, trace and hash {tracing:.1} us: {:.3} us a node",
        (building + tracing) / nodes as f64
    );

    // Each kernel: its median over many steps.
    let mut kernels: Vec<Vec<Duration>> = Vec::new();
    let mut plan = None;
    for step in 0..STEPS / 4 {
        if step % FRESH == 0 {
            training = Training::new(u64::from(step));
        }
        let (x, labels) = batch();
        let (loss, updates) = training.step(&x, &labels, key.step(step));
        if plan.is_none() {
            plan = Some(cpu.plan(&[&loss], &updates)?);
        }
        let (_, times) = cpu.run_timed(&[&loss], &updates)?;
        kernels.resize(times.len(), Vec::new());
        kernels.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
    }
    let mut sum = 0.0;
    for (times, step) in kernels.iter_mut().zip(plan.iter().flat_map(|plan| &plan.steps)) {
        let (middle, best) = median(times);
        sum += middle;
        let ops: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
        println!("{middle:7.2} us (best {best:6.2})  {}", ops.join(" "));
    }
    println!("{sum:7.2} us in {} kernels", kernels.len());
    Ok(())
}
