//! Sine and cosine.
//!
//! In f64: x = q pi/2 + r with |r| <= pi/4 and pi/2 in two parts (Cody and Waite), exact enough for every f32 below
//! 2^51 in size; then a polynomial of degree 9 or 8. A larger angle, whose neighbours are millions of turns away, is
//! first scaled by 2^-77: the result is still a number from -1 to 1, the same everywhere, but not its sine.

use super::wide_polynomial;

const SHIFT: f64 = 6_755_399_441_055_744.0;
const HALF_PI_HIGH: f64 = core::f64::consts::FRAC_PI_2;
const HALF_PI_LOW: f64 = 6.123_233_995_736_766e-17;
/// 2^51.
const LARGE: f32 = 2_251_799_813_685_248.0;
/// 2^-77.
const FAR_SCALE: f64 = 1.0 / 151_115_727_451_828_646_838_272.0;

/// The sine. At most 0.51 ULP for |x| < 2^51.
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let result = quarter_turns(x, 0);
    if x == 0.0 { x } else { result }
}

/// The cosine. At most 0.51 ULP for |x| < 2^51.
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    quarter_turns(x, 1)
}

/// sin(x + quarters * pi/2).
#[inline(always)]
fn quarter_turns(x: f32, quarters: u64) -> f32 {
    // (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4, in r^2, to 2^-37.
    const SIN: [f64; 4] =
        [-0.166_666_666_406_924_24, 0.008_333_329_292_625_065, -0.000_198_393_083_207_189, 2.718_083_832_752_479e-06];
    const COS: [f64; 4] = [
        0.041_666_666_619_298_874,
        -0.001_388_888_348_360_185_3,
        2.479_945_582_990_845_4e-05,
        -2.720_539_816_457_65e-07,
    ];
    let wide = f64::from(x) * if x.abs() < LARGE { 1.0 } else { FAR_SCALE };
    let shifted = wide.mul_add(core::f64::consts::FRAC_2_PI, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-HALF_PI_LOW, n.mul_add(-HALF_PI_HIGH, wide));
    let square = r * r;
    let sin = (square * r).mul_add(wide_polynomial(square, SIN), r);
    let cos = (square * square).mul_add(wide_polynomial(square, COS), square.mul_add(-0.5, 1.0));
    let quadrant = shifted.to_bits().wrapping_add(quarters);
    let value = if quadrant & 1 == 0 { sin } else { cos };
    f64::from_bits(value.to_bits() ^ (quadrant & 2) << 62) as f32
}
