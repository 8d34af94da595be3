//! Matrix products, batched with broadcasting.

use std::panic::Location;

use crate::array::{Array, Values};
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page};
use crate::real::Real;
use crate::samples;
use crate::shape::Shape;
use crate::tensor::{Inputs, Tensor, provenance};

/// Matrix product.
pub static MATMUL: Page = Page {
    name: "matmul",
    formula: "y[.., i, j] = sum over k of a[.., i, k] b[.., k, j], a chain of fused multiply-adds in the order of k",
    gradient_formula: "g b^T, a^T g",
    gradient: Some(|y, g| {
        let [a, b] = y.inputs() else { return vec![None; 2] };
        let t = |x: &Tensor| x.transpose(-1, -2);
        // A transposed operand gets its gradient transposed too: the transposes cancel, and the gradient comes out in the
        // layout of the parameter.
        let for_a = if is_transposed(a) { t(&b.matmul(&t(g))) } else { g.matmul(&t(b)) };
        let for_b = if is_transposed(b) { t(&t(g).matmul(a)) } else { t(a).matmul(g) };
        vec![Some(for_a), Some(for_b)]
    }),
    reference: |node, inputs| {
        let (m, k) = last_two(inputs[0].shape());
        let (_, n) = last_two(inputs[1].shape());
        let values = match (inputs[0].values(), inputs[1].values()) {
            (Values::F32(a), Values::F32(b)) => Values::F32(product(a, b, node.shape().count(), m, k, n)),
            (Values::F64(a), Values::F64(b)) => Values::F64(product(a, b, node.shape().count(), m, k, n)),
            (a, _) => return Err(format!("matmul is not defined on {}", a.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::matmul,
};

fn is_transposed(x: &Tensor) -> bool {
    let rank = x.rank();
    matches!(*x.op(), Op::Permute { order } if order[rank - 1] as usize == rank - 2 && order[rank - 2] as usize == rank - 1)
}

fn last_two(shape: &Shape) -> (usize, usize) {
    (shape[shape.rank() - 2], shape[shape.rank() - 1])
}

fn product<T: Real>(a: &[T], b: &[T], count: usize, m: usize, k: usize, n: usize) -> Vec<T> {
    (0..count)
        .map(|index| {
            let (batch, i, j) = (index / (m * n), index / n % m, index % n);
            let term = |sum: T, p: usize| a[(batch * m + i) * k + p].fma(b[(batch * k + p) * n + j], sum);
            (0..k).fold(T::ZERO, term)
        })
        .collect()
}

impl Tensor {
    /// Matrix product `[.., m, k] x [.., k, n] -> [.., m, n]`; the leading dimensions broadcast. Vectors (1 dimension) are a
    /// row on the left and a column on the right, as in NumPy.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        let at = Location::caller();
        if let Some(bad) = [self, other].into_iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        let fail = |kind, message: String| {
            let error = Error::new(kind, "matmul", message)
                .note(provenance("the left operand", self))
                .note(provenance("the right operand", other));
            Tensor::failed(error, at)
        };
        if self.rank() == 0 || other.rank() == 0 {
            return fail(
                ErrorKind::Shape,
                format!("{} x {}: a scalar has no matrix product", self.shape(), other.shape()),
            );
        }
        if self.rank() == 1 {
            let product = self.unsqueeze(0).matmul(other);
            let axis = product.rank() as isize - if other.rank() == 1 { 1 } else { 2 };
            return product.squeeze(axis);
        }
        if other.rank() == 1 {
            return self.matmul(&other.unsqueeze(1)).squeeze(-1);
        }
        if self.dtype() != other.dtype() || !self.dtype().is_float() {
            let message =
                format!("{} x {}: both must be f32 or f64, so cast to f32 first", self.dtype(), other.dtype());
            return fail(ErrorKind::DType, message);
        }
        let ((m, inner), (other_inner, n)) = (last_two(self.shape()), last_two(other.shape()));
        if inner != other_inner {
            let message = format!("{} x {} (inner sizes {inner} and {other_inner})", self.shape(), other.shape());
            return fail(ErrorKind::Shape, message);
        }
        let lead = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]).unwrap_or(Shape::SCALAR);
        let Some(lead) = lead(self).broadcast(&lead(other)) else {
            return fail(ErrorKind::Shape, format!("{} x {}: leading dimensions differ", self.shape(), other.shape()));
        };
        let with = |rows, columns| Shape::new(&[&*lead, &[rows, columns]].concat());
        let (Some(left), Some(right), Some(shape)) = (with(m, inner), with(inner, n), with(m, n)) else {
            return fail(ErrorKind::Shape, format!("{} x {}: the result is too large", self.shape(), other.shape()));
        };
        let inputs = [self.spread(left, at), other.spread(right, at)];
        Tensor::node(Op::MatMul, Inputs::Two(inputs), shape, self.dtype(), at)
    }
}
