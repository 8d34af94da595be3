//! Large products of matrices in memory: a block of A stays packed in the second-level cache while the panels of B pass
//! by, each copied just before it is used.
//!
//! Beyond the second-level cache memory is slow, so what comes next is asked for while the sums of a tile run: the part
//! of C below the tile, and the next panel of B.

use super::kernel::{BEAT, Factors, Kernel, Rows};
use super::pack::Plain;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Most steps of k in a block: C passes through memory once for each block.
const KC: usize = 256;
/// Most rows of A in a block, about: 518 x 256 floats are half a MiB.
const MC: usize = 518;
/// An epilogue is called for about this many elements of C: they are still in the second-level cache.
const FINISHED: usize = 1 << 16;
/// Fewer columns at a time make an epilogue slow, which runs row by row; fewer rows make B be packed often.
const FINISHED_COLUMNS: usize = 384;
const FINISHED_ROWS: usize = 84;

/// One rectangle of C in each of some batch items, all of k. The items share one A.
pub(super) struct Blocked<'a> {
    pub simd: Simd,
    pub kernel: &'static Kernel,
    pub a: Plain<'a>,
    /// The B of each item, and where its rectangle of C begins.
    pub items: &'a [(Plain<'a>, *mut f32)],
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub k: usize,
    pub c_stride: usize,
}

/// Called with the number of an item in the list, and rows and columns of it that are done.
pub(super) type Finish<'a> = &'a dyn Fn(usize, Range<usize>, Range<usize>);

impl Blocked<'_> {
    /// Computes it.
    ///
    /// # Safety
    /// C is valid for the rectangles, and nobody else touches them.
    pub unsafe fn run(&self, accumulate: bool, finish: Option<Finish<'_>>) {
        let Kernel { mr, nr, .. } = *self.kernel;
        let (m, n) = (self.rows.len(), self.columns.len());
        let (mut height, mut width) = (even(m, MC), n);
        if finish.is_some() && m * n > FINISHED {
            width = even(n, (FINISHED / m).max(FINISHED_COLUMNS)).next_multiple_of(nr);
            height = even(m, (FINISHED / width).clamp(FINISHED_ROWS, MC));
        }
        let height = height.next_multiple_of(mr);
        let depth = even(self.k, KC);
        with_scratch(depth * nr + height * depth, |room| {
            let (panel, block) = room.split_at_mut(depth * nr);
            for columns in parts(self.columns.clone(), width) {
                for k in parts(0..self.k, depth) {
                    for rows in parts(self.rows.clone(), height) {
                        let panels = parts(rows.clone(), mr).zip(block.chunks_exact_mut(mr * k.len()));
                        panels.for_each(|(rows, panel)| self.a.pack(self.simd, k.clone(), rows, mr, panel));
                        for (item, (b, c)) in self.items.iter().enumerate() {
                            for columns in parts(columns.clone(), nr) {
                                let panel = &mut panel[..k.len() * nr];
                                b.pack(self.simd, k.clone(), columns.clone(), nr, panel);
                                let place = (rows.clone(), columns, k.clone());
                                // SAFETY: the caller's promise.
                                unsafe { self.tiles(block, panel, b, *c, place, accumulate || k.start > 0) };
                            }
                            if let (Some(finish), true) = (finish, k.end == self.k) {
                                finish(item, rows.clone(), columns.clone());
                            }
                        }
                    }
                }
            }
        });
    }

    /// One column of tiles.
    unsafe fn tiles(
        &self,
        block: &[f32],
        panel: &[f32],
        b: &Plain<'_>,
        c: *mut f32,
        (rows, columns, k): (Range<usize>, Range<usize>, Range<usize>),
        accumulate: bool,
    ) {
        let mr = self.kernel.mr;
        let c = c.wrapping_add(columns.start - self.columns.start);
        for (tile, (row, a)) in rows.clone().step_by(mr).zip(block.chunks_exact(mr * k.len())).enumerate() {
            // Each tile asks for as many rows (lines) of the next panel of B as it has beats.
            let next = b.data.as_ptr().wrapping_add(columns.end * b.lane_stride + k.start * b.step);
            let (next, next_step) = match b.lane_stride {
                1 => (next.wrapping_add(tile * k.len() / BEAT * b.step), b.step),
                stride => (next.wrapping_add(tile * stride), 2 * BEAT),
            };
            let b = Rows::even(panel.as_ptr(), self.kernel.nr).ahead(next, next_step);
            // SAFETY: the panels hold `k.len()` steps of full tiles; the rest is the caller's promise.
            unsafe {
                let c = c.add((row - self.rows.start) * self.c_stride);
                let size = (mr.min(rows.end - row), columns.len(), k.len());
                self.kernel.tile(size, Factors::strided(a.as_ptr(), 1, mr), b, (c, self.c_stride), accumulate);
            }
        }
    }
}

/// The parts of `range`, each of `size` but for the last.
fn parts(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(size).map(move |first| first..range.end.min(first + size))
}

/// The size of even parts of `total`, each at most `most`.
fn even(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most))
}
