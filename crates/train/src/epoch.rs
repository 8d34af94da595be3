//! What follows a step that ends an epoch: validation, the best epoch so far, patience, the plateau's rate.

use std::sync::Arc;

use cpu::Cpu;
use data::Dataset;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::evaluate::evaluate;
use crate::job::Job;
use crate::lengths::Lengths;
use crate::metric::{Accuracy, Mean, Scores};
use crate::state::{Best, State};

/// Ends the epoch in `state`, and gives its figures. `judge` may refuse what validation came to.
pub(crate) fn end_epoch(
    cpu: &Cpu,
    job: &mut Job,
    state: &mut State,
    lengths: &Lengths,
    judge: impl Fn(Result<Scores>) -> Result<Scores>,
) -> Result<Map<String, Value>> {
    let mut figures = Map::new();
    figures.insert("train_loss".to_owned(), state.loss.value().into());
    let numbers = job.splits.input.goal.is_number();
    if !numbers {
        figures.insert("train_accuracy".to_owned(), state.accuracy.value().into());
    }
    let mut loss = state.loss.value();
    if let Some(val) = job.splits.val.clone() {
        let scores = judge(measure(cpu, job, val))?;
        state.val_accuracy = (!numbers).then(|| scores.accuracy.value());
        loss = scores.loss.value();
        figures.extend(scores.to_json("val_"));
    }
    // An epoch that `train.max_steps` cut short is no epoch: extended, the run goes on in the middle of it.
    if state.step.is_multiple_of(lengths.per_epoch) {
        let is_best = state.best.is_none_or(|best| loss < best.loss);
        if is_best {
            state.best = Some(Best { step: state.step, loss });
        }
        state.waited = if is_best { 0 } else { state.waited + 1 };
        job.schedule.observe(loss);
        (state.loss, state.accuracy) = (Mean::default(), Accuracy::default());
    }
    state.open = false;
    Ok(figures)
}

/// The scores of the model, with averaged weights if there are any, on all rows of a set.
pub(crate) fn measure(cpu: &Cpu, job: &Job, rows: Arc<dyn Dataset>) -> Result<Scores> {
    let batch = job.settings.get_size("eval.batch")?;
    with_averages(job, || evaluate(cpu, job.model.as_ref(), rows, &job.splits.input, batch))
}

/// What `look` finds while the model has the averaged weights, if there are any.
pub(crate) fn with_averages<T>(job: &Job, look: impl FnOnce() -> Result<T>) -> Result<T> {
    let swap = || job.average.as_ref().map_or(Ok(()), |average| average.swap());
    swap()?;
    let found = look();
    swap()?;
    found
}
