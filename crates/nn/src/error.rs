//! What can go wrong beside a bad graph: names, checkpoints, files.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of names, checkpoints or files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model was declared inconsistently (a name twice, say).
    #[error("the model is not declared consistently:\n  {}", .0.join("\n  "))]
    Declaration(Vec<String>),

    /// The file could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "read", "write".
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },

    /// The bytes are not what they should be.
    #[error("{from}: {message}")]
    Format {
        /// File, or what the bytes are.
        from: String,
        /// What is wrong with them.
        message: String,
    },

    /// The tensors do not fit the variables.
    #[error("{from} is a checkpoint of another model: {found} tensors found, {expected} expected\n  {}\n  help: take the checkpoint of this model", .problems.join("\n  "))]
    OtherModel {
        /// Where the tensors come from.
        from: String,
        /// How many variables there are.
        expected: usize,
        /// How many tensors there are.
        found: usize,
        /// Every difference.
        problems: Vec<String>,
    },

    /// The graph is bad, or its evaluation failed.
    #[error(transparent)]
    Graph(#[from] tensor::Error),
}
