//! Running a program: which part of the space goes to which unit of work, and tile after tile within it.

use tensor::order::{BLOCK, LANES};
use tensor::plan::SlotId;

use super::frame::Frame;
use super::kernels::Arg;
use super::program::Program;
use super::strip::LONGEST;
use super::tiles::{LONG_ROW, LONGEST_ROW, NARROW};
use super::walk::Order;
use crate::exec::memory::Slots;
use crate::machine::Machine;
use crate::scratch::with_scratch;
use crate::simd::Simd;

/// Less work than this (additions of f32, about 15 microseconds) stays on the calling thread: waking a second one costs
/// 5 to 50 microseconds.
pub(super) const PARALLEL: usize = 1 << 18;
/// Units for each thread, so that a delayed thread delays the rest by little.
const UNITS_PER_THREAD: usize = 4;

impl Program {
    /// Bytes of shared working memory that [`Program::run`] needs.
    pub fn shared_bytes(&self) -> usize {
        let rows = self.row_bytes(self.kept) + self.partial_bytes(self.kept);
        match (self.split(), self.chains_shared) {
            (true, _) => rows,
            (false, true) => rows + self.chain_bytes(),
            (false, false) => 0,
        }
    }

    /// Runs the program over its whole space. `result` is the first byte of [`super::program::RESULT`].
    pub fn run(&self, machine: &Machine, slots: Slots<'_>, result: *mut u8) {
        if self.kept == 0 || (self.reduced == 0 && self.most_folds() == 0) {
            return;
        }
        let threads = machine.pool.threads();
        let units = if threads == 1 || self.work() < PARALLEL { 1 } else { threads * UNITS_PER_THREAD };
        let target = Target { program: self, slots, result: Shared(result), simd: machine.simd };
        if self.split() {
            self.run_split(machine, &target, units);
            return;
        }
        if self.chains_shared && units > 1 {
            self.run_chains(machine, &target, true, None);
            return;
        }
        let tiles = self.kept.div_ceil(self.tile_kept);
        let units = units.min(tiles);
        let unit = |unit: usize| {
            target.frame(None, |frame| {
                frame.uniform();
                let [first, end] = [unit, unit + 1].map(|unit| (unit * tiles / units * self.tile_kept).min(self.kept));
                frame.whole_rows(first..end, end);
            });
        };
        if units == 1 { unit(0) } else { machine.pool.run(units, unit) }
    }

    /// Runs a program without reductions over rows of points on the calling thread: (address of the result's first point,
    /// its number in the space, number of points).
    pub fn run_rows(&self, simd: Simd, slots: Slots<'_>, rows: impl Iterator<Item = (*mut f32, usize, usize)>) {
        let target = Target { program: self, slots, result: Shared(std::ptr::null_mut()), simd };
        target.frame(None, |frame| {
            frame.uniform();
            for (address, first, count) in rows {
                frame.result = address.wrapping_sub(first).cast();
                frame.range(&self.passes[0], (0, 1), first, first + count);
            }
        });
    }

    /// Whether the folded axes are cut among units: always without reductions, and where rows are few and long.
    pub(super) fn split(&self) -> bool {
        self.most_folds() == 0 && self.rows == 0 || (!self.resident && self.blocks() > 1 && self.kept <= NARROW)
    }

    /// What it costs, in additions of f32.
    pub(super) fn work(&self) -> usize {
        let of_row = self.reduced.saturating_mul(self.weight).saturating_add(self.row_weight);
        self.kept.saturating_mul(of_row)
    }

    /// Whether it goes over whole rows, each of them once.
    pub fn whole_rows(&self) -> bool {
        self.order == Order::Rows && self.resident
    }

    /// Whether it is sums of columns over the rows of another program, which can be made row by row on so many threads.
    pub fn sums_columns(&self, rows: &Program, threads: usize) -> bool {
        let [pass] = &self.passes[..] else { return false };
        let sums = self.order == Order::Columns && !pass.folds.is_empty() && pass.stores.is_empty();
        // (A resident program makes sums of sums in one pass, for which a tile must hold whole columns; and threads share the 16 chains.)
        sums && !self.resident
            && self.reduced > 0
            && self.reduced == rows.kept
            && (LONG_ROW..=LONGEST_ROW).contains(&self.kept)
            && 2 * threads <= LANES
    }

    /// Whether all that it reads of what `rows` writes to a slot lies in the row that it belongs to.
    pub fn reads_by_rows(&self, slot: SlotId, rows: &Program) -> bool {
        let full = rows.passes.iter().flat_map(|pass| &pass.stores).find(|store| store.operand.slot == slot);
        let length = if full.is_some() { rows.reduced } else { 1 };
        full.is_none_or(|store| store.operand.always_direct(Order::Rows))
            && self.operands.iter().filter(|operand| operand.slot == slot).all(|operand| operand.lies_in_rows(length))
    }

    /// Runs `self`, of whole rows, and sums of columns over the same rows, each while the row is still in the cache.
    pub fn run_with(&self, columns: &Program, machine: &Machine, slots: Slots<'_>) {
        let target = |program| Target { program, slots, result: Shared(std::ptr::null_mut()), simd: machine.simd };
        columns.run_chains(machine, &target(columns), self.work() >= PARALLEL, Some(&target(self)));
    }

    /// Sums of columns, by chains: neighbouring ones for each unit, as many as a tile has rows, after the same rows of `first`.
    fn run_chains(&self, machine: &Machine, target: &Target<'_>, parallel: bool, first: Option<&Target<'_>>) {
        let rows = target.slots.extra;
        let partial = rows.wrapping_add(self.row_bytes(self.kept));
        let chains = partial.wrapping_add(self.partial_bytes(self.kept));
        let all = Shares { rows: Shared(rows), partial: Shared(partial), chains: Some(Shared(chains)) };
        let pass = &self.passes[0];
        target.frame(Some(&all), |frame| {
            frame.uniform();
            frame.row_lines(&self.before, 0, self.kept);
        });
        for block in (0..self.reduced).step_by(BLOCK) {
            target.frame(Some(&all), |frame| frame.start_chains(pass, self.kept));
            let (chains, end) = (self.tile_reduced, self.reduced.min(block + BLOCK));
            let unit = |unit: usize| {
                let rows = (block + unit * chains..end).step_by(LANES).map(|row| row..end.min(row + chains));
                target.frame(Some(&all), |frame| {
                    frame.uniform();
                    frame.bind_rows(0);
                    match first {
                        None => rows.for_each(|rows| {
                            let next = Some(rows.start + LANES).filter(|next| next + rows.len() <= end);
                            frame.sum_rows(pass, self.kept, rows, next);
                        }),
                        Some(first) => first.frame(None, |others| {
                            others.uniform();
                            for rows in rows {
                                others.whole_rows(rows.clone(), rows.start + LANES);
                                // (The others have asked for the next rows.)
                                frame.sum_rows(pass, self.kept, rows, None);
                            }
                        }),
                    }
                });
            };
            let units = LANES / chains;
            if parallel {
                machine.pool.run(units, unit)
            } else {
                (0..units).for_each(unit)
            }
            target.frame(Some(&all), |frame| frame.finish_chains(pass, (0, self.kept), block));
        }
        target.frame(Some(&all), |frame| {
            frame.uniform();
            frame.bind_rows(0);
            frame.combine(pass, 0, self.kept);
            frame.row_lines(&pass.after, 0, self.kept);
            frame.store_rows(0, self.kept);
        });
    }

    fn run_split(&self, machine: &Machine, target: &Target<'_>, units: usize) {
        let rows = target.slots.extra;
        let partial = rows.wrapping_add(self.row_bytes(self.kept));
        let all = Shares { rows: Shared(rows), partial: Shared(partial), chains: None };
        let tiles = self.kept.div_ceil(self.tile_kept);
        target.frame(Some(&all), |frame| {
            frame.uniform();
            frame.row_lines(&self.before, 0, self.kept);
        });
        for pass in &self.passes {
            let (step, per_tile) = if pass.folds.is_empty() {
                let tiles_of_r = self.reduced.div_ceil(self.tile_reduced);
                let cuts = units.div_ceil(tiles).clamp(1, tiles_of_r.max(1));
                let step = tiles_of_r.div_ceil(cuts) * self.tile_reduced;
                (step, self.reduced.div_ceil(step.max(1)))
            } else {
                let cuts = units.div_ceil(tiles).clamp(1, self.blocks());
                let step = self.blocks().div_ceil(cuts) * BLOCK;
                (step, self.reduced.div_ceil(step).max(1))
            };
            let count = tiles * per_tile;
            let shares = count.min(units);
            let unit = |unit: usize| {
                target.frame(Some(&all), |frame| {
                    frame.uniform();
                    for piece in unit * count / shares..(unit + 1) * count / shares {
                        let (tile, part) = (piece / per_tile, piece % per_tile);
                        let k0 = tile * self.tile_kept;
                        let kept = (k0, self.tile_kept.min(self.kept - k0));
                        frame.bind_rows(k0);
                        frame.range(pass, kept, part * step, self.reduced.min((part + 1) * step));
                    }
                });
            };
            if shares == 1 {
                unit(0)
            } else {
                machine.pool.run(shares, unit)
            }
            target.frame(Some(&all), |frame| {
                frame.uniform();
                frame.bind_rows(0);
                frame.combine(pass, 0, self.kept);
                frame.row_lines(&pass.after, 0, self.kept);
            });
        }
        target.frame(Some(&all), |frame| {
            frame.uniform();
            frame.bind_rows(0);
            frame.store_rows(0, self.kept);
        });
    }

    fn row_bytes(&self, kept: usize) -> usize {
        (self.rows * kept * 8).next_multiple_of(64)
    }

    fn chain_bytes(&self) -> usize {
        (self.most_folds() * LANES * self.tile_kept * 8).next_multiple_of(64)
    }

    fn partial_bytes(&self, kept: usize) -> usize {
        if self.blocks() == 1 { 0 } else { (self.most_folds() * self.blocks() * kept * 8).next_multiple_of(64) }
    }
}

/// A pointer that units share.
#[derive(Clone, Copy)]
struct Shared(*mut u8);
// SAFETY: units write different elements behind it.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Row registers and block results that units share, and chains if they do.
struct Shares {
    rows: Shared,
    partial: Shared,
    chains: Option<Shared>,
}

/// What all units of a run have in common.
struct Target<'a> {
    program: &'a Program,
    slots: Slots<'a>,
    result: Shared,
    simd: Simd,
}

impl Target<'_> {
    /// Lends a frame to `task`.
    fn frame(&self, shares: Option<&Shares>, task: impl FnOnce(&mut Frame<'_>)) {
        let program = self.program;
        let count = program.lines.len();
        let round = |bytes: usize| bytes.next_multiple_of(64);
        let (regs, cells) = (round(count * size_of::<Arg>()), round(count * 8));
        let own = if shares.is_some() { 0 } else { program.tile_kept };
        let rows = program.row_bytes(own);
        let partial = program.partial_bytes(own);
        let shared_chains = shares.and_then(|shares| shares.chains);
        let chains = if shared_chains.is_some() { 0 } else { program.chain_bytes() };
        let strips = program.strips * LONGEST * size_of::<f32>();
        let tiles = program.bytes * program.points;
        let bytes = regs + cells + rows + partial + chains + strips + tiles;
        with_scratch(bytes.div_ceil(4), |memory| {
            let start: *mut u8 = memory.as_mut_ptr().cast();
            // SAFETY: `Arg` is plain data of the pointers' alignment at the start of the memory, and is written first.
            let registers = unsafe {
                let first = start.cast::<Arg>();
                (0..count).for_each(|line| first.add(line).write(Arg::NONE));
                std::slice::from_raw_parts_mut(first, count)
            };
            // SAFETY: within the memory, by the sum above.
            let (cells_at, rows_at, partial_at, chains_at, strips_at) = unsafe {
                let cells_at = start.add(regs);
                let rows_at = cells_at.add(cells);
                let partial_at = rows_at.add(rows);
                let chains_at = partial_at.add(partial);
                (cells_at, rows_at, partial_at, chains_at, chains_at.add(chains))
            };
            task(&mut Frame {
                program,
                slots: self.slots,
                result: self.result.0,
                simd: self.simd,
                regs: registers,
                cells: cells_at,
                rows: shares.map_or(rows_at, |shares| shares.rows.0),
                capacity: if shares.is_some() { program.kept } else { program.tile_kept },
                shared: shares.is_some(),
                chains: shared_chains.map_or(chains_at, |chains| chains.0),
                partial: shares.map_or(partial_at, |shares| shares.partial.0),
                strips: strips_at,
                tiles: strips_at.wrapping_add(strips),
                base: 0,
            });
        });
    }
}
