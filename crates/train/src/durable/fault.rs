//! Faults for tests: the n-th thing that this thread asks of the disk goes wrong.

use std::cell::Cell;
use std::io::{Error, ErrorKind, Result};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The disk is full, once.
    Full,
    /// The process dies: nothing is done any more, no tidying up either.
    Death,
}

thread_local! {
    static PLANNED: Cell<Option<(usize, Fault)>> = const { Cell::new(None) };
}

/// Lets the `after`-th request from now (from 0) go wrong.
pub(crate) fn plan(after: usize, fault: Fault) {
    PLANNED.set(Some((after, fault)));
}

/// Nothing goes wrong any more. Whether something still would have.
pub(crate) fn clear() -> bool {
    let dead = |planned: (usize, Fault)| planned == (0, Fault::Death);
    PLANNED.take().is_some_and(|planned| !dead(planned))
}

/// Asked before each request.
pub(crate) fn check() -> Result<()> {
    match PLANNED.get() {
        None => Ok(()),
        Some((0, fault)) => {
            PLANNED.set((fault == Fault::Death).then_some((0, fault)));
            Err(Error::from(ErrorKind::StorageFull))
        }
        Some((left, fault)) => {
            PLANNED.set(Some((left - 1, fault)));
            Ok(())
        }
    }
}
