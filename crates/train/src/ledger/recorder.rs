//! The ledger of a run that is being trained: appended to, and cut when the run is resumed.

use std::path::Path;

use super::frame::{Frames, framed};
use super::record::{Entry, step_of};
use super::{ROWS, STEPS, TIMES};
use crate::error::Result;
use crate::stream::Stream;

/// The files of the ledger, open for writing.
pub(crate) struct Recorder {
    steps: Stream,
    rows: Stream,
    times: Stream,
}

impl Recorder {
    /// Opens the ledger in the folder `log`, or begins one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(log: &Path) -> Result<Recorder> {
        let open = |name: &str| Stream::open(log.join(name));
        Ok(Recorder { steps: open(STEPS)?, rows: open(ROWS)?, times: open(TIMES)? })
    }

    /// Appends a step. The figures come last, so that a step which has them has its rows.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&mut self, entry: &Entry) -> Result<()> {
        self.times.append(&framed(&entry.times.to_bytes()))?;
        self.rows.append(&framed(&entry.rows.to_bytes()))?;
        self.steps.append(&framed(&entry.step.to_bytes()))
    }

    /// Waits until the disk has it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self) -> Result<()> {
        [&self.times, &self.rows, &self.steps].into_iter().try_for_each(Stream::sync)
    }

    /// Drops what is torn and all steps after `step`: they will come again. Says what was torn.
    ///
    /// # Errors
    /// If a file cannot be read or cut.
    pub fn cut(&mut self, step: u64) -> Result<Vec<String>> {
        let files = [&mut self.steps, &mut self.rows, &mut self.times];
        let torn = files.map(|file| file.cut(|bytes| whole_frames(bytes, step)));
        Ok(torn.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// How many bytes of frames to keep: those of steps up to `step`, before the first that is torn; and where that is.
fn whole_frames(bytes: &[u8], step: u64) -> (u64, Option<String>) {
    let mut frames = Frames::of(bytes);
    let mut kept = 0;
    let mut number = 0;
    while let Some(payload) = frames.next() {
        if step_of(payload).is_none_or(|of| of > step) {
            return (kept, None);
        }
        kept = frames.passed() as u64;
        number += 1;
    }
    let torn = (kept < bytes.len() as u64).then(|| format!("frame {}", number + 1));
    (kept, torn)
}
