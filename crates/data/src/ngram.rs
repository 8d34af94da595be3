//! What a text says of the next symbol by counting alone: the bar that a network has to pass.

use std::collections::HashMap;

use tensor::math::f64::log;

/// Interpolated n-grams (Witten and Bell 1991): with h the symbols before, c the times that h was seen and t the number of
/// different symbols that followed it, `p(w | h) = (c(h w) + t p(w | h without its first)) / (c + t)`; below all stands 1 / symbols.
pub struct NGram {
    symbols: usize,
    /// By the length of h: c and t of each h.
    before: Vec<HashMap<u128, (u32, u32)>>,
    /// By the length of h: c of each h w.
    whole: Vec<HashMap<u128, u32>>,
}

/// Symbols of 16 bits that a key holds: h w.
const MOST: usize = 8;

impl NGram {
    /// Counts `text` of `symbols` different symbols, for all orders up to `order` (at most 8): order n knows n - 1 symbols before.
    pub fn of(text: &[u16], order: usize, symbols: usize) -> NGram {
        let order = order.clamp(1, MOST);
        let mut model = NGram { symbols, before: vec![HashMap::new(); order], whole: vec![HashMap::new(); order] };
        for known in 0..order {
            for gram in text.windows(known + 1) {
                let count = model.whole[known].entry(key(gram)).or_insert(0);
                let (seen, followers) = model.before[known].entry(key(&gram[..known])).or_insert((0, 0));
                *followers += u32::from(*count == 0);
                *seen += 1;
                *count += 1;
            }
        }
        model
    }

    /// The mean of `-ln p` over all symbols of `text`, for each order from 1 on.
    pub fn nats(&self, text: &[u16]) -> Vec<f64> {
        let mut sums = vec![0.0; self.before.len()];
        for at in 0..text.len() {
            let mut p = 1.0 / self.symbols.max(1) as f64;
            for (known, sum) in sums.iter_mut().enumerate() {
                if let Some(start) = at.checked_sub(known) {
                    p = self.next(&text[start..=at], p);
                }
                *sum -= log(p);
            }
        }
        sums.into_iter().map(|sum| sum / text.len().max(1) as f64).collect()
    }

    /// p of the last symbol of `gram` after the others, where `shorter` is that without the first.
    fn next(&self, gram: &[u16], shorter: f64) -> f64 {
        let known = gram.len() - 1;
        match self.before[known].get(&key(&gram[..known])) {
            None => shorter,
            Some(&(seen, followers)) => {
                let count = self.whole[known].get(&key(gram)).copied().unwrap_or(0);
                let (seen, followers) = (f64::from(seen), f64::from(followers));
                (f64::from(count) + followers * shorter) / (seen + followers)
            }
        }
    }
}

fn key(symbols: &[u16]) -> u128 {
    symbols.iter().fold(0, |key, &symbol| key << 16 | u128::from(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_formula_and_sum_to_1() {
        // a b a c: a is followed by b and c, once each.
        let model = NGram::of(&[0, 1, 0, 2], 2, 3);
        // Unigrams: 4 seen, 3 different.
        let one = |count: f64| (count + 3.0 / 3.0) / 7.0;
        let two = (1.0 + 2.0 * one(1.0)) / 4.0;
        let nats = model.nats(&[0, 1]);
        assert!((nats[0] - -(one(2.0).ln() + one(1.0).ln()) / 2.0).abs() < 1e-15);
        assert!((nats[1] - -(one(2.0).ln() + two.ln()) / 2.0).abs() < 1e-15);
        let all: f64 = (0..3u16).map(|w| (-model.nats(&[0, w])[1] * 2.0).exp() / one(2.0)).sum();
        assert!((all - 1.0).abs() < 1e-12, "{all}");
    }
}
