//! Recurrent layers: the slots of a call, brought to the kernels.

use tensor::DType;
use tensor::op::Recurrence;
use tensor::ops::recurrent::{Extent, check_lengths, reference};

use super::Context;
use crate::recurrent::{self, Given};

fn extent(saved: &tensor::Shape) -> Extent {
    Extent { steps: saved[1] - 1, batch: saved[2], hidden: saved[3] }
}

/// The lengths, checked, if the call has more than `count` inputs.
fn lengths<'a>(context: &Context<'a>, count: usize, steps: usize) -> Result<Option<&'a [i64]>, String> {
    if context.call.inputs.len() <= count {
        return Ok(None);
    }
    let lengths = context.input(count);
    check_lengths(lengths, steps).map(|()| Some(lengths))
}

pub(super) fn forward(context: &Context<'_>, of: Recurrence) -> Result<(), String> {
    let (call, slots) = (context.call, context.slots);
    let size = extent(&call.shape);
    let lengths = lengths(context, of.cell.inputs(), size.steps)?;
    macro_rules! given {
        () => {
            Given {
                gates: context.input(0),
                weight: context.input(1),
                h: context.input(2),
                other: if of.cell.inputs() > 3 { context.input(3) } else { &[] },
                lengths,
            }
        };
    }
    match call.dtype {
        DType::F32 => {
            // SAFETY: this step writes its output.
            let saved: &mut [f32] = unsafe { slots.write(call.output) };
            recurrent::forward(context.machine, of, size, given!(), saved);
        }
        DType::F64 => {
            // SAFETY: as above.
            let saved: &mut [f64] = unsafe { slots.write(call.output) };
            context.machine.simd.run(
                #[inline(always)]
                || reference::forward(of, size, given!(), saved),
            );
        }
        dtype => return Err(format!("no {} of {dtype}", of.cell.name())),
    }
    Ok(())
}

pub(super) fn backward(context: &Context<'_>, of: Recurrence) -> Result<(), String> {
    let (call, slots) = (context.call, context.slots);
    let size = extent(&call.inputs[0].1);
    let lengths = lengths(context, 3, size.steps)?;
    match call.dtype {
        DType::F32 => {
            // SAFETY: this step writes its output.
            let out: &mut [f32] = unsafe { slots.write(call.output) };
            let given = (context.input(0), context.input(1), context.input(2));
            recurrent::backward(context.machine, of, size, given, lengths, out);
        }
        DType::F64 => {
            // SAFETY: as above.
            let out: &mut [f64] = unsafe { slots.write(call.output) };
            let given = (context.input(0), context.input(1), context.input(2));
            context.machine.simd.run(
                #[inline(always)]
                || reference::backward(of, size, given, lengths, out),
            );
        }
        dtype => return Err(format!("no gradient of {} in {dtype}", of.cell.name())),
    }
    Ok(())
}
