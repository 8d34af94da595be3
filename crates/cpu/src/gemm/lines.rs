//! Operands that lie along k in memory: transposed in registers, to be multiplied at once or to be stored.

use super::kernel::DOT_VECTORS;
use super::lane::{Lane, WIDTH_MAX};
use super::tile::{Factors, LINE};
use crate::simd::prefetch;
use std::sync::atomic::{Ordering, compiler_fence};

/// Vectors along k in memory: element p of line i lies at `start + i * stride + p`.
#[derive(Clone, Copy)]
pub(crate) struct RawLines {
    pub start: *const f32,
    pub stride: usize,
    pub count: usize,
    /// Whether as many lines follow, which are wanted next.
    pub more: bool,
    /// Whether lines up to a whole vector may be written in the place of those that are not there.
    pub whole: bool,
}

impl RawLines {
    /// Where lines `first`, `first + 1`, ... begin; in the place of lines that are not there, the last one.
    #[inline(always)]
    fn starts(&self, first: usize) -> [*const f32; WIDTH_MAX] {
        let mut starts = [self.start; WIDTH_MAX];
        for (i, start) in starts.iter_mut().enumerate() {
            *start = self.start.wrapping_add((first + i).min(self.count - 1) * self.stride);
        }
        starts
    }
}

/// [`Kernel::dots`] for `M` rows.
#[inline(always)]
pub(super) unsafe fn dots<L: Lane, const M: usize>(
    k: usize,
    a: Factors,
    b: RawLines,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what the contract of `DotsFn` grants.
    unsafe {
        let mut sums = [[L::zero(); M]; DOT_VECTORS];
        if accumulate {
            for (v, sums) in sums.iter_mut().enumerate() {
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum = L::load(c.add(row * c_stride + v * L::WIDTH));
                }
            }
        }
        let whole = k / L::WIDTH * L::WIDTH;
        let starts = [b.starts(0), b.starts(L::WIDTH)];
        // Written out, so that the sums stay in registers.
        let [first, second] = &mut sums;
        for p in (0..whole).step_by(L::WIDTH) {
            steps::<L, M>(first, L::transposed(&starts[0], p).as_ref(), a, p);
            steps::<L, M>(second, L::transposed(&starts[1], p).as_ref(), a, p);
        }
        if whole < k {
            for (sums, starts) in sums.iter_mut().zip(&starts) {
                let rest = rest::<L>(starts, whole, k - whole);
                let block = L::transposed(&rest.each_ref().map(|line| line.as_ptr()), 0);
                steps::<L, M>(sums, &block.as_ref()[..k - whole], a, whole);
            }
        }
        for (v, sums) in sums.iter().enumerate() {
            for (row, sum) in sums.iter().enumerate() {
                L::store(c.add(row * c_stride + v * L::WIDTH), *sum);
            }
        }
    }
}

/// Multiplies and adds the columns of a block, which are the steps of k from `p` on.
#[inline(always)]
unsafe fn steps<L: Lane, const M: usize>(sums: &mut [L::Vector; M], block: &[L::Vector], a: Factors, p: usize) {
    // Keeps the compiler from loading all of the factors before the block: there are no registers for both.
    compiler_fence(Ordering::SeqCst);
    let mut from = a.start.wrapping_add(p * a.step);
    for &column in block {
        for (row, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the factor is readable by the contract of the caller.
            *sum = unsafe { L::fma(L::splat(from.wrapping_add(row * a.row_stride)), column, *sum) };
        }
        from = from.wrapping_add(a.step);
    }
}

/// `WIDTH` lines of which only `steps` floats, from `at` on, are readable: a copy, zeros after it.
#[inline(always)]
unsafe fn rest<L: Lane>(lines: &[*const f32; WIDTH_MAX], at: usize, steps: usize) -> [[f32; WIDTH_MAX]; WIDTH_MAX] {
    let mut copy = [[0.0; WIDTH_MAX]; WIDTH_MAX];
    for (copy, line) in copy.iter_mut().zip(lines).take(L::WIDTH) {
        for (p, copy) in copy[..steps].iter_mut().enumerate() {
            // SAFETY: these floats are readable by the contract of the caller.
            *copy = unsafe { *line.add(at + p) };
        }
    }
    copy
}

/// [`Kernel::transpose`].
#[inline(always)]
pub(super) unsafe fn transpose<L: Lane>(lines: RawLines, steps: usize, to: *mut f32, to_stride: usize) {
    // SAFETY: the caller's promise; absent lines and steps are not stored.
    unsafe {
        let whole = steps / L::WIDTH * L::WIDTH;
        for first in (0..lines.count).step_by(L::WIDTH) {
            let here = if lines.whole { L::WIDTH } else { L::WIDTH.min(lines.count - first) };
            let starts = lines.starts(first);
            for p in (0..whole).step_by(L::WIDTH) {
                if lines.more && p.is_multiple_of(LINE) {
                    // Short runs of lines far apart are nothing that hardware foresees.
                    for start in &starts[..here] {
                        prefetch(start.wrapping_add(lines.count * lines.stride + p).cast());
                    }
                }
                let block = L::transposed(&starts, p);
                store::<L>(block.as_ref(), here, to.add(p * to_stride + first), to_stride);
            }
            if whole > 0 && whole < steps {
                // The last block overlaps the one before.
                let block = L::transposed(&starts, steps - L::WIDTH);
                let to = to.add(whole * to_stride + first);
                store::<L>(&block.as_ref()[L::WIDTH - (steps - whole)..], here, to, to_stride);
            } else if whole < steps {
                let rest = rest::<L>(&starts, whole, steps - whole);
                let block = L::transposed(&rest.each_ref().map(|line| line.as_ptr()), 0);
                let to = to.add(whole * to_stride + first);
                store::<L>(&block.as_ref()[..steps - whole], here, to, to_stride);
            }
        }
    }
}

/// [`Kernel::transpose_shifted`].
#[inline(always)]
pub(super) unsafe fn transpose_shifted<L: Lane>(
    from: *const f32,
    shifts: &[usize],
    steps: usize,
    to: *mut f32,
    to_stride: usize,
) {
    for (number, shifts) in shifts.chunks(L::WIDTH).enumerate() {
        // In the place of lanes that are not there, the first one.
        let mut starts = [from.wrapping_add(shifts[0]); WIDTH_MAX];
        for (start, shift) in starts.iter_mut().zip(shifts) {
            *start = from.wrapping_add(*shift);
        }
        for p in (0..steps).step_by(L::WIDTH) {
            // SAFETY: the caller's promise; absent lanes and steps are not stored.
            unsafe {
                let block = L::transposed(&starts, p);
                let here = L::WIDTH.min(steps - p);
                let to = to.add(p * to_stride + number * L::WIDTH);
                store::<L>(&block.as_ref()[..here], shifts.len(), to, to_stride);
            }
        }
    }
}

/// Stores the first `count` lanes of vectors, `stride` apart.
#[inline(always)]
unsafe fn store<L: Lane>(vectors: &[L::Vector], count: usize, to: *mut f32, stride: usize) {
    // SAFETY: the places are valid by the contract of the caller. A whole vector is stored where what it writes too much
    // is written again by those after it.
    unsafe {
        let mask = L::mask(count);
        for (j, &vector) in vectors.iter().enumerate() {
            let after = (vectors.len() - 1 - j) * stride + count;
            let whole = count == L::WIDTH || (count == stride && after >= L::WIDTH);
            let to = to.add(j * stride);
            if whole { L::store(to, vector) } else { L::store_part(to, mask, vector) }
        }
    }
}
