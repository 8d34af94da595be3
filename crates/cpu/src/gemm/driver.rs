//! The blocked product: C is cut into units for the threads, k into blocks for the caches, and the kernels run.
//!
//! Each element of C is one chain of fused multiply-adds, k ascending. Between blocks of k the chain rests in C itself,
//! which loses nothing, so neither the blocks nor the units show in the result.

use super::blocked::{Blocked, Finish};
use super::direct::{Direct, SMALL_FOOTPRINT};
use super::kernel::{Factors, Kernel, Rows};
use super::pack::Panels;
use super::{Epilogue, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use std::ops::Range;

/// Steps of k in a block. A longer block passes C through memory less often; a panel of B (512 x 32 floats, 64 KiB at
/// the widest) then comes from the second-level cache, which the kernel, with one 128-byte row of B for 28 vector
/// multiply-adds, does not feel. 256, 384, 512, 768: 140, 139, 147, 149 GFLOP/s at 1024^3.
const KC: usize = 512;
/// Steps of k in a block where B is read in place: the rows of B are memory pages apart, and no more than this many are
/// read at a time. 512, 64, 32, 16: 4.9, 8.0, 9.0, 7.2 GFLOP/s for a row times 4096 x 4096.
const KC_IN_PLACE: usize = 32;
/// Rows of A in a block, about: 84 x 512 floats, 168 KiB, stay in the second-level cache.
const MC: usize = 84;
/// Most columns of C in a unit: its packed part of B is 512 x 512 floats, 1 MiB.
const NC: usize = 512;
/// Fewer multiply-adds than this (about 15 microseconds of one core) are not worth waking a second thread.
pub(crate) const SMALL: usize = 1 << 21;
/// A unit is not cut below this many multiply-adds.
const UNIT: usize = 1 << 18;
/// Units for each thread, where there is enough work: a delayed thread then delays the rest by little.
const UNITS_PER_THREAD: usize = 4;
/// An epilogue runs row by row, each instruction a loop: rows of a unit are not made shorter than this where the other
/// cut is as good. Adam behind 400 x 784 x 128 took 1.4 ms in units 98 columns wide on two threads, 1.1 on one.
const LONG_ROW: usize = 384;
/// Items of at most this many columns share the packed part of A.
const FEW_COLUMNS: usize = 256;
/// Up to this many rows, packing B would cost more than it saves where its rows can be read in place.
const ROWS_UNPACKED: usize = 28;
/// A larger A (in floats) is packed block by block where it is used, not beforehand.
const PREPACK_LIMIT: usize = 1 << 24;

/// One batched product, checked.
pub(crate) struct Job<'a> {
    pub batch: usize,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: &'a dyn Panels,
    /// Batch item b uses matrix `b % a_period` of A.
    pub a_period: usize,
    pub b: &'a dyn Panels,
    pub c: Disjoint<'a, f32>,
    pub c_row_stride: usize,
    pub c_batch_stride: usize,
    pub accumulate: bool,
    pub epilogue: Option<Epilogue<'a, f32>>,
}

impl Job<'_> {
    fn multiply_adds(&self) -> usize {
        (self.batch * self.m * self.n).saturating_mul(self.k)
    }
}

/// How C is cut: each unit is `rows` x `columns` of `items` batch items (less at the edges). Several items only where all
/// share one A, and both operands lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    items: usize,
    rows: usize,
    columns: usize,
}

/// Cuts so that every thread has work, and every cut-off piece is still worth a unit. Columns are cut first, since a
/// cut of the rows makes several units pack the same part of B; items of few columns stay together, since each of them
/// would make A be packed again.
fn cut(kernel: &Kernel, threads: usize, job: &Job<'_>) -> Cut {
    let columns = if plain(job) { job.n } else { even_part(job.n, NC, kernel.nr) };
    let small = job.m * job.n + (job.m + job.n).saturating_mul(job.k) <= SMALL_FOOTPRINT;
    let together = job.a_period == 1 && (kernel.nr..=FEW_COLUMNS).contains(&job.n) && plain(job) && !small;
    let mut cut = Cut { items: if together { job.batch } else { 1 }, rows: job.m, columns };
    let work = job.multiply_adds();
    if work < SMALL {
        return Cut { items: 1, ..cut };
    }
    if threads == 1 {
        return cut;
    }
    let units = |cut: Cut| job.batch.div_ceil(cut.items) * job.m.div_ceil(cut.rows) * job.n.div_ceil(cut.columns);
    let wanted = (threads * UNITS_PER_THREAD).min(work / UNIT);
    // Long sums outweigh any epilogue.
    let rows_matter = job.epilogue.is_some() && job.k <= 256 && plain(job);
    while units(cut) < wanted {
        let fewer = Cut { items: cut.items.div_ceil(2), ..cut };
        let narrower = Cut { columns: even_part(job.n, cut.columns / 2, kernel.nr), ..cut };
        let lower = Cut { rows: even_part(job.m, cut.rows / 2, kernel.mr), ..cut };
        let can_narrow = cut.columns >= 2 * kernel.nr && narrower != cut;
        let can_lower = cut.rows >= 2 * kernel.mr && lower != cut;
        cut = match (can_narrow, can_lower) {
            (_, true) if cut.items > 1 && cut.rows > cut.items * cut.columns => lower,
            _ if cut.items > 1 => fewer,
            (true, false) => narrower,
            (false, true) => lower,
            (true, true) if cut.columns * 2 >= cut.rows && (!rows_matter || cut.columns >= 2 * LONG_ROW) => narrower,
            (true, true) => lower,
            (false, false) => break,
        };
    }
    cut
}

/// Whether both operands lie in memory with plain strides.
fn plain(job: &Job<'_>) -> bool {
    job.a.plain(0).is_some() && job.b.plain(0).is_some()
}

/// The size of even parts of `total`, each a multiple of `step`, and at most about `most`.
fn even_part(total: usize, most: usize, step: usize) -> usize {
    let parts = total.div_ceil(most.max(step)).max(1);
    total.div_ceil(parts).next_multiple_of(step).min(total.next_multiple_of(step))
}

/// Runs a job.
pub(crate) fn run(machine: &Machine, job: &Job<'_>) {
    if job.batch * job.m * job.n == 0 {
        return;
    }
    let kernel = Kernel::of(machine.simd);
    let single = job.multiply_adds() < SMALL;
    let cut = cut(kernel, machine.pool.threads(), job);
    let (down, across) = (job.m.div_ceil(cut.rows), job.n.div_ceil(cut.columns));
    let units = job.batch.div_ceil(cut.items) * down * across;
    let work = Work { machine, kernel, job, cut, down, across };
    let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
        if single { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
    };
    let padded = job.m.next_multiple_of(kernel.mr).saturating_mul(job.k);
    let reused = units > job.a_period * down && !plain(job);
    if reused && job.a_period.saturating_mul(padded) <= PREPACK_LIMIT {
        with_scratch(job.a_period * padded, |packed| {
            work.prepack(&each, packed);
            each(units, &|unit| work.unit(unit, Some(packed)));
        });
    } else {
        each(units, &|unit| work.unit(unit, None));
    }
}

/// Calls a function for every unit number.
type Each<'a> = &'a dyn Fn(usize, &(dyn Fn(usize) + Sync));

struct Work<'a> {
    machine: &'a Machine,
    kernel: &'static Kernel,
    job: &'a Job<'a>,
    cut: Cut,
    down: usize,
    across: usize,
}

impl Work<'_> {
    /// Packs all of A: for each matrix, for each block of k, the panels one after the other.
    fn prepack(&self, each: Each<'_>, packed: &mut [f32]) {
        let (job, mr) = (self.job, self.kernel.mr);
        let panels = job.m.div_ceil(mr);
        let blocks = job.k.div_ceil(KC);
        let all = Disjoint::new(packed);
        each(job.a_period * blocks, &|unit| {
            let (matrix, block) = (unit / blocks, unit % blocks);
            let (k0, k1) = (block * KC, job.k.min((block + 1) * KC));
            let start = panels * mr * (matrix * job.k + k0);
            // SAFETY: the parts of different (matrix, block) are apart.
            let part = unsafe { all.slice(start, panels * mr * (k1 - k0)) };
            self.pack_rows(matrix, (k0, k1), (0, job.m), part);
        });
    }

    /// Packs rows `r0..r1` of A for steps `k0..k1`, panel after panel.
    fn pack_rows(&self, matrix: usize, (k0, k1): (usize, usize), (r0, r1): (usize, usize), packed: &mut [f32]) {
        let mr = self.kernel.mr;
        if k0 == k1 {
            return;
        }
        for (panel, row) in packed.chunks_exact_mut(mr * (k1 - k0)).zip((r0..r1).step_by(mr)) {
            self.job.a.pack(self.machine.simd, matrix, k0..k1, row..r1.min(row + mr), mr, panel);
        }
    }

    /// Computes one rectangle of C in each of its items, all of k.
    fn unit(&self, unit: usize, prepacked: Option<&[f32]>) {
        let (job, Kernel { mr, nr, .. }) = (self.job, self.kernel);
        let (part, place) = (unit / (self.down * self.across), unit % (self.down * self.across));
        let (r0, c0) = (place / self.across * self.cut.rows, place % self.across * self.cut.columns);
        let (r1, c1) = (job.m.min(r0 + self.cut.rows), job.n.min(c0 + self.cut.columns));
        let batch = part * self.cut.items;
        let items = batch..job.batch.min(batch + self.cut.items);
        if prepacked.is_none()
            && (items.len() == 1 && self.direct(batch, (r0, r1), (c0, c1)) || self.blocked(items, (r0, r1), (c0, c1)))
        {
            return;
        }
        let in_place = if r1 - r0 <= ROWS_UNPACKED && job.k > 0 { job.b.plain(batch) } else { None };
        let in_place = in_place.filter(|b| b.lane_stride == 1).map(|b| (b.data, b.step));
        let mc = MC / mr * mr;
        let kc = KC.min(job.k);
        let a_room = if prepacked.is_some() { 0 } else { mc.min((r1 - r0).next_multiple_of(*mr)) * kc };
        with_scratch((c1 - c0).next_multiple_of(*nr) * kc + a_room, |room| {
            // B first: its panels are whole cache lines.
            let (b_room, a_room) = room.split_at_mut(room.len() - a_room);
            let mut k0 = 0;
            loop {
                let k1 = job.k.min(k0 + KC);
                let b = Columns { in_place, panels: b_room, k: (k0, k1), nr: *nr };
                self.pack_columns(batch, (k0, k1), (c0, c1), in_place.is_some(), b.panels);
                for row in (r0..r1).step_by(mc) {
                    let rows = (row, r1.min(row + mc));
                    let a = match prepacked {
                        Some(packed) => {
                            let padded = job.m.next_multiple_of(*mr);
                            &packed[padded * (batch % job.a_period * job.k + k0) + row * (k1 - k0)..]
                        }
                        None => {
                            self.pack_rows(batch % job.a_period, (k0, k1), rows, a_room);
                            &*a_room
                        }
                    };
                    self.block(batch, a, &b, rows, (c0, c1), job.accumulate || k0 > 0);
                    if let (Some(epilogue), true) = (job.epilogue, k1 == job.k) {
                        // SAFETY: this unit alone touches its rectangle, and no kernel runs on it now.
                        epilogue(unsafe {
                            Tile::new(job.c, job.c_batch_stride, job.c_row_stride, batch, rows, (c0, c1))
                        });
                    }
                }
                k0 = k1;
                if k0 == job.k {
                    break;
                }
            }
        });
    }

    /// Computes one rectangle without packing, if that is the better way.
    fn direct(&self, batch: usize, rows: (usize, usize), columns: (usize, usize)) -> bool {
        let job = self.job;
        let (Some(a), Some(b)) = (job.a.plain(batch % job.a_period), job.b.plain(batch)) else { return false };
        let start = job.c.pointer(batch * job.c_batch_stride, (rows.1 - 1) * job.c_row_stride + columns.1);
        let ranges = (rows.0..rows.1, columns.0..columns.1);
        let Some(direct) = Direct::new(self.machine.simd, (a, b), ranges, job.k, (start, job.c_row_stride)) else {
            return false;
        };
        // SAFETY: this unit alone touches its rectangle, which ends within the bounds checked above.
        unsafe { direct.run(job.accumulate) };
        if let Some(epilogue) = job.epilogue {
            // SAFETY: as above, and the kernels have ended.
            epilogue(unsafe { Tile::new(job.c, job.c_batch_stride, job.c_row_stride, batch, rows, columns) });
        }
        true
    }

    /// Computes one rectangle of each item from operands that lie in memory with plain strides.
    fn blocked(&self, items: Range<usize>, rows: (usize, usize), columns: (usize, usize)) -> bool {
        let job = self.job;
        let Some(a) = job.a.plain(items.start % job.a_period) else { return false };
        let item = |item: usize| {
            let start = item * job.c_batch_stride + rows.0 * job.c_row_stride + columns.0;
            let size = (rows.1 - rows.0 - 1) * job.c_row_stride + columns.1 - columns.0;
            Some((job.b.plain(item)?, job.c.pointer(start, size)))
        };
        let Some(of_items) = items.clone().map(item).collect::<Option<Vec<_>>>() else { return false };
        if job.k == 0 {
            return false;
        }
        let blocked = Blocked {
            simd: self.machine.simd,
            kernel: self.kernel,
            a,
            items: &of_items,
            rows: rows.0..rows.1,
            columns: columns.0..columns.1,
            k: job.k,
            c_stride: job.c_row_stride,
        };
        let finish = job.epilogue.map(|epilogue| {
            move |item: usize, rows: Range<usize>, columns: Range<usize>| {
                let (rows, columns) = ((rows.start, rows.end), (columns.start, columns.end));
                let item = items.start + item;
                // SAFETY: this unit alone touches its rectangle, and no kernel runs on it now.
                epilogue(unsafe { Tile::new(job.c, job.c_batch_stride, job.c_row_stride, item, rows, columns) });
            }
        });
        let finish: Option<Finish<'_>> = finish.as_ref().map(|finish| finish as Finish<'_>);
        // SAFETY: this unit alone touches its rectangles, which are within the bounds checked above.
        unsafe { blocked.run(job.accumulate, finish) };
        true
    }

    /// Packs columns `c0..c1` of B for steps `k0..k1`; where full panels are read in place, only a last partial one.
    fn pack_columns(
        &self,
        batch: usize,
        (k0, k1): (usize, usize),
        (c0, c1): (usize, usize),
        in_place: bool,
        packed: &mut [f32],
    ) {
        let nr = self.kernel.nr;
        if k0 == k1 {
            return;
        }
        for (panel, column) in packed.chunks_exact_mut(nr * (k1 - k0)).zip((c0..c1).step_by(nr)) {
            if !in_place || column + nr > c1 {
                self.job.b.pack(self.machine.simd, batch, k0..k1, column..c1.min(column + nr), nr, panel);
            }
        }
    }

    /// Runs the kernel over the tiles of one block: rows of packed `a` against columns `c0..c1` of `b`.
    fn block(
        &self,
        batch: usize,
        a: &[f32],
        b: &Columns<'_>,
        (r0, r1): (usize, usize),
        (c0, c1): (usize, usize),
        accumulate: bool,
    ) {
        let (job, kernel) = (self.job, self.kernel);
        let steps = b.k.1 - b.k.0;
        assert!((r1 - r0).next_multiple_of(kernel.mr) * steps <= a.len());
        let most = if b.in_place.is_some() { KC_IN_PLACE } else { KC };
        let mut first = 0;
        loop {
            let last = steps.min(first + most);
            for column in (c0..c1).step_by(kernel.nr) {
                let (panel, b_step) = b.panel(column - c0, column, column + kernel.nr <= c1);
                let columns = kernel.nr.min(c1 - column);
                for row in (r0..r1).step_by(kernel.mr) {
                    let rows = kernel.mr.min(r1 - row);
                    // SAFETY: the panel of A is inside `a` by the assertion; the panel of B by `panel`; C was checked
                    // to hold every row and column of the job, and this unit alone touches its rectangle.
                    unsafe {
                        let c = job.c.slice(batch * job.c_batch_stride + row * job.c_row_stride + column, columns);
                        kernel.tile(
                            (rows, columns, last - first),
                            Factors::strided(a.as_ptr().add((row - r0) * steps + first * kernel.mr), 1, kernel.mr),
                            Rows::even(panel.as_ptr().wrapping_add(first * b_step), b_step),
                            (c.as_mut_ptr(), job.c_row_stride),
                            accumulate || first > 0,
                        );
                    }
                }
            }
            first = last;
            if first == steps {
                break;
            }
        }
    }
}

/// The columns of B for one block of k: packed, or its rows in memory.
struct Columns<'a> {
    in_place: Option<(&'a [f32], usize)>,
    panels: &'a mut [f32],
    k: (usize, usize),
    nr: usize,
}

impl Columns<'_> {
    /// The panel at column `within` of the unit, `column` of the matrix, and the step between its rows.
    #[inline(always)]
    fn panel(&self, within: usize, column: usize, full: bool) -> (&[f32], usize) {
        let (k0, k1) = self.k;
        if k0 == k1 {
            return (&[], 0);
        }
        match self.in_place {
            Some((data, stride)) if full => {
                let panel = &data[k0 * stride + column..];
                assert!((k1 - k0 - 1) * stride + self.nr <= panel.len());
                (panel, stride)
            }
            _ => (&self.panels[within * (k1 - k0)..][..self.nr * (k1 - k0)], self.nr),
        }
    }
}
