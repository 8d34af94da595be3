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
/// Most rows of A in a block, about: 518 x 256 floats, half a MiB, a quarter of the second-level cache.
const MC: usize = 518;

/// One rectangle of C, all of k.
pub(super) struct Blocked<'a> {
    pub simd: Simd,
    pub kernel: &'static Kernel,
    pub a: Plain<'a>,
    pub b: Plain<'a>,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub k: usize,
    pub c: *mut f32,
    pub c_stride: usize,
}

impl Blocked<'_> {
    /// Computes it; `finish` is called for the rows that are done.
    ///
    /// # Safety
    /// C is valid for the rectangle, and nobody else touches that.
    pub unsafe fn run(&self, accumulate: bool, finish: &dyn Fn(Range<usize>)) {
        let Kernel { mr, nr, .. } = *self.kernel;
        let height = even(self.rows.len(), MC).next_multiple_of(mr);
        let depth = even(self.k, KC);
        with_scratch(depth * nr + height * depth, |room| {
            let (panel, block) = room.split_at_mut(depth * nr);
            for k0 in (0..self.k).step_by(depth) {
                let k = k0..self.k.min(k0 + depth);
                for first in self.rows.clone().step_by(height) {
                    let rows = first..self.rows.end.min(first + height);
                    for (row, panel) in rows.clone().step_by(mr).zip(block.chunks_exact_mut(mr * k.len())) {
                        self.a.pack(self.simd, k.clone(), row..rows.end.min(row + mr), mr, panel);
                    }
                    for column in self.columns.clone().step_by(nr) {
                        let columns = column..self.columns.end.min(column + nr);
                        let panel = &mut panel[..k.len() * nr];
                        self.b.pack(self.simd, k.clone(), columns.clone(), nr, panel);
                        // SAFETY: the caller's promise.
                        unsafe { self.tiles(block, panel, rows.clone(), columns, k.clone(), accumulate || k0 > 0) };
                    }
                    if k.end == self.k {
                        finish(rows);
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
        rows: Range<usize>,
        columns: Range<usize>,
        k: Range<usize>,
        accumulate: bool,
    ) {
        let mr = self.kernel.mr;
        for (tile, (row, a)) in rows.clone().step_by(mr).zip(block.chunks_exact(mr * k.len())).enumerate() {
            // Each tile asks for as many rows (lines) of the next panel of B as it has beats.
            let next = self.b.data.as_ptr().wrapping_add(columns.end * self.b.lane_stride + k.start * self.b.step);
            let (next, next_step) = match self.b.lane_stride {
                1 => (next.wrapping_add(tile * k.len() / BEAT * self.b.step), self.b.step),
                stride => (next.wrapping_add(tile * stride), 2 * BEAT),
            };
            let b = Rows::even(panel.as_ptr(), self.kernel.nr).ahead(next, next_step);
            // SAFETY: the panels hold `k.len()` steps of full tiles; the rest is the caller's promise.
            unsafe {
                let c = self.c.add(row * self.c_stride + columns.start);
                let size = (mr.min(rows.end - row), columns.len(), k.len());
                self.kernel.tile(size, Factors::strided(a.as_ptr(), 1, mr), b, (c, self.c_stride), accumulate);
            }
        }
    }
}

/// The size of even parts of `total`, each at most `most`.
fn even(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most))
}
