//! One step: batch, loss, gradients, update, all of it in one plan.

use std::sync::Arc;

use cpu::Cpu;
use data::{Batch, Loader, LoaderConfig, Position};
use nn::Pass;
use nn::clip::{Norm, total_norm};
use tensor::plan::Plan;
use tensor::{RandomKey, Tensor, Update, Var};

use crate::error::Result;
use crate::evaluate::{floats, number, tensors};
use crate::job::{Job, Losses};
use crate::ledger::{RowLoss, StepRecord, StepRows};

/// The plan of the first training step of `job`: forward, backward and optimiser as one list of kernels.
///
/// # Errors
/// If the data cannot be read, or the model does not fit it.
pub fn plan(cpu: &Cpu, job: &mut Job) -> Result<Arc<Plan>> {
    let batch = training_loader(job)?.batch_at(Position::default())?;
    plan_of(cpu, job, &batch)
}

/// The plan of a step on `batch`.
pub(crate) fn plan_of(cpu: &Cpu, job: &mut Job, batch: &Batch) -> Result<Arc<Plan>> {
    let traced = trace(job, batch, 0, job.schedule.lr(0), Pass::train)?;
    let wanted = Wanted::of(job)?;
    let outputs = Outputs::of(&traced, wanted);
    Ok(cpu.plan(&outputs.tensors(), &traced.updates)?)
}

/// What one step gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    pub lr: f64,
    pub loss: f32,
    pub grad_norm: f32,
    pub logits: Vec<f32>,
    /// Lengths of weights and update, if they were asked for.
    pub norms: Option<[f32; 2]>,
    /// The loss of each row, if it was asked for and there is such a thing.
    pub rows: Option<Vec<f32>>,
}

/// What is asked of a step for the ledger; changes no bit of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub rows: bool,
    pub norms: bool,
}

impl Wanted {
    pub const ALL: Wanted = Wanted { rows: true, norms: true };

    /// What is asked of a step that is trained: its lengths are taken beside it ([`crate::ledger::Norms`]).
    pub fn of(job: &Job) -> Result<Wanted> {
        Ok(Wanted { rows: job.settings.get_flag("ledger.on")?, norms: false })
    }
}

impl Figures {
    /// What the ledger holds of step `step` (from 1).
    pub fn record(&self, step: u64, batch: &Batch) -> (StepRecord, StepRows) {
        let [weight_norm, update_norm] = self.norms.map_or([None, None], |norms| norms.map(Some));
        let (lr, loss, grad_norm) = (self.lr, self.loss, self.grad_norm);
        let record = StepRecord { step, lr, loss, grad_norm, weight_norm, update_norm, hash: None };
        let loss_of = |at: usize| self.rows.as_ref().and_then(|rows| rows.get(at)).copied().unwrap_or(f32::NAN);
        let rows = batch.rows.iter().enumerate();
        let rows = rows.map(|(at, &row)| RowLoss { row: row as u32, loss: loss_of(at) }).collect();
        (record, StepRows { step, epoch: batch.position.epoch, rows })
    }
}

/// The graph of one step: what it computes, and what it changes.
pub(crate) struct Traced {
    /// `[N, ..]` and `[N]`: the batch as fed.
    pub x: Tensor,
    pub labels: Tensor,
    pub logits: Tensor,
    pub losses: Losses,
    /// What is trained, before the step, and the gradient of each.
    pub parameters: Vec<Var>,
    pub gradients: Vec<Tensor>,
    pub updates: Vec<Update>,
    pub pass: Pass,
    pub lr: f64,
}

impl Traced {
    /// Length of the gradient of all parameters.
    pub fn grad_norm(&self) -> Tensor {
        total_norm(&self.gradients, Norm::P(2.0))
    }

    /// Length of all parameters after the step. (Before it, they could not be changed in place.)
    pub fn weight_norm(&self) -> Tensor {
        let next = |var: &Var| self.updates.iter().find(|update| update.var.is(var)).map(|update| update.value.clone());
        total_norm(&self.parameters.iter().filter_map(next).collect::<Vec<_>>(), Norm::P(2.0))
    }

    /// What the step adds to a variable; `None` if it leaves it alone.
    pub fn change(&self, var: &Var) -> Option<Tensor> {
        let update = self.updates.iter().find(|update| update.var.is(var))?;
        Some(&update.value - var.tensor())
    }

    /// Length of what the step adds to all parameters.
    pub fn update_norm(&self) -> Tensor {
        let changes: Vec<Tensor> = self.parameters.iter().filter_map(|var| self.change(var)).collect();
        total_norm(&changes, Norm::P(2.0))
    }
}

/// What a step is asked for.
pub(crate) struct Outputs {
    loss: Tensor,
    logits: Tensor,
    grad_norm: Tensor,
    /// Of weights and update.
    norms: Option<[Tensor; 2]>,
    rows: Option<Tensor>,
}

impl Outputs {
    pub fn of(traced: &Traced, wanted: Wanted) -> Outputs {
        Outputs {
            loss: traced.losses.total.clone(),
            logits: traced.logits.clone(),
            grad_norm: traced.grad_norm(),
            norms: wanted.norms.then(|| [traced.weight_norm(), traced.update_norm()]),
            rows: traced.losses.rows.clone().filter(|_| wanted.rows),
        }
    }

    pub fn tensors(&self) -> Vec<&Tensor> {
        let always = [&self.loss, &self.logits, &self.grad_norm].into_iter();
        always.chain(self.norms.iter().flatten()).chain(&self.rows).collect()
    }
}

/// Traces step `number` (from 0) on `batch` at learning rate `lr`, as `pass` makes a pass of its random key.
pub(crate) fn trace(
    job: &Job,
    batch: &Batch,
    number: u64,
    lr: f64,
    pass: impl FnOnce(RandomKey) -> Pass,
) -> Result<Traced> {
    let (x, labels) = tensors(batch)?;
    let seed = job.settings.get_int("train.seed")? as u64;
    let pass = pass(RandomKey::new(seed).stream("train").step(number as u32));
    let logits = job.model.forward(&x, &pass);
    let losses = (job.loss)(&logits, &labels);
    let parameters = job.optimizer.parameters();
    let gradients = losses.total.grad(&parameters.iter().map(Var::tensor).collect::<Vec<_>>());
    let mut updates = job.optimizer.step(&gradients, lr);
    updates.extend(pass.updates());
    if let Some(average) = &job.average {
        let averages = average.updates(&updates, number);
        updates.extend(averages);
    }
    Ok(Traced { x, labels, logits, losses, parameters, gradients, updates, pass, lr })
}

/// Carries out step `number` (from 0): forward, backward and optimiser as one plan.
pub(crate) fn step(cpu: &Cpu, job: &Job, batch: &Batch, number: u64, lr: f64, wanted: Wanted) -> Result<Figures> {
    let traced = trace(job, batch, number, lr, Pass::train)?;
    figures(cpu, &traced, &traced.updates, wanted)
}

/// The figures of a traced step; carries out `updates`.
pub(crate) fn figures(cpu: &Cpu, traced: &Traced, updates: &[Update], wanted: Wanted) -> Result<Figures> {
    let outputs = Outputs::of(traced, wanted);
    let values = cpu.run(&outputs.tensors(), updates)?;
    let norms = outputs.norms.as_ref().map(|_| [number(&values[3]), number(&values[4])]);
    let rows = outputs.rows.as_ref().and(values.last()).map(|rows| floats(rows).to_vec());
    let (loss, grad_norm, logits) = (number(&values[0]), number(&values[2]), floats(&values[1]).to_vec());
    Ok(Figures { lr: traced.lr, loss, grad_norm, logits, norms, rows })
}

/// The loader of the training rows.
pub(crate) fn training_loader(job: &Job) -> Result<Loader> {
    let batch = job.settings.get_size("train.batch")?;
    let config = LoaderConfig {
        batch,
        seed: job.settings.get_int("train.seed")? as u64,
        drop_last: job.splits.train.len() >= batch,
        workers: job.settings.get_size("data.workers")?,
        transforms: job.splits.input.prepare(&job.splits.augment),
        ..LoaderConfig::default()
    };
    Ok(Loader::new(Arc::clone(&job.splits.train), config)?)
}
