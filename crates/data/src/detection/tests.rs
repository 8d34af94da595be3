//! Datasets of pictures with boxes and planted faults, in each of the three layouts.

use super::*;
use crate::{Convention, SurveyOptions, encode_png, survey};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("glassbox-boxes-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A picture of 20 x 10 pixels.
    fn picture(&self, name: &str, seed: usize) {
        let image = Image::from_fn(1, 10, 20, |_, y, x| ((y * 7 + x * seed) % 13) as f32 / 13.0);
        self.write(name, png(&image));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn words(set: &Detection) -> Vec<String> {
    set.faults.iter().map(|fault| format!("{}: {}", fault.place, fault.why)).collect()
}

fn object(name: &str, edges: [i32; 4]) -> String {
    let [a, b, c, d] = edges;
    format!(
        "<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
    )
}

#[test]
fn voc_has_its_boxes_and_each_planted_fault() {
    let folder = Folder::new();
    for n in 1..=4 {
        folder.picture(&format!("JPEGImages/{n}.png"), n);
    }
    folder.write("ImageSets/Main/train.txt", "1\n2\n");
    folder.write("ImageSets/Main/test.txt", "3\n2\n9\n");
    let size = "<size><width>20</width><height>10</height></size>";
    let boxes = [object("dog", [1, 1, 20, 10]), object("cat", [5, 5, 40, 9]), object("cat", [9, 9, 3, 3])].concat();
    folder.write("Annotations/1.xml", format!("<annotation>{size}{boxes}</annotation>"));
    folder.write(
        "Annotations/2.xml",
        format!(
            "<annotation><size><width>9</width><height>9</height></size>{}</annotation>",
            object("cat", [2, 2, 4, 4])
        ),
    );
    folder.write("Annotations/3.xml", "<annotation><object>");
    folder.write("Annotations/7.xml", "<annotation/>");
    let set = read_voc(&folder.0).unwrap();
    assert_eq!(
        (&set.parts[..], &set.classes[..]),
        (&["train", "test", "unlisted"].map(str::to_owned)[..], &["cat", "dog"].map(str::to_owned)[..])
    );
    assert_eq!(set.pictures[0].objects, [Bounds { class: 1, x0: 0.0, y0: 0.0, x1: 20.0, y1: 10.0, aside: false }]);
    assert_eq!(
        words(&set),
        [
            "Annotations/1.xml: cat: the box from (4, 4) to (40, 9) reaches out of the picture of 20 x 10 pixels",
            "Annotations/1.xml: cat: the box from (8, 8) to (3, 3) is empty",
            "Annotations/2.xml: it says 9 x 9 pixels, but the picture has 20 x 10",
            "Annotations/3.xml: an element does not end",
            "Annotations/7.xml: there is no picture for it",
            "ImageSets/Main: 2: it is listed in train and in test",
            "ImageSets/Main: 9: it is listed, but there is no such picture",
            "JPEGImages/4.png: there is no annotation for it",
        ]
    );
    assert_eq!(set.picture(0, 3).unwrap().shape(), [3, 10, 20]);
    let survey = survey(&folder.0, &SurveyOptions::default()).unwrap();
    assert_eq!((survey.convention, survey.counts()), (Convention::Voc, vec![vec![0, 1], vec![1, 0], vec![0, 0]]));
}

#[test]
fn yolo_has_its_boxes_and_each_planted_fault() {
    let folder = Folder::new();
    for (n, name) in ["train/a", "train/b", "train/c", "val/d"].iter().enumerate() {
        folder.picture(&format!("images/{name}.png"), n + 1);
    }
    folder.write("data.yaml", "path: .\nnames: [cat, dog]\n");
    folder.write("labels/train/a.txt", "1 0.5 0.5 0.5 1\n2 0.5 0.5 0.1 0.1\n0 0.9 0.5 0.5 0.5\n0 0.5 0.5\n");
    folder.write("labels/train/b.txt", "0 0.1 0.2 0.5 0.2 0.5 0.8\n");
    folder.picture("masks/a.png", 9);
    folder.write("labels/val/d.txt", "");
    folder.write("labels/val/e.txt", "");
    let set = read_yolo(&folder.0).unwrap();
    assert_eq!((&set.parts[..], set.pictures.len()), (&["train", "val"].map(str::to_owned)[..], 4));
    assert_eq!(set.pictures[0].objects, [Bounds { class: 1, x0: 5.0, y0: 0.0, x1: 15.0, y1: 10.0, aside: false }]);
    assert_eq!(set.pictures[1].objects, [Bounds { class: 0, x0: 2.0, y0: 2.0, x1: 10.0, y1: 8.0, aside: false }]);
    let faults = words(&set);
    assert_eq!(faults[0], "labels/train/a.txt:2: class 2 is not among the names (0 to 1)");
    assert!(faults[1].starts_with("labels/train/a.txt:3: the box from (13, ") && faults[1].contains("reaches out"));
    assert!(faults[2].starts_with("labels/train/a.txt:4: 2 numbers after the class"));
    assert_eq!(faults[3..], ["labels/val/e.txt: there is no picture for it"]);
    let survey = survey(&folder.0, &SurveyOptions::default()).unwrap();
    assert_eq!((survey.convention, survey.counts()), (Convention::Yolo, vec![vec![1, 1], vec![0, 0]]));
    let notes = [
        "outlines (masks) among the labels: 1; only the boxes around them are read",
        "not looked at: the folders masks",
    ];
    assert_eq!(survey.notes, notes);
}

#[test]
fn coco_has_its_boxes_and_each_planted_fault() {
    let folder = Folder::new();
    for (n, name) in ["a", "b", "stray"].iter().enumerate() {
        folder.picture(&format!("train2017/{name}.png"), n + 1);
    }
    let text = r#"{
        "images": [{"id": 10, "file_name": "a.png", "width": 20, "height": 10}, {"id": 11, "file_name": "b.png"},
                   {"id": 12, "file_name": "gone.png"}, {"id": 13, "file_name": "../../x.png"}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
        "annotations": [{"id": 1, "image_id": 10, "category_id": 90, "bbox": [1, 2, 3.5, 4], "iscrowd": 1},
                        {"id": 2, "image_id": 10, "category_id": 7, "bbox": [1, 2, 3, 4]},
                        {"id": 3, "image_id": 99, "category_id": 1, "bbox": [1, 2, 3, 4]},
                        {"id": 4, "image_id": 11, "category_id": 1, "bbox": [15, 2, 30, 4]},
                        {"id": 5, "image_id": 11, "category_id": 1},
                        {"id": 6, "image_id": 12, "category_id": 1, "bbox": [1, 2, 3, 4]}]}"#;
    folder.write("annotations/instances_train2017.json", text);
    let set = read_coco(&folder.0).unwrap();
    assert_eq!(set.classes, ["person", "toothbrush"]);
    assert_eq!(set.pictures[0].objects, [Bounds { class: 1, x0: 1.0, y0: 2.0, x1: 4.5, y1: 6.0, aside: true }]);
    let place = "annotations/instances_train2017.json";
    assert_eq!(
        words(&set),
        [
            format!("{place}: \"../../x.png\" leads out of the dataset, and is not read"),
            format!("{place}: there is no picture gone.png"),
            format!("{place}: annotation 2: there is no category 7"),
            format!("{place}: annotation 3: there is no image 99"),
            format!(
                "{place}: annotation 4: the box from (15, 2) to (45, 6) reaches out of the picture of 20 x 10 pixels"
            ),
            format!("{place}: annotation 5: it lacks an image_id, a category_id or a bbox of four numbers"),
            "train2017/stray.png: no annotation file names this picture".to_owned(),
        ]
    );
    let survey = survey(&folder.0, &SurveyOptions::default()).unwrap();
    assert_eq!((survey.convention, survey.counts()), (Convention::Coco, vec![vec![0, 1]]));
}

fn png(image: &Image) -> Vec<u8> {
    let bytes: Vec<u8> = image.pixels.iter().map(|x| (255.0 * x).round() as u8).collect();
    encode_png(1, image.height, image.width, &bytes).unwrap()
}
