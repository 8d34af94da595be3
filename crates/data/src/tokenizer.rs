//! A byte-pair tokenizer (Gage 1994; Sennrich et al. 2016; over bytes as in GPT-2): texts as numbers of tokens, and back.
//!
//! Every byte is a token, so no text is unknown. A token more is learnt at a time: the pair of neighbours that stands in the texts most
//! often becomes one. Pairs lie within a word (see [`pieces`]), and of equally frequent ones the older tokens win, so what is learnt is a
//! function of the texts.

mod learn;
mod pieces;

use std::collections::HashMap;
use std::fmt;

use serde_json::{Value, json};

pub use pieces::pieces;

/// Learns and applies merges of bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokenizer {
    lower: bool,
    /// Pairs in the order in which they were learnt: the first is token [`BYTES`] + 1, and so on.
    merges: Vec<[u32; 2]>,
    /// The bytes of each token, by its number; none of 0.
    tokens: Vec<Vec<u8>>,
    /// The token that each pair becomes.
    pairs: HashMap<[u32; 2], u32>,
    /// The token with these bytes.
    numbers: HashMap<Vec<u8>, u32>,
}

/// Bytes are tokens 1 to 256, by value. 0 is no token, so a row of tokens can be filled up with it.
const BYTES: u32 = 256;

impl Tokenizer {
    /// Learns from texts until it has `most` tokens (or at least the 256 bytes), or no pair stands there twice; with `lower`, a text is
    /// brought to lower case first.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>, most: usize, lower: bool) -> Tokenizer {
        learn::learn(Tokenizer::of_bytes(lower), texts, most)
    }

    /// Bytes alone.
    fn of_bytes(lower: bool) -> Tokenizer {
        let tokens: Vec<Vec<u8>> = std::iter::once(Vec::new()).chain((0..=255).map(|byte| vec![byte])).collect();
        let numbers = tokens.iter().cloned().zip(0..).skip(1).collect();
        Tokenizer { lower, merges: Vec::new(), tokens, pairs: HashMap::new(), numbers }
    }

    /// Makes a pair one token, and gives its number; `None` if there is a token of these bytes already.
    fn merge(&mut self, pair: [u32; 2]) -> Option<u32> {
        let bytes = [self.bytes(pair[0]), self.bytes(pair[1])].concat();
        if self.numbers.contains_key(&bytes) {
            return None;
        }
        let number = self.tokens.len() as u32;
        self.merges.push(pair);
        self.pairs.insert(pair, number);
        self.numbers.insert(bytes.clone(), number);
        self.tokens.push(bytes);
        Some(number)
    }

    /// Tokens, with 0, which is none.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Never: there are always the bytes.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether texts are brought to lower case.
    pub fn is_lower(&self) -> bool {
        self.lower
    }

    /// The bytes of a token; none of 0, and of numbers that are no token.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.tokens.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// The tokens of a text. A word that is a token is that token; in any other one the pairs become tokens in the order in which they
    /// were learnt.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let lowered = self.lower.then(|| text.to_lowercase());
        let mut tokens = Vec::with_capacity(text.len() / 3);
        for piece in pieces(lowered.as_deref().unwrap_or(text)) {
            match self.numbers.get(piece.as_bytes()) {
                Some(&token) => tokens.push(token),
                None => self.encode_piece(piece, &mut tokens),
            }
        }
        tokens
    }

    /// (A piece is short, so that looking through it for each merge costs little.)
    fn encode_piece(&self, piece: &str, tokens: &mut Vec<u32>) {
        let mut own: Vec<u32> = piece.bytes().map(|byte| u32::from(byte) + 1).collect();
        loop {
            let known = own.windows(2).filter_map(|pair| self.pairs.get(pair)).min();
            let Some(&token) = known else { break };
            join(&mut own, self.merges[(token - BYTES - 1) as usize], token);
        }
        tokens.extend(own);
    }

    /// The text of tokens: what was encoded, but for its case if it was lowered. Bytes that are no whole letter come as U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| self.bytes(token)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// `{ "lower": true, "merges": ["t h", "Ġ th", ..] }`: pairs as GPT-2's `merges.txt` writes them, in which each byte is a letter that
    /// can be seen and a blank is Ġ.
    pub fn to_json(&self) -> Value {
        let merges = self.merges.iter().map(|&[a, b]| format!("{} {}", seen(self.bytes(a)), seen(self.bytes(b))));
        json!({ "lower": self.lower, "merges": merges.collect::<Vec<_>>() })
    }

    /// As [`Tokenizer::to_json`] wrote it; `None` if it did not.
    pub fn from_json(value: &Value) -> Option<Tokenizer> {
        let letters = visible();
        let bytes = |word: &str| -> Option<Vec<u8>> {
            word.chars().map(|letter| letters.iter().position(|&known| known == letter).map(|at| at as u8)).collect()
        };
        let mut tokenizer = Tokenizer::of_bytes(value.get("lower")?.as_bool()?);
        for merge in value.get("merges")?.as_array()? {
            let (left, right) = merge.as_str()?.split_once(' ')?;
            let number = |word| tokenizer.numbers.get(&bytes(word)?).copied();
            let pair = [number(left)?, number(right)?];
            tokenizer.merge(pair)?;
        }
        Some(tokenizer)
    }
}

/// Every `pair` in `tokens`, from the left, becomes `token`.
fn join(tokens: &mut Vec<u32>, pair: [u32; 2], token: u32) {
    let (mut from, mut to) = (0, 0);
    while from < tokens.len() {
        let found = tokens[from..].starts_with(&pair);
        tokens[to] = if found { token } else { tokens[from] };
        (from, to) = (from + 1 + usize::from(found), to + 1);
    }
    tokens.truncate(to);
}

/// GPT-2's letter for each byte: itself where it can be seen in Latin-1, else one of those from U+0100 on.
fn visible() -> [char; 256] {
    let mut hidden = 0;
    std::array::from_fn(|byte| match byte {
        33..=126 | 161..=172 | 174..=255 => byte as u8 as char,
        _ => {
            hidden += 1;
            char::from_u32(0xFF + hidden).unwrap_or(' ')
        }
    })
}

fn seen(bytes: &[u8]) -> String {
    let letters = visible();
    bytes.iter().map(|&byte| letters[usize::from(byte)]).collect()
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("lower", &self.lower).field("tokens", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests;
