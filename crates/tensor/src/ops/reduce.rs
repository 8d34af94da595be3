//! Folding axes: sum, product, extremes, their positions, running sums; and the statistics made of them.

use std::panic::Location;

use crate::array::{Array, Element, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::layout::Layout;
use crate::op::{Op, Page, Reduction, arithmetic};
use crate::ops::binary::{max, min};
use crate::order::fold;
use crate::samples;
use crate::shape::{Axes, AxisSet, Shape, resolve_axis};
use crate::tensor::{Inputs, Node, Tensor, provenance};

/// The page of a reduction.
pub(crate) fn page(op: Reduction) -> &'static Page {
    match op {
        Reduction::Sum => &SUM,
        Reduction::Prod => &PROD,
        Reduction::Max => &MAX,
        Reduction::Min => &MIN,
    }
}

static SUM: Page = Page {
    name: "sum",
    formula: "y = sum of x over the axes",
    gradient_formula: "g, repeated along the axes",
    gradient: Some(|y, g| vec![Some(g.expand(y.inputs()[0].shape()))]),
    reference,
    samples: || samples::reduce(Reduction::Sum),
};

static PROD: Page = Page {
    name: "prod",
    formula: "y = product of x over the axes",
    gradient_formula: "g times the product of the others",
    gradient: Some(|y, g| {
        let x = &y.inputs()[0];
        let Op::Reduce { axes, .. } = *y.op() else { return vec![None] };
        vec![Some(g * product_of_others(x, axes))]
    }),
    reference,
    samples: || samples::reduce(Reduction::Prod),
};

static MAX: Page = Page {
    name: "max",
    formula: "y = largest x along the axes; NaN if any is",
    gradient_formula: "g shared among the largest",
    gradient: Some(share_among_extremes),
    reference,
    samples: || samples::reduce(Reduction::Max),
};

static MIN: Page = Page {
    name: "min",
    formula: "y = smallest x along the axes; NaN if any is",
    gradient_formula: "g shared among the smallest",
    gradient: Some(share_among_extremes),
    reference,
    samples: || samples::reduce(Reduction::Min),
};

/// Position of an extreme.
pub static ARG_REDUCE: Page = Page {
    name: "arg_reduce",
    formula: "y = first i with x[i] extreme along the axis; NaN counts as extreme",
    gradient_formula: "none: an index",
    gradient: Some(|_, _| vec![None]),
    reference: |node, inputs| {
        let Op::ArgReduce { max, axis } = *node.op() else { return Err("not arg_reduce".into()) };
        let (keys, nan) = (order_keys(inputs[0])?, order_key(f64::NAN));
        // NaN is the largest key; for the minimum it must also be the smallest.
        let rank = |key: i128| {
            if max {
                key
            } else if key == nan && !inputs[0].dtype().is_int() {
                i128::MAX
            } else {
                -key
            }
        };
        let (outer, size, inner) = around(inputs[0].shape(), axis as usize);
        let best = (0..outer * inner)
            .map(|row| {
                let at = |i: usize| rank(keys[(row / inner * size + i) * inner + row % inner]);
                (1..size).fold(0, |best, i| if at(i) > at(best) { i } else { best }) as i64
            })
            .collect();
        Ok(Array::of(*node.shape(), best))
    },
    samples: samples::arg_reduce,
};

/// Running sum.
pub static CUM_SUM: Page = Page {
    name: "cumsum",
    formula: "y[i] = x[0] + ... + x[i] along the axis",
    gradient_formula: "running sum of g from the end",
    gradient: Some(|y, g| {
        let Op::CumSum { axis } = *y.op() else { return vec![None] };
        let axis = axis as isize;
        vec![Some(g.flip(axis).cumsum(axis).flip(axis))]
    }),
    reference: |node, inputs| {
        fn run<T: Element>(v: &[T], (outer, size, inner): (usize, usize, usize), add: impl Fn(T, T) -> T) -> Values {
            let mut out = v.to_vec();
            for o in 0..outer {
                for i in (o * size + 1) * inner..(o + 1) * size * inner {
                    out[i] = add(out[i - inner], out[i]);
                }
            }
            T::wrap(out)
        }
        let Op::CumSum { axis } = *node.op() else { return Err("not cumsum".into()) };
        let around = around(inputs[0].shape(), axis as usize);
        if inputs[0].shape().count() == 0 {
            return Ok(inputs[0].clone());
        }
        let values = match inputs[0].values() {
            Values::F32(v) => run(v, around, |a, b| a + b),
            Values::F64(v) => run(v, around, |a, b| a + b),
            Values::I32(v) => run(v, around, i32::wrapping_add),
            Values::I64(v) => run(v, around, i64::wrapping_add),
            Values::U8(v) => run(v, around, u8::wrapping_add),
            v => return Err(format!("cumsum is not defined on {}", v.dtype())),
        };
        Ok(Array::new(*inputs[0].shape(), values))
    },
    samples: samples::cumsum,
};

/// At each element the product of all others that are folded with it. Products alone: a quotient would be lost where
/// elements are zero, and its derivative even where only one is.
fn product_of_others(x: &Tensor, axes: AxisSet) -> Tensor {
    // The folded axes become one, the last.
    let order: Vec<isize> =
        (0..x.rank()).filter(|&a| !axes.contains(a)).chain(axes.iter()).map(|a| a as isize).collect();
    let moved = x.permute(&order);
    let mut rows: Vec<usize> = x.shape().without(axes).to_vec();
    rows.push(axes.iter().map(|axis| x.dims()[axis]).product());
    let rows = moved.reshape(rows);
    let others = product_before(&rows) * product_before(&rows.flip(-1)).flip(-1);
    let mut back = vec![0isize; order.len()];
    order.iter().zip(0..).for_each(|(&from, to)| back[from as usize] = to);
    others.reshape(moved.shape()).permute(&back)
}

/// Along the last axis: the product of the elements before each one, by doubling.
fn product_before(x: &Tensor) -> Tensor {
    let size = x.dims()[x.rank() - 1];
    let shifted = |t: &Tensor, by: usize| t.narrow(-1, 0..size - by).pad(-1, by, 0, 1.0);
    if size == 0 {
        return x.clone();
    }
    let (mut product, mut span) = (shifted(x, 1), 1);
    while span < size {
        product = &product * shifted(&product, span);
        span *= 2;
    }
    product
}

fn share_among_extremes(y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let x = &y.inputs()[0];
    let Op::Reduce { axes, .. } = *y.op() else { return vec![None] };
    let mut extreme = x.eq(y.expand(x.shape()));
    if x.dtype().is_float() {
        // A NaN equals nothing, but where there is one it is the result.
        extreme = extreme.or(x.is_nan());
    }
    let ties = extreme.cast(x.dtype()).reduce(Reduction::Sum, axes);
    vec![Some((g / ties).expand(x.shape()).keep_where(&extreme))]
}

fn reference(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let Op::Reduce { op, axes } = *node.op() else { return Err("not a reduction".into()) };
    fn run<T: Element>(v: &[T], shape: &Shape, axes: AxisSet, identity: T, op: fn(T, T) -> T) -> Values {
        // One layout walks the results, the other the values folded into one of them.
        let whole = Layout::contiguous(*shape);
        let kept = Layout { shape: shape.keep(axes), ..whole };
        let folded = Layout { shape: shape.keep(AxisSet(AxisSet::all(shape.rank()).0 & !axes.0)), ..whole };
        let inside: Vec<usize> = folded.positions().collect();
        T::wrap(kept.positions().map(|start| fold(inside.len(), &|i| v[start + inside[i]], identity, op)).collect())
    }
    fn pick<T: Element + PartialOrd>(op: Reduction, sum: fn(T, T) -> T, prod: fn(T, T) -> T) -> fn(T, T) -> T {
        match op {
            Reduction::Sum => sum,
            Reduction::Prod => prod,
            Reduction::Max => max,
            Reduction::Min => min,
        }
    }
    let shape = inputs[0].shape();
    let identity = identity(op);
    let values = match inputs[0].values() {
        Values::F32(v) => run(v, shape, axes, identity as f32, pick(op, |a, b| a + b, |a, b| a * b)),
        Values::F64(v) => run(v, shape, axes, identity, pick(op, |a, b| a + b, |a, b| a * b)),
        Values::I32(v) => run(v, shape, axes, identity as i32, pick(op, i32::wrapping_add, i32::wrapping_mul)),
        Values::I64(v) => run(v, shape, axes, identity as i64, pick(op, i64::wrapping_add, i64::wrapping_mul)),
        Values::U8(v) => run(v, shape, axes, identity as u8, pick(op, u8::wrapping_add, u8::wrapping_mul)),
        v => return Err(format!("{} is not defined on {}", page(op).name, v.dtype())),
    };
    Ok(Array::new(*node.shape(), values))
}

/// What a fold starts from; as an integer it saturates.
pub fn identity(op: Reduction) -> f64 {
    match op {
        Reduction::Sum => 0.0,
        Reduction::Prod => 1.0,
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
    }
}

/// (product of the dimensions before `axis`, its size, product of those behind).
pub fn around(shape: &Shape, axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// A total order on the elements as integers: floats by their bits, NaN above infinity, -0 equal to 0.
pub fn order_keys(array: &Array) -> Result<Vec<i128>, String> {
    Ok(match array.values() {
        Values::F32(v) => v.iter().map(|&x| order_key(f64::from(x))).collect(),
        Values::F64(v) => v.iter().map(|&x| order_key(x)).collect(),
        Values::I32(v) => v.iter().map(|&x| i128::from(x)).collect(),
        Values::I64(v) => v.iter().map(|&x| i128::from(x)).collect(),
        Values::U8(v) => v.iter().map(|&x| i128::from(x)).collect(),
        v => return Err(format!("{} has no order", v.dtype())),
    })
}

fn order_key(x: f64) -> i128 {
    let bits = if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() } as i64;
    // Negative floats order backwards: flip all bits but the sign.
    i128::from(bits ^ ((bits >> 63) as u64 >> 1) as i64)
}

impl Tensor {
    /// Folds `axes` to size 1.
    #[track_caller]
    pub(crate) fn reduce(&self, op: Reduction, axes: AxisSet) -> Tensor {
        if axes.is_empty() {
            return self.clone();
        }
        let shape = self.shape().keep(axes);
        Tensor::node(Op::Reduce { op, axes }, Inputs::One([self.clone()]), shape, self.dtype(), Location::caller())
    }

    fn reduced(&self, op: Reduction, axes: Axes, keep: bool, at: &'static Location<'static>) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let name = page(op).name;
        let fail = |kind, message| Tensor::failed(Error::new(kind, name, message).note(provenance("x", self)), at);
        if let Err(message) = arithmetic(name, self.dtype()) {
            return fail(ErrorKind::DType, message);
        }
        let axes = match axes.resolve(self.rank()) {
            Ok(axes) => axes,
            Err(message) => return fail(ErrorKind::Argument, message),
        };
        let folded: usize = axes.iter().map(|axis| self.dims()[axis]).product();
        if folded == 0 && matches!(op, Reduction::Max | Reduction::Min) && self.shape().without(axes).count() > 0 {
            return fail(
                ErrorKind::Shape,
                format!("no values to choose from in {} over axes {:?}", self.shape(), axes.iter().collect::<Vec<_>>()),
            );
        }
        if axes.is_empty() {
            return self.clone();
        }
        let shape = self.shape().keep(axes);
        let node = Tensor::node(Op::Reduce { op, axes }, Inputs::One([self.clone()]), shape, self.dtype(), at);
        if keep { node } else { node.shaped(self.shape().without(axes), at) }
    }

    fn along(&self, name: &'static str, axis: isize, at: &'static Location<'static>) -> Result<usize, Tensor> {
        if self.error().is_some() {
            return Err(self.clone());
        }
        let fail = |kind, message| Tensor::failed(Error::new(kind, name, message).note(provenance("x", self)), at);
        arithmetic(name, self.dtype()).map_err(|message| fail(ErrorKind::DType, message))?;
        resolve_axis(axis, self.rank()).map_err(|message| fail(ErrorKind::Argument, message))
    }

    /// Sum over `axes` (one axis, several, or `..` for all), which disappear.
    #[track_caller]
    pub fn sum(&self, axes: impl Into<Axes>) -> Tensor {
        self.reduced(Reduction::Sum, axes.into(), false, Location::caller())
    }

    /// Sum over `axes`, which stay with size 1.
    #[track_caller]
    pub fn sum_keep(&self, axes: impl Into<Axes>) -> Tensor {
        self.reduced(Reduction::Sum, axes.into(), true, Location::caller())
    }

    /// Product over `axes`.
    #[track_caller]
    pub fn prod(&self, axes: impl Into<Axes>) -> Tensor {
        self.reduced(Reduction::Prod, axes.into(), false, Location::caller())
    }

    /// Largest value over `axes`; NaN if any is. Ties share the gradient.
    #[track_caller]
    pub fn max(&self, axes: impl Into<Axes>) -> Tensor {
        self.reduced(Reduction::Max, axes.into(), false, Location::caller())
    }

    /// Largest value over `axes`, which stay with size 1.
    #[track_caller]
    pub fn max_keep(&self, axes: impl Into<Axes>) -> Tensor {
        self.reduced(Reduction::Max, axes.into(), true, Location::caller())
    }

    /// Smallest value over `axes`; NaN if any is. Ties share the gradient.
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Tensor {
        self.reduced(Reduction::Min, axes.into(), false, Location::caller())
    }

    /// Mean over `axes`.
    #[track_caller]
    pub fn mean(&self, axes: impl Into<Axes>) -> Tensor {
        self.mean_over(axes.into(), false, Location::caller())
    }

    /// Mean over `axes`, which stay with size 1.
    #[track_caller]
    pub fn mean_keep(&self, axes: impl Into<Axes>) -> Tensor {
        self.mean_over(axes.into(), true, Location::caller())
    }

    #[track_caller]
    fn mean_over(&self, axes: Axes, keep: bool, at: &'static Location<'static>) -> Tensor {
        if self.error().is_none() && !self.dtype().is_float() {
            let message = format!("mean is not defined on {}", self.dtype());
            let error = Error::new(ErrorKind::DType, "mean", message).note(provenance("x", self));
            return Tensor::failed(error.help("cast to f32 first"), at);
        }
        let sum = self.reduced(Reduction::Sum, axes, keep, at);
        let folded = self.count() as f64 / sum.count() as f64;
        sum / folded
    }

    /// Variance over `axes`, dividing by count - `correction` (1: the unbiased estimate, PyTorch's default; 0: the
    /// population's). Two passes: the mean first, then the squares around it.
    #[track_caller]
    pub fn var(&self, axes: impl Into<Axes>, correction: f64) -> Tensor {
        let axes = axes.into();
        let kept = self.var_keep(axes.clone(), correction);
        match axes.resolve(self.rank()) {
            Ok(set) if kept.error().is_none() => kept.shaped(self.shape().without(set), Location::caller()),
            _ => kept,
        }
    }

    /// Variance over `axes`, which stay with size 1.
    #[track_caller]
    pub fn var_keep(&self, axes: impl Into<Axes>, correction: f64) -> Tensor {
        let axes = axes.into();
        let centred = self - self.mean_keep(axes.clone());
        let squares = (&centred * &centred).sum_keep(axes);
        let folded = self.count() as f64 / squares.count() as f64;
        squares / (folded - correction)
    }

    /// `ln(sum(exp(x)))` over `axes`, without overflow.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Into<Axes>) -> Tensor {
        let axes = axes.into();
        let kept = self.logsumexp_keep(axes.clone());
        match axes.resolve(self.rank()) {
            Ok(set) if kept.error().is_none() => kept.shaped(self.shape().without(set), Location::caller()),
            _ => kept,
        }
    }

    /// `ln(sum(exp(x)))` over `axes`, which stay with size 1.
    #[track_caller]
    pub fn logsumexp_keep(&self, axes: impl Into<Axes>) -> Tensor {
        let axes = axes.into();
        // The shift cancels, so no gradient goes through it; an infinite one would make NaN of infinity - infinity.
        let top = self.max_keep(axes.clone()).detach();
        let top = top.keep_where(&top.abs().lt(f64::INFINITY).or(top.is_nan()));
        (self - &top).exp().sum_keep(axes).log() + top
    }

    /// Index (i64) of the largest value along `axis`; the first on ties; NaN counts as largest.
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor {
        self.arg_reduce(true, axis, Location::caller())
    }

    /// Index (i64) of the smallest value along `axis`; the first on ties; NaN counts as smallest.
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor {
        self.arg_reduce(false, axis, Location::caller())
    }

    fn arg_reduce(&self, max: bool, axis: isize, at: &'static Location<'static>) -> Tensor {
        let name = if max { "argmax" } else { "argmin" };
        let axis = match self.along(name, axis, at) {
            Ok(axis) => axis,
            Err(failed) => return failed,
        };
        let set: AxisSet = [axis].into_iter().collect();
        if self.dims()[axis] == 0 {
            let error = Error::new(ErrorKind::Shape, name, format!("no values along axis {axis} of {}", self.shape()));
            return Tensor::failed(error.note(provenance("x", self)), at);
        }
        let op = Op::ArgReduce { max, axis: axis as u8 };
        Tensor::node(op, Inputs::One([self.clone()]), self.shape().keep(set), DType::I64, at)
            .shaped(self.shape().without(set), at)
    }

    /// Running sum along `axis`.
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Tensor {
        let at = Location::caller();
        match self.along("cumsum", axis, at) {
            Ok(axis) => {
                let op = Op::CumSum { axis: axis as u8 };
                Tensor::node(op, Inputs::One([self.clone()]), *self.shape(), self.dtype(), at)
            }
            Err(failed) => failed,
        }
    }
}
