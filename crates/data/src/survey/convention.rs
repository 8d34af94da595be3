//! The conventions that datasets are laid out by, and how they are told apart. What could be two is asked, never guessed.

use std::path::{Path, PathBuf};

use super::listing;
use crate::DataError;
use crate::bytes::{listing as names, peek};
use crate::detection::{looks_like_coco, yolo_pairs};
use crate::folder_scan::{class_folders, files_here, files_in, stem, visible};

/// How a dataset is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Pictures in a folder for each class.
    Folders,
    /// IDX files of bytes, as MNIST has them.
    Idx,
    /// A table.
    Csv,
    /// Arrays of NumPy.
    Npz,
    /// Pictures with boxes, as Pascal VOC has them.
    Voc,
    /// Pictures with boxes, as YOLO takes them.
    Yolo,
    /// Pictures with boxes, as COCO has them.
    Coco,
    /// Text, a line a row.
    Text,
    /// Texts in a folder for each class.
    TextFolders,
    /// Recordings.
    Wav,
}

impl Convention {
    /// All of them.
    pub const ALL: [Convention; 10] = [
        Convention::Folders,
        Convention::Idx,
        Convention::Csv,
        Convention::Npz,
        Convention::Voc,
        Convention::Yolo,
        Convention::Coco,
        Convention::Text,
        Convention::TextFolders,
        Convention::Wav,
    ];

    /// Its word on the command line and in manifests.
    pub fn word(self) -> &'static str {
        match self {
            Convention::Folders => "folders",
            Convention::Idx => "idx",
            Convention::Csv => "csv",
            Convention::Npz => "npz",
            Convention::Voc => "voc",
            Convention::Yolo => "yolo",
            Convention::Coco => "coco",
            Convention::Text => "text",
            Convention::TextFolders => "text-folders",
            Convention::Wav => "wav",
        }
    }

    /// What it is, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Convention::Folders => "pictures in class folders",
            Convention::Idx => "IDX files",
            Convention::Csv => "table (CSV)",
            Convention::Npz => "arrays of NumPy",
            Convention::Voc => "pictures with boxes (VOC)",
            Convention::Yolo => "pictures with boxes (YOLO)",
            Convention::Coco => "pictures with boxes (COCO)",
            Convention::Text => "text",
            Convention::TextFolders => "texts in class folders",
            Convention::Wav => "recordings (WAV)",
        }
    }

    /// The convention of this word.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_word(word: &str) -> Result<Convention, DataError> {
        let words = || Convention::ALL.map(Convention::word).join(", ");
        Convention::ALL.into_iter().find(|convention| convention.word() == word).ok_or_else(|| {
            DataError::argument(
                "convention",
                format!("there is no convention {word:?}"),
                format!("there are {}", words()),
            )
        })
    }

    /// The convention that the dataset at `path`, a folder or a file, is laid out by.
    ///
    /// # Errors
    /// If it could be several, or is none; the error says what was found and what is looked for.
    pub fn detect(path: &Path) -> Result<Convention, DataError> {
        let info = path.metadata().map_err(|e| DataError::io(path, "read", e))?;
        let (mut strong, weak) = if info.is_dir() { of_folder(path)? } else { (of_file(path)?, Vec::new()) };
        if strong.is_empty() {
            strong = weak;
        }
        match &strong[..] {
            [(one, _)] => Ok(*one),
            [] => Err(unknown(path)),
            several => {
                let ways: Vec<String> = several.iter().map(|(kind, why)| format!("{} ({why})", kind.about())).collect();
                let flags: Vec<String> = several.iter().map(|(kind, _)| format!("--as {}", kind.word())).collect();
                Err(DataError::Layout {
                    path: path.to_owned(),
                    why: "it can be read in more than one way".to_owned(),
                    found: ways.join("; "),
                    help: format!("say which is meant: {}", flags.join(" or ")),
                })
            }
        }
    }
}

fn unknown(path: &Path) -> DataError {
    DataError::Layout {
        path: path.to_owned(),
        why: "it is laid out by no known convention".to_owned(),
        found: if path.is_dir() { names(path) } else { "a file of another kind".to_owned() },
        help: "known are CLASS/*.png, *.jpg or *.txt (also below train, val, test); *-idx3-ubyte; *.csv; *.npz; Annotations/*.xml with \
               JPEGImages; images with labels/*.txt; annotations/*.json; *.txt; *.wav. To take it as one of them: --as KIND"
            .to_owned(),
    }
}

/// What a dataset may be, and the sign of it.
type Signs = Vec<(Convention, String)>;

fn of_file(path: &Path) -> Result<Signs, DataError> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let start = peek(&read_start(path)?, 16);
    let table = [".csv", ".tsv", ".csv.gz", ".tsv.gz"].iter().any(|end| name.ends_with(end));
    let kind = match &start[..] {
        [0, 0, 8, 1..=255, ..] => Convention::Idx,
        [b'P', b'K', 3, 4, ..] => Convention::Npz,
        _ if start.starts_with(b"\x93NUMPY") => Convention::Npz,
        _ if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WAVE") => Convention::Wav,
        _ if table => Convention::Csv,
        _ if name.ends_with(".txt") || name.ends_with(".txt.gz") => Convention::Text,
        _ => return Ok(Vec::new()),
    };
    Ok(vec![(kind, "its first bytes or its name".to_owned())])
}

/// Enough of a file for its first bytes to be unpacked.
fn read_start(path: &Path) -> Result<Vec<u8>, DataError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| DataError::io(path, "read", e))?;
    file.take(4096).read_to_end(&mut bytes).map_err(|e| DataError::io(path, "read", e))?;
    Ok(bytes)
}

/// Signs that count, and signs that count only if there are no others.
fn of_folder(dir: &Path) -> Result<(Signs, Signs), DataError> {
    let (mut strong, mut weak): (Signs, Signs) = (Vec::new(), Vec::new());
    let folders = class_folders(dir)?;
    let has = |name: &str| folders.iter().any(|folder| folder == name);
    // Folders that another convention has pictures in are no classes.
    let mut taken: Vec<&str> = Vec::new();

    if has("Annotations") && has("JPEGImages") && !files_in(&dir.join("Annotations"), &["xml"])?.is_empty() {
        taken.extend(["JPEGImages", "SegmentationClass", "SegmentationObject"]);
        strong.push((Convention::Voc, "Annotations/*.xml with JPEGImages".to_owned()));
    }
    if !yolo_pairs(dir)?.is_empty() {
        taken.extend(["images", "labels", "train", "val", "valid", "test"]);
        strong.push((Convention::Yolo, "images with labels".to_owned()));
    }
    let json = coco_files(dir)?;
    if !json.is_empty() {
        taken.extend(["images", "annotations"]);
        let parts = json.iter().map(|path| stem(path).rsplit('_').next().unwrap_or_default().to_owned());
        let parts: Vec<String> = parts.collect();
        let short = |folder: &str| folder.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        taken.extend(folders.iter().filter(|f| parts.iter().any(|p| p == *f || short(p) == **f)).map(String::as_str));
        strong.push((Convention::Coco, format!("{} with images and annotations", counted(json.len(), "*.json"))));
    }
    let idx = listing::idx_files(dir)?.len();
    if idx > 0 {
        strong.push((Convention::Idx, counted(idx, "IDX file")));
    }
    let npz = files_here(dir, &["npz"])?.len();
    if npz > 0 {
        strong.push((Convention::Npz, counted(npz, "*.npz")));
    }
    let tables = listing::table_files(dir)?.len();
    if tables > 0 {
        strong.push((Convention::Csv, counted(tables, "table")));
    }
    let classes = listing::class_dirs(dir, &crate::folder_scan::PICTURES)?;
    let classes: Vec<&str> =
        classes.iter().map(|(_, class)| class.as_str()).filter(|class| !taken.contains(class)).collect();
    let own: std::collections::BTreeSet<&str> = classes.iter().copied().collect();
    if own.len() > 1 && own.iter().all(|name| ["images", "masks", "labels", "annotations"].contains(name)) {
        return Err(DataError::Layout {
            path: dir.to_owned(),
            why: "these look like pictures and their masks, and not like classes".to_owned(),
            found: own.into_iter().collect::<Vec<_>>().join(", "),
            help: "masks are not looked at yet; to take the folders as classes all the same: --as folders".to_owned(),
        });
    }
    match own.len() {
        0 => {}
        1 => weak.push((Convention::Folders, "one class folder with pictures".to_owned())),
        n => strong.push((Convention::Folders, format!("{n} class folders with pictures"))),
    }
    let sounds = files_in(dir, &["wav"])?.len();
    if sounds > 0 {
        strong.push((Convention::Wav, counted(sounds, "*.wav")));
    }
    let texts = listing::text_files(dir)?.len();
    let classes = listing::text_classes(dir)?;
    if classes > 1 {
        weak.push((Convention::TextFolders, format!("{classes} class folders with texts")));
    } else if texts > 0 {
        weak.push((Convention::Text, counted(texts, "*.txt")));
    }
    Ok((strong, weak))
}

/// JSON files that begin like COCO's: other JSON beside a dataset is no sign of it.
fn coco_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let within = dir.join("annotations");
    let mut found = Vec::new();
    for (_, path) in visible(if within.is_dir() { &within } else { dir })? {
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json && path.is_file() && looks_like_coco(&path, within.is_dir())? {
            found.push(path);
        }
    }
    Ok(found)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}")
}
