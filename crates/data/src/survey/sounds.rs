//! Surveys of recordings.

use std::collections::BTreeMap;
use std::path::Path;

use super::listing::Listing;
use super::{Draft, Row, broken};
use crate::bytes::{MAX_BYTES, read_file};
use crate::folder_scan::relative;
use crate::parallel;
use crate::wav::parse_wav;

pub(super) fn sounds(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "recordings";
    draft.classes.clone_from(&listing.classes);
    draft.hash_files(root, &listing);
    let seen = parallel::map(&listing.files, |file| {
        let bytes = read_file(&file.path, MAX_BYTES)?;
        parse_wav(&bytes, &file.path).map(|info| (info, hmac_sha256::Hash::hash(&bytes)))
    });
    let (mut seconds, mut kinds) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (file, seen) in listing.files.iter().zip(seen) {
        let part = draft.part(&listing, file);
        match seen {
            Err(error) => draft.broken.push(broken(root, &file.path, &error)),
            Ok((info, hash)) => {
                seconds.push(info.seconds());
                let kind = if info.float { "float" } else { "bits" };
                let channels =
                    if info.channels == 1 { "mono".to_owned() } else { format!("{} channels", info.channels) };
                *kinds.entry(format!("{} Hz, {} {kind}, {channels}", info.rate, info.bits)).or_default() += 1;
                let row = Row { id: relative(root, &file.path), part, class: file.class, hash, size: None };
                draft.push(row, None);
            }
        }
    }
    seconds.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (seconds.first(), seconds.last()) {
        let (middle, all) = (seconds[seconds.len() / 2], seconds.iter().sum::<f64>());
        draft.fact("length", format!("{least:.2} to {most:.2} s, median {middle:.2} s, {all:.0} s in all"));
    }
    for (kind, count) in kinds {
        draft.fact("recorded", format!("{kind}: {count}"));
    }
}
