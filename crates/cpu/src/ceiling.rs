//! The two ceilings of a machine: how many fused multiply-adds a second its cores can do, and how many bytes a second its
//! memory can move. No kernel is faster than the lower one that applies (the roofline model, Williams et al. 2009).

use std::hint::black_box;
use std::time::Instant;

use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::simd::{Level, Simd};

/// Multiply-adds that run side by side hide each other's latency: 4 cycles times 2 units, and some more for luck.
const CHAINS: usize = 12;
/// Multiply-adds of each chain in one unit of work: about a tenth of a millisecond.
const ROUNDS: usize = 50_000;
/// Units of work of one timing, for each thread.
const UNITS: usize = 20;
/// Floats of a unit of the memory measurements: 256 KiB of each array.
const PIECE: usize = 1 << 16;

/// Bytes a second of the kinds of traffic, counted once for each byte that the program names (a plain store also reads
/// the line that it writes; that traffic is not counted).
#[derive(Debug, Clone, Copy, Default)]
pub struct Bandwidth {
    /// `sum += a[i]`.
    pub read: f64,
    /// `b[i] = a[i]`.
    pub copy: f64,
    /// `c[i] = a[i] + 3 b[i]` (STREAM's triad, McCalpin 1995).
    pub triad: f64,
}

impl Bandwidth {
    /// The highest of them.
    pub fn best(&self) -> f64 {
        self.read.max(self.copy).max(self.triad)
    }
}

/// Fused multiply-adds of f32 a second, times 2, on registers alone, on all threads: the best of several timings over
/// about `seconds`.
pub fn flops(machine: &Machine, seconds: f64) -> f64 {
    let units = machine.pool.threads() * UNITS;
    let fastest = best(seconds, || {
        machine.pool.run(units, |_| match machine.simd.level() {
            Level::Scalar => multiply_add::<{ CHAINS }>(machine.simd),
            Level::Neon => multiply_add::<{ 4 * CHAINS }>(machine.simd),
            Level::Avx2 => multiply_add::<{ 8 * CHAINS }>(machine.simd),
            Level::Avx512 => multiply_add::<{ 16 * CHAINS }>(machine.simd),
        });
    });
    let lanes = match machine.simd.level() {
        Level::Scalar => 1,
        Level::Neon => 4,
        Level::Avx2 => 8,
        Level::Avx512 => 16,
    };
    (2 * units * ROUNDS * CHAINS * lanes) as f64 / fastest
}

/// Bytes a second to and from three arrays of `bytes` each, which should exceed all caches, on all threads: the best of
/// several timings over about `seconds` for each kind of traffic.
pub fn bandwidth(machine: &Machine, bytes: usize, seconds: f64) -> Bandwidth {
    let count = (bytes / size_of::<f32>()).next_multiple_of(PIECE);
    let [mut a, mut b, mut c] = [1.0f32, 2.0, 0.0].map(|value| filled(machine, count, value));
    let rate = |arrays: usize, fastest: f64| (arrays * count * size_of::<f32>()) as f64 / fastest;
    let mut sums = vec![0.0f32; count / PIECE];
    let read = best(seconds, || {
        machine.pool.chunks(&mut sums, 1, |piece, sum| sum[0] = total(machine.simd, &a[piece * PIECE..][..PIECE]));
        black_box(&sums);
    });
    let copy = best(seconds, || {
        machine.pool.chunks(&mut b, PIECE, |piece, to| copied(machine.simd, &a[piece * PIECE..][..PIECE], to));
        black_box(&b);
    });
    let triad = best(seconds, || {
        machine.pool.chunks(&mut c, PIECE, |piece, to| {
            let from = piece * PIECE..(piece + 1) * PIECE;
            combined(machine.simd, &a[from.clone()], &b[from], to);
        });
        black_box(&c);
    });
    black_box(&mut a);
    Bandwidth { read: rate(1, read), copy: rate(2, copy), triad: rate(3, triad) }
}

/// An array that is in memory already: its pages are touched by the threads that will use them.
fn filled(machine: &Machine, count: usize, value: f32) -> Vec<f32> {
    let mut array = vec![0.0f32; count];
    let all = Disjoint::new(&mut array);
    machine.pool.run(count / PIECE, |piece| {
        // SAFETY: the pieces of different units do not overlap.
        unsafe { all.slice(piece * PIECE, PIECE) }.fill(value);
    });
    array
}

/// The least seconds of `task` in about `seconds`.
fn best(seconds: f64, mut task: impl FnMut()) -> f64 {
    task();
    let start = Instant::now();
    let mut fastest = f64::INFINITY;
    loop {
        let from = Instant::now();
        task();
        fastest = fastest.min(from.elapsed().as_secs_f64());
        if start.elapsed().as_secs_f64() >= seconds {
            return fastest;
        }
    }
}

fn multiply_add<const WIDTH: usize>(simd: Simd) {
    let mut sums = black_box([1.0f32; WIDTH]);
    simd.run(
        #[inline(always)]
        || {
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = sum.mul_add(0.999, 0.001);
                }
            }
        },
    );
    black_box(sums);
}

fn total(simd: Simd, from: &[f32]) -> f32 {
    const LANES: usize = 64;
    let mut sums = [0.0f32; LANES];
    simd.run(
        #[inline(always)]
        || {
            for group in from.as_chunks::<LANES>().0 {
                for lane in 0..LANES {
                    sums[lane] += group[lane];
                }
            }
        },
    );
    sums.iter().sum()
}

fn copied(simd: Simd, from: &[f32], to: &mut [f32]) {
    simd.run(
        #[inline(always)]
        || {
            for (y, x) in to.iter_mut().zip(from) {
                *y = -*x;
            }
        },
    );
}

fn combined(simd: Simd, a: &[f32], b: &[f32], to: &mut [f32]) {
    simd.run(
        #[inline(always)]
        || {
            for ((y, a), b) in to.iter_mut().zip(a).zip(b) {
                *y = b.mul_add(3.0, *a);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[test]
    fn both_ceilings_are_positive_numbers_at_every_level() {
        for simd in Simd::available() {
            let machine = Machine { pool: Pool::new(2), simd };
            let rate = flops(&machine, 0.0);
            assert!(rate > 0.0 && rate.is_finite(), "{}: {rate}", simd.level());
            let bandwidth = bandwidth(&machine, 1 << 18, 0.0);
            assert!(bandwidth.best() > 0.0 && bandwidth.best().is_finite(), "{bandwidth:?}");
        }
    }
}
