//! Finding the pictures of a folder, and decoding each once, in parallel, to know which are broken.

use crate::bytes::read_file;
use crate::class_folders::Found;
use crate::dataset::{OnBroken, Skipped};
use crate::folder::{FolderOptions, ImageFile};
use crate::picture::{MAX_FILE, decode_picture};
use crate::{DataError, picture::Picture};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What looking at all files gave.
pub(crate) struct Scanned {
    pub files: Vec<ImageFile>,
    pub skipped: Vec<Skipped>,
    /// 1 if all files are grey, else 3.
    pub channels: usize,
}

/// A file that was decoded and the channels of its picture, or why it is broken.
type Outcome = Result<(ImageFile, usize), DataError>;

/// Names of the folders in `dir`, hidden ones left out, sorted by code point.
pub(crate) fn class_folders(dir: &Path) -> Result<Vec<String>, DataError> {
    let entries = visible(dir)?;
    Ok(entries.into_iter().filter(|(_, path)| path.is_dir()).map(|(name, _)| name).collect())
}

/// Extensions of pictures.
pub(crate) const PICTURES: [&str; 3] = ["png", "jpg", "jpeg"];

/// All files below `dir` with the extension of a picture, hidden ones left out, sorted by path.
pub(crate) fn images_in(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    files_in(dir, &PICTURES)
}

/// All files below `dir` with one of these extensions, hidden ones left out, sorted by path.
pub(crate) fn files_in(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    collect(dir, extensions, &mut Vec::new(), &mut files)?;
    Ok(files)
}

/// The files in `dir` itself with one of these extensions, hidden ones left out, sorted by path.
pub(crate) fn files_here(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let entries = visible(dir)?.into_iter().filter(|(name, path)| has_extension(name, extensions) && path.is_file());
    Ok(entries.map(|(_, path)| path).collect())
}

/// The path within `root`, with `/` between folders.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let text = path.display().to_string();
    if std::path::MAIN_SEPARATOR == '/' { text } else { text.replace(std::path::MAIN_SEPARATOR, "/") }
}

/// The name of a file without its extension.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// `above` are the folders that lead to `dir`, without links, so that a link back to one of them is noticed.
fn collect(
    dir: &Path,
    extensions: &[&str],
    above: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    let real = dir.canonicalize().map_err(|e| DataError::io(dir, "list", e))?;
    if above.contains(&real) {
        return Err(DataError::Layout {
            path: dir.to_owned(),
            why: "it is a link to a folder that contains it".to_owned(),
            found: real.display().to_string(),
            help: "remove the link".to_owned(),
        });
    }
    above.push(real);
    for (name, path) in visible(dir)? {
        if path.is_dir() {
            collect(&path, extensions, above, files)?;
        } else if has_extension(&name, extensions) {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// Names and paths in a folder without the hidden ones, sorted by name.
pub(crate) fn visible(dir: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| DataError::io(dir, "list", e))? {
        let entry = entry.map_err(|e| DataError::io(dir, "list", e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// Reads and decodes all files; order and outcome do not depend on the threads.
pub(crate) fn scan(found: &[Found], options: &FolderOptions) -> Result<Scanned, DataError> {
    let (next, cached) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut seen: Vec<(usize, Outcome)> = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(found) = found.get(index) else {
                return seen;
            };
            let outcome = look(found, options.max_pixels).map(|(mut file, picture)| {
                let channels = picture.channels;
                // Once one picture does not fit, none is kept; the rest goes on being counted, so no overflow.
                if cached.fetch_add(picture.size(), Ordering::Relaxed) + picture.size() <= options.cache_bytes {
                    file.picture = Some(picture);
                }
                (file, channels)
            });
            seen.push((index, outcome));
        }
    };
    let mut seen = std::thread::scope(|scope| {
        let others: Vec<_> = (1..options.threads.min(found.len())).map(|_| scope.spawn(work)).collect();
        let mut seen = work();
        for other in others {
            seen.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        seen
    });
    seen.sort_by_key(|(index, _)| *index);
    let keep = cached.into_inner() <= options.cache_bytes;
    let mut scanned = Scanned { files: Vec::new(), skipped: Vec::new(), channels: 1 };
    for (index, outcome) in seen {
        match outcome {
            Ok((mut file, channels)) => {
                file.picture = file.picture.filter(|_| keep);
                scanned.channels = scanned.channels.max(channels);
                scanned.files.push(file);
            }
            Err(error) if options.on_broken == OnBroken::Fail => return Err(error),
            Err(error) => {
                scanned.skipped.push(Skipped { path: found[index].path.clone(), line: None, why: error.to_string() })
            }
        }
    }
    Ok(scanned)
}

fn look(found: &Found, max_pixels: usize) -> Result<(ImageFile, Picture), DataError> {
    // A pipe would be waited for without end.
    if found.path.metadata().is_ok_and(|data| !data.is_file()) {
        return Err(DataError::broken(&found.path, "picture", "it is no regular file", "remove it"));
    }
    let bytes = read_file(&found.path, MAX_FILE)?;
    let picture = decode_picture(&bytes, &found.path, max_pixels)?;
    let file = ImageFile {
        path: found.path.clone(),
        class: found.class,
        bytes: bytes.len() as u64,
        hash: hmac_sha256::Hash::hash(&bytes),
        height: picture.height,
        width: picture.width,
        picture: None,
    };
    Ok((file, picture))
}
