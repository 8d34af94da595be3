//! Sums of products: what does not vary along the summed axes is taken out of the sum.
//!
//! The gradient of what was repeated along axes is such a sum, and much of its product was often repeated too. A factor made of
//! another sum keeps it waiting. Outside it does not: both are made in one pass over memory, and sums that differ in such
//! factors alone are one. A normalisation's gradient so takes two passes instead of three.
//!
//! Other factors stay where they are: the product may lie in memory anyway, and what is left without them would not.

use crate::op::{Binary, Op, Reduction, Unary};
use crate::shape::{AxisSet, Shape};
use crate::tensor::{Inputs, Tensor};

/// Sums of more terms, and products of more factors, are taken as they are.
const DEEPEST: usize = 8;
/// Nodes that are looked at to find the sum which a factor is made of.
const FARTHEST: usize = 24;

/// The sum of `g` over `axes`, which stay, with size 1.
#[track_caller]
pub(crate) fn sum(g: &Tensor, axes: AxisSet) -> Tensor {
    let worth = g.error().is_none() && g.dtype().is_float() && waits(g, axes, DEEPEST);
    let taken_out = if worth { terms(g, axes, DEEPEST) } else { None };
    taken_out.unwrap_or_else(|| g.reduce(Reduction::Sum, axes))
}

/// Whether a factor of a term of `g` does not vary along the axes and is made of a sum.
fn waits(g: &Tensor, axes: AxisSet, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match (g.op(), g.inputs()) {
        (Op::Unary(Unary::Neg) | Op::Binary(Binary::Add | Binary::Sub | Binary::Mul), inputs) => {
            inputs.iter().any(|input| waits(input, axes, depth))
        }
        (Op::Expand, [x]) => is_repeated(g, x, axes) && is_made_of_a_sum(x),
        _ => false,
    }
}

fn is_repeated(g: &Tensor, x: &Tensor, axes: AxisSet) -> bool {
    let lead = g.rank() - x.rank();
    axes.iter().all(|axis| axis < lead || x.dims()[axis - lead] == 1)
}

fn is_made_of_a_sum(x: &Tensor) -> bool {
    let mut stack = vec![x];
    for _ in 0..FARTHEST {
        let Some(node) = stack.pop() else { return false };
        if matches!(node.op(), Op::Reduce { .. }) {
            return true;
        }
        // Not through products and the like: their results lie in memory.
        if node.op().is_elementwise() || node.op().is_view() {
            stack.extend(node.inputs());
        }
    }
    false
}

/// The sum of `g`, if each of its terms has a factor that can be taken out.
#[track_caller]
fn terms(g: &Tensor, axes: AxisSet, depth: usize) -> Option<Tensor> {
    let depth = depth.checked_sub(1)?;
    match (g.op(), g.inputs()) {
        (Op::Unary(Unary::Neg), [x]) => Some(-terms(x, axes, depth)?),
        (Op::Binary(Binary::Add), [a, b]) => Some(terms(a, axes, depth)? + terms(b, axes, depth)?),
        (Op::Binary(Binary::Sub), [a, b]) => Some(terms(a, axes, depth)? - terms(b, axes, depth)?),
        _ => {
            let Factors { varying, fixed } = factors(g, axes, depth);
            Some(varying?.reduce(Reduction::Sum, axes) * fixed?)
        }
    }
}

/// A product, taken apart.
struct Factors {
    /// The product of the factors that vary along the axes.
    varying: Option<Tensor>,
    /// The product of the others, the axes with size 1.
    fixed: Option<Tensor>,
}

#[track_caller]
fn factors(g: &Tensor, axes: AxisSet, depth: usize) -> Factors {
    let whole = || Factors { varying: Some(g.clone()), fixed: None };
    let Some(depth) = depth.checked_sub(1) else { return whole() };
    match (g.op(), g.inputs()) {
        (Op::Unary(Unary::Neg), [x]) => match factors(x, axes, depth) {
            Factors { varying, fixed: Some(fixed) } => Factors { varying, fixed: Some(-fixed) },
            _ => whole(),
        },
        (Op::Binary(Binary::Mul), [a, b]) => {
            let (a, b) = (factors(a, axes, depth), factors(b, axes, depth));
            if a.fixed.is_none() && b.fixed.is_none() {
                return whole();
            }
            Factors { varying: product(a.varying, b.varying), fixed: product(a.fixed, b.fixed) }
        }
        _ => match fixed(g, axes) {
            Some(fixed) => Factors { varying: None, fixed: Some(fixed) },
            None => whole(),
        },
    }
}

#[track_caller]
fn product(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a * b),
        (a, b) => a.or(b),
    }
}

/// `g` with size 1 along `axes`, if it was repeated along them.
#[track_caller]
fn fixed(g: &Tensor, axes: AxisSet) -> Option<Tensor> {
    let kept: Shape = g.shape().keep(axes);
    let at = std::panic::Location::caller();
    match (g.op(), g.inputs()) {
        (Op::Full(value), _) => Some(Tensor::node(Op::Full(*value), Inputs::None, kept, g.dtype(), at)),
        (Op::Expand, [x]) => is_repeated(g, x, axes).then(|| x.spread(kept, at)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::sum;
    use crate::op::{Op, Reduction};
    use crate::shape::AxisSet;
    use crate::tensor::Tensor;
    use crate::{DType, RandomKey, Values, reference};

    fn random(dims: &[usize], seed: u64) -> Tensor {
        Tensor::normal(dims, RandomKey::new(seed), DType::F64)
    }

    /// The reduced value if the whole of `g` was summed as it is.
    fn is_plain(y: &Tensor, g: &Tensor) -> bool {
        matches!(y.op(), Op::Reduce { .. }) && y.inputs()[0].id() == g.id()
    }

    #[test]
    fn factors_come_out_of_sums_whose_value_stays() {
        let dims = [3usize, 4, 5];
        let [a, b, c] = [1, 2, 3].map(|seed| random(&dims, seed));
        let (row, column) = (random(&[4, 3], 4).sum_keep(1).expand(dims), random(&[5], 5).expand(dims));
        let (one, known) = (random(&[1, 1, 1], 6).expand(dims), random(&[4, 1], 7).expand(dims));
        let cases = [
            (&a * &row, true),
            (&row * &a * &b * &column, true),
            (-(&a * &row) * &b, true),
            (-((&a * &column) * &row + &one * &b) - &row * &c, true),
            ((&a + &b) * &row, true),
            (&row * &a * &known * 3.0, true),
            // Nothing that is fixed is a sum, or is fixed along both axes, or a term has no factor, or nothing varies.
            (&a * 3.0, false),
            (&a * &known, false),
            (&a * &column, false),
            (&a * &row + &b, false),
            (&row * &one, false),
            (&a * &b, false),
        ];
        let axes: AxisSet = [0, 2].into_iter().collect();
        for (case, (g, taken_out)) in cases.iter().enumerate() {
            let (found, wanted) = (sum(g, axes), g.reduce(Reduction::Sum, axes));
            assert_eq!(is_plain(&found, g), !taken_out, "case {case}");
            assert_eq!(found.shape(), wanted.shape(), "case {case}");
            let values = reference::evaluate(&[&found, &wanted]).unwrap();
            let [Values::F64(found), Values::F64(wanted)] = [values[0].values(), values[1].values()] else { panic!() };
            for (x, y) in found.iter().zip(wanted.iter()) {
                assert!((x - y).abs() <= 1e-12 * (1.0 + y.abs()), "case {case}: {x} for {y}");
            }
        }
    }
}
