//! One step: batch, loss, gradients, update, all of it in one plan.

use std::sync::Arc;

use cpu::Cpu;
use data::{Loader, LoaderConfig, Position};
use nn::Pass;
use nn::clip::{Norm, total_norm};
use tensor::plan::Plan;
use tensor::{RandomKey, Tensor, Update, Var};

use crate::error::Result;
use crate::evaluate::{floats, number, tensors};
use crate::job::Job;

/// The plan of the first training step of `job`: forward, backward and optimiser as one list of kernels.
///
/// # Errors
/// If the data cannot be read, or the model does not fit it.
pub fn plan(cpu: &Cpu, job: &mut Job) -> Result<Arc<Plan>> {
    let batch = training_loader(job)?.batch_at(Position::default())?;
    plan_of(cpu, job, &batch)
}

/// The plan of a step on `batch`.
pub(crate) fn plan_of(cpu: &Cpu, job: &mut Job, batch: &data::Batch) -> Result<Arc<Plan>> {
    let Traced { loss, logits, grad_norm, updates, .. } = trace(job, batch, 0)?;
    Ok(cpu.plan(&[&loss, &logits, &grad_norm], &updates)?)
}

/// What one step gave.
pub(crate) struct Figures {
    pub loss: f32,
    pub lr: f64,
    pub grad_norm: f32,
    pub logits: Vec<f32>,
}

/// The graph of one step: what it computes, and what it changes.
pub(crate) struct Traced {
    pub loss: Tensor,
    pub logits: Tensor,
    grad_norm: Tensor,
    pub updates: Vec<Update>,
    lr: f64,
}

/// Traces step `number` on `batch`.
pub(crate) fn trace(job: &mut Job, batch: &data::Batch, number: u64) -> Result<Traced> {
    let (x, labels) = tensors(batch)?;
    let seed = job.settings.get_int("train.seed")? as u64;
    let pass = Pass::train(RandomKey::new(seed).stream("train").step(number as u32));
    let logits = job.model.forward(&x, &pass);
    let loss = (job.loss)(&logits, &labels);
    let parameters: Vec<Tensor> = job.optimizer.parameters().iter().map(Var::tensor).collect();
    let gradients = loss.grad(&parameters);
    let grad_norm = total_norm(&gradients, Norm::P(2.0));
    let lr = job.schedule.lr(number);
    let mut updates = job.optimizer.step(&gradients, lr);
    updates.extend(pass.updates());
    if let Some(average) = &job.average {
        let averages = average.updates(&updates, number);
        updates.extend(averages);
    }
    Ok(Traced { loss, logits, grad_norm, updates, lr })
}

/// Carries out step `at`: forward, backward and optimiser as one plan.
pub(crate) fn step(cpu: &Cpu, job: &mut Job, batch: &data::Batch, at: u64) -> Result<Figures> {
    let Traced { loss, logits, grad_norm, updates, lr } = trace(job, batch, at)?;
    let values = cpu.run(&[&loss, &logits, &grad_norm], &updates)?;
    Ok(Figures { loss: number(&values[0]), lr, grad_norm: number(&values[2]), logits: floats(&values[1]).to_vec() })
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
