//! Surveys of datasets with planted faults.

use super::*;
use crate::{Changes, Idx, Image, encode_png, write_idx};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("glassbox-survey-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A picture of 40 x 30 pixels, which only depends on `seed`, made lighter by `light`.
    fn picture(&self, name: &str, seed: usize, light: f32) {
        self.write(name, png(&picture(seed, light)));
    }

    fn survey(&self) -> Survey {
        survey(&self.0, &SurveyOptions::default()).unwrap()
    }

    fn refusal(&self) -> String {
        survey(&self.0, &SurveyOptions::default()).unwrap_err().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn picture(seed: usize, light: f32) -> Image {
    let wave = |k: usize, y: usize, x: usize| {
        let (y, x) = (y as f32 / 30.0, x as f32 / 40.0);
        ((k as f32 + 1.0) * (x * (seed * 7 % 11 + k) as f32 + y * (seed * 5 % 13 + 2 * k) as f32 + seed as f32)).sin()
    };
    Image::from_fn(1, 30, 40, |_, y, x| {
        (0.4 + 0.1 * (wave(1, y, x) + wave(2, y, x) + wave(3, y, x)) + light).clamp(0.0, 1.0)
    })
}

fn words(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| format!("{}: {}", fault.place, fault.why)).collect()
}

fn ids(survey: &Survey, groups: &[Same]) -> Vec<Vec<String>> {
    groups.iter().map(|same| same.rows.iter().map(|&row| survey.rows[row].id.clone()).collect()).collect()
}

#[test]
fn copies_leaks_contradictions_and_broken_pictures_are_found_in_class_folders() {
    let folder = Folder::new();
    for (n, class) in ["cat", "dog"].iter().enumerate() {
        for k in 0..6 {
            folder.picture(&format!("train/{class}/{k}.png"), 20 * n + k, 0.0);
            folder.picture(&format!("test/{class}/{k}.png"), 20 * n + k + 50, 0.0);
        }
    }
    folder.picture("train/dog/copy.png", 3, 0.0); // of cat/3: another class
    folder.picture("train/cat/copy.png", 2, 0.0); // of cat/2
    folder.picture("test/cat/leak.png", 4, 0.0); // of train/cat/4
    folder.picture("test/dog/lighter.png", 25, 0.1); // of train/dog/5, lighter
    folder.write("train/cat/cut.png", &png(&picture(1, 0.0))[..60]);
    folder.write("train/cat/empty.jpg", []);
    let survey = folder.survey();
    assert_eq!(
        (survey.convention, &survey.parts[..]),
        (Convention::Folders, &["train".to_owned(), "test".to_owned()][..])
    );
    assert_eq!(survey.counts(), [[7, 7], [7, 7]]);
    assert_eq!(survey.sizes(), Some([[40; 3], [30; 3]]));
    let broken = words(&survey.broken);
    assert!(
        broken[0].starts_with("train/cat/cut.png: PNG: ") && broken[1] == "train/cat/empty.jpg: picture: it is empty",
        "{broken:?}"
    );
    let problems = survey.problems();
    assert_eq!(ids(&survey, &problems.contradictions), [["train/cat/3.png", "train/dog/copy.png"]]);
    let leaks = ids(&survey, &problems.leaks);
    assert_eq!(leaks, [["train/cat/4.png", "test/cat/leak.png"], ["train/dog/5.png", "test/dog/lighter.png"]]);
    assert_eq!(problems.copies.len(), 2);
    let text = survey.to_text();
    for said in [
        "pictures in class folders, 30 files",
        "leaks between parts (1 the same, 1 nearly): 2",
        "train/cat/4.png = test/cat/leak.png",
        "same content, other class: 1",
        "cat                 7          7  ██",
        "broken: 2",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert_eq!(survey.to_json()["leaks_count"], 2);
}

#[test]
fn texts_in_class_folders_are_compared_and_a_folder_of_texts_is_one_text() {
    let folder = Folder::new();
    for n in 0..5 {
        folder.write(&format!("train/good/{n}.txt"), format!("fine text number {n}"));
        folder.write(&format!("train/bad/{n}.txt"), format!("dull text number {n}\n"));
    }
    folder.write("train/bad/copy.txt", "dull text number 1");
    folder.write("train/bad/same.txt", "fine text number 2");
    folder.write("train/bad/cut.txt", b"ab\xff");
    folder.write("test/good/leak.txt", "fine text number 3\n\n");
    let survey = folder.survey();
    assert_eq!((survey.convention, survey.unit), (Convention::TextFolders, "texts"));
    assert_eq!(survey.counts(), [[7, 5], [0, 1]]);
    assert_eq!(words(&survey.faults), ["test/bad: this class has no text here"]);
    assert_eq!(words(&survey.broken), ["train/bad/cut.txt: text: byte 2 is no UTF-8"]);
    let problems = survey.problems();
    assert_eq!(ids(&survey, &problems.leaks), [["train/good/3.txt", "test/good/leak.txt"]]);
    assert_eq!(ids(&survey, &problems.contradictions), [["train/bad/same.txt", "train/good/2.txt"]]);
    assert!(survey.to_text().contains("words of a text: 4 to 4 (median 4)"), "{}", survey.to_text());
    folder.write("novel.txt", "A text with chapters in folders.");
    assert_eq!(folder.survey().convention, Convention::Text);
}

#[test]
fn a_class_that_a_part_lacks_is_a_fault() {
    let folder = Folder::new();
    for name in ["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/c/4.png"] {
        folder.picture(name, name.len() + usize::from(name.as_bytes()[name.len() - 5]), 0.0);
    }
    assert_eq!(
        words(&folder.survey().faults),
        ["test/b: this class has no picture here", "train/c: this class has no picture here"]
    );
}

#[test]
fn what_could_be_two_conventions_is_asked_and_what_is_none_is_said() {
    let folder = Folder::new();
    folder.picture("cat/1.png", 1, 0.0);
    folder.picture("dog/1.png", 2, 0.0);
    assert_eq!(folder.survey().convention, Convention::Folders);
    folder.write("labels.csv", "name,label\na,1\n");
    let refusal = folder.refusal();
    assert!(refusal.contains("it can be read in more than one way"), "{refusal}");
    assert!(
        refusal.contains("table (CSV) (1 table); pictures in class folders (2 class folders with pictures)"),
        "{refusal}"
    );
    assert!(refusal.ends_with("help: say which is meant: --as csv or --as folders"), "{refusal}");
    let told = SurveyOptions { convention: Some(Convention::Csv), target: None };
    assert_eq!(survey(&folder.0, &told).unwrap().rows.len(), 1);

    let masks = Folder::new();
    masks.picture("images/1.png", 1, 0.0);
    masks.picture("masks/1.png", 2, 0.0);
    assert!(masks.refusal().contains("look like pictures and their masks"), "{}", masks.refusal());
    let torn = Folder::new();
    torn.picture("images/1.png", 1, 0.0);
    torn.write("annotations/instances.json", r#"{"images": [{"id": 1"#);
    assert!(torn.refusal().starts_with("broken COCO file"), "{}", torn.refusal());
    let nothing = Folder::new();
    nothing.write("notes.pdf", "x");
    assert!(nothing.refusal().contains("no known convention") && nothing.refusal().contains("notes.pdf"));
}

#[test]
fn labels_that_do_not_fit_their_idx_images_are_said() {
    let folder = Folder::new();
    let idx = |shape: Vec<usize>, values: Vec<u8>| write_idx(&Idx { shape, values }).unwrap();
    folder.write("train-images-idx3-ubyte", idx(vec![3, 2, 2], vec![1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]));
    folder.write("train-labels-idx1-ubyte", idx(vec![3], vec![0, 1, 1]));
    folder.write("t10k-images-idx3-ubyte", idx(vec![2, 2, 2], vec![5, 6, 7, 8, 9, 9, 9, 9]));
    folder.write("t10k-labels-idx1-ubyte", idx(vec![3], vec![0, 1, 1]));
    let survey = folder.survey();
    assert_eq!(survey.counts(), [[1, 2], [0, 0]]);
    assert_eq!(
        words(&survey.faults),
        ["t10k-labels-idx1-ubyte: it holds 3 labels for the 2 rows of t10k-images-idx3-ubyte"]
    );
    let problems = survey.problems();
    assert_eq!((problems.contradictions.len(), problems.leaks.len()), (1, 1));
    let cut = idx(vec![9, 2, 2], vec![0; 36]);
    folder.write("t10k-images-idx3-ubyte", &cut[..20]);
    assert!(words(&folder.survey().broken)[0].starts_with("t10k-images-idx3-ubyte: IDX: sizes"));
}

#[test]
fn a_table_shows_its_columns_and_the_one_that_gives_the_target_away() {
    let folder = Folder::new();
    let mut text = "size,colour,code,same,label\n".to_owned();
    for row in 0..20 {
        let label = if row % 3 == 0 { "apple" } else { "pear" };
        text += &format!("{},{},{},x,{label}\n", row % 5, if row % 2 == 0 { "red" } else { "" }, label.len());
    }
    text += "1,red,4\n"; // too few cells
    folder.write("fruit.csv", text);
    let survey = folder.survey();
    assert_eq!((survey.rows.len(), &survey.classes[..]), (20, &["apple".to_owned(), "pear".to_owned()][..]));
    let faults = words(&survey.faults);
    assert!(faults[0].starts_with("fruit.csv: code: it says the target label"), "{faults:?}");
    assert_eq!(faults[1..], ["fruit.csv: same: it has the same value in every row"]);
    assert_eq!(words(&survey.broken), ["fruit.csv:22: expected 5 cells, found 3"]);
    let fact = |name: &str| survey.facts.iter().find(|(fact, _)| fact == name).unwrap().1.clone();
    assert_eq!(fact("column size"), "numbers from 0 to 4, 5 different");
    assert_eq!(fact("column colour"), "text, 1 different: red (10), 10 of 20 missing");
    assert!(!survey.twins.exact.is_empty());
}

#[test]
fn recordings_have_lengths_and_broken_ones_a_reason() {
    let folder = Folder::new();
    let wav = |frames: u32| {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0data".to_vec();
        bytes.extend((2 * frames).to_le_bytes());
        bytes.extend((0..2 * frames).map(|i| (i * frames) as u8));
        bytes
    };
    for (name, frames) in [("yes_1", 4000), ("yes_2", 8000), ("no_1", 2000), ("no_2", 4001)] {
        folder.write(&format!("{name}.wav"), wav(frames));
    }
    folder.write("no_3.wav", &wav(100)[..80]);
    let survey = folder.survey();
    assert_eq!((survey.counts(), survey.convention), (vec![vec![2, 2]], Convention::Wav));
    assert_eq!(words(&survey.broken), ["no_3.wav: WAV: the header promises 200 bytes of sound, found 36"]);
    assert!(survey.to_text().contains("length: 0.25 to 1.00 s"), "{}", survey.to_text());
}

#[test]
fn a_line_of_the_training_text_in_the_test_text_is_a_leak() {
    let folder = Folder::new();
    folder.write("train.txt", "a line that is long enough to count\nshort\nanother line of some length here\n");
    folder.write("test.txt", b"short\nanother line of some length here\n\xFF\xFE\n");
    let survey = folder.survey();
    assert_eq!(
        (survey.problems().leaks.len(), words(&survey.broken)),
        (1, vec!["test.txt:3: it is not UTF-8 from here on".to_owned()])
    );
}

#[test]
fn a_manifest_finds_what_changed_and_is_that_of_the_survey() {
    let folder = Folder::new();
    for name in ["cat/1.png", "cat/2.png", "dog/1.png"] {
        folder.picture(name, name.len() + usize::from(name.as_bytes()[4]), 0.0);
    }
    let then = folder.survey().manifest();
    assert_eq!(manifest(&folder.0, None).unwrap(), then);
    assert_eq!(then.files[0].class.as_deref(), Some("cat"));
    folder.picture("cat/2.png", 99, 0.0);
    folder.picture("dog/9.png", 98, 0.0);
    fs::remove_file(folder.0.join("dog/1.png")).unwrap();
    let changes = Changes::of(&then, &manifest(&folder.0, None).unwrap());
    assert_eq!(changes.words().collect::<Vec<_>>(), ["dog/1.png is gone", "cat/2.png changed", "dog/9.png is new"]);
}

fn png(image: &Image) -> Vec<u8> {
    let bytes: Vec<u8> = image.pixels.iter().map(|x| (255.0 * x).round() as u8).collect();
    encode_png(1, image.height, image.width, &bytes).unwrap()
}
