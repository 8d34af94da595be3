//! Rounding to integers, exact, without the instructions that not every machine has.

/// Above this, every f32 is an integer.
const INTEGERS: f32 = 8_388_608.0;

/// The nearest integer, halves to the even one. Exact; keeps the sign of zero.
#[inline(always)]
pub fn round(x: f32) -> f32 {
    // Adding 2^23 leaves no bits for the fraction, and the addition rounds half to even.
    let shift = INTEGERS.copysign(x);
    let rounded = (x + shift) - shift;
    if x.abs() < INTEGERS { rounded.copysign(x) } else { x }
}

/// The greatest integer not above x. Exact.
#[inline(always)]
pub fn floor(x: f32) -> f32 {
    let near = round(x);
    let down = if near > x { near - 1.0 } else { near };
    down.copysign(x)
}

/// The least integer not below x. Exact.
#[inline(always)]
pub fn ceil(x: f32) -> f32 {
    let near = round(x);
    let up = if near < x { near + 1.0 } else { near };
    up.copysign(x)
}
