//! Making a program ready: once for a plan.

use tensor::op::{Binary, Op, Reduction, Scalar, Unary};
use tensor::order::LANES;
use tensor::plan::{Code, Fused, SlotId, View};
use tensor::{AxisSet, DType, Layout, Shape};

use super::chain::Function;
use super::fold;
use super::kernels;
use super::later::postpone;
use super::parts::Parts;
use super::program::{FullStore, Item, Kind, Line, Pass, Program, RESULT, What};
use super::tiles::{MOST_COLUMNS, RESIDENT_BYTES};
use super::walk::{Operand, Order};

/// Instead of [`RESIDENT_BYTES`] where nothing is dear to compute again: what is read from the second-level cache costs more.
const CHEAP_BYTES: usize = 48 << 10;
/// Cost from which an instruction is dear.
const DEAR: usize = 12;
/// Shorter axes are not worth squares.
const LEAST_SQUARE: usize = 8;
/// Shorter pieces of memory are better copied side by side; longer ones are read as they lie, or tiles of one row are cut to them. (Of
/// 12 x 12 points both take the same time, of 6 x 6 copies take half.)
const SHORTEST_PIECE: usize = 192;
/// Rows shorter than this are summed one sum at a time.
const SHORTEST_SUM: usize = 128;

/// Makes a program ready. `output` is the slot of the result whose epilogue it is.
///
/// # Errors
/// What cannot be computed, in words.
pub fn prepare(
    fused: &Fused,
    output: Option<SlotId>,
    dtype_of: &dyn Fn(SlotId) -> DType,
    threads: usize,
) -> Result<Program, String> {
    // Loops that know pieces are the faster ones, but not all do.
    for pieces in [true, false] {
        let mut builder = Builder::new(fused, output, dtype_of);
        for index in 0..fused.code.len() {
            builder.instruction(index)?;
        }
        if let Some(program) = builder.finish(threads, pieces)? {
            return Ok(program);
        }
    }
    Err("no program without pieces".into())
}

pub(super) struct Builder<'a> {
    pub(super) fused: &'a Fused,
    output: Option<SlotId>,
    dtype_of: &'a dyn Fn(SlotId) -> DType,
    /// The folded axes; all of them where nothing is folded.
    pub(super) folded: AxisSet,
    /// Tiles are squares over the innermost axis and the others.
    squares: bool,
    operands: Vec<Operand>,
    constants: Vec<u64>,
    pub(super) lines: Vec<Line>,
    levels: Vec<usize>,
    costs: Vec<usize>,
    dtypes: Vec<DType>,
    /// The line of each instruction.
    pub(super) line_of: Vec<u16>,
    /// Spread lines made so far: (of, always, line).
    spreads: Vec<(u16, bool, u16)>,
    rows: usize,
}

impl<'a> Builder<'a> {
    fn new(fused: &'a Fused, output: Option<SlotId>, dtype_of: &'a dyn Fn(SlotId) -> DType) -> Builder<'a> {
        let inner = if output.is_none() { transposed(fused) } else { None };
        let folded = match inner {
            Some(inner) => inner,
            None if fused.reduced.is_empty() => AxisSet::all(fused.space.rank()),
            None => fused.reduced,
        };
        Builder {
            fused,
            squares: inner.is_some(),
            output,
            dtype_of,
            folded,
            operands: Vec::new(),
            constants: Vec::new(),
            lines: Vec::new(),
            levels: Vec::new(),
            costs: Vec::new(),
            dtypes: Vec::new(),
            line_of: Vec::new(),
            spreads: Vec::new(),
            rows: 0,
        }
    }

    fn slot(&self, slot: SlotId) -> SlotId {
        if Some(slot) == self.output { RESULT } else { slot }
    }

    fn instruction(&mut self, index: usize) -> Result<(), String> {
        let instr = self.fused.code[index];
        if let Some(args) = self.one_hot(index) {
            let level = args.iter().map(|&arg| self.levels[arg as usize]).max().unwrap_or(0);
            let line = self.push(What::OneHot, args, instr.dtype, Kind::Full, level);
            self.line_of.push(line);
            return Ok(());
        }
        let row = instr.row && !self.fused.reduced.is_empty();
        let space = self.fused.space;
        let size = instr.dtype.size();
        let positions = |axis_strides: &dyn Fn(usize) -> isize| {
            let mut layout = Layout::contiguous(space);
            (0..space.rank()).for_each(|axis| layout.strides[axis] = axis_strides(axis));
            layout
        };
        let wrong = || format!("no kernel for {:?} on {}", instr.code, instr.dtype);
        let line = match instr.code {
            Code::Load(load) => {
                let view = self.fused.loads.get(load as usize).ok_or_else(wrong)?;
                self.operand(self.slot(view.slot), size, &view.layout, row, instr.dtype)
            }
            Code::Result => self.operand(RESULT, size, &Layout::contiguous(space), row, instr.dtype),
            Code::Random(distribution, key) => {
                let strides = if row { space.keep(self.folded).strides() } else { space.strides() };
                let layout = positions(&|axis| if space[axis] == 1 { 0 } else { strides[axis] });
                self.operands.push(Operand::new(RESULT, size, &layout, self.folded));
                let operand = self.operands.len() as u16 - 1;
                let what = What::Random { operand, distribution, key, dtype: instr.dtype };
                let kind = if row { self.row() } else { Kind::Full };
                self.push(what, [0; 3], instr.dtype, kind, 0)
            }
            Code::Op(Op::Full(value)) => self.constant(value, instr.dtype),
            Code::Op(Op::Iota { axis }) => {
                let layout = positions(&|a| isize::from(a == axis as usize && space[a] != 1));
                self.operands.push(Operand::new(RESULT, size, &layout, self.folded));
                let operand = self.operands.len() as u16 - 1;
                let what = What::Count { operand, dtype: instr.dtype };
                let kind = if row { self.row() } else { Kind::Full };
                self.push(what, [0; 3], instr.dtype, kind, 0)
            }
            Code::Op(Op::Reduce { op, .. }) => {
                let fold = fold::of(op, instr.dtype).ok_or_else(wrong)?;
                let arg = self.line_of[instr.args[0] as usize];
                let arg = self.full(arg, true);
                let level = self.levels[arg as usize] + 1;
                let kind = self.row();
                let line = self.push(What::Fold(fold), [arg, 0, 0], instr.dtype, kind, level);
                let sums = op == Reduction::Sum && instr.dtype == DType::F32;
                self.lines[line as usize].function = sums.then_some(Function::Sum);
                line
            }
            Code::Op(op) => {
                let mut args = instr.args;
                for arg in &mut args[..instr.arity()] {
                    *arg = self.line_of[*arg as usize];
                }
                let relu = self.relu_gradient(index);
                if let Some(of) = relu {
                    args[..2].copy_from_slice(&of);
                }
                let inside = self.inside(index);
                if let Some((y, g, limits)) = inside {
                    args = [y, g, self.packed(limits)];
                }
                let of = self.dtypes[args[0] as usize];
                let (kernel, arity) = match op {
                    _ if relu.is_some() => (kernels::relu_gradient(), 2),
                    _ if inside.is_some() => (kernels::inside(), 3),
                    Op::Unary(op) => (kernels::unary(op, of).ok_or_else(wrong)?, 1),
                    Op::Binary(op) => (kernels::binary(op, of).ok_or_else(wrong)?, 2),
                    Op::Where => (kernels::select(instr.dtype), 3),
                    Op::Clamp { lo, hi, .. } => {
                        let limits = if of.is_float() { of } else { DType::I64 };
                        args[1] = self.constant(lo, limits);
                        args[2] = self.constant(hi, limits);
                        (kernels::limits(of).ok_or_else(wrong)?, 3)
                    }
                    Op::Cast => (kernels::cast(of, instr.dtype), 1),
                    _ => return Err(wrong()),
                };
                let uniform = args[..arity].iter().all(|&arg| self.lines[arg as usize].kind == Kind::Uniform);
                let kind = match (uniform, row) {
                    (true, _) => Kind::Uniform,
                    (false, true) => self.row(),
                    (false, false) => Kind::Full,
                };
                if kind == Kind::Full {
                    for arg in &mut args[..arity] {
                        *arg = self.full(*arg, false);
                    }
                }
                let level = args[..arity].iter().map(|&arg| self.levels[arg as usize]).max().unwrap_or(0);
                let function = Function::of(&op).filter(|_| of == DType::F32 && instr.dtype == DType::F32);
                let line = self.push(What::Call { kernel, arity }, args, instr.dtype, kind, level);
                self.lines[line as usize].function = function;
                line
            }
        };
        match instr.code {
            Code::Op(op) => self.costs[line as usize] = cost(&op),
            Code::Random(..) => self.costs[line as usize] = 24,
            _ => {}
        }
        self.line_of.push(line);
        Ok(())
    }

    fn row(&mut self) -> Kind {
        self.rows += 1;
        Kind::Row(self.rows - 1)
    }

    fn push(&mut self, what: What, args: [u16; 3], dtype: DType, kind: Kind, level: usize) -> u16 {
        self.lines.push(Line { what, args, size: dtype.size(), kind, function: None });
        self.levels.push(level);
        // Memory and loops over it cost about one addition.
        self.costs.push(1);
        self.dtypes.push(dtype);
        self.lines.len() as u16 - 1
    }

    fn operand(&mut self, slot: SlotId, size: usize, layout: &Layout, row: bool, dtype: DType) -> u16 {
        let operand = Operand::new(slot, size, layout, self.folded);
        let row = row || (!self.fused.reduced.is_empty() && operand.same_for_all_folded());
        let kind = match (operand.uniform, row) {
            (true, _) => Kind::Uniform,
            (false, true) => self.row(),
            (false, false) => Kind::Full,
        };
        self.operands.push(operand);
        let what = What::Load { operand: self.operands.len() as u16 - 1, buffered: false, summed: false, lines: false };
        self.push(what, [0; 3], dtype, kind, 0)
    }

    fn constant(&mut self, value: Scalar, dtype: DType) -> u16 {
        let array = tensor::ops::source::filled(value, dtype, Shape::SCALAR);
        let base = super::super::memory::first_byte(array.values());
        let mut bits = [0u8; 8];
        // SAFETY: the array holds one value of `dtype.size()` bytes.
        unsafe { std::ptr::copy_nonoverlapping(base, bits.as_mut_ptr(), dtype.size()) };
        self.constant_bits(bits, dtype)
    }

    /// A line of two f32, which only the kernel that wants them can read.
    fn packed(&mut self, [low, high]: [f32; 2]) -> u16 {
        let mut bits = [0; 8];
        bits[..4].copy_from_slice(&low.to_ne_bytes());
        bits[4..].copy_from_slice(&high.to_ne_bytes());
        self.constant_bits(bits, DType::F32)
    }

    fn constant_bits(&mut self, bits: [u8; 8], dtype: DType) -> u16 {
        self.constants.push(u64::from_ne_bytes(bits));
        self.push(What::Constant(self.constants.len() as u16 - 1), [0; 3], dtype, Kind::Uniform, 0)
    }

    /// The line that has the values of `line` for every point of a tile.
    fn full(&mut self, line: u16, always: bool) -> u16 {
        let needed = match self.lines[line as usize].kind {
            Kind::Full => false,
            Kind::Row(_) => true,
            Kind::Uniform => always,
        };
        if !needed {
            return line;
        }
        if let Some(&(.., spread)) = self.spreads.iter().find(|&&(of, a, _)| (of, a) == (line, always)) {
            return spread;
        }
        let (dtype, level) = (self.dtypes[line as usize], self.levels[line as usize]);
        let what = What::Spread { copy: kernels::copy(dtype), always };
        let spread = self.push(what, [line, 0, 0], dtype, Kind::Full, level);
        self.spreads.push((line, always, spread));
        spread
    }

    /// The program; if it is to go by `pieces` where memory does, and holds what does not know them, `None`.
    fn finish(mut self, threads: usize, pieces: bool) -> Result<Option<Program>, String> {
        postpone(&self.lines, &mut self.levels);
        let space = self.fused.space;
        let sizes = |folded: bool| -> usize {
            (0..space.rank()).filter(|&axis| self.folded.contains(axis) == folded).map(|axis| space[axis]).product()
        };
        let (kept, reduced) = (sizes(false), sizes(true));
        let innermost = (0..space.rank()).rev().find(|&axis| space[axis] != 1);
        // Sums of a few numbers each, of which nothing else is made, are made side by side. (Random numbers come by rows.)
        let only_sums = || {
            let rows = self.fused.stores.iter().all(|store| self.fused.code[store.register as usize].row);
            let random = self.lines.iter().any(|line| matches!(line.what, What::Random { .. }));
            rows && !random && self.levels.iter().all(|&level| level <= 1)
        };
        let short = !self.fused.reduced.is_empty() && reduced < LANES && kept >= MOST_COLUMNS && only_sums();
        let order = match innermost {
            Some(axis) if short || !self.folded.contains(axis) => Order::Columns,
            _ => Order::Rows,
        };
        let mut row_stores = Vec::new();
        let mut full_stores = Vec::new();
        for store in &self.fused.stores {
            let line = self.line_of[store.register as usize];
            let slot = self.slot(store.slot);
            let dtype = self.dtypes[line as usize];
            if (self.dtype_of)(store.slot) != dtype {
                return Err(format!("a {dtype} value stored as {}", (self.dtype_of)(store.slot)));
            }
            let row = self.fused.code[store.register as usize].row && !self.fused.reduced.is_empty();
            if row {
                row_stores.push((line, slot, dtype.size()));
            } else {
                let line = self.full(line, false);
                let operand = Operand::contiguous(slot, dtype.size(), space, space, self.folded);
                full_stores.push(FullStore { line, operand });
            }
        }
        let stored: Vec<SlotId> = self.fused.stores.iter().map(|store| self.slot(store.slot)).collect();
        for store in &full_stores {
            // What is loaded and stored elsewhere must not be changed in between by another store.
            if let What::Load { operand, buffered, .. } = &mut self.lines[store.line as usize].what {
                *buffered = stored.contains(&self.operands[*operand as usize].slot);
            }
        }
        for index in 0..self.lines.len() {
            let of = self.lines[index].args[0] as usize;
            let folds = matches!(self.lines[index].what, What::Fold(_));
            if let What::Load { summed, .. } = &mut self.lines[of].what {
                *summed |= folds;
            }
        }
        let mut folded = vec![order == Order::Columns; self.lines.len()];
        let others = self.lines.iter().filter(|line| !matches!(line.what, What::Fold(_)));
        let read = others.flat_map(|line| line.inputs().to_vec()).chain(full_stores.iter().map(|store| store.line));
        read.for_each(|line| folded[line as usize] = false);
        for (line, folded) in self.lines.iter_mut().zip(folded) {
            if let What::Load { operand, lines, .. } = &mut line.what {
                *lines = folded && self.operands[*operand as usize].lines().is_some();
            }
        }
        let cost_of = |full: bool| -> usize {
            let count = self.lines.iter().zip(&self.costs).filter(|(line, _)| (line.kind == Kind::Full) == full);
            count.map(|(_, cost)| cost).sum()
        };
        let (weight, row_weight) = (cost_of(true).max(1), cost_of(false));
        let is_row = |line: &u16| matches!(self.lines[*line as usize].kind, Kind::Row(_));
        let all = || 0..self.lines.len() as u16;
        let plain_row = |line: &u16| is_row(line) && !matches!(self.lines[*line as usize].what, What::Fold(_));
        let mut program = Program {
            kept,
            reduced,
            order,
            tile_kept: 1,
            tile_reduced: 1,
            run: usize::MAX,
            pieces: None,
            by_chains: false,
            chains_shared: false,
            uniform: all().filter(|&line| self.lines[line as usize].kind == Kind::Uniform).collect(),
            before: all().filter(|line| plain_row(line) && self.levels[*line as usize] == 0).collect(),
            passes: Vec::new(),
            resident: false,
            row_stores,
            rows: self.rows,
            points: 0,
            bytes: 0,
            strips: 0,
            weight,
            row_weight,
            operands: Vec::new(),
            constants: Vec::new(),
            lines: Vec::new(),
        };
        let folds: Vec<u16> = all().filter(|&line| matches!(self.lines[line as usize].what, What::Fold(_))).collect();
        let fold_level = |line: u16| self.levels[line as usize] - 1;
        let last = folds
            .iter()
            .map(|&line| fold_level(line))
            .chain(full_stores.iter().map(|store| self.levels[store.line as usize]))
            .max()
            .unwrap_or(0);
        let length = if order == Order::Rows { reduced } else { kept };
        let gelus = self.gelus();
        let pieces = if pieces { self.pieces(order, &full_stores) } else { None };
        let kind = (order, self.squares, pieces.is_some());
        let parts = Parts::new(&self.lines, &self.operands, &self.levels, kind, length, &gelus);
        let mut passes: Vec<Pass> = (0..=last).map(|_| Pass::default()).collect();
        folds.iter().for_each(|&line| passes[fold_level(line)].folds.push(line));
        for line in all().filter(plain_row).filter(|&line| self.levels[line as usize] > 0) {
            passes[self.levels[line as usize] - 1].after.push(line);
        }
        for store in full_stores {
            let early = !parts.read.contains(&store.operand.slot);
            let pass = if early { self.levels[store.line as usize] } else { last };
            passes[pass].stores.push(store);
        }
        let together = order == Order::Rows && reduced >= SHORTEST_SUM;
        let mut bytes = 0;
        for pass in &mut passes {
            bytes = bytes.max(parts.fill(pass, &[], false, together));
        }
        program.passes = passes;
        program.bytes = bytes;
        let stores = program.passes.iter().flat_map(|pass| pass.stores.iter().map(|store| &store.operand));
        let memory = || self.operands.iter().chain(stores.clone());
        let shortest = memory().filter_map(Operand::run).min();
        let buffered = pieces.is_some() || !memory().any(|operand| operand.always_direct(order));
        if self.squares {
            program.square_tiles();
        } else {
            let costs = self.lines.iter().zip(&self.costs);
            let dear = costs.clone().any(|(line, &cost)| line.kind == Kind::Full && cost >= DEAR);
            let resident = if dear { RESIDENT_BYTES } else { CHEAP_BYTES };
            let loaded =
                self.lines.iter().filter(|line| line.kind == Kind::Full && matches!(line.what, What::Load { .. }));
            let moved =
                loaded.filter(|line| line.columns(&self.operands).is_none()).map(|line| line.size).sum::<usize>()
                    + stores.clone().map(|operand| operand.size).sum::<usize>();
            program.choose_tiles((shortest, buffered, moved), threads, resident);
        }
        if program.resident {
            let mut whole = Pass::default();
            for pass in program.passes.drain(..) {
                whole.stores.extend(pass.stores);
                whole.folds.extend(pass.folds);
            }
            let after: Vec<u16> = all().filter(|line| is_row(line) && self.levels[*line as usize] > 0).collect();
            program.bytes = parts.fill(&mut whole, &after, true, together);
            program.passes = vec![whole];
        }
        if pieces.is_some() && !program.passes.iter().all(|pass| parts.knows_pieces(pass)) {
            return Ok(None);
        }
        program.pieces = pieces;
        if order == Order::Rows && program.tile_kept == 1 && !program.resident && pieces.is_none() {
            program.run = shortest.filter(|&run| run >= SHORTEST_PIECE).unwrap_or(usize::MAX);
        }
        program.number_strips();
        program.operands = self.operands;
        program.constants = self.constants;
        program.lines = self.lines;
        Ok(Some(program))
    }

    /// Points of the pieces that rows are broken into, if all operands of a value a point are, in the same way.
    fn pieces(&self, order: Order, stores: &[FullStore]) -> Option<usize> {
        let loaded = self.lines.iter().filter(|line| line.kind == Kind::Full).filter_map(|line| match line.what {
            What::Load { operand, .. } => Some(&self.operands[operand as usize]),
            _ => None,
        });
        let mut all = loaded.chain(stores.iter().map(|store| &store.operand)).peekable();
        let length = all.peek()?.piece().filter(|&length| length >= SHORTEST_PIECE)?;
        let same = all.all(|operand| operand.piece() == Some(length) && operand.size == size_of::<f32>());
        (same && order == Order::Rows && !self.fused.reduced.is_empty()).then_some(length)
    }
}

impl Program {
    /// Gives each chain its strips.
    fn number_strips(&mut self) {
        for item in self.passes.iter_mut().flat_map(|pass| &mut pass.items) {
            if let Item::Chain(chain) = item {
                chain.first_strip = self.strips;
                self.strips += chain.ports.len();
            }
        }
    }
}

/// The innermost axis, with those before that are one with it in memory, if a program that folds nothing reads something
/// transposed: what lies side by side is then wanted in different rows, and to go along a row would touch a line of memory for
/// each number, and each line again for the next row.
fn transposed(fused: &Fused) -> Option<AxisSet> {
    let space = &fused.space;
    let inner = (0..space.rank()).rev().find(|&axis| space[axis] != 1)?;
    let across = |view: &View| {
        let strides = &view.layout.strides;
        !(-1..=1).contains(&strides[inner]) && (0..inner).any(|axis| strides[axis] == 1 && space[axis] >= LEAST_SQUARE)
    };
    if !fused.reduced.is_empty() || space[inner] < LEAST_SQUARE || !fused.loads.iter().any(across) {
        return None;
    }
    let one_with = |outer: usize, inner: usize| {
        let one = |view: &View| view.layout.strides[outer] == view.layout.strides[inner] * space[inner] as isize;
        fused.loads.iter().all(one)
    };
    let mut first = inner;
    while first > 0 && one_with(first - 1, first) {
        first -= 1;
    }
    Some((first..=inner).collect())
}

/// Cost of an op on f32 in additions, roughly measured.
fn cost(op: &Op) -> usize {
    match op {
        Op::Unary(Unary::Sqrt | Unary::Recip) | Op::Binary(Binary::Div | Binary::Rem) => 6,
        Op::Unary(Unary::Rsqrt) => 12,
        Op::Unary(Unary::Exp | Unary::Log | Unary::Tanh | Unary::Sigmoid) => 12,
        Op::Unary(Unary::Erf | Unary::Gelu | Unary::GeluSlope) => 16,
        Op::Unary(Unary::Expm1 | Unary::Log1p | Unary::Sin | Unary::Cos) => 24,
        Op::Binary(Binary::Pow) => 48,
        _ => 1,
    }
}
