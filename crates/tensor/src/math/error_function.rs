//! The error function, and GELU, which is made of the normal distribution.

use super::exponential::moderate_exp;
use super::polynomial;

/// 1 / sqrt(2 pi).
const PEAK: f32 = 0.398_942_3;
/// Beyond this, on either side, Phi is 0 or 1 and phi is 0 to 2^-100; half of its square is still a moderate power of e.
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

/// x Phi(x), with Phi(x) = (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016). At most 2^-23 max(|x|, 1) off.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let (distribution, _) = normal(x);
    // What is far below 0 must not bring Phi back: it is not quite 0 there.
    let x = if x < -FAR { -FAR } else { x };
    x * distribution
}

/// The derivative of [`gelu`]: Phi(x) + x phi(x), with phi(x) = e^(-x^2 / 2) / sqrt(2 pi). At most 2^-22 off.
#[inline(always)]
pub fn gelu_slope(x: f32) -> f32 {
    let (distribution, power) = normal(x);
    (near(x) * PEAK).mul_add(power, distribution)
}

/// Phi(x), and e^(-x^2 / 2). Phi(-t) = e^(-t^2 / 2) u P(u) with u = 1 / (1 + 0.3 t) for t >= 0 (the form is C. Hastings's 1955; own
/// minimax coefficients): off by 7e-9, and by 7e-7 of itself, before rounding.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const TAIL: [f32; 8] = [
        0.119_652_994,
        0.120_432_7,
        0.101_650_82,
        0.123_697_2,
        -0.046_043_273,
        0.199_605_76,
        -0.154_100_84,
        0.035_104_636,
    ];
    let t = near(x).abs();
    let u = 1.0 / t.mul_add(0.3, 1.0);
    let power = moderate_exp(t * t * -0.5);
    let tail = u * polynomial(u, TAIL) * power;
    let distribution = if x < 0.0 { tail } else { 1.0 - tail };
    (distribution, power)
}

#[inline(always)]
fn near(x: f32) -> f32 {
    let x = if x > FAR { FAR } else { x };
    if x < -FAR { -FAR } else { x }
}
