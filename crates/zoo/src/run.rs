//! Runs of recipes, opened to look at any of their steps.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use cpu::Cpu;
use train::{Result, RunDir};

use crate::opened::reopen;

/// A run of a recipe whose steps can be computed again: a [`train::Run`], whose job is made from the run's own settings.
///
/// ```no_run
/// use glassbox_zoo::Run;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gradient = Run::open("runs/digits-1")?.at(400)?.tensor("conv1/weight.grad")?; // [6, 1, 5, 5]
/// # Ok(())
/// # }
/// ```
pub struct Run(train::Run);

impl Run {
    /// The run in a folder, on all cores, with the data where it was.
    ///
    /// # Errors
    /// If it is no run, or a damaged one, or its data is not there or changed.
    pub fn open(path: impl AsRef<Path>) -> Result<Run> {
        Run::open_on(Cpu::new(0)?, path.as_ref(), None)
    }

    /// The same on a given CPU; `data` is where the data of the run lies now, if it was moved.
    ///
    /// # Errors
    /// As for [`Run::open`].
    pub fn open_on(cpu: Cpu, path: &Path, data: Option<&Path>) -> Result<Run> {
        let dir = RunDir::open(path)?;
        let job = reopen(&dir, data, |_| Ok(()))?;
        Ok(Run(train::Run::on(cpu, dir, job)?))
    }
}

impl Deref for Run {
    type Target = train::Run;
    fn deref(&self) -> &train::Run {
        &self.0
    }
}

impl DerefMut for Run {
    fn deref_mut(&mut self) -> &mut train::Run {
        &mut self.0
    }
}
