//! A file of the log: appended to, or cut.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::PathBuf;

use crate::durable;
use crate::error::{Error, Result};

/// A file that grows by whole pieces.
pub(crate) struct Stream {
    path: PathBuf,
    file: File,
    /// Bytes of whole pieces.
    length: u64,
}

impl Stream {
    /// Opens the file for writing, or makes it.
    pub fn open(path: PathBuf) -> Result<Stream> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let opened = opened.and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = opened.map_err(|source| Error::io(&path, "open", source))?;
        Ok(Stream { path, file, length })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Appends a piece: all of it, or, if the disk refuses, nothing.
    pub fn append(&mut self, piece: &[u8]) -> Result<()> {
        let written = durable::put(&mut self.file, piece);
        match written {
            Ok(()) => self.length += piece.len() as u64,
            // The first error is the one to report.
            Err(_) => drop(durable::cut(&self.file, self.length)),
        }
        written.map_err(|source| Error::io(&self.path, "write", source))
    }

    /// Waits until the disk has it.
    pub fn sync(&self) -> Result<()> {
        durable::flush(&self.file).map_err(|source| Error::io(&self.path, "write", source))
    }

    /// Keeps as many bytes from the start as `keep` says, which says too where the file is torn, if it is: a sentence then
    /// tells the reader.
    pub fn cut(&mut self, keep: impl FnOnce(&[u8]) -> (u64, Option<String>)) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(|source| Error::io(&self.path, "read", source))?;
        let (kept, torn) = keep(&bytes);
        if kept < bytes.len() as u64 {
            durable::cut(&self.file, kept).map_err(|source| Error::io(&self.path, "write", source))?;
        }
        self.length = kept;
        Ok(torn.map(|place| format!("{} is torn at {place}, and was cut there", self.path.display())))
    }
}
