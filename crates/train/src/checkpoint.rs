//! Checkpoints on disk: a folder of files that is complete, or torn.
//!
//! `step-000400/` holds the files, `MANIFEST` (SHA-256, size and name of each) and `COMMIT` (SHA-256 of `MANIFEST`).
//! It is written under a temporary name, brought to the disk file by file, and renamed. So a crash at any moment leaves
//! the checkpoints that were there before.
//!
//! Only the process that trains a run renames or removes anything. All others may read while it does: a checkpoint that
//! disappears under them is looked for anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hmac_sha256::Hash;

use crate::durable::{self, hex};
use crate::error::{Error, Result};

const MANIFEST: &str = "MANIFEST";
const COMMIT: &str = "COMMIT";
/// Before the name of a checkpoint that is being removed.
const OLD: &str = ".old-";

/// Writes the checkpoint of `step` into the folder `checkpoints`, and returns where it lies.
///
/// # Errors
/// If the disk refuses; then no checkpoint of that step appears.
pub fn save(checkpoints: &Path, step: u64, files: &[(&str, Vec<u8>)]) -> Result<PathBuf> {
    let place = checkpoints.join(format!("step-{step:06}"));
    if place.is_dir() && read(&place).is_ok() {
        return Ok(place);
    }
    let temporary = checkpoints.join(format!("step-{step:06}.tmp-{}", std::process::id()));
    let written = write_files(&temporary, files).and_then(|()| {
        if place.exists() {
            set_aside(&place)?;
        }
        durable::rename(&temporary, &place, "create")?;
        durable::sync(checkpoints)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = durable::remove_dir(&temporary);
    }
    written.map(|()| place)
}

fn write_files(dir: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    durable::make_dir(dir)?;
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

/// A complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps made.
    pub step: u64,
    /// Its folder.
    pub place: PathBuf,
    /// Its files by name: the very bytes that were verified.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The newest complete checkpoint of a folder, and what is wrong with newer ones.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The checkpoint, if there is one.
    pub found: Option<Checkpoint>,
    /// The folder of each torn one, and why it is.
    pub torn: Vec<(PathBuf, String)>,
}

/// Reads the newest checkpoint whose files are those of its `MANIFEST`. Changes nothing, so that anyone may look while the
/// run is trained.
///
/// # Errors
/// If the folder cannot be listed.
pub fn newest(checkpoints: &Path) -> Result<Newest> {
    /// A checkpoint disappears only because newer ones appeared; nobody reads slower than so many are made.
    const LOOKS: usize = 100;
    let mut newest = Newest::default();
    for _ in 0..LOOKS {
        newest = Newest::default();
        let mut gone = false;
        for (step, place) in list(checkpoints)?.into_iter().rev() {
            match read(&place) {
                Ok(files) => {
                    newest.found = Some(Checkpoint { step, place, files });
                    return Ok(newest);
                }
                Err(_) if !place.exists() => gone = true,
                Err(why) => newest.torn.push((place, why)),
            }
        }
        if !gone {
            break;
        }
    }
    Ok(newest)
}

/// The complete checkpoint of `step`.
///
/// # Errors
/// If there is none; the error names those that are there.
pub fn of_step(checkpoints: &Path, step: u64) -> Result<Checkpoint> {
    let all = list(checkpoints)?;
    let Some((_, place)) = all.iter().find(|(of, _)| *of == step) else {
        let steps: Vec<String> = all.iter().map(|(step, _)| step.to_string()).collect();
        let help =
            if steps.is_empty() { "there is none".to_owned() } else { format!("there are {}", steps.join(", ")) };
        return Err(Error::usage(format!("{} holds no checkpoint of step {step}", checkpoints.display()), help));
    };
    match read(place) {
        Ok(files) => Ok(Checkpoint { step, place: place.clone(), files }),
        Err(why) => Err(Error::corrupt(place, format!("it is torn ({why})"), "take another checkpoint")),
    }
}

/// Renames torn checkpoints, and what a process that was killed left of one, so that training goes on as if they had never
/// been; says so. Finishes removals that were begun. Only for the process that trains the run.
pub fn set_torn_aside(checkpoints: &Path, newest: &Newest) -> Vec<String> {
    let entries = fs::read_dir(checkpoints).into_iter().flatten().flatten().map(|entry| entry.path());
    let (mut unfinished, mut old): (Vec<PathBuf>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("step-") && name.contains(".tmp-") {
            unfinished.push(path);
        } else if name.starts_with(&format!("{OLD}step-")) {
            old.push(path);
        }
    }
    // What cannot be removed now is hidden, and does no harm.
    old.iter().for_each(|path| drop(durable::remove_dir(path)));
    unfinished.sort();
    let torn = newest.torn.iter().map(|(place, why)| (place, format!("is torn ({why})")));
    let unfinished = unfinished.iter().map(|place| (place, "was never finished".to_owned()));
    let said = torn.chain(unfinished).map(|(place, what)| {
        let moved = match set_aside(place) {
            Ok(aside) => format!("set aside as {}", aside.display()),
            Err(error) => format!("left where it is: {error}"),
        };
        format!("{} {what}: {moved}", place.display())
    });
    said.collect()
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

/// The files of a checkpoint if `COMMIT` is there and every file is the one that `MANIFEST` lists; else what is wrong.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(place: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let read = |name: &str| fs::read(place.join(name)).map_err(|error| format!("{name}: {error}"));
    let commit = String::from_utf8_lossy(&read(COMMIT)?).trim().to_owned();
    let manifest = read(MANIFEST)?;
    if hex(&Hash::hash(&manifest)) != commit {
        return Err(format!("{MANIFEST} is not the one that {COMMIT} names"));
    }
    let mut files = BTreeMap::new();
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
        files.insert(name.to_owned(), bytes);
    }
    Ok(files)
}

/// Which checkpoints stay when newer ones are written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest; 0 keeps all.
    pub last: usize,
    /// Those of steps that are multiples of this; 0 keeps none for that.
    pub every: u64,
    /// The one of this step: the best so far.
    pub best: Option<u64>,
    /// The one of this step: what a branch began with.
    pub first: Option<u64>,
}

/// Removes the checkpoints that `keep` does not name, and nothing else. Only for the process that trains the run.
///
/// # Errors
/// If the disk refuses.
pub fn prune(checkpoints: &Path, keep: Keep) -> Result<()> {
    let steps = list(checkpoints)?;
    let surplus = if keep.last == 0 { 0 } else { steps.len().saturating_sub(keep.last) };
    for (step, place) in &steps[..surplus] {
        if keep.best == Some(*step) || keep.first == Some(*step) || (keep.every > 0 && step.is_multiple_of(keep.every))
        {
            continue;
        }
        // At once, so that nobody sees a half-removed folder as a torn checkpoint.
        let old = checkpoints.join(format!("{OLD}step-{step:06}"));
        if old.exists() {
            durable::remove_dir(&old)?;
        }
        durable::rename(place, &old, "remove").and_then(|()| durable::remove_dir(&old))?;
    }
    Ok(())
}

fn set_aside(place: &Path) -> Result<PathBuf> {
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.split_once(".tmp-").map_or(name.as_str(), |(name, _)| name);
    let free = (1u32..).map(|number| place.with_file_name(format!("{name}.torn-{number}"))).find(|path| !path.exists());
    let aside = free.unwrap_or_else(|| place.with_extension("torn"));
    durable::rename(place, &aside, "set aside")?;
    Ok(aside)
}

#[cfg(test)]
mod tests;
