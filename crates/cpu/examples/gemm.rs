//! Times matrix products: `cargo run --release -p glassbox-cpu --example gemm -- [THREADS [MxNxK ...]]`.
//!
//! For each shape and each layout of the operands (N: row-major, T: transposed in memory): GFLOP/s (2 m n k over the best
//! of many times) and the share of the peak of fused multiply-adds, measured beforehand. `GLASSBOX_SIMD` picks the
//! instruction set.

use glassbox_cpu::gemm::{Accumulate, Matrix, MatrixMut, Size, gemm};
use glassbox_cpu::machine::Machine;
use glassbox_cpu::simd::Simd;
use std::error::Error;
use std::time::Instant;

/// Shapes (m, n, k) that occur in layers, forward and in both gradients, and the usual squares.
const SHAPES: [(usize, usize, usize); 30] = [
    // A net 4-128-128-2, batch 64.
    (64, 128, 4),
    (64, 128, 128),
    (64, 2, 128),
    (128, 128, 64),
    (2, 128, 64),
    (128, 4, 64),
    (64, 128, 2),
    (4, 64, 128),
    // One sample.
    (1, 128, 128),
    (1, 512, 784),
    (1, 4096, 4096),
    // 784-512-512-10, batch 128; an autoencoder's ends.
    (128, 512, 784),
    (128, 10, 512),
    (512, 784, 128),
    (128, 784, 400),
    // LeNet-5's dense layers.
    (64, 120, 400),
    (64, 84, 120),
    (64, 10, 84),
    // Convolutions as products.
    (64, 4096, 576),
    (64, 65536, 576),
    (512, 49, 2048),
    // A recurrent layer and a small transformer.
    (64, 1024, 256),
    (2048, 1152, 384),
    (2048, 1536, 384),
    (2048, 65, 384),
    (384, 1536, 2048),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(1), |threads| threads.parse())?;
    let machine = Machine::new(threads)?;
    let given = arguments.map(|shape| shape_of(&shape)).collect::<Result<Vec<_>, _>>()?;
    let peak = peak(machine.simd);
    println!("{}, {threads} threads; peak of one core {peak:.0} GFLOP/s", machine.simd.level());
    for (m, n, k) in if given.is_empty() { SHAPES.to_vec() } else { given } {
        print!("  {m:>5} x {n:>5} x {k:>5}:");
        let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n]);
        for layout in ["NN", "NT", "TN"] {
            let a = if layout == "TN" { Matrix::row_major(&a, m).transposed() } else { Matrix::row_major(&a, k) };
            let b = if layout == "NT" { Matrix::row_major(&b, k).transposed() } else { Matrix::row_major(&b, n) };
            let size = Size { batch: 1, m, n, k };
            let mut outcome = Ok(());
            let seconds = best(|| {
                outcome = gemm(&machine, size, a, b, Accumulate::Zero, MatrixMut::row_major(&mut c, n), None);
            });
            outcome?;
            let rate = 2.0 * (m * n * k) as f64 / seconds / 1e9;
            print!("  {layout} {rate:6.1} {:3.0} % {:9.2} us", rate / peak * 100.0, seconds * 1e6);
        }
        println!();
    }
    Ok(())
}

/// "64x128x256" as (m, n, k).
fn shape_of(text: &str) -> Result<(usize, usize, usize), Box<dyn Error>> {
    let sizes = text.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let &[m, n, k] = sizes.as_slice() else { return Err(format!("{text}: a shape is MxNxK").into()) };
    Ok((m, n, k))
}

/// The fastest of many runs, in seconds, over about a fifth of a second; short ones are timed together.
fn best(mut task: impl FnMut()) -> f64 {
    let start = Instant::now();
    task();
    let together = (20e-6 / start.elapsed().as_secs_f64()).clamp(1.0, 1e3) as u32;
    let mut fastest = f64::INFINITY;
    while start.elapsed().as_secs_f64() < 0.2 {
        let from = Instant::now();
        (0..together).for_each(|_| task());
        fastest = fastest.min(from.elapsed().as_secs_f64() / f64::from(together));
    }
    fastest
}

/// Fused multiply-adds on registers alone.
fn peak(simd: Simd) -> f64 {
    const SUMS: usize = 192;
    let rounds = 100_000;
    let mut sums = [0.0f32; SUMS];
    let seconds = best(|| {
        simd.run(
            #[inline(always)]
            || {
                let mut local = sums;
                for _ in 0..rounds {
                    for sum in &mut local {
                        *sum = sum.mul_add(0.999, 0.001);
                    }
                }
                sums = std::hint::black_box(local);
            },
        );
    });
    2.0 * (SUMS * rounds) as f64 / seconds / 1e9
}
