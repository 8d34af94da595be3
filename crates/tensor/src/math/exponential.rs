//! exp and its relatives.
//!
//! Reduction: x = n ln 2 + r with |r| <= ln 2 / 2, so exp(x) = 2^n exp(r) (Tang, "Table-driven implementation of the
//! exponential function", TOMS 1989, without the table). Polynomials are minimax (Remez).

use super::{polynomial, wide_polynomial};

/// 1.5 * 2^23: adding it rounds to an integer, which then lies in the low bits.
const SHIFT: f32 = 12_582_912.0;
/// The same for f64: 1.5 * 2^52.
const WIDE_SHIFT: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts; the first is ln 2 rounded to f32.
const LN2_HIGH: f32 = core::f32::consts::LN_2;
const LN2_LOW: f32 = -1.904_654_3e-9;

/// (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2, to 2^-34 of exp(r).
const EXP_TAIL: [f32; 6] = [0.5, 0.166_666_66, 0.041_666_295, 0.008_333_497, 0.001_394_470_4, 0.000_197_902_94];

/// e^x. At most 1 ULP. Reduction in f32 with ln 2 in two parts, a polynomial of degree 7, and 2^n in two factors, so
/// that subnormal results are rounded once.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these the result is infinity or zero; NaN passes both comparisons.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = x.mul_add(core::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let exp_r = (r * r).mul_add(polynomial(r, EXP_TAIL), r) + 1.0;
    let n = shifted.to_bits().wrapping_sub(SHIFT.to_bits()) as i32;
    let half = n >> 1;
    exp_r * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// The same bits as [`exp`] for |x| up to 80, by fewer operations; NaN stays.
#[inline(always)]
pub(super) fn moderate_exp(x: f32) -> f32 {
    let shifted = x.mul_add(core::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let exp_r = (r * r).mul_add(polynomial(r, EXP_TAIL), r) + 1.0;
    exp_r * power_of_two(shifted.to_bits().wrapping_sub(SHIFT.to_bits()) as i32)
}

/// 2^n for -126 <= n <= 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// e^x - 1. At most 0.51 ULP. In f64: exp(r) - 1 by a polynomial, then 2^n (exp(r) - 1) + (2^n - 1).
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    // (exp(r) - 1 - r) / r^2, to 2^-34 of exp(r) - 1.
    const TAIL: [f64; 7] = [
        0.500_000_001_047_165_4,
        0.166_666_667_189_873_66,
        0.041_666_596_868_281_81,
        0.008_333_298_469_702_806,
        0.001_390_049_069_381_619,
        0.000_198_992_949_797_550_66,
        1.932_355_854_086_035_7e-05,
    ];
    let wide = f64::from(if x > 90.0 { 90.0 } else { x });
    let wide = if wide < -40.0 { -40.0 } else { wide };
    let shifted = wide.mul_add(core::f64::consts::LOG2_E, WIDE_SHIFT);
    let n = shifted - WIDE_SHIFT;
    let r = n.mul_add(-core::f64::consts::LN_2, wide);
    let scale = wide_power_of_two(shifted);
    let expm1_r = (r * r).mul_add(wide_polynomial(r, TAIL), r);
    let result = expm1_r.mul_add(scale, scale - 1.0) as f32;
    if x == 0.0 { x } else { result }
}

/// 2^t in f64, to 2^-34, for t of any size; the result is good for rounding to f32.
#[inline(always)]
pub(super) fn wide_exp2(t: f64) -> f64 {
    // (2^r - 1) / r for |r| <= 1/2.
    const TAIL: [f64; 7] = [
        0.693_147_180_704_772_3,
        0.240_226_510_669_886_6,
        0.055_504_103_653_241_42,
        0.009_618_038_061_309_028,
        0.001_333_393_542_905_531,
        0.000_154_667_810_980_847_95,
        1.519_611_535_886_829_3e-05,
    ];
    let t = if t > 200.0 { 200.0 } else { t };
    let t = if t < -200.0 { -200.0 } else { t };
    let shifted = t + WIDE_SHIFT;
    let r = t - (shifted - WIDE_SHIFT);
    wide_polynomial(r, TAIL).mul_add(r, 1.0) * wide_power_of_two(shifted)
}

/// 2^n, where n was rounded by adding `WIDE_SHIFT`: n moves from the low bits to the exponent.
#[inline(always)]
fn wide_power_of_two(shifted: f64) -> f64 {
    f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
}

/// 1 / (1 + e^-x). At most 2.5 ULP. The exponential is taken of -|x|, so that nothing overflows.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let z = exp(-x.abs());
    let numerator = if x < 0.0 { z } else { 1.0 };
    numerator / (1.0 + z)
}

/// The hyperbolic tangent. At most 1.5 ULP. For |x| < 0.625 an odd polynomial, else 1 - 2 / (e^2|x| + 1)
/// (Moshier, Cephes tanhf; own coefficients).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // (tanh(x) - x) / x^3 in x^2.
    const SMALL: [f32; 5] = [-0.333_332_8, 0.133_314_42, -0.053_739_72, 0.020_639_1, -0.005_704_998];
    let square = x * x;
    let small = (square * x).mul_add(polynomial(square, SMALL), x);
    let large = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    let result = if x.abs() < 0.625 { small } else { large };
    if x == 0.0 { x } else { result }
}
