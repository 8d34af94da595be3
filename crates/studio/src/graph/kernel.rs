//! A kernel of a plan as plain data: what it holds, reads and writes, and its program as text.

use tensor::plan::{Code, Fused, Kernel, Place, SlotId, Step};
use train::replay::Planned;

/// One kernel call.
pub struct KernelCall {
    /// What kind it is: `elementwise`, `reduction`, or the op that it is made for.
    pub kind: &'static str,
    /// The nodes whose ops it holds, the main one first; empty for a copy.
    pub nodes: Vec<usize>,
    /// Names of its ops, repeated ones once.
    pub ops: Vec<&'static str>,
    /// The points it visits.
    pub space: Vec<usize>,
    /// What it reads.
    pub reads: Vec<Operand>,
    /// What it writes.
    pub writes: Vec<Operand>,
    /// The kernels whose results it reads.
    pub after: Vec<usize>,
    /// Floating-point operations.
    pub flops: usize,
    /// Bytes that it reads and writes.
    pub bytes: usize,
    /// Its program, a line an instruction.
    pub code: Vec<String>,
}

/// A value in memory.
pub struct Operand {
    /// Its slot in the plan.
    pub slot: SlotId,
    /// The leaf that lies there, if it is one.
    pub node: Option<usize>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its element type.
    pub dtype: String,
    /// Its bytes.
    pub bytes: usize,
    /// Where it lies: `leaf`, `arena + 4096`, `result`.
    pub place: String,
}

/// The kernels of a plan.
pub(super) fn kernels(planned: &Planned) -> Vec<KernelCall> {
    let plan = &*planned.plan;
    // The kernel that wrote a slot last.
    let mut writer = vec![None; plan.slots.len()];
    let mut calls = Vec::with_capacity(plan.steps.len());
    for (number, step) in plan.steps.iter().enumerate() {
        let (reads, writes) = (reads(step), writes(step));
        let mut after: Vec<usize> = reads.iter().filter_map(|&slot| writer[slot]).collect();
        after.sort_unstable();
        after.dedup();
        writes.iter().for_each(|&slot| writer[slot] = Some(number));
        let operand = |&slot: &SlotId| operand(planned, slot);
        let (kind, space) = match &step.kernel {
            Kernel::Fused(fused) if fused.reduced.is_empty() => ("elementwise", fused.space),
            Kernel::Fused(fused) => ("reduction", fused.space),
            Kernel::Op { op, output, .. } => (op.page().name, plan.slots[*output].shape),
        };
        let mut ops: Vec<&'static str> = step.ops.iter().map(|(name, _)| *name).collect();
        ops.dedup();
        calls.push(KernelCall {
            kind,
            nodes: step.nodes.iter().map(|&node| planned.places[node]).collect(),
            ops,
            space: space.to_vec(),
            reads: reads.iter().map(operand).collect(),
            writes: writes.iter().map(operand).collect(),
            after,
            flops: plan.flops(step),
            bytes: plan.bytes(step),
            code: code(step),
        });
    }
    calls
}

fn operand(planned: &Planned, slot: SlotId) -> Operand {
    let about = &planned.plan.slots[slot];
    let (node, place) = match about.place {
        Place::Leaf(leaf) => (planned.leaves.get(leaf).copied(), "leaf".to_owned()),
        Place::Arena(at) => (None, format!("arena + {at}")),
        Place::Fresh(_) => (None, "result".to_owned()),
    };
    let bytes = about.shape.count() * about.dtype.size();
    Operand { slot, node, shape: about.shape.to_vec(), dtype: about.dtype.to_string(), bytes, place }
}

fn reads(step: &Step) -> Vec<SlotId> {
    let program = |fused: &Fused| -> Vec<SlotId> {
        let keys = fused.code.iter().filter_map(|instr| match instr.code {
            Code::Random(_, key) => Some(key),
            _ => None,
        });
        fused.loads.iter().map(|view| view.slot).chain(keys).collect()
    };
    let all = match &step.kernel {
        Kernel::Fused(fused) => program(fused),
        Kernel::Op { inputs, epilogue, .. } => {
            inputs.iter().map(|view| view.slot).chain(epilogue.iter().flat_map(program)).collect()
        }
    };
    once(all)
}

fn writes(step: &Step) -> Vec<SlotId> {
    let stores = |fused: &Fused| -> Vec<SlotId> { fused.stores.iter().map(|store| store.slot).collect() };
    once(match &step.kernel {
        Kernel::Fused(fused) => stores(fused),
        Kernel::Op { output, epilogue, .. } => {
            std::iter::once(*output).chain(epilogue.iter().flat_map(stores)).collect()
        }
    })
}

/// Each slot once, in order.
fn once(slots: Vec<SlotId>) -> Vec<SlotId> {
    let mut all = Vec::with_capacity(slots.len());
    slots.into_iter().for_each(|slot| {
        if !all.contains(&slot) {
            all.push(slot);
        }
    });
    all
}

/// The program of a kernel as text: `r2 = add r0 r1`.
fn code(step: &Step) -> Vec<String> {
    match &step.kernel {
        Kernel::Fused(fused) => program(fused),
        Kernel::Op { op, inputs, output, epilogue } => {
            let operands: Vec<String> =
                inputs.iter().map(|view| format!("s{} {}", view.slot, view.layout.shape)).collect();
            let call = format!("s{output} = {} {}", op.page().name, operands.join(", "));
            let behind = epilogue.iter().flat_map(|fused| {
                std::iter::once("then, at each point of the result:".to_owned()).chain(program(fused))
            });
            std::iter::once(call).chain(behind).collect()
        }
    }
}

fn program(fused: &Fused) -> Vec<String> {
    let instructions = fused.code.iter().enumerate().map(|(register, instr)| {
        let what = match instr.code {
            Code::Load(load) => {
                let view = &fused.loads[usize::from(load)];
                format!("load s{}", view.slot)
            }
            Code::Result => "result".to_owned(),
            Code::Random(distribution, key) => format!("random {distribution:?} key s{key}").to_lowercase(),
            Code::Op(tensor::Op::Full(number)) => format!("{}", number.f64()),
            Code::Op(op) => {
                let inputs: Vec<String> = instr.inputs().iter().map(|register| format!("r{register}")).collect();
                format!("{} {}", op.page().name, inputs.join(" "))
            }
        };
        format!("r{register} = {what}{}", if instr.row { "   (a row)" } else { "" })
    });
    let stores = fused.stores.iter().map(|store| format!("store r{} to s{}", store.register, store.slot));
    instructions.chain(stores).collect()
}
