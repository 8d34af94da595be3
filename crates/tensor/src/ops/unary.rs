//! Elementwise functions of one number: one entry a function.

use std::panic::Location;

use crate::array::{Array, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page, Sample, Unary};
use crate::real::Real;
use crate::samples;
use crate::tensor::{Inputs, Node, Tensor, provenance};

/// What a function of one number is, for each dtype it is defined on.
pub struct Function {
    /// The op.
    pub op: Unary,
    /// Its page.
    pub page: Page,
    /// On f32.
    pub f32: fn(f32) -> f32,
    /// On f64.
    pub f64: fn(f64) -> f64,
    /// On integers, as i64; `None` where it is defined on floats alone.
    pub int: Option<fn(i64) -> i64>,
    /// dL/dx from x, y and g = dL/dy; `None` where the derivative is zero almost everywhere.
    gradient: Option<fn(x: &Tensor, y: &Tensor, g: &Tensor) -> Tensor>,
}

/// The function behind a unary op.
pub fn function(op: Unary) -> &'static Function {
    &TABLE[op as usize]
}

/// The page of a unary op.
pub(crate) fn page(op: Unary) -> &'static Page {
    &function(op).page
}

#[allow(clippy::too_many_arguments, reason = "a row of the table")]
const fn entry(
    op: Unary,
    name: &'static str,
    formula: &'static str,
    gradient_formula: &'static str,
    f32: fn(f32) -> f32,
    f64: fn(f64) -> f64,
    gradient: Option<fn(&Tensor, &Tensor, &Tensor) -> Tensor>,
    samples: fn() -> Vec<Sample>,
) -> Function {
    let page = Page { name, formula, gradient_formula, gradient: Some(differentiate), reference, samples };
    Function { op, page, f32, f64, int: None, gradient }
}

impl Function {
    const fn on_integers(mut self, int: fn(i64) -> i64) -> Function {
        self.int = Some(int);
        self
    }
}

/// In the order of [`Unary`].
#[rustfmt::skip]
static TABLE: [Function; 23] = [
    entry(Unary::Neg, "neg", "y = -x", "-g",
        |x| -x, |x| -x, Some(|_, _, g| -g), || samples::unary(Unary::Neg, samples::LINE)).on_integers(i64::wrapping_neg),
    entry(Unary::Abs, "abs", "y = |x|", "g sign(x)",
        Real::abs, Real::abs, Some(|x, _, g| g * x.sign()), || samples::unary(Unary::Abs, samples::LINE)).on_integers(i64::wrapping_abs),
    entry(Unary::Sign, "sign", "y = -1, 0 or 1; NaN stays", "0",
        sign, sign, None, || samples::unary(Unary::Sign, samples::LINE)).on_integers(i64::signum),
    entry(Unary::Exp, "exp", "y = e^x", "g y",
        Real::exp, Real::exp, Some(|_, y, g| g * y), || samples::unary(Unary::Exp, samples::LINE)),
    entry(Unary::Expm1, "expm1", "y = e^x - 1", "g (y + 1)",
        Real::expm1, Real::expm1, Some(|_, y, g| g * (y + 1.0)), || samples::unary(Unary::Expm1, samples::LINE)),
    entry(Unary::Log, "log", "y = ln x", "g / x",
        Real::log, Real::log, Some(|x, _, g| g / x), || samples::unary(Unary::Log, samples::POSITIVE)),
    entry(Unary::Log1p, "log1p", "y = ln(1 + x)", "g / (1 + x)",
        Real::log1p, Real::log1p, Some(|x, _, g| g / (x + 1.0)), || samples::unary(Unary::Log1p, samples::POSITIVE)),
    entry(Unary::Sqrt, "sqrt", "y = x^(1/2)", "g / (2 y)",
        Real::sqrt, Real::sqrt, Some(|_, y, g| g * 0.5 / y), || samples::unary(Unary::Sqrt, samples::POSITIVE)),
    entry(Unary::Rsqrt, "rsqrt", "y = 1 / x^(1/2)", "-g y / (2 x)",
        rsqrt, rsqrt, Some(|x, y, g| g * -0.5 * y / x), || samples::unary(Unary::Rsqrt, samples::POSITIVE)),
    entry(Unary::Recip, "recip", "y = 1 / x", "-g y^2",
        |x| 1.0 / x, |x| 1.0 / x, Some(|_, y, g| -g * y * y), || samples::unary(Unary::Recip, samples::AWAY_FROM_ZERO)),
    entry(Unary::Sin, "sin", "y = sin x", "g cos x",
        Real::sin, Real::sin, Some(|x, _, g| g * x.cos()), || samples::unary(Unary::Sin, samples::LINE)),
    entry(Unary::Cos, "cos", "y = cos x", "-g sin x",
        Real::cos, Real::cos, Some(|x, _, g| -g * x.sin()), || samples::unary(Unary::Cos, samples::LINE)),
    entry(Unary::Tanh, "tanh", "y = tanh x", "g (1 - y^2)",
        Real::tanh, Real::tanh, Some(|_, y, g| g * (1.0 - y * y)), || samples::unary(Unary::Tanh, samples::LINE)),
    entry(Unary::Sigmoid, "sigmoid", "y = 1 / (1 + e^-x)", "g y (1 - y)",
        Real::sigmoid, Real::sigmoid, Some(|_, y, g| g * y * (1.0 - y)), || samples::unary(Unary::Sigmoid, samples::LINE)),
    entry(Unary::Erf, "erf", "y = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x", "g 2/sqrt(pi) e^(-x^2)",
        Real::erf, Real::erf, Some(|x, _, g| g * std::f64::consts::FRAC_2_SQRT_PI * (-(x * x)).exp()),
        || samples::unary(Unary::Erf, samples::LINE)),
    entry(Unary::Gelu, "gelu", "y = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2", "g gelu_slope(x)",
        Real::gelu, Real::gelu, Some(|x, _, g| g * x.gelu_slope()), || samples::unary(Unary::Gelu, samples::LINE)),
    entry(Unary::GeluSlope, "gelu_slope", "y = Phi(x) + x phi(x), phi(x) = e^(-x^2 / 2) / sqrt(2 pi)", "g (2 - x^2) phi(x)",
        Real::gelu_slope, Real::gelu_slope, Some(bend), || samples::unary(Unary::GeluSlope, samples::LINE)),
    entry(Unary::Relu, "relu", "y = max(x, 0); NaN stays", "0 where y <= 0, else g",
        relu, relu, Some(|_, y, g| g.zero_where(&y.le(0.0))), || samples::unary(Unary::Relu, samples::LINE)).on_integers(|x| x.max(0)),
    entry(Unary::Floor, "floor", "y = largest integer <= x", "0",
        Real::floor, Real::floor, None, || samples::unary(Unary::Floor, samples::LINE)),
    entry(Unary::Ceil, "ceil", "y = smallest integer >= x", "0",
        Real::ceil, Real::ceil, None, || samples::unary(Unary::Ceil, samples::LINE)),
    entry(Unary::Round, "round", "y = nearest integer, ties to even", "0",
        Real::round, Real::round, None, || samples::unary(Unary::Round, samples::LINE)),
    entry(Unary::IsNan, "is_nan", "y = (x is NaN)", "none: a truth value",
        |x| f32::from(u8::from(x.is_nan())), |x| f64::from(u8::from(x.is_nan())), None, || samples::unary(Unary::IsNan, samples::LINE)),
    entry(Unary::Not, "not", "y = not x", "none: a truth value",
        |x| f32::from(u8::from(x == 0.0)), |x| f64::from(u8::from(x == 0.0)), None, samples::not).on_integers(|x| i64::from(x == 0)),
];

fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x * T::ZERO // keeps NaN, and 0
    }
}

fn rsqrt<T: Real>(x: T) -> T {
    T::ONE / x.sqrt()
}

fn relu<T: Real>(x: T) -> T {
    // Written so that NaN passes.
    if x < T::ZERO { T::ZERO } else { x }
}

/// The gradient through the slope of GELU. (Far out the density is nothing, and a square must not be infinite.)
fn bend(x: &Tensor, _: &Tensor, g: &Tensor) -> Tensor {
    let near = x.clamp(-40.0, 40.0);
    let square = &near * &near;
    let density = (&square * -0.5).exp() * (std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 * 0.5);
    g * (2.0 - square) * density
}

fn differentiate(y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let Op::Unary(op) = *y.op() else { return vec![None] };
    vec![function(op).gradient.map(|rule| rule(&y.inputs()[0], y, g))]
}

fn reference(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let Op::Unary(op) = *node.op() else { return Err("not a unary op".into()) };
    let f = function(op);
    let x = inputs[0];
    let values = match (x.values(), f.int) {
        (Values::F32(v), _) if node.dtype() == DType::Bool => {
            Values::Bool(v.iter().map(|&x| (f.f32)(x) != 0.0).collect())
        }
        (Values::F64(v), _) if node.dtype() == DType::Bool => {
            Values::Bool(v.iter().map(|&x| (f.f64)(x) != 0.0).collect())
        }
        (Values::F32(v), _) => Values::F32(v.iter().map(|&x| (f.f32)(x)).collect()),
        (Values::F64(v), _) => Values::F64(v.iter().map(|&x| (f.f64)(x)).collect()),
        (Values::I32(v), Some(f)) => Values::I32(v.iter().map(|&x| f(i64::from(x)) as i32).collect()),
        (Values::I64(v), Some(f)) => Values::I64(v.iter().map(|&x| f(x)).collect()),
        (Values::U8(v), Some(f)) => Values::U8(v.iter().map(|&x| f(i64::from(x)) as u8).collect()),
        (Values::Bool(v), Some(f)) => Values::Bool(v.iter().map(|&x| f(i64::from(x)) != 0).collect()),
        _ => return Err(format!("{} is not defined on {}", f.page.name, x.dtype())),
    };
    Ok(Array::new(*x.shape(), values))
}

impl Tensor {
    #[track_caller]
    fn unary(&self, op: Unary) -> Tensor {
        let at = Location::caller();
        let dtype = self.dtype();
        let defined = match op {
            Unary::Not => dtype == DType::Bool,
            _ => dtype.is_float() || (function(op).int.is_some() && dtype.is_int()),
        };
        if !defined && self.error().is_none() {
            let name = function(op).page.name;
            let help = if op == Unary::Not { "compare first: x.ne(0)" } else { "cast the operand to f32 first" };
            let error = Error::new(ErrorKind::DType, name, format!("{name} is not defined on {dtype}"))
                .note(provenance("the operand", self))
                .help(help);
            return Tensor::failed(error, at);
        }
        let dtype = if op == Unary::IsNan { DType::Bool } else { dtype };
        Tensor::node(Op::Unary(op), Inputs::One([self.clone()]), *self.shape(), dtype, at)
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $op:ident)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                self.unary(Unary::$op)
            }
        )*}
    };
}
methods! {
    /// `-x`.
    neg Neg
    /// `|x|`.
    abs Abs
    /// -1, 0 or 1.
    sign Sign
    /// `e^x`.
    exp Exp
    /// `e^x - 1`, exact near 0.
    expm1 Expm1
    /// Natural logarithm.
    log Log
    /// `ln(1 + x)`, exact near 0.
    log1p Log1p
    /// Square root.
    sqrt Sqrt
    /// `1 / sqrt(x)`.
    rsqrt Rsqrt
    /// `1 / x`.
    recip Recip
    /// Sine of radians.
    sin Sin
    /// Cosine of radians.
    cos Cos
    /// Hyperbolic tangent.
    tanh Tanh
    /// `1 / (1 + e^-x)`.
    sigmoid Sigmoid
    /// Error function.
    erf Erf
    /// `x Phi(x)` with the normal distribution function, by erf (Hendrycks and Gimpel 2016).
    gelu Gelu
    /// The derivative of [`Tensor::gelu`].
    gelu_slope GeluSlope
    /// `max(x, 0)`; the gradient at 0 is 0.
    relu Relu
    /// Largest integer not above x.
    floor Floor
    /// Smallest integer not below x.
    ceil Ceil
    /// Nearest integer, ties to even.
    round Round
    /// Whether x is NaN.
    is_nan IsNan
    /// Logical not of a `Bool` tensor.
    not Not
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
