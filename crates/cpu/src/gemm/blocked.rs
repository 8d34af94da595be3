//! Large products, and those of matrices that exist only as a rule: both operands are packed, a block of rows of A and a group of
//! panels of B share the second-level cache, and a panel of A stays in the first-level cache while the panels of a group pass by.
//!
//! So one tile of C lies beside the other. One below the other they are often a multiple of 4096 bytes apart, and their
//! loads wait for stores of the tile before, which look like the same address: 5 to 8 % of the time on Zen 3.

use super::driver::Job;
use super::kernel::Kernel;
use super::pack::Plain;
use super::tile::{BEAT, Factors, LINE, Rows};
use crate::machine::{Machine, second_level};
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Most steps of k in a block: C passes through memory once for each block, and a panel of A should share the first-level cache with
/// what passes by. 256, 342 and 512 steps were within 3 % at 1024^3 on Zen 3.
const KC: usize = 384;
/// Bytes of the second-level cache that blocks fill, at most: of 2 MiB (Granite Rapids), half was 2 to 7 % faster than all.
const CACHE_MOST: usize = 1 << 20;
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
    /// What rectangles share.
    pub shared: Option<&'a Shared<'a>>,
}

/// Operands that several rectangles use, packed once: block of k after block of k, panel after panel.
pub(super) struct Shared<'a> {
    /// Every matrix of A, if it is one of them, and the rows of a matrix, up to whole panels.
    a: Option<(&'a [f32], usize)>,
    /// B of the one item, if it is one of them, and its columns, up to whole panels.
    b: Option<(&'a [f32], usize)>,
}

/// Floats of an operand, of all its matrices, that are packed at once, at most: 16 MiB.
pub(super) const SHARED_MOST: usize = 1 << 22;
/// Panels of A that one unit packs, and of B.
const PANELS: [usize; 2] = [8, 4];

impl<'a> Shared<'a> {
    /// Packs A, B or both on all threads, where they are not too large, and lends them if there is anything. (B is that of a single item.)
    pub fn with<R>(
        machine: &Machine,
        job: &Job<'_>,
        (of_a, of_b): (bool, bool),
        task: impl FnOnce(Option<&Shared<'_>>) -> R,
    ) -> R {
        let kernel = Kernel::of(machine.simd);
        let (rows, columns) = (job.m.next_multiple_of(kernel.mr), job.n.next_multiple_of(kernel.nr));
        let size = |wanted: bool, lanes: usize, count: usize| {
            let size = lanes.saturating_mul(job.k).saturating_mul(count);
            if wanted && size <= SHARED_MOST { size } else { 0 }
        };
        let (a_size, b_size) = (size(of_a, rows, job.a_period), size(of_b, columns, 1));
        let depth = depth(job.k);
        let steps = job.k.div_ceil(depth);
        let [a_part, b_part] = [PANELS[0] * kernel.mr, PANELS[1] * kernel.nr];
        let (a_parts, b_parts) = (job.m.div_ceil(a_part), job.n.div_ceil(b_part));
        let a_units = if a_size > 0 { job.a_period * steps * a_parts } else { 0 };
        let b_units = if b_size > 0 { steps * b_parts } else { 0 };
        with_scratch(a_size + b_size, |room| {
            let (packed_a, packed_b) = room.split_at_mut(a_size);
            let all = (Disjoint::new(&mut *packed_a), Disjoint::new(&mut *packed_b));
            let steps_of = |block: usize| block * depth..job.k.min((block + 1) * depth);
            machine.pool.run(a_units + b_units, |unit| {
                if unit < a_units {
                    let (matrix, unit) = (unit / (steps * a_parts), unit % (steps * a_parts));
                    let (k, first) = (steps_of(unit / a_parts), unit % a_parts * a_part);
                    let lanes = first..job.m.min(first + a_part);
                    let start = matrix * rows * job.k + k.start * rows + first * k.len();
                    // SAFETY: the panels of different units are apart.
                    let to = unsafe { all.0.slice(start, lanes.len().next_multiple_of(kernel.mr) * k.len()) };
                    pack_a(machine.simd, job, matrix, (lanes, k), to);
                } else {
                    let unit = unit - a_units;
                    let (k, first) = (steps_of(unit / b_parts), unit % b_parts * b_part);
                    let lanes = first..job.n.min(first + b_part);
                    let start = k.start * columns + first * k.len();
                    // SAFETY: the panels of different units are apart.
                    let to = unsafe { all.1.slice(start, lanes.len().next_multiple_of(kernel.nr) * k.len()) };
                    pack_b(machine.simd, job, 0, (lanes, k), to);
                }
            });
            let shared = Shared {
                a: (a_units > 0).then_some((&*packed_a, rows)),
                b: (b_units > 0).then_some((&*packed_b, columns)),
            };
            task((a_units + b_units > 0).then_some(&shared))
        })
    }

    /// The panels of A of some rows of a matrix, which begin with a panel.
    fn rows(&self, matrix: usize, (rows, k): (&Range<usize>, &Range<usize>), of: usize) -> Option<&'a [f32]> {
        self.a.map(|(packed, all)| &packed[matrix * all * of + k.start * all + rows.start * k.len()..])
    }

    /// The panels of B from column `first` on, where one begins.
    fn columns(&self, first: usize, k: &Range<usize>) -> Option<&'a [f32]> {
        self.b.map(|(packed, all)| &packed[k.start * all + first * k.len()..])
    }
}

/// Steps of k in a block.
fn depth(k: usize) -> usize {
    even(k, KC)
}

/// The second-level cache holds rows of A, a group of panels of B, and what passes by: floats for each.
fn third() -> usize {
    second_level().min(CACHE_MOST) / size_of::<f32>() / 3
}

/// Rows of A in a block.
pub(super) fn block_rows(kernel: &Kernel, k: usize) -> usize {
    (third() / depth(k.max(1))).max(kernel.mr)
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

/// Writes some columns of an item of B as panels.
fn pack_b(simd: Simd, job: &Job<'_>, item: usize, (columns, k): (Range<usize>, Range<usize>), packed: &mut [f32]) {
    let nr = Kernel::of(simd).nr;
    match job.b.plain(item) {
        Some(b) => b.pack_all(simd, k, columns, nr, packed),
        None => {
            for (columns, packed) in parts(columns, nr).zip(packed.chunks_exact_mut(nr * k.len())) {
                job.b.pack(simd, item, k.clone(), columns, nr, packed);
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
        let shared_b = self.shared.is_some_and(|shared| shared.b.is_some());
        let width = if shared_b { n } else { even(n, WHOLE_ROW) }.next_multiple_of(nr);
        let together = (WHOLE_ROW / width).clamp(1, self.items.len());
        let depth = depth(job.k);
        let mut height = even(m, block_rows(self.kernel, job.k));
        if job.epilogue.is_some() {
            height = even(m, height.min((FINISHED / (width * together)).max(FINISHED_ROWS)));
        }
        let height = height.next_multiple_of(mr);
        // (A last group of one or two panels would make the rows pass by for little.)
        let all = width / nr * together;
        let most = (third() / 2 / (depth * nr)).max(1);
        let group = if all <= 2 * most { all } else { even(all, most) };
        // Packed columns that no other rows need give way to the next: the buffer stays in the cache.
        let once = m <= height;
        let columns_kept = match (shared_b, once) {
            (true, _) => 0,
            (false, true) => (group * nr).min(width * together),
            (false, false) => width * together,
        };
        let mut panels = Vec::with_capacity(width / nr * together);
        let matrix = self.items.start % job.a_period;
        let shared_a = self.shared.is_some_and(|shared| shared.a.is_some());
        let own = if shared_a { 0 } else { height * depth };
        with_scratch(own + depth * columns_kept, |room| {
            let (own, packed_b) = room.split_at_mut(own);
            for items in parts(self.items.clone(), together) {
                for columns in parts(self.columns.clone(), width) {
                    panels.clear();
                    for item in items.clone() {
                        panels.extend(parts(columns.clone(), nr).map(|columns| Panel { item, columns }));
                    }
                    for k in parts(0..job.k, depth) {
                        for rows in parts(self.rows.clone(), height) {
                            let lent = self.shared.and_then(|shared| shared.rows(matrix, (&rows, &k), job.k));
                            let packed_a = match lent {
                                Some(lent) => lent,
                                None => {
                                    pack_a(self.simd, job, matrix, (rows.clone(), k.clone()), own);
                                    &*own
                                }
                            };
                            let first = rows.start == self.rows.start;
                            let mut rows_ahead =
                                if shared_a { Ahead::default() } else { self.rows_ahead(matrix, (&rows, &k), height) };
                            for (number, part) in panels.chunks(group).enumerate() {
                                let mut ahead = Ahead::default();
                                let lent = self.shared.and_then(|shared| shared.columns(part[0].columns.start, &k));
                                let packed_b = match lent {
                                    Some(lent) => {
                                        let here = part.len() * nr * k.len();
                                        ahead = Ahead::of(&lent[here..lent.len().min(2 * here)]);
                                        lent
                                    }
                                    None => {
                                        let start = if once { 0 } else { number * group * nr * k.len() };
                                        let packed_b = &mut packed_b[start..][..part.len() * nr * k.len()];
                                        if first {
                                            self.pack_b(part, k.clone(), packed_b);
                                            let next = panels.chunks(group).nth(number + 1);
                                            ahead = next.map_or(ahead, |next| self.ahead(next, &k));
                                        }
                                        &*packed_b
                                    }
                                };
                                // SAFETY: the caller's promise.
                                unsafe {
                                    let ahead = [&mut ahead, &mut rows_ahead];
                                    self.tiles(part, (rows.clone(), k.clone()), packed_a, packed_b, ahead);
                                }
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
            pack_b(self.simd, self.job, panels[0].item, (columns, k.clone()), packed);
        }
    }

    /// The memory that a group of panels will be packed from, where it lies in one piece.
    fn ahead(&self, group: &[Panel], k: &Range<usize>) -> Ahead {
        let (first, last) = (&group[0], &group[group.len() - 1]);
        match self.job.b.plain(first.item).filter(|_| first.item == last.item) {
            Some(b) => Ahead::new(b, first.columns.start..last.columns.end, k.clone()),
            None => Ahead::default(),
        }
    }

    /// The memory that the next rows will be packed from: some below these, or the first ones of the next steps.
    fn rows_ahead(&self, matrix: usize, (rows, k): (&Range<usize>, &Range<usize>), height: usize) -> Ahead {
        let below = rows.end..self.rows.end.min(rows.end + height);
        let (rows, k) = if below.is_empty() {
            let first = self.rows.start..self.rows.end.min(self.rows.start + height);
            (first, k.end..self.job.k.min(k.end + k.len()))
        } else {
            (below, k.clone())
        };
        match self.job.a.plain(matrix).filter(|_| !k.is_empty()) {
            Some(a) => Ahead::new(a, rows, k),
            None => Ahead::default(),
        }
    }

    /// Packed rows against a group of packed columns. While they run, memory is asked for: first the one, then the other.
    unsafe fn tiles(
        &self,
        group: &[Panel],
        (rows, k): (Range<usize>, Range<usize>),
        packed_a: &[f32],
        packed_b: &[f32],
        [first_ahead, then_ahead]: [&mut Ahead; 2],
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
                    let mut b = Rows::even(b.as_ptr(), nr).next_tile(c.wrapping_add(nr));
                    let beats = k.len().div_ceil(BEAT);
                    if let Some((start, step)) = first_ahead.next(beats).or_else(|| then_ahead.next(beats)) {
                        b = b.ahead(start, step);
                    }
                    let size = (height, panel.columns.len(), k.len());
                    self.kernel.tile(size, Factors::strided(a.as_ptr(), 1, mr), b, (c, c_stride), accumulate);
                }
            }
        }
    }
}

/// Memory that is packed next. While tiles are computed, it is asked for: otherwise the multipliers would wait for memory whenever panels
/// are packed, and memory for them in between.
#[derive(Default)]
struct Ahead {
    /// Runs of contiguous floats, `stride` apart.
    start: usize,
    stride: usize,
    runs: usize,
    floats: usize,
    /// The place in a run and the run that come next.
    place: usize,
    run: usize,
}

impl Ahead {
    fn new(of: Plain<'_>, lanes: Range<usize>, k: Range<usize>) -> Ahead {
        let start = of.data.as_ptr().wrapping_add(lanes.start * of.lane_stride + k.start * of.step) as usize;
        match (of.lane_stride, of.step) {
            (1, stride) => Ahead { start, stride, runs: k.len(), floats: lanes.len(), place: 0, run: 0 },
            (stride, 1) => Ahead { start, stride, runs: lanes.len(), floats: k.len(), place: 0, run: 0 },
            _ => Ahead::default(),
        }
    }

    /// Floats that lie side by side.
    fn of(floats: &[f32]) -> Ahead {
        let (start, together) = (floats.as_ptr() as usize, 2 * LINE);
        Ahead { start, stride: together, runs: floats.len() / together, floats: together, place: 0, run: 0 }
    }

    /// Where the next tile shall ask, and the step from there to the next place, of which there are `count`.
    #[inline(always)]
    fn next(&mut self, count: usize) -> Option<(*const f32, usize)> {
        if self.place >= self.floats {
            return None;
        }
        let run = self.run.min(self.runs.saturating_sub(count));
        let found = (self.start as *const f32).wrapping_add(self.place + run * self.stride);
        self.run += count;
        if self.run >= self.runs {
            (self.place, self.run) = (self.place + 2 * LINE, 0);
        }
        Some((found, self.stride))
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
