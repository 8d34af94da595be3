//! Checkpoints on disk: a folder of files that is complete, or set aside.
//!
//! `step-000400/` holds the files, `MANIFEST` (SHA-256, size and name of each) and `COMMIT` (SHA-256 of `MANIFEST`).
//! It is written under a temporary name, brought to the disk file by file, and renamed. So a crash at any moment leaves
//! the checkpoints that were there before.

use std::fs;
use std::path::{Path, PathBuf};

use hmac_sha256::Hash;

use crate::durable::{self, hex};
use crate::error::{Error, Result};

const MANIFEST: &str = "MANIFEST";
const COMMIT: &str = "COMMIT";

/// Writes the checkpoint of `step` into the folder `checkpoints`, and returns where it lies.
///
/// # Errors
/// If the disk refuses; then no checkpoint of that step appears.
pub fn save(checkpoints: &Path, step: u64, files: &[(&str, Vec<u8>)]) -> Result<PathBuf> {
    let place = checkpoints.join(format!("step-{step:06}"));
    if place.is_dir() && verify(&place).is_ok() {
        return Ok(place);
    }
    let temporary = checkpoints.join(format!("step-{step:06}.tmp-{}", std::process::id()));
    let written = write_files(&temporary, files).and_then(|()| {
        if place.exists() {
            set_aside(&place)?;
        }
        fs::rename(&temporary, &place).map_err(|source| Error::io(&place, "create", source))?;
        durable::sync(checkpoints)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&temporary);
    }
    written.map(|()| place)
}

fn write_files(dir: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::io(dir, "create", source))?;
    let mut manifest = String::new();
    for (name, bytes) in files {
        durable::write(&dir.join(name), bytes)?;
        manifest.push_str(&format!("{} {} {name}\n", hex(&Hash::hash(bytes)), bytes.len()));
    }
    durable::write(&dir.join(MANIFEST), manifest.as_bytes())?;
    let commit = format!("{}\n", hex(&Hash::hash(manifest.as_bytes())));
    durable::write(&dir.join(COMMIT), commit.as_bytes())?;
    durable::sync(dir)
}

/// The newest complete checkpoint of a folder, and what was said about those that are not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Newest {
    /// Its step and its folder, if there is one.
    pub found: Option<(u64, PathBuf)>,
    /// One sentence for each torn checkpoint that was set aside.
    pub torn: Vec<String>,
}

/// Finds the newest checkpoint whose files are those of its `MANIFEST`. Torn ones are renamed, and said.
///
/// # Errors
/// If the folder cannot be listed.
pub fn newest(checkpoints: &Path) -> Result<Newest> {
    let mut steps = list(checkpoints)?;
    let mut newest = Newest::default();
    while let Some((step, place)) = steps.pop() {
        match verify(&place) {
            Ok(()) => {
                newest.found = Some((step, place));
                return Ok(newest);
            }
            Err(why) => {
                let moved = match set_aside(&place) {
                    Ok(aside) => format!("set aside as {}", aside.display()),
                    Err(error) => format!("left where it is: {error}"),
                };
                newest.torn.push(format!("{} is torn ({why}): {moved}", place.display()));
            }
        }
    }
    Ok(newest)
}

/// The checkpoints of a folder by step, oldest first, complete or not.
///
/// # Errors
/// If the folder cannot be listed.
pub fn list(checkpoints: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let failed = |source| Error::io(checkpoints, "list", source);
    let mut steps = Vec::new();
    for entry in fs::read_dir(checkpoints).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) {
            steps.push((step, path));
        }
    }
    steps.sort();
    Ok(steps)
}

/// `Ok` if `COMMIT` is there and every file is the one that `MANIFEST` lists; else what is wrong.
pub fn verify(place: &Path) -> Result<(), String> {
    let read = |name: &str| fs::read(place.join(name)).map_err(|error| format!("{name}: {error}"));
    let commit = String::from_utf8_lossy(&read(COMMIT)?).trim().to_owned();
    let manifest = read(MANIFEST)?;
    if hex(&Hash::hash(&manifest)) != commit {
        return Err(format!("{MANIFEST} is not the one that {COMMIT} names"));
    }
    for line in String::from_utf8_lossy(&manifest).lines() {
        let mut parts = line.splitn(3, ' ');
        let (Some(hash), Some(size), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("{MANIFEST} holds the line {line:?}"));
        };
        let bytes = read(name)?;
        if bytes.len().to_string() != size {
            return Err(format!("{name} has {} bytes, not {size}", bytes.len()));
        }
        if hex(&Hash::hash(&bytes)) != hash {
            return Err(format!("{name} has other content than {MANIFEST} says"));
        }
    }
    Ok(())
}

/// Removes all complete checkpoints but the newest `keep`; 0 keeps all.
///
/// # Errors
/// If the disk refuses.
pub fn prune(checkpoints: &Path, keep: usize) -> Result<()> {
    let steps = list(checkpoints)?;
    let surplus = if keep == 0 { 0 } else { steps.len().saturating_sub(keep) };
    for (_, place) in &steps[..surplus] {
        // Without its COMMIT a half-removed folder is no checkpoint.
        let commit = place.join(COMMIT);
        let removed = fs::remove_file(&commit).and_then(|()| fs::remove_dir_all(place));
        removed.map_err(|source| Error::io(place, "remove", source))?;
    }
    Ok(())
}

fn set_aside(place: &Path) -> Result<PathBuf> {
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1u32..).map(|number| place.with_file_name(format!("{name}.torn-{number}"))).find(|path| !path.exists());
    let aside = free.unwrap_or_else(|| place.with_extension("torn"));
    fs::rename(place, &aside).map_err(|source| Error::io(place, "set aside", source))?;
    Ok(aside)
}

#[cfg(test)]
mod tests;
