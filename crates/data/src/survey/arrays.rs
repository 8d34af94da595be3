//! Surveys of arrays: IDX files, and npz or npy files of NumPy. Files of images or features are paired with those of labels.

use std::path::Path;

use super::listing::{Listing, index, part_in_name};
use super::look::Look;
use super::{Draft, Row, broken};
use crate::detection::Fault;
use crate::folder_scan::{relative, stem};
use crate::npy::{NpyArray, NpyValues};
use crate::{Npz, parallel, read_idx, read_npy};

/// Labels beyond this are numbers rather than classes.
const MAX_CLASS: usize = 10_000;

/// An array of a dataset.
struct Named {
    /// Name of the file, or of the member in it.
    name: String,
    shape: Vec<usize>,
    values: Numbers,
}

enum Numbers {
    Bytes(Vec<u8>),
    Npy(NpyArray),
}

impl Numbers {
    fn classes(&self) -> Option<Vec<usize>> {
        let classes = match self {
            Numbers::Bytes(bytes) => bytes.iter().map(|&byte| usize::from(byte)).collect(),
            Numbers::Npy(array) => array.to_classes()?,
        };
        classes.iter().all(|&class| class < MAX_CLASS).then_some(classes)
    }

    /// Hash of the `size` numbers of a row.
    fn hash(&self, row: usize, size: usize) -> [u8; 32] {
        let range = row * size..(row + 1) * size;
        let mut hash = hmac_sha256::Hash::new();
        match self {
            Numbers::Bytes(v) => hash.update(&v[range]),
            Numbers::Npy(array) => match &array.values {
                NpyValues::Bool(v) => v[range].iter().for_each(|&x| hash.update([u8::from(x)])),
                NpyValues::U8(v) => hash.update(&v[range]),
                NpyValues::I32(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
                NpyValues::I64(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
                NpyValues::F32(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
                NpyValues::F64(v) => v[range].iter().for_each(|x| hash.update(x.to_le_bytes())),
            },
        }
        hash.finalize()
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Numbers::Bytes(v) | Numbers::Npy(NpyArray { values: NpyValues::U8(v), .. }) => Some(v),
            Numbers::Npy(_) => None,
        }
    }

    /// How many numbers are NaN or infinite.
    fn not_finite(&self) -> usize {
        match self {
            Numbers::Npy(NpyArray { values: NpyValues::F32(v), .. }) => v.iter().filter(|x| !x.is_finite()).count(),
            Numbers::Npy(NpyArray { values: NpyValues::F64(v), .. }) => v.iter().filter(|x| !x.is_finite()).count(),
            _ => 0,
        }
    }
}

pub(super) fn idx(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "rows";
    draft.hash_files(root, &listing);
    let mut arrays = Vec::new();
    for (file, read) in listing.files.iter().zip(parallel::map(&listing.files, |file| read_idx(&file.path))) {
        match read {
            Ok(idx) => arrays.push(Named {
                name: relative(root, &file.path),
                shape: idx.shape,
                values: Numbers::Bytes(idx.values),
            }),
            Err(error) => draft.broken.push(broken(root, &file.path, &error)),
        }
    }
    pair(arrays, draft);
}

pub(super) fn npz(root: &Path, listing: Listing, draft: &mut Draft) {
    draft.unit = "rows";
    draft.hash_files(root, &listing);
    let mut arrays = Vec::new();
    for file in &listing.files {
        let place = relative(root, &file.path);
        if file.path.extension().is_some_and(|extension| extension == "npy") {
            match read_npy(&file.path) {
                Ok(array) => arrays.push(named(place, array)),
                Err(error) => draft.broken.push(broken(root, &file.path, &error)),
            }
            continue;
        }
        let npz = match Npz::open(&file.path) {
            Ok(npz) => npz,
            Err(error) => {
                draft.broken.push(broken(root, &file.path, &error));
                continue;
            }
        };
        let members: Vec<String> = npz.names().into_iter().map(str::to_owned).collect();
        for (name, array) in members.iter().zip(parallel::map(&members, |name| npz.array(name))) {
            let file_part = (listing.files.len() > 1).then(|| stem(&file.path));
            let name = file_part.map_or_else(|| name.clone(), |stem| format!("{stem}/{name}"));
            match array {
                Ok(array) => arrays.push(named(name, array)),
                Err(error) => {
                    draft.broken.push(Fault { place: format!("{place}: {name}"), ..broken(root, &file.path, &error) })
                }
            }
        }
    }
    pair(arrays, draft);
}

fn named(name: String, array: NpyArray) -> Named {
    Named { name, shape: array.shape.clone(), values: Numbers::Npy(array) }
}

/// Whether a name says that an array holds what is to be predicted.
fn is_label(name: &str) -> bool {
    let words: Vec<String> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).map(|word| word.to_ascii_lowercase()).collect();
    words.iter().any(|word| ["y", "label", "labels", "target", "targets"].contains(&word.as_str()))
}

/// The name without the words for the part and for what is in it: arrays that share it belong together.
fn family(name: &str) -> (Option<&'static str>, String) {
    const SAID: [&str; 14] = [
        "x", "y", "label", "labels", "target", "targets", "images", "image", "data", "features", "idx1", "idx3",
        "ubyte", "gz",
    ];
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    let rest: Vec<String> = words.filter(|word| !SAID.contains(&word.as_str())).collect();
    (part_in_name(name), rest.join("-"))
}

/// Finds the labels of each array, by name and number of rows, and takes down the rows.
fn pair(arrays: Vec<Named>, draft: &mut Draft) {
    let (labels, data): (Vec<Named>, Vec<Named>) = arrays.into_iter().partition(|array| is_label(&array.name));
    let mut used = vec![false; labels.len()];
    let mut data = data;
    data.sort_by_key(|array| {
        let order = ["train", "val", "test"];
        (family(&array.name).0.and_then(|part| order.iter().position(|name| *name == part)), array.name.clone())
    });
    for array in data {
        let Some((&rows, shape)) = array.shape.split_first() else {
            draft.notes.push(format!("not looked at: {}, a single number", array.name));
            continue;
        };
        let (part_name, rest) = family(&array.name);
        let of_part = |label: &Named| family(&label.name).0 == part_name;
        let found = labels
            .iter()
            .position(|label| of_part(label) && family(&label.name).1 == rest)
            .or_else(|| labels.iter().position(of_part).filter(|_| labels.iter().filter(|l| of_part(l)).count() == 1));
        let classes = found.and_then(|at| {
            used[at] = true;
            labels_of(&labels[at], rows, &array.name, draft)
        });
        if found.is_none() {
            draft.notes.push(format!("{}: no labels were found for it", array.name));
        }
        let lost = array.values.not_finite();
        if lost > 0 {
            draft.faults.push(Fault::new(&array.name, format!("{lost} numbers are NaN or infinite")));
        }
        draft.fact(
            &array.name,
            format!("{rows} rows of {}", if shape.is_empty() { "one number".to_owned() } else { format!("{shape:?}") }),
        );
        let part = index(&mut draft.parts, part_name.unwrap_or("all"));
        take(&array, rows, shape, part, classes.as_deref(), draft);
    }
    for (label, _) in labels.iter().zip(used).filter(|(_, used)| !used) {
        draft.faults.push(Fault::new(&label.name, "these labels belong to no data"));
    }
}

/// The classes that an array of labels holds, if it does.
fn labels_of(label: &Named, rows: usize, of: &str, draft: &mut Draft) -> Option<Vec<usize>> {
    let count = label.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    if count != rows {
        draft.faults.push(Fault::new(&label.name, format!("it holds {count} labels for the {rows} rows of {of}")));
        return None;
    }
    let classes = label.values.classes();
    if classes.is_none() {
        draft.notes.push(format!("{}: its values are no classes, so they are taken as numbers to predict", label.name));
    }
    for class in classes.iter().flatten().copied() {
        while draft.classes.len() <= class {
            draft.classes.push(draft.classes.len().to_string());
        }
    }
    classes
}

fn take(array: &Named, rows: usize, shape: &[usize], part: usize, classes: Option<&[usize]>, draft: &mut Draft) {
    // An array without rows may claim any size of them.
    let size = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(0);
    if size == 0 {
        draft.broken.push(Fault::new(&array.name, format!("rows of shape {shape:?} hold nothing")));
        return;
    }
    let picture = picture_shape(shape).filter(|_| array.values.bytes().is_some());
    let numbers: Vec<usize> = (0..rows).collect();
    let seen = parallel::map(&numbers, |&row| {
        let look = picture.zip(array.values.bytes()).and_then(|((h, w, channels, last), bytes)| {
            let bytes = &bytes[row * size..(row + 1) * size];
            let pixel = |at: usize, c: usize| usize::from(bytes[if last { at * channels + c } else { c * h * w + at }]);
            let grey: Vec<u8> =
                (0..h * w).map(|at| ((0..channels).map(|c| pixel(at, c)).sum::<usize>() / channels) as u8).collect();
            Look::of_plane(&grey, h, w)
        });
        (array.values.hash(row, size), look)
    });
    for (row, (hash, look)) in seen.into_iter().enumerate() {
        let class = classes.map(|classes| classes[row]);
        let id = format!("{} row {row}", array.name);
        draft.push(Row { id, part, class, hash, size: picture.map(|(h, w, _, _)| (w, h)) }, look);
    }
}

/// Height, width, channels, and whether channels come last, if a row is a picture.
fn picture_shape(shape: &[usize]) -> Option<(usize, usize, usize, bool)> {
    match *shape {
        [h, w] if h >= 4 && w >= 4 => Some((h, w, 1, true)),
        [h, w, channels @ (1 | 3)] if h >= 4 && w >= 4 => Some((h, w, channels, true)),
        [channels @ (1 | 3), h, w] if h >= 4 && w >= 4 => Some((h, w, channels, false)),
        _ => None,
    }
}
