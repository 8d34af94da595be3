//! Padding and joining: rows copied to their places.

use tensor::Shape;
use tensor::op::Scalar;
use tensor::ops::reduce::around;
use tensor::ops::source::filled;

use super::Context;
use crate::exec::memory::{Plain, first_byte};

pub(super) fn concat(context: &Context<'_>, axis: usize) -> Result<(), String> {
    fn run<T: Plain>(context: &Context<'_>, axis: usize) {
        let call = context.call;
        let (_, size, inner) = around(&call.shape, axis);
        let pieces: Vec<(&[T], usize)> =
            call.inputs.iter().enumerate().map(|(i, (_, shape))| (context.input(i), shape[axis] * inner)).collect();
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len();
        context.rows(y, size * inner, work, |outer, y| {
            let mut start = 0;
            for (piece, run) in &pieces {
                y[start..start + run].copy_from_slice(&piece[outer * run..][..*run]);
                start += run;
            }
        });
    }
    match context.call.dtype.size() {
        1 => run::<u8>(context, axis),
        2 => run::<u16>(context, axis),
        4 => run::<f32>(context, axis),
        _ => run::<f64>(context, axis),
    }
    Ok(())
}

pub(super) fn pad(context: &Context<'_>, axis: usize, before: usize, value: Scalar) -> Result<(), String> {
    fn run<T: Plain>(context: &Context<'_>, axis: usize, before: usize, value: Scalar) {
        let call = context.call;
        let (_, size, inner) = around(&call.shape, axis);
        let run = call.inputs[0].1[axis] * inner;
        let x: &[T] = context.input(0);
        let margin = filled(value, call.dtype, Shape::SCALAR);
        // SAFETY: the array holds one element of the size of `T`.
        let margin: T = unsafe { first_byte(margin.values()).cast::<T>().read() };
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len();
        context.rows(y, size * inner, work, |outer, y| {
            let (front, rest) = y.split_at_mut(before * inner);
            let (middle, back) = rest.split_at_mut(run);
            front.fill(margin);
            middle.copy_from_slice(&x[outer * run..][..run]);
            back.fill(margin);
        });
    }
    match context.call.dtype.size() {
        1 => run::<u8>(context, axis, before, value),
        2 => run::<u16>(context, axis, before, value),
        4 => run::<f32>(context, axis, before, value),
        _ => run::<f64>(context, axis, before, value),
    }
    Ok(())
}
