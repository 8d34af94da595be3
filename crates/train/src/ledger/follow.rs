//! The figures of the steps of a run that is being trained, read on as they come.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::STEPS;
use super::frame::Frames;
use super::record::StepRecord;
use crate::error::{Error, Result};

/// Bytes of the longest frame of `steps.bin`.
const LONGEST: usize = 56;

/// The figures of the steps of a run. Unlike a [`super::Ledger`], it reads nothing else, and nothing twice.
pub struct Following {
    path: PathBuf,
    /// Bytes that were read, and the last of them.
    passed: u64,
    mark: Vec<u8>,
    steps: Vec<StepRecord>,
}

impl Following {
    /// Of the run in a folder; nothing is read yet.
    pub fn of(run: &Path) -> Following {
        Following { path: run.join("log").join(STEPS), passed: 0, mark: Vec::new(), steps: Vec::new() }
    }

    /// Reads what came since. If what was read is not there any more (a resumed run cuts its log), all is read again.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_on(&mut self) -> Result<()> {
        let failed = |source| Error::io(&self.path, "read", source);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(source) if source.kind() == ErrorKind::NotFound => {
                (self.passed, self.mark, self.steps) = (0, Vec::new(), Vec::new());
                return Ok(());
            }
            Err(source) => return Err(failed(source)),
        };
        let begun = self.passed - self.mark.len() as u64;
        file.seek(SeekFrom::Start(begun)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        if !bytes.starts_with(&self.mark) {
            (self.passed, self.mark, self.steps) = (0, Vec::new(), Vec::new());
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            bytes.clear();
            file.read_to_end(&mut bytes).map_err(failed)?;
        }
        let old = self.mark.len();
        let mut frames = Frames::of(&bytes[old..]);
        self.steps.extend(frames.by_ref().map_while(StepRecord::from_bytes));
        let end = old + frames.passed();
        self.passed += frames.passed() as u64;
        self.mark = bytes[end.saturating_sub(LONGEST)..end].to_vec();
        Ok(())
    }

    /// All that was read, in order.
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }
}

/// The last whole step in the ledger of the run in a folder, found from the end: for lists of many runs.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn last(run: &Path) -> Result<Option<StepRecord>> {
    let path = run.join("log").join(STEPS);
    let failed = |source| Error::io(&path, "read", source);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let length = file.metadata().map_err(failed)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4 * LONGEST as u64))).map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    // Where a frame begins is not known; what is none fails its checksum.
    let at = |start: usize| Frames::of(&bytes[start..]).next().filter(|payload| !payload.is_empty());
    Ok((0..bytes.len()).rev().find_map(|start| at(start).and_then(StepRecord::from_bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::frame::framed;
    use super::*;
    use crate::testing::Folder;

    fn frame(step: u64, hash: Option<u128>) -> Vec<u8> {
        let record =
            StepRecord { step, lr: 0.1, loss: 0.5, grad_norm: 1.0, weight_norm: None, update_norm: None, hash };
        framed(&record.to_bytes())
    }

    #[test]
    fn what_comes_is_read_on_and_what_was_cut_is_read_anew() {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("log")).unwrap();
        let mut following = Following::of(folder.path());
        following.read_on().unwrap();
        assert!(following.steps().is_empty() && last(folder.path()).unwrap().is_none());
        let mut bytes = Vec::new();
        let file = folder.path().join("log").join(STEPS);
        for step in 1..=40 {
            bytes.extend(frame(step, (step % 10 == 0).then_some(7)));
            // A frame that is still being written is not there yet.
            fs::write(&file, [&bytes[..], &[40, 0, 0, 0, 1]].concat()).unwrap();
            following.read_on().unwrap();
            assert_eq!(following.steps().len() as u64, step);
            assert_eq!(last(folder.path()).unwrap().map(|record| record.step), Some(step));
        }
        bytes.truncate(frame(1, None).len() * 5);
        (100..140).for_each(|step| bytes.extend(frame(step, None)));
        fs::write(&file, &bytes).unwrap();
        following.read_on().unwrap();
        let steps: Vec<u64> = following.steps().iter().map(|record| record.step).collect();
        assert_eq!((steps.len(), steps[4], steps[5]), (45, 5, 100));
    }
}
