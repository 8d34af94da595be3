//! Times matrix products: `cargo run --release -p glassbox-cpu --example gemm`.
//!
//! Prints GFLOP/s (2 m n k over the best of several times) for each instruction set and 1 and 2 threads.

use glassbox_cpu::gemm::{Accumulate, Matrix, MatrixMut, Size, gemm};
use glassbox_cpu::machine::Machine;
use glassbox_cpu::pool::Pool;
use glassbox_cpu::simd::{Level, Simd};
use std::time::Instant;

fn main() {
    for simd in Simd::available().into_iter().rev().filter(|simd| simd.level() != Level::Scalar) {
        println!("{}: peak of one core {:.0} GFLOP/s", simd.level(), peak(simd));
        for (m, n, k) in [
            (1024, 1024, 1024),
            (2048, 2048, 2048),
            (256, 256, 256),
            (128, 128, 128),
            (64, 128, 128),
            (64, 64, 64),
            (16, 16, 16),
            (64, 10, 84),
            (64, 120, 400),
            (10, 4096, 1024),
            (4096, 10, 1024),
            (1, 4096, 4096),
            (4096, 1, 4096),
        ] {
            print!("  {m:>5} x {n:>5} x {k:>5}:");
            for transposed in [false, true] {
                for threads in [1, 2] {
                    let machine = Machine { pool: Pool::new(threads), simd };
                    let (a, b) = (vec![0.5; m * k], vec![0.25; k * n]);
                    let mut c = vec![0.0; m * n];
                    let size = Size { batch: 1, m, n, k };
                    let a = Matrix::row_major(&a, k);
                    let b = if transposed { Matrix::row_major(&b, k).transposed() } else { Matrix::row_major(&b, n) };
                    let seconds = best(|| {
                        let c = MatrixMut::row_major(&mut c, n);
                        if let Err(error) = gemm(&machine, size, a, b, Accumulate::Zero, c, None) {
                            println!("{error}");
                        }
                    });
                    let rate = 2.0 * (m * n * k) as f64 / seconds / 1e9;
                    print!("  {}{threads}: {rate:6.1} ({:8.1} us)", if transposed { "T" } else { "N" }, seconds * 1e6);
                }
            }
            println!();
        }
    }
}

/// The fastest of many runs, in seconds, over about a third of a second.
fn best(mut task: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut fastest = f64::INFINITY;
    while start.elapsed().as_secs_f64() < 0.3 {
        let from = Instant::now();
        task();
        fastest = fastest.min(from.elapsed().as_secs_f64());
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
