//! Surveys of pictures: in class folders, or with boxes.

use std::path::Path;

use super::listing::{Listed, Listing};
use super::look::Look;
use super::{Draft, Row, broken};
use crate::bytes::read_file;
use crate::folder_scan::relative;
use crate::manifest::Entry;
use crate::picture::{MAX_FILE, MAX_PIXELS, decode_picture};
use crate::{DataError, parallel};

pub(super) fn folders(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "pictures";
    draft.classes.clone_from(&listing.classes);
    let pictures: Vec<&Listed> = listing.files.iter().collect();
    read(root, &listing, &pictures, draft);
    draft.check_classes("picture");
}

pub(super) fn boxes(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "pictures";
    let Some(detection) = &listing.detection else { return };
    draft.classes.clone_from(&detection.classes);
    draft.parts.clone_from(&detection.parts);
    draft.faults.extend(detection.faults.iter().cloned());
    let (pictures, texts): (Vec<&Listed>, Vec<&Listed>) = listing.files.iter().partition(|file| is_picture(&file.path));
    read(root, &listing, &pictures, draft);
    let texts = Listing { files: texts.into_iter().cloned().collect(), ..listing.clone() };
    draft.hash_files(root, &texts);
    let mut counts = vec![vec![0; detection.classes.len()]; detection.parts.len()];
    let mut empty = 0;
    for picture in &detection.pictures {
        empty += usize::from(picture.objects.is_empty());
        picture.objects.iter().for_each(|object| counts[picture.part][object.class] += 1);
    }
    draft.boxes = Some(counts);
    draft.fact("pictures without a box", empty.to_string());
    let sides = detection.pictures.iter().filter(|p| p.width > 0).flat_map(|p| {
        let area = (p.width * p.height) as f32;
        p.objects.iter().map(move |o| (((o.x1 - o.x0) * (o.y1 - o.y0)) / area).sqrt())
    });
    let mut sides: Vec<f32> = sides.collect();
    sides.sort_by(f32::total_cmp);
    if let (Some(least), Some(most)) = (sides.first(), sides.last()) {
        let shown = |share: f32| format!("{:.1} %", 100.0 * share);
        let middle = shown(sides[sides.len() / 2]);
        draft
            .fact("side of a box, of its picture's", format!("{} to {}, median {middle}", shown(*least), shown(*most)));
    }
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| crate::folder_scan::PICTURES.contains(&extension.as_str()))
}

/// What one look at a file gave: its size and hash, and the picture's size and look or why it is broken.
type Seen = Result<(u64, [u8; 32], Result<(usize, usize, Option<Box<Look>>), DataError>), DataError>;

/// Reads each picture once: size, hash, decoded, looked at. Some at a time, so that what is not kept does not pile up.
fn read(root: &Path, listing: &Listing, pictures: &[&Listed], draft: &mut Draft) {
    const AT_ONCE: usize = 10_000;
    pictures.chunks(AT_ONCE).for_each(|pictures| read_some(root, listing, pictures, draft));
}

fn read_some(root: &Path, listing: &Listing, pictures: &[&Listed], draft: &mut Draft) {
    let seen: Vec<Seen> = parallel::map(pictures, |file| {
        // A pipe would be waited for without end.
        if file.path.metadata().is_ok_and(|data| !data.is_file()) {
            return Err(DataError::broken(&file.path, "picture", "it is no regular file", "remove it"));
        }
        let bytes = read_file(&file.path, MAX_FILE)?;
        let decoded = decode_picture(&bytes, &file.path, MAX_PIXELS).map(|picture| {
            let look = Look::of(&picture);
            (picture.width, picture.height, look)
        });
        Ok((bytes.len() as u64, hmac_sha256::Hash::hash(&bytes), decoded))
    });
    for (file, seen) in pictures.iter().zip(seen) {
        let part = draft.part(listing, file);
        let (bytes, hash, decoded) = match seen {
            Ok(seen) => seen,
            Err(error) => {
                draft.broken.push(broken(root, &file.path, &error));
                continue;
            }
        };
        let name = |index: Option<usize>, names: &[String]| index.and_then(|index| names.get(index)).cloned();
        draft.files.push(Entry {
            path: relative(root, &file.path),
            bytes,
            hash,
            part: name(file.part, &listing.parts),
            class: name(file.class, &listing.classes),
        });
        match decoded {
            Err(error) => draft.broken.push(broken(root, &file.path, &error)),
            Ok((width, height, look)) => {
                let id = relative(root, &file.path);
                draft.push(Row { id, part, class: file.class, hash, size: Some((width, height)) }, look);
            }
        }
    }
}
