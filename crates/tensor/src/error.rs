//! Errors that lead home: what happened, where, why, and what to do.

use std::fmt;
use std::sync::Arc;

use crate::origin::Origin;

/// Result of an evaluation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a graph, with the op, the shapes and the caller's line. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Error(Arc<Details>);

/// The class of an [`Error`], for programs; the text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Operand shapes do not fit.
    Shape,
    /// Operand dtypes do not fit.
    DType,
    /// An argument (axis, range, size) is out of range.
    Argument,
    /// An op on the way has no gradient rule.
    NoGradient,
    /// A variable was updated after the graph that uses it was traced.
    Stale,
    /// A value met at run time is not allowed (an index out of range).
    Value,
    /// The device cannot do it.
    Device,
}

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    op: String,
    message: String,
    origin: Option<Origin>,
    notes: Vec<String>,
    help: Option<String>,
}

impl Error {
    /// An error of `kind` in `op`: `message` says what happened, in one line.
    pub fn new(kind: ErrorKind, op: impl Into<String>, message: impl Into<String>) -> Error {
        let (op, message) = (op.into(), message.into());
        Error(Arc::new(Details { kind, op, message, origin: None, notes: Vec::new(), help: None }))
    }

    /// With the place it comes from.
    pub fn at(self, origin: Origin) -> Error {
        self.edit(|details| details.origin = Some(origin))
    }

    /// With one more line of provenance.
    pub fn note(self, note: impl Into<String>) -> Error {
        self.edit(|details| details.notes.push(note.into()))
    }

    /// With what to do about it.
    pub fn help(self, help: impl Into<String>) -> Error {
        self.edit(|details| details.help = Some(help.into()))
    }

    fn edit(self, change: impl FnOnce(&mut Details)) -> Error {
        let mut details = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Details {
            kind: shared.kind,
            op: shared.op.clone(),
            message: shared.message.clone(),
            origin: shared.origin,
            notes: shared.notes.clone(),
            help: shared.help.clone(),
        });
        change(&mut details);
        Error(Arc::new(details))
    }

    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The op that failed.
    pub fn op(&self) -> &str {
        &self.0.op
    }

    /// The caller's line and the layer, if known.
    pub fn origin(&self) -> Option<Origin> {
        self.0.origin
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let class = match self.kind {
            ErrorKind::Shape => "shape mismatch in",
            ErrorKind::DType => "dtype mismatch in",
            ErrorKind::Argument => "bad argument to",
            ErrorKind::NoGradient => "no gradient for",
            ErrorKind::Stale => "stale value in",
            ErrorKind::Value => "bad value in",
            ErrorKind::Device => "cannot run",
        };
        write!(f, "{class} {}: {}", self.op, self.message)?;
        if let Some(origin) = self.origin {
            write!(f, "\n  at {origin}")?;
        }
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}
