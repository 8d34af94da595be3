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
    formula: "y = the stable order of indices that sorts x along the axis; NaN counts as largest",
    gradient_formula: "none: an index",
    gradient: Some(|_, _| vec![None]),
    reference: |node, inputs| {
        let Op::ArgSort { axis, descending } = *node.op() else { return Err("not argsort".into()) };
        let keys = order_keys(inputs[0])?;
        let (outer, size, inner) = around(inputs[0].shape(), axis as usize);
        let mut out = vec![0i64; keys.len()];
        for row in 0..outer * inner {
            let at = |i: usize| (row / inner * size + i) * inner + row % inner;
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by_key(|&i| if descending { -keys[at(i)] } else { keys[at(i)] });
            order.iter().enumerate().for_each(|(place, &i)| out[at(place)] = i as i64);
        }
        Ok(Array::of(*node.shape(), out))
    },
    samples: samples::argsort,
};

impl Tensor {
    /// The order (i64 indices) that sorts `self` along `axis`; stable; NaN counts as largest.
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        let fail = |kind, message| Tensor::failed(Error::new(kind, "argsort", message).note(provenance("x", self)), at);
        if let Err(message) = arithmetic("argsort", self.dtype()) {
            return fail(ErrorKind::DType, message);
        }
        match resolve_axis(axis, self.rank()) {
            Ok(axis) => {
                let op = Op::ArgSort { axis: axis as u8, descending };
                Tensor::node(op, Inputs::One([self.clone()]), *self.shape(), DType::I64, at)
            }
            Err(message) => fail(ErrorKind::Argument, message),
        }
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
        let order = self.argsort(axis, true);
        let size = resolve_axis(axis, self.rank()).map_or(0, |axis| self.dims()[axis]);
        if order.error().is_none() && k > size {
            let message = format!("k = {k} of {size} values along axis {axis}");
            let error = Error::new(ErrorKind::Argument, "top_k", message).note(provenance("x", self));
            let failed = Tensor::failed(error, Location::caller());
            return (failed.clone(), failed);
        }
        let order = order.narrow(axis, 0..k);
        (self.gather(axis, &order), order)
    }
}
