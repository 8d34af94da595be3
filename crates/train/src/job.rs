//! What is to be trained: model, loss, optimiser, data, settings.

use nn::{Average, Layer, Optimiser, Schedule, Scope};
use tensor::{Tensor, Var};

use crate::config::Settings;
use crate::error::Result;
use crate::splits::Splits;

/// The loss of `[N, classes]` logits for `[N]` labels.
pub type Loss = Box<dyn Fn(&Tensor, &Tensor) -> Losses>;

/// What a loss function gives: the number that is made small, and the loss of each row.
#[derive(Clone)]
pub struct Losses {
    /// The number that is made small: a scalar.
    pub total: Tensor,
    /// `[N]`: the loss of each row, before any weighting, for the ledger; `None` if the total has no such parts.
    pub rows: Option<Tensor>,
}

impl Losses {
    /// The mean of `rows [N]`, or `[N, ..]` where a row has several losses: then its own is their mean.
    #[track_caller]
    pub fn mean_of(rows: Tensor) -> Losses {
        let total = rows.mean(..);
        let others = rows.count().checked_div(rows.dims().first().copied().unwrap_or(1)).unwrap_or(1);
        let rows = if rows.rank() > 1 { rows.reshape([rows.dims()[0], others]).mean(1) } else { rows };
        Losses { total, rows: Some(rows) }
    }

    /// The mean of `rows [N]`, in which each counts as much as its entry of `weights [N]` says.
    #[track_caller]
    pub fn weighted(rows: Tensor, weights: &Tensor) -> Losses {
        Losses { total: (&rows * weights).sum(..) / weights.sum(..), rows: Some(rows) }
    }
}

/// A total alone.
impl From<Tensor> for Losses {
    fn from(total: Tensor) -> Losses {
        Losses { total, rows: None }
    }
}

/// Everything that a training depends on.
pub struct Job {
    /// Name of the recipe.
    pub recipe: String,
    /// Its settings.
    pub settings: Settings,
    /// The data.
    pub splits: Splits,
    /// The parameters by path.
    pub scope: Scope,
    /// From `[N, ..]` inputs to `[N, classes]` logits.
    pub model: Box<dyn Layer>,
    /// What is made small.
    pub loss: Loss,
    /// How parameters follow gradients.
    pub optimizer: Box<dyn Optimiser>,
    /// The learning rate of each step.
    pub schedule: Schedule,
    /// Averages of the weights, which are then what is measured and used.
    pub average: Option<Average>,
    /// Whether the net begins with more than its seed gives, such as weights trained elsewhere: then the run keeps a checkpoint
    /// of before its first step.
    pub begun: bool,
}

impl Job {
    /// How many numbers the net has, frozen or not.
    pub fn parameters(&self) -> usize {
        count(&self.scope.parameters())
    }

    /// How many of them stay as they are.
    pub fn frozen(&self) -> usize {
        self.parameters() - count(&self.scope.trainable())
    }

    /// How many steps there are in all.
    ///
    /// # Errors
    /// If a setting is missing.
    pub fn steps(&self) -> Result<u64> {
        steps(&self.settings, self.splits.train.len())
    }
}

fn count(vars: &[Var]) -> usize {
    vars.iter().map(|var| var.shape().count()).sum()
}

/// How many steps a training on `rows` rows makes.
///
/// # Errors
/// If a setting is missing.
pub fn steps(settings: &Settings, rows: usize) -> Result<u64> {
    let per_epoch = steps_per_epoch(settings, rows)?;
    let all = settings.get_int("train.epochs")? as u64 * per_epoch;
    Ok(match settings.get_int("train.max_steps")? as u64 {
        0 => all,
        most => all.min(most),
    })
}

/// How many of the steps make an epoch.
///
/// # Errors
/// If a setting is missing.
pub fn steps_per_epoch(settings: &Settings, rows: usize) -> Result<u64> {
    // Whole batches only, so that all steps are one plan; a set smaller than a batch is one step.
    Ok((rows / settings.get_size("train.batch")?).max(1) as u64)
}
