//! Words as a POSIX shell takes them.

use std::borrow::Cow;

/// The word as it is if a shell reads it as one word, else within quotes.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%^".contains(letter) || !letter.is_ascii();
    if !word.is_empty() && word.chars().all(|letter| plain(letter) && !letter.is_whitespace() && !letter.is_control()) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_split_or_expand_is_quoted() {
        for plain in ["runs/digits-1", "--set", "train.lr=1e-3", "höhe"] {
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(quoted("my runs"), "'my runs'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(["", "a\nb", "*"].map(quoted), ["''", "'a\nb'", "'*'"]);
    }
}
