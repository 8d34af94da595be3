//! Reading and adding by index. Indices are checked before anything is written.

use tensor::DType;
use tensor::ops::index::out_of_range;
use tensor::ops::reduce::around;

use super::Context;
use crate::exec::memory::Plain;
use crate::pool::Disjoint;

fn check(context: &Context<'_>, index: &[i64], size: usize) -> Result<(), String> {
    let bad = context.machine.simd.run(
        #[inline(always)]
        || {
            let mut bad = false;
            for &i in index {
                // Negative ones are large as unsigned numbers.
                bad |= i as u64 >= size as u64;
            }
            bad
        },
    );
    if !bad {
        return Ok(());
    }
    let at = index.iter().position(|&i| i as u64 >= size as u64).unwrap_or_default();
    Err(out_of_range(at, index[at], size))
}

/// Numbers that are added by index.
trait Sum: Plain + std::ops::Add<Output = Self> + Default {
    fn from_f64(number: f64) -> Self;
}
impl Sum for f32 {
    fn from_f64(number: f64) -> f32 {
        number as f32
    }
}
impl Sum for f64 {
    fn from_f64(number: f64) -> f64 {
        number
    }
}
impl Sum for i64 {
    fn from_f64(number: f64) -> i64 {
        number as i64
    }
}

pub(super) fn gather(context: &Context<'_>, axis: usize) -> Result<(), String> {
    fn run<T: Plain>(context: &Context<'_>, axis: usize) -> Result<(), String> {
        let call = context.call;
        let (_, size, inner) = around(&call.inputs[0].1, axis);
        let picks = call.inputs[1].1[axis];
        let x: &[T] = context.input(0);
        let index: &[i64] = context.input(1);
        check(context, index, size)?;
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len() * 4;
        context.rows(y, picks * inner, work, |outer, y| {
            let (x, index) = (&x[outer * size * inner..], &index[outer * picks * inner..]);
            if inner == 1 {
                for (&i, y) in index.iter().zip(y) {
                    *y = x[i as usize];
                }
                return;
            }
            for (index, y) in index.chunks_exact(inner).zip(y.chunks_exact_mut(inner)) {
                for (k, (&i, y)) in index.iter().zip(y).enumerate() {
                    *y = x[i as usize * inner + k];
                }
            }
        });
        Ok(())
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, axis),
        DType::F64 | DType::I64 => run::<i64>(context, axis),
        dtype => Err(format!("indexing {dtype} tensors: cast to f32 or i64 first")),
    }
}

pub(super) fn scatter_add(context: &Context<'_>, axis: usize) -> Result<(), String> {
    fn run<T: Sum>(context: &Context<'_>, axis: usize) -> Result<(), String> {
        let call = context.call;
        let (_, size, inner) = around(&call.inputs[0].1, axis);
        let picks = call.inputs[1].1[axis];
        let base: &[T] = context.input(0);
        let index: &[i64] = context.input(1);
        let source: &[T] = context.input(2);
        check(context, index, size)?;
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len() + index.len() * 4;
        context.rows(y, size * inner, work, |outer, y| {
            match call.base {
                Some(number) => y.fill(T::from_f64(number)),
                None => y.copy_from_slice(&base[outer * size * inner..][..y.len()]),
            }
            let first = outer * picks * inner;
            let (index, source) = (&index[first..][..picks * inner], &source[first..][..picks * inner]);
            if inner == 1 {
                for (&i, &x) in index.iter().zip(source) {
                    y[i as usize] = y[i as usize] + x;
                }
                return;
            }
            for (index, source) in index.chunks_exact(inner).zip(source.chunks_exact(inner)) {
                for (k, (&i, &x)) in index.iter().zip(source).enumerate() {
                    let to = i as usize * inner + k;
                    y[to] = y[to] + x;
                }
            }
        });
        Ok(())
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, axis),
        DType::F64 => run::<f64>(context, axis),
        DType::I64 => run::<i64>(context, axis),
        dtype => Err(format!("indexing {dtype} tensors: cast to f32 or i64 first")),
    }
}

pub(super) fn index_select(context: &Context<'_>, axis: usize) -> Result<(), String> {
    fn run<T: Plain>(context: &Context<'_>, axis: usize) -> Result<(), String> {
        let call = context.call;
        let (_, size, inner) = around(&call.inputs[0].1, axis);
        let x: &[T] = context.input(0);
        let index: &[i64] = context.input(1);
        check(context, index, size)?;
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = y.len();
        context.rows(y, inner, work, |row, y| {
            let (outer, j) = (row / index.len(), row % index.len());
            y.copy_from_slice(&x[(outer * size + index[j] as usize) * inner..][..inner]);
        });
        Ok(())
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, axis),
        DType::F64 | DType::I64 => run::<i64>(context, axis),
        dtype => Err(format!("indexing {dtype} tensors: cast to f32 or i64 first")),
    }
}

pub(super) fn index_add(context: &Context<'_>, axis: usize) -> Result<(), String> {
    fn run<T: Sum>(context: &Context<'_>, axis: usize) -> Result<(), String> {
        let call = context.call;
        let (outer, size, inner) = around(&call.shape, axis);
        let index: &[i64] = context.input(0);
        let source: &[T] = context.input(1);
        check(context, index, size)?;
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let threads = context.machine.pool.threads();
        let work = y.len() + source.len() * 2;
        // A unit owns a range of entries of one outer row, and takes from the index what belongs to it, in order.
        let parts =
            if threads == 1 || work < super::SMALL || outer >= 2 * threads { 1 } else { threads.min(size.max(1)) };
        let all = Disjoint::new(y);
        let unit = |unit: usize| {
            let (o, part) = (unit / parts, unit % parts);
            let (first, end) = (part * size / parts, (part + 1) * size / parts);
            // SAFETY: units own different entries.
            let y = unsafe { all.slice((o * size + first) * inner, (end - first) * inner) };
            y.fill(T::default());
            for (j, &i) in index.iter().enumerate() {
                let i = i as usize;
                if (first..end).contains(&i) {
                    let from = &source[(o * index.len() + j) * inner..][..inner];
                    for (y, x) in y[(i - first) * inner..][..inner].iter_mut().zip(from) {
                        *y = *y + *x;
                    }
                }
            }
        };
        let units = outer * parts;
        if work < super::SMALL {
            (0..units).for_each(unit)
        } else {
            context.machine.pool.run(units, unit)
        }
        Ok(())
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, axis),
        DType::F64 => run::<f64>(context, axis),
        DType::I64 => run::<i64>(context, axis),
        dtype => Err(format!("indexing {dtype} tensors: cast to f32 or i64 first")),
    }
}
