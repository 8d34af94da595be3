//! Views: the same elements under other names. No copy where strides can say it.

use std::panic::Location;

use crate::array::{Array, Element, Values};
use crate::error::{Error, ErrorKind};
use crate::layout::Layout;
use crate::op::{Op, Page};
use crate::samples;
use crate::shape::{Axes, AxisSet, Dims, MAX_RANK, Shape, resolve_axis};
use crate::tensor::{Inputs, Node, Tensor, checked, provenance};

/// Another shape.
pub static RESHAPE: Page = Page {
    name: "reshape",
    formula: "y = x, row-major, in another shape",
    gradient_formula: "g in the shape of x",
    gradient: Some(|y, g| vec![Some(g.reshape(y.inputs()[0].shape()))]),
    reference: |node, inputs| Ok(inputs[0].clone().reshaped(*node.shape())),
    samples: samples::reshape,
};

/// Axes in another order.
pub static PERMUTE: Page = Page {
    name: "permute",
    formula: "y[i_0, i_1, ..] = x[.., i_k at axis order[k], ..]",
    gradient_formula: "g with the axes put back",
    gradient: Some(|y, g| {
        let Op::Permute { order } = *y.op() else { return vec![None] };
        let mut inverse = vec![0isize; y.rank()];
        order[..y.rank()].iter().enumerate().for_each(|(axis, &from)| inverse[from as usize] = axis as isize);
        vec![Some(g.permute(&inverse))]
    }),
    reference: gather_view,
    samples: samples::permute,
};

/// Repetition along axes of size 1.
pub static EXPAND: Page = Page {
    name: "expand",
    formula: "y = x, repeated along axes of size 1 and new leading axes",
    gradient_formula: "g summed over the repeated axes",
    gradient: Some(|y, g| {
        let x = &y.inputs()[0];
        let lead = y.rank() - x.rank();
        let repeated: AxisSet =
            (0..y.rank()).filter(|&a| a < lead || (x.dims()[a - lead] == 1 && y.dims()[a] != 1)).collect();
        vec![Some(super::factor::sum(g, repeated).reshape(x.shape()))]
    }),
    reference: gather_view,
    samples: samples::expand,
};

/// Every step-th element along an axis.
pub static SLICE: Page = Page {
    name: "slice",
    formula: "y[.., i, ..] = x[.., start + step i, ..]",
    gradient_formula: "g at its places, 0 elsewhere",
    gradient: Some(|y, g| {
        let Op::Slice { axis, start, step } = *y.op() else { return vec![None] };
        let (size, len) = (y.inputs()[0].dims()[axis as usize], y.dims()[axis as usize]);
        let at = axis as isize;
        vec![Some(match step {
            1 => g.pad(at, start, size - start - len, 0.0),
            -1 if len > 0 => g.flip(at).pad(at, start + 1 - len, size - start - 1, 0.0),
            _ => {
                let index = Tensor::arange(len, crate::DType::I64) * step as i64 + start as i64;
                g.index_add(at, &index, size)
            }
        })]
    }),
    reference: gather_view,
    samples: samples::slice,
};

/// No gradient.
pub static DETACH: Page = Page {
    name: "detach",
    formula: "y = x",
    gradient_formula: "none: cut on purpose",
    gradient: Some(|_, _| vec![None]),
    reference: |_, inputs| Ok(inputs[0].clone()),
    samples: samples::detach,
};

pub(crate) fn gather_view(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let layout = through(node, &Layout::contiguous(*inputs[0].shape())).ok_or("not a view")?;
    fn pick<T: Copy>(v: &[T], layout: &Layout) -> Vec<T> {
        layout.positions().map(|position| v[position]).collect()
    }
    let values = match inputs[0].values() {
        Values::F16(v) => Values::F16(pick(v, &layout)),
        Values::BF16(v) => Values::BF16(pick(v, &layout)),
        Values::F32(v) => f32::wrap(pick(v, &layout)),
        Values::F64(v) => f64::wrap(pick(v, &layout)),
        Values::I32(v) => i32::wrap(pick(v, &layout)),
        Values::I64(v) => i64::wrap(pick(v, &layout)),
        Values::U8(v) => u8::wrap(pick(v, &layout)),
        Values::Bool(v) => bool::wrap(pick(v, &layout)),
    };
    Ok(Array::new(*node.shape(), values))
}

/// How the view `node` lies when its input lies as `layout`; `None` when that needs a copy.
pub(crate) fn through(node: &Node, layout: &Layout) -> Option<Layout> {
    match *node.op() {
        Op::Reshape => layout.reshape(*node.shape()),
        Op::Permute { order } => Some(layout.permute(&order[..node.rank()])),
        Op::Expand => Some(layout.expand(*node.shape())),
        Op::Slice { axis, start, step } => Some(layout.slice(axis as usize, start, node.shape()[axis as usize], step)),
        Op::Detach => Some(*layout),
        Op::Attention(_) => layout.slice(0, 0, node.shape().count(), 1).reshape(*node.shape()),
        Op::RecurrentOutput { .. } => Some(layout.slice(0, 0, node.shape()[0], 1)),
        _ => None,
    }
}

impl Tensor {
    /// Repeats to `shape`, which broadcasting has found. The same shape needs no node.
    pub(crate) fn spread(&self, shape: Shape, at: &'static Location<'static>) -> Tensor {
        if *self.shape() == shape {
            return self.clone();
        }
        // A constant of a gradient rule stays a constant. One that the caller made stays the node he may differentiate by.
        if let Op::Full(value) = *self.op()
            && self.forward().is_some()
        {
            return Tensor::node(Op::Full(value), Inputs::None, shape, self.dtype(), at);
        }
        Tensor::node(Op::Expand, Inputs::One([self.clone()]), shape, self.dtype(), at)
    }

    /// Reshape to a shape that is known to fit.
    pub(crate) fn shaped(&self, shape: Shape, at: &'static Location<'static>) -> Tensor {
        if *self.shape() == shape || self.error().is_some() {
            return self.clone();
        }
        Tensor::node(Op::Reshape, Inputs::One([self.clone()]), shape, self.dtype(), at)
    }

    fn view_error(
        &self,
        name: &'static str,
        kind: ErrorKind,
        message: String,
        at: &'static Location<'static>,
    ) -> Tensor {
        Tensor::failed(Error::new(kind, name, message).note(provenance("x", self)), at)
    }

    /// The same elements, row-major, in `shape`; the counts must agree.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Dims>) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let shape = match checked("reshape", shape) {
            Ok(shape) => shape,
            Err(error) => return Tensor::failed(error, at),
        };
        if shape.count() != self.count() {
            let message =
                format!("{} elements of {} do not fill {shape} ({})", self.count(), self.shape(), shape.count());
            return self.view_error("reshape", ErrorKind::Shape, message, at);
        }
        self.shaped(shape, at)
    }

    /// Merges the axes from `first` on into one.
    #[track_caller]
    pub fn flatten(&self, first: usize) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        if first > self.rank() {
            let message = format!("axis {first} is out of range for {} dimensions", self.rank());
            return self.view_error("flatten", ErrorKind::Argument, message, at);
        }
        let mut dims = self.dims()[..first].to_vec();
        dims.push(self.dims()[first..].iter().product());
        self.reshape(dims)
    }

    /// Axis `i` of the result is axis `order[i]` of `self`; negative axes count from the end.
    #[track_caller]
    pub fn permute(&self, order: &[isize]) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let rank = self.rank();
        let resolved: Result<Vec<usize>, String> = order.iter().map(|&axis| resolve_axis(axis, rank)).collect();
        let axes = match resolved {
            Ok(axes) if axes.len() == rank && axes.iter().copied().collect::<AxisSet>() == AxisSet::all(rank) => axes,
            Ok(_) => {
                let message = format!("{order:?} does not name each of {rank} axes once");
                return self.view_error("permute", ErrorKind::Argument, message, at);
            }
            Err(message) => return self.view_error("permute", ErrorKind::Argument, message, at),
        };
        if axes.iter().enumerate().all(|(i, &axis)| i == axis) {
            return self.clone();
        }
        let (mut shape, mut kept) = (*self.shape(), [0u8; MAX_RANK]);
        for (i, &axis) in axes.iter().enumerate() {
            shape[i] = self.dims()[axis];
            kept[i] = axis as u8;
        }
        Tensor::node(Op::Permute { order: kept }, Inputs::One([self.clone()]), shape, self.dtype(), at)
    }

    /// Swaps two axes.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let mut order: Vec<isize> = (0..self.rank() as isize).collect();
        match (resolve_axis(a, self.rank()), resolve_axis(b, self.rank())) {
            (Ok(a), Ok(b)) => order.swap(a, b),
            (Err(message), _) | (_, Err(message)) => {
                return self.view_error("transpose", ErrorKind::Argument, message, Location::caller());
            }
        }
        self.permute(&order)
    }

    /// Repeats axes of size 1, and new leading axes, to reach `shape`.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Dims>) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let shape = match checked("expand", shape) {
            Ok(shape) => shape,
            Err(error) => return Tensor::failed(error, at),
        };
        if self.shape().broadcast(&shape) != Some(shape) {
            let message = format!("{} does not repeat to {shape}", self.shape());
            return self.view_error("expand", ErrorKind::Shape, message, at);
        }
        self.spread(shape, at)
    }

    /// `self` repeated to the shape of `other`.
    #[track_caller]
    pub fn expand_like(&self, other: &Tensor) -> Tensor {
        if other.error().is_some() { other.clone() } else { self.expand(other.shape()) }
    }

    /// A new axis of size 1 at `axis` (of the result).
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        match resolve_axis(axis, self.rank() + 1) {
            Ok(axis) if self.rank() < MAX_RANK => {
                let mut dims = self.dims().to_vec();
                dims.insert(axis, 1);
                self.reshape(dims)
            }
            Ok(_) => self.view_error("unsqueeze", ErrorKind::Argument, format!("more than {MAX_RANK} dimensions"), at),
            Err(message) => self.view_error("unsqueeze", ErrorKind::Argument, message, at),
        }
    }

    /// Removes `axes`, which must have size 1; with `..`, every axis of size 1.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Into<Axes>) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let axes = match axes.into() {
            Axes::All => (0..self.rank()).filter(|&axis| self.dims()[axis] == 1).collect(),
            axes => match axes.resolve(self.rank()) {
                Ok(axes) => axes,
                Err(message) => return self.view_error("squeeze", ErrorKind::Argument, message, at),
            },
        };
        if let Some(axis) = axes.iter().find(|&axis| self.dims()[axis] != 1) {
            let message = format!("axis {axis} of {} has size {}, not 1", self.shape(), self.dims()[axis]);
            return self.view_error("squeeze", ErrorKind::Shape, message, at);
        }
        self.shaped(self.shape().without(axes), at)
    }

    /// Elements `start..end` along `axis`, all of which must be there.
    #[track_caller]
    pub fn narrow(&self, axis: isize, range: std::ops::Range<usize>) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let axis = match resolve_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(message) => return self.view_error("narrow", ErrorKind::Argument, message, at),
        };
        if range.start > range.end || range.end > self.dims()[axis] {
            let message = format!("elements {range:?} of an axis of {} in {}", self.dims()[axis], self.shape());
            return self.view_error("narrow", ErrorKind::Argument, message, at);
        }
        self.strided(axis, range.start, range.len(), 1, at)
    }

    /// Elements `start, start + step, ...` before `end` along `axis`, as Python's `start:end:step` for a positive step:
    /// negative `start` and `end` count from the end, and both are limited to the axis.
    #[track_caller]
    pub fn slice(&self, axis: isize, start: isize, end: isize, step: usize) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let axis = match resolve_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(message) => return self.view_error("slice", ErrorKind::Argument, message, at),
        };
        if step == 0 {
            return self.view_error("slice", ErrorKind::Argument, "a step of 0".into(), at);
        }
        let size = self.dims()[axis] as isize;
        let inside = |i: isize| if i < 0 { i.saturating_add(size) } else { i }.clamp(0, size) as usize;
        let (start, end) = (inside(start), inside(end));
        let len = end.saturating_sub(start).div_ceil(step);
        self.strided(axis, start, len, step as isize, at)
    }

    /// `axis` backwards.
    #[track_caller]
    pub fn flip(&self, axis: isize) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        match resolve_axis(axis, self.rank()) {
            Ok(axis) => {
                let size = self.dims()[axis];
                self.strided(axis, size.saturating_sub(1), size, -1, at)
            }
            Err(message) => self.view_error("flip", ErrorKind::Argument, message, at),
        }
    }

    fn strided(&self, axis: usize, start: usize, len: usize, step: isize, at: &'static Location<'static>) -> Tensor {
        if (start, len, step) == (0, self.dims()[axis], 1) {
            return self.clone();
        }
        // A step that is never taken could be longer than any stride.
        let step = if len > 1 { step } else { 1 };
        let mut shape = *self.shape();
        shape[axis] = len;
        let op = Op::Slice { axis: axis as u8, start, step };
        Tensor::node(op, Inputs::One([self.clone()]), shape, self.dtype(), at)
    }

    /// Element `index` along `axis`, which disappears.
    #[track_caller]
    pub fn select(&self, axis: isize, index: usize) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        match resolve_axis(axis, self.rank()) {
            Ok(axis) if index < self.dims()[axis] => {
                self.strided(axis, index, 1, 1, at).shaped(self.shape().without([axis].into_iter().collect()), at)
            }
            Ok(axis) => {
                let message = format!("index {index} is out of range for axis {axis} of {}", self.shape());
                self.view_error("select", ErrorKind::Argument, message, at)
            }
            Err(message) => self.view_error("select", ErrorKind::Argument, message, at),
        }
    }

    /// Pieces of `size` along `axis`; the last may be smaller.
    #[track_caller]
    pub fn split(&self, axis: isize, size: usize) -> Vec<Tensor> {
        let at = Location::caller();
        match resolve_axis(axis, self.rank()) {
            _ if self.error().is_some() => vec![self.clone()],
            Ok(axis) if size > 0 => (0..self.dims()[axis])
                .step_by(size)
                .map(|start| self.strided(axis, start, size.min(self.dims()[axis] - start), 1, at))
                .collect(),
            Ok(_) => vec![self.view_error("split", ErrorKind::Argument, "pieces of size 0".into(), at)],
            Err(message) => vec![self.view_error("split", ErrorKind::Argument, message, at)],
        }
    }

    /// The same values, through which no gradient flows.
    #[track_caller]
    pub fn detach(&self) -> Tensor {
        Tensor::node(Op::Detach, Inputs::One([self.clone()]), *self.shape(), self.dtype(), Location::caller())
    }
}
