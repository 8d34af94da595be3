//! A fused program made ready: instructions resolved to kernels, sorted into passes, given buffers, tiles chosen.

use tensor::DType;
use tensor::op::Distribution;
use tensor::plan::SlotId;

use super::affine::Affine;
use super::chain::Function;
use super::fold::Fold;
use super::kernels::Kernel;
use super::moments::Moments;
use super::strip::Step;
use super::walk::{Operand, Order};

/// In place of a slot: the result of the op whose epilogue the program is.
pub const RESULT: SlotId = usize::MAX;

/// A program over `kept` x `reduced` points. Without reductions all axes count as reduced, and nothing is folded.
pub struct Program {
    /// Number of results of each reduction.
    pub kept: usize,
    /// Number of values folded into each.
    pub reduced: usize,
    /// Order of points in a tile.
    pub order: Order,
    /// Kept points of a tile.
    pub tile_kept: usize,
    /// Folded points of a tile.
    pub tile_reduced: usize,
    /// Folded points after which operands jump in memory, if that is seldom: tiles end there, so that nothing is copied.
    pub run: usize,
    /// Points of the pieces that rows are broken into, if all that is done with a value of each point are sums and sums of products, which
    /// read and write memory as it lies.
    pub pieces: Option<usize>,
    /// Tiles are one folded point each, and those of one chain of the sums come before those of the next.
    pub by_chains: bool,
    /// Threads, if there are several, share the chains of one tile of all columns, not columns: each reads whole rows.
    pub chains_shared: bool,
    /// Loads, counters, random numbers and their places.
    pub operands: Vec<Operand>,
    /// Bits of the numbers of the program.
    pub constants: Vec<u64>,
    /// The instructions; line i writes register i.
    pub lines: Vec<Line>,
    /// Lines whose value is the same everywhere.
    pub uniform: Vec<u16>,
    /// Lines of one value a row that need no fold.
    pub before: Vec<u16>,
    /// The walks over the folded axes. If resident, a single one, whose lines are everything in order.
    pub passes: Vec<Pass>,
    /// Whether a tile holds whole rows, so that each instruction runs once.
    pub resident: bool,
    /// Stores of one value a row: line, slot, bytes of an element.
    pub row_stores: Vec<(u16, SlotId, usize)>,
    /// Number of row registers.
    pub rows: usize,
    /// Points that a tile buffer has room for.
    pub points: usize,
    /// Bytes of buffers for each point.
    pub bytes: usize,
    /// Strips of the ports of chains.
    pub strips: usize,
    /// Cost of a point in additions of f32.
    pub weight: usize,
    /// Cost of what is computed once a row.
    pub row_weight: usize,
}

/// One instruction.
pub struct Line {
    /// What it does.
    pub what: What,
    /// The lines it reads.
    pub args: [u16; 3],
    /// Bytes of a value.
    pub size: usize,
    /// How many values it makes.
    pub kind: Kind,
    /// What it is to a chain, if it can be joined to others.
    pub function: Option<Function>,
}

/// How many values a line makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One.
    Uniform,
    /// One for each kept point, in row register .0.
    Row(usize),
    /// One for each point.
    Full,
}

/// What a line does.
pub enum What {
    /// Reads an operand; `buffered` forbids to use the memory itself as the register, `summed` to use one value for all points;
    /// of `lines` only columns are folded, line by line as they lie in memory.
    Load { operand: u16, buffered: bool, summed: bool, lines: bool },
    /// Positions of an operand.
    Count { operand: u16, dtype: DType },
    /// Random numbers for the positions of an operand, under the key in a slot.
    Random { operand: u16, distribution: Distribution, key: SlotId, dtype: DType },
    /// A number of the program.
    Constant(u16),
    /// A kernel with this many arguments.
    Call { kernel: Kernel, arity: usize },
    /// A reduction.
    Fold(&'static Fold),
    /// f32: of rows label, value and other: the value at the folded point that the label, an i64, names, the other elsewhere.
    OneHot,
    /// A row or a single value repeated for every point; `always` writes it out even where one value would do.
    Spread { copy: Kernel, always: bool },
}

/// One walk over the folded axes.
#[derive(Default)]
pub struct Pass {
    /// What is computed on each tile.
    pub items: Vec<Item>,
    /// The reductions of this pass.
    pub folds: Vec<u16>,
    /// Sums made together.
    pub moments: Vec<Moments>,
    /// The other reductions, by their numbers in `folds`.
    pub apart: Vec<u16>,
    /// Full stores.
    pub stores: Vec<FullStore>,
    /// Row lines that follow the folds.
    pub after: Vec<u16>,
    /// What is read as it lies in memory, in pieces: operands.
    pub memory: Vec<u16>,
}

/// A part of a pass: a line alone, or several joined.
pub enum Item {
    /// One loop over the tile.
    Line(Placed),
    /// A loop over the tile in strips.
    Chain(Chain),
    /// A sum of products, in one loop over the tile.
    Affine(Placed, Affine),
    /// A sum of products of columns that is added to the chains of a reduction, the one of this number, at once.
    Added(u16, Affine),
    /// Sums made together, by their number: if the tile holds whole rows.
    Moments(u16),
    /// GELU and its slope, which have most of their work in common, in one loop.
    Gelu([Placed; 2]),
}

/// Lines whose values stay in registers from one to the next.
pub struct Chain {
    /// What is done with each strip.
    pub steps: Vec<Step>,
    /// What the steps read and write.
    pub ports: Vec<Source>,
    /// The lines that others read.
    pub outs: Vec<Placed>,
    /// Where the strips of its ports begin among those of the program.
    pub first_strip: usize,
}

/// What lies at a port of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The value of a line outside of the chain.
    Line(u16),
    /// The buffer of the out of this number.
    Out(u16),
    /// A strip that only the chain uses.
    Spare,
}

/// A line with its buffer.
pub struct Placed {
    /// The line.
    pub line: u16,
    /// Where its buffer starts, in bytes for each point of room.
    pub home: usize,
    /// The store whose memory may take the place of the buffer.
    pub store: Option<u16>,
}

/// A store of one value a point.
pub struct FullStore {
    /// What is stored.
    pub line: u16,
    /// Where.
    pub operand: Operand,
}

impl Line {
    /// The lines it reads.
    pub fn inputs(&self) -> &[u16] {
        let arity = match self.what {
            What::Call { arity, .. } => arity,
            What::Fold(_) | What::Spread { .. } => 1,
            What::OneHot => 3,
            _ => 0,
        };
        &self.args[..arity]
    }

    /// The operand that it loads, if all rows read the same of it, and as it lies in memory. (A program that folds never writes
    /// what it reads.)
    pub fn columns(&self, operands: &[Operand]) -> Option<u16> {
        match self.what {
            What::Load { operand, buffered: false, .. } if operands[operand as usize].is_one_line() => Some(operand),
            _ => None,
        }
    }
}

impl Item {
    /// Whether it asks for memory itself, segment by segment of a row.
    pub fn by_segments(&self) -> bool {
        matches!(self, Item::Affine(..) | Item::Added(..) | Item::Moments(_))
    }
}

impl Pass {
    /// Whether memory is read as it goes, by one chain or by one or two loops over what lies side by side: the processor then
    /// sees ahead by itself.
    pub fn flows(&self, program: &Program) -> bool {
        let of = |item: &Item| {
            if let Item::Line(placed) = item { Some(&program.lines[placed.line as usize].what) } else { None }
        };
        let jumps = |item: &Item| match of(item) {
            Some(What::Load { operand, .. }) => program.operands[*operand as usize].run().is_some(),
            _ => false,
        };
        let computes = |item: &&Item| of(item).is_none_or(|what| matches!(what, What::Call { .. } | What::OneHot));
        let one_chain = matches!(self.items.last(), Some(Item::Chain(_))) && self.chains().count() == 1;
        let simple = self.items.iter().filter(computes).count() <= 2 && !self.items.iter().any(jumps);
        self.folds.is_empty() && self.memory.is_empty() && (one_chain || simple)
    }

    /// The chains among its items.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.items.iter().filter_map(|item| if let Item::Chain(chain) = item { Some(chain) } else { None })
    }
}

impl Program {
    /// Blocks of [`tensor::order::BLOCK`] folded values.
    pub fn blocks(&self) -> usize {
        self.reduced.div_ceil(tensor::order::BLOCK).max(1)
    }

    /// Most reductions of a pass.
    pub fn most_folds(&self) -> usize {
        self.passes.iter().map(|pass| pass.folds.len()).max().unwrap_or(0)
    }
}
