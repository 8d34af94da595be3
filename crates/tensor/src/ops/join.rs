//! Padding and joining.

use std::panic::Location;

use crate::array::{Array, Element, Values};
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page, Scalar};
use crate::ops::reduce::around;
use crate::ops::source::filled;
use crate::samples;
use crate::shape::{Shape, resolve_axis};
use crate::tensor::{Inputs, Tensor, checked, provenance};

/// A constant margin.
pub static PAD: Page = Page {
    name: "pad",
    formula: "y = x with a constant before and behind along the axis",
    gradient_formula: "the inner part of g",
    gradient: Some(|y, g| {
        let Op::Pad { axis, before, .. } = *y.op() else { return vec![None] };
        let size = y.inputs()[0].dims()[axis as usize];
        vec![Some(g.narrow(axis as isize, before..before + size))]
    }),
    reference: |node, inputs| {
        let Op::Pad { axis, before, value } = *node.op() else { return Err("not pad".into()) };
        let mut out = filled(value, node.dtype(), *node.shape());
        copy_along(&mut out, inputs[0], axis as usize, before)?;
        Ok(out)
    },
    samples: samples::pad,
};

/// One after the other.
pub static CONCAT: Page = Page {
    name: "concat",
    formula: "y = x_0, x_1, .. one after the other along the axis",
    gradient_formula: "the pieces of g",
    gradient: Some(|y, g| {
        let Op::Concat { axis } = *y.op() else { return vec![None; y.inputs().len()] };
        let mut start = 0;
        y.inputs()
            .iter()
            .map(|x| {
                let end = start + x.dims()[axis as usize];
                let piece = g.narrow(axis as isize, start..end);
                start = end;
                Some(piece)
            })
            .collect()
    }),
    reference: |node, inputs| {
        let Op::Concat { axis } = *node.op() else { return Err("not concat".into()) };
        let mut out = Array::zeros(node.dtype(), *node.shape());
        let mut start = 0;
        for x in inputs {
            copy_along(&mut out, x, axis as usize, start)?;
            start += x.shape()[axis as usize];
        }
        Ok(out)
    },
    samples: samples::concat,
};

/// Writes `x` into `out` from index `start` of `axis` on.
fn copy_along(out: &mut Array, x: &Array, axis: usize, start: usize) -> Result<(), String> {
    fn copy<T: Element>(out: &mut Values, v: &[T], run: usize, stride: usize, offset: usize) {
        if let Some(out) = T::of_mut(out)
            && run > 0
        {
            for (i, piece) in v.chunks(run).enumerate() {
                out[i * stride + offset..][..run].copy_from_slice(piece);
            }
        }
    }
    let (_, size, inner) = around(x.shape(), axis);
    let (run, stride, offset) = (size * inner, out.shape()[axis] * inner, start * inner);
    let out = out.values_mut();
    match x.values() {
        Values::F32(v) => copy(out, v, run, stride, offset),
        Values::F64(v) => copy(out, v, run, stride, offset),
        Values::I32(v) => copy(out, v, run, stride, offset),
        Values::I64(v) => copy(out, v, run, stride, offset),
        Values::U8(v) => copy(out, v, run, stride, offset),
        Values::Bool(v) => copy(out, v, run, stride, offset),
        v => return Err(format!("joining {} tensors: cast first", v.dtype())),
    }
    Ok(())
}

/// The sum of two values that are zero but for parts which follow each other along an axis: the gradient of what is cut
/// in pieces is its pieces, joined. `None` if they are no such values.
pub(crate) fn sum_of_parts(a: &Tensor, b: &Tensor) -> Option<Tensor> {
    let dims = a.dims().to_vec();
    let part = |x: &Tensor| match (*x.op(), x.inputs()) {
        (Op::Pad { axis, before, value }, [inner]) if value.f64() == 0.0 => Some((axis, before, inner.clone())),
        _ => None,
    };
    let ((axis, a_start, a), (b_axis, b_start, b)) = (part(a)?, part(b)?);
    let size = |x: &Tensor| x.dims()[axis as usize];
    let (start, first, second) = match () {
        _ if axis != b_axis => return None,
        _ if a_start + size(&a) == b_start => (a_start, a, b),
        _ if b_start + size(&b) == a_start => (b_start, b, a),
        _ => return None,
    };
    let pieces = |x: Tensor| if *x.op() == (Op::Concat { axis }) { x.inputs().to_vec() } else { vec![x] };
    let both = Tensor::concat(&[pieces(first), pieces(second)].concat(), axis as isize);
    let total = dims[axis as usize];
    Some(both.pad(axis as isize, start, total - start - size(&both), 0))
}

impl Tensor {
    /// `before` and `after` copies of `value` around `self` along `axis`.
    #[track_caller]
    pub fn pad(&self, axis: isize, before: usize, after: usize, value: impl Into<Scalar>) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() || (before, after) == (0, 0) {
            return self.clone();
        }
        let axis = match resolve_axis(axis, self.rank()) {
            Ok(axis) if !self.dtype().is_half() => axis,
            Ok(_) => {
                let message = format!("{} is storage: cast to f32 first", self.dtype());
                return Tensor::failed(Error::new(ErrorKind::DType, "pad", message).note(provenance("x", self)), at);
            }
            Err(message) => {
                return Tensor::failed(Error::new(ErrorKind::Argument, "pad", message).note(provenance("x", self)), at);
            }
        };
        let mut dims = self.dims().to_vec();
        dims[axis] = dims[axis].saturating_add(before).saturating_add(after);
        let shape = match checked("pad", dims) {
            Ok(shape) => shape,
            Err(error) => return Tensor::failed(error.note(provenance("x", self)), at),
        };
        let op = Op::Pad { axis: axis as u8, before, value: value.into() };
        Tensor::node(op, Inputs::One([self.clone()]), shape, self.dtype(), at)
    }

    /// Mirrors `before` and `after` elements around the borders along `axis`, borders not repeated (PyTorch's "reflect").
    #[track_caller]
    pub fn pad_reflect(&self, axis: isize, before: usize, after: usize) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() || (before, after) == (0, 0) {
            return self.clone();
        }
        let fail = |message: String| {
            Tensor::failed(Error::new(ErrorKind::Argument, "pad_reflect", message).note(provenance("x", self)), at)
        };
        let axis = match resolve_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail(message),
        };
        let size = self.dims()[axis];
        if before.max(after) >= size.max(1) {
            return fail(format!("a mirror of {before} and {after} needs more than {size} elements along axis {axis}"));
        }
        let at_axis = axis as isize;
        let left = self.narrow(at_axis, 1..before + 1).flip(at_axis);
        let right = self.narrow(at_axis, size - 1 - after..size - 1).flip(at_axis);
        Tensor::concat(&[left, self.clone(), right], at_axis)
    }

    /// The tensors one after the other along `axis`; all other dimensions are equal.
    #[track_caller]
    pub fn concat(tensors: &[Tensor], axis: isize) -> Tensor {
        let at = Location::caller();
        if let Some(bad) = tensors.iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        let fail = |kind, message: String| {
            let error = Error::new(kind, "concat", message);
            let error = tensors
                .iter()
                .take(4)
                .enumerate()
                .fold(error, |e, (i, t)| e.note(provenance(&format!("tensor {i}"), t)));
            Tensor::failed(error, at)
        };
        let Some(first) = tensors.first() else {
            return fail(ErrorKind::Argument, "no tensors".into());
        };
        let axis = match resolve_axis(axis, first.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail(ErrorKind::Argument, message),
        };
        let mut shape = *first.shape();
        shape[axis] = 0;
        for tensor in tensors {
            let mut others = *tensor.shape();
            if others.rank() != first.rank() {
                return fail(ErrorKind::Shape, format!("{} and {} along axis {axis}", first.shape(), tensor.shape()));
            }
            let size = std::mem::replace(&mut others[axis], shape[axis]);
            if others != shape {
                return fail(ErrorKind::Shape, format!("{} and {} along axis {axis}", first.shape(), tensor.shape()));
            }
            if tensor.dtype() != first.dtype() {
                return fail(ErrorKind::DType, format!("{} and {}", first.dtype(), tensor.dtype()));
            }
            if first.dtype().is_half() {
                return fail(ErrorKind::DType, format!("{} is storage: cast to f32 first", first.dtype()));
            }
            match shape[axis].checked_add(size).and_then(|sum| {
                shape[axis] = sum;
                Shape::new(&shape)
            }) {
                Some(longer) => shape = longer,
                None => return fail(ErrorKind::Shape, format!("{} tensors are too large together", tensors.len())),
            }
        }
        if tensors.len() == 1 {
            return first.clone();
        }
        Tensor::node(Op::Concat { axis: axis as u8 }, Inputs::Many(tensors.to_vec()), shape, first.dtype(), at)
    }

    /// The tensors side by side along a new axis.
    #[track_caller]
    pub fn stack(tensors: &[Tensor], axis: isize) -> Tensor {
        // A loop, since a closure would not pass the caller's line on.
        let mut raised = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            raised.push(tensor.unsqueeze(axis));
        }
        Tensor::concat(&raised, axis)
    }
}
