//! How code above the engine refuses an input: by a tensor that carries the error, as the ops themselves do.

use std::panic::Location;

use crate::error::{Error, ErrorKind};
use crate::tensor::{Tensor, provenance};

impl Tensor {
    /// A tensor that is `error`: every op on it is the same error, and evaluating it returns the error. It is placed at
    /// the current layer, or at the caller, unless it has a place already.
    #[track_caller]
    pub fn failure(error: Error) -> Tensor {
        Tensor::failed(error, Location::caller())
    }

    /// The error that `op` does not accept `self`; an error that `self` already carries comes first.
    #[track_caller]
    pub fn refused(&self, op: &str, message: impl Into<String>, help: Option<String>) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let error = Error::new(ErrorKind::Shape, op, message).note(provenance("the input", self));
        Tensor::failed(help.into_iter().fold(error, Error::help), Location::caller())
    }
}
