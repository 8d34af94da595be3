//! IEEE half precision and bfloat16 as bit patterns: conversions with round to nearest, ties to even.

/// The f32 of half-precision `bits` (exact).
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 0x1F);
    let mantissa = u32::from(bits & 0x3FF);
    let magnitude = match (exponent, mantissa) {
        (0, m) => return f32::from_bits(sign | (m as f32 * 2f32.powi(-24)).to_bits()),
        (31, m) => 0x7F80_0000 | m << 13,
        (e, m) => (e + 112) << 23 | m << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// Half-precision bits nearest to `x`; overflow gives infinity.
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00 | (magnitude >> 13 & 0x1FF) as u16;
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14 the half format is a fixed-point grid of 2^-24: adding 1/2 rounds to that grid.
        let on_grid = f32::from_bits(magnitude) + 0.5;
        return sign | (on_grid.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    if rounded >= 0x4780_0000 { sign | 0x7C00 } else { sign | ((rounded - 0x3800_0000) >> 13) as u16 }
}

/// The f32 of bfloat16 `bits` (exact).
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// bfloat16 bits nearest to `x`.
pub fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() { (bits >> 16) as u16 | 0x40 } else { ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16 }
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
