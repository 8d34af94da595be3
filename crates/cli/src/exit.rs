//! Exit codes: the class of what went wrong, for scripts.

use std::io::ErrorKind;

use glassbox::data::DataError;
use glassbox::nn;
use glassbox::train::Error;

/// All went well.
pub const OK: u8 = 0;
/// This program or a network is wrong: a bug.
pub const INTERNAL: u8 = 1;
/// The command makes no sense.
pub const USAGE: u8 = 2;
/// The data cannot be used.
pub const DATA: u8 = 3;
/// The system refused: a full disk, a file without permission, an output that takes nothing.
pub const SYSTEM: u8 = 4;
/// The numbers of a training or of a network are none any more.
pub const DIVERGED: u8 = 5;
/// A run is damaged, or this program is.
pub const CORRUPT: u8 = 6;
/// Someone asked for a stop.
pub const INTERRUPTED: u8 = 130;

/// The exit code of an error.
pub fn code(error: &Error) -> u8 {
    match error {
        Error::Usage { .. } | Error::Device(_) => USAGE,
        Error::Io { action, source, .. } => io_code(action, source.kind()),
        Error::Data(error) => data_code(error),
        Error::Diverged { .. } | Error::NotFinite { .. } => DIVERGED,
        Error::Corrupt { .. } => CORRUPT,
        Error::Model(nn::Error::Format { .. } | nn::Error::OtherModel { .. }) => CORRUPT,
        Error::Model(nn::Error::Io { action, source, .. }) => io_code(action, source.kind()),
        Error::Model(nn::Error::Declaration(_) | nn::Error::Graph(_)) | Error::Graph(_) => INTERNAL,
    }
}

/// Of a file or folder of a run.
fn io_code(action: &str, kind: ErrorKind) -> u8 {
    match (action, kind) {
        (_, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => SYSTEM,
        // A folder that cannot be made is one that should not have been asked for.
        ("create", _) => USAGE,
        // A run without one of its files is no whole run; a folder to write to that is not there says nothing of it.
        (action, ErrorKind::NotFound) if action != "write" => CORRUPT,
        _ => SYSTEM,
    }
}

fn data_code(error: &DataError) -> u8 {
    match error {
        DataError::Io { action: "write", .. } => SYSTEM,
        DataError::Panic { .. } => INTERNAL,
        _ => DATA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_the_system_refuses_is_not_called_damaged() {
        let io = |action, kind: ErrorKind| code(&Error::io(Path::new("runs"), action, kind.into()));
        assert_eq!(io("write", ErrorKind::StorageFull), SYSTEM);
        assert_eq!(io("create", ErrorKind::StorageFull), SYSTEM);
        assert_eq!(io("read", ErrorKind::PermissionDenied), SYSTEM);
        assert_eq!(io("create", ErrorKind::PermissionDenied), USAGE);
        assert_eq!(io("read", ErrorKind::NotFound), CORRUPT);
        assert_eq!(io("write", ErrorKind::NotFound), SYSTEM);
    }

    #[test]
    fn a_bad_graph_is_ours() {
        let bad = glassbox::Tensor::ones([2], glassbox::DType::F32).reshape([3]);
        assert_eq!(code(&Error::Graph(bad.check().unwrap_err())), INTERNAL);
    }
}
