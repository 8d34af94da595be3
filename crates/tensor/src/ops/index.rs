//! Reading and adding by index.

use std::panic::Location;

use crate::array::{Array, Element, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page};
use crate::ops::reduce::around;
use crate::samples;
use crate::shape::{Shape, resolve_axis};
use crate::tensor::{Inputs, Tensor, provenance};

/// Elements by index.
pub static GATHER: Page = Page {
    name: "gather",
    formula: "y[.., j, ..] = x[.., index[.., j, ..], ..] along the axis",
    gradient_formula: "g added at the indices",
    gradient: Some(|y, g| {
        let (Op::Gather { axis }, [x, index]) = (*y.op(), y.inputs()) else { return vec![None; 2] };
        if index.dims()[axis as usize] == 1 && index.count() > 0 {
            // One element a row: told apart by position, so that it fuses with what else the row's gradient is made of.
            let here = Tensor::iota(x.shape(), axis as isize, DType::I64).eq(index);
            return vec![Some(g.expand_like(x).keep_where(&here)), None];
        }
        vec![Some(Tensor::zeros(x.shape(), x.dtype()).scatter_add(axis as isize, index, g)), None]
    }),
    reference: |node, inputs| {
        fn pick<T: Element>(v: &[T], from: &[usize]) -> Values {
            T::wrap(from.iter().map(|&i| v[i]).collect())
        }
        let Op::Gather { axis } = *node.op() else { return Err("not gather".into()) };
        let from = element_positions(inputs[1], inputs[0].shape(), axis as usize)?;
        let values = each_dtype(inputs[0], |v| pick(v, &from), |v| pick(v, &from), |v| pick(v, &from))?;
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::gather,
};

/// Additions by index.
pub static SCATTER_ADD: Page = Page {
    name: "scatter_add",
    formula: "y = base, then y[.., index[.., j, ..], ..] += src[.., j, ..] in row-major order",
    gradient_formula: "g, none, g gathered at the indices",
    gradient: Some(|y, g| {
        let (Op::ScatterAdd { axis }, [_, index, _]) = (*y.op(), y.inputs()) else { return vec![None; 3] };
        vec![Some(g.clone()), None, Some(g.gather(axis as isize, index))]
    }),
    reference: |node, inputs| {
        fn add<T: Element>(base: &[T], src: &Values, to: &[usize], plus: impl Fn(T, T) -> T) -> Values {
            let mut out = base.to_vec();
            if let Some(src) = T::of(src) {
                src.iter().zip(to).for_each(|(&x, &i)| out[i] = plus(out[i], x));
            }
            T::wrap(out)
        }
        let Op::ScatterAdd { axis } = *node.op() else { return Err("not scatter_add".into()) };
        let to = element_positions(inputs[1], inputs[0].shape(), axis as usize)?;
        let src = inputs[2].values();
        let values = each_dtype(
            inputs[0],
            |v| add(v, src, &to, |a, b| a + b),
            |v| add(v, src, &to, |a, b| a + b),
            |v| add(v, src, &to, i64::wrapping_add),
        )?;
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::scatter_add,
};

/// Slices by index.
pub static INDEX_SELECT: Page = Page {
    name: "index_select",
    formula: "y[.., j, ..] = x[.., index[j], ..]: whole slices along the axis, j any number of dimensions",
    gradient_formula: "slices of g added at the indices",
    gradient: Some(|y, g| {
        let (Op::IndexSelect { axis }, [x, index]) = (*y.op(), y.inputs()) else { return vec![None; 2] };
        vec![Some(g.index_add(axis as isize, index, x.dims()[axis as usize])), None]
    }),
    reference: |node, inputs| {
        fn pick<T: Element>(v: &[T], index: &[usize], (outer, size, inner): (usize, usize, usize)) -> Values {
            let slice = |o: usize, i: usize| v[(o * size + i) * inner..][..inner].iter().copied();
            T::wrap((0..outer).flat_map(|o| index.iter().flat_map(move |&i| slice(o, i))).collect())
        }
        let Op::IndexSelect { axis } = *node.op() else { return Err("not index_select".into()) };
        let around = around(inputs[0].shape(), axis as usize);
        let index = indices(inputs[1], around.1)?;
        let values = each_dtype(
            inputs[0],
            |v| pick(v, &index, around),
            |v| pick(v, &index, around),
            |v| pick(v, &index, around),
        )?;
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::index_select,
};

/// Additions of slices by index.
pub static INDEX_ADD: Page = Page {
    name: "index_add",
    formula: "y = 0, then y[.., index[j], ..] += src[.., j, ..] in the order of j",
    gradient_formula: "none, slices of g at the indices",
    gradient: Some(|y, g| {
        let (Op::IndexAdd { axis }, [index, _]) = (*y.op(), y.inputs()) else { return vec![None; 2] };
        vec![None, Some(g.index_select(axis as isize, index))]
    }),
    reference: |node, inputs| {
        fn add<T: Element>(
            mut out: Vec<T>,
            src: &[T],
            index: &[usize],
            (outer, size, inner): (usize, usize, usize),
            plus: impl Fn(T, T) -> T,
        ) -> Values {
            for o in 0..outer {
                for (j, &i) in index.iter().enumerate() {
                    for k in 0..inner {
                        let (to, from) = ((o * size + i) * inner + k, (o * index.len() + j) * inner + k);
                        out[to] = plus(out[to], src[from]);
                    }
                }
            }
            T::wrap(out)
        }
        let Op::IndexAdd { axis } = *node.op() else { return Err("not index_add".into()) };
        let around = around(node.shape(), axis as usize);
        let index = indices(inputs[0], around.1)?;
        let n = node.shape().count();
        let values = each_dtype(
            inputs[1],
            |v| add(vec![0f32; n], v, &index, around, |a, b| a + b),
            |v| add(vec![0f64; n], v, &index, around, |a, b| a + b),
            |v| add(vec![0i64; n], v, &index, around, i64::wrapping_add),
        )?;
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::index_add,
};

fn each_dtype(
    x: &Array,
    f32: impl FnOnce(&[f32]) -> Values,
    f64: impl FnOnce(&[f64]) -> Values,
    i64: impl FnOnce(&[i64]) -> Values,
) -> Result<Values, String> {
    match x.values() {
        Values::F32(v) => Ok(f32(v)),
        Values::F64(v) => Ok(f64(v)),
        Values::I64(v) => Ok(i64(v)),
        v => Err(format!("indexing {} tensors: cast to f32 or i64 first", v.dtype())),
    }
}

/// The indices, each checked to be below `size`.
fn indices(index: &Array, size: usize) -> Result<Vec<usize>, String> {
    let index = index.as_slice::<i64>().ok_or("an index is i64")?;
    index
        .iter()
        .enumerate()
        .map(|(at, &i)| usize::try_from(i).ok().filter(|&i| i < size).ok_or_else(|| out_of_range(at, i, size)))
        .collect()
}

/// What is said of an index that is out of range.
pub fn out_of_range(at: usize, index: i64, size: usize) -> String {
    format!("index {index} (element {at} of the index) is out of range for {size} entries")
}

/// For each element of `index`, the position in an array of `shape` that it names along `axis`.
fn element_positions(index: &Array, shape: &Shape, axis: usize) -> Result<Vec<usize>, String> {
    let (_, size, inner) = around(shape, axis);
    let picks = index.shape()[axis];
    let at = indices(index, size)?;
    Ok(at.iter().enumerate().map(|(e, &i)| (e / (picks * inner) * size + i) * inner + e % inner).collect())
}

impl Tensor {
    /// `y[.., j, ..] = self[.., index[.., j, ..], ..]` along `axis`. `index` is i64 and has the shape of `self` but for
    /// `axis`. An index out of range is an error of the evaluation.
    #[track_caller]
    pub fn gather(&self, axis: isize, index: &Tensor) -> Tensor {
        let at = Location::caller();
        match self.indexed("gather", axis, index, at, |axis| others_match(self, index, axis)) {
            Ok(axis) => {
                let op = Op::Gather { axis: axis as u8 };
                Tensor::node(op, Inputs::Two([self.clone(), index.clone()]), *index.shape(), self.dtype(), at)
            }
            Err(failed) => failed,
        }
    }

    /// `self` with `src[.., j, ..]` added at `index[.., j, ..]` along `axis`, in row-major order.
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: &Tensor, src: &Tensor) -> Tensor {
        let at = Location::caller();
        if src.error().is_some() {
            return src.clone();
        }
        let fits = |axis| {
            if src.shape() != index.shape() || src.dtype() != self.dtype() {
                let (shape, dtype) = (src.shape(), src.dtype());
                return Err(format!("src is {dtype} {shape} with an index of {} into {}", index.shape(), self.dtype()));
            }
            others_match(self, index, axis)
        };
        match self.indexed("scatter_add", axis, index, at, fits) {
            Ok(axis) => {
                let inputs = Inputs::Three([self.clone(), index.clone(), src.clone()]);
                Tensor::node(Op::ScatterAdd { axis: axis as u8 }, inputs, *self.shape(), self.dtype(), at)
            }
            Err(failed) => failed,
        }
    }

    /// Whole slices of `self` along `axis` at `index` (i64, any shape), whose shape takes the place of `axis`.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Tensor) -> Tensor {
        let at = Location::caller();
        let mut shape = None;
        let fits = |axis: usize| {
            let dims: Vec<usize> = [&self.dims()[..axis], index.dims(), &self.dims()[axis + 1..]].concat();
            shape = Some(Shape::new(&dims).ok_or(format!("{dims:?} has too many dimensions"))?);
            Ok(())
        };
        match (self.indexed("index_select", axis, index, at, fits), shape) {
            (Ok(axis), Some(shape)) => {
                let op = Op::IndexSelect { axis: axis as u8 };
                Tensor::node(op, Inputs::Two([self.clone(), index.clone()]), shape, self.dtype(), at)
            }
            (Ok(_), None) => self.clone(),
            (Err(failed), _) => failed,
        }
    }

    /// Rows of `self [entries, ..]` at `index` (i64, any shape): an embedding.
    #[track_caller]
    pub fn embedding(&self, index: &Tensor) -> Tensor {
        self.index_select(0, index)
    }

    /// Zeros with `size` entries along `axis`, to which the slices of `self` are added at `index`, in order: the adjoint
    /// of [`Tensor::index_select`]. The dimensions of `index` stand at `axis` in `self`.
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Tensor, size: usize) -> Tensor {
        let at = Location::caller();
        let mut shape = None;
        let fits = |axis: usize| {
            let end = axis + index.rank();
            if self.dims().get(axis..end) != Some(index.dims()) {
                return Err(format!("an index of {} does not stand at axis {axis} of {}", index.shape(), self.shape()));
            }
            let dims: Vec<usize> = [&self.dims()[..axis], &[size], &self.dims()[end..]].concat();
            shape = Some(Shape::new(&dims).ok_or(format!("{dims:?} is too large"))?);
            Ok(())
        };
        // Negative axes count from the end of the result.
        let rank = (self.rank() + 1).saturating_sub(index.rank());
        let axis = match resolve_axis(axis, rank) {
            _ if self.error().is_some() || index.error().is_some() => axis,
            Ok(axis) => axis as isize,
            Err(message) => {
                let error = Error::new(ErrorKind::Argument, "index_add", message);
                return Tensor::failed(error.note(provenance("x", self)).note(provenance("the index", index)), at);
            }
        };
        let raised = if index.rank() == 0 { self.unsqueeze(axis) } else { self.clone() };
        if index.rank() == 0 {
            return raised.index_add(axis, &index.reshape([1]), size);
        }
        match (self.indexed("index_add", axis, index, at, fits), shape) {
            (Ok(axis), Some(shape)) => {
                let op = Op::IndexAdd { axis: axis as u8 };
                Tensor::node(op, Inputs::Two([index.clone(), self.clone()]), shape, self.dtype(), at)
            }
            (Ok(_), None) => self.clone(),
            (Err(failed), _) => failed,
        }
    }

    /// 1 at `[.., self[..]]`, 0 elsewhere: `self` (i64) gains a last axis of `classes`. An index out of range gives zeros.
    #[track_caller]
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let mut dims = self.dims().to_vec();
        dims.push(classes);
        // (In a small integer the classes would start again at 0.)
        let index = if self.dtype().is_int() { self.cast(DType::I64) } else { self.clone() };
        index.unsqueeze(-1).eq(Tensor::iota(dims, -1, index.dtype())).cast(dtype)
    }

    fn indexed(
        &self,
        name: &'static str,
        axis: isize,
        index: &Tensor,
        at: &'static Location<'static>,
        fits: impl FnOnce(usize) -> Result<(), String>,
    ) -> Result<usize, Tensor> {
        if let Some(bad) = [self, index].into_iter().find(|t| t.error().is_some()) {
            return Err(bad.clone());
        }
        let fail = |kind, message: String| {
            let error =
                Error::new(kind, name, message).note(provenance("x", self)).note(provenance("the index", index));
            Tensor::failed(error, at)
        };
        if index.dtype() != DType::I64 {
            return Err(fail(ErrorKind::DType, format!("the index is {}, not i64", index.dtype())));
        }
        if !matches!(self.dtype(), DType::F32 | DType::F64 | DType::I64) {
            let help = if self.dtype().is_int() { "i64" } else { "f32" };
            let message = format!("{name} is not defined on {}: cast to {help} first", self.dtype());
            return Err(fail(ErrorKind::DType, message));
        }
        let axis = resolve_axis(axis, self.rank()).map_err(|message| fail(ErrorKind::Argument, message))?;
        fits(axis).map_err(|message| fail(ErrorKind::Shape, message))?;
        Ok(axis)
    }
}

fn others_match(x: &Tensor, index: &Tensor, axis: usize) -> Result<(), String> {
    let only: crate::shape::AxisSet = [axis].into_iter().collect();
    if x.rank() == index.rank() && x.shape().keep(only) == index.shape().keep(only) {
        return Ok(());
    }
    Err(format!(
        "an index of {} into {} along axis {axis}: all other dimensions must be equal",
        index.shape(),
        x.shape()
    ))
}
