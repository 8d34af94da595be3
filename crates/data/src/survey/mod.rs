//! A survey of a dataset, before anything is learned from it: counts, sizes, what is broken, what is there twice, what leaks.

mod arrays;
mod convention;
mod json;
pub(crate) mod listing;
mod look;
mod pictures;
mod problems;
mod sounds;
mod tables;
mod text;
mod texts;
mod twins;

pub use convention::Convention;
pub use problems::{Problems, Same};
pub use twins::{NEAR, NEAR_ALIKE, Twins};

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::detection::Fault;
use crate::folder_scan::relative;
use crate::manifest::{Entry, Manifest};
use crate::{DataError, parallel};
use listing::{Listed, Listing};
use look::Look;

/// One thing of a dataset: a picture, a row of a table, a line, a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it comes from: a file, or a file and the place in it.
    pub id: String,
    /// Its part, an index of [`Survey::parts`].
    pub part: usize,
    /// Its class, an index of [`Survey::classes`], if it has one.
    pub class: Option<usize>,
    /// SHA-256 of its content, without its class.
    pub hash: [u8; 32],
    /// Width and height of a picture.
    pub size: Option<(usize, usize)>,
}

/// What there is to know about a dataset before anything is learned from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Where it lies.
    pub root: PathBuf,
    /// How it is laid out.
    pub convention: Convention,
    /// What a row is: "pictures", "rows", "lines", "texts", "recordings".
    pub unit: &'static str,
    /// Names of its parts; "all" if it has none.
    pub parts: Vec<String>,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Its rows, without broken ones.
    pub rows: Vec<Row>,
    /// Boxes of each class in each part, `[part][class]`, for pictures with boxes.
    pub boxes: Option<Vec<Vec<usize>>>,
    /// Its files.
    pub files: Vec<Entry>,
    /// Files and rows that cannot be read.
    pub broken: Vec<Fault>,
    /// What is wrong with labels and boxes.
    pub faults: Vec<Fault>,
    /// Other facts, by name: lengths of recordings, columns of a table, ...
    pub facts: Vec<(String, String)>,
    /// What was decided or left out while reading.
    pub notes: Vec<String>,
    /// Rows that are the same, or look the same.
    pub twins: Twins,
}

/// What may be said to a survey.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SurveyOptions {
    /// How the dataset is laid out; otherwise that is found out.
    pub convention: Option<Convention>,
    /// The target column of a table; otherwise one called label, target, class or y.
    pub target: Option<String>,
}

/// Looks at the dataset at `path`, a folder or a file. All cores work; no more than a few files at once are in memory.
///
/// # Errors
/// If its convention is not clear, or it cannot be listed. What is wrong with single files is part of the survey.
pub fn survey(path: &Path, options: &SurveyOptions) -> Result<Survey, DataError> {
    let convention = convention_of(path, options.convention)?;
    let listing = listing::list(path, convention)?;
    if listing.files.is_empty() {
        return Err(nothing(path, convention));
    }
    let root = root_of(path);
    let mut draft = Draft { notes: listing.notes.clone(), ..Draft::default() };
    match convention {
        Convention::Folders => pictures::folders(root, listing, &mut draft),
        Convention::Voc | Convention::Yolo | Convention::Coco => pictures::boxes(root, listing, &mut draft),
        Convention::Idx => arrays::idx(root, listing, &mut draft),
        Convention::Npz => arrays::npz(root, listing, &mut draft),
        Convention::Csv => tables::tables(root, listing, options.target.as_deref(), &mut draft),
        Convention::Text => texts::texts(root, listing, &mut draft),
        Convention::TextFolders => texts::folders(root, listing, &mut draft),
        Convention::Wav => sounds::sounds(root, listing, &mut draft),
    }
    Ok(draft.finish(path, convention))
}

/// Pictures that are compared at most: what they look like takes one kilobyte and a half each, drawings twice as much.
const MOST_LOOKS: usize = 300_000;

/// Which files the dataset at `path` is made of, with their hashes: all that a [`Manifest`] holds, without a survey.
///
/// # Errors
/// As for [`survey`], or if a file cannot be read.
pub fn manifest(path: &Path, convention: Option<Convention>) -> Result<Manifest, DataError> {
    let convention = convention_of(path, convention)?;
    let Listing { parts, classes, files, .. } = listing::list(path, convention)?;
    let root = root_of(path);
    let entries = parallel::map(&files, |file| entry(root, file, &parts, &classes));
    Ok(made_of(convention, entries.into_iter().collect::<Result<_, _>>()?))
}

impl Survey {
    /// The files of the dataset, as a manifest.
    pub fn manifest(&self) -> Manifest {
        made_of(self.convention, self.files.clone())
    }
}

fn made_of(convention: Convention, mut files: Vec<Entry>) -> Manifest {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Manifest { convention: convention.word().to_owned(), files }
}

fn convention_of(path: &Path, given: Option<Convention>) -> Result<Convention, DataError> {
    path.metadata().map_err(|e| DataError::io(path, "read", e))?;
    given.map_or_else(|| Convention::detect(path), Ok)
}

/// The folder that paths are told within.
fn root_of(path: &Path) -> &Path {
    if path.is_file() { path.parent().unwrap_or(Path::new("")) } else { path }
}

fn nothing(path: &Path, convention: Convention) -> DataError {
    DataError::Layout {
        path: path.to_owned(),
        why: format!("there is nothing in it to read as {}", convention.about()),
        found: crate::bytes::listing(path),
        help: "check the path, or name another convention with --as".to_owned(),
    }
}

/// The manifest's line of a file.
fn entry(root: &Path, file: &Listed, parts: &[String], classes: &[String]) -> Result<Entry, DataError> {
    let (bytes, hash) = hash_file(&file.path)?;
    let name = |index: Option<usize>, names: &[String]| index.and_then(|index| names.get(index)).cloned();
    let (part, class) = (name(file.part, parts), name(file.class, classes));
    Ok(Entry { path: relative(root, &file.path), bytes, hash, part, class })
}

/// Length and SHA-256 of a file, however large.
fn hash_file(path: &Path) -> Result<(u64, [u8; 32]), DataError> {
    let failed = |e| DataError::io(path, "read", e);
    // A pipe would be waited for without end.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(DataError::broken(path, "data", "it is no regular file", "remove it"));
    }
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let (mut hash, mut bytes, mut buffer) = (hmac_sha256::Hash::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok((bytes, hash.finalize())),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// A survey in the making.
#[derive(Default)]
struct Draft {
    unit: &'static str,
    parts: Vec<String>,
    classes: Vec<String>,
    rows: Vec<Row>,
    /// What each row looks like, if it is a picture.
    looks: Vec<Option<Box<Look>>>,
    /// Whether there were more pictures than are compared.
    too_many: bool,
    boxes: Option<Vec<Vec<usize>>>,
    files: Vec<Entry>,
    broken: Vec<Fault>,
    faults: Vec<Fault>,
    facts: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Draft {
    fn push(&mut self, row: Row, look: Option<Box<Look>>) {
        let room = self.rows.len() < MOST_LOOKS;
        self.too_many |= !room && look.is_some();
        self.rows.push(row);
        self.looks.push(look.filter(|_| room));
    }

    /// The number of the part that a file belongs to; files without one are of "all".
    fn part(&mut self, listing: &Listing, file: &Listed) -> usize {
        let name = file.part.and_then(|part| listing.parts.get(part)).map_or("all", String::as_str);
        listing::index(&mut self.parts, name)
    }

    /// Takes down the files with their hashes; those that cannot be read are broken.
    fn hash_files(&mut self, root: &Path, listing: &Listing) {
        let entries = parallel::map(&listing.files, |file| entry(root, file, &listing.parts, &listing.classes));
        for (file, entry) in listing.files.iter().zip(entries) {
            match entry {
                Ok(entry) => self.files.push(entry),
                Err(error) => self.broken.push(broken(root, &file.path, &error)),
            }
        }
    }

    /// Faults of class folders: one class alone, and classes without a row in a part. `one` is what a row is.
    fn check_classes(&mut self, one: &str) {
        if self.classes.len() < 2 {
            self.faults.push(Fault::new(".", "there is one class only: nothing can be told apart"));
        }
        let mut counts = vec![vec![0usize; self.classes.len()]; self.parts.len()];
        self.rows.iter().for_each(|row| counts[row.part][row.class.unwrap_or(0)] += 1);
        for (part, counts) in self.parts.iter().zip(counts) {
            for (class, _) in self.classes.iter().zip(counts).filter(|(_, count)| *count == 0) {
                let place = if part == "all" { class.clone() } else { format!("{part}/{class}") };
                self.faults.push(Fault::new(place, format!("this class has no {one} here")));
            }
        }
    }

    fn fact(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.facts.push((name.into(), value.into()));
    }

    fn finish(mut self, path: &Path, convention: Convention) -> Survey {
        let hashes: Vec<[u8; 32]> = self.rows.iter().map(|row| row.hash).collect();
        self.looks.resize(self.rows.len(), None);
        let mut twins = twins::twins(&hashes, &self.looks);
        twins.cut_short |= self.too_many;
        self.broken.sort();
        self.faults.sort();
        let Draft { unit, parts, classes, rows, boxes, files, broken, faults, facts, notes, .. } = self;
        Survey {
            root: path.to_owned(),
            convention,
            unit,
            parts,
            classes,
            rows,
            boxes,
            files,
            broken,
            faults,
            facts,
            notes,
            twins,
        }
    }
}

/// A file that cannot be used, in one line: the first of the error, without the path that it repeats.
fn broken(root: &Path, path: &Path, error: &DataError) -> Fault {
    let why = match error {
        DataError::Broken { format, why, .. } => format!("{format}: {why}"),
        DataError::Io { source, .. } => source.to_string(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    Fault::new(relative(root, path), why)
}

#[cfg(test)]
mod tests;
