//! Damage for the tests of parsers: every truncation, and random changes from a fixed seed.

use tensor::philox::RandomKey;

/// Calls `parse` with `count` damaged copies of `bytes`: one to four bytes changed, most often near the start.
pub(crate) fn flips(bytes: &[u8], count: u64, parse: impl Fn(&[u8])) {
    let key = RandomKey::new(99).stream("fuzz");
    for i in 0..count {
        let mut damaged = bytes.to_vec();
        let words = key.words(i);
        for word in &words[..1 + (words[3] % 4) as usize] {
            let reach = if word >> 31 == 0 { damaged.len() } else { damaged.len().min(64) };
            let place = (word >> 8) as usize % reach;
            damaged[place] ^= (word & 0xFF) as u8;
        }
        parse(&damaged);
    }
}

/// Calls `parse` with every beginning of `bytes`.
pub(crate) fn truncations(bytes: &[u8], parse: impl Fn(&[u8])) {
    (0..bytes.len()).for_each(|length| parse(&bytes[..length]));
}
