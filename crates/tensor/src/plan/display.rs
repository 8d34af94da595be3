//! How a plan prints itself: each kernel, the ops it holds, bytes, FLOPs.

use std::fmt;

use super::{Code, Fused, Instr, Kernel, Next, Place, Plan, SlotId, Step};
use crate::op::{Op, Unary};

impl Plan {
    /// Bytes that `step` reads and writes if each of its operands passes once.
    pub fn bytes(&self, step: &Step) -> usize {
        let slot = |id: SlotId| self.slots[id].shape.count() * self.slots[id].dtype.size();
        let fused = |fused: &Fused| {
            let loads: usize = fused.loads.iter().map(|view| slot(view.slot)).sum();
            loads + fused.stores.iter().map(|store| slot(store.slot)).sum::<usize>()
        };
        match &step.kernel {
            Kernel::Fused(program) => fused(program),
            Kernel::Op { inputs, output, epilogue, .. } => {
                let inputs: usize = inputs.iter().map(|view| slot(view.slot)).sum();
                inputs + slot(*output) + epilogue.as_ref().map_or(0, fused)
            }
        }
    }

    /// Floating-point operations of `step`: 2 for a multiply-add, 1 for any other.
    pub fn flops(&self, step: &Step) -> usize {
        let fused = |fused: &Fused| {
            let rows = fused.space.keep(fused.reduced).count();
            let each = |instr: &Instr| match instr.code {
                Code::Op(Op::Unary(Unary::Not) | Op::Full(_) | Op::Cast | Op::Where) | Code::Load(_) | Code::Result => {
                    0
                }
                _ if instr.row && !instr.folds() => rows,
                _ => fused.space.count(),
            };
            fused.code.iter().map(each).sum::<usize>()
        };
        match &step.kernel {
            Kernel::Fused(program) => fused(program),
            Kernel::Op { epilogue, .. } => self.product_flops(step) + epilogue.as_ref().map_or(0, fused),
        }
    }

    /// Those of its matrix product or convolution alone, each term of the definition counted: what a kernel's share of the
    /// machine's peak is measured by.
    pub fn product_flops(&self, step: &Step) -> usize {
        match &step.kernel {
            Kernel::Fused(_) => 0,
            Kernel::Op { op, inputs, output, .. } => {
                let out = self.slots[*output].shape;
                match op {
                    Op::MatMul => 2 * out.count() * inputs[0].layout.shape.last().copied().unwrap_or(0),
                    Op::Conv(_) => 2 * out.count() * inputs[1].layout.shape[1..].iter().product::<usize>(),
                    Op::ConvInput(_) => {
                        2 * inputs[0].layout.shape.count() * inputs[1].layout.shape[1..].iter().product::<usize>()
                    }
                    Op::ConvWeight(_) => 2 * inputs[1].layout.shape.count() * out[1..].iter().product::<usize>(),
                    // One product of the state with the weight [rows, hidden] a step; backwards one with its transpose.
                    Op::Recurrent(_) => {
                        2 * inputs[0].layout.shape.count() * inputs[1].layout.shape.last().copied().unwrap_or(0)
                    }
                    Op::RecurrentGrad(_) => {
                        let (g, w) = (&inputs[2].layout.shape, &inputs[1].layout.shape);
                        2 * g[1..3].iter().product::<usize>() * w.count()
                    }
                    _ => 0,
                }
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:>4}  {:<14} {:<22} {:>10} {:>12}  ops", "step", "kernel", "shape", "KiB", "FLOP")?;
        let (mut bytes, mut flops) = (0, 0);
        for (index, step) in self.steps.iter().enumerate() {
            let (kernel, shape) = match &step.kernel {
                Kernel::Fused(fused) if fused.reduced.is_empty() => ("elementwise", fused.space),
                Kernel::Fused(fused) => ("reduction", fused.space),
                Kernel::Op { op, output, .. } => (op.page().name, self.slots[*output].shape),
            };
            let (step_bytes, step_flops) = (self.bytes(step), self.flops(step));
            (bytes, flops) = (bytes + step_bytes, flops + step_flops);
            let mut names: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
            names.dedup();
            let layer = step.ops.first().and_then(|(_, origin)| origin.layer);
            let layer = layer.map_or(String::new(), |layer| format!("{layer}: "));
            let (kib, shape) = (step_bytes as f64 / 1024.0, shape.to_string());
            writeln!(
                f,
                "{index:>4}  {kernel:<14} {shape:<22} {kib:>10.1} {step_flops:>12}  {layer}{}",
                names.join(" ")
            )?;
        }
        let in_place = self.updates.iter().filter(|next| matches!(next, Next::InPlace(_))).count();
        let leaves = self.slots.iter().filter(|slot| matches!(slot.place, Place::Leaf(_))).count();
        writeln!(
            f,
            "{} kernels, {:.1} KiB moved, {:.3} MFLOP; arena {:.1} KiB; {leaves} leaves; {in_place} of {} updates in place",
            self.steps.len(),
            bytes as f64 / 1024.0,
            flops as f64 / 1e6,
            self.arena as f64 / 1024.0,
            self.updates.len(),
        )
    }
}
