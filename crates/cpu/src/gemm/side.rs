//! Many products of few steps and few rows, side by side.

use super::kernel::{SIDE_B, SIDE_COLUMNS, SIDE_STEPS};
use super::lane::Lane;

/// [`Kernel::side_by_side`] for `M` rows, `J` products at a time.
#[inline(always)]
pub(super) unsafe fn side<L: Lane, const M: usize, const J: usize>(
    (count, k): (usize, usize),
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what `side_by_side` has checked.
    unsafe {
        for first in (0..count).step_by(J) {
            let a = a.add(first * SIDE_STEPS * M);
            for lane in (0..SIDE_COLUMNS).step_by(L::WIDTH) {
                let (b, c) = (b.add(first * SIDE_B + lane), c.add(first * M * SIDE_COLUMNS + lane));
                let mut sums = [[L::zero(); M]; J];
                if accumulate {
                    for (j, sums) in sums.iter_mut().enumerate() {
                        for (row, sum) in sums.iter_mut().enumerate() {
                            *sum = L::load(c.add((j * M + row) * SIDE_COLUMNS));
                        }
                    }
                }
                let (mut factors, mut columns) = (a, b);
                for _ in 0..k {
                    for (j, sums) in sums.iter_mut().enumerate() {
                        let column = L::load(columns.add(j * SIDE_B));
                        for (row, sum) in sums.iter_mut().enumerate() {
                            *sum = L::fma(L::splat(factors.add(j * SIDE_STEPS * M + row)), column, *sum);
                        }
                    }
                    factors = factors.add(M);
                    columns = columns.add(SIDE_COLUMNS);
                }
                for (j, sums) in sums.iter().enumerate() {
                    for (row, sum) in sums.iter().enumerate() {
                        L::store(c.add((j * M + row) * SIDE_COLUMNS), *sum);
                    }
                }
            }
        }
    }
}
