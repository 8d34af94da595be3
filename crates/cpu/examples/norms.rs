//! Times normalisations, their gradients and other fused reductions on one thread, kernel by kernel: the best of many runs.
//!
//! `cargo run --release -p glassbox-cpu --example norms -- [PART OF A NAME]`

use std::time::{Duration, Instant};

use glassbox_cpu::Cpu;
use tensor::{DType, RandomKey, Tensor};

type Graph = Box<dyn Fn() -> Vec<Tensor>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let cpu = Cpu::new(1)?;
    for (name, shapes, build) in cases() {
        if !name.contains(&wanted) {
            continue;
        }
        for shape in shapes {
            let points: usize = shape.iter().product();
            let graph = build(&cpu, &shape);
            let outputs = graph();
            let plan = cpu.plan(&outputs.iter().collect::<Vec<_>>(), &[])?;
            drop(outputs);
            let mut best = vec![Duration::MAX; plan.steps.len()];
            let (start, mut rounds) = (Instant::now(), 0);
            while rounds < 5 || start.elapsed().as_secs_f64() < 0.5 {
                let outputs = graph();
                let (_, times) = cpu.run_timed(&outputs.iter().collect::<Vec<_>>(), &[])?;
                best.iter_mut().zip(times).for_each(|(best, time)| *best = time.min(*best));
                rounds += 1;
            }
            println!("{name} {shape:?}");
            for (step, best) in plan.steps.iter().zip(best) {
                let mut names: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
                names.dedup();
                if names.first() == Some(&"cumsum") {
                    continue;
                }
                let (us, bytes) = (best.as_nanos() as f64 / 1e3, plan.bytes(step) as f64);
                let (each, rate) = (us / points as f64 * 1e3, bytes / us / 1e3);
                println!("  {us:9.1} us {each:6.2} ns a point {rate:6.1} GB/s  {}", names.join(" "));
            }
        }
    }
    Ok(())
}

fn random(cpu: &Cpu, shape: &[usize], seed: u64) -> Tensor {
    let x = Tensor::normal(shape, RandomKey::new(seed), DType::F32);
    Tensor::from_array(cpu.run(&[&x], &[]).expect("normal numbers").remove(0))
}

type Build = fn(&Cpu, &[usize]) -> Graph;

fn cases() -> Vec<(&'static str, Vec<Vec<usize>>, Build)> {
    let rows: &[&[usize]] = &[&[16, 1024], &[4096, 1024], &[2048, 384]];
    let pictures: &[&[usize]] = &[
        &[4, 2, 32, 32],
        &[64, 64, 32, 32],
        &[8, 256, 56, 56],
        &[8, 512, 28, 28],
        &[8, 2048, 7, 7],
        &[16, 384, 6, 6],
        &[16, 960, 3, 3],
    ];
    let shapes = |all: &[&[usize]]| all.iter().map(|shape| shape.to_vec()).collect::<Vec<_>>();
    vec![
        ("layer norm", shapes(rows), |cpu, shape| normed(cpu, shape, |x| x.layer_norm(1, 1e-5), false, false)),
        ("layer norm and gradient", shapes(rows), |cpu, shape| {
            normed(cpu, shape, |x| x.layer_norm(1, 1e-5), true, false)
        }),
        ("layer norm, gradient apart", shapes(rows), |cpu, shape| {
            normed(cpu, shape, |x| x.layer_norm(1, 1e-5), true, true)
        }),
        ("batch norm and gradient", shapes(pictures), |cpu, shape| normed(cpu, shape, batch_norm, true, false)),
        ("batch norm, gradient apart", shapes(pictures), |cpu, shape| normed(cpu, shape, batch_norm, true, true)),
        ("softmax", shapes(rows), |cpu, shape| {
            let x = random(cpu, shape, 1);
            Box::new(move || vec![x.softmax(-1)])
        }),
        ("cross-entropy", vec![vec![32, 1000], vec![512, 32000]], |cpu, shape| {
            let (x, classes) = (random(cpu, shape, 1), shape[1]);
            let labels = (0..shape[0] as i64).map(|row| row % classes as i64).collect();
            let labels = Tensor::from_vec::<i64>(labels, [shape[0]]);
            Box::new(move || {
                let loss = x.cross_entropy(&labels);
                let dx = loss.grad([&x]).remove(0);
                vec![loss, dx]
            })
        }),
        ("sum of columns", shapes(rows), |cpu, shape| {
            let x = random(cpu, shape, 1);
            Box::new(move || vec![x.sum(0)])
        }),
        ("sum of rows", shapes(rows), |cpu, shape| {
            let x = random(cpu, shape, 1);
            Box::new(move || vec![x.sum(1)])
        }),
    ]
}

fn batch_norm(x: &Tensor) -> Tensor {
    let [y, ..] = x.batch_norm(1e-5);
    y
}

/// With a scale and a shift; with gradients if wanted, and those in kernels `apart` from the forward pass.
fn normed(cpu: &Cpu, shape: &[usize], norm: fn(&Tensor) -> Tensor, gradient: bool, apart: bool) -> Graph {
    let (x, dy) = (random(cpu, shape, 1), random(cpu, shape, 2));
    let of_scale = if shape.len() == 2 { vec![shape[1]] } else { vec![1, shape[1], 1, 1] };
    let [scale, bias] = [3, 4].map(|seed| random(cpu, &of_scale, seed));
    Box::new(move || {
        let y = norm(&x) * &scale + &bias;
        if !gradient {
            return vec![y];
        }
        let behind = if apart { y.cumsum(-1) } else { y.clone() };
        let mut all = (behind * &dy).sum(..).grad([&x, &scale, &bias]);
        all.push(y);
        all
    })
}
