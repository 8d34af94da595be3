//! Elementary functions with stated error bounds, the same bits on every machine.
//!
//! Each is branch-free plain Rust: one source is the specification, and, called in a loop of a function compiled for a
//! vector instruction set, becomes vector code with the same bits. Fused multiply-adds are written out (`mul_add`), and
//! nothing calls the C library. Some work in f64 inside, where that is shorter and fast enough.
//!
//! Bounds are in units in the last place (ULP) of the f32 result, measured against f64 over all f32 arguments in steps.
//! Special values follow C99 annex F. [`f64`] offers the same names in f64.

mod circular;
mod error_function;
mod exponential;
pub mod f64;
mod logarithm;
mod rounding;

pub use circular::{cos, sin};
pub use error_function::{erf, gelu, gelu_slope};
pub use exponential::{exp, expm1, sigmoid, tanh};
pub use logarithm::{log, log1p, pow};
pub use rounding::{ceil, floor, round};

/// The square root, correctly rounded.
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// 1 / sqrt(x), each of the two rounded. At most 1.5 ULP.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / x.sqrt()
}

/// Horner's rule with fused multiply-adds; coefficients from the lowest power.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum.mul_add(x, *coefficient);
    }
    sum
}

/// The built-in f64, which the module of that name hides here.
type Wide = core::primitive::f64;

/// The same in f64.
#[inline(always)]
fn wide_polynomial<const N: usize>(x: Wide, coefficients: [Wide; N]) -> Wide {
    let mut sum = coefficients[N - 1];
    for coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum.mul_add(x, *coefficient);
    }
    sum
}

#[cfg(test)]
mod tests;
