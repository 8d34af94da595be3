//! Learning merges: pairs are counted once over a table of the different words, and then only where a merge changed them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::{Tokenizer, join, pieces};

/// A word of the texts.
struct Word {
    tokens: Vec<u32>,
    /// How often it stands there.
    count: u64,
}

/// Where a pair stands.
#[derive(Default)]
struct Place {
    /// How often, over all texts.
    count: u64,
    /// The words that held it at some time.
    words: Vec<u32>,
}

pub(super) fn learn<'a>(mut tokenizer: Tokenizer, texts: impl IntoIterator<Item = &'a str>, most: usize) -> Tokenizer {
    let mut words = words(texts, tokenizer.lower);
    let mut places: HashMap<[u32; 2], Place> = HashMap::new();
    for (number, word) in words.iter().enumerate() {
        for pair in pairs(&word.tokens) {
            let place = places.entry(pair).or_default();
            place.count += word.count;
            if place.words.last() != Some(&(number as u32)) {
                place.words.push(number as u32);
            }
        }
    }
    // The most frequent pair, and of equal ones the one of older tokens. Counts in here may be too high: they are of some time ago.
    let mut heap: BinaryHeap<(u64, Reverse<[u32; 2]>)> =
        places.iter().map(|(&pair, place)| (place.count, Reverse(pair))).collect();
    while tokenizer.len() <= most
        && let Some((count, Reverse(pair))) = heap.pop()
        && count > 1
    {
        let now = places.get(&pair).map_or(0, |place| place.count);
        if now != count {
            heap.extend((now > 0).then_some((now, Reverse(pair))));
            continue;
        }
        // (Two ways to make the same bytes are one token, by the first of them.)
        let Some(token) = tokenizer.merge(pair) else { continue };
        let mut new: HashSet<[u32; 2]> = HashSet::new();
        for number in places.remove(&pair).unwrap_or_default().words {
            let word = &mut words[number as usize];
            if !pairs(&word.tokens).any(|own| own == pair) {
                continue;
            }
            for own in pairs(&word.tokens) {
                if let Some(place) = places.get_mut(&own) {
                    place.count -= word.count;
                }
            }
            join(&mut word.tokens, pair, token);
            for own in pairs(&word.tokens) {
                let place = places.entry(own).or_default();
                place.count += word.count;
                if own.contains(&token) {
                    new.insert(own);
                    if place.words.last() != Some(&number) {
                        place.words.push(number);
                    }
                }
            }
        }
        heap.extend(new.into_iter().filter_map(|pair| Some((places.get(&pair)?.count, Reverse(pair)))));
    }
    tokenizer
}

/// The different pieces of the texts that have a pair, as bytes.
fn words<'a>(texts: impl IntoIterator<Item = &'a str>, lower: bool) -> Vec<Word> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for text in texts {
        let lowered = lower.then(|| text.to_lowercase());
        for piece in pieces(lowered.as_deref().unwrap_or(text)).filter(|piece| piece.len() > 1) {
            match counts.get_mut(piece) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(piece.to_owned(), 1);
                }
            }
        }
    }
    // In an order of their own: what is learnt would be the same in any, the places in memory would not.
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort_unstable();
    let tokens = |piece: &str| piece.bytes().map(|byte| u32::from(byte) + 1).collect();
    words.iter().map(|(piece, count)| Word { tokens: tokens(piece), count: *count }).collect()
}

fn pairs(tokens: &[u32]) -> impl Iterator<Item = [u32; 2]> {
    tokens.windows(2).map(|pair| [pair[0], pair[1]])
}
