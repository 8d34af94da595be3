//! Attention: inputs bound to the kernels, wherever they lie.

use tensor::op::Op;
use tensor::ops::attention::reference::{self, Heads};
use tensor::plan::{Plan, SlotId, View};
use tensor::{DType, Layout};

use super::memory::{Plain, Slots};
use crate::attention::{Backward, Mask, Operand, Scores, attention_gradient, attention_pass};
use crate::machine::Machine;

/// A call of attention made ready.
pub struct AttentionCall {
    op: Op,
    inputs: Vec<View>,
    mask: Option<(View, DType)>,
    output: SlotId,
    dtype: DType,
}

impl AttentionCall {
    /// Makes a call ready.
    ///
    /// # Errors
    /// A number of inputs that the op does not have.
    pub fn new(op: &Op, inputs: &[View], output: SlotId, plan: &Plan) -> Result<Self, String> {
        let given = if matches!(op, Op::AttentionPass(_)) { 3 } else { 6 };
        if inputs.len() < given || inputs.len() > given + 1 {
            return Err(format!("{} inputs of {}", inputs.len(), op.page().name));
        }
        let mut inputs = inputs.to_vec();
        let mask = inputs.drain(given..).next().map(|view| (view, plan.slots[view.slot].dtype));
        if given == 6 {
            inputs[1].layout = by_head(&inputs[1].layout);
            inputs[2].layout = by_head(&inputs[2].layout);
        }
        Ok(AttentionCall { op: *op, inputs, mask, output, dtype: plan.slots[output].dtype })
    }

    /// Runs it.
    ///
    /// # Errors
    /// A dtype without a kernel.
    pub fn run(&self, machine: &Machine, slots: Slots<'_>) -> Result<(), String> {
        match self.dtype {
            DType::F32 => self.run_f32(machine, slots),
            // For checks of gradients: the specification itself.
            DType::F64 => self.run_f64(slots),
            dtype => Err(format!("no attention of {dtype}")),
        }
    }

    fn heads(&self) -> Heads {
        let [.., q, k, v] = &self.inputs[..] else { unreachable!("`new` counted the inputs") };
        Heads::of(&q.layout.shape, &k.layout.shape, &v.layout.shape)
    }

    fn run_f32(&self, machine: &Machine, slots: Slots<'_>) -> Result<(), String> {
        let operand = |index: usize| {
            let view = &self.inputs[index];
            Operand::new(slots.read::<f32>(view.slot), &view.layout)
        };
        let mask = match &self.mask {
            None => Mask::None,
            Some((view, DType::Bool)) => Mask::Pairs(Operand::new(slots.read::<u8>(view.slot), &view.layout)),
            Some((view, _)) => Mask::Added(Operand::new(slots.read::<f32>(view.slot), &view.layout)),
        };
        // SAFETY: this step writes its output, and reads it nowhere.
        let output: &mut [f32] = unsafe { slots.write(self.output) };
        let heads = self.heads();
        match self.op {
            Op::AttentionPass(attention) => {
                let scores = Scores { attention, heads, q: operand(0), k: operand(1), mask };
                attention_pass(machine, &scores, operand(2), output);
            }
            Op::AttentionGrad(attention) => {
                let scores = Scores { attention, heads, q: operand(3), k: operand(4), mask };
                let pass =
                    slots.read::<f32>(self.inputs[0].slot).get(self.inputs[0].layout.offset..).unwrap_or_default();
                let from = Backward { v: operand(5), g: operand(2), delta: operand(1), pass };
                attention_gradient(machine, &scores, from, output);
            }
            ref op => return Err(format!("no attention kernel for {}", op.page().name)),
        }
        Ok(())
    }

    fn run_f64(&self, slots: Slots<'_>) -> Result<(), String> {
        fn copy<T: Plain>(slots: Slots<'_>, view: &View) -> Vec<T> {
            let data = slots.read::<T>(view.slot);
            view.layout.positions().map(|position| data[position]).collect()
        }
        let inputs: Vec<Vec<f64>> = self.inputs.iter().map(|view| copy(slots, view)).collect();
        let (mut pairs, mut added) = (Vec::new(), Vec::new());
        let mask = match &self.mask {
            None => reference::Mask::None,
            Some((view, DType::Bool)) => {
                pairs.extend(copy::<u8>(slots, view).into_iter().map(|open| open != 0));
                reference::Mask::Pairs(&pairs)
            }
            Some((view, _)) => {
                added.extend(copy::<f64>(slots, view));
                reference::Mask::Added(&added)
            }
        };
        let heads = self.heads();
        let values = match (self.op, &inputs[..]) {
            (Op::AttentionPass(attention), [q, k, v]) => reference::forward(&attention, &heads, [q, k, v], mask),
            (Op::AttentionGrad(attention), [pass, delta, g, q, k, v]) => {
                // The copies are by head; the specification takes these two by token.
                let by_token = |from: &[f64], width: usize| {
                    let mut to = vec![0.0; from.len()];
                    let rows = (0..heads.items()).flat_map(|item| (0..heads.queries).map(move |query| (item, query)));
                    for ((item, query), row) in rows.zip(from.chunks(width.max(1))) {
                        to[heads.row(item, query, width)..][..width].copy_from_slice(row);
                    }
                    to
                };
                let (delta, g) = (by_token(delta, 1), by_token(g, heads.value_width));
                reference::backward(&attention, &heads, [pass, &delta, &g, q, k, v], mask)
            }
            (op, _) => return Err(format!("no attention kernel for {}", op.page().name)),
        };
        // SAFETY: as above.
        unsafe { slots.write::<f64>(self.output) }.copy_from_slice(&values);
        Ok(())
    }
}

/// `[first, rows, others.., columns]` as `[first, others.., rows, columns]`.
fn by_head(layout: &Layout) -> Layout {
    let rank = layout.shape.rank();
    if rank <= 3 {
        return *layout;
    }
    let order: Vec<u8> = [0].into_iter().chain(2..rank as u8 - 1).chain([1, rank as u8 - 1]).collect();
    layout.permute(&order)
}
