//! f32 and f64 under one name, so that a formula is written once.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::array::Element;

/// The real numbers the engine computes with. The functions are our own (f32) or pure Rust (f64): never the system's.
#[allow(missing_docs)]
pub trait Real:
    Element
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const INFINITY: Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn is_nan(self) -> bool;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn round(self) -> Self;
    /// `self * a + b`, rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    fn exp(self) -> Self;
    fn expm1(self) -> Self;
    fn log(self) -> Self;
    fn log1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tanh(self) -> Self;
    fn sigmoid(self) -> Self;
    fn erf(self) -> Self;
    fn gelu(self) -> Self;
    fn gelu_slope(self) -> Self;
    fn pow(self, exponent: Self) -> Self;
}

macro_rules! real {
    ($t:ty, $math:path) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = <$t>::INFINITY;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                <$t>::floor(self)
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                <$t>::ceil(self)
            }
            #[inline(always)]
            fn round(self) -> Self {
                <$t>::round_ties_even(self)
            }
            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            real!(@functions $math, exp expm1 log log1p sin cos tanh sigmoid erf gelu gelu_slope);
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                use $math as math;
                math::pow(self, exponent)
            }
        }
    };
    (@functions $math:path, $($f:ident)*) => {$(
        #[inline(always)]
        fn $f(self) -> Self {
            use $math as math;
            math::$f(self)
        }
    )*};
}
real!(f32, crate::math);
real!(f64, crate::math::f64);
