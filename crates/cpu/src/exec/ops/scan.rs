//! Along one axis: running sums, positions of extremes, sorting orders.

use tensor::DType;
use tensor::ops::reduce::around;

use super::Context;
use crate::exec::memory::Plain;
use crate::pool::Disjoint;

pub(super) fn running_sum(context: &Context<'_>, axis: usize) -> Result<(), String> {
    // (Not a pointer to a function: it would be called for each number.)
    fn run<T: Plain>(context: &Context<'_>, axis: usize, add: impl Fn(T, T) -> T + Copy + Sync) {
        let call = context.call;
        let (_, size, inner) = around(&call.shape, axis);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len() * 4;
        if inner == 1 {
            // The sum stays in a register.
            return context.rows(y, size, work, |row, y| {
                let x = &x[row * size..][..size];
                let mut sum = x[0];
                y[0] = sum;
                for (y, &x) in y[1..].iter_mut().zip(&x[1..]) {
                    sum = add(sum, x);
                    *y = sum;
                }
            });
        }
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

/// Columns whose extremes are sought together.
const COLUMNS: usize = 256;

pub(super) fn arg_reduce(context: &Context<'_>, max: bool, axis: usize) -> Result<(), String> {
    #[allow(clippy::eq_op)]
    fn run<T: Plain + PartialOrd>(context: &Context<'_>, max: bool, axis: usize) {
        let call = context.call;
        let (_, size, inner) = around(&call.inputs[0].1, axis);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [i64] = unsafe { context.slots.write(call.output) };
        // NaN is extreme, and the first one stays.
        let beats = |value: T, top: T| {
            let beyond = if max { value > top } else { value < top };
            beyond | ((value != value) & (top == top))
        };
        context.rows(y, inner, x.len() * 2, |outer, y| {
            let x = &x[outer * size * inner..][..size * inner];
            y.fill(0);
            if size == 0 {
                return;
            }
            if inner == 1 {
                let (mut best, mut top) = (0, x[0]);
                for (i, &value) in x.iter().enumerate() {
                    if beats(value, top) {
                        (best, top) = (i, value);
                    }
                }
                y[0] = best as i64;
                return;
            }
            // By lines of memory, some columns at a time.
            for (block, y) in y.chunks_mut(COLUMNS).enumerate() {
                let first = block * COLUMNS;
                let mut tops = [x[first]; COLUMNS];
                tops[..y.len()].copy_from_slice(&x[first..first + y.len()]);
                for (i, line) in x.chunks_exact(inner).enumerate() {
                    for ((y, top), &value) in y.iter_mut().zip(&mut tops).zip(&line[first..]) {
                        let better = beats(value, *top);
                        *top = if better { value } else { *top };
                        *y = if better { i as i64 } else { *y };
                    }
                }
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

/// The same of f32.
fn short_order_key(x: f32) -> i32 {
    let bits = if x.is_nan() { f32::NAN.to_bits() } else { (x + 0.0).to_bits() } as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

pub(super) fn arg_sort(context: &Context<'_>, axis: usize, descending: bool) -> Result<(), String> {
    /// `entry` makes of a number and its index what is sorted, `index` finds the index again. No two entries are equal.
    fn run<T: Plain, E: Ord + Copy>(
        context: &Context<'_>,
        axis: usize,
        entry: impl Fn(T, usize) -> E + Sync,
        index: impl Fn(E) -> usize + Sync,
    ) {
        let call = context.call;
        let (outer, size, inner) = around(&call.inputs[0].1, axis);
        let places = call.shape[axis];
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [i64] = unsafe { context.slots.write(call.output) };
        let all = Disjoint::new(y);
        let row = |row: usize| {
            let at = |i: usize, of: usize| (row / inner * of + i) * inner + row % inner;
            let mut order: Vec<E> = (0..size).map(|i| entry(x[at(i, size)], i)).collect();
            if 0 < places && places < size {
                order.select_nth_unstable(places - 1);
            }
            order.truncate(places);
            order.sort_unstable();
            for (place, entry) in order.into_iter().enumerate() {
                // SAFETY: rows hold different elements.
                unsafe { all.slice(at(place, places), 1)[0] = index(entry) as i64 };
            }
        };
        let work = outer * size * inner * 16;
        if work < super::SMALL {
            (0..outer * inner).for_each(row)
        } else {
            context.machine.pool.run(outer * inner, row)
        }
    }
    /// Keys of 32 bits before the index in one number.
    fn short<T: Plain>(context: &Context<'_>, axis: usize, descending: bool, key: fn(T) -> i32) {
        let turn = if descending { -1 } else { 0 };
        let entry = |x: T, i: usize| (i64::from(key(x) ^ turn) << 32) | i as i64;
        run(context, axis, entry, |entry| entry as u32 as usize);
    }
    fn long<T: Plain>(context: &Context<'_>, axis: usize, descending: bool, key: fn(T) -> i64) {
        let turn = if descending { -1 } else { 0 };
        run(context, axis, |x: T, i| (key(x) ^ turn, i), |(_, i)| i);
    }
    let fits = u32::try_from(context.call.inputs[0].1[axis]).is_ok();
    match context.call.input_dtype {
        DType::F32 if fits => short::<f32>(context, axis, descending, short_order_key),
        DType::I32 if fits => short::<i32>(context, axis, descending, |x| x),
        DType::U8 if fits => short::<u8>(context, axis, descending, i32::from),
        DType::F32 => long::<f32>(context, axis, descending, |x| order_key(f64::from(x))),
        DType::F64 => long::<f64>(context, axis, descending, order_key),
        DType::I32 => long::<i32>(context, axis, descending, i64::from),
        DType::I64 => long::<i64>(context, axis, descending, |x| x),
        DType::U8 => long::<u8>(context, axis, descending, i64::from),
        dtype => return Err(format!("{dtype} has no order")),
    }
    Ok(())
}
