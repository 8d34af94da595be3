//! Text as numbered symbols: each letter is one, its number its place in the sorted alphabet.

use crate::DataError;
use crate::bytes::{MAX_BYTES, gunzip, listing, read_file};
use crate::folder_scan::files_in;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The text of a file, or of all `.txt` files of a folder one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The number of each letter.
    pub symbols: Vec<u16>,
    /// The letters by their numbers, in the order of Unicode.
    pub alphabet: Vec<char>,
    /// What was read, in this order.
    pub files: Vec<PathBuf>,
}

/// Reads a file of UTF-8, packed with gzip or not, or all `.txt` files below a folder in the order of their paths.
///
/// # Errors
/// If nothing is there, a file is no UTF-8, or there are more than 65,536 letters.
pub fn read_text(path: &Path) -> Result<Text, DataError> {
    let info = path.metadata().map_err(|e| DataError::io(path, "read", e))?;
    let files = if info.is_dir() { files_in(path, &["txt"])? } else { vec![path.to_owned()] };
    if files.is_empty() {
        return Err(DataError::Layout {
            path: path.to_owned(),
            why: "it holds no text".to_owned(),
            found: listing(path),
            help: "give a folder with .txt files, or the file itself".to_owned(),
        });
    }
    let mut text = String::new();
    for file in &files {
        text.push_str(&read_utf8(file)?);
    }
    let alphabet: Vec<char> = text.chars().collect::<BTreeSet<char>>().into_iter().collect();
    if alphabet.is_empty() || alphabet.len() > 1 + usize::from(u16::MAX) {
        let why = format!("it holds {} different letters", alphabet.len());
        return Err(DataError::broken(path, "text", why, "from 1 to 65,536 can be told apart"));
    }
    // (A letter of the alphabet is found in it.)
    let symbols = text.chars().filter_map(|letter| alphabet.binary_search(&letter).ok()).map(|at| at as u16).collect();
    Ok(Text { symbols, alphabet, files })
}

/// The text of a file of UTF-8, packed with gzip or not, without the mark that some programs put before it.
///
/// # Errors
/// If it cannot be read, or is no UTF-8.
pub fn read_utf8(path: &Path) -> Result<String, DataError> {
    let bytes = gunzip(read_file(path, MAX_BYTES)?, path, MAX_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let why = format!("byte {} is no UTF-8", e.utf8_error().valid_up_to());
        DataError::broken(path, "text", why, "convert it to UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

impl Text {
    /// The letters as names of classes.
    pub fn names(&self) -> Vec<String> {
        self.alphabet.iter().map(char::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_the_order_of_its_files_and_what_is_no_text_is_said() {
        let dir = std::env::temp_dir().join(format!("glassbox-text-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let empty = read_text(&dir).unwrap_err().to_string();
        std::fs::write(dir.join("b.txt"), "ba").unwrap();
        std::fs::write(dir.join("a.txt"), "\u{feff}cä").unwrap();
        std::fs::write(dir.join("README.md"), "xyz").unwrap();
        let text = read_text(&dir).unwrap();
        std::fs::write(dir.join("c.txt"), b"ab\xff").unwrap();
        let broken = read_text(&dir.join("c.txt")).unwrap_err().to_string();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!((text.alphabet, text.symbols), (vec!['a', 'b', 'c', 'ä'], vec![2, 3, 1, 0]));
        assert!(empty.contains("it holds no text") && broken.contains("byte 2 is no UTF-8"), "{empty} {broken}");
    }
}
