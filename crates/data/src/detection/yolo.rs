//! YOLO: `images/**/X.jpg` with `labels/**/X.txt` (or `PART/images`, `PART/labels`), a line a box: the class and four shares
//! of the picture (centre and size), or a class and the corners of a polygon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Annotated, Bounds, Detection, Fault, MAX_ANNOTATION, box_fault, clipped, shown};
use crate::bytes::read_file;
use crate::folder_scan::{class_folders, files_in, images_in, relative};
use crate::picture::picture_size;
use crate::{DataError, parallel};

/// More classes than any such dataset has.
const MAX_CLASSES: usize = 100_000;

/// The folders of pictures and labels in `dir`, with the part that all of them belong to, if any.
pub(crate) fn pairs(dir: &Path) -> Result<Vec<(Option<String>, PathBuf, PathBuf)>, DataError> {
    let pair = |part: Option<String>, dir: &Path| {
        let (images, labels) = (dir.join("images"), dir.join("labels"));
        (images.is_dir() && labels.is_dir()).then_some((part, images, labels))
    };
    if let Some(pair) = pair(None, dir) {
        return Ok(vec![pair]);
    }
    Ok(class_folders(dir)?.into_iter().filter_map(|part| pair(Some(part.clone()), &dir.join(part))).collect())
}

/// Reads a dataset in the layout of YOLO. Names of classes come from a `*.yaml` with `names:`, or from `classes.txt`.
///
/// # Errors
/// If a folder cannot be listed. What is wrong with single files is among the `faults`; a picture without a label file is
/// background, and no fault.
pub fn read_yolo(dir: &Path) -> Result<Detection, DataError> {
    let mut set = Detection::default();
    let named = names(dir, &mut set)?;
    let mut all: Vec<(usize, PathBuf, Option<PathBuf>)> = Vec::new();
    for (whole, images, labels) in pairs(dir)? {
        let key = |root: &Path, path: &Path| relative(root, &path.with_extension(""));
        let mut texts: BTreeMap<String, PathBuf> =
            files_in(&labels, &["txt"])?.into_iter().map(|path| (key(&labels, &path), path)).collect();
        for picture in images_in(&images)? {
            let key = key(&images, &picture);
            let part = whole.as_deref().or_else(|| key.split_once('/').map(|(part, _)| part)).unwrap_or("all");
            let part = set.part(part);
            let label = texts.remove(&key);
            set.annotations.extend(label.iter().map(|label| (label.clone(), Some(part))));
            all.push((part, picture, label));
        }
        for path in texts.into_values().filter(|path| path.file_name().is_none_or(|name| name != "classes.txt")) {
            set.faults.push(Fault::new(shown(dir, &path), "there is no picture for it"));
            set.annotations.push((path, None));
        }
    }
    let read = parallel::map(&all, |(_, picture, label)| {
        let (height, width) = picture_size(picture).unwrap_or((0, 0));
        let lines = label.as_ref().map_or(Ok(Vec::new()), |label| {
            let text = read_file(label, MAX_ANNOTATION).map_err(|e| e.to_string())?;
            Ok(lines(std::str::from_utf8(&text).map_err(|_| "it is not UTF-8")?))
        });
        (width, height, lines)
    });
    let (mut used, mut outlines) = (BTreeSet::new(), 0);
    for ((part, picture, label), (width, height, lines)) in all.into_iter().zip(read) {
        let place = shown(dir, label.as_deref().unwrap_or(&picture));
        let mut objects = Vec::new();
        for (line, read) in lines.unwrap_or_else(|why: String| vec![(0, Err(why))]) {
            let outcome = read.and_then(|Line { class, shares, outline }| {
                outlines += usize::from(outline);
                if named.as_ref().is_some_and(|names| class >= names.len()) {
                    let last = named.as_ref().map_or(0, Vec::len).saturating_sub(1);
                    return Err(format!("class {class} is not among the names (0 to {last})"));
                }
                in_pixels(class, shares, width, height)
            });
            match outcome {
                Ok(bounds) => {
                    used.insert(bounds.class);
                    objects.push(bounds);
                }
                Err(why) => set.faults.push(Fault::new(format!("{place}:{line}"), why)),
            }
        }
        set.pictures.push(Annotated { picture, part, width, height, objects });
    }
    set.classes = named.unwrap_or_else(|| (0..used.last().map_or(0, |last| last + 1)).map(|n| n.to_string()).collect());
    if outlines > 0 {
        set.notes.push(format!("outlines (masks) among the labels: {outlines}; only the boxes around them are read"));
    }
    let beside = beside(dir)?;
    if !beside.is_empty() {
        set.notes.push(format!("not looked at: the folders {}", beside.join(", ")));
    }
    Ok(set.sorted())
}

/// Folders of pictures beside those that are read, such as `masks`.
fn beside(dir: &Path) -> Result<Vec<String>, DataError> {
    let pairs = pairs(dir)?;
    let mut found = Vec::new();
    for parent in pairs.iter().filter_map(|(_, images, _)| images.parent()).chain([dir]) {
        for path in class_folders(parent)?.into_iter().map(|name| parent.join(name)) {
            let read = pairs.iter().any(|(_, images, labels)| images.starts_with(&path) || labels.starts_with(&path));
            let shown = shown(dir, &path);
            if !read && !found.contains(&shown) && !images_in(&path)?.is_empty() {
                found.push(shown);
            }
        }
    }
    Ok(found)
}

/// The box in pixels; in shares of the picture if its size is not known.
fn in_pixels(class: usize, [x0, y0, x1, y1]: [f32; 4], width: usize, height: usize) -> Result<Bounds, String> {
    let (w, h) = (width.max(1) as f32, height.max(1) as f32);
    let bounds = Bounds { class, x0: x0 * w, y0: y0 * h, x1: x1 * w, y1: y1 * h, aside: false };
    match box_fault(&bounds, width, height) {
        Some(why) => Err(why),
        None => Ok(clipped(bounds, width, height)),
    }
}

/// What a line says.
#[derive(Debug, PartialEq)]
struct Line {
    class: usize,
    /// Left, upper, right and lower edge, as shares of the picture.
    shares: [f32; 4],
    /// Whether they are those of an outline.
    outline: bool,
}

/// What each line that is not blank says, with its number.
type Lines = Vec<(usize, Result<Line, String>)>;

fn lines(text: &str) -> Lines {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered.map(|(number, text)| (number + 1, line(text))).collect()
}

fn line(text: &str) -> Result<Line, String> {
    let mut words = text.split_whitespace();
    let class = words.next().unwrap_or_default();
    // Some tools write classes as 3.0.
    let class: f64 = class.parse().map_err(|_| format!("the class {class:?} is no number"))?;
    if class < 0.0 || class.fract() != 0.0 || class >= MAX_CLASSES as f64 || class.is_nan() {
        return Err(format!("the class {class} is not a whole number from 0"));
    }
    let numbers: Vec<f32> =
        words.map(|word| word.parse().map_err(|_| format!("{word:?} is no number"))).collect::<Result<_, _>>()?;
    let class = class as usize;
    match numbers[..] {
        [x, y, w, h] => {
            let shares = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
            Ok(Line { class, shares, outline: false })
        }
        _ if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => {
            let edge = |first: usize, pick: fn(f32, f32) -> f32| {
                numbers[first..].iter().copied().step_by(2).reduce(pick).unwrap_or(f32::NAN)
            };
            let shares = [edge(0, f32::min), edge(1, f32::min), edge(0, f32::max), edge(1, f32::max)];
            Ok(Line { class, shares, outline: true })
        }
        _ => Err(format!(
            "{} numbers after the class, where 4 (a box) or the corners of a polygon (6, 8, ...) were expected",
            numbers.len()
        )),
    }
}

/// The names of the classes, if a file says them.
fn names(dir: &Path, set: &mut Detection) -> Result<Option<Vec<String>>, DataError> {
    let yaml = crate::folder_scan::files_here(dir, &["yaml", "yml"])?;
    for path in yaml {
        let text = String::from_utf8_lossy(&read_file(&path, MAX_ANNOTATION)?).into_owned();
        if let Some(names) = yaml_names(&text) {
            set.annotations.push((path, None));
            return Ok(Some(names));
        }
    }
    for path in [dir.join("classes.txt"), dir.join("labels").join("classes.txt")] {
        if path.is_file() {
            let text = String::from_utf8_lossy(&read_file(&path, MAX_ANNOTATION)?).into_owned();
            set.annotations.push((path, None));
            return Ok(Some(text.lines().map(|line| line.trim().to_owned()).filter(|name| !name.is_empty()).collect()));
        }
    }
    Ok(None)
}

/// The names in a data.yaml: `names: [a, b]`, `names: {0: a}`, or lines `- a` or `0: a` below `names:`.
fn yaml_names(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let first = lines.find_map(|line| line.strip_prefix("names:"))?.trim();
    let rows: Vec<&str> = if first.is_empty() {
        let within = |line: &&str| line.trim().is_empty() || line.starts_with([' ', '\t', '-']);
        lines.take_while(within).map(str::trim).filter(|line| !line.is_empty()).collect()
    } else {
        first.trim_matches(['[', ']', '{', '}']).split(',').map(str::trim).collect()
    };
    let unquoted = |name: &str| name.trim().trim_matches(['"', '\'']).to_owned();
    let mut names = BTreeMap::new();
    for (at, row) in rows.into_iter().enumerate() {
        let numbered = row.split_once(':').and_then(|(key, name)| Some((unquoted(key).parse().ok()?, name)));
        let (number, name): (usize, &str) = numbered.unwrap_or((at, row.strip_prefix('-').unwrap_or(row)));
        names.insert(number, unquoted(name));
    }
    let count = names.last_key_value().map(|(last, _)| last + 1).filter(|count| *count <= MAX_CLASSES)?;
    Some((0..count).map(|n| names.get(&n).cloned().unwrap_or_else(|| n.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_polygons_and_mistakes_are_told_apart() {
        let of = |class, shares, outline| Line { class, shares, outline };
        assert_eq!(line("3 0.5 0.5 0.5 1").unwrap(), of(3, [0.25, 0.0, 0.75, 1.0], false));
        assert_eq!(line("1.0 0.1 0.2 0.5 0.4 0.3 0.9").unwrap(), of(1, [0.1, 0.2, 0.5, 0.9], true));
        assert!(line("1 0.1 0.2 0.5").unwrap_err().starts_with("3 numbers after the class"));
        assert!(line("-1 0 0 1 1").unwrap_err().contains("whole number from 0"));
        assert!(line("cat 0 0 1 1").unwrap_err().contains("\"cat\" is no number"));
        assert!(line("1 0 0 1 x").unwrap_err().contains("\"x\" is no number"));
    }

    #[test]
    fn names_are_read_in_each_of_their_forms() {
        for text in ["nc: 2\nnames: ['cat', dog]\n", "names:\n  0: cat\n  1: dog\nx: 1", "names:\n- cat\n- dog # b\n"] {
            assert_eq!(yaml_names(text).unwrap(), ["cat", "dog"], "{text}");
        }
        assert_eq!(yaml_names("path: .\n"), None);
        assert_eq!(yaml_names("names: {99999999999: a}"), None);
    }

    #[test]
    fn damaged_labels_never_panic() {
        let read = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            drop((lines(&text), yaml_names(&text)));
        };
        for text in ["0 0.5 0.5 0.1 0.1\n1 0 0 1 1 0.5 0.5\n", "names:\n  0: a\n  1: b\n"] {
            crate::fuzz::truncations(text.as_bytes(), read);
            crate::fuzz::flips(text.as_bytes(), 5000, read);
        }
    }
}
