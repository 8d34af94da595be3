//! Which files a dataset is made of, with the part and the class that their place says: before any of them is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Convention;
use crate::detection::{Detection, read_coco, read_voc, read_yolo};
use crate::folder_scan::{PICTURES, class_folders, files_here, files_in, stem, visible};
use crate::{DataError, DataError::Layout};

/// Folders that are parts of a dataset, and no classes.
const PARTS: [&str; 4] = ["train", "val", "valid", "test"];

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub path: PathBuf,
    /// Index of its part.
    pub part: Option<usize>,
    /// Index of its class.
    pub class: Option<usize>,
}

/// The files of a dataset.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Listing {
    pub parts: Vec<String>,
    pub classes: Vec<String>,
    pub files: Vec<Listed>,
    /// What was seen and left out.
    pub notes: Vec<String>,
    /// For pictures with boxes: all that was read of them.
    pub detection: Option<Detection>,
}

/// The files of the dataset at `path`, a folder or a file.
pub(crate) fn list(path: &Path, convention: Convention) -> Result<Listing, DataError> {
    let single = path.is_file();
    match convention {
        Convention::Folders => classes(path, &PICTURES),
        Convention::TextFolders => classes(path, &["txt"]),
        Convention::Wav if single => Ok(plain(vec![path.to_owned()])),
        Convention::Wav => sounds(path),
        Convention::Voc => Ok(boxes(read_voc(path)?)),
        Convention::Yolo => Ok(boxes(read_yolo(path)?)),
        Convention::Coco => Ok(boxes(read_coco(path)?)),
        _ if single => Ok(plain(vec![path.to_owned()])),
        Convention::Idx => Ok(plain(idx_files(path)?)),
        Convention::Npz => Ok(plain(files_here(path, &["npz", "npy"])?)),
        Convention::Csv => tables(path),
        Convention::Text => Ok(plain(text_files(path)?)),
    }
}

/// Files whose names may say which part they are.
fn plain(paths: Vec<PathBuf>) -> Listing {
    let mut listing = Listing::default();
    for path in paths {
        let part = part_in_name(&stem(&path)).map(|part| listing.part(part));
        listing.files.push(Listed { path, part, class: None });
    }
    listing
}

/// The part that a name such as "train-images" or "x_test" says.
pub(crate) fn part_in_name(name: &str) -> Option<&'static str> {
    let words: Vec<String> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).map(|word| word.to_ascii_lowercase()).collect();
    let is =
        |names: &[&str]| words.iter().any(|word| names.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())));
    [
        ("train", &["train", "training"][..]),
        ("val", &["val", "valid", "validation", "dev"]),
        ("test", &["test", "testing"]),
    ]
    .into_iter()
    .find(|(part, names)| is(names) || (*part == "test" && words.iter().any(|word| word == "t10k")))
    .map(|(part, _)| part)
}

impl Listing {
    /// The number of a part, which is listed if it is new.
    pub fn part(&mut self, name: &str) -> usize {
        index(&mut self.parts, name)
    }
}

/// The place of `name` in `names`, which gains it if it is new.
pub(crate) fn index(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// The IDX files in a folder, by the end of their names.
pub(crate) fn idx_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_idx = |name: &str| {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        name.ends_with("-ubyte") && name.contains("idx") || name.ends_with(".idx")
    };
    Ok(visible(dir)?.into_iter().filter(|(name, path)| is_idx(name) && path.is_file()).map(|(_, path)| path).collect())
}

/// The tables in a folder.
pub(crate) fn table_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_table =
        |name: &str| [".csv", ".tsv", ".csv.gz", ".tsv.gz"].iter().any(|end| name.to_lowercase().ends_with(end));
    Ok(visible(dir)?
        .into_iter()
        .filter(|(name, path)| is_table(name) && path.is_file())
        .map(|(_, path)| path)
        .collect())
}

/// The texts in a folder, and in its class folders, without what only describes others.
pub(crate) fn text_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let about = |path: &Path| {
        let name = stem(path).to_ascii_lowercase();
        ["readme", "license", "licence", "classes", "labels", "notice"].contains(&name.as_str())
    };
    Ok(files_in(dir, &["txt"])?.into_iter().filter(|path| !about(path)).collect())
}

/// The class folders of a dataset that hold a file with one of these extensions: part (a folder) and class.
pub(crate) fn class_dirs(dir: &Path, extensions: &[&str]) -> Result<Vec<(Option<String>, String)>, DataError> {
    let mut found = Vec::new();
    let folders = class_folders(dir)?;
    let parted = folders.iter().any(|name| name == "train") && !class_folders(&dir.join("train"))?.is_empty();
    for folder in folders {
        let place = dir.join(&folder);
        if parted && PARTS.contains(&folder.as_str()) {
            for class in class_folders(&place)? {
                if any_file(&place.join(&class), extensions) {
                    found.push((Some(folder.clone()), class));
                }
            }
        } else if !parted && any_file(&place, extensions) {
            found.push((None, folder));
        }
    }
    Ok(found)
}

/// How many classes of texts there are in a folder, if no text lies beside their folders: a folder of texts with more of them below is
/// one text.
pub(crate) fn text_classes(dir: &Path) -> Result<usize, DataError> {
    let beside = text_files(dir)?.iter().any(|path| path.parent() == Some(dir));
    let classes: BTreeSet<String> = class_dirs(dir, &["txt"])?.into_iter().map(|(_, class)| class).collect();
    Ok(if beside { 0 } else { classes.len() })
}

/// Whether a file with one of these extensions lies below a folder; links back to the top are found when files are listed.
fn any_file(dir: &Path, extensions: &[&str]) -> bool {
    const DEPTH: usize = 8;
    fn look(dir: &Path, extensions: &[&str], depth: usize) -> bool {
        if files_here(dir, extensions).is_ok_and(|files| !files.is_empty()) {
            return true;
        }
        depth > 0 && class_folders(dir).is_ok_and(|f| f.iter().any(|f| look(&dir.join(f), extensions, depth - 1)))
    }
    look(dir, extensions, DEPTH)
}

fn classes(dir: &Path, extensions: &[&str]) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    let dirs = class_dirs(dir, extensions)?;
    let names: BTreeSet<&String> = dirs.iter().map(|(_, class)| class).collect();
    listing.classes = names.into_iter().cloned().collect();
    // Parts in the order in which they are used.
    let order = |part: &Option<String>| PARTS.iter().position(|name| part.as_deref() == Some(name));
    let mut dirs = dirs.clone();
    dirs.sort_by_key(|(part, class)| (order(part), class.clone()));
    for (part, class) in &dirs {
        let place = part.as_ref().map_or_else(|| dir.to_owned(), |part| dir.join(part)).join(class);
        let part = part.as_ref().map(|part| listing.part(part));
        let class = listing.classes.binary_search(class).ok();
        listing.files.extend(files_in(&place, extensions)?.into_iter().map(|path| Listed { path, part, class }));
    }
    let used: Vec<&str> = dirs.iter().flat_map(|(part, class)| [part.as_deref(), Some(class)]).flatten().collect();
    let left: Vec<String> = class_folders(dir)?.into_iter().filter(|name| !used.contains(&name.as_str())).collect();
    if !left.is_empty() {
        listing.notes.push(format!("not looked at: the folders {}", left.join(", ")));
    }
    let loose = files_here(dir, extensions)?.len();
    if loose > 0 {
        listing.notes.push(format!("not looked at: {loose} files beside the class folders"));
    }
    Ok(listing)
}

/// Recordings in class folders; or all in one place, with the class as the first word of their names (`LABEL_speaker_n.wav`).
fn sounds(dir: &Path) -> Result<Listing, DataError> {
    const SOUND: [&str; 1] = ["wav"];
    let here = files_here(dir, &SOUND)?;
    let dirs = class_dirs(dir, &SOUND)?;
    if here.is_empty() && dirs.len() > 1 {
        return classes(dir, &SOUND);
    }
    let files = files_in(dir, &SOUND)?;
    let label = |path: &PathBuf| stem(path).split_once('_').map(|(label, _)| label.to_owned());
    let labels: Option<Vec<String>> = files.iter().map(label).collect();
    let mut listing = plain(files);
    listing.parts.clear();
    listing.files.iter_mut().for_each(|file| file.part = None);
    let names: BTreeSet<&String> = labels.iter().flatten().collect();
    if names.len() > 1 && 2 * names.len() <= listing.files.len() {
        listing.classes = names.into_iter().cloned().collect();
        for (file, label) in listing.files.iter_mut().zip(labels.iter().flatten()) {
            file.class = listing.classes.binary_search(label).ok();
        }
        listing.notes.push("classes are the names of the files up to the first _".to_owned());
    }
    Ok(listing)
}

/// One table, or one for each part.
fn tables(dir: &Path) -> Result<Listing, DataError> {
    let listing = plain(table_files(dir)?);
    let parts: BTreeSet<Option<usize>> = listing.files.iter().map(|file| file.part).collect();
    if listing.files.len() > 1 && (parts.len() < listing.files.len() || parts.contains(&None)) {
        let names: Vec<String> =
            listing.files.iter().filter_map(|f| Some(f.path.file_name()?.to_string_lossy().into_owned())).collect();
        return Err(Layout {
            path: dir.to_owned(),
            why: "it holds several tables, and their names do not say which parts of one they are".to_owned(),
            found: names.join(", "),
            help: "give one of the files, or call them train.csv, val.csv and test.csv".to_owned(),
        });
    }
    Ok(listing)
}

fn boxes(mut detection: Detection) -> Listing {
    let pictures =
        detection.pictures.iter().map(|p| Listed { path: p.picture.clone(), part: Some(p.part), class: None });
    let texts =
        detection.annotations.iter().map(|(path, part)| Listed { path: path.clone(), part: *part, class: None });
    let files = pictures.chain(texts).collect();
    let (parts, classes) = (std::mem::take(&mut detection.parts), std::mem::take(&mut detection.classes));
    (detection.parts, detection.classes) = (parts.clone(), classes.clone());
    Listing { parts, classes, files, notes: detection.notes.clone(), detection: Some(detection) }
}
