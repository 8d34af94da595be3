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

    /// Keeps as many bytes from the start as `keep` says. If it says that the file is torn, what lies behind is kept aside,
    /// unless it is no more than a piece that was not finished: and a sentence tells the reader.
    pub fn cut(&mut self, keep: impl FnOnce(&[u8]) -> Kept) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(|source| Error::io(&self.path, "read", source))?;
        let Kept { bytes: kept, torn } = keep(&bytes);
        let mut said = None;
        if let Some(Torn { place, unfinished }) = torn {
            said = Some(format!("{} is torn at {place}, and was cut there", self.path.display()));
            if !unfinished {
                let aside = self.aside();
                durable::write(&aside, &bytes[kept as usize..])?;
                said = said.map(|said| format!("{said}; what lay behind is in {}", aside.display()));
            }
        }
        if kept < bytes.len() as u64 {
            durable::cut(&self.file, kept).map_err(|source| Error::io(&self.path, "write", source))?;
        }
        self.length = kept;
        Ok(said)
    }

    /// A name that nothing has yet.
    fn aside(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let numbered = (1u32..).map(|number| self.path.with_file_name(format!("{name}.torn-{number}")));
        numbered.into_iter().find(|path| !path.exists()).unwrap_or_default()
    }
}

/// What is kept of a file.
pub(crate) struct Kept {
    /// So many bytes from its start.
    pub bytes: u64,
    /// Where it is torn, if that is why the rest is not kept.
    pub torn: Option<Torn>,
}

/// Where a file is torn.
pub(crate) struct Torn {
    /// Such as "line 7".
    pub place: String,
    /// Whether all that lies there is the beginning of a piece, as a process leaves it that is killed while it writes.
    pub unfinished: bool,
}
