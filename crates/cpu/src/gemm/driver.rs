//! The blocked product: C is cut into units for the threads, k into blocks for the caches, and the kernels run.
//!
//! Each element of C is one chain of fused multiply-adds, k ascending. Between blocks of k the chain rests in C itself,
//! which loses nothing, so neither the blocks nor the units show in the result.

use super::blocked::{Blocked, SHARED_MOST, Shared, block_rows};
use super::direct::{Direct, small_footprint};
use super::kernel::Kernel;
use super::pack::Panels;
use super::{Epilogue, Tile};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::simd::Simd;
use std::ops::Range;

/// Fewer multiply-adds than this (about 15 microseconds of one core) are not worth waking a second thread.
pub(crate) const SMALL: usize = 1 << 21;
/// Fewer than this (5 to 10 microseconds) are not worth handing to one that is awake.
const SMALL_AWAKE: usize = 1 << 19;
/// A number of the large matrix of a thin product costs as much as so many multiply-adds: one row is multiplied at 17 GFLOP/s of 103,
/// two at 24 (Zen 3).
const FETCH: usize = 8;
/// A unit is not cut below this many multiply-adds.
const UNIT: usize = 1 << 18;
/// Units for each thread, where there is enough work: a delayed thread then delays the rest by little.
const UNITS_PER_THREAD: usize = 4;
/// And more of them, up to so many, where a unit would be longer than this many multiply-adds, with vectors below 16 floats and with those
/// of 16. (Low and narrow units cost: 384 x 1536 x 2048 with AVX-512 on two threads, 18 units 258 GFLOP/s, 8 units 285.)
const LONG_UNIT: [usize; 2] = [1 << 26, 1 << 28];
const UNITS_MOST: usize = 16;
/// Parts of columns pack the same rows, and pass by them: fewer of them, while each thread has one, where they would be shorter than
/// this many multiply-adds (half a millisecond).
const SHORT_UNIT: usize = 1 << 25;
/// A unit packs A itself if at least so many panels of columns use it (400 to 800 columns cut for two threads: as fast as sharing, or up to
/// 8 % faster).
const OWN_A: usize = 8;
/// An epilogue runs over whole rows in one go, and over parts of rows one by one: rows of a unit are not made shorter than
/// this where the other cut is as good.
const LONG_ROW: usize = 1024;
/// Sums of more steps than this cost so much that C may pass through memory once more for its epilogue.
const LONG_SUM: usize = 256;
/// Fewest rows of a unit of whole rows, for short sums and for long ones: the packed columns pass by once for each unit.
const LOW: [usize; 2] = [24, 64];
/// Elements of C, at most, whose epilogue may follow the product: 4 MiB, which stay in the third-level cache.
const AFTER_MOST: usize = 1 << 20;
/// Items of at most this many columns share the packed part of A.
const FEW_COLUMNS: usize = 256;

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
    /// What the product costs, in multiply-adds at their full rate. In thin products each number of the large matrix is used once
    /// or a few times: it costs what it takes to fetch and turn it.
    fn work(&self) -> usize {
        (self.batch * self.m.min(self.n).max(FETCH) * self.m.max(self.n)).saturating_mul(self.k)
    }
}

/// How C is cut: each unit is about `rows` x `columns` of `items` batch items. Several items only where all share one A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    items: usize,
    rows: usize,
    columns: usize,
    /// The epilogue follows when all of C is done, over whole rows: the units are parts of rows.
    epilogue_after: bool,
}

/// Cuts so that every thread has work, if it is `parallel`, and every cut-off piece is still worth a unit. Columns are cut first, since
/// a cut of the rows makes several units pack the same part of B, where A is packed once or is the smaller one; items of few columns
/// stay together, since each of them would make A be packed again.
fn cut(kernel: &Kernel, threads: usize, parallel: bool, job: &Job<'_>) -> Cut {
    let small = job.m * job.n + (job.m + job.n).saturating_mul(job.k) <= small_footprint();
    let together = job.a_period == 1 && (kernel.nr..=FEW_COLUMNS).contains(&job.n) && !(small && plain(job));
    let items = if together { job.batch } else { 1 };
    let mut cut = Cut { items, rows: job.m, columns: job.n, epilogue_after: false };
    if !parallel {
        return Cut { items: 1, ..cut };
    }
    if threads == 1 {
        return cut;
    }
    let work = job.work();
    let units = |cut: Cut| job.batch.div_ceil(cut.items) * job.m.div_ceil(cut.rows) * job.n.div_ceil(cut.columns);
    let long = LONG_UNIT[usize::from(kernel.width >= 16)];
    let limited = |count: usize| count.max(work / long).min(work / UNIT).min(threads * UNITS_MOST);
    let usual = limited(threads * UNITS_PER_THREAD);
    let fewer = limited((work / SHORT_UNIT).clamp(threads, threads * UNITS_PER_THREAD));
    let single = job.batch == 1 && plain(job);
    if single && (job.epilogue.is_some() || job.m >= job.n) {
        if let Some(parts) = parts_of_rows(kernel, threads, job, usual) {
            return Cut { rows: job.m.div_ceil(parts), ..cut };
        }
        let parts = fewer.clamp(1, job.n.div_ceil(2 * kernel.nr));
        if job.epilogue.is_some() && parts >= threads && job.m * job.n <= AFTER_MOST {
            let columns = even_part(job.n, job.n.div_ceil(parts), kernel.nr);
            return Cut { columns, epilogue_after: true, ..cut };
        }
    }
    let wanted = if single { fewer } else { usual };
    // Long sums outweigh any epilogue.
    let rows_matter = job.epilogue.is_some() && job.k <= LONG_SUM && plain(job);
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
            // A is packed once for all units, or by few, and so is B if its columns alone are cut.
            (true, true) if job.epilogue.is_none() && cut.columns >= 16 * kernel.nr => narrower,
            (true, true) if cut.columns * 2 >= cut.rows && (!rows_matter || cut.columns >= 2 * LONG_ROW) => narrower,
            (true, true) => lower,
            (false, false) => break,
        };
    }
    cut
}

/// Number of units of whole rows, which share the packed B and pack each their own rows of A: both are packed once. `None` where B
/// is large, or where rows are too few.
fn parts_of_rows(kernel: &Kernel, threads: usize, job: &Job<'_>, wanted: usize) -> Option<usize> {
    // The columns pass by once for each block of rows; and no thread should wait for the last unit of another.
    let parts = wanted.max(job.m.div_ceil(block_rows(kernel, job.k))).next_multiple_of(threads);
    let most = job.m.div_ceil(LOW[usize::from(job.k > LONG_SUM)]);
    (parts <= most && job.k.saturating_mul(job.n) <= SHARED_MOST).then_some(parts)
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
    let parallel = job.work() >= if machine.pool.awake() { SMALL_AWAKE } else { SMALL };
    let cut = cut(kernel, machine.pool.threads(), parallel, job);
    let (down, across) = (job.m.div_ceil(cut.rows), job.n.div_ceil(cut.columns));
    let units = job.batch.div_ceil(cut.items) * down * across;
    let product = Job { epilogue: job.epilogue.filter(|_| !cut.epilogue_after), ..*job };
    let work = Work { simd: machine.simd, kernel, job: &product };
    let place = |unit: usize| {
        let (part, place) = (unit / (down * across), unit % (down * across));
        let rows = share(job.m, kernel.mr, down, place / across);
        let columns = share(job.n, kernel.nr, across, place % across);
        let item = part * cut.items;
        (item..job.batch.min(item + cut.items), rows, columns)
    };
    let each = |shared: Option<&Shared<'_>>| {
        let unit = |unit: usize| work.unit(place(unit), shared);
        if parallel { machine.pool.run(units, unit) } else { (0..units).for_each(unit) }
    };
    // Several units of one matrix of A would each pack it; and several units of rows all of B. (One for each thread do it side by side,
    // which costs less than a job of its own if they use it often.)
    let of_a = units > down * job.a_period && (units > machine.pool.threads() || cut.columns < OWN_A * kernel.nr);
    let of_b = job.batch == 1 && down > 2 && across == 1 && plain(job);
    // (Each unit that reads its operands where they lie would turn all of a B that lies along k, if it is not of few columns.)
    let turned = of_b && job.n > 2 * kernel.nr && job.b.plain(0).is_some_and(|b| b.lane_stride != 1);
    if (of_a || of_b) && parallel && (turned || !work.direct(place(0))) {
        Shared::with(machine, job, (of_a, of_b), each);
    } else {
        each(None);
    }
    if cut.epilogue_after {
        after(machine, job);
    }
}

/// Part `number` of `parts` of `total`: they begin at multiples of `step`, and differ by one step at most.
fn share(total: usize, step: usize, parts: usize, number: usize) -> Range<usize> {
    let steps = part_of(total.div_ceil(step), parts, number);
    total.min(steps.start * step)..total.min(steps.end * step)
}

/// The epilogue of a single product whose C is complete, some whole rows at a time.
fn after(machine: &Machine, job: &Job<'_>) {
    /// Elements of C at a time.
    const TOGETHER: usize = 1 << 14;
    let Some(epilogue) = job.epilogue else { return };
    let rows = (TOGETHER / job.n).clamp(1, job.m);
    machine.pool.run(job.m.div_ceil(rows), |unit| {
        let rows = (unit * rows, job.m.min((unit + 1) * rows));
        // SAFETY: each unit has rows of its own, and no kernel runs on them now.
        epilogue(unsafe { Tile::new(job.c, job.c_batch_stride, job.c_row_stride, 0, rows, (0, job.n)) });
    });
}

/// Items, rows and columns.
type Place = (Range<usize>, Range<usize>, Range<usize>);

struct Work<'a> {
    simd: Simd,
    kernel: &'static Kernel,
    job: &'a Job<'a>,
}

impl Work<'_> {
    /// Whether a unit reads its operands where they lie.
    fn direct(&self, (items, rows, columns): Place) -> bool {
        let job = self.job;
        let start = (std::ptr::null_mut(), job.c_row_stride);
        items.len() == 1
            && job
                .a
                .plain(items.start % job.a_period)
                .zip(job.b.plain(items.start))
                .is_some_and(|operands| Direct::new(self.simd, operands, (rows, columns), job.k, start).is_some())
    }

    /// Computes one rectangle of C in each of some items, all of k.
    fn unit(&self, (items, rows, columns): Place, shared: Option<&Shared<'_>>) {
        let job = self.job;
        let finish = |item: usize, rows: Range<usize>, columns: Range<usize>| {
            if let Some(epilogue) = job.epilogue {
                let (rows, columns) = ((rows.start, rows.end), (columns.start, columns.end));
                // SAFETY: this unit alone touches its rectangles, and no kernel runs on this one now.
                epilogue(unsafe { Tile::new(job.c, job.c_batch_stride, job.c_row_stride, item, rows, columns) });
            }
        };
        if job.k == 0 {
            for item in items {
                if !job.accumulate {
                    for row in rows.clone() {
                        let start = item * job.c_batch_stride + row * job.c_row_stride + columns.start;
                        // SAFETY: this unit alone touches its rectangles.
                        unsafe { job.c.slice(start, columns.len()) }.fill(0.0);
                    }
                }
                finish(item, rows.clone(), columns.clone());
            }
            return;
        }
        let c = |item: usize| {
            let reach = (rows.end - 1) * job.c_row_stride + columns.end;
            (job.c.pointer(item * job.c_batch_stride, reach), job.c_row_stride)
        };
        if items.len() == 1
            && shared.is_none()
            && let (Some(a), Some(b)) = (job.a.plain(items.start % job.a_period), job.b.plain(items.start))
            && let ranges = (rows.clone(), columns.clone())
            && let Some(direct) = Direct::new(self.simd, (a, b), ranges, job.k, c(items.start))
        {
            // SAFETY: this unit alone touches its rectangle, which is in bounds by the check in `c`.
            unsafe { direct.run(job.accumulate) };
            return finish(items.start, rows, columns);
        }
        let blocked = Blocked {
            simd: self.simd,
            kernel: self.kernel,
            job,
            targets: &items.clone().map(|item| c(item).0).collect::<Vec<_>>(),
            items,
            rows: rows.clone(),
            columns: columns.clone(),
            shared,
        };
        // SAFETY: as above.
        unsafe { blocked.run(&finish) };
    }
}
