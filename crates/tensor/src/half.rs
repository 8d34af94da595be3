//! IEEE half precision and bfloat16 as bit patterns: conversions with round to nearest, ties to even.

/// The f32 of half-precision `bits` (exact).
#[inline(always)]
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 0x1F);
    let mantissa = u32::from(bits & 0x3FF);
    // All three are computed and one is chosen: a loop of it becomes vector code.
    let tiny = (mantissa as i32 as f32 * f32::from_bits(0x3380_0000)).to_bits(); // in 2^-24; of i32, which vectors convert
    let normal = (exponent + 112) << 23 | mantissa << 13;
    let infinite = 0x7F80_0000 | mantissa << 13;
    let magnitude = if exponent == 0 {
        tiny
    } else if exponent == 31 {
        infinite
    } else {
        normal
    };
    f32::from_bits(sign | magnitude)
}

/// Half-precision bits nearest to `x`; overflow gives infinity.
#[inline(always)]
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = bits >> 16 & 0x8000;
    let magnitude = bits & 0x7FFF_FFFF;
    let nan = 0x7E00 | magnitude >> 13 & 0x1FF;
    // Below 2^-14 the half format is a fixed-point grid of 2^-24: adding 1/2 rounds to that grid.
    let tiny = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    let normal = rounded.wrapping_sub(0x3800_0000) >> 13;
    let finite = if magnitude < 0x3880_0000 { tiny } else { normal };
    let number = if rounded >= 0x4780_0000 { 0x7C00 } else { finite };
    (sign | if magnitude > 0x7F80_0000 { nan } else { number }) as u16
}

/// The f32 of bfloat16 `bits` (exact).
#[inline(always)]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// bfloat16 bits nearest to `x`.
#[inline(always)]
pub fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let nan = bits >> 16 | 0x40;
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    (if x.is_nan() { nan } else { rounded }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_way_through_f32() {
        for bits in 0..=u16::MAX {
            let x = f16_to_f32(bits);
            if !x.is_nan() {
                assert_eq!(f32_to_f16(x), bits, "f16 {bits:#06x}");
            }
            let x = bf16_to_f32(bits);
            if !x.is_nan() {
                assert_eq!(f32_to_bf16(x), bits, "bf16 {bits:#06x}");
            }
        }
    }

    #[test]
    fn what_lies_between_two_halves_goes_to_the_nearer_and_from_the_middle_to_the_even_one() {
        // f64 holds the middles exactly; the next after the greatest would be 65536.
        let value = |bits: u16| if bits == 0x7C00 { 65536.0 } else { f64::from(f16_to_f32(bits)) };
        for bits in 0..0x7C00u16 {
            let (low, high) = (value(bits), value(bits + 1));
            let middle = (low + high) / 2.0;
            let even = bits + (bits & 1);
            let cases = [(middle, even), (middle.next_down(), bits), (middle.next_up(), bits + 1)];
            for (x, wanted) in cases {
                // Next to the middle as f32: one step of its own.
                let x = match x as f32 {
                    near if f64::from(near) == middle && x < middle => near.next_down(),
                    near if f64::from(near) == middle && x > middle => near.next_up(),
                    near => near,
                };
                assert_eq!(f32_to_f16(x), wanted, "{x}");
                assert_eq!(f32_to_f16(-x), wanted | 0x8000, "-{x}");
            }
        }
        for (x, wanted) in [(f32::INFINITY, 0x7C00), (f32::MAX, 0x7C00), (f32::from_bits(1), 0), (-0.0, 0x8000)] {
            assert_eq!(f32_to_f16(x), wanted, "{x}");
        }
        assert!(f16_to_f32(f32_to_f16(f32::NAN)).is_nan() && bf16_to_f32(f32_to_bf16(-f32::NAN)).is_nan());
    }

    #[test]
    fn rounding_is_to_nearest_even_and_overflow_is_infinity() {
        assert_eq!(f32_to_f16(1.0 + 2f32.powi(-11)), 0x3C00);
        assert_eq!(f32_to_f16(1.0 + 3.0 * 2f32.powi(-11)), 0x3C02);
        assert_eq!(f32_to_f16(65520.0), 0x7C00);
        assert_eq!(f32_to_f16(65519.0), 0x7BFF);
        assert_eq!(f32_to_f16(2f32.powi(-25)), 0);
        assert_eq!(f32_to_bf16(1.0 + 2f32.powi(-8)), 0x3F80);
        assert_eq!(f32_to_bf16(f32::MAX), 0x7F80);
    }
}
