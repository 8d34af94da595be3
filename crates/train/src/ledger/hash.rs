//! A fast hash of a state: enough to tell that two states differ, not to keep anyone from forging one.

use tensor::{Array, Values, Var};

/// Lanes side by side, so that a core's multiplier is always busy: some 10 GB/s.
const LANES: usize = 8;

/// Odd numbers with bits in no order: the first digits of the golden ratio and of roots of primes.
const FACTORS: [u64; LANES] = [
    0x9E37_79B9_7F4A_7C15,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0xD6E8_FEB8_6659_FD93,
    0xA54F_F53A_5F1D_36F1,
    0x510E_527F_ADE6_82D1,
    0x9B05_688C_2B3E_6C1F,
    0x1F83_D9AB_FB41_BD6B,
];

/// 128 bits of names, shapes and values in order.
///
/// Each lane takes every eighth word `w` as `lane = rotate((lane ^ w) factor, 29)`, which loses nothing: states that differ
/// in one word never have one hash, others by a chance of 2^-64.
#[derive(Debug, Clone)]
pub struct StateHash {
    lanes: [u64; LANES],
    words: u64,
}

impl StateHash {
    /// The hash of all `vars` as they are now.
    pub fn of(vars: &[Var]) -> u128 {
        let mut hash = StateHash { lanes: FACTORS, words: 0 };
        for var in vars {
            hash.text(var.name());
            hash.array(&var.state().value);
        }
        hash.finish()
    }

    /// The hash of one array.
    pub fn of_array(array: &Array) -> u128 {
        let mut hash = StateHash { lanes: FACTORS, words: 0 };
        hash.array(array);
        hash.finish()
    }

    fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.all(bytes.len(), 8, |at| word_of(&bytes[at..bytes.len().min(at + 8)]));
    }

    fn array(&mut self, array: &Array) {
        let dims: &[usize] = array.shape();
        self.block([array.dtype() as u64, dims.len() as u64, 0, 0, 0, 0, 0, 0]);
        self.all(dims.len(), 1, |at| dims[at] as u64);
        let pair = |a: u32, b: Option<&u32>| u64::from(a) | u64::from(b.copied().unwrap_or(0)) << 32;
        match array.values() {
            Values::F32(v) => self.pairs(v, |x| x.to_bits()),
            Values::I32(v) => self.pairs(v, |x| *x as u32),
            Values::F64(v) => self.all(v.len(), 1, |at| v[at].to_bits()),
            Values::I64(v) => self.all(v.len(), 1, |at| v[at] as u64),
            Values::F16(v) | Values::BF16(v) => {
                self.all(v.len(), 2, |at| pair(u32::from(v[at]), v.get(at + 1).map(|&x| u32::from(x)).as_ref()));
            }
            Values::U8(v) => self.all(v.len(), 8, |at| word_of(&v[at..v.len().min(at + 8)])),
            Values::Bool(v) => self.all(v.len(), 1, |at| u64::from(v[at])),
        }
    }

    /// Two 32-bit numbers a word.
    #[inline(always)]
    fn pairs<T>(&mut self, values: &[T], bits: impl Fn(&T) -> u32) {
        let (blocks, rest) = values.as_chunks::<{ 2 * LANES }>();
        for block in blocks {
            self.block(std::array::from_fn(|i| {
                u64::from(bits(&block[2 * i])) | u64::from(bits(&block[2 * i + 1])) << 32
            }));
        }
        let bit = |at: usize| rest.get(at).map_or(0, |x| u64::from(bits(x)));
        self.block(std::array::from_fn(|i| bit(2 * i) | bit(2 * i + 1) << 32));
    }

    /// The words that `word` makes of the elements from each multiple of `step` below `count` on; zeros to the end of a block.
    fn all(&mut self, count: usize, step: usize, word: impl Fn(usize) -> u64) {
        for first in (0..count).step_by(step * LANES) {
            self.block(std::array::from_fn(|lane| {
                let at = first + lane * step;
                if at < count { word(at) } else { 0 }
            }));
        }
    }

    #[inline(always)]
    fn block(&mut self, words: [u64; LANES]) {
        for i in 0..LANES {
            self.lanes[i] = (self.lanes[i] ^ words[i]).wrapping_mul(FACTORS[i]).rotate_left(29);
        }
        self.words += LANES as u64;
    }

    fn finish(&self) -> u128 {
        let half = |start: u64, factor: u64| {
            self.lanes.iter().fold(start ^ self.words, |hash, lane| {
                let hash = (hash ^ lane).wrapping_mul(factor);
                hash ^ hash >> 32
            })
        };
        u128::from(half(FACTORS[0], FACTORS[3])) << 64 | u128::from(half(FACTORS[1], FACTORS[5]))
    }
}

/// Up to eight bytes, the first one lowest.
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use tensor::Shape;

    use super::*;

    fn var(name: &str, values: Vec<f32>) -> Var {
        Var::new(name, Array::of(Shape::new(&[values.len()]).unwrap(), values))
    }

    #[test]
    fn any_bit_name_or_order_shows() {
        let values: Vec<f32> = (0..37).map(|x| x as f32 / 7.0).collect();
        let (a, b) = (var("a", values.clone()), var("b", values.clone()));
        let whole = StateHash::of(&[a.clone(), b.clone()]);
        assert_eq!(whole, StateHash::of(&[var("a", values.clone()), var("b", values.clone())]));
        let mut seen = std::collections::HashSet::from([whole, StateHash::of(&[b.clone(), a.clone()])]);
        assert!(seen.insert(StateHash::of(&[var("c", values.clone()), b.clone()])));
        for at in 0..values.len() {
            for bit in [0, 13, 31] {
                let mut changed = values.clone();
                changed[at] = f32::from_bits(changed[at].to_bits() ^ 1 << bit);
                assert!(seen.insert(StateHash::of(&[var("a", changed), b.clone()])), "element {at}, bit {bit}");
            }
        }
        for count in 1..20 {
            assert!(seen.insert(StateHash::of(&[var("a", vec![0.0; count])])), "{count} zeros");
        }
    }
}
