//! Files that are whole or absent, whatever happens while they are written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

#[cfg(test)]
pub(crate) mod fault;

/// Writes a new file and waits until the disk has it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = asked().and_then(|()| File::create(path)).and_then(|mut file| {
        put(&mut file, bytes)?;
        flush(&file)
    });
    written.map_err(|source| Error::io(path, "write", source))
}

/// Replaces a file that only this process writes, at once: a reader sees the old bytes or the new ones.
///
/// # Errors
/// If the system refuses it; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(path, ".new", bytes)
}

/// As `replace`, where other processes may do the same. Removes what is left of those that were killed while they did.
pub(crate) fn replace_shared(path: &Path, bytes: &[u8]) -> Result<()> {
    leftovers(path).iter().for_each(|left| drop(asked().and_then(|()| fs::remove_file(left))));
    replace_by(path, &format!(".{}.new", std::process::id()), bytes)
}

/// Writing a file takes seconds; a new one of this age belongs to no process any more.
const OLD: Duration = Duration::from_secs(3600);

/// Whether a file or folder was last changed so long ago that no process is at work on it.
pub(crate) fn is_old(path: &Path) -> bool {
    let modified = path.symlink_metadata().and_then(|data| data.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > OLD))
}

/// Old files that were to replace the one at `path`: `NAME.PID.new`.
fn leftovers(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_new = |path: &Path| {
        let other = path.file_name().unwrap_or_default().to_string_lossy();
        let number = other.strip_prefix(&format!("{name}.")).and_then(|rest| rest.strip_suffix(".new"));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| is_new(path) && path.is_file() && is_old(path)).collect()
}

/// Replaces a file by way of one whose name ends with `suffix` too.
fn replace_by(path: &Path, suffix: &str, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    let new = path.with_file_name(name);
    let replaced = write(&new, bytes).and_then(|()| rename(&new, path, "replace"));
    if replaced.is_err() {
        // The first error is the one to report.
        let _ = asked().and_then(|()| fs::remove_file(&new));
    }
    replaced.and_then(|()| sync_parent(path))
}

/// Writes bytes to an open file. If that fails, some of them may be there.
pub(crate) fn put(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = asked() {
        let _ = file.write_all(&bytes[..bytes.len() / 2]);
        return Err(error);
    }
    file.write_all(bytes)
}

/// Waits until the disk has all that was written to a file.
pub(crate) fn flush(file: &File) -> io::Result<()> {
    asked().and_then(|()| wait_for(file))
}

/// Shortens an open file.
pub(crate) fn cut(file: &File, length: u64) -> io::Result<()> {
    asked().and_then(|()| file.set_len(length))
}

/// Renames a file or folder; `action` is for the message.
pub(crate) fn rename(from: &Path, to: &Path, action: &'static str) -> Result<()> {
    asked().and_then(|()| fs::rename(from, to)).map_err(|source| Error::io(to, action, source))
}

/// Makes a folder, and those above it that are not there.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    asked().and_then(|()| fs::create_dir_all(dir)).map_err(|source| Error::io(dir, "create", source))
}

/// Removes a folder with all that it holds.
pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    asked().and_then(|()| fs::remove_dir_all(dir)).map_err(|source| Error::io(dir, "remove", source))
}

/// Waits until the disk has the names in a folder.
pub(crate) fn sync(dir: &Path) -> Result<()> {
    asked().and_then(|()| wait_for(&File::open(dir)?)).map_err(|source| Error::io(dir, "write", source))
}

/// Waits until the disk has the name of `path`.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

/// No test cuts the power, so tests need not wait.
fn wait_for(file: &File) -> io::Result<()> {
    if cfg!(test) { Ok(()) } else { file.sync_all() }
}

/// Before anything is asked of the disk: where a test may say no.
fn asked() -> io::Result<()> {
    #[cfg(test)]
    fault::check()?;
    Ok(())
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::io(path, "read", source))
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn a_replacement_that_fails_leaves_nothing() {
        let folder = Folder::new();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = Folder::new();
        let name = |name: &str| folder.path().join(name);
        let long_ago = std::time::SystemTime::now() - 2 * OLD;
        for (file, old) in [
            ("page.html.123.new", true),
            ("page.html.124.new", false),
            ("page.html.mine.new", true),
            ("page.html.new", true),
            ("other.html.123.new", true),
            ("page.html.123.old", true),
        ] {
            fs::write(name(file), "x").unwrap();
            if old {
                File::options().write(true).open(name(file)).unwrap().set_modified(long_ago).unwrap();
            }
        }
        replace_shared(&name("page.html"), b"page").unwrap();
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        let kept = [
            "other.html.123.new",
            "page.html",
            "page.html.123.old",
            "page.html.124.new",
            "page.html.mine.new",
            "page.html.new",
        ];
        assert_eq!(left, kept);
    }
}
