//! Order along an axis: sort, top-k.

use std::panic::Location;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page, arithmetic};
use crate::ops::reduce::{around, order_keys};
use crate::samples;
use crate::shape::resolve_axis;
use crate::tensor::{Inputs, Tensor, provenance};

/// The sorting order.
pub static ARG_SORT: Page = Page {
    name: "argsort",
    formula: "y = the stable order of indices that sorts x along the axis, or its first places; NaN counts as largest",
    gradient_formula: "none: an index",
    gradient: Some(|_, _| vec![None]),
    reference: |node, inputs| {
        let Op::ArgSort { axis, descending } = *node.op() else { return Err("not argsort".into()) };
        let keys = order_keys(inputs[0])?;
        let (outer, size, inner) = around(inputs[0].shape(), axis as usize);
        let places = node.shape()[axis as usize];
        let mut out = vec![0i64; outer * places * inner];
        for row in 0..outer * inner {
            let at = |i: usize, of: usize| (row / inner * of + i) * inner + row % inner;
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by_key(|&i| if descending { -keys[at(i, size)] } else { keys[at(i, size)] });
            order.iter().take(places).enumerate().for_each(|(place, &i)| out[at(place, places)] = i as i64);
        }
        Ok(Array::of(*node.shape(), out))
    },
    samples: samples::argsort,
};

impl Tensor {
    /// The order (i64 indices) that sorts `self` along `axis`; stable; NaN counts as largest.
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Tensor {
        self.order("argsort", axis, descending, None)
    }

    /// The order along `axis`, or its first `places`.
    #[track_caller]
    fn order(&self, name: &'static str, axis: isize, descending: bool, places: Option<usize>) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let fail = |kind, message| Tensor::failed(Error::new(kind, name, message).note(provenance("x", self)), at);
        if let Err(message) = arithmetic(name, self.dtype()) {
            return fail(ErrorKind::DType, message);
        }
        let axis = match resolve_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail(ErrorKind::Argument, message),
        };
        let mut shape = *self.shape();
        if let Some(k) = places {
            if k > shape[axis] {
                return fail(ErrorKind::Argument, format!("k = {k} of {} values along axis {axis}", shape[axis]));
            }
            shape[axis] = k;
        }
        Tensor::node(Op::ArgSort { axis: axis as u8, descending }, Inputs::One([self.clone()]), shape, DType::I64, at)
    }

    /// Sorted along `axis`: values and the indices they came from.
    #[track_caller]
    pub fn sort(&self, axis: isize, descending: bool) -> (Tensor, Tensor) {
        let order = self.argsort(axis, descending);
        (self.gather(axis, &order), order)
    }

    /// The `k` largest along `axis`, largest first: values and indices. Ties by lower index.
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: isize) -> (Tensor, Tensor) {
        let order = self.order("top_k", axis, true, Some(k));
        if order.error().is_some() { (order.clone(), order) } else { (self.gather(axis, &order), order) }
    }
}
