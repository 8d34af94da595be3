//! What can go wrong with a run, said so that the reader can act.

use std::path::{Path, PathBuf};

/// Result of the library's training parts.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A problem with a run: its settings, its data, its files, or its numbers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A graph could not be built or evaluated.
    #[error(transparent)]
    Graph(#[from] tensor::Error),
    /// A model could not be declared, saved or loaded.
    #[error(transparent)]
    Model(#[from] nn::Error),
    /// Data could not be used.
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// The CPU cannot be set up as asked.
    #[error(transparent)]
    Device(#[from] cpu::simd::SimdError),
    /// What was asked for makes no sense.
    #[error("{what}\n  help: {help}")]
    Usage {
        /// What was asked for and why it cannot be done.
        what: String,
        /// What to do.
        help: String,
    },
    /// The operating system refused a file or a folder of the run.
    #[error("cannot {action} {}: {source}\n  help: {}", path.display(), help_for(action, source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "create", "write", ...
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of a run is not what the run's other files say.
    #[error("{}: {why}\n  help: {help}", path.display())]
    Corrupt {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        why: String,
        /// What to do.
        help: String,
    },
    /// The numbers of a training are none any more.
    #[error("{what} at step {step} (epoch {epoch}), so training stopped\n  help: {help}")]
    Diverged {
        /// Which number became what: "the loss became NaN".
        what: String,
        /// The step, from 1.
        step: u64,
        /// The epoch, from 1.
        epoch: u64,
        /// What to do.
        help: String,
    },
    /// A model answers with numbers that are none.
    #[error("the network gives {number} for {row}: its weights or its input are beyond all bounds\n  help: {help}")]
    NotFinite {
        /// NaN or an infinity.
        number: f32,
        /// The row or picture that it was asked about.
        row: String,
        /// What to do.
        help: String,
    },
}

impl Error {
    /// A request that cannot be met.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Error {
        Error::Usage { what: what.into(), help: help.into() }
    }

    /// A refusal of the operating system.
    pub fn io(path: &Path, action: &'static str, source: std::io::Error) -> Error {
        Error::Io { path: path.to_owned(), action, source }
    }

    /// A damaged or foreign file.
    pub fn corrupt(path: &Path, why: impl Into<String>, help: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), why: why.into(), help: help.into() }
    }
}

fn help_for(action: &str, source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied if matches!(action, "read" | "list") => {
            "check the permissions of the file and of its folder"
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem if action == "open" => {
            "make the run writable, or go on in a branch elsewhere: glassbox resume RUN --as DIR/NAME"
        }
        std::io::ErrorKind::NotFound => "check the path; relative paths start at the current folder",
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to, with --out DIR"
        }
        std::io::ErrorKind::StorageFull => "free some space on the disk",
        std::io::ErrorKind::NotADirectory => "a part of the path is a file: choose another place",
        _ => "check the disk and the path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_read_is_not_helped_by_another_place_to_write() {
        let said =
            |action| Error::io(Path::new("runs"), action, std::io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(said("read").ends_with("help: check the permissions of the file and of its folder"));
        assert!(said("create").ends_with("help: choose a folder that you may write to, with --out DIR"));
    }
}
