//! A file of lines that is being written, read on from where it was read to.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use train::Error;

/// Bytes before the place that are held against the file, to see whether it was cut and written anew.
const MARK: usize = 128;
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Where a file was read to.
pub struct Lines {
    path: PathBuf,
    passed: u64,
    mark: Vec<u8>,
}

impl Lines {
    /// Of a file, which need not be there yet.
    pub fn of(path: PathBuf) -> Lines {
        Lines { path, passed: 0, mark: Vec::new() }
    }

    /// Whether what was read is not the file's beginning any more: a resumed run cuts its log. Then it begins again.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn restarted(&mut self) -> train::Result<bool> {
        let mut found = vec![0; self.mark.len()];
        let same = match self.open(self.passed - self.mark.len() as u64)? {
            Some(mut file) => file.read_exact(&mut found).is_ok() && found == self.mark,
            None => self.passed == 0,
        };
        if !same {
            (self.passed, self.mark) = (0, Vec::new());
        }
        Ok(!same)
    }

    /// Hands out the whole lines that came since.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn more(&mut self, each: &mut dyn FnMut(&[u8])) -> train::Result<()> {
        let Some(mut file) = self.open(self.passed)? else { return Ok(()) };
        let mut held = Vec::new();
        loop {
            let begun = held.len();
            held.resize(begun + PIECE, 0);
            let count = file.read(&mut held[begun..]).map_err(|source| io(&self.path, source))?;
            held.truncate(begun + count);
            let Some(end) = held[begun..].iter().rposition(|&byte| byte == b'\n').map(|at| begun + at + 1) else {
                if count == 0 {
                    return Ok(());
                }
                continue;
            };
            held[..end].split_inclusive(|&byte| byte == b'\n').for_each(&mut *each);
            self.passed += end as u64;
            self.mark = held[end.saturating_sub(MARK)..end].to_vec();
            held.drain(..end);
        }
    }

    fn open(&self, at: u64) -> train::Result<Option<File>> {
        let opened = File::open(&self.path).and_then(|mut file| file.seek(SeekFrom::Start(at)).map(|_| file));
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io(&self.path, source)),
        }
    }
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::io(path, "read", source)
}
