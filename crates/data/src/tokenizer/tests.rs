use super::*;
use crate::fuzz;
use tensor::philox::RandomKey;

const RHYME: &str =
    "Ten little cats sat on a wall, ten little cats; one little cat fell, and the little cats' wall fell too.";

/// Byte pairs as they are defined, with nothing remembered: each time all pairs of all words are counted.
fn by_definition(text: &str, merges: usize) -> Vec<[Vec<u8>; 2]> {
    let mut words: Vec<Vec<Vec<u8>>> =
        pieces(text).map(|piece| piece.bytes().map(|byte| vec![byte]).collect()).collect();
    let (mut found, mut ages): (Vec<[Vec<u8>; 2]>, Vec<Vec<u8>>) = (Vec::new(), (0..=255).map(|b| vec![b]).collect());
    while found.len() < merges {
        let mut counts: HashMap<[usize; 2], usize> = HashMap::new();
        let age = |token: &Vec<u8>| ages.iter().position(|known| known == token).unwrap();
        for pair in words.iter().flat_map(|word| word.windows(2)) {
            *counts.entry([age(&pair[0]), age(&pair[1])]).or_default() += 1;
        }
        let made = |pair: &[usize; 2]| [&ages[pair[0]][..], &ages[pair[1]]].concat();
        counts.retain(|pair, count| *count > 1 && !ages.contains(&made(pair)));
        let Some((&pair, _)) = counts.iter().max_by_key(|&(pair, count)| (*count, std::cmp::Reverse(*pair))) else {
            break;
        };
        let both = [ages[pair[0]].clone(), ages[pair[1]].clone()];
        for word in &mut words {
            let mut at = 0;
            while at + 1 < word.len() {
                if word[at..at + 2] == both {
                    word.splice(at..at + 2, [both.concat()]);
                }
                at += 1;
            }
        }
        ages.push(both.concat());
        found.push(both);
    }
    found
}

/// Words of a few letters, so that there is much to merge.
fn babble(seed: u64, length: usize) -> String {
    let key = RandomKey::new(seed).stream("babble");
    let letters: Vec<char> = "aab bc'ä 1,\n…".chars().collect();
    (0..length).map(|at| letters[key.words(at as u64)[0] as usize % letters.len()]).collect()
}

#[test]
fn what_is_learnt_is_what_the_definition_says() {
    for (seed, text) in (0..20).map(|seed| (seed, babble(seed, 300))).chain([(99, RHYME.to_owned())]) {
        let tokenizer = Tokenizer::learn([&text[..]], 256 + 40, false);
        let learnt: Vec<[Vec<u8>; 2]> =
            tokenizer.merges.iter().map(|pair| pair.map(|token| tokenizer.bytes(token).to_vec())).collect();
        assert_eq!(learnt, by_definition(&text, 40), "{seed}");
    }
}

#[test]
fn a_text_and_its_tokens_to_the_letter() {
    let tokenizer = Tokenizer::learn([RHYME], 256 + 12, true);
    assert_eq!(
        tokenizer.to_json()["merges"],
        json!(["a t", "Ġ c", "Ġ l", "i t", "l e", "l l", "t le", "Ġc at", "Ġl it", "Ġlit tle", "Ġ t", "Ġcat s"])
    );
    let cut: Vec<String> =
        tokenizer.encode("A little Cat fell").iter().map(|&token| tokenizer.decode(&[token])).collect();
    assert_eq!(cut, ["a", " little", " cat", " ", "f", "e", "ll"]);
    assert_eq!(tokenizer.encode("at c"), [257, 258]);
}

#[test]
fn every_text_comes_back_whatever_was_learnt() {
    let tokenizers = [
        Tokenizer::learn([RHYME], 400, false),
        Tokenizer::learn([""; 0], 300, false),
        Tokenizer::learn(
            (0..9).map(|seed| babble(seed, 200)).collect::<Vec<_>>().iter().map(String::as_str),
            500,
            false,
        ),
    ];
    let key = RandomKey::new(7).stream("texts");
    for number in 0..400u64 {
        let length = key.words(number)[0] % 40;
        let letter = |at: u32| {
            let [kind, value, ..] = key.stream("letters").step(number as u32).words(u64::from(at));
            let most = [0x80, 0x250, 0x2100, 0x11_0000][kind as usize % 4];
            char::from_u32(value % most).unwrap_or(' ')
        };
        let text: String = (0..length).map(letter).collect();
        for text in [&text, &babble(number + 100, length as usize), RHYME] {
            for tokenizer in &tokenizers {
                let tokens = tokenizer.encode(text);
                assert!(tokens.iter().all(|&token| token > 0 && (token as usize) < tokenizer.len()));
                assert_eq!(&tokenizer.decode(&tokens), text);
            }
        }
    }
}

#[test]
fn a_word_that_is_a_token_is_what_its_pairs_come_to() {
    for seed in 0..30 {
        let tokenizer = Tokenizer::learn([&babble(seed, 400)[..]], 400, false);
        for token in 257..tokenizer.len() as u32 {
            let Ok(text) = std::str::from_utf8(tokenizer.bytes(token)) else { continue };
            let mut tokens = Vec::new();
            tokenizer.encode_piece(text, &mut tokens);
            assert_eq!(tokens, [token], "{text:?}");
        }
    }
}

#[test]
fn lower_case_is_forgotten_only_if_that_was_asked_for() {
    let lower = Tokenizer::learn(["The THE the"], 300, true);
    assert_eq!(lower.encode("The"), lower.encode("tHE"));
    assert_eq!((lower.decode(&lower.encode("ÄÖ the")), lower.encode("the").len()), ("äö the".to_owned(), 1));
    let exact = Tokenizer::learn(["The THE the"], 300, false);
    assert_ne!(exact.encode("The"), exact.encode("the"));
}

#[test]
fn it_survives_its_json_and_damage_to_that_is_refused_or_another_tokenizer() {
    let tokenizer = Tokenizer::learn([RHYME], 300, true);
    let text = tokenizer.to_json().to_string();
    assert_eq!(Tokenizer::from_json(&serde_json::from_str(&text).unwrap()), Some(tokenizer));
    for broken in [json!({}), json!({ "lower": 1, "merges": [] }), json!({ "lower": true, "merges": ["ab c"] })] {
        assert_eq!(Tokenizer::from_json(&broken), None, "{broken}");
    }
    // The same pair twice makes no second token.
    assert_eq!(Tokenizer::from_json(&json!({ "lower": true, "merges": ["a b", "a b"] })), None);
    fuzz::flips(text.as_bytes(), 2000, |damaged| {
        let other = serde_json::from_slice(damaged).ok().and_then(|value| Tokenizer::from_json(&value));
        if let Some(other) = other {
            assert_eq!(other.decode(&other.encode("ten cats")), "ten cats");
        }
    });
}
