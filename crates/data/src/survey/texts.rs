//! Surveys of text: its lines are the rows; or in class folders, its files.

use std::collections::BTreeSet;
use std::path::Path;

use super::listing::Listing;
use super::{Draft, Row, broken};
use crate::bytes::{gunzip, read_file};
use crate::detection::Fault;
use crate::folder_scan::relative;
use crate::parallel;
use crate::text_rows::read_row;

/// No text may be larger than this, unpacked: 1 GiB.
const MAX_TEXT: u64 = 1 << 30;
/// Shorter lines (in bytes) are often the same by chance, and no sign of anything.
const LEAST_LINE: usize = 24;

pub(super) fn texts(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "lines";
    draft.hash_files(root, &listing);
    let (mut letters, mut different, mut lines, mut words) = (0usize, BTreeSet::new(), 0usize, 0usize);
    for file in &listing.files {
        let part = draft.part(&listing, file);
        let bytes = match read_file(&file.path, MAX_TEXT).and_then(|bytes| gunzip(bytes, &file.path, MAX_TEXT)) {
            Ok(bytes) => bytes,
            Err(error) => {
                draft.broken.push(broken(root, &file.path, &error));
                continue;
            }
        };
        let place = relative(root, &file.path);
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
                draft.broken.push(Fault::new(format!("{place}:{line}"), "it is not UTF-8 from here on"));
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
        };
        different.extend(text.chars());
        letters += text.chars().count();
        for (number, line) in text.lines().enumerate() {
            lines += 1;
            words += line.split_whitespace().count();
            let line = line.trim();
            if line.len() >= LEAST_LINE {
                let id = format!("{place}:{}", number + 1);
                draft.push(
                    Row { id, part, class: None, hash: hmac_sha256::Hash::hash(line.as_bytes()), size: None },
                    None,
                );
            }
        }
    }
    draft.fact("characters", format!("{letters}, {} different", different.len()));
    draft.fact("lines", format!("{lines}, of {words} words"));
    draft.notes.push(format!("lines of less than {LEAST_LINE} bytes are not compared"));
}

/// A row is a file without the white space around its text, as it is learnt from.
pub(super) fn folders(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "texts";
    draft.classes.clone_from(&listing.classes);
    draft.hash_files(root, &listing);
    let (mut words, mut different) = (Vec::new(), BTreeSet::new());
    let seen = parallel::map(&listing.files, |file| read_row(&file.path));
    for (file, seen) in listing.files.iter().zip(seen) {
        let part = draft.part(&listing, file);
        match seen {
            Err(error) => draft.broken.push(broken(root, &file.path, &error)),
            Ok(text) => {
                words.push(text.split_whitespace().count());
                different.extend(text.chars());
                let hash = hmac_sha256::Hash::hash(text.as_bytes());
                draft.push(Row { id: relative(root, &file.path), part, class: file.class, hash, size: None }, None);
            }
        }
    }
    draft.check_classes("text");
    words.sort_unstable();
    if let (Some(least), Some(most)) = (words.first(), words.last()) {
        draft.fact("words of a text", format!("{least} to {most} (median {})", words[words.len() / 2]));
    }
    draft.fact("characters", format!("{} different", different.len()));
}
