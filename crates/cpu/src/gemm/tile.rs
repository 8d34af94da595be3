//! One tile of C held in registers while k runs.

use super::lane::Lane;
use crate::simd::prefetch;
use std::sync::atomic::{Ordering, compiler_fence};

/// C[rows, cols] (+)= A[rows, k] B[k, cols] for a tile shape fixed in the function.
///
/// A and B: see [`Factors`] and [`Rows`]. C: row-major with `c_stride`. Of the last vector of each row of B and C, the
/// first `last` floats are read and written (in a kernel for full tiles, all).
pub(super) type TileFn =
    unsafe fn(k: usize, a: Factors, b: Rows, c: *mut f32, c_stride: usize, last: usize, accumulate: bool);

/// Where element (row, p) of A lies: at `start + row * row_stride + p * step`; or, if `rows` is not null, at
/// `start + rows[row] + steps[p]`.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    pub(super) start: *const f32,
    pub(super) row_stride: usize,
    pub(super) step: usize,
    pub(super) rows: *const usize,
    pub(super) steps: *const usize,
}

impl Factors {
    /// Rows `row_stride` apart, steps `step` apart. A packed panel has rows 1 apart, which is fastest.
    #[inline(always)]
    pub fn strided(start: *const f32, row_stride: usize, step: usize) -> Factors {
        Factors { start, row_stride, step, rows: std::ptr::null(), steps: std::ptr::null() }
    }

    /// Elements at `start + rows[row] + steps[p]`.
    #[inline(always)]
    pub fn scattered(start: *const f32, rows: &[usize], steps: &[usize]) -> Factors {
        Factors { start, row_stride: 0, step: 0, rows: rows.as_ptr(), steps: steps.as_ptr() }
    }
}

/// Where row p of B begins: at `start + p * step`, or, if `shifts` is not null, at `start + shifts[p]`. Not both A and B
/// are scattered.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    start: *const f32,
    step: usize,
    pub(super) shifts: *const usize,
    next: *const f32,
    ahead: *const f32,
    ahead_step: usize,
}

impl Rows {
    /// Rows `step` apart.
    #[inline(always)]
    pub fn even(start: *const f32, step: usize) -> Rows {
        Rows { start, step, shifts: std::ptr::null(), next: std::ptr::null(), ahead: std::ptr::null(), ahead_step: 0 }
    }

    /// Rows that begin at `start + shifts[p]`.
    #[inline(always)]
    pub fn shifted(start: *const f32, shifts: &[usize]) -> Rows {
        Rows { start, step: 0, shifts: shifts.as_ptr(), next: std::ptr::null(), ahead: std::ptr::null(), ahead_step: 0 }
    }

    /// The tile of C that comes next begins at `next`: its lines are asked for while the sums run. Unless told, it is the one below.
    #[inline(always)]
    pub fn next_tile(self, next: *const f32) -> Rows {
        Rows { next, ..self }
    }

    /// What is packed next: while the sums run, the second-level cache is asked for two lines at `ahead`, two at `step` floats further, and
    /// so on, each [`BEAT`] steps of k.
    #[inline(always)]
    pub fn ahead(self, ahead: *const f32, step: usize) -> Rows {
        Rows { ahead, ahead_step: step, ..self }
    }
}

/// Steps of k from one request for memory to the next: many at a time would stand in the way of the loads.
pub(super) const BEAT: usize = 16;
/// Steps of k that a panel of B is asked for ahead: 2 to 3 % at 1024^3 on Zen 3, where panels come from the second-level cache.
const AHEAD: usize = 32;
/// Floats in a cache line.
pub(super) const LINE: usize = 16;

/// How a kernel finds its operands.
pub(super) const EVEN: u8 = 0;
pub(super) const STRIDED_A: u8 = 1;
pub(super) const SHIFTED_B: u8 = 2;
pub(super) const SCATTERED_A: u8 = 3;

/// The kernel: `M` x `V` vector accumulators, one step of k an outer product; `PART` says that the last vector of a row
/// is partial.
#[inline(always)]
pub(super) unsafe fn tile<L: Lane, const M: usize, const V: usize, const KIND: u8, const PART: bool>(
    k: usize,
    a: Factors,
    b: Rows,
    c: *mut f32,
    c_stride: usize,
    last: usize,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what the contract of `TileFn` grants.
    unsafe {
        let mask = L::mask(last);
        let load = |from: *const f32, v: usize| {
            let from = from.add(v * L::WIDTH);
            if PART && v + 1 == V { L::load_part(from, mask) } else { L::load(from) }
        };
        let mut sums = [[L::zero(); V]; M];
        if accumulate {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load(c.add(row * c_stride), v);
                }
            }
        }
        let (mut row_of_b, mut column_of_a) = (b.start, a.start);
        // Rows of A are reached from every third of them: those between are one or two strides away.
        let (stride, three) = (a.row_stride, 3 * a.row_stride);
        let mut next = if b.next.is_null() { c.wrapping_add(M * c_stride).cast_const() } else { b.next };
        let mut ahead = b.ahead;
        let mut p = 0;
        while p < k {
            if p < M * BEAT {
                L::prefetch(next);
                L::prefetch(next.wrapping_add(LINE));
                next = next.wrapping_add(c_stride);
            }
            if KIND == EVEN && !ahead.is_null() {
                prefetch(ahead.cast());
                prefetch(ahead.wrapping_add(LINE).cast());
                ahead = ahead.wrapping_add(b.ahead_step);
            }
            let end = k.min(p + BEAT);
            while p < end {
                if KIND == SHIFTED_B {
                    row_of_b = b.start.add(*b.shifts.add(p));
                }
                if KIND == SCATTERED_A {
                    column_of_a = a.start.add(*a.steps.add(p));
                }
                let mut columns = [L::zero(); V];
                for (v, column) in columns.iter_mut().enumerate() {
                    *column = load(row_of_b, v);
                }
                if KIND == EVEN {
                    for line in (0..V * L::WIDTH).step_by(LINE) {
                        L::prefetch(row_of_b.wrapping_add(AHEAD * b.step + line));
                    }
                }
                let mut third = column_of_a;
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = L::splat(match KIND {
                        SCATTERED_A => column_of_a.add(*a.rows.add(row)),
                        STRIDED_A => {
                            if row > 0 && row.is_multiple_of(3) {
                                third = third.wrapping_add(three);
                            }
                            third.wrapping_add(row % 3 * stride)
                        }
                        _ => column_of_a.add(row),
                    });
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = L::fma(factor, column, *sum);
                    }
                    if KIND == STRIDED_A || KIND == SCATTERED_A {
                        // Keeps the compiler from loading all of the factors first: there are no registers for that.
                        compiler_fence(Ordering::SeqCst);
                    }
                }
                if KIND != SHIFTED_B {
                    row_of_b = row_of_b.wrapping_add(b.step);
                }
                if KIND != SCATTERED_A {
                    column_of_a = column_of_a.wrapping_add(a.step);
                }
                p += 1;
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = c.add(row * c_stride + v * L::WIDTH);
                if PART && v + 1 == V { L::store_part(to, mask, *sum) } else { L::store(to, *sum) }
            }
        }
    }
}
