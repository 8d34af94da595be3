//! Narrow images: vectors run along the channels of the target, and each factor is a place of the canvas. No lane falls between
//! rows; the sums, position by position, are turned when they are done.

use crate::gemm::{Factors, Kernel, Lines, NR_MAX, Rows};
use crate::simd::Simd;

/// Positions whose sums are turned together: with 16 channels, a quarter of the first-level cache.
const TOGETHER: usize = 128;

/// Whether this is the faster way, where vectors along positions would take `other` eighths of a vector for each step. (To look each
/// factor up, and to turn the sums, costs a fifth.)
pub(super) fn suits(positions: usize, rows: usize, kernel: &Kernel, other: usize) -> bool {
    let turned = positions * rows.next_multiple_of(kernel.nr) / kernel.width * 8;
    turned / 5 * 6 < other
}

/// One sample and group, vectors running along the channels of the target: for each of its positions, where it begins, and for
/// each step, how far from there. The weights are packed panels of as many channels as a tile has columns.
pub(super) fn tiles(
    simd: Simd,
    all_rows: usize,
    weights: &[f32],
    drawn: &[f32],
    (starts, shifts): (&[usize], &[usize]),
    target: &mut [f32],
) {
    let kernel = Kernel::of(simd);
    let (k, nr, positions) = (shifts.len(), kernel.nr, starts.len());
    let last = |places: &[usize]| places.iter().max().copied().unwrap_or(0);
    assert!(last(starts) + last(shifts) < drawn.len());
    assert!(weights.len() >= all_rows.next_multiple_of(nr) * k);
    let mut sums = [0.0f32; TOGETHER * NR_MAX];
    for (panel, row) in (0..all_rows).step_by(nr).enumerate() {
        let rows = nr.min(all_rows - row);
        for (number, group) in starts.chunks(TOGETHER).enumerate() {
            // Even heights: a low tile would wait for its own sums.
            let tiles = group.len().div_ceil(kernel.mr);
            for tile in 0..tiles {
                let (from, end) = (tile * group.len() / tiles, (tile + 1) * group.len() / tiles);
                // SAFETY: every factor is in the canvas and the panel in the weights by the assertions above; the sums have a
                // row of `nr` for each position of the group.
                unsafe {
                    let a = Factors::scattered(drawn.as_ptr(), &group[from..end], shifts);
                    let b = Rows::even(weights.as_ptr().add(panel * nr * k), nr);
                    kernel.tile((end - from, nr, k), a, b, (sums.as_mut_ptr().add(from * nr), nr), false);
                }
            }
            let lines = Lines { data: &sums, stride: nr, lanes: group.len(), steps: rows };
            lines.spread(simd, positions, &mut target[row * positions + number * TOGETHER..]);
        }
    }
}
