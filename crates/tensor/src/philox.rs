//! Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
//!
//! A random number is a pure function of (seed, stream, step, element): no state to save, no order to keep.

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Ten Philox rounds over a 128-bit `counter` under a 64-bit `key`: four independent uniform 32-bit words.
#[inline(always)]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let product0 = u64::from(MULTIPLIER[0]) * u64::from(counter[0]);
        let product1 = u64::from(MULTIPLIER[1]) * u64::from(counter[2]);
        counter = [
            (product1 >> 32) as u32 ^ counter[1] ^ key[0],
            product1 as u32,
            (product0 >> 32) as u32 ^ counter[3] ^ key[1],
            product0 as u32,
        ];
    }
    counter
}

/// Names one independent sequence of random numbers: the seed of the run, the stream (which use), the step (which time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RandomKey {
    /// Seed of the run.
    pub seed: u64,
    /// Which consumer: for example the hash of a layer path.
    pub stream: u32,
    /// Which time it is asked: the training step, or the epoch.
    pub step: u32,
}

impl RandomKey {
    /// The key of `seed`, stream 0, step 0.
    pub fn new(seed: u64) -> Self {
        RandomKey { seed, stream: 0, step: 0 }
    }

    /// The same seed and step under another stream, named by any text (a layer path, "augment", "shuffle").
    pub fn stream(self, name: &str) -> Self {
        // FNV-1a: short, stable across versions and machines.
        let hash = name.bytes().fold(0x811C_9DC5u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        RandomKey { stream: hash ^ self.stream.rotate_left(16), ..self }
    }

    /// The same sequence family at another step.
    pub fn step(self, step: u32) -> Self {
        RandomKey { step, ..self }
    }

    /// Word group `index` of the sequence: four uniform 32-bit words.
    #[inline(always)]
    pub fn words(self, index: u64) -> [u32; 4] {
        let counter = [index as u32, (index >> 32) as u32, self.stream, self.step];
        philox(counter, [self.seed as u32, (self.seed >> 32) as u32])
    }

    /// A uniform number in [0, 1) with 24 random bits, for element `index`.
    pub fn uniform(self, index: u64) -> f32 {
        unit(self.words(index)[0])
    }

    /// A uniform integer in `0..bound`, for element `index`. The bias is below `bound / 2^64`.
    pub fn below(self, index: u64, bound: u64) -> u64 {
        let words = self.words(index);
        let bits = u64::from(words[0]) | u64::from(words[1]) << 32;
        ((u128::from(bits) * u128::from(bound)) >> 64) as u64
    }

    /// A uniformly random order of `0..n` (Fisher-Yates).
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64, i as u64 + 1) as usize);
        }
        order
    }
}

/// Maps a random word to [0, 1): the top 24 bits over 2^24, exact in f32.
#[inline(always)]
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_the_reference_implementation() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]);
        assert_eq!(
            philox([0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], [0xA409_3822, 0x299F_31D0]),
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
        );
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = RandomKey::new(7).permutation(1000);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &v)| i == v));
    }
}
