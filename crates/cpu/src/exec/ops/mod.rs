//! Ops with kernels of their own that are not contractions: pooling, indexing, joining, running sums, sorting.
//!
//! All cut their work into outer rows that do not depend on each other, and keep the order of the reference within a row.

mod index;
mod join;
mod pool;
mod recurrent;
mod scan;
mod windows;

use tensor::op::Op;
use tensor::plan::SlotId;
use tensor::{DType, Shape};

use super::memory::{Plain, Slots};
use crate::machine::Machine;

/// One call of an op.
pub struct OpCall {
    /// The op.
    pub op: Op,
    /// Slots and shapes of its inputs.
    pub inputs: Vec<(SlotId, Shape)>,
    /// Where its result goes.
    pub output: SlotId,
    /// Shape of the result.
    pub shape: Shape,
    /// Dtype of the result.
    pub dtype: DType,
    /// Dtype of the data input.
    pub input_dtype: DType,
    /// The number that fills the base of a scatter, if it is one number; the base is then not read.
    pub base: Option<f64>,
}

/// What a kernel works with.
struct Context<'a> {
    machine: &'a Machine,
    slots: Slots<'a>,
    call: &'a OpCall,
}

impl OpCall {
    /// Runs it.
    ///
    /// # Errors
    /// An index out of range; an op or dtype without a kernel.
    pub fn run(&self, machine: &Machine, slots: Slots<'_>) -> Result<(), String> {
        let context = Context { machine, slots, call: self };
        match self.op {
            Op::MaxPool(pool) => pool::maximum(&context, &pool),
            Op::MaxPoolIndex(pool) => pool::maximum_index(&context, &pool),
            Op::MaxPoolInput(pool) => pool::maximum_adjoint(&context, &pool),
            Op::AvgPool(pool) => pool::mean(&context, &pool),
            Op::AvgPoolInput(pool) => pool::mean_adjoint(&context, &pool),
            Op::Gather { axis } => index::gather(&context, axis as usize),
            Op::ScatterAdd { axis } => index::scatter_add(&context, axis as usize),
            Op::IndexSelect { axis } => index::index_select(&context, axis as usize),
            Op::IndexAdd { axis } => index::index_add(&context, axis as usize),
            Op::Concat { axis } => join::concat(&context, axis as usize),
            Op::Pad { axis, before, value } => join::pad(&context, axis as usize, before, value),
            Op::CumSum { axis } => scan::running_sum(&context, axis as usize),
            Op::ArgReduce { max, axis } => scan::arg_reduce(&context, max, axis as usize),
            Op::ArgSort { axis, descending } => scan::arg_sort(&context, axis as usize, descending),
            Op::Recurrent(of) => recurrent::forward(&context, of),
            Op::RecurrentGrad(of) => recurrent::backward(&context, of),
            ref op => Err(format!("no kernel for {}", op.page().name)),
        }
    }
}

/// Elements that one thread moves in about 8 microseconds: less is not worth a second one.
const SMALL: usize = 1 << 15;

impl<'a> Context<'a> {
    /// Input `number` of the call: its slot may hold more behind it.
    fn input<T: Plain>(&self, number: usize) -> &'a [T] {
        let (slot, shape) = self.call.inputs[number];
        &self.slots.read(slot)[..shape.count()]
    }

    /// Calls `row(index, piece)` for each piece of `length` elements of `out`, on all threads if there is much to do:
    /// `work` elements moved or compared in all.
    fn rows<T: Send>(&self, out: &mut [T], length: usize, work: usize, row: impl Fn(usize, &mut [T]) + Sync) {
        if length == 0 || out.is_empty() {
            return;
        }
        let count = out.len() / length;
        if work < SMALL || self.machine.pool.threads() == 1 {
            out.chunks_mut(length).enumerate().for_each(|(index, piece)| row(index, piece));
            return;
        }
        // Several rows a unit: a unit costs a fraction of a microsecond.
        let rows = count.div_ceil(self.machine.pool.threads() * 4).max(1);
        self.machine.pool.chunks(out, rows * length, |unit, pieces| {
            pieces.chunks_mut(length).enumerate().for_each(|(index, piece)| row(unit * rows + index, piece));
        });
    }
}
