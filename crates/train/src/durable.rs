//! Files that are whole or absent, whatever happens while they are written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

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
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(path, ".new", bytes)
}

/// As `replace`, where other processes may do the same.
pub(crate) fn replace_shared(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(path, &format!(".{}.new", std::process::id()), bytes)
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
}
