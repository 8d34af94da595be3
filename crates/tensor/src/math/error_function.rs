//! The error function, and GELU, which is made of it.

use super::exponential::moderate_exp;
use super::polynomial;

/// 1 / sqrt(2 pi).
const PEAK: f32 = 0.398_942_3;
/// Half of the square of this is still a moderate power of e, and beyond it GELU's slope is 0 or 1 to 2^-100.
const FAR: f32 = 12.0;

/// erf(x). At most 1.5 ULP. For |x| < 0.93 an odd polynomial; else 1 - exp(-t (1 + G(t))) with t = |x|, where
/// 1 + G(t) = -log(erfc(t)) / t is smooth (the form is N. Juffa's; own minimax coefficients).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    // erf(x) / x - 1 in x^2.
    const SMALL: [f32; 7] =
        [0.128_379_17, -0.376_126_33, 0.112_836_87, -0.026_858_94, 0.005_199_906_5, -0.000_813_000_85, 8.316_759e-5];
    const LARGE: [f32; 8] = [
        0.128_555_13,
        0.635_609_27,
        0.105_294_49,
        -0.022_708_345,
        0.002_951_701,
        -5.752_395_7e-5,
        -4.399_776_3e-5,
        4.806_289_2e-6,
    ];
    let t = x.abs();
    let square = x * x;
    let small = x.mul_add(polynomial(square, SMALL), x);
    // erf(4) rounds to 1.
    let far = if t > 4.0 { 4.0 } else { t };
    let large = (1.0 - moderate_exp(-far.mul_add(polynomial(far, LARGE), far))).copysign(x);
    let result = if t < 0.93 { small } else { large };
    if x == 0.0 { x } else { result }
}

/// x Phi(x), with Phi(x) = (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016). At most 2^-23 max(|x|, 1) off; NaN
/// at minus infinity.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    x * 0.5 * (erf(x * core::f32::consts::FRAC_1_SQRT_2) + 1.0)
}

/// The derivative of [`gelu`]: Phi(x) + x phi(x), with phi(x) = e^(-x^2 / 2) / sqrt(2 pi). At most 2^-22 off.
#[inline(always)]
pub fn gelu_slope(x: f32) -> f32 {
    let distribution = 0.5 * (erf(x * core::f32::consts::FRAC_1_SQRT_2) + 1.0);
    let near = if x > FAR { FAR } else { x };
    let near = if near < -FAR { -FAR } else { near };
    distribution + near * (PEAK * moderate_exp(near * -0.5 * near))
}
