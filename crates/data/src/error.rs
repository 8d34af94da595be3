//! What can go wrong with data, said so that the reader can act: what, where, why, what to do.

use std::path::{Path, PathBuf};

/// A problem with data, with its place (file, row, column, sample) and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}\n  help: {}", path.display(), io_help(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "read", "list", "write".
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bytes of a file are not what its format asks for.
    #[error("broken {format} file {}: {why}\n  help: {help}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The format it was read as: "IDX", "PNG", "npz", ...
        format: &'static str,
        /// What was expected and what was found.
        why: String,
        /// What to do.
        help: String,
    },
    /// One cell of a table cannot be used.
    #[error("{}:{line}: column '{column}': {why}\n  help: {help}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line of the file, from 1, where the row starts.
        line: usize,
        /// Name of the column.
        column: String,
        /// What was found and what is needed.
        why: String,
        /// What to do.
        help: String,
    },
    /// A folder is not laid out as the dataset it was opened as.
    #[error("cannot use folder {}: {why}\n  found: {found}\n  help: {help}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is missing or too much.
        why: String,
        /// What lies there.
        found: String,
        /// What to do.
        help: String,
    },
    /// A setting or an argument makes no sense.
    #[error("{what}: {why}\n  help: {help}")]
    Argument {
        /// Name of the setting.
        what: &'static str,
        /// Its value and why it cannot be used.
        why: String,
        /// What to do.
        help: String,
    },
    /// Two samples of one batch do not fit together.
    #[error("samples of one batch must agree: {first} has {first_is}, {second} has {second_is}\n  help: {help}")]
    Mixed {
        /// The batch's first sample.
        first: String,
        /// Its shape or target.
        first_is: String,
        /// The sample that differs.
        second: String,
        /// Its shape or target.
        second_is: String,
        /// What to do.
        help: String,
    },
    /// A problem with one sample of a dataset.
    #[error("sample {sample}: {source}")]
    Sample {
        /// The sample's id: its file or row.
        sample: String,
        /// The problem.
        source: Box<DataError>,
    },
    /// A loader's thread panicked: a bug in a dataset or a transform.
    #[error(
        "the loader panicked while it made batch {batch} of epoch {epoch}: {why}\n  help: this is a bug; please report it"
    )]
    Panic {
        /// Epoch of the batch.
        epoch: u32,
        /// Index of the batch in its epoch.
        batch: usize,
        /// The panic's message.
        why: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        DataError::Io { path: path.to_owned(), action, source }
    }

    pub(crate) fn broken(path: &Path, format: &'static str, why: impl Into<String>, help: impl Into<String>) -> Self {
        DataError::Broken { path: path.to_owned(), format, why: why.into(), help: help.into() }
    }

    pub(crate) fn argument(what: &'static str, why: impl Into<String>, help: impl Into<String>) -> Self {
        DataError::Argument { what, why: why.into(), help: help.into() }
    }

    /// The same problem, as one of the sample named `sample`.
    pub(crate) fn in_sample(self, sample: String) -> Self {
        DataError::Sample { sample, source: Box::new(self) }
    }
}

fn io_help(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => "check the path; relative paths start at the current folder",
        std::io::ErrorKind::PermissionDenied => "check the permissions of the file and of its folder",
        std::io::ErrorKind::StorageFull => "free some space on the disk",
        _ => "check the disk and the path",
    }
}
