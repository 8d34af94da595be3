//! Exit codes: the class of what went wrong, for scripts.

use glassbox::train::Error;

/// All went well.
pub const OK: u8 = 0;
/// The command makes no sense.
pub const USAGE: u8 = 2;
/// The data cannot be used.
pub const DATA: u8 = 3;
/// The loss is no number any more.
pub const DIVERGED: u8 = 5;
/// A run is damaged, or this program is.
pub const CORRUPT: u8 = 6;
/// Someone asked for a stop.
pub const INTERRUPTED: u8 = 130;

/// The exit code of an error.
pub fn code(error: &Error) -> u8 {
    match error {
        Error::Usage { .. } | Error::Device(_) => USAGE,
        // A folder that cannot be made is one that should not have been asked for.
        Error::Io { action: "create", .. } => USAGE,
        Error::Data(_) => DATA,
        Error::Diverged { .. } => DIVERGED,
        Error::Io { .. } | Error::Corrupt { .. } | Error::Model(_) | Error::Graph(_) => CORRUPT,
    }
}
