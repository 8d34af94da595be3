//! The past of a run: any step computed again, bit for bit, from the nearest checkpoint before it or from the seed.
//!
//! Nothing in the run is written, so it may lie anywhere and be read-only. What is computed again must meet the ledger.

mod at;
mod check;
pub mod diff;
mod explain;
mod names;
mod planned;
mod stats;
mod what_if;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cpu::Cpu;
use data::{Batch, Loader, Position};
use nn::{Pass, Schedule};
use tensor::{Array, Var};

use crate::checkpoint::{self, Checkpoint};
use crate::epoch::end_epoch;
use crate::error::{Error, Result};
use crate::event::counted;
use crate::job::Job;
use crate::ledger::{Ledger, StateHash, StepRecord};
use crate::lengths::Lengths;
use crate::run_dir::RunDir;
use crate::same;
use crate::state::{self, State};
use crate::step::{Figures, Wanted, step, trace, training_loader};

pub use at::At;
use check::Made;
pub use check::{Checked, Difference};
pub use explain::Explained;
pub(crate) use explain::{index_of_input, source_line};
pub use names::{Kind, Named};
pub use planned::Planned;
pub use stats::Stats;
pub use what_if::{Change, Tried, WhatIf};

/// A run whose steps can be computed again.
///
/// Runs of recipes are opened by `zoo::Run::open(path)`; a program with a job of its own gives it here, as it does to
/// [`crate::resume`].
///
/// ```
/// use glassbox_train::{Job, Result, Run};
///
/// fn length_of_a_gradient(job: Job) -> Result<f64> {
///     let mut run = Run::of("runs/mine", job)?;
///     let gradient = run.at(400)?.tensor("conv1/weight.grad")?;
///     Ok(gradient.to_f64().iter().map(|g| g * g).sum::<f64>().sqrt())
/// }
/// ```
pub struct Run {
    dir: RunDir,
    cpu: Cpu,
    job: Job,
    loader: Loader,
    ledger: Ledger,
    /// All that a step changes, as it was before the first.
    begun: (Vec<(Var, Arc<Array>)>, Schedule),
    /// Where the job stands.
    state: State,
    /// Whether `state` knows all that a checkpoint must: every end of an epoch was measured on the way.
    exact: bool,
}

impl Run {
    /// The run in a folder, and the job that it was begun with, fresh: no step made.
    ///
    /// # Errors
    /// If it is no run, or the rows, settings or step of `job` are not those of the run.
    pub fn of(path: impl AsRef<Path>, job: Job) -> Result<Run> {
        Run::on(Cpu::new(0)?, RunDir::open(path.as_ref())?, job)
    }

    /// The same on a given CPU, which changes no bit.
    ///
    /// # Errors
    /// As for [`Run::of`].
    pub fn on(cpu: Cpu, dir: RunDir, mut job: Job) -> Result<Run> {
        same::check_settings(&job, &dir)?;
        same::check_data(&job, &dir)?;
        let loader = training_loader(&job)?;
        same::check_graph(&mut job, &dir, &loader)?;
        let ledger = Ledger::read(dir.path())?;
        if let Ok(first) = checkpoint::of_step(&dir.checkpoints(), 0) {
            state::load(&mut job, &first)?;
        }
        let values = state::variables(&job).into_iter().map(|var| (var.clone(), var.value())).collect();
        let begun = (values, job.schedule.clone());
        let mut run = Run { dir, cpu, job, loader, ledger, begun, state: State::default(), exact: true };
        run.begin()?;
        Ok(run)
    }

    /// Its folder.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// What is trained in it, as it is at the step where the run stands now.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// What is recorded of its steps.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The last step that is known to have been made: the last one in the ledger or in a checkpoint.
    ///
    /// # Errors
    /// If the checkpoints cannot be listed.
    pub fn last_step(&self) -> Result<u64> {
        let saved = checkpoint::list(&self.dir.checkpoints())?.last().map_or(0, |(step, _)| *step);
        Ok(self.ledger.steps().last().map_or(0, |record| record.step).max(saved))
    }

    /// The step after which the job stands; 0: as it was before the first.
    pub fn stands(&self) -> u64 {
        self.state.step
    }

    /// What it computes on.
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Reads the ledger again: the run may have been trained on.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn reread(&mut self) -> Result<()> {
        self.ledger = Ledger::read(self.dir.path())?;
        Ok(())
    }

    /// Brings the job to after step `made` (0: before the first). `heard` hears each step that is made again on the way, and
    /// whether the ledger has it; it may end the way with an error, and the job stays where it has come to.
    ///
    /// # Errors
    /// As for [`Run::at`]; that of `heard`.
    pub fn stand(&mut self, made: u64, heard: &mut dyn FnMut(&StepRecord, bool) -> Result<()>) -> Result<()> {
        if made > 0 {
            self.check_step(made)?;
        }
        self.seek(made, false, &mut |step| {
            check::met(step)?;
            heard(&step.record, step.recorded)
        })?;
        Ok(())
    }

    /// Step `step`, from 1: everything that it computed. Values are those before its update, if they are not called `.next`.
    ///
    /// # Errors
    /// If there is no such step, or a step on the way does not come to what the ledger says: then program or data are not
    /// those of the run, or the ledger was changed.
    pub fn at(&mut self, step: u64) -> Result<At<'_>> {
        self.check_step(step)?;
        self.seek(step - 1, false, &mut check::met)?;
        let (batch, lr) = (self.batch()?, self.lr()?);
        let traced = trace(&self.job, &batch, step - 1, lr, |key| Pass::train(key).watching())?;
        At::new(self, batch, traced)
    }

    /// The checkpoint of `step`: the one on disk, or else one that is computed again, with the bits it had.
    ///
    /// # Errors
    /// As for [`Run::at`].
    pub fn checkpoint(&mut self, step: u64) -> Result<Checkpoint> {
        let checkpoints = self.dir.checkpoints();
        if checkpoint::list(&checkpoints)?.iter().any(|(of, _)| *of == step)
            && let Ok(found) = checkpoint::of_step(&checkpoints, step)
        {
            return Ok(found);
        }
        if step > 0 {
            self.check_step(step)?;
        }
        self.seek(step, true, &mut check::met)?;
        let files = state::files(&self.job, &checkpoints, &self.state, self.position())?;
        let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        Ok(Checkpoint { step, place: checkpoints.join(format!("step-{step:06}")), files })
    }

    /// An error unless the run made this step itself.
    fn check_step(&self, step: u64) -> Result<()> {
        let (place, last) = (self.dir.path().display(), self.last_step()?);
        if step == 0 || step > last {
            let help = match last {
                0 => "train it first".to_owned(),
                _ => format!("give a step from 1 to {last}"),
            };
            let made = counted(last as usize, "step");
            return Err(Error::usage(format!("{place} made {made}, and none is step {step}"), help));
        }
        match self.dir.record().branched_at() {
            Some(at) if step <= at => Err(Error::usage(
                format!(
                    "step {step} of {place} was made by the run that it branched from: {}",
                    self.dir.record().parent
                ),
                "ask that run",
            )),
            _ => Ok(()),
        }
    }

    /// Brings the job to after step `made`, from where it stands or from the nearest checkpoint before. Each step on the way
    /// goes to `heard`, which may end it. With `exact`, all that a checkpoint holds is computed too.
    /// Returns the step after which the computation began.
    fn seek(&mut self, made: u64, exact: bool, heard: &mut dyn FnMut(&Made) -> Result<()>) -> Result<u64> {
        let stands = self.state.step <= made && (self.exact || !exact);
        let beyond = if stands { self.state.step + 1 } else { 0 };
        match self.nearest(beyond..=made)? {
            Some(found) => {
                (self.state, _) = state::load(&mut self.job, &found)?;
                self.exact = true;
            }
            None if stands => {}
            None => self.begin()?,
        }
        if self.dir.record().branched_at().is_some_and(|at| self.state.step < at) {
            return Err(Error::corrupt(
                &self.dir.checkpoints(),
                format!("the checkpoint that it branched with is gone: {}", self.dir.record().parent),
                "ask about a step behind the first checkpoint that is left",
            ));
        }
        let from = self.state.step;
        while self.state.step < made {
            heard(&self.advance(exact)?)?;
        }
        Ok(from)
    }

    /// The newest complete checkpoint of one of these steps.
    fn nearest(&self, steps: RangeInclusive<u64>) -> Result<Option<Checkpoint>> {
        let all = checkpoint::list(&self.dir.checkpoints())?;
        let whole = |(step, place): (u64, PathBuf)| {
            checkpoint::read(&place).ok().map(|files| Checkpoint { step, place, files })
        };
        Ok(all.into_iter().rev().filter(|(step, _)| steps.contains(step)).find_map(whole))
    }

    /// To before the first step.
    fn begin(&mut self) -> Result<()> {
        let (values, schedule) = &self.begun;
        values.iter().try_for_each(|(var, value)| var.set((**value).clone()))?;
        self.job.schedule = schedule.clone();
        self.state = State::first(&self.job);
        self.exact = true;
        Ok(())
    }

    /// Makes the next step again.
    fn advance(&mut self, exact: bool) -> Result<Made> {
        let (batch, lr, at) = (self.batch()?, self.lr()?, self.state.step);
        let figures = step(&self.cpu, &self.job, &batch, at, lr, Wanted::ALL)?;
        self.state.take(&figures, &batch);
        if self.state.step <= 1 && figures.loss.is_finite() {
            self.state.usual_loss = self.state.usual_loss.max(f64::from(figures.loss));
        }
        let recorded = self.ledger.step(self.state.step);
        let hash = || StateHash::of(&state::variables(&self.job));
        let hash = recorded.and_then(|record| record.hash).map(|_| hash());
        let made = Made::of(&self.ledger, &figures, &batch, self.state.step, hash);
        let recorded = recorded.is_some();
        let lengths = Lengths::of(&self.job)?;
        if lengths.ends_epoch(self.state.step) {
            // The rates of a run without a ledger can only follow from the measures themselves.
            let follows = self.job.schedule.plateau().is_some() && !recorded;
            if exact || follows {
                end_epoch(&self.cpu, &mut self.job, &mut self.state, &lengths, |scores| scores)?;
            } else {
                self.exact = false;
            }
        }
        Ok(made)
    }

    /// The batch of the next step, as it was fed.
    fn batch(&self) -> Result<Batch> {
        Ok(self.loader.batch_at(self.position())?)
    }

    fn position(&self) -> Position {
        self.position_of(self.state.step)
    }

    /// Where the batch lies that is fed after `made` steps.
    fn position_of(&self, made: u64) -> Position {
        let per_epoch = self.loader.batches_per_epoch() as u64;
        Position { epoch: (made / per_epoch) as u32, batch: (made % per_epoch) as usize }
    }

    /// The learning rate of the next step: the recorded one, since an extended run followed a shorter schedule before.
    fn lr(&self) -> Result<f64> {
        let at = self.state.step;
        if let Some(record) = self.ledger.step(at + 1) {
            return Ok(record.lr);
        }
        if self.dir.was_other_until()? > at {
            return Err(Error::usage(
                format!("{} had other settings at step {}, and no ledger", self.dir.path().display(), at + 1),
                "give a step after its last change of settings; with ledger.on=true all steps can be computed again",
            ));
        }
        Ok(self.job.schedule.lr(at))
    }

    /// What the step where the run stands comes to, without making it.
    fn figures(&self, traced: &crate::step::Traced) -> Result<Figures> {
        crate::step::figures(&self.cpu, traced, &[], Wanted::ALL)
    }
}

#[cfg(test)]
mod tests;
