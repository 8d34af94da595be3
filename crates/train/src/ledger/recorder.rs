//! The ledger of a run that is being trained: appended to, and cut when the run is resumed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::frame::{Frames, framed};
use super::record::{Entry, LARGEST_FIGURES, step_of};
use super::{ROWS, STEPS, TIMES};
use crate::error::Result;
use crate::stream::{Kept, Stream, Torn};

/// Steps that were made in less than this go to the system together: to write them one by one cost 20 microseconds a step, and
/// a small step takes 700.
const TOGETHER: Duration = Duration::from_millis(100);

/// The files of the ledger, open for writing.
pub(crate) struct Recorder {
    steps: Pile,
    rows: Pile,
    times: Pile,
    written: Instant,
}

impl Recorder {
    /// Opens the ledger in the folder `log`, or begins one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(log: &Path) -> Result<Recorder> {
        let open = |name: &str| Pile::open(log.join(name));
        Ok(Recorder { steps: open(STEPS)?, rows: open(ROWS)?, times: open(TIMES)?, written: Instant::now() })
    }

    /// Appends a step.
    ///
    /// # Errors
    /// If the disk refuses this step, or steps before it that waited.
    pub fn add(&mut self, entry: &Entry) -> Result<()> {
        self.times.add(&entry.times.to_bytes());
        self.rows.add(&entry.rows.to_bytes());
        self.steps.add(&entry.step.to_bytes());
        // In tests the disk is asked the same number of times whatever the time is.
        if cfg!(test) || self.written.elapsed() >= TOGETHER { self.write() } else { Ok(()) }
    }

    /// Writes what waits. The figures come last, so that a step which has them has its rows.
    ///
    /// # Errors
    /// If the disk refuses; what waited is lost then.
    pub fn write(&mut self) -> Result<()> {
        self.written = Instant::now();
        let written = [&mut self.times, &mut self.rows, &mut self.steps].map(Pile::write);
        written.into_iter().collect()
    }

    /// Waits until the disk has all steps.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&mut self) -> Result<()> {
        self.write()?;
        [&self.times, &self.rows, &self.steps].into_iter().try_for_each(|pile| pile.stream.sync())
    }

    /// Drops what is torn and all steps after `step`: they will come again. Says what was torn.
    ///
    /// # Errors
    /// If a file cannot be read or cut.
    pub fn cut(&mut self, step: u64) -> Result<Vec<String>> {
        let files = [&mut self.steps, &mut self.rows, &mut self.times];
        let torn = files.map(|pile| pile.stream.cut(|bytes| whole_frames(bytes, step)));
        Ok(torn.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// A file of frames, and those that wait to be written.
struct Pile {
    stream: Stream,
    waiting: Vec<u8>,
}

impl Pile {
    fn open(path: PathBuf) -> Result<Pile> {
        Ok(Pile { stream: Stream::open(path)?, waiting: Vec::new() })
    }

    fn add(&mut self, payload: &[u8]) {
        self.waiting.extend(framed(payload));
    }

    fn write(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() { Ok(()) } else { self.stream.append(&waiting) }
    }
}

/// What to keep of frames: those of steps up to `step`, before the first that is torn.
fn whole_frames(bytes: &[u8], step: u64) -> Kept {
    let mut frames = Frames::of(bytes);
    let (mut kept, mut number, mut longest) = (0, 0, LARGEST_FIGURES);
    while let Some(payload) = frames.next() {
        if step_of(payload).is_none_or(|of| of > step) {
            return Kept { bytes: kept, torn: None };
        }
        (kept, longest) = (frames.passed() as u64, longest.max(payload.len()));
        number += 1;
    }
    // Nothing says how long the first frame may be.
    let longest = if number == 0 { 1 << 20 } else { longest };
    let torn = Torn { place: format!("frame {}", number + 1), unfinished: frames.is_unfinished(longest) };
    Kept { bytes: kept, torn: (kept < bytes.len() as u64).then_some(torn) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_was_being_written_is_told_from_one_that_was_damaged() {
        let frame = |step: u64| framed(&[&step.to_le_bytes()[..], b"figures"].concat());
        let whole = [frame(1), frame(2), frame(3)].concat();
        let kept = |bytes: &[u8], step| {
            let Kept { bytes, torn } = whole_frames(bytes, step);
            (bytes as usize, torn.map(|torn| (torn.place, torn.unfinished)))
        };
        let length = frame(1).len();
        assert_eq!(kept(&whole, 9), (3 * length, None));
        assert_eq!(kept(&whole, 2), (2 * length, None));
        for cut in 2 * length + 1..3 * length {
            assert_eq!(kept(&whole[..cut], 9), (2 * length, Some(("frame 3".to_owned(), true))), "{cut}");
        }
        for at in length..2 * length {
            let mut damaged = whole.clone();
            damaged[at] ^= 64;
            let (bytes, torn) = kept(&damaged, 9);
            assert!(
                bytes == length && torn.is_some_and(|(place, unfinished)| place == "frame 2" && !unfinished),
                "{at}"
            );
        }
        // Damage behind the step is cut with what lies there.
        assert_eq!(kept(&[whole, b"rubbish".to_vec()].concat(), 2), (2 * length, None));
    }
}
