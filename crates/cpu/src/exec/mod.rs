//! Running plans: kernels made ready once for a plan, then run step by step over its slots.

mod attention;
mod beside;
mod bind;
mod contract;
mod fused;
mod memory;
mod ops;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tensor::op::Op;
use tensor::plan::{Code, Instr, Kernel, Place, Plan, SlotId, Step};
use tensor::{Error, ErrorKind, Result};

use crate::machine::Machine;
use attention::AttentionCall;
pub use bind::run;
use contract::Contraction;
use fused::prepare::prepare;
use fused::program::Program;
pub use memory::Memory;
use memory::Slots;
use ops::OpCall;

/// A plan with everything that can be decided before its values are known.
pub struct Prepared {
    /// The plan.
    pub plan: Arc<Plan>,
    steps: Vec<Ready>,
    /// Bytes of working memory behind the arena.
    extra: usize,
}

/// A kernel call made ready.
enum Ready {
    Fused(Box<Program>),
    /// A program of whole rows, and sums of columns that are made beside it: what follows or precedes it in the plan.
    Beside(Box<Program>, Box<Program>),
    Contraction(Box<Contraction>),
    Attention(Box<AttentionCall>),
    Op(OpCall),
    /// Nothing: its work is done by another step.
    Done,
}

impl Prepared {
    /// Makes the kernels of a plan ready for `machine`.
    ///
    /// # Errors
    /// The first step that this device cannot run.
    pub fn new(plan: Plan, machine: &Machine) -> Result<Prepared> {
        let threads = machine.pool.threads();
        let mut steps = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            steps.push(ready(&plan, step, threads).map_err(|message| failure(step, ErrorKind::Device, message))?);
        }
        drop_constant_bases(&plan, &mut steps);
        beside::join(&plan, &mut steps, threads);
        let extra = steps.iter().map(Ready::shared_bytes).max().unwrap_or(0);
        Ok(Prepared { plan: Arc::new(plan), steps, extra })
    }

    /// Bytes of working memory of a run: the arena, then what the steps need. All of them if there are more.
    fn bytes(&self) -> usize {
        let arena = self.plan.arena.checked_next_multiple_of(64);
        arena.and_then(|arena| arena.checked_add(self.extra)).unwrap_or(usize::MAX)
    }

    /// Runs all steps; `times`, if given, receives the time of each.
    fn steps(&self, machine: &Machine, slots: Slots<'_>, mut times: Option<&mut Vec<Duration>>) -> Result<()> {
        for (ready, step) in self.steps.iter().zip(&self.plan.steps) {
            let start = times.is_some().then(Instant::now);
            match ready {
                Ready::Fused(program) => {
                    program.run(machine, slots, std::ptr::null_mut());
                    Ok(())
                }
                Ready::Beside(rows, columns) => {
                    rows.run_with(columns, machine, slots);
                    Ok(())
                }
                Ready::Contraction(contraction) => contraction.run(machine, slots),
                Ready::Attention(call) => call.run(machine, slots),
                Ready::Op(call) => call.run(machine, slots),
                Ready::Done => Ok(()),
            }
            .map_err(|message| failure(step, ErrorKind::Value, message))?;
            if let (Some(times), Some(start)) = (&mut times, start) {
                times.push(start.elapsed());
            }
        }
        Ok(())
    }
}

impl Ready {
    fn shared_bytes(&self) -> usize {
        match self {
            Ready::Fused(program) => program.shared_bytes(),
            Ready::Beside(_, columns) => columns.shared_bytes(),
            Ready::Contraction(contraction) => contraction.shared_bytes(),
            Ready::Attention(_) | Ready::Op(_) | Ready::Done => 0,
        }
    }
}

/// A scatter onto zeros, the gradient of picking classes: it fills its result itself, and the kernel that
/// would have made the zeros has nothing to do.
fn drop_constant_bases(plan: &Plan, steps: &mut [Ready]) {
    for at in 0..steps.len() {
        let Ready::Op(call) = &steps[at] else { continue };
        let (Op::ScatterAdd { .. }, Some(&(base, _))) = (&call.op, call.inputs.first()) else { continue };
        let readers = plan.steps.iter().filter(|step| reads(step, base)).count();
        if readers != 1 || !matches!(plan.slots[base].place, Place::Arena(_)) {
            continue;
        }
        let filled = plan.steps[..at].iter().rposition(|step| match &step.kernel {
            Kernel::Fused(fused) => matches!(fused.stores[..], [store] if store.slot == base),
            Kernel::Op { .. } => false,
        });
        let Some(filled) = filled else { continue };
        let Kernel::Fused(fused) = &plan.steps[filled].kernel else { continue };
        let [Instr { code: Code::Op(Op::Full(number)), .. }] = fused.code[..] else { continue };
        steps[filled] = Ready::Done;
        if let Ready::Op(call) = &mut steps[at] {
            call.base = Some(number.f64());
        }
    }
}

fn reads(step: &Step, slot: SlotId) -> bool {
    let program = |fused: &tensor::plan::Fused| {
        fused.loads.iter().any(|view| view.slot == slot)
            || fused.code.iter().any(|instr| matches!(instr.code, Code::Random(_, key) if key == slot))
    };
    match &step.kernel {
        Kernel::Fused(fused) => program(fused),
        Kernel::Op { inputs, epilogue, .. } => {
            inputs.iter().any(|view| view.slot == slot) || epilogue.as_ref().is_some_and(program)
        }
    }
}

fn ready(plan: &Plan, step: &Step, threads: usize) -> Result<Ready, String> {
    let dtype_of = |slot: usize| plan.slots[slot].dtype;
    match &step.kernel {
        Kernel::Fused(fused) => Ok(Ready::Fused(Box::new(prepare(fused, None, &dtype_of, threads)?))),
        Kernel::Op { op, inputs, output, epilogue } => {
            let epilogue = match epilogue {
                Some(fused) => Some(prepare(fused, Some(*output), &dtype_of, threads)?),
                None => None,
            };
            if matches!(op, Op::MatMul | Op::Conv(_) | Op::ConvInput(_) | Op::ConvWeight(_)) {
                let contraction = Contraction::new(op, inputs, *output, plan, epilogue)?;
                return Ok(Ready::Contraction(Box::new(contraction)));
            }
            if matches!(op, Op::AttentionPass(_) | Op::AttentionGrad(_)) {
                return Ok(Ready::Attention(Box::new(AttentionCall::new(op, inputs, *output, plan)?)));
            }
            if epilogue.is_some() {
                return Err(format!("{} takes no epilogue", op.page().name));
            }
            // The data input: the base of a scatter, the source of an addition of slices.
            let data = usize::from(matches!(op, Op::IndexAdd { .. }));
            let output_slot = &plan.slots[*output];
            Ok(Ready::Op(OpCall {
                op: *op,
                inputs: inputs.iter().map(|view| (view.slot, view.layout.shape)).collect(),
                output: *output,
                shape: output_slot.shape,
                dtype: output_slot.dtype,
                base: None,
                input_dtype: inputs.get(data).map_or(output_slot.dtype, |view| dtype_of(view.slot)),
            }))
        }
    }
}

fn failure(step: &Step, kind: ErrorKind, message: String) -> Error {
    match step.ops.first() {
        Some((name, origin)) => Error::new(kind, *name, message).at(*origin),
        None => Error::new(kind, "plan", message),
    }
}
