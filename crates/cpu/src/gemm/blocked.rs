//! Large products, and those of matrices that exist only as a rule: both operands are packed, a block of rows of A and a group of
//! panels of B share the second-level cache, and a panel of A stays in the first-level cache while the panels of a group pass by.
//!
//! So one tile of C lies beside the other. One below the other they are often a multiple of 4096 bytes apart, and their
//! loads wait for stores of the tile before, which look like the same address: 5 to 8 % of the time on Zen 3.

use super::driver::Job;
use super::kernel::{Factors, Kernel, Rows};
use crate::machine::second_level;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Most steps of k in a block, for vectors below 16 floats and for those of 16: C passes through memory once for each block, and a panel
/// of either operand should share the first-level cache. 256, 342 and 512 steps were within 3 % at 1024^3 on Zen 3.
const KC: [usize; 2] = [384, 256];
/// An epilogue is called for about this many elements of C: they are still in the second-level cache.
const FINISHED: usize = 1 << 16;
/// Whole rows up to this long: an epilogue runs over them in one go, and over parts of rows one by one. Also the columns of B that
/// are packed at a time.
const WHOLE_ROW: usize = 1024;
/// Fewer rows at a time make B pass by often.
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

/// A panel of B: columns of an item.
#[derive(Clone)]
struct Panel {
    item: usize,
    columns: Range<usize>,
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
        let width = even(n, WHOLE_ROW).next_multiple_of(nr);
        let together = (WHOLE_ROW / width).clamp(1, self.items.len());
        let depth = even(job.k, KC[usize::from(self.kernel.width >= 16)]);
        // The second-level cache holds rows of A, a group of panels of B, and what passes by.
        let third = second_level() / size_of::<f32>() / 3;
        let mut height = even(m, (third / depth).max(mr));
        if job.epilogue.is_some() {
            height = height.min((FINISHED / (width * together)).max(FINISHED_ROWS));
        }
        let height = height.next_multiple_of(mr);
        let group = (third / (depth * nr)).max(1);
        let mut panels = Vec::with_capacity(width / nr * together);
        with_scratch(depth * (height + width * together), |room| {
            let (packed_a, packed_b) = room.split_at_mut(height * depth);
            for items in parts(self.items.clone(), together) {
                for columns in parts(self.columns.clone(), width) {
                    panels.clear();
                    for item in items.clone() {
                        panels.extend(parts(columns.clone(), nr).map(|columns| Panel { item, columns }));
                    }
                    for k in parts(0..job.k, depth) {
                        for rows in parts(self.rows.clone(), height) {
                            self.pack_a(rows.clone(), k.clone(), packed_a);
                            let groups = panels.chunks(group).zip(packed_b.chunks_mut(group * nr * k.len()));
                            for (group, packed_b) in groups {
                                if rows.start == self.rows.start {
                                    self.pack_b(group, k.clone(), packed_b);
                                }
                                // SAFETY: the caller's promise.
                                unsafe { self.tiles(group, (rows.clone(), k.clone()), packed_a, packed_b) };
                            }
                            if k.end == job.k {
                                items.clone().for_each(|item| finish(item, rows.clone(), columns.clone()));
                            }
                        }
                    }
                }
            }
        });
    }

    fn pack_a(&self, rows: Range<usize>, k: Range<usize>, packed: &mut [f32]) {
        let mr = self.kernel.mr;
        let matrix = self.items.start % self.job.a_period;
        match self.job.a.plain(matrix) {
            Some(a) => a.pack_all(self.simd, k, rows, mr, packed),
            None => {
                for (rows, packed) in parts(rows, mr).zip(packed.chunks_exact_mut(mr * k.len())) {
                    self.job.a.pack(self.simd, matrix, k.clone(), rows, mr, packed);
                }
            }
        }
    }

    fn pack_b(&self, group: &[Panel], k: Range<usize>, packed: &mut [f32]) {
        let nr = self.kernel.nr;
        for (panels, packed) in group
            .chunk_by(|one, next| one.item == next.item)
            .scan(packed, |rest, panels| rest.split_off_mut(..panels.len() * nr * k.len()).map(|here| (panels, here)))
        {
            let columns = panels[0].columns.start..panels[panels.len() - 1].columns.end;
            match self.job.b.plain(panels[0].item) {
                Some(b) => b.pack_all(self.simd, k.clone(), columns, nr, packed),
                None => {
                    for (panel, packed) in panels.iter().zip(packed.chunks_exact_mut(nr * k.len())) {
                        self.job.b.pack(self.simd, panel.item, k.clone(), panel.columns.clone(), nr, packed);
                    }
                }
            }
        }
    }

    /// Packed rows against a group of packed columns.
    unsafe fn tiles(
        &self,
        group: &[Panel],
        (rows, k): (Range<usize>, Range<usize>),
        packed_a: &[f32],
        packed_b: &[f32],
    ) {
        let Kernel { mr, nr, .. } = *self.kernel;
        let c_stride = self.job.c_row_stride;
        let accumulate = self.job.accumulate || k.start > 0;
        for (row, a) in rows.clone().step_by(mr).zip(packed_a.chunks_exact(mr * k.len())) {
            let height = mr.min(rows.end - row);
            for (panel, b) in group.iter().zip(packed_b.chunks_exact(nr * k.len())) {
                // SAFETY: the panels hold `k.len()` steps of full tiles; the rest is the caller's promise.
                unsafe {
                    let c = self.targets[panel.item - self.items.start].add(row * c_stride + panel.columns.start);
                    let b = Rows::even(b.as_ptr(), nr).next_tile(c.wrapping_add(nr));
                    let size = (height, panel.columns.len(), k.len());
                    self.kernel.tile(size, Factors::strided(a.as_ptr(), 1, mr), b, (c, c_stride), accumulate);
                }
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
