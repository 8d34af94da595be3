//! How long a training is, and where in it a step lies.

use crate::error::Result;
use crate::job::{Job, steps_per_epoch};
use crate::state::State;

/// How long a training is, and how often something is done.
pub(crate) struct Lengths {
    pub steps: u64,
    pub per_epoch: u64,
    /// Steps between checkpoints, beside those at the ends of epochs.
    pub every: u64,
    /// Epochs without a better one that are borne; 0: any number.
    patience: u64,
}

impl Lengths {
    pub fn of(job: &Job) -> Result<Lengths> {
        Ok(Lengths {
            steps: job.steps()?,
            per_epoch: steps_per_epoch(&job.settings, job.splits.train.len())?,
            every: job.settings.get_int("checkpoint.every")? as u64,
            patience: job.settings.get_int("train.patience")? as u64,
        })
    }

    pub fn epochs(&self) -> u64 {
        self.steps.div_ceil(self.per_epoch)
    }

    /// The epoch, from 1, that the step `step` (from 1) belongs to.
    pub fn epoch(&self, step: u64) -> u64 {
        step.div_ceil(self.per_epoch).max(1)
    }

    /// Whether validation follows the step: an epoch ends with it, or the training.
    pub fn ends_epoch(&self, step: u64) -> bool {
        step.is_multiple_of(self.per_epoch) || step >= self.steps
    }

    /// Whether there is nothing left to do but the test.
    pub fn is_done(&self, state: &State) -> bool {
        !state.open && (state.step >= self.steps || (self.patience > 0 && state.waited >= self.patience))
    }
}
