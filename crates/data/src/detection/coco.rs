//! COCO: JSON files of images, annotations and categories, and the pictures that they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::elements::elements;
use super::{Annotated, Bounds, Detection, Fault, box_fault, clipped, shown};
use crate::folder_scan::{files_here, images_in, stem};
use crate::picture::picture_size;
use crate::{DataError, parallel};

/// The JSON files with annotations in a dataset: in `annotations/`, or in the folder itself.
pub(crate) fn json_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let within = dir.join("annotations");
    files_here(if within.is_dir() { &within } else { dir }, &["json"])
}

/// Reads a dataset in the layout of COCO. Categories, whose ids may have gaps, are numbered in the order of their ids.
///
/// # Errors
/// If a file cannot be read or is no JSON of images, annotations and categories. What is wrong with single pictures and boxes
/// is among the `faults`.
pub fn read_coco(dir: &Path) -> Result<Detection, DataError> {
    let mut set = Detection::default();
    let mut categories: BTreeMap<i64, String> = BTreeMap::new();
    let mut documents = Vec::new();
    for path in json_files(dir)? {
        let broken = |why: String| DataError::broken(&path, "COCO", why, "check that this is a COCO annotation file");
        let file = File::open(&path).map_err(|e| DataError::io(&path, "read", e))?;
        let Some(document) = Document::read(file).map_err(broken)? else {
            set.faults.push(Fault::new(shown(dir, &path), "it does not hold images, annotations and categories"));
            continue;
        };
        for (id, name) in &document.categories {
            let known = categories.entry(*id).or_insert_with(|| name.clone());
            if known != name {
                let why = format!("category {id} is {name} here and {known} elsewhere");
                set.faults.push(Fault::new(shown(dir, &path), why));
            }
        }
        documents.push((path, document));
    }
    let numbers: HashMap<i64, usize> = categories.keys().enumerate().map(|(number, id)| (*id, number)).collect();
    set.classes = categories.into_values().collect();
    for (path, document) in documents {
        add(&mut set, dir, &path, document, &numbers);
    }
    let listed: std::collections::HashSet<&PathBuf> = set.pictures.iter().map(|p| &p.picture).collect();
    let stray: Vec<Fault> = images_in(dir)?
        .iter()
        .filter(|path| !listed.contains(path))
        .map(|path| Fault::new(shown(dir, path), "no annotation file names this picture"))
        .collect();
    set.faults.extend(stray);
    Ok(set.sorted())
}

fn add(set: &mut Detection, dir: &Path, path: &Path, document: Document, numbers: &HashMap<i64, usize>) {
    let place = shown(dir, path);
    let part = set.part(&part_name(path));
    set.annotations.push((path.to_owned(), Some(part)));
    let found = parallel::map(&document.images, |image| {
        let file = find(dir, &set.parts[part], &image.file)?;
        Ok::<_, String>((picture_size(&file).unwrap_or((0, 0)), file))
    });
    let mut rows: HashMap<i64, usize> = HashMap::new();
    let mut seen: HashMap<i64, &str> = HashMap::new();
    for (image, found) in document.images.iter().zip(found) {
        if let Some(other) = seen.insert(image.id, &image.file) {
            set.faults.push(Fault::new(&place, format!("image id {} is {other} and {}", image.id, image.file)));
        }
        match found {
            Err(why) => set.faults.push(Fault::new(&place, why)),
            Ok(((height, width), picture)) => {
                if width > 0 && image.size.is_some_and(|size| size != (width, height)) {
                    let (w, h) = image.size.unwrap_or_default();
                    let why = format!("it says {} has {w} x {h} pixels, but it has {width} x {height}", image.file);
                    set.faults.push(Fault::new(&place, why));
                }
                rows.insert(image.id, set.pictures.len());
                set.pictures.push(Annotated { picture, part, width, height, objects: Vec::new() });
            }
        }
    }
    for (number, annotation) in document.annotations.into_iter().enumerate() {
        let place =
            format!("{place}: annotation {}", annotation.id.map_or_else(|| number.to_string(), |id| id.to_string()));
        let mut fault = |why: String| set.faults.push(Fault::new(&place, why));
        let (Some(image), Some(category), Some([x, y, w, h])) =
            (annotation.image, annotation.category, annotation.bbox)
        else {
            fault("it lacks an image_id, a category_id or a bbox of four numbers".to_owned());
            continue;
        };
        let Some(&class) = numbers.get(&category) else {
            fault(format!("there is no category {category}"));
            continue;
        };
        let Some(&row) = rows.get(&image) else {
            // A picture that is listed, but not there, was said before.
            if !seen.contains_key(&image) {
                fault(format!("there is no image {image}"));
            }
            continue;
        };
        let picture = &set.pictures[row];
        let (width, height) = (picture.width, picture.height);
        let bounds = Bounds { class, x0: x, y0: y, x1: x + w, y1: y + h, aside: annotation.crowd };
        match box_fault(&bounds, width, height) {
            Some(why) => fault(why),
            None => set.pictures[row].objects.push(clipped(bounds, width, height)),
        }
    }
}

/// "train" of `instances_train2017.json`.
fn part_name(path: &Path) -> String {
    let name = stem(path);
    name.rsplit('_').next().map_or(name.clone(), str::to_owned)
}

/// The file of a picture: beside the part's others, under `images`, or where its name says. Never outside the dataset.
fn find(dir: &Path, part: &str, name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    if name.is_empty() || path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("{name:?} leads out of the dataset, and is not read"));
    }
    let short = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let folders = [part.to_owned(), format!("images/{part}"), short.to_owned(), format!("images/{short}")];
    let places = folders.iter().map(|folder| dir.join(folder)).chain([dir.join("images"), dir.to_owned()]);
    places.map(|place| place.join(path)).find(|path| path.is_file()).ok_or(format!("there is no picture {name}"))
}

/// Whether a file begins like COCO's, or is one that is torn: other JSON beside a dataset is no sign of it.
pub(crate) fn looks_like_coco(path: &Path, may_be_torn: bool) -> Result<bool, DataError> {
    const WORDS: [&[u8]; 3] = [b"\"images\"", b"\"annotations\"", b"\"categories\""];
    let failed = |e| DataError::io(path, "read", e);
    let mut file = File::open(path).map_err(failed)?;
    let (mut window, mut held, mut seen, mut last) = (vec![0; 1 << 18], 0, [false; 3], 0);
    loop {
        let count = file.read(&mut window[held..]).map_err(failed)?;
        if count == 0 {
            // It may have lost the rest; that is to be said, not passed over.
            let is_torn = may_be_torn && last != b'}';
            return Ok(seen[0] && (is_torn || seen[1] && seen[2]));
        }
        let end = held + count;
        last = window[..end].trim_ascii_end().last().copied().unwrap_or(last);
        for at in (0..end).filter(|&at| window[at] == b'"') {
            WORDS.iter().zip(&mut seen).for_each(|(word, seen)| *seen |= window[at..end].starts_with(word));
        }
        // A word may lie across the end.
        held = end.min(16);
        window.copy_within(end - held..end, 0);
    }
}

/// What one file holds.
struct Document {
    images: Vec<ImageLine>,
    annotations: Vec<BoxLine>,
    categories: Vec<(i64, String)>,
}

struct ImageLine {
    id: i64,
    file: String,
    size: Option<(usize, usize)>,
}

struct BoxLine {
    id: Option<i64>,
    image: Option<i64>,
    category: Option<i64>,
    bbox: Option<[f32; 4]>,
    crowd: bool,
}

impl Document {
    /// Reads a file of any size; `None` if it lacks one of the lists.
    fn read(from: impl Read) -> Result<Option<Document>, String> {
        let mut document = Document { images: Vec::new(), annotations: Vec::new(), categories: Vec::new() };
        let mut lists = BTreeSet::new();
        let list = |name: &str| _ = lists.insert(name.to_owned());
        elements(from, list, |list, value| match list {
            "images" => document.images.extend(ImageLine::of(&value)),
            "annotations" => document.annotations.push(BoxLine::of(&value)),
            "categories" => document.categories.extend(category(&value)),
            _ => {}
        })?;
        let whole = ["images", "annotations", "categories"].iter().all(|name| lists.contains(*name));
        Ok(whole.then_some(document))
    }
}

impl ImageLine {
    fn of(image: &Value) -> Option<ImageLine> {
        let size = |name: &str| image.get(name)?.as_u64().and_then(|size| usize::try_from(size).ok());
        Some(ImageLine {
            id: image.get("id")?.as_i64()?,
            file: image.get("file_name")?.as_str()?.to_owned(),
            size: size("width").zip(size("height")),
        })
    }
}

impl BoxLine {
    fn of(annotation: &Value) -> BoxLine {
        let id = |name: &str| annotation.get(name).and_then(Value::as_i64);
        let numbers: Option<Vec<f32>> = annotation
            .get("bbox")
            .and_then(Value::as_array)
            .and_then(|numbers| numbers.iter().map(|number| number.as_f64().map(|number| number as f32)).collect());
        BoxLine {
            id: id("id"),
            image: id("image_id"),
            category: id("category_id"),
            bbox: numbers.and_then(|numbers| numbers.try_into().ok()),
            crowd: id("iscrowd") == Some(1),
        }
    }
}

fn category(category: &Value) -> Option<(i64, String)> {
    Some((category.get("id")?.as_i64()?, category.get("name")?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_documents_never_panic_and_no_name_leads_out() {
        let text = r#"{"images":[{"id":1,"file_name":"a.png","width":4,"height":4}],"annotations":[{"id":1,"image_id":1,
                      "category_id":7,"bbox":[0,0,2,2],"iscrowd":1}],"categories":[{"id":7,"name":"cat"}]}"#;
        let read = |bytes: &[u8]| Document::read(bytes).ok().flatten();
        let document = read(text.as_bytes()).unwrap();
        assert_eq!((document.annotations[0].crowd, document.annotations[0].bbox), (true, Some([0.0, 0.0, 2.0, 2.0])));
        crate::fuzz::truncations(text.as_bytes(), |cut| assert!(read(cut).is_none()));
        crate::fuzz::flips(text.as_bytes(), 5000, |damaged| drop(read(damaged)));
        for name in ["../a.png", "/etc/passwd", "a/../../b.png", ""] {
            assert!(find(Path::new("."), "all", name).unwrap_err().contains("leads out"), "{name}");
        }
        assert_eq!(part_name(Path::new("annotations/instances_train2017.json")), "train2017");
    }

    #[test]
    fn a_file_is_known_by_words_wherever_they_lie() {
        let path = std::env::temp_dir().join(format!("glassbox-coco-{}.json", std::process::id()));
        let looks = |text: &str, may_be_torn| {
            std::fs::write(&path, text).unwrap();
            looks_like_coco(&path, may_be_torn).unwrap()
        };
        let blank = |count: usize| " ".repeat(count);
        for gap in [0, (1 << 18) - 30, (1 << 18) - 20, (1 << 18) - 12, 1 << 19] {
            let text =
                format!("{{\"categories\": [],{}\"annotations\": [], \"images\": []}}{}", blank(gap), blank(gap));
            assert!(looks(&text, true) && looks(&text, false), "{gap}");
            assert!(!looks(&text[..gap + 40], true), "{gap}");
        }
        assert!(looks("{\"images\": [{\"id\": 1", true) && !looks("{\"images\": []}", true));
        assert!(!looks("", true) && !looks("[1, 2]", true));
        std::fs::remove_file(&path).unwrap();
    }
}
