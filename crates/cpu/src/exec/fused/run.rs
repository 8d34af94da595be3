//! Running a program: which part of the space goes to which unit of work, and tile after tile within it.

use tensor::RandomKey;
use tensor::order::{BLOCK, LANES};

use super::fold::Folded;
use super::kernels::{Arg, Call};
use super::program::{Kind, Line, Pass, Program, RESULT, What};
use super::source;
use super::walk::{Operand, Order, Tile, gather, scatter};
use crate::exec::memory::Slots;
use crate::machine::Machine;
use crate::scratch::with_scratch;
use crate::simd::Simd;

/// Less work than this (additions of f32, about 15 microseconds) stays on the calling thread: waking a second one costs
/// 5 to 50 microseconds.
const PARALLEL: usize = 1 << 18;
/// Units for each thread, so that a delayed thread delays the rest by little.
const UNITS_PER_THREAD: usize = 4;

impl Program {
    /// Bytes of shared working memory that [`Program::run`] needs.
    pub fn shared_bytes(&self) -> usize {
        if self.split() { self.row_bytes(self.kept) + self.partial_bytes(self.kept) } else { 0 }
    }

    /// Runs the program over its whole space. `result` is the first byte of [`RESULT`].
    pub fn run(&self, machine: &Machine, slots: Slots<'_>, result: *mut u8) {
        if self.kept == 0 || (self.reduced == 0 && self.most_folds() == 0) {
            return;
        }
        let threads = machine.pool.threads();
        let of_row = self.reduced.saturating_mul(self.weight).saturating_add(self.row_weight);
        let work = self.kept.saturating_mul(of_row);
        let units = if threads == 1 || work < PARALLEL { 1 } else { threads * UNITS_PER_THREAD };
        let target = Target { program: self, slots, result: Shared(result), simd: machine.simd };
        if self.split() {
            self.run_split(machine, &target, units);
            return;
        }
        let tiles = self.kept.div_ceil(self.tile_kept);
        let units = units.min(tiles);
        let unit = |unit: usize| {
            target.frame(None, |frame| {
                frame.uniform();
                for tile in unit * tiles / units..(unit + 1) * tiles / units {
                    let k0 = tile * self.tile_kept;
                    frame.rows_tile(k0, self.tile_kept.min(self.kept - k0));
                }
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
    fn split(&self) -> bool {
        self.most_folds() == 0 && self.rows == 0 || (!self.resident && self.blocks() > 1 && self.kept <= 64)
    }

    fn run_split(&self, machine: &Machine, target: &Target<'_>, units: usize) {
        let rows = target.slots.extra;
        let partial = rows.wrapping_add(self.row_bytes(self.kept));
        let all = Shares { rows: Shared(rows), partial: Shared(partial) };
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
            let unit = |unit: usize| {
                let (tile, part) = (unit / per_tile, unit % per_tile);
                let k0 = tile * self.tile_kept;
                let kept = (k0, self.tile_kept.min(self.kept - k0));
                target.frame(Some(&all), |frame| {
                    frame.uniform();
                    frame.bind_rows(k0);
                    let end = self.reduced.min((part + 1) * step);
                    frame.range(pass, kept, part * step, end);
                });
            };
            let count = tiles * per_tile;
            if units == 1 || count == 1 {
                (0..count).for_each(unit)
            } else {
                machine.pool.run(count, unit)
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

/// Row registers and block results that units share.
struct Shares {
    rows: Shared,
    partial: Shared,
}

/// What all units of a run have in common.
struct Target<'a> {
    program: &'a Program,
    slots: Slots<'a>,
    result: Shared,
    simd: Simd,
}

/// The working memory of one unit.
struct Frame<'a> {
    program: &'a Program,
    slots: Slots<'a>,
    result: *mut u8,
    simd: Simd,
    /// Where the value of each line lies now.
    regs: &'a mut [Arg],
    /// Uniform values, 8 bytes a line.
    cells: *mut u8,
    /// Row registers, `capacity` values of 8 bytes each.
    rows: *mut u8,
    capacity: usize,
    /// Kept point at which row registers and block results begin: their own tile, or 0 if they are shared.
    shared: bool,
    chains: *mut u8,
    partial: *mut u8,
    tiles: *mut u8,
    /// First kept point of the row registers.
    base: usize,
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
        let chains = round(program.most_folds() * LANES * program.tile_kept * 8);
        let tiles = program.bytes * program.points;
        let bytes = regs + cells + rows + partial + chains + tiles;
        with_scratch(bytes.div_ceil(4), |memory| {
            let start: *mut u8 = memory.as_mut_ptr().cast();
            // SAFETY: `Arg` is plain data of the pointers' alignment at the start of the memory, and is written first.
            let registers = unsafe {
                let first = start.cast::<Arg>();
                (0..count).for_each(|line| first.add(line).write(Arg::NONE));
                std::slice::from_raw_parts_mut(first, count)
            };
            // SAFETY: within the memory, by the sum above.
            let (cells_at, rows_at, partial_at, chains_at, tiles_at) = unsafe {
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
                chains: chains_at,
                partial: shares.map_or(partial_at, |shares| shares.partial.0),
                tiles: tiles_at,
                base: 0,
            });
        });
    }
}

// SAFETY notes in this block: kernels get arguments and buffers of the types and sizes for which the program chose them;
// operands stay within their slots, which the plan promises; units write different elements.
impl Frame<'_> {
    fn memory(&self, operand: &Operand) -> *mut u8 {
        if operand.slot == RESULT { self.result } else { self.slots.base(operand.slot) }
    }

    fn args(&self, line: &Line) -> [Arg; 3] {
        let mut args = [Arg::NONE; 3];
        for (arg, &of) in args.iter_mut().zip(line.inputs()) {
            *arg = self.regs[of as usize];
        }
        args
    }

    /// Computes the lines of one value.
    fn uniform(&mut self) {
        let program = self.program;
        for &index in &program.uniform {
            let line = &program.lines[index as usize];
            let data = match line.what {
                What::Constant(constant) => (&raw const program.constants[constant as usize]).cast::<u8>(),
                What::Load { operand, .. } => {
                    let operand = &program.operands[operand as usize];
                    let first = operand.first(&Tile { k0: 0, kn: 1, r0: 0, rn: 1 });
                    self.memory(operand).wrapping_offset(first * operand.size as isize).cast_const()
                }
                What::Call { kernel, .. } => {
                    let out = self.cells.wrapping_add(index as usize * 8);
                    // SAFETY: see above; the cell has 8 bytes.
                    unsafe { kernel(self.simd, &Call { out, args: self.args(line), len: 1 }) };
                    out
                }
                _ => continue,
            };
            self.regs[index as usize] = Arg { data, many: false };
        }
    }

    fn row_register(&self, row: usize, k0: usize, size: usize) -> *mut u8 {
        let skipped = if self.shared { k0 } else { k0 - self.base };
        self.rows.wrapping_add(row * self.capacity * 8 + skipped * size)
    }

    /// Points the registers of row lines at the kept points from `k0` on.
    fn bind_rows(&mut self, k0: usize) {
        for (index, line) in self.program.lines.iter().enumerate() {
            if let Kind::Row(row) = line.kind {
                self.regs[index] = Arg { data: self.row_register(row, k0, line.size), many: true };
            }
        }
    }

    fn row_lines(&mut self, lines: &[u16], k0: usize, kn: usize) {
        for &index in lines {
            self.row_line(index, k0, kn);
        }
    }

    fn row_line(&mut self, index: u16, k0: usize, kn: usize) {
        let program = self.program;
        let line = &program.lines[index as usize];
        let Kind::Row(row) = line.kind else { return };
        let out = self.row_register(row, k0, line.size);
        let tile = Tile { k0, kn, r0: 0, rn: 1 };
        // SAFETY: see above.
        unsafe {
            match line.what {
                What::Call { kernel, .. } => kernel(self.simd, &Call { out, args: self.args(line), len: kn }),
                _ => self.source(line, &tile, Order::Columns, out),
            }
        }
        self.regs[index as usize] = Arg { data: out, many: true };
    }

    /// Writes the values of a load, a counter or random numbers to `out`.
    ///
    /// # Safety
    /// `out` has room for the tile.
    unsafe fn source(&self, line: &Line, tile: &Tile, order: Order, out: *mut u8) {
        let operands = &self.program.operands;
        // SAFETY: by the promise of the caller.
        unsafe {
            match line.what {
                What::Load { operand, .. } => {
                    let operand = &operands[operand as usize];
                    gather(operand, self.memory(operand), tile, order, out);
                }
                What::Count { operand, dtype } => {
                    operands[operand as usize].runs(tile, order, |position, stride, count, place| {
                        source::count(position, stride, count, dtype, out.add(place * line.size));
                    });
                }
                What::Random { operand, distribution, key, dtype } => {
                    let key = self.key(key);
                    operands[operand as usize].runs(tile, order, |position, stride, count, place| {
                        // Positions run without gaps, or are single ones.
                        let runs = if stride == 1 { 1 } else { count };
                        for i in 0..runs {
                            let first = (position + i as isize * stride) as u64;
                            let out = out.add((place + i) * line.size);
                            source::random(self.simd, distribution, key, (first, count / runs.max(1)), dtype, out);
                        }
                    });
                }
                _ => {}
            }
        }
    }

    fn key(&self, slot: usize) -> RandomKey {
        match self.slots.read::<i64>(slot) {
            &[seed, stream, step] => RandomKey { seed: seed as u64, stream: stream as u32, step: step as u32 },
            _ => RandomKey::new(0),
        }
    }

    /// Computes the lines of a pass on one tile, then its stores.
    fn tile(&mut self, pass: &Pass, tile: &Tile) {
        let (program, points) = (self.program, tile.kn * tile.rn);
        let order = program.order;
        for placed in &pass.lines {
            let index = placed.line as usize;
            let line = &program.lines[index];
            if line.kind != Kind::Full {
                match line.what {
                    What::Fold(fold) => self.fold_whole(index, line, fold, tile),
                    _ => self.row_line(placed.line, tile.k0, tile.kn),
                }
                continue;
            }
            let buffer = self.tiles.wrapping_add(placed.home * program.points);
            let out = match placed.store {
                Some(store) => {
                    let operand = &pass.stores[store as usize].operand;
                    match operand.direct(tile, order) {
                        Some(at) => self.memory(operand).wrapping_offset(at * operand.size as isize),
                        None => buffer,
                    }
                }
                None => buffer,
            };
            // SAFETY: see above.
            self.regs[index] = unsafe {
                match line.what {
                    What::Call { kernel, .. } => {
                        kernel(self.simd, &Call { out, args: self.args(line), len: points });
                        Arg { data: out, many: true }
                    }
                    What::Load { operand, buffered } => {
                        let operand = &program.operands[operand as usize];
                        match operand.direct(tile, order) {
                            Some(at) if !buffered => {
                                let data = self.memory(operand).wrapping_offset(at * operand.size as isize);
                                Arg { data, many: true }
                            }
                            _ => {
                                gather(operand, self.memory(operand), tile, order, out);
                                Arg { data: out, many: true }
                            }
                        }
                    }
                    What::Spread { copy, always } => self.spread(line, copy, always, tile, out),
                    _ => {
                        self.source(line, tile, order, out);
                        Arg { data: out, many: true }
                    }
                }
            };
        }
        for store in &pass.stores {
            let (value, operand) = (self.regs[store.line as usize], &store.operand);
            let memory = self.memory(operand);
            let in_place = operand
                .direct(tile, order)
                .is_some_and(|at| memory.wrapping_offset(at * operand.size as isize).cast_const() == value.data);
            if !(in_place && value.many) {
                // SAFETY: see above.
                unsafe { scatter(operand, memory, tile, order, value.data, value.many) };
            }
        }
    }

    /// Repeats a row or a single value for every point of a tile.
    ///
    /// # Safety
    /// `out` has room for the tile.
    unsafe fn spread(&self, line: &Line, copy: super::kernels::Kernel, always: bool, tile: &Tile, out: *mut u8) -> Arg {
        let from = self.regs[line.args[0] as usize];
        let size = line.size;
        let fill = |data: *const u8, many: bool, place: usize, len: usize| {
            let call =
                Call { out: out.wrapping_add(place * size), args: [Arg { data, many }, Arg::NONE, Arg::NONE], len };
            // SAFETY: by the promise of the caller.
            unsafe { copy(self.simd, &call) };
        };
        if !from.many {
            fill(from.data, false, 0, tile.kn * tile.rn);
            return Arg { data: out, many: true };
        }
        match self.program.order {
            Order::Rows if tile.kn == 1 && !always => return Arg { data: from.data, many: false },
            Order::Columns if tile.rn == 1 => return from,
            Order::Rows => {
                for k in 0..tile.kn {
                    fill(from.data.wrapping_add(k * size), false, k * tile.rn, tile.rn);
                }
            }
            Order::Columns => {
                for r in 0..tile.rn {
                    fill(from.data, true, r * tile.kn, tile.kn);
                }
            }
        }
        Arg { data: out, many: true }
    }

    /// A reduction over a tile that holds whole rows.
    fn fold_whole(&mut self, index: usize, line: &Line, fold: &super::fold::Fold, tile: &Tile) {
        let Kind::Row(row) = line.kind else { return };
        let out = self.row_register(row, tile.k0, line.size);
        let data = self.regs[line.args[0] as usize].data;
        // SAFETY: see above.
        unsafe {
            if self.program.order == Order::Rows {
                (fold.lines)(self.simd, data, tile.kn, tile.rn, out);
            } else {
                (fold.start)(self.chains, tile.kn);
                (fold.add)(self.simd, self.chains, &Folded { tile: data, rows: tile.rn, width: tile.kn, phase: 0 });
                (fold.finish)(self.simd, self.chains, tile.kn, out);
            }
        }
        self.regs[index] = Arg { data: out, many: true };
    }

    /// Runs a pass over `r0 .. r1` for the kept points `(k0, kn)`: block results go to their places.
    fn range(&mut self, pass: &Pass, (k0, kn): (usize, usize), r0: usize, r1: usize) {
        let program = self.program;
        if pass.folds.is_empty() {
            let mut r = r0;
            while r < r1 {
                let rn = program.tile_reduced.min(r1 - r).min(program.run - r % program.run);
                self.tile(pass, &Tile { k0, kn, r0: r, rn });
                r += rn;
            }
            return;
        }
        let stride = LANES * program.tile_kept * 8;
        let mut block = r0;
        loop {
            let end = r1.min(block + BLOCK);
            for (number, &fold_line) in pass.folds.iter().enumerate() {
                let What::Fold(fold) = program.lines[fold_line as usize].what else { continue };
                // SAFETY: see above.
                unsafe { (fold.start)(self.chains.wrapping_add(number * stride), kn) };
            }
            let mut r = block;
            while r < end {
                let rn = program.tile_reduced.min(end - r).min(program.run - r % program.run);
                self.tile(pass, &Tile { k0, kn, r0: r, rn });
                for (number, &fold_line) in pass.folds.iter().enumerate() {
                    let line = &program.lines[fold_line as usize];
                    let What::Fold(fold) = line.what else { continue };
                    let data = self.regs[line.args[0] as usize].data;
                    let folded = Folded { tile: data, rows: rn, width: kn, phase: r % LANES };
                    // SAFETY: see above.
                    unsafe { (fold.add)(self.simd, self.chains.wrapping_add(number * stride), &folded) };
                }
                r += rn;
            }
            for (number, &fold_line) in pass.folds.iter().enumerate() {
                let line = &program.lines[fold_line as usize];
                let What::Fold(fold) = line.what else { continue };
                let Kind::Row(row) = line.kind else { continue };
                let out = if program.blocks() == 1 {
                    self.row_register(row, k0, line.size)
                } else {
                    self.block_result(number, block / BLOCK, k0, line.size)
                };
                // SAFETY: see above.
                unsafe { (fold.finish)(self.simd, self.chains.wrapping_add(number * stride), kn, out) };
            }
            block = end;
            if block >= r1 {
                return;
            }
        }
    }

    fn block_result(&self, fold: usize, block: usize, k0: usize, size: usize) -> *mut u8 {
        let skipped = if self.shared { k0 } else { k0 - self.base };
        let before = (fold * self.program.blocks() + block) * self.capacity * 8;
        self.partial.wrapping_add(before + skipped * size)
    }

    /// Folds the block results of a pass into row registers.
    fn combine(&mut self, pass: &Pass, k0: usize, kn: usize) {
        let blocks = self.program.blocks();
        for (number, &fold_line) in pass.folds.iter().enumerate() {
            let line = &self.program.lines[fold_line as usize];
            let (What::Fold(fold), Kind::Row(row)) = (&line.what, line.kind) else { continue };
            let out = self.row_register(row, k0, line.size);
            if blocks > 1 {
                let partial = self.block_result(number, 0, k0, line.size);
                let stride = self.capacity * 8 / line.size;
                // SAFETY: see above.
                unsafe { (fold.combine)(partial, blocks, stride, kn, out) };
            }
            self.regs[fold_line as usize] = Arg { data: out, many: true };
        }
    }

    /// All passes for the kept points `k0 .. k0 + kn`.
    fn rows_tile(&mut self, k0: usize, kn: usize) {
        let program = self.program;
        self.base = k0;
        self.row_lines(&program.before, k0, kn);
        for pass in &program.passes {
            if program.resident {
                self.tile(pass, &Tile { k0, kn, r0: 0, rn: program.reduced });
            } else {
                self.range(pass, (k0, kn), 0, program.reduced);
                self.combine(pass, k0, kn);
                self.row_lines(&pass.after, k0, kn);
            }
        }
        self.store_rows(k0, kn);
    }

    fn store_rows(&mut self, k0: usize, kn: usize) {
        for &(line, slot, size) in &self.program.row_stores {
            let value = self.regs[line as usize];
            let memory = if slot == RESULT { self.result } else { self.slots.base(slot) };
            let to = memory.wrapping_add(k0 * size);
            for k in 0..if value.many { 1 } else { kn } {
                let (to, count) = if value.many { (to, kn * size) } else { (to.wrapping_add(k * size), size) };
                // SAFETY: see above; the slot has one value for each kept point.
                unsafe { std::ptr::copy_nonoverlapping(value.data, to, count) };
            }
        }
    }
}
