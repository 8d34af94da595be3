//! The small part of TOML that runs are described in: sections, `key = value`, comments.

/// A line that says something.
pub(crate) enum Line<'a> {
    /// `[name]`
    Section(&'a str),
    /// `key = value`; the value without its quotes.
    Pair(&'a str, String),
}

/// The meaning of each line that has one, with its number from 1; the line itself if it cannot be read.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, Result<Line<'_>, &str>)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = uncommented(line).trim();
        let section = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let meaning = match (section, line.split_once('=')) {
            (Some(name), _) => Ok(Line::Section(name.trim())),
            (None, Some((key, value))) => Ok(Line::Pair(key.trim(), unquoted(value.trim()))),
            (None, None) if line.is_empty() => return None,
            (None, None) => Err(line),
        };
        Some((index + 1, meaning))
    })
}

/// The text as a quoted value.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => text.push(letter),
            (_, true) => match letters.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('u') => {
                    let code: String = letters.by_ref().take(4).collect();
                    text.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some(other) => text.push(other),
                None => {}
            },
        }
    }
    text
}

/// The line without its comment; a `#` within quotes is none.
fn uncommented(line: &str) -> &str {
    let (mut within, mut escaped) = (false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            '#' if !within => return &line[..at],
            '"' if !escaped => within = !within,
            _ => {}
        }
        escaped = within && letter == '\\' && !escaped;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_quoting() {
        for text in ["plain", "with \"quotes\" # and a hash", "back\\slash \\", "two\nlines\t\u{7}", "", "ü"] {
            let line = format!("key = {} # comment", quoted(text));
            match lines(&line).next() {
                Some((1, Ok(Line::Pair("key", value)))) => assert_eq!(value, text),
                _ => panic!("{line}"),
            }
        }
    }

    #[test]
    fn sections_and_blank_lines_are_told_apart() {
        let kinds: Vec<String> = lines("# all\n\n[ a ]\nb=1\nc")
            .map(|(number, line)| match line {
                Ok(Line::Section(name)) => format!("{number} section {name}"),
                Ok(Line::Pair(key, value)) => format!("{number} pair {key} {value}"),
                Err(line) => format!("{number} bad {line}"),
            })
            .collect();
        assert_eq!(kinds, ["3 section a", "4 pair b 1", "5 bad c"]);
    }
}
