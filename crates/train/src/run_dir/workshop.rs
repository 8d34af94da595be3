//! The temporary folder in which a run is made.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::durable::is_old;
use crate::error::{Error, Result};

/// A new folder of this process alone. Unless it is kept, all that was made goes with it.
pub(super) struct Workshop {
    path: PathBuf,
    /// Parents that were not there before, the innermost first.
    parents: Vec<PathBuf>,
    kept: bool,
}

impl Workshop {
    /// A new folder in `parent`, which is made if it is not there.
    pub fn new(parent: &Path) -> Result<Workshop> {
        /// Others may take a name first, or remove a parent that they made; not so many times in a row.
        const ATTEMPTS: u32 = 100;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parents = parent.ancestors().filter(|path| !path.as_os_str().is_empty());
        let parents = parents.take_while(|path| path.symlink_metadata().is_err()).map(Path::to_owned).collect();
        let mut workshop = Workshop { path: PathBuf::new(), parents, kept: false };
        for attempt in 1.. {
            fs::create_dir_all(parent).map_err(|source| Error::io(parent, "create", source))?;
            let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!(".run-{}-{time:x}-{number}.tmp", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    workshop.path = path;
                    break;
                }
                Err(source)
                    if attempt < ATTEMPTS
                        && matches!(source.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {}
                Err(source) => return Err(Error::io(&path, "create", source)),
            }
        }
        Ok(workshop)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run is made, and the folder renamed.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // The first error is the one to report. A parent that holds something by now stays.
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.path);
        }
        self.parents.iter().for_each(|parent| drop(fs::remove_dir(parent)));
    }
}

/// Old workshops in a folder.
pub(super) fn leftovers(parent: &Path) -> Vec<PathBuf> {
    let is_workshop = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(".run-") && name.ends_with(".tmp")
    };
    let entries = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut left: Vec<PathBuf> = entries.filter(|path| is_workshop(path) && is_old(path)).collect();
    left.sort();
    left
}
