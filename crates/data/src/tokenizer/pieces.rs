//! Where a text is cut before pairs are looked for: words, numbers, signs, each with the blank before it.

/// Letters in a piece, at most: of what has no blanks, each piece stays short.
const MOST: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Sign,
}

fn kind(letter: char) -> Kind {
    match letter {
        _ if letter.is_alphabetic() => Kind::Letter,
        _ if letter.is_numeric() => Kind::Digit,
        _ if letter.is_whitespace() => Kind::Space,
        _ => Kind::Sign,
    }
}

/// The pieces of a text, which are all of it: runs of letters (with an apostrophe between two of them), of digits, of signs, of white
/// space, of 64 letters at most; one blank before a run that is no white space is part of it.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(first(rest));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Where the first piece of a text ends.
fn first(text: &str) -> usize {
    let mut letters = text.char_indices().peekable();
    let Some((_, begin)) = letters.next() else { return 0 };
    let mut run = kind(begin);
    let mut count = 1;
    if begin == ' '
        && let Some(&(_, next)) = letters.peek()
        && kind(next) != Kind::Space
    {
        letters.next();
        (run, count) = (kind(next), 2);
    }
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|&(_, next)| next);
        let joins = letter == '\'' && run == Kind::Letter && next.is_some_and(|next| kind(next) == Kind::Letter);
        // The last blank of white space goes with what follows it.
        let ends = run == Kind::Space && letter == ' ' && next.is_some_and(|next| kind(next) != Kind::Space);
        if count == MOST || ends || !(kind(letter) == run || joins) {
            return at;
        }
        count += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_the_blank_before_them_and_nothing_is_lost() {
        let cut = |text| pieces(text).collect::<Vec<_>>();
        assert_eq!(cut("It's  a dog, aged 12!"), ["It's", " ", " a", " dog", ",", " aged", " 12", "!"]);
        assert_eq!(cut("rock 'n' roll\n\n  end "), ["rock", " '", "n", "'", " roll", "\n\n ", " end", " "]);
        assert_eq!(cut("naïve x2y …"), ["naïve", " x", "2", "y", " …"]);
        assert_eq!(cut(""), [""; 0]);
        assert_eq!(cut(&"ä".repeat(130)).iter().map(|piece| piece.chars().count()).collect::<Vec<_>>(), [64, 64, 2]);
    }
}
