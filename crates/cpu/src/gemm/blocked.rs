//! Large products, and those of matrices that exist only as a rule: a block of A stays packed in the second-level cache while the panels of B pass
//! by, each copied just before it is used.
//!
//! Beyond the second-level cache memory is slow, so what comes next is asked for while the sums of a tile run: the part
//! of C below the tile, and the next panel of B.

use super::driver::Job;
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
/// Whole rows up to this long: an epilogue runs over them in one go, and over parts of rows one by one. Longer ones are cut
/// into parts of about half of this.
const WHOLE_ROW: usize = 1024;
/// Fewer rows at a time make B be packed often.
const FINISHED_ROWS: usize = 60;

/// One rectangle of C in each of some batch items, all of k. The items, if they are several, share one A.
pub(super) struct Blocked<'a> {
    pub simd: Simd,
    pub kernel: &'static Kernel,
    pub job: &'a Job<'a>,
    pub items: Range<usize>,
    /// Where C of each item begins.
    pub targets: &'a [*mut f32],
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl Blocked<'_> {
    /// Computes it; `finish` is called with an item and rows and columns of it that are done.
    ///
    /// # Safety
    /// C is valid for the rectangles, and nobody else touches them.
    pub unsafe fn run(&self, finish: &dyn Fn(usize, Range<usize>, Range<usize>)) {
        let job = self.job;
        let Kernel { mr, nr, .. } = *self.kernel;
        let (m, n) = (self.rows.len(), self.columns.len());
        let (mut height, mut width) = (even(m, MC), n);
        if job.epilogue.is_some() && m * n > FINISHED {
            if n > WHOLE_ROW {
                width = even(n, (FINISHED / m).max(WHOLE_ROW / 2)).next_multiple_of(nr);
            }
            height = even(m, (FINISHED / width).clamp(FINISHED_ROWS, MC));
        }
        let height = height.next_multiple_of(mr);
        let depth = even(job.k, KC);
        with_scratch(depth * nr + height * depth, |room| {
            let (panel, block) = room.split_at_mut(depth * nr);
            for columns in parts(self.columns.clone(), width) {
                for k in parts(0..job.k, depth) {
                    for rows in parts(self.rows.clone(), height) {
                        let matrix = self.items.start % job.a_period;
                        if let Some(a) = job.a.plain(matrix) {
                            a.pack_all(self.simd, k.clone(), rows.clone(), mr, block);
                        } else {
                            for (rows, panel) in parts(rows.clone(), mr).zip(block.chunks_exact_mut(mr * k.len())) {
                                job.a.pack(self.simd, matrix, k.clone(), rows, mr, panel);
                            }
                        }
                        for (item, &c) in self.items.clone().zip(self.targets) {
                            let b = job.b.plain(item);
                            for columns in parts(columns.clone(), nr) {
                                let panel = &mut panel[..k.len() * nr];
                                job.b.pack(self.simd, item, k.clone(), columns.clone(), nr, panel);
                                let place = (rows.clone(), columns, k.clone());
                                // SAFETY: the caller's promise.
                                unsafe { self.tiles(block, panel, b.as_ref(), c, place) };
                            }
                            if k.end == job.k {
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
        b: Option<&Plain<'_>>,
        c: *mut f32,
        (rows, columns, k): (Range<usize>, Range<usize>, Range<usize>),
    ) {
        let (mr, c_stride) = (self.kernel.mr, self.job.c_row_stride);
        let accumulate = self.job.accumulate || k.start > 0;
        for (tile, (row, a)) in rows.clone().step_by(mr).zip(block.chunks_exact(mr * k.len())).enumerate() {
            let mut of_b = Rows::even(panel.as_ptr(), self.kernel.nr);
            if let Some(b) = b {
                // Each tile asks for as many rows (lines) of the next panel of B as it has beats.
                let next = b.data.as_ptr().wrapping_add(columns.end * b.lane_stride + k.start * b.step);
                of_b = match b.lane_stride {
                    1 => of_b.ahead(next.wrapping_add(tile * k.len() / BEAT * b.step), b.step),
                    stride => of_b.ahead(next.wrapping_add(tile * stride), 2 * BEAT),
                };
            }
            // SAFETY: the panels hold `k.len()` steps of full tiles; the rest is the caller's promise.
            unsafe {
                let c = c.add(row * c_stride + columns.start);
                let size = (mr.min(rows.end - row), columns.len(), k.len());
                self.kernel.tile(size, Factors::strided(a.as_ptr(), 1, mr), of_b, (c, c_stride), accumulate);
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
