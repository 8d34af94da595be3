//! What would have been: a step made otherwise, and what the loss would then be.

use std::sync::Arc;

use data::Batch;
use nn::Pass;
use tensor::{Array, Var};

use super::{Run, check};
use crate::error::{Error, Result};
use crate::evaluate::number;
use crate::state;
use crate::step::{Wanted, step, trace};

/// What is done otherwise in one step.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Another learning rate.
    Rate(f64),
    /// Without the rows at these places of the batch.
    Without(Vec<usize>),
}

/// A step as it was, and as it would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// From 1.
    pub step: u64,
    /// What was done otherwise.
    pub change: Change,
    /// As it was.
    pub was: Tried,
    /// As it would have been.
    pub would: Tried,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// Loss of its batch.
    pub loss: f32,
    /// Length of the gradient.
    pub grad_norm: f32,
    /// Loss of the same batch after the step; of the rows that are left, both times, if some are left out.
    pub after: f32,
    /// Loss of the next batch.
    pub next: f32,
}

impl Run {
    /// Makes step `step` (from 1) as it was and with a change, and measures what comes of both. The run stays as it is.
    ///
    /// # Errors
    /// As for [`Run::at`]; if no row is left.
    pub fn what_if(&mut self, step: u64, change: &Change) -> Result<WhatIf> {
        self.check_step(step)?;
        self.seek(step - 1, false, &mut check::met)?;
        let (batch, lr) = (self.batch()?, self.lr()?);
        let (other, rate) = match change {
            Change::Rate(rate) => (batch.clone(), *rate),
            Change::Without(places) => (without(&batch, places)?, lr),
        };
        Ok(WhatIf {
            step,
            change: change.clone(),
            was: self.tried(&batch, lr, &other)?,
            would: self.tried(&other, rate, &other)?,
        })
    }

    /// What comes of a step on `batch` at rate `lr`; afterwards all is as before.
    fn tried(&self, batch: &Batch, lr: f64, measured: &Batch) -> Result<Tried> {
        self.and_back(|| self.try_step(batch, lr, measured))
    }

    /// What `f` gives, which may change every variable; afterwards all are as before.
    pub(super) fn and_back<R>(&self, f: impl FnOnce() -> Result<R>) -> Result<R> {
        let with_value = |var: Var| (var.clone(), var.value());
        let before: Vec<(Var, Arc<Array>)> = state::variables(&self.job).into_iter().map(with_value).collect();
        let outcome = f();
        before.into_iter().try_for_each(|(var, value)| var.set((*value).clone()))?;
        outcome
    }

    fn try_step(&self, batch: &Batch, lr: f64, measured: &Batch) -> Result<Tried> {
        let at = self.state.step;
        // A state that is carried from batch to batch is one of the buffers.
        let buffers = self.job.scope.buffers();
        let before: Vec<Arc<Array>> = buffers.iter().map(Var::value).collect();
        let figures = step(&self.cpu, &self.job, batch, at, lr, Wanted { rows: false, norms: false })?;
        let loss = |batch: &Batch, at: u64| -> Result<f32> {
            let traced = trace(&self.job, batch, at, lr, Pass::train)?;
            Ok(number(&self.cpu.run(&[&traced.losses.total], &[])?[0]))
        };
        let next = self.loader.batch_at(self.position_of(at + 1))?;
        let next = loss(&next, at + 1)?;
        buffers.iter().zip(before).try_for_each(|(var, value)| var.set((*value).clone()))?;
        Ok(Tried { loss: figures.loss, grad_norm: figures.grad_norm, after: loss(measured, at)?, next })
    }
}

/// A batch without the rows at some places.
fn without(batch: &Batch, places: &[usize]) -> Result<Batch> {
    let kept: Vec<usize> = (0..batch.len()).filter(|place| !places.contains(place)).collect();
    if kept.is_empty() {
        return Err(Error::usage("no row of the batch would be left", "leave out fewer rows"));
    }
    let mut shape = batch.shape.clone();
    if let Some(rows) = shape.first_mut() {
        *rows = kept.len();
    }
    Ok(Batch {
        x: of_rows(&batch.x, batch.len(), &kept),
        shape,
        labels: of_rows(&batch.labels, batch.len(), &kept),
        values: of_rows(&batch.values, batch.len(), &kept),
        rows: of_rows(&batch.rows, batch.len(), &kept),
        position: batch.position,
    })
}

/// The numbers that belong to some of `rows` rows.
fn of_rows<T: Copy>(all: &[T], rows: usize, kept: &[usize]) -> Vec<T> {
    let each = all.len() / rows.max(1);
    kept.iter().flat_map(|&row| all[row * each..(row + 1) * each].iter().copied()).collect()
}
