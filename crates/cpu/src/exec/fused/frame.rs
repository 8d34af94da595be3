//! The working memory of one unit of work, and a program's instructions carried out in it, tile after tile.

use std::ops::Range;

use tensor::RandomKey;
use tensor::order::{BLOCK, LANES};

use super::ahead::{Ahead, SEGMENT};
use super::kernels::{self, Arg, Call, Kernel};
use super::pieces::{Broken, Pieces};
use super::program::{Item, Kind, Line, Pass, Placed, Program, RESULT, Source, What};
use super::source;
use super::walk::{Operand, Order, Tile, gather, scatter};
use crate::exec::memory::Slots;
use crate::simd::Simd;

/// The working memory of one unit.
pub struct Frame<'a> {
    pub(super) program: &'a Program,
    pub(super) slots: Slots<'a>,
    pub(super) result: *mut u8,
    pub(super) simd: Simd,
    /// Where the value of each line lies now.
    pub(super) regs: &'a mut [Arg],
    /// Uniform values, 8 bytes a line.
    pub(super) cells: *mut u8,
    /// Row registers, `capacity` values of 8 bytes each.
    pub(super) rows: *mut u8,
    pub(super) capacity: usize,
    /// Kept point at which row registers and block results begin: their own tile, or 0 if they are shared.
    pub(super) shared: bool,
    pub(super) chains: *mut u8,
    pub(super) partial: *mut u8,
    pub(super) tiles: *mut u8,
    /// Strips of the ports of chains.
    pub(super) strips: *mut u8,
    /// First kept point of the row registers.
    pub(super) base: usize,
}

// SAFETY notes in this block: kernels get arguments and buffers of the types and sizes for which the program chose them;
// operands stay within their slots, which the plan promises; units write different elements.
impl Frame<'_> {
    pub(super) fn memory(&self, operand: &Operand) -> *mut u8 {
        if operand.slot == RESULT { self.result } else { self.slots.base(operand.slot) }
    }

    /// How the lines of a tile are broken into pieces.
    pub(super) fn pieces(&self, tile: &Tile) -> Pieces {
        match self.program.pieces {
            Some(length) => Pieces { length, skip: tile.r0 % length },
            None => Pieces::whole(self.lines_of(tile).1),
        }
    }

    /// Where the pieces of an operand lie.
    pub(super) fn in_pieces(&self, operand: &Operand, tile: &Tile) -> Broken {
        let (first, rows, jump) = operand.pieces(tile);
        Broken { data: self.memory(operand).cast::<f32>().wrapping_offset(first), rows, jump }
    }

    /// Where the pieces of what a line loads lie, if it is read as it lies in memory.
    pub(super) fn broken(&self, line: u16, tile: &Tile) -> Option<Broken> {
        match self.program.lines[line as usize].what {
            What::Load { operand, .. } if self.program.pieces.is_some() => {
                Some(self.in_pieces(&self.program.operands[operand as usize], tile))
            }
            _ => None,
        }
    }

    fn args(&self, line: &Line) -> [Arg; 3] {
        let mut args = [Arg::NONE; 3];
        for (arg, &of) in args.iter_mut().zip(line.inputs()) {
            *arg = self.regs[of as usize];
        }
        args
    }

    /// Computes the lines of one value.
    pub(super) fn uniform(&mut self) {
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
        for chain in program.passes.iter().flat_map(Pass::chains) {
            for (number, &source) in chain.ports.iter().enumerate() {
                if let Source::Line(line) = source
                    && program.lines[line as usize].kind == Kind::Uniform
                {
                    self.repeat(line, chain.first_strip + number);
                }
            }
        }
    }

    /// Where the value of a line goes: its buffer, or the memory of its store.
    pub(super) fn place(&self, placed: &Placed, pass: &Pass, tile: &Tile) -> *mut u8 {
        let store = placed.store.map(|store| &pass.stores[store as usize].operand);
        let direct = store.and_then(|operand| {
            let at = operand.direct(tile, self.program.order)?;
            Some(self.memory(operand).wrapping_offset(at * operand.size as isize))
        });
        direct.unwrap_or_else(|| self.tiles.wrapping_add(placed.home * self.program.points))
    }

    pub(super) fn row_register(&self, row: usize, k0: usize, size: usize) -> *mut u8 {
        let skipped = if self.shared { k0 } else { k0 - self.base };
        self.rows.wrapping_add(row * self.capacity * 8 + skipped * size)
    }

    /// Points the registers of row lines at the kept points from `k0` on.
    pub(super) fn bind_rows(&mut self, k0: usize) {
        for (index, line) in self.program.lines.iter().enumerate() {
            if let Kind::Row(row) = line.kind {
                self.regs[index] = Arg { data: self.row_register(row, k0, line.size), many: true };
            }
        }
    }

    pub(super) fn row_lines(&mut self, lines: &[u16], k0: usize, kn: usize) {
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
                    gather(self.simd, operand, self.memory(operand), tile, order, out);
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

    /// The lines of a tile whose points lie side by side, and their length.
    pub(super) fn lines_of(&self, tile: &Tile) -> (usize, usize) {
        match self.program.order {
            Order::Rows => (tile.kn, tile.rn),
            Order::Columns => (tile.rn, tile.kn),
        }
    }

    /// Memory of the `next` tile that is to be asked for while this one is computed, with `after` more calls behind the items.
    fn ahead(&self, pass: &Pass, tile: &Tile, next: Option<&Tile>, after: usize) -> Ahead {
        let mut ahead = Ahead::default();
        if let Some(next) = next.filter(|_| !pass.flows(self.program)) {
            self.streams(pass, next, &mut ahead);
            let (lines, len) = self.lines_of(tile);
            let calls = |item: &Item| if item.by_segments() { lines * self.segments(len) } else { 1 };
            ahead.divide(pass.items.iter().map(calls).sum::<usize>() + after);
        }
        ahead
    }

    /// How often memory is asked for along a row.
    fn segments(&self, len: usize) -> usize {
        self.program.pieces.map_or(0, |length| len.div_ceil(length)) + len.div_ceil(SEGMENT)
    }

    /// Computes the lines of a pass on one tile, then its stores; meanwhile asks for what is needed next.
    fn tile(&mut self, pass: &Pass, tile: &Tile, ahead: &mut Ahead) {
        let (program, points) = (self.program, tile.kn * tile.rn);
        let order = program.order;
        for item in &pass.items {
            if !item.by_segments() {
                ahead.ask();
            }
            let placed = match item {
                Item::Line(placed) => placed,
                Item::Chain(chain) => {
                    self.chain(chain, pass, tile);
                    continue;
                }
                Item::Affine(placed, affine) => {
                    self.affine(placed, affine, pass, tile, ahead);
                    continue;
                }
                Item::Added(fold, affine) => {
                    self.add_affine(*fold as usize, affine, tile, ahead);
                    continue;
                }
                Item::Moments(number) => {
                    self.whole_sums(&pass.moments[*number as usize], pass, tile, ahead);
                    continue;
                }
                Item::Gelu(both) => {
                    let [x, ..] = self.args(&program.lines[both[0].line as usize]);
                    let outs = [&both[0], &both[1]].map(|placed| self.place(placed, pass, tile));
                    // SAFETY: see above.
                    unsafe { kernels::gelu_and_slope(self.simd, x, outs, points) };
                    for (placed, data) in both.iter().zip(outs) {
                        self.regs[placed.line as usize] = Arg { data, many: true };
                    }
                    continue;
                }
            };
            let index = placed.line as usize;
            let line = &program.lines[index];
            if line.kind != Kind::Full {
                match line.what {
                    What::Fold(fold) => self.fold_whole(index, line, fold, tile),
                    _ => self.row_line(placed.line, tile.k0, tile.kn),
                }
                continue;
            }
            let out = self.place(placed, pass, tile);
            // SAFETY: see above.
            self.regs[index] = unsafe {
                match line.what {
                    What::Call { kernel, .. } => {
                        kernel(self.simd, &Call { out, args: self.args(line), len: points });
                        Arg { data: out, many: true }
                    }
                    What::Load { operand, lines: true, .. } => {
                        let operand = &program.operands[operand as usize];
                        let first = operand.first(tile) * operand.size as isize;
                        Arg { data: self.memory(operand).wrapping_offset(first), many: true }
                    }
                    What::Load { operand, buffered, summed, .. } => {
                        let operand = &program.operands[operand as usize];
                        let single = !summed && program.by_chains && operand.same_for_all_kept();
                        match operand.direct(tile, order) {
                            _ if single && !buffered => {
                                let first = operand.first(tile) * operand.size as isize;
                                Arg { data: self.memory(operand).wrapping_offset(first), many: false }
                            }
                            Some(at) if !buffered => {
                                let data = self.memory(operand).wrapping_offset(at * operand.size as isize);
                                Arg { data, many: true }
                            }
                            _ => {
                                gather(self.simd, operand, self.memory(operand), tile, order, out);
                                Arg { data: out, many: true }
                            }
                        }
                    }
                    What::Spread { copy, always } => self.spread(line, copy, always, tile, out),
                    What::OneHot => {
                        self.one_hot(self.args(line), tile, out.cast());
                        Arg { data: out, many: true }
                    }
                    _ => {
                        self.source(line, tile, order, out);
                        Arg { data: out, many: true }
                    }
                }
            };
        }
        // (What lies in pieces is written there.)
        for store in pass.stores.iter().filter(|_| program.pieces.is_none()) {
            let (value, operand) = (self.regs[store.line as usize], &store.operand);
            let memory = self.memory(operand);
            let in_place = operand
                .direct(tile, order)
                .is_some_and(|at| memory.wrapping_offset(at * operand.size as isize).cast_const() == value.data);
            if !(in_place && value.many) {
                // SAFETY: see above.
                unsafe { scatter(self.simd, operand, memory, tile, order, (value.data, value.many)) };
            }
        }
    }

    /// What a pass reads and writes of a tile, where that lies side by side.
    fn streams(&self, pass: &Pass, tile: &Tile, ahead: &mut Ahead) {
        let program = self.program;
        let mut add = |operand: &Operand| {
            let start = |at: isize| self.memory(operand).wrapping_offset(at * operand.size as isize);
            match operand.direct(tile, program.order) {
                Some(at) => ahead.add(start(at), tile.kn * tile.rn * operand.size),
                // What is gathered run by run.
                None => {
                    operand.stretches(tile, program.order, |at, count| ahead.add(start(at), count * operand.size));
                }
            }
        };
        for item in &pass.items {
            if let Item::Line(placed) = item
                && let Line { what: What::Load { operand, .. }, kind: Kind::Full, .. } =
                    &program.lines[placed.line as usize]
            {
                add(&program.operands[*operand as usize]);
            }
        }
        pass.memory.iter().for_each(|&operand| add(&program.operands[operand as usize]));
        pass.stores.iter().for_each(|store| add(&store.operand));
    }

    /// Writes `other` to every point of a tile, and each row's value to the point that its label names.
    ///
    /// # Safety
    /// `out` has room for the tile; the arguments are i64, f32 and f32.
    unsafe fn one_hot(&self, [label, value, other]: [Arg; 3], tile: &Tile, out: *mut f32) {
        // SAFETY: by the promise of the caller; a row has a value for each kept point of the tile.
        unsafe {
            let points = std::slice::from_raw_parts_mut(out, tile.kn * tile.rn);
            points.fill(*other.data.cast());
            for k in 0..tile.kn {
                let at = *label.data.cast::<i64>().add(if label.many { k } else { 0 });
                let r = usize::try_from(at).ok().and_then(|at| at.checked_sub(tile.r0)).filter(|&r| r < tile.rn);
                if let Some(r) = r {
                    let place = if self.program.order == Order::Rows { k * tile.rn + r } else { r * tile.kn + k };
                    points[place] = *value.data.cast::<f32>().add(if value.many { k } else { 0 });
                }
            }
        }
    }

    /// Repeats a row or a single value for every point of a tile.
    ///
    /// # Safety
    /// `out` has room for the tile.
    unsafe fn spread(&self, line: &Line, copy: Kernel, always: bool, tile: &Tile, out: *mut u8) -> Arg {
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

    /// Runs a pass over `r0 .. r1` for the kept points `(k0, kn)`: block results go to their places.
    pub(super) fn range(&mut self, pass: &Pass, (k0, kn): (usize, usize), r0: usize, r1: usize) {
        let program = self.program;
        if pass.folds.is_empty() {
            let mut r = r0;
            while r < r1 {
                let rn = program.tile_reduced.min(r1 - r).min(program.run - r % program.run);
                let tile = Tile { k0, kn, r0: r, rn };
                r += rn;
                let next = (r + rn <= r1).then_some(Tile { r0: r, ..tile });
                let mut ahead = self.ahead(pass, &tile, next.as_ref(), 0);
                self.tile(pass, &tile, &mut ahead);
            }
            return;
        }
        let mut block = r0;
        loop {
            let end = r1.min(block + BLOCK);
            self.start_chains(pass, kn);
            let mut r = block;
            while r < end {
                let rn = program.tile_reduced.min(end - r).min(program.run - r % program.run);
                let tile = Tile { k0, kn, r0: r, rn };
                let after = if program.by_chains { next_of_chains(r, block, end) } else { r + rn };
                self.folded(pass, &tile, (after + rn <= r1).then_some(Tile { r0: after, ..tile }));
                r = after;
            }
            self.finish_chains(pass, (k0, kn), block);
            block = end;
            if block >= r1 {
                return;
            }
        }
    }

    /// Adds rows to their chains; those from `next` on, if any, are asked for.
    pub(super) fn sum_rows(&mut self, pass: &Pass, kn: usize, rows: Range<usize>, next: Option<usize>) {
        let tile = Tile { k0: 0, kn, r0: rows.start, rn: rows.len() };
        self.folded(pass, &tile, next.map(|r0| Tile { r0, ..tile }));
    }

    /// Computes a tile and adds it to the chains of what is folded; meanwhile asks for the `next` one.
    fn folded(&mut self, pass: &Pass, tile: &Tile, next: Option<Tile>) {
        let calls = pass.moments.len() * tile.kn * self.segments(tile.rn);
        let mut ahead = self.ahead(pass, tile, next.as_ref(), calls);
        self.tile(pass, tile, &mut ahead);
        pass.moments.iter().for_each(|moments| self.add_sums(moments, tile, &mut ahead));
        for &number in &pass.apart {
            self.add_fold(pass, number as usize, tile);
        }
    }

    /// All passes for these kept points, tile by tile; those from `next` on follow them.
    pub(super) fn whole_rows(&mut self, rows: Range<usize>, next: usize) {
        for row in rows.clone().step_by(self.program.tile_kept) {
            let count = self.program.tile_kept.min(rows.end - row);
            self.rows_tile(row, count, if row + count == rows.end { next } else { row + count });
        }
    }

    /// All passes for the kept points `k0 .. k0 + kn`; those from `next` on are asked for.
    fn rows_tile(&mut self, k0: usize, kn: usize, next: usize) {
        let there = next + kn <= self.program.kept;
        let program = self.program;
        self.base = k0;
        self.row_lines(&program.before, k0, kn);
        for pass in &program.passes {
            if program.resident {
                let tile = Tile { k0, kn, r0: 0, rn: program.reduced };
                let next = there.then_some(Tile { k0: next, ..tile });
                let mut ahead = self.ahead(pass, &tile, next.as_ref(), 0);
                self.tile(pass, &tile, &mut ahead);
            } else {
                self.range(pass, (k0, kn), 0, program.reduced);
                self.combine(pass, k0, kn);
                self.row_lines(&pass.after, k0, kn);
            }
        }
        self.store_rows(k0, kn);
    }

    pub(super) fn store_rows(&mut self, k0: usize, kn: usize) {
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

/// What follows point `r` of a block if all that is added to one chain comes before the next chain.
fn next_of_chains(r: usize, block: usize, end: usize) -> usize {
    let next_chain = block + (r - block) % LANES + 1;
    if r + LANES < end {
        r + LANES
    } else if next_chain < end.min(block + LANES) {
        next_chain
    } else {
        end
    }
}
