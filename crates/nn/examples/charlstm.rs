//! Times whole training steps of a character-level language model: vocabulary 65, embedding 512, two recurrent layers of 512,
//! a linear head, 32 sequences of 64 characters, cross-entropy, Adam.
//!
//! `cargo run --release -p glassbox-nn --example charlstm -- [THREADS] [STEPS] [lstm|gru|rnn] [HIDDEN] [kernels]`

use std::time::Instant;

use cpu::Cpu;
use glassbox_nn::{
    Adam, Group, Layer, Optimiser, Pass, Recurrent, Scope, Sequential, embedding, gru, linear, lstm, rnn,
};
use tensor::{RandomKey, Tensor, Var};

const VOCABULARY: usize = 65;
const BATCH: usize = 32;
const LENGTH: usize = 64;

/// Embedding, two recurrent layers, head: `[N, T] -> [N, T, vocabulary]`.
fn net(at: &Scope, cell: fn(Scope, usize, usize) -> Recurrent, hidden: usize) -> Sequential {
    Sequential::new()
        .then(embedding(at / "e", VOCABULARY, hidden)) // [N, T, hidden]
        .then(cell(at / "l", hidden, hidden).layers(2).batch_first(true)) // [N, T, hidden]
        .then(linear(at / "o", hidden, VOCABULARY)) // logits
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (threads, steps, hidden) = (number(0, 1)?, number(1, 20)?, number(3, 512)?);
    let cell = match arguments.get(2).map(String::as_str) {
        Some("gru") => gru,
        Some("rnn") => rnn,
        _ => lstm,
    };
    let cpu = Cpu::new(threads)?;
    let at = Scope::root(0);
    let net = net(&at, cell, hidden);
    let key = RandomKey::new(1);
    let symbols = |stream: &str| -> Vec<i64> {
        let key = key.stream(stream);
        (0..(BATCH * LENGTH) as u64).map(|i| key.below(i, VOCABULARY as u64) as i64).collect()
    };
    let (x, y) = (symbols("x"), symbols("y"));
    let optimizer = Adam::new(vec![Group::new(at.parameters())]);
    let parameters = optimizer.parameters();

    let kernels = arguments.get(4).is_some_and(|text| text == "kernels");
    let (mut times, mut best) = (Vec::new(), Vec::new());
    let mut last = 0.0;
    for step in 0..steps as u32 + 3 {
        let start = Instant::now();
        let x = Tensor::from_vec(x.clone(), [BATCH, LENGTH]);
        let y = Tensor::from_vec(y.clone(), [BATCH * LENGTH]);
        let logits = net.forward(&x, &Pass::train(key.step(step)));
        let loss = logits.reshape([BATCH * LENGTH, VOCABULARY]).cross_entropy(&y);
        let leaves: Vec<Tensor> = parameters.iter().map(Var::tensor).collect();
        let updates = optimizer.step(&loss.grad(&leaves), 1e-3);
        if !kernels {
            last = cpu.run(&[&loss], &updates)?[0].get_f64(0);
            times.push(start.elapsed().as_secs_f64() * 1e3);
            continue;
        }
        let plan = cpu.plan(&[&loss], &updates)?;
        let (values, spent) = cpu.run_timed(&[&loss], &updates)?;
        last = values[0].get_f64(0);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        best.resize(spent.len(), f64::INFINITY);
        best.iter_mut().zip(spent).for_each(|(best, time)| *best = best.min(time.as_secs_f64() * 1e3));
        if step as usize == steps + 2 {
            println!("{plan}");
            for (number, (step, ms)) in plan.steps.iter().zip(&best).enumerate().filter(|(_, (_, ms))| **ms > 0.2) {
                let gflops = plan.flops(step) as f64 / ms / 1e6;
                println!("{number:>4} {:<20} {ms:>8.2} ms {gflops:>7.1} GFLOP/s", step.ops[0].0);
            }
            println!("all kernels: {:.1} ms", best.iter().sum::<f64>());
        }
    }
    let times = &mut times[3..];
    times.sort_by(f64::total_cmp);
    println!(
        "{threads} threads: median {:.1} ms a step, best {:.1} ms; loss {last:.4}, {} parameters",
        times[times.len() / 2],
        times[0],
        parameters.iter().map(|p| p.shape().count()).sum::<usize>(),
    );
    Ok(())
}
