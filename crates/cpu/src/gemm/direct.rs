//! Products that are not worth packing: small ones, whose operands are in the cache, and thin ones, which use each
//! element of the larger operand only a few times.
//!
//! A kernel takes one operand as *lanes* (vectors along them) and the other as *factors* (splat). Lanes are the columns of
//! B, or, where C has few columns, the rows of A; C is then written transposed.

use super::kernel::{DOT_ROWS, DOT_VECTORS, Kernel, MR_MAX, NR_MAX};
use super::lines::RawLines;
use super::pack::Plain;
use super::tile::{Factors, Rows};
use crate::machine::second_level;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Floats of a packed panel, at most: of the first-level cache, half with AVX2, and a little more than all with AVX-512, whose
/// tiles use each of them more often. 512 steps instead of 256 took 128 x 512 x 512 from 85 to 60 GFLOP/s on Zen 3.
const PANEL: [usize; 2] = [1 << 12, 1 << 14];
/// Steps of k at a time where the rows of lanes are read in place and come from beyond the cache: they are memory pages
/// apart, and no more than this many are read at a time.
const KC_IN_PLACE: usize = 32;
/// Steps of k that are a multiple of so many floats apart (512 bytes) share an eighth of the places of a first-level cache, or less, and
/// those of so many floats fill them: what is asked for ahead is gone before its turn comes, and each tile fetches everything anew.
const CROWDED: usize = 128;
const CROWDED_MOST: usize = 64 * CROWDED;
/// To copy them first is worth it for more tiles than this: 128 x 512 x 784 with AVX-512 on two threads, in place 196 GFLOP/s,
/// copied 285.
const CROWDED_TILES: usize = 4;
/// A step of k of one vector of lanes, transposed, costs as much as this many multiply-adds of a vector.
const TRANSPOSE: usize = 5;

/// Floats of all three matrices that the second-level cache holds beside one another.
pub(super) fn small_footprint() -> usize {
    second_level() / size_of::<f32>() / 4 * 3
}

/// Whether `k` steps, so many floats apart, crowd a few places of the first-level cache.
fn crowded(step: usize, k: usize) -> bool {
    step.is_multiple_of(CROWDED) && step * k > CROWDED_MOST
}

/// One rectangle of C, all of k, and the operands that it comes from.
pub(super) struct Direct<'a> {
    simd: Simd,
    kernel: &'static Kernel,
    lanes: Plain<'a>,
    factors: Plain<'a>,
    lane_range: Range<usize>,
    factor_range: Range<usize>,
    k: usize,
    in_cache: bool,
    c: *mut f32,
    /// From one factor (lane) of C to the next.
    c_factor_stride: usize,
    c_lane_stride: usize,
}

impl<'a> Direct<'a> {
    /// The rectangle `rows` x `columns` of C = A B, where this way of computing it is the better one.
    pub fn new(
        simd: Simd,
        (a, b): (Plain<'a>, Plain<'a>),
        (rows, columns): (Range<usize>, Range<usize>),
        k: usize,
        (c, c_row_stride): (*mut f32, usize),
    ) -> Option<Direct<'a>> {
        let kernel = Kernel::of(simd);
        let (m, n) = (rows.len(), columns.len());
        let small = m * n + (m + n) * k <= small_footprint();
        // In multiply-adds of a vector: for each step of k, and for C written transposed.
        let cost = |lanes: &Plain<'_>, lane_count: usize, factor_count: usize| {
            lane_count.div_ceil(kernel.width) * (factor_count + if lanes.lane_stride == 1 { 0 } else { TRANSPOSE }) * k
        };
        let turned = cost(&a, m, n) + 6 * m * n < cost(&b, n, m);
        let (lanes, factors, lane_range, factor_range, c_factor_stride, c_lane_stride) =
            if turned { (a, b, rows, columns, 1, c_row_stride) } else { (b, a, columns, rows, c_row_stride, 1) };
        let thin = factor_range.len() <= if lanes.lane_stride == 1 { kernel.mr } else { DOT_ROWS };
        // Few lanes, which stay in the cache, while the factors pass by row after row.
        let in_cache = small || lane_range.len() * k <= small_footprint() / 2;
        let few = lane_range.len() <= 2 * kernel.nr && in_cache && factors.step == 1;
        // Factors are read again for each panel of lanes.
        let fetched = crowded(factors.step, k) && lane_range.len() > CROWDED_TILES * kernel.nr;
        let worth = k > 0 && m * n > 0 && (small && !fetched || thin || few);
        worth.then_some(Direct {
            simd,
            kernel,
            lanes,
            factors,
            lane_range,
            factor_range,
            k,
            in_cache,
            c,
            c_factor_stride,
            c_lane_stride,
        })
    }

    /// Computes it.
    ///
    /// # Safety
    /// C is valid for the rectangle, and nobody else touches that.
    pub unsafe fn run(&self, accumulate: bool) {
        let reach = |plain: &Plain<'_>, lanes: &Range<usize>| {
            (lanes.end - 1) * plain.lane_stride + (self.k - 1) * plain.step < plain.data.len()
        };
        assert!(reach(&self.lanes, &self.lane_range) && reach(&self.factors, &self.factor_range));
        // Factors that several panels of lanes use, while they are in the cache.
        let together = (small_footprint() / 2 / self.k / self.kernel.mr * self.kernel.mr).max(self.kernel.mr);
        for first in self.factor_range.clone().step_by(together) {
            let factor_range = first..self.factor_range.end.min(first + together);
            let tiles = factor_range.len().div_ceil(self.kernel.mr);
            let part = Direct { factor_range, lane_range: self.lane_range.clone(), ..*self };
            // SAFETY: the operands are in bounds by the assertion, C by the caller's promise.
            unsafe {
                match (self.lanes.lane_stride, self.lanes.step) {
                    (1, step) if !(tiles > CROWDED_TILES && crowded(step, self.k)) => part.in_place(accumulate),
                    (_, 1) if part.factor_range.len() <= DOT_ROWS => part.dots(accumulate),
                    _ => part.packed(accumulate),
                }
            }
        }
    }

    /// Lanes contiguous in memory.
    unsafe fn in_place(&self, accumulate: bool) {
        let most = if self.in_cache { self.k } else { KC_IN_PLACE };
        let together = self.kernel.columns(self.factor_range.len());
        for k0 in (0..self.k).step_by(most) {
            let k1 = self.k.min(k0 + most);
            for first in self.lane_range.clone().step_by(together) {
                let lanes = first..self.lane_range.end.min(first + together);
                // SAFETY: `run` saw that all of the lanes are in bounds.
                unsafe {
                    let rows = self.lanes.data.as_ptr().add(k0 * self.lanes.step + first);
                    self.tiles(lanes, k0..k1, Rows::even(rows, self.lanes.step), accumulate || k0 > 0);
                }
            }
        }
    }

    /// Lanes along k, scattered or crowded: copied first, a panel at a time.
    unsafe fn packed(&self, accumulate: bool) {
        let nr = self.kernel.nr;
        let depth = (PANEL[usize::from(self.kernel.width >= 16)] / nr).min(self.k);
        with_scratch(depth * nr, |panel| {
            for k0 in (0..self.k).step_by(depth) {
                let k1 = self.k.min(k0 + depth);
                for first in self.lane_range.clone().step_by(nr) {
                    let lanes = first..self.lane_range.end.min(first + nr);
                    let panel = &mut panel[..(k1 - k0) * nr];
                    self.lanes.pack(self.simd, k0..k1, lanes.clone(), nr, panel);
                    // SAFETY: the panel has a row of `nr` for every step.
                    unsafe { self.tiles(lanes, k0..k1, Rows::even(panel.as_ptr(), nr), accumulate || k0 > 0) };
                }
            }
        });
    }

    /// All factors against one panel of lanes.
    #[inline(always)]
    unsafe fn tiles(&self, lanes: Range<usize>, k: Range<usize>, rows: Rows, accumulate: bool) {
        let Range { start, end } = self.factor_range;
        // Tiles of even height: a low one would wait for its own sums.
        let height = (end - start).div_ceil((end - start).div_ceil(self.kernel.mr));
        for first in (start..end).step_by(height) {
            let count = height.min(end - first);
            let size = (count, lanes.len(), k.len());
            // SAFETY: `run` saw that the factors are in bounds; C is valid for these factors and lanes.
            unsafe {
                let factors =
                    self.factors.data.as_ptr().add(first * self.factors.lane_stride + k.start * self.factors.step);
                let factors = Factors::strided(factors, self.factors.lane_stride, self.factors.step);
                let c = self.c.add(first * self.c_factor_stride + lanes.start * self.c_lane_stride);
                if self.c_lane_stride == 1 {
                    self.kernel.tile(size, factors, rows, (c, self.c_factor_stride), accumulate);
                } else {
                    let mut aside = [0.0; MR_MAX * NR_MAX];
                    let stride = self.kernel.columns(count);
                    if accumulate {
                        self.fetch(c, (count, lanes.len()), &mut aside, stride);
                    }
                    self.kernel.tile(size, factors, rows, (aside.as_mut_ptr(), stride), accumulate);
                    self.give(c, (count, lanes.len()), &aside, stride);
                }
            }
        }
    }

    /// Lanes along k, few factors: transposed in registers.
    unsafe fn dots(&self, accumulate: bool) {
        let together = DOT_VECTORS * self.kernel.width;
        let count = self.factor_range.len();
        for first in self.lane_range.clone().step_by(together) {
            let lanes = together.min(self.lane_range.end - first);
            let mut aside = [0.0; MR_MAX * NR_MAX];
            // SAFETY: `run` saw that lanes and factors are in bounds; C is valid for these factors and lanes.
            unsafe {
                let factors = self.factors.data.as_ptr().add(self.factor_range.start * self.factors.lane_stride);
                let factors = Factors::strided(factors, self.factors.lane_stride, self.factors.step);
                let start = self.lanes.data.as_ptr().add(first * self.lanes.lane_stride);
                let lines = RawLines { start, stride: self.lanes.lane_stride, count: lanes, more: false, whole: false };
                let c = self.c.add(self.factor_range.start * self.c_factor_stride + first * self.c_lane_stride);
                if accumulate {
                    self.fetch(c, (count, lanes), &mut aside, NR_MAX);
                }
                self.kernel.dots((count, self.k), factors, lines, (aside.as_mut_ptr(), NR_MAX), accumulate);
                self.give(c, (count, lanes), &aside, NR_MAX);
            }
        }
    }

    /// Copies a tile of C to a place where its lanes are contiguous.
    unsafe fn fetch(&self, c: *const f32, (factors, lanes): (usize, usize), aside: &mut [f32], stride: usize) {
        for factor in 0..factors {
            for lane in 0..lanes {
                // SAFETY: C is valid for these factors and lanes.
                aside[factor * stride + lane] =
                    unsafe { *c.add(factor * self.c_factor_stride + lane * self.c_lane_stride) };
            }
        }
    }

    /// Copies it back.
    unsafe fn give(&self, c: *mut f32, (factors, lanes): (usize, usize), aside: &[f32], stride: usize) {
        for factor in 0..factors {
            for lane in 0..lanes {
                // SAFETY: C is valid for these factors and lanes.
                unsafe {
                    *c.add(factor * self.c_factor_stride + lane * self.c_lane_stride) = aside[factor * stride + lane];
                }
            }
        }
    }
}
