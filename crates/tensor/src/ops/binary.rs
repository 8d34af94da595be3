//! Elementwise functions of two numbers, with NumPy broadcasting.

use std::panic::Location;

use crate::array::{Array, Element, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Binary, Op, Page, Sample, Scalar, arithmetic};
use crate::real::Real;
use crate::samples;
use crate::tensor::{Inputs, Node, Tensor, provenance};

/// dL/da and dL/db from a, b, y and g = dL/dy.
type Gradient = fn(a: &Tensor, b: &Tensor, y: &Tensor, g: &Tensor) -> [Option<Tensor>; 2];

struct Function {
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of the order"))]
    op: Binary,
    page: Page,
    gradient: Option<Gradient>,
}

/// The page of a binary op.
pub(crate) fn page(op: Binary) -> &'static Page {
    &TABLE[op as usize].page
}

const fn entry(
    op: Binary,
    name: &'static str,
    formula: &'static str,
    gradient_formula: &'static str,
    gradient: Option<Gradient>,
    samples: fn() -> Vec<Sample>,
) -> Function {
    let page = Page { name, formula, gradient_formula, gradient: Some(differentiate), reference, samples };
    Function { op, page, gradient }
}

const TRUTH: &str = "none: a truth value";

/// In the order of [`Binary`].
#[rustfmt::skip]
static TABLE: [Function; 17] = [
    entry(Binary::Add, "add", "y = a + b", "g, g",
        Some(|_, _, _, g| [Some(g.clone()), Some(g.clone())]), || samples::binary(Binary::Add)),
    entry(Binary::Sub, "sub", "y = a - b", "g, -g",
        Some(|_, _, _, g| [Some(g.clone()), Some(-g)]), || samples::binary(Binary::Sub)),
    entry(Binary::Mul, "mul", "y = a b", "g b, g a",
        Some(|a, b, _, g| if a.id() == b.id() { [Some(doubled(g) * a), None] } else { [Some(g * b), Some(g * a)] }),
        || samples::binary(Binary::Mul)),
    entry(Binary::Div, "div", "y = a / b", "g / b, -g y / b",
        Some(|_, b, y, g| [Some(g / b), Some(-g * y / b)]), || samples::binary(Binary::Div)),
    entry(Binary::Rem, "rem", "y = a - b floor(a / b)", "g, -g floor(a / b)",
        Some(|a, b, _, g| [Some(g.clone()), Some(-g * (a / b).floor())]), || samples::binary(Binary::Rem)),
    entry(Binary::Pow, "pow", "y = a^b", "g b a^(b-1), g y ln a (0 where a = 0)",
        Some(|a, b, y, g| [
            Some((g * b * a.pow(&(b - 1.0))).keep_where(&b.ne(0.0))),
            // y ln a goes to 0 with a for b > 0, as PyTorch has it.
            Some((g * y * a.log()).keep_where(&a.ne(0.0).or(b.lt(0.0)))),
        ]), || samples::binary(Binary::Pow)),
    entry(Binary::Max, "max", "y = the larger; NaN if either is", "g to the larger, half each on ties",
        Some(|a, b, _, g| share(a, b, g, a.lt(b), a.gt(b))), || samples::binary(Binary::Max)),
    entry(Binary::Min, "min", "y = the smaller; NaN if either is", "g to the smaller, half each on ties",
        Some(|a, b, _, g| share(a, b, g, a.gt(b), a.lt(b))), || samples::binary(Binary::Min)),
    entry(Binary::Eq, "eq", "y = (a = b)", TRUTH, None, || samples::binary(Binary::Eq)),
    entry(Binary::Ne, "ne", "y = (a != b)", TRUTH, None, || samples::binary(Binary::Ne)),
    entry(Binary::Lt, "lt", "y = (a < b)", TRUTH, None, || samples::binary(Binary::Lt)),
    entry(Binary::Le, "le", "y = (a <= b)", TRUTH, None, || samples::binary(Binary::Le)),
    entry(Binary::Gt, "gt", "y = (a > b)", TRUTH, None, || samples::binary(Binary::Gt)),
    entry(Binary::Ge, "ge", "y = (a >= b)", TRUTH, None, || samples::binary(Binary::Ge)),
    entry(Binary::And, "and", "y = a and b, bit by bit", TRUTH, None, || samples::binary(Binary::And)),
    entry(Binary::Or, "or", "y = a or b, bit by bit", TRUTH, None, || samples::binary(Binary::Or)),
    entry(Binary::Xor, "xor", "y = a xor b, bit by bit", TRUTH, None, || samples::binary(Binary::Xor)),
];

/// Gradient of max and min: ties share g, the loser gets none. Beside a NaN nobody loses.
fn share(a: &Tensor, b: &Tensor, g: &Tensor, a_loses: Tensor, b_loses: Tensor) -> [Option<Tensor>; 2] {
    let share = (g * 0.5).where_else(&a.eq(b), g);
    [Some(share.zero_where(&a_loses)), Some(share.zero_where(&b_loses))]
}

/// `g + g`; of what was repeated, doubled before.
fn doubled(g: &Tensor) -> Tensor {
    match (g.op(), g.inputs()) {
        (Op::Expand, [x]) => (x * 2.0).spread(*g.shape(), Location::caller()),
        _ => g * 2.0,
    }
}

fn differentiate(y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let Op::Binary(op) = *y.op() else { return vec![None; 2] };
    match TABLE[op as usize].gradient {
        Some(rule) => rule(&y.inputs()[0], &y.inputs()[1], y, g).into(),
        None => vec![None; 2],
    }
}

/// `op` on two floats; comparisons and logic are in [`holds`].
#[inline(always)]
pub fn real<T: Real>(op: Binary, a: T, b: T) -> T {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Rem => rem(a, b),
        Binary::Pow => a.pow(b),
        Binary::Max => max(a, b),
        Binary::Min => min(a, b),
        _ => T::ZERO,
    }
}

/// `a - b floor(a / b)`, rounded at each step: the remainder with the sign of b.
#[inline(always)]
pub fn rem<T: Real>(a: T, b: T) -> T {
    a - b * (a / b).floor()
}

/// The larger; NaN if either is.
#[inline(always)]
pub fn max<T: PartialOrd>(a: T, b: T) -> T {
    // `a != a` is NaN alone. Both are asked without a branch, which would become stores under a mask.
    #[allow(clippy::eq_op)]
    if (a > b) | (a != a) { a } else { b }
}

/// The smaller; NaN if either is.
#[inline(always)]
pub fn min<T: PartialOrd>(a: T, b: T) -> T {
    #[allow(clippy::eq_op)]
    if (a < b) | (a != a) { a } else { b }
}

/// `op` on two integers. Division truncates; by zero it is 0, and so is the remainder.
#[inline(always)]
pub fn integer(op: Binary, a: i64, b: i64) -> i64 {
    match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div if b == 0 => 0,
        Binary::Div => a.wrapping_div(b),
        Binary::Rem => a.checked_rem_euclid(b).map_or(0, |r| if b < 0 && r > 0 { r + b } else { r }),
        Binary::Pow => power(a, b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        _ => 0,
    }
}

/// `a^b` by squaring, wrapping; for a negative b the true quotient, truncated.
fn power(mut a: i64, b: i64) -> i64 {
    match (a, b < 0) {
        (1, true) => return 1,
        (-1, true) => return if b % 2 == 0 { 1 } else { -1 },
        (_, true) => return 0,
        _ => {}
    }
    let (mut result, mut left) = (1i64, b);
    while left > 0 {
        if left & 1 == 1 {
            result = result.wrapping_mul(a);
        }
        a = a.wrapping_mul(a);
        left >>= 1;
    }
    result
}

/// Whether a comparison holds.
#[inline(always)]
pub fn holds<T: PartialOrd>(op: Binary, a: T, b: T) -> bool {
    match op {
        Binary::Eq => a == b,
        Binary::Ne => a != b,
        Binary::Lt => a < b,
        Binary::Le => a <= b,
        Binary::Gt => a > b,
        Binary::Ge => a >= b,
        _ => false,
    }
}

fn reference(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let Op::Binary(op) = *node.op() else { return Err("not a binary op".into()) };
    fn zip<A: Element, B: Element, T>(a: &[A], b: &[B], f: impl Fn(A, B) -> T) -> Vec<T> {
        a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
    }
    let values = match (inputs[0].values(), inputs[1].values()) {
        (Values::F32(a), Values::F32(b)) if op.compares() => Values::Bool(zip(a, b, |a, b| holds(op, a, b))),
        (Values::F64(a), Values::F64(b)) if op.compares() => Values::Bool(zip(a, b, |a, b| holds(op, a, b))),
        (Values::I32(a), Values::I32(b)) if op.compares() => Values::Bool(zip(a, b, |a, b| holds(op, a, b))),
        (Values::I64(a), Values::I64(b)) if op.compares() => Values::Bool(zip(a, b, |a, b| holds(op, a, b))),
        (Values::U8(a), Values::U8(b)) if op.compares() => Values::Bool(zip(a, b, |a, b| holds(op, a, b))),
        (Values::Bool(a), Values::Bool(b)) if op.compares() => Values::Bool(zip(a, b, |a, b| holds(op, a, b))),
        (Values::F32(a), Values::F32(b)) => Values::F32(zip(a, b, |a, b| real(op, a, b))),
        (Values::F64(a), Values::F64(b)) => Values::F64(zip(a, b, |a, b| real(op, a, b))),
        (Values::I32(a), Values::I32(b)) => Values::I32(zip(a, b, |a, b| integer(op, a.into(), b.into()) as i32)),
        (Values::I64(a), Values::I64(b)) => Values::I64(zip(a, b, |a, b| integer(op, a, b))),
        (Values::U8(a), Values::U8(b)) => Values::U8(zip(a, b, |a, b| integer(op, a.into(), b.into()) as u8)),
        (Values::Bool(a), Values::Bool(b)) => Values::Bool(zip(a, b, |a, b| integer(op, a.into(), b.into()) != 0)),
        (a, b) => return Err(format!("{} of {} and {}", page(op).name, a.dtype(), b.dtype())),
    };
    Ok(Array::new(*inputs[0].shape(), values))
}

/// The right-hand side of an elementwise op: a tensor, or a number that takes the tensor's dtype.
pub enum Operand {
    /// A tensor.
    Tensor(Tensor),
    /// A number fixed in the graph.
    Scalar(Scalar),
}

impl From<&Tensor> for Operand {
    fn from(tensor: &Tensor) -> Operand {
        Operand::Tensor(tensor.clone())
    }
}
impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Operand {
        Operand::Tensor(tensor)
    }
}
macro_rules! scalar_operand {
    ($($t:ty)*) => {$(
        impl From<$t> for Operand {
            fn from(x: $t) -> Operand { Operand::Scalar(x.into()) }
        }
    )*};
}
scalar_operand!(f32 f64 i32 i64 bool);

impl Operand {
    /// As a tensor beside `other`.
    pub(crate) fn beside(self, name: &str, other: &Tensor, at: &'static Location<'static>) -> Tensor {
        match self {
            Operand::Tensor(tensor) => tensor,
            Operand::Scalar(_) if other.error().is_some() => other.clone(),
            Operand::Scalar(Scalar::Float(bits)) if !other.dtype().is_float() && !other.dtype().is_half() => {
                let message = format!("{} and a {} tensor", f64::from_bits(bits), other.dtype());
                let error = Error::new(ErrorKind::DType, name, message)
                    .note(provenance("the tensor", other))
                    .help("cast the tensor to f32, or write an integer");
                Tensor::failed(error, at)
            }
            Operand::Scalar(value) => Tensor::node(Op::Full(value), Inputs::None, *other.shape(), other.dtype(), at),
        }
    }
}

pub(crate) fn binary(op: Binary, a: Operand, b: Operand, at: &'static Location<'static>) -> Tensor {
    let name = page(op).name;
    let (a, b) = match (a, b) {
        (Operand::Tensor(a), b) => {
            let b = b.beside(name, &a, at);
            (a, b)
        }
        (a, Operand::Tensor(b)) => (a.beside(name, &b, at), b),
        (Operand::Scalar(_), Operand::Scalar(_)) => {
            let error = Error::new(ErrorKind::Argument, name, "two numbers and no tensor");
            return Tensor::failed(error, at);
        }
    };
    if let Some(bad) = [&a, &b].into_iter().find(|t| t.error().is_some()) {
        return bad.clone();
    }
    if a.dtype() != b.dtype() {
        let error = Error::new(ErrorKind::DType, name, format!("{} and {}", a.dtype(), b.dtype()))
            .note(provenance("the left operand", &a))
            .note(provenance("the right operand", &b))
            .help("cast one operand to the other's dtype: x.cast(DType::F32)");
        return Tensor::failed(error, at);
    }
    let logic = matches!(op, Binary::And | Binary::Or | Binary::Xor);
    let undefined = match a.dtype() {
        DType::Bool if logic || op.compares() => Ok(()),
        dtype if logic && dtype.is_float() => Err(format!("{name} is defined on bool and integers, not on {dtype}")),
        dtype => arithmetic(name, dtype),
    };
    if let Err(message) = undefined {
        let error = Error::new(ErrorKind::DType, name, message).note(provenance("the left operand", &a));
        return Tensor::failed(error, at);
    }
    let Some(shape) = a.shape().broadcast(b.shape()) else {
        let error = Error::new(ErrorKind::Shape, name, a.shape().no_broadcast(b.shape()))
            .note(provenance("the left operand", &a))
            .note(provenance("the right operand", &b));
        return Tensor::failed(error, at);
    };
    let dtype = if op.compares() { DType::Bool } else { a.dtype() };
    Tensor::node(Op::Binary(op), Inputs::Two([a.spread(shape, at), b.spread(shape, at)]), shape, dtype, at)
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $op:ident)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self, other: impl Into<Operand>) -> Tensor {
                binary(Binary::$op, self.into(), other.into(), Location::caller())
            }
        )*}
    };
}
methods! {
    /// `a^b`.
    pow Pow
    /// The larger of two, elementwise; NaN if either is. Ties share the gradient.
    maximum Max
    /// The smaller of two, elementwise; NaN if either is. Ties share the gradient.
    minimum Min
    /// Where both are equal.
    eq Eq
    /// Where they differ.
    ne Ne
    /// Where `self` is smaller.
    lt Lt
    /// Where `self` is not larger.
    le Le
    /// Where `self` is larger.
    gt Gt
    /// Where `self` is not smaller.
    ge Ge
    /// Logical (`Bool`) or bitwise (integers) and.
    and And
    /// Logical or bitwise or.
    or Or
    /// Logical or bitwise exclusive or.
    xor Xor
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:ident)*) => {$(
        operators!(@one $trait $method $op, Tensor, Tensor);
        operators!(@one $trait $method $op, Tensor, &Tensor);
        operators!(@one $trait $method $op, &Tensor, Tensor);
        operators!(@one $trait $method $op, &Tensor, &Tensor);
        operators!(@one $trait $method $op, Tensor, f64);
        operators!(@one $trait $method $op, &Tensor, f64);
        operators!(@one $trait $method $op, f64, Tensor);
        operators!(@one $trait $method $op, f64, &Tensor);
        operators!(@one $trait $method $op, Tensor, i64);
        operators!(@one $trait $method $op, &Tensor, i64);
    )*};
    (@one $trait:ident $method:ident $op:ident, $left:ty, $right:ty) => {
        impl std::ops::$trait<$right> for $left {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, right: $right) -> Tensor {
                binary(Binary::$op, self.into(), right.into(), Location::caller())
            }
        }
    };
}
operators!(Add add Add  Sub sub Sub  Mul mul Mul  Div div Div  Rem rem Rem);

impl std::ops::Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}
impl std::ops::Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (i, f) in TABLE.iter().enumerate() {
            assert_eq!(f.op as usize, i, "{}", f.page.name);
        }
    }
}
