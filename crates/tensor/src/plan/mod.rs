//! Plans: a traced graph as a flat list of kernel calls over one arena.
//!
//! ```text
//! graph --trace--> nodes in order, leaves, hash --fuse--> groups --memory--> Plan --device--> values
//! ```
//! A plan depends on the structure of the graph alone, never on the values of its leaves: a training step is planned once
//! and looked up by its hash from then on. Fusion never changes a bit: it moves values, not roundings.

mod again;
mod display;
mod fuse;
mod join;
mod memory;
mod remake;
mod schedule;
mod trace;

use crate::dtype::DType;
use crate::layout::Layout;
use crate::op::{Distribution, Op};
use crate::origin::Origin;
use crate::shape::{AxisSet, Shape};

pub use fuse::{Fusion, build};
pub use trace::{Trace, trace};

/// A flat list of kernel calls, and where every value lies.
#[derive(Debug)]
pub struct Plan {
    /// The storage of values.
    pub slots: Vec<Slot>,
    /// The kernel calls, in order.
    pub steps: Vec<Step>,
    /// For each requested output, the slot that holds it (contiguous) when the steps are done.
    pub outputs: Vec<SlotId>,
    /// For each update, how the variable gets its next value.
    pub updates: Vec<Next>,
    /// Bytes of the arena.
    pub arena: usize,
    /// How many slots are [`Place::Fresh`].
    pub fresh: usize,
}

/// Index into [`Plan::slots`].
pub type SlotId = usize;

/// Storage for one value: `shape.count()` elements of `dtype`, row-major.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Element type.
    pub dtype: DType,
    /// Shape of the value it is made for.
    pub shape: Shape,
    /// Where it lies.
    pub place: Place,
}

/// Where a slot lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The leaf with this index in [`Trace::leaves`]: data, or the value of a variable.
    Leaf(usize),
    /// The arena, from this byte on (a multiple of 64). Slots whose lifetimes do not overlap share bytes.
    Arena(usize),
    /// A new array, handed out when the steps are done. Numbered from 0.
    Fresh(usize),
}

/// How a variable gets its next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A step wrote it into the variable's own storage: this leaf slot. Nobody reads the old value after that step.
    InPlace(SlotId),
    /// The array of this [`Place::Fresh`] slot becomes the variable's value.
    Replace(SlotId),
}

/// A slot seen through a layout.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The slot.
    pub slot: SlotId,
    /// Offset, shape and strides, in elements.
    pub layout: Layout,
}

/// One kernel call.
#[derive(Debug)]
pub struct Step {
    /// What is computed.
    pub kernel: Kernel,
    /// The ops it holds, for people and for errors: name and origin, the main one first.
    pub ops: Vec<(&'static str, Origin)>,
    /// Those ops as places in [`Trace::nodes`], in the same order. (A copy of a value, made for another layout, is no node.)
    pub nodes: Vec<usize>,
}

/// What a step computes.
#[derive(Debug)]
pub enum Kernel {
    /// A program over one iteration space: elementwise chains, and reductions with what comes before and after them.
    Fused(Fused),
    /// One op with a kernel of its own: contractions, pooling, indexing, joining, sorting, running sums.
    ///
    /// Its inputs are contiguous from the start of their slots, which may hold more; those of [`Op::MatMul`] and of
    /// attention may have any strides that are not negative.
    Op {
        /// The op.
        op: Op,
        /// Its inputs.
        inputs: Vec<View>,
        /// Where its result goes: contiguous.
        output: SlotId,
        /// Applied to the result while it is in cache: its space is the shape of the result, it folds nothing, and
        /// [`Code::Result`] is the result, already in `output`, at the same point. A store may go to `output` itself.
        epilogue: Option<Fused>,
    },
}

/// A straight-line program, run for every point of `space`.
///
/// Instruction i writes register i. A register holds one value a point, or, if its instruction says `row`, one value for all
/// points that differ only in the `reduced` axes. An instruction with both kinds of arguments repeats the row values.
///
/// Loads see the state before the step, also where a store of the same step goes to the same slot: such a load reads
/// exactly the element the store writes.
#[derive(Debug, Clone)]
pub struct Fused {
    /// The iteration space.
    pub space: Shape,
    /// The axes that reductions of this program fold (all of them fold these); empty without reductions.
    pub reduced: AxisSet,
    /// What it reads: layouts of the shape `space`, stride 0 where values repeat (always so for row loads, on `reduced`).
    pub loads: Vec<View>,
    /// The program.
    pub code: Vec<Instr>,
    /// What it writes.
    pub stores: Vec<Store>,
}

/// One instruction.
#[derive(Debug, Clone, Copy)]
pub struct Instr {
    /// What is computed.
    pub code: Code,
    /// The registers it reads; entries past its number of arguments are 0.
    pub args: [u16; 3],
    /// Type of the value.
    pub dtype: DType,
    /// Whether it is one value a row.
    pub row: bool,
}

/// What an instruction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The element of this entry of [`Fused::loads`].
    Load(u16),
    /// The result of the op whose epilogue this is.
    Result,
    /// Random numbers under the key (i64 `[seed, stream, step]`) held by a slot: element = row-major index in the space.
    Random(Distribution, SlotId),
    /// An elementwise op ([`Op::is_elementwise`] but not random), or [`Op::Reduce`] over exactly the `reduced` axes, in the
    /// order of [`crate::order`] over the row-major index of the reduced axes.
    Op(Op),
}

/// One result of a program.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// The register.
    pub register: u16,
    /// Where it goes: contiguous, of the shape `space`, or for a row register the shape with the `reduced` axes of size 1.
    pub slot: SlotId,
}

impl Instr {
    /// How many registers it reads.
    pub fn arity(&self) -> usize {
        match self.code {
            Code::Load(_) | Code::Result | Code::Random(..) => 0,
            Code::Op(Op::Full(_) | Op::Iota { .. }) => 0,
            Code::Op(Op::Binary(_)) => 2,
            Code::Op(Op::Where) => 3,
            Code::Op(_) => 1,
        }
    }

    /// The registers it reads.
    pub fn inputs(&self) -> &[u16] {
        &self.args[..self.arity()]
    }

    /// Whether it folds the reduced axes.
    pub fn folds(&self) -> bool {
        matches!(self.code, Code::Op(Op::Reduce { .. }))
    }
}
