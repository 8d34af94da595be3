//! log and its relatives.
//!
//! Reduction: x = 2^e m with m from sqrt(1/2) to sqrt(2), so log(x) = e ln 2 + log(m).

use super::exponential::wide_exp2;
use super::{polynomial, round, wide_polynomial};

/// ln 2 in two parts; the first has 15 bits, so that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// The natural logarithm. At most 1 ULP. log(1 + f) = f - f^2/2 + f^3 R(f) with R of degree 8
/// (Moshier, Cephes logf; own coefficients).
#[inline(always)]
pub fn log(x: f32) -> f32 {
    const TAIL: [f32; 9] = [
        0.333_333_13,
        -0.250_000_1,
        0.200_021_19,
        -0.166_679_96,
        0.142_195_53,
        -0.124_055_9,
        0.118_881_63,
        -0.116_756_51,
        0.067_466_38,
    ];
    const SQRT_HALF: u32 = core::f32::consts::FRAC_1_SQRT_2.to_bits();
    let subnormal = x < f32::MIN_POSITIVE;
    let scaled = if subnormal { x * 8_388_608.0 } else { x };
    let offset = scaled.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = (offset as i32 >> 23).wrapping_sub(if subnormal { 23 } else { 0 }) as f32;
    let f = f32::from_bits((offset & 0x007F_FFFF).wrapping_add(SQRT_HALF)) - 1.0;
    let square = f * f;
    let tail = (square * f).mul_add(polynomial(f, TAIL), exponent * LN2_LOW);
    let result = exponent.mul_add(LN2_HIGH, f + square.mul_add(-0.5, tail));
    let result = if x == f32::INFINITY { x } else { result };
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    // Not "x < 0", so that NaN comes here too.
    if x >= 0.0 { result } else { f32::NAN }
}

/// (exponent, log(m)) in f64 to 2^-45, for a positive normal f64. s = (m - 1) / (m + 1), log(m) = 2 s + s^3 T(s^2).
#[inline(always)]
fn wide_log(x: f64) -> (f64, f64) {
    const TAIL: [f64; 5] = [
        0.666_666_666_758_09,
        0.399_999_956_190_199_85,
        0.285_721_094_653_054_23,
        0.221_761_754_997_809_12,
        0.195_843_470_193_727_5,
    ];
    /// 2^52, whose low bits then are an integer.
    const INTEGERS: f64 = 4_503_599_627_370_496.0;
    let bits = x.to_bits();
    let offset = bits.wrapping_sub(core::f64::consts::FRAC_1_SQRT_2.to_bits()).wrapping_add(1023 << 52);
    let biased = offset >> 52;
    let exponent = f64::from_bits(biased | INTEGERS.to_bits()) - (INTEGERS + 1023.0);
    let m = f64::from_bits(bits.wrapping_sub(biased << 52).wrapping_add(1023 << 52));
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    (exponent, (square * s).mul_add(wide_polynomial(square, TAIL), 2.0 * s))
}

/// log(1 + x). At most 0.51 ULP. In f64, where 1 + x is exact from 2^-29 on; below, the result is x.
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    const EXACT: f32 = 1.862_645_1e-9;
    let (exponent, log_m) = wide_log(1.0 + f64::from(x));
    let result = exponent.mul_add(core::f64::consts::LN_2, log_m) as f32;
    let result = if x.abs() < EXACT || x == f32::INFINITY { x } else { result };
    let result = if x == -1.0 { f32::NEG_INFINITY } else { result };
    if x >= -1.0 { result } else { f32::NAN }
}

/// x^y. At most 0.51 ULP; x^2 is x x. 2^(y log2 |x|) in f64, then the sign and the special cases of C99.
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    let (exponent, log_m) = wide_log(f64::from(x.abs()));
    let log2 = log_m.mul_add(core::f64::consts::LOG2_E, exponent);
    let log2 = if x == 0.0 { f64::NEG_INFINITY } else { log2 };
    let log2 = if x.abs() < f32::INFINITY { log2 } else { f64::from(x.abs()) };
    let magnitude = wide_exp2(f64::from(y) * log2) as f32;

    let integer = round(y) == y;
    let odd = integer & (round(y * 0.5) != y * 0.5);
    let signed = if odd { magnitude.copysign(x) } else { magnitude };
    let no_real_power = (x < 0.0) & (x != f32::NEG_INFINITY) & !integer;
    let result = if no_real_power { f32::NAN } else { signed };
    let one = (x == 1.0) | (y == 0.0) | ((x == -1.0) & (y.abs() == f32::INFINITY));
    let result = if one { 1.0 } else { result };
    if y == 2.0 { x * x } else { result }
}
