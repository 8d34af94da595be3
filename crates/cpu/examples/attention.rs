//! Times attention, forward and with its gradient, over lengths of context: batch x heads of width 64.
//!
//! `cargo run --release -p glassbox-cpu --example attention -- [THREADS] [full]`: causal unless `full`.

use std::time::Duration;

use glassbox_cpu::Cpu;
use tensor::{AttentionOptions, DType, RandomKey, Tensor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let threads = args.first().map_or(Ok(1), |threads| threads.parse())?;
    let causal = !args.iter().any(|arg| arg == "full");
    let cpu = Cpu::new(threads)?;
    for (batch, heads, tokens) in [(4, 6, 64), (2, 6, 128), (1, 6, 256), (1, 3, 512), (1, 2, 1024), (1, 1, 2048)] {
        let all = Tensor::normal([batch, tokens, 3, heads, 64], RandomKey::new(1), DType::F32);
        let all = cpu.run(&[&all], &[])?.remove(0);
        let graph = || {
            let all = Tensor::from_array(all.clone());
            let part = |which| all.select(2, which).transpose(1, 2);
            let y = part(0).attention(&part(1), &part(2), &AttentionOptions { causal, ..Default::default() });
            let gradient = (&y * &y).sum(..).grad([&all]).remove(0);
            (y.transpose(1, 2).flatten(0), gradient)
        };
        let (mut forward, mut backward) = (Duration::MAX, Duration::MAX);
        for _ in 0..100 {
            let (y, gradient) = graph();
            let plan = cpu.plan(&[&y, &gradient], &[])?;
            let (_, times) = cpu.run_timed(&[&y, &gradient], &[])?;
            for (step, time) in plan.steps.iter().zip(times) {
                match step.ops.first() {
                    Some(("attention_pass", _)) => forward = forward.min(time),
                    Some(("attention_grad", _)) => backward = backward.min(time),
                    _ => {}
                }
            }
        }
        // Products of queries and keys that are needed: half of them, if causal.
        let product = (2 * batch * heads * tokens * tokens * 64) as f64 / if causal { 2.0 } else { 1.0 };
        let rate = |products: f64, time: Duration| products * product / time.as_secs_f64() / 1e9;
        println!(
            "{threads} threads, {batch} x {heads} x {tokens}: forward {:6.2} ms ({:5.1} GFLOP/s), gradient {:6.2} ms ({:5.1} GFLOP/s)",
            forward.as_secs_f64() * 1e3,
            rate(2.0, forward),
            backward.as_secs_f64() * 1e3,
            rate(5.0, backward)
        );
    }
    Ok(())
}
