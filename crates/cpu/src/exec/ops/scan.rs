//! Along one axis: running sums, positions of extremes, sorting orders.

use tensor::DType;
use tensor::ops::reduce::around;

use super::Context;
use crate::exec::memory::Plain;
use crate::pool::Disjoint;

pub(super) fn running_sum(context: &Context<'_>, axis: usize) -> Result<(), String> {
    fn run<T: Plain>(context: &Context<'_>, axis: usize, add: fn(T, T) -> T) {
        let call = context.call;
        let (_, size, inner) = around(&call.shape, axis);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len() * 4;
        context.rows(y, size * inner, work, |outer, y| {
            y.copy_from_slice(&x[outer * size * inner..][..y.len()]);
            for i in inner..y.len() {
                y[i] = add(y[i - inner], y[i]);
            }
        });
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, axis, |a, b| a + b),
        DType::F64 => run::<f64>(context, axis, |a, b| a + b),
        DType::I32 => run::<i32>(context, axis, i32::wrapping_add),
        DType::I64 => run::<i64>(context, axis, i64::wrapping_add),
        DType::U8 => run::<u8>(context, axis, u8::wrapping_add),
        dtype => return Err(format!("cumsum is not defined on {dtype}")),
    }
    Ok(())
}

pub(super) fn arg_reduce(context: &Context<'_>, max: bool, axis: usize) -> Result<(), String> {
    #[allow(clippy::eq_op)]
    fn run<T: Plain + PartialOrd>(context: &Context<'_>, max: bool, axis: usize) {
        let call = context.call;
        let (_, size, inner) = around(&call.inputs[0].1, axis);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [i64] = unsafe { context.slots.write(call.output) };
        context.rows(y, inner, x.len() * 2, |outer, y| {
            let x = &x[outer * size * inner..][..size * inner];
            for (k, y) in y.iter_mut().enumerate() {
                let mut best = 0;
                for i in 1..size {
                    let (value, top) = (x[i * inner + k], x[best * inner + k]);
                    // NaN is extreme, and the first one stays.
                    let beats = if max { value > top } else { value < top };
                    if beats || (value != value && top == top) {
                        best = i;
                    }
                }
                *y = best as i64;
            }
        });
    }
    match context.call.input_dtype {
        DType::F32 => run::<f32>(context, max, axis),
        DType::F64 => run::<f64>(context, max, axis),
        DType::I32 => run::<i32>(context, max, axis),
        DType::I64 => run::<i64>(context, max, axis),
        DType::U8 => run::<u8>(context, max, axis),
        dtype => return Err(format!("{dtype} has no order")),
    }
    Ok(())
}

/// A number whose order is that of x, NaN above infinity, -0 equal to 0.
fn order_key(x: f64) -> i64 {
    let bits = if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() } as i64;
    // Negative floats order backwards: flip all bits but the sign.
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

pub(super) fn arg_sort(context: &Context<'_>, axis: usize, descending: bool) -> Result<(), String> {
    fn run<T: Plain>(context: &Context<'_>, axis: usize, descending: bool, key: fn(T) -> i64) {
        let call = context.call;
        let (outer, size, inner) = around(&call.shape, axis);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [i64] = unsafe { context.slots.write(call.output) };
        let all = Disjoint::new(y);
        let row = |row: usize| {
            let at = |i: usize| (row / inner * size + i) * inner + row % inner;
            let mut order: Vec<(i64, usize)> = (0..size).map(|i| (key(x[at(i)]), i)).collect();
            if descending {
                order.sort_by_key(|&(key, _)| std::cmp::Reverse(key));
            } else {
                order.sort_by_key(|&(key, _)| key);
            }
            for (place, (_, i)) in order.into_iter().enumerate() {
                // SAFETY: rows hold different elements.
                unsafe { all.slice(at(place), 1)[0] = i as i64 };
            }
        };
        let work = outer * size * inner * 16;
        if work < super::SMALL {
            (0..outer * inner).for_each(row)
        } else {
            context.machine.pool.run(outer * inner, row)
        }
    }
    match context.call.input_dtype {
        DType::F32 => run::<f32>(context, axis, descending, |x| order_key(f64::from(x))),
        DType::F64 => run::<f64>(context, axis, descending, order_key),
        DType::I32 => run::<i32>(context, axis, descending, i64::from),
        DType::I64 => run::<i64>(context, axis, descending, |x| x),
        DType::U8 => run::<u8>(context, axis, descending, i64::from),
        dtype => return Err(format!("{dtype} has no order")),
    }
    Ok(())
}
