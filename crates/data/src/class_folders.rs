//! Folders of classes, `DIR/CLASS/..` or `DIR/{train,val,valid,test}/CLASS/..`: which files are of which class, before any is read.

use crate::DataError;
use crate::bytes::listing;
use crate::folder_scan::{PICTURES, class_folders, files_in};
use std::path::{Path, PathBuf};

/// A file before it was looked at.
pub(crate) struct Found {
    pub path: PathBuf,
    pub class: usize,
}

/// What the files of a class are.
pub(crate) struct Kind {
    extensions: &'static [&'static str],
    one: &'static str,
    many: &'static str,
    /// Where two of them could lie.
    example: [&'static str; 2],
    files: &'static str,
}

pub(crate) const PICTURE: Kind = Kind {
    extensions: &PICTURES,
    one: "picture",
    many: "pictures",
    example: ["cat/1.png", "dog/1.png"],
    files: "PNG or JPEG files",
};

pub(crate) const TEXT: Kind = Kind {
    extensions: &["txt"],
    one: "text",
    many: "texts",
    example: ["good/1.txt", "bad/1.txt"],
    files: ".txt files",
};

/// The parts of a dataset.
pub(crate) struct Parts<T> {
    /// `DIR/train`, or `DIR` itself if it has no such parts.
    pub train: T,
    /// `DIR/val` or `DIR/valid`.
    pub val: Option<T>,
    /// `DIR/test`.
    pub test: Option<T>,
}

/// The folders of the parts in `dir`.
pub(crate) fn part_folders(dir: &Path) -> Result<Parts<PathBuf>, DataError> {
    let folders = class_folders(dir)?;
    let is_part = |name: &str| ["train", "val", "valid", "test"].contains(&name);
    let train = dir.join("train");
    if !folders.iter().any(|name| name == "train") || class_folders(&train)?.is_empty() {
        return Ok(Parts { train: dir.to_owned(), val: None, test: None });
    }
    let has = |name: &str| folders.iter().any(|folder| folder == name);
    let ambiguous = |why: &str, help: &str| DataError::Layout {
        path: dir.to_owned(),
        why: why.to_owned(),
        found: listing(dir),
        help: help.to_owned(),
    };
    if !folders.iter().all(|name| is_part(name)) {
        return Err(ambiguous(
            "it holds a folder train with classes, and other folders beside it",
            "leave only train, val (or valid) and test, or open one of the folders itself",
        ));
    }
    if has("val") && has("valid") {
        return Err(ambiguous("it holds both val and valid", "keep one of them"));
    }
    let part = |name: &str| has(name).then(|| dir.join(name));
    Ok(Parts { train, val: part(if has("valid") { "valid" } else { "val" }), test: part("test") })
}

/// The files of a part.
pub(crate) struct ClassFiles {
    /// Names of all classes, by their numbers.
    pub names: Vec<String>,
    /// By class, then by path.
    pub found: Vec<Found>,
    /// The classes that have a folder here.
    folders: Vec<String>,
}

impl Kind {
    /// The files of all folders in `dir`, with its folders as classes. Folders in a class folder belong to the class; hidden files and
    /// files with other extensions are ignored.
    pub fn files(&self, dir: &Path) -> Result<ClassFiles, DataError> {
        let folders = class_folders(dir)?;
        if folders.len() < 2 {
            let why = match &folders[..] {
                [] => "it holds no folders, and there must be one for each class".to_owned(),
                one => format!("it holds one folder only ({}), and two classes or more are needed", one[0]),
            };
            let [a, b] = self.example;
            return Err(DataError::Layout {
                path: dir.to_owned(),
                why,
                found: listing(dir),
                help: format!("put the {} into DIR/CLASS/, such as DIR/{a} and DIR/{b}", self.many),
            });
        }
        self.of_classes(dir, folders.clone(), folders)
    }

    /// The same with the class numbers of the training part.
    pub fn files_like(&self, dir: &Path, names: &[String]) -> Result<ClassFiles, DataError> {
        let folders = class_folders(dir)?;
        let unknown: Vec<&str> = folders.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
        let layout =
            |why: String, help: String| Err(DataError::Layout { path: dir.to_owned(), why, found: listing(dir), help });
        let trained = format!("the training part has the classes {}", names.join(", "));
        if folders.is_empty() {
            return layout(
                "it holds no folders of classes".to_owned(),
                format!("{trained}; add them or remove {}", dir.display()),
            );
        }
        if !unknown.is_empty() {
            return layout(format!("the training part does not know {}", unknown.join(", ")), trained);
        }
        self.of_classes(dir, folders, names.to_vec())
    }

    fn of_classes(&self, dir: &Path, folders: Vec<String>, names: Vec<String>) -> Result<ClassFiles, DataError> {
        let mut found: Vec<Found> = Vec::new();
        for folder in &folders {
            let class = names.iter().position(|name| name == folder).unwrap_or(0);
            let paths = files_in(&dir.join(folder), self.extensions)?;
            found.extend(paths.into_iter().map(|path| Found { path, class }));
        }
        let files = ClassFiles { names, found, folders };
        self.no_empty_class(dir, &files, files.found.iter().map(|file| file.class), &format!("holds no {}", self.one))?;
        Ok(files)
    }

    /// An error that lists all classes if one has none of the `classes` of whole files.
    pub fn none_broken(
        &self,
        dir: &Path,
        files: &ClassFiles,
        classes: impl Iterator<Item = usize>,
    ) -> Result<(), DataError> {
        self.no_empty_class(dir, files, classes, &format!("holds broken {} only", self.many))
    }

    fn no_empty_class(
        &self,
        dir: &Path,
        files: &ClassFiles,
        classes: impl Iterator<Item = usize>,
        lack: &str,
    ) -> Result<(), DataError> {
        let mut counts = vec![0usize; files.names.len()];
        classes.for_each(|class| counts[class] += 1);
        let here: Vec<(&String, usize)> =
            files.names.iter().zip(counts).filter(|(name, _)| files.folders.contains(name)).collect();
        let empty: Vec<&str> = here.iter().filter(|(_, n)| *n == 0).map(|(name, _)| name.as_str()).collect();
        if empty.is_empty() {
            return Ok(());
        }
        let found: Vec<String> = here.iter().map(|(name, n)| format!("{name} ({n} {})", self.many)).collect();
        Err(DataError::Layout {
            path: dir.to_owned(),
            why: format!("the class {} {lack}", empty.join(", ")),
            found: found.join(", "),
            help: format!("add {} to it, or remove its folder", self.files),
        })
    }
}
