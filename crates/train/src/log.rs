//! The log of a run: `metrics.jsonl` (figures) and `events.jsonl` (all else), one object a line, only ever appended to.
//!
//! Whoever has the log open trains the run: the operating system holds a lock on `events.jsonl` as long as the process lives.

use std::fs::TryLockError;
use std::path::Path;

use serde_json::Value;

use crate::durable;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::ledger::{Entry, Recorder};
use crate::state::State;
use crate::stream::{Kept, Stream, Torn};

/// The log, open for writing.
pub(crate) struct Log {
    metrics: Stream,
    events: Stream,
    ledger: Recorder,
}

impl Log {
    /// Opens the log of the run in `dir`.
    ///
    /// # Errors
    /// If it cannot be written, or another process trains the run.
    pub fn open(dir: &Path) -> Result<Log> {
        let events = Stream::open(dir.join("log").join("events.jsonl"))?;
        if let Err(TryLockError::WouldBlock) = events.file().try_lock() {
            return Err(Error::usage(
                format!("{} is being trained by another process", dir.display()),
                "wait until it ends, or stop it with Ctrl-C",
            ));
        }
        let metrics = Stream::open(dir.join("log").join("metrics.jsonl"))?;
        let ledger = Recorder::open(&dir.join("log"))?;
        durable::sync(&dir.join("log"))?;
        Ok(Log { metrics, events, ledger })
    }

    /// Appends an event.
    ///
    /// # Errors
    /// If it cannot be written; then nothing of it is there, if the disk allows that much.
    pub fn write(&mut self, event: &Event) -> Result<()> {
        let mut object = event.to_json();
        let figures = matches!(event, Event::Step(_) | Event::Epoch(_));
        if let Some(object) = object.as_object_mut() {
            // Speed differs from run to run; the log of figures is the same bytes for the same seed.
            object.remove("rows_per_second");
            if figures {
                object.remove("seconds");
            }
        }
        // Whatever happens next, the steps before are there to be looked at.
        let before = if figures { Ok(()) } else { self.ledger.write() };
        let stream = if figures { &mut self.metrics } else { &mut self.events };
        let written = stream.append(format!("{object}\n").as_bytes());
        before.and(written)
    }

    /// Appends a step to the ledger.
    ///
    /// # Errors
    /// As for `write`.
    pub fn record(&mut self, entry: &Entry) -> Result<()> {
        self.ledger.add(entry)
    }

    /// Waits until the disk has the figures: before a checkpoint that follows them.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&mut self) -> Result<()> {
        self.metrics.sync()?;
        self.ledger.sync()
    }

    /// Drops what is torn, and all figures after `state`: they will come again. Says what was torn.
    ///
    /// # Errors
    /// If the log cannot be read or cut.
    pub fn cut(&mut self, state: &State) -> Result<Vec<String>> {
        let before = |line: &Value| {
            let step = line["step"].as_u64().unwrap_or(u64::MAX);
            step < state.step || (step == state.step && !(state.open && line["event"] == "epoch"))
        };
        let lines = [
            self.metrics.cut(|bytes| whole_lines(bytes, before))?,
            self.events.cut(|bytes| whole_lines(bytes, |_| true))?,
        ];
        Ok(lines.into_iter().flatten().chain(self.ledger.cut(state.step)?).collect())
    }
}

/// What to keep of a log: its lines up to the first that is no object or not `wanted`.
fn whole_lines(bytes: &[u8], wanted: impl Fn(&Value) -> bool) -> Kept {
    let mut kept = 0;
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let object = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<Value>(line).ok());
        let Some(object) = object.filter(Value::is_object) else {
            let torn = Torn { place: format!("line {}", number + 1), unfinished: !line.ends_with(b"\n") };
            return Kept { bytes: kept, torn: Some(torn) };
        };
        if !wanted(&object) {
            break;
        }
        kept += line.len() as u64;
    }
    Kept { bytes: kept, torn: None }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::durable::fault::{self, Fault};
    use crate::testing::Folder;

    fn log() -> (Folder, Log) {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("log")).unwrap();
        let log = Log::open(folder.path()).unwrap();
        (folder, log)
    }

    fn lines(folder: &Folder) -> Vec<String> {
        let text = fs::read_to_string(folder.path().join("log/metrics.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_log_is_cut_at_its_first_torn_line_and_at_the_step() {
        let (folder, mut log) = log();
        let text = "{\"event\":\"step\",\"step\":1}\n{\"event\":\"step\",\"step\":2}\n{\"event\":\"epoch\",\"step\":2}\n\
                    {\"event\":\"step\",\"step\":3}\n{\"event\":\"st";
        for (step, open, left, torn) in [(9, false, 4, 1), (2, false, 3, 0), (2, true, 2, 0), (0, false, 0, 0)] {
            fs::write(folder.path().join("log/metrics.jsonl"), text).unwrap();
            log.metrics = Stream::open(folder.path().join("log/metrics.jsonl")).unwrap();
            let said = log.cut(&State { step, open, ..State::default() }).unwrap();
            assert_eq!((lines(&folder).len(), said.len()), (left, torn), "{step} {open}: {said:?}");
        }
        log.metrics.append(b"{}\n").unwrap();
        assert_eq!(lines(&folder), ["{}"]);
    }

    #[test]
    fn what_lies_behind_a_torn_line_is_kept_aside() {
        let (folder, mut log) = log();
        let (file, aside) = (folder.path().join("log/metrics.jsonl"), folder.path().join("log/metrics.jsonl.torn-1"));
        let (good, rest) = ("{\"step\":1}\n", "{\"step\"\0\0}\n{\"step\":3}\n");
        fs::write(&file, format!("{good}{rest}")).unwrap();
        log.metrics = Stream::open(file.clone()).unwrap();
        let said = log.cut(&State { step: 9, ..State::default() }).unwrap();
        assert!(said.len() == 1 && said[0].contains("is torn at line 2") && said[0].contains(".torn-1"), "{said:?}");
        assert_eq!(
            (fs::read_to_string(&file).unwrap(), fs::read_to_string(&aside).unwrap()),
            (good.into(), rest.into())
        );
        // A line that was being written is nothing to keep.
        fs::write(&file, format!("{good}{{\"st")).unwrap();
        log.metrics = Stream::open(file.clone()).unwrap();
        let said = log.cut(&State { step: 9, ..State::default() }).unwrap();
        assert!(said.len() == 1 && !folder.path().join("log/metrics.jsonl.torn-2").exists(), "{said:?}");
    }

    #[test]
    fn a_line_that_the_disk_refuses_leaves_nothing() {
        let (folder, mut log) = log();
        log.metrics.append(b"{\"step\":1}\n").unwrap();
        fault::plan(0, Fault::Full);
        assert!(log.metrics.append(b"{\"step\":2}\n").is_err());
        fault::clear();
        log.metrics.append(b"{\"step\":3}\n").unwrap();
        assert_eq!(lines(&folder), ["{\"step\":1}", "{\"step\":3}"]);
    }

    #[test]
    fn only_one_process_trains_a_run() {
        let (folder, log) = log();
        let error = Log::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("is being trained by another process"), "{error}");
        drop(log);
        assert!(Log::open(folder.path()).is_ok());
    }
}
