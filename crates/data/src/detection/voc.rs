//! Pascal VOC: `JPEGImages/*.jpg`, `Annotations/*.xml`, and lists of the parts in `ImageSets/Main/{train,val,test}.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Annotated, Bounds, Detection, Fault, MAX_ANNOTATION, box_fault, clipped, index_of, shown, xml};
use crate::bytes::read_file;
use crate::folder_scan::{files_in, images_in, stem};
use crate::picture::picture_size;
use crate::{DataError, parallel};

/// Reads a dataset in the layout of VOC. Its pixels count from 1, and its right and lower edges lie within the box.
///
/// # Errors
/// If a folder cannot be listed. What is wrong with single files is among the `faults`.
pub fn read_voc(dir: &Path) -> Result<Detection, DataError> {
    let mut set = Detection::default();
    let part_of = parts(dir, &mut set)?;
    let by_stem = |paths: Vec<PathBuf>| paths.into_iter().map(|path| (stem(&path), path)).collect::<BTreeMap<_, _>>();
    let pictures = by_stem(images_in(&dir.join("JPEGImages"))?);
    let annotations = by_stem(files_in(&dir.join("Annotations"), &["xml"])?);
    let unlisted = pictures.keys().any(|name| !part_of.contains_key(name));
    let other = unlisted.then(|| set.part(if set.parts.is_empty() { "all" } else { "unlisted" }));

    for (name, path) in &annotations {
        if !pictures.contains_key(name) {
            set.faults.push(Fault::new(shown(dir, path), "there is no picture for it"));
        }
        set.annotations.push((path.clone(), part_of.get(name).copied().or(other)));
    }
    for name in part_of.keys().filter(|name| !pictures.contains_key(*name)) {
        set.faults.push(Fault::new(format!("ImageSets/Main: {name}"), "it is listed, but there is no such picture"));
    }
    let pictures: Vec<(String, PathBuf)> = pictures.into_iter().collect();
    let read = parallel::map(&pictures, |(name, picture)| {
        let (height, width) = picture_size(picture).unwrap_or((0, 0));
        let objects = annotations.get(name).map(|path| (path, read_objects(path)));
        (width, height, objects)
    });
    for ((name, picture), (width, height, objects)) in pictures.iter().zip(read) {
        let part = part_of.get(name).copied().or(other).unwrap_or(0);
        let mut annotated = Annotated { picture: picture.clone(), part, width, height, objects: Vec::new() };
        match objects {
            None => set.faults.push(Fault::new(shown(dir, picture), "there is no annotation for it")),
            Some((path, Err(why))) => set.faults.push(Fault::new(shown(dir, path), why)),
            Some((path, Ok(objects))) => {
                let place = shown(dir, path);
                if width > 0 && objects.size.is_some_and(|size| size != (width, height)) {
                    let (w, h) = objects.size.unwrap_or_default();
                    let why = format!("it says {w} x {h} pixels, but the picture has {width} x {height}");
                    set.faults.push(Fault::new(&place, why));
                }
                set.faults.extend(objects.broken.into_iter().map(|why| Fault::new(&place, why)));
                for (class, bounds) in objects.boxes {
                    if let Some(why) = box_fault(&bounds, width, height) {
                        set.faults.push(Fault::new(&place, format!("{class}: {why}")));
                        continue;
                    }
                    let class = index_of(&mut set.classes, &class);
                    annotated.objects.push(Bounds { class, ..clipped(bounds, width, height) });
                }
            }
        }
        set.pictures.push(annotated);
    }
    Ok(by_name(set).sorted())
}

/// The part of each listed picture, by its name without extension.
fn parts(dir: &Path, set: &mut Detection) -> Result<BTreeMap<String, usize>, DataError> {
    let mut part_of = BTreeMap::new();
    for part in ["train", "val", "test"] {
        let list = dir.join("ImageSets").join("Main").join(format!("{part}.txt"));
        if !list.is_file() {
            continue;
        }
        let number = set.part(part);
        let text = String::from_utf8_lossy(&read_file(&list, MAX_ANNOTATION)?).into_owned();
        for name in text.lines().filter_map(|line| line.split_whitespace().next()) {
            if let Some(first) = part_of.insert(name.to_owned(), number).filter(|first| *first != number) {
                let why = format!("it is listed in {} and in {part}", set.parts[first]);
                set.faults.push(Fault::new(format!("ImageSets/Main: {name}"), why));
            }
        }
        set.annotations.push((list, Some(number)));
    }
    Ok(part_of)
}

/// Numbers the classes in the order of their names.
fn by_name(mut set: Detection) -> Detection {
    let sorted: BTreeSet<&String> = set.classes.iter().collect();
    let sorted: Vec<String> = sorted.into_iter().cloned().collect();
    let place = |class: usize| sorted.binary_search(&set.classes[class]).unwrap_or(0);
    let numbers: Vec<usize> = (0..set.classes.len()).map(place).collect();
    set.pictures.iter_mut().flat_map(|picture| &mut picture.objects).for_each(|o| o.class = numbers[o.class]);
    Detection { classes: sorted, ..set }
}

/// What one annotation file holds.
#[derive(Debug, Default)]
struct Objects {
    size: Option<(usize, usize)>,
    boxes: Vec<(String, Bounds)>,
    broken: Vec<String>,
}

fn read_objects(path: &Path) -> Result<Objects, String> {
    let bytes = read_file(path, MAX_ANNOTATION).map_err(|e| e.to_string())?;
    objects(&String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?)
}

fn objects(text: &str) -> Result<Objects, String> {
    let root = xml::parse(text)?;
    if root.name != "annotation" {
        return Err(format!("it holds <{}>, not <annotation>", root.name));
    }
    let number = |element: &xml::Element, name: &str| -> Option<f32> { element.word(name)?.parse().ok() };
    let size = root
        .child("size")
        .and_then(|size| Some((size.word("width")?.parse().ok()?, size.word("height")?.parse().ok()?)));
    let mut found = Objects { size, ..Objects::default() };
    for object in root.children.iter().filter(|child| child.name == "object") {
        let Some(name) = object.word("name").filter(|name| !name.is_empty()) else {
            found.broken.push("an object has no name".to_owned());
            continue;
        };
        let edges = object
            .child("bndbox")
            .and_then(|b| Some([number(b, "xmin")?, number(b, "ymin")?, number(b, "xmax")?, number(b, "ymax")?]));
        let Some([x0, y0, x1, y1]) = edges else {
            found.broken.push(format!("{name}: it has no box of four numbers"));
            continue;
        };
        let aside = object.word("difficult") == Some("1");
        found.boxes.push((name.to_owned(), Bounds { class: 0, x0: x0 - 1.0, y0: y0 - 1.0, x1, y1, aside }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_annotations_never_panic() {
        let text = "<annotation><size><width>8</width><height>6</height></size><object><name>a</name><bndbox>\
                    <xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>";
        let found = objects(text).unwrap();
        assert_eq!((found.size, found.boxes[0].1.x0, found.boxes[0].1.y1), (Some((8, 6)), 0.0, 4.0));
        let read = |bytes: &[u8]| drop(std::str::from_utf8(bytes).map(objects));
        crate::fuzz::truncations(text.as_bytes(), read);
        crate::fuzz::flips(text.as_bytes(), 5000, read);
    }
}
