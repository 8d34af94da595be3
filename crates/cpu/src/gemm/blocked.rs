//! Large products, and those of matrices that exist only as a rule: both operands are packed, a block of rows of A and a group of
//! panels of B share the second-level cache, and a panel of A stays in the first-level cache while the panels of a group pass by.
//!
//! So one tile of C lies beside the other. One below the other they are often a multiple of 4096 bytes apart, and their
//! loads wait for stores of the tile before, which look like the same address: 5 to 8 % of the time on Zen 3.

use super::driver::Job;
use super::kernel::{Factors, Kernel, Rows};
use crate::machine::{Machine, second_level};
use crate::pool::Disjoint;
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
    /// All of A, if several rectangles share it.
    pub shared: Option<&'a Shared<'a>>,
}

/// Every matrix of A, packed: block of k after block of k, panel of rows after panel of rows.
pub(super) struct Shared<'a> {
    packed: &'a [f32],
    /// Rows of a matrix, up to whole panels.
    rows: usize,
}

/// Floats of A, of all its matrices, that are packed at once, at most: 16 MiB.
const SHARED_MOST: usize = 1 << 22;
/// Panels of A that one unit packs.
const PANELS: usize = 8;

impl<'a> Shared<'a> {
    /// Packs A on all threads, where it is not too large, and lends it.
    pub fn with<R>(machine: &Machine, job: &Job<'_>, task: impl FnOnce(Option<&Shared<'_>>) -> R) -> R {
        let kernel = Kernel::of(machine.simd);
        let rows = job.m.next_multiple_of(kernel.mr);
        let size = rows * job.k;
        if size.saturating_mul(job.a_period) > SHARED_MOST {
            return task(None);
        }
        let depth = depth(kernel, job.k);
        let (strips, steps) = (job.m.div_ceil(PANELS * kernel.mr), job.k.div_ceil(depth));
        with_scratch(size * job.a_period, |packed| {
            let all = Disjoint::new(&mut *packed);
            machine.pool.run(job.a_period * steps * strips, |unit| {
                let (matrix, unit) = (unit / (steps * strips), unit % (steps * strips));
                let first = unit / strips * depth;
                let k = first..job.k.min(first + depth);
                let row = unit % strips * PANELS * kernel.mr;
                let here = row..job.m.min(row + PANELS * kernel.mr);
                let start = matrix * size + k.start * rows + row * k.len();
                // SAFETY: the panels of different units are apart.
                let to = unsafe { all.slice(start, here.len().next_multiple_of(kernel.mr) * k.len()) };
                pack_a(machine.simd, job, matrix, (here, k), to);
            });
            task(Some(&Shared { packed, rows }))
        })
    }

    /// The panels of some rows of a matrix, which begin with a panel.
    fn rows(&self, matrix: usize, (rows, k): (&Range<usize>, &Range<usize>), of: usize) -> &'a [f32] {
        let start = matrix * self.rows * of + k.start * self.rows + rows.start * k.len();
        &self.packed[start..]
    }
}

/// Steps of k in a block.
fn depth(kernel: &Kernel, k: usize) -> usize {
    even(k, KC[usize::from(kernel.width >= 16)])
}

/// Writes some rows of a matrix of A as panels.
fn pack_a(simd: Simd, job: &Job<'_>, matrix: usize, (rows, k): (Range<usize>, Range<usize>), packed: &mut [f32]) {
    let mr = Kernel::of(simd).mr;
    match job.a.plain(matrix) {
        Some(a) => a.pack_all(simd, k, rows, mr, packed),
        None => {
            for (rows, packed) in parts(rows, mr).zip(packed.chunks_exact_mut(mr * k.len())) {
                job.a.pack(simd, matrix, k.clone(), rows, mr, packed);
            }
        }
    }
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
        let depth = depth(self.kernel, job.k);
        // The second-level cache holds rows of A, a group of panels of B, and what passes by.
        let third = second_level() / size_of::<f32>() / 3;
        let mut height = even(m, (third / depth).max(mr));
        if job.epilogue.is_some() {
            height = height.min((FINISHED / (width * together)).max(FINISHED_ROWS));
        }
        let height = height.next_multiple_of(mr);
        let group = (third / (depth * nr)).max(1);
        let mut panels = Vec::with_capacity(width / nr * together);
        let matrix = self.items.start % job.a_period;
        let own = if self.shared.is_some() { 0 } else { height * depth };
        with_scratch(own + depth * width * together, |room| {
            let (own, packed_b) = room.split_at_mut(own);
            for items in parts(self.items.clone(), together) {
                for columns in parts(self.columns.clone(), width) {
                    panels.clear();
                    for item in items.clone() {
                        panels.extend(parts(columns.clone(), nr).map(|columns| Panel { item, columns }));
                    }
                    for k in parts(0..job.k, depth) {
                        for rows in parts(self.rows.clone(), height) {
                            let packed_a = match self.shared {
                                Some(shared) => shared.rows(matrix, (&rows, &k), job.k),
                                None => {
                                    pack_a(self.simd, job, matrix, (rows.clone(), k.clone()), own);
                                    &*own
                                }
                            };
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
