//! What a checkpoint holds, so that training can go on from it as if it had never stopped.
//!
//! Random numbers need no state: they are functions of (seed, stream, step). So a step, a place in the data, and what the
//! loop remembers are all that there is beside weights, averages and optimiser.

use std::path::{Path, PathBuf};

use data::{Batch, Position};
use nn::safetensors;
use nn::schedule::PlateauState;
use serde_json::{Value, json};
use tensor::Var;

use crate::checkpoint::{self, Checkpoint};
use crate::divergence::Watch;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::metric::{Accuracy, Mean};
use crate::provenance::Provenance;
use crate::step::Figures;

/// Weights and buffers.
pub const MODEL: &str = "model.safetensors";
/// Averages of weights and buffers, if there are any.
const AVERAGE: &str = "average.safetensors";
/// The optimiser's moments.
const OPTIMIZER: &str = "optim.safetensors";
/// Everything else.
const STATE: &str = "state.json";

/// How far a training has come, and what its loop remembers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Steps made.
    pub step: u64,
    /// Mean loss over the training rows of the epoch under way.
    pub loss: Mean,
    /// Accuracy on the training rows of the epoch under way.
    pub accuracy: Accuracy,
    /// Whether steps were made since the last end of an epoch was told.
    pub open: bool,
    /// A running mean of the loss, for the eyes.
    pub smooth: Smooth,
    /// The last accuracy on the validation rows.
    pub val_accuracy: Option<f64>,
    /// What a loss is at first: a million times that is divergence.
    pub usual_loss: f64,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Epochs since the best one.
    pub waited: u64,
}

/// The epoch with the least loss on the validation rows, or on the training rows if there are none to validate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Steps made at its end.
    pub step: u64,
    /// The loss.
    pub loss: f64,
}

/// A running mean that forgets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Smooth {
    sum: f64,
    weight: f64,
}

impl Smooth {
    /// Share of the mean that each step keeps.
    const KEPT: f64 = 0.98;

    /// Takes in the loss of a step.
    pub fn add(&mut self, loss: f64) {
        self.sum = Smooth::KEPT * self.sum + (1.0 - Smooth::KEPT) * loss;
        self.weight = Smooth::KEPT * self.weight + (1.0 - Smooth::KEPT);
    }

    /// The mean.
    pub fn value(&self) -> f64 {
        self.sum / self.weight.max(f64::MIN_POSITIVE)
    }
}

impl State {
    /// Takes in a step that was made on `batch`.
    pub(crate) fn take(&mut self, figures: &Figures, batch: &Batch) {
        self.step += 1;
        self.open = true;
        self.loss.add(f64::from(figures.loss), batch.len());
        self.accuracy.add(&figures.logits, &batch.labels);
        self.smooth.add(f64::from(figures.loss));
    }

    /// As `state.json` holds it. Floats that must come back bit for bit are text.
    fn to_json(&self, job: &Job, position: Position) -> Result<Value> {
        Ok(json!({
            "format": 2,
            "recipe": job.recipe,
            "step": self.step,
            "steps": job.steps()?,
            "data": { "epoch": position.epoch, "batch": position.batch, "rows": job.settings.get_int("train.batch")? },
            "random": {
                "generator": "philox4x32-10",
                "seed": job.settings.get_int("train.seed")?,
                "stream": "train",
                "step": self.step,
            },
            "optimizer": job.settings.get_word("train.optimizer")?,
            "schedule": {
                "name": job.settings.get_word("train.schedule")?,
                "step": self.step,
                "lr": job.schedule.lr(self.step),
                "plateau": job.schedule.plateau_state().map(|state| state.to_json()),
            },
            "loop": self.loop_to_json(),
        }))
    }

    fn loop_to_json(&self) -> Value {
        json!({
            "epoch_loss_sum": text(self.loss.sum()),
            "epoch_rows": self.loss.count(),
            "epoch_right": self.accuracy.right(),
            "epoch_asked": self.accuracy.count(),
            "epoch_open": self.open,
            "smooth_loss_sum": text(self.smooth.sum),
            "smooth_loss_weight": text(self.smooth.weight),
            "val_accuracy": self.val_accuracy.map(text),
            "usual_loss": text(self.usual_loss),
            "best": self.best.map(|best| json!({ "step": best.step, "loss": text(best.loss) })),
            "epochs_waited": self.waited,
        })
    }

    /// Before the first step of `job`.
    pub fn first(job: &Job) -> State {
        State { usual_loss: Watch::expected(job.splits.input.classes.len()), ..State::default() }
    }

    fn from_json(value: &Value) -> Option<State> {
        let part = value.get("loop")?;
        let rows = size(part, "epoch_rows")? as usize;
        // (A checkpoint of an older version asked each row once.)
        let asked = size(part, "epoch_asked").map_or(rows, |asked| asked as usize);
        let best = match part.get("best")? {
            Value::Null => None,
            best => Some(Best { step: size(best, "step")?, loss: float(best.get("loss")?)? }),
        };
        let val_accuracy = match part.get("val_accuracy")? {
            Value::Null => None,
            accuracy => Some(float(accuracy)?),
        };
        Some(State {
            step: size(value, "step")?,
            loss: Mean::restored(float(part.get("epoch_loss_sum")?)?, rows),
            accuracy: Accuracy::restored(size(part, "epoch_right")? as usize, asked),
            open: part.get("epoch_open")?.as_bool()?,
            smooth: Smooth {
                sum: float(part.get("smooth_loss_sum")?)?,
                weight: float(part.get("smooth_loss_weight")?)?,
            },
            val_accuracy,
            usual_loss: float(part.get("usual_loss")?)?,
            best,
            waited: size(part, "epochs_waited")?,
        })
    }
}

fn text(number: f64) -> Value {
    format!("{number:?}").into()
}

fn float(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

fn size(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

/// All that a step changes: parameters, buffers, moments, averages; in this order they are hashed.
pub(crate) fn variables(job: &Job) -> Vec<Var> {
    let averages = job.average.as_ref().map_or(Vec::new(), |average| average.state());
    [job.scope.parameters(), job.scope.buffers(), job.optimizer.state(), averages].concat()
}

/// Writes a checkpoint of all that training depends on.
pub(crate) fn save(job: &Job, checkpoints: &Path, state: &State, position: Position) -> Result<PathBuf> {
    checkpoint::save(checkpoints, state.step, &files(job, checkpoints, state, position)?)
}

/// The files of a checkpoint; `checkpoints` is for messages.
pub(crate) fn files(
    job: &Job,
    checkpoints: &Path,
    state: &State,
    position: Position,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let bytes = |name: &str, tensors: &nn::State, metadata: &safetensors::Metadata| {
        let place = checkpoints.join(name);
        safetensors::to_bytes(tensors, metadata).map_err(|why| Error::corrupt(&place, why, "please report this"))
    };
    let plain = safetensors::Metadata::from([("format".to_owned(), "pt".to_owned())]);
    let told = Provenance::of(job, state.step)?.to_metadata();
    let mut files = vec![
        (MODEL, bytes(MODEL, &job.scope.state()?, &plain.clone().into_iter().chain(told).collect())?),
        (OPTIMIZER, bytes(OPTIMIZER, &nn::state::snapshot(&job.optimizer.state()), &plain)?),
    ];
    if let Some(average) = &job.average {
        files.push((AVERAGE, bytes(AVERAGE, &nn::state::snapshot(&average.state()), &plain)?));
    }
    files.push((STATE, format!("{:#}\n", state.to_json(job, position)?).into_bytes()));
    Ok(files)
}

/// The learning rate of the step behind a checkpoint, by the schedule that it was written under.
pub(crate) fn next_rate(checkpoint: &Checkpoint) -> Option<f64> {
    let state: Value = serde_json::from_slice(checkpoint.files.get(STATE)?).ok()?;
    state["schedule"]["lr"].as_f64()
}

/// Brings a job to where a checkpoint was written, and gives the state and the place of the next batch.
///
/// # Errors
/// If the checkpoint is of another model, optimiser, seed or batch size.
pub(crate) fn load(job: &mut Job, checkpoint: &Checkpoint) -> Result<(State, Position)> {
    let path = checkpoint.place.join(STATE);
    let broken = |why: String| Error::corrupt(&path, why, "go on from another checkpoint with --from STEP --as NAME");
    let bytes = checkpoint.files.get(STATE).ok_or_else(|| broken("the checkpoint does not list it".to_owned()))?;
    let value: Value = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    if value["format"] != 2 {
        return Err(broken(format!("it is of format {}, and this version reads format 2", value["format"])));
    }
    let (state, position) = State::from_json(&value)
        .zip(position(&value["data"]))
        .ok_or_else(|| broken("it lacks a part of the state of a training".to_owned()))?;
    let now = [
        ("recipe", &value["recipe"], Value::from(job.recipe.clone())),
        ("train.optimizer", &value["optimizer"], job.settings.get_word("train.optimizer")?.into()),
        ("train.seed", &value["random"]["seed"], job.settings.get_int("train.seed")?.into()),
        ("train.batch", &value["data"]["rows"], job.settings.get_int("train.batch")?.into()),
    ];
    if let Some((name, then, now)) = now.iter().find(|(_, then, now)| *then != now) {
        return Err(Error::usage(
            format!("{} was written with {name} = {then}, and cannot go on with {now}", checkpoint.place.display()),
            "train anew with the other value",
        ));
    }
    give(checkpoint, MODEL, |tensors, from| job.scope.load_state(tensors, from))?;
    give(checkpoint, OPTIMIZER, |tensors, from| nn::state::restore(&job.optimizer.state(), tensors, from))?;
    if let Some(average) = &job.average {
        // A run that was trained without averages begins them with the weights that it has.
        let name = if checkpoint.files.contains_key(AVERAGE) { AVERAGE } else { MODEL };
        give(checkpoint, name, |tensors, from| average.restore(tensors, from))?;
    }
    if let Some(plateau) = job.schedule.plateau() {
        let saved = &value["schedule"]["plateau"];
        match PlateauState::from_json(saved) {
            Some(state) => plateau.state = state,
            // Another schedule until now: this one begins here.
            None if saved.is_null() => {}
            None => return Err(broken("it does not hold the state of the plateau".to_owned())),
        }
    }
    Ok((state, position))
}

fn position(value: &Value) -> Option<Position> {
    Some(Position {
        epoch: u32::try_from(size(value, "epoch")?).ok()?,
        batch: usize::try_from(size(value, "batch")?).ok()?,
    })
}

/// Gives the parameters and buffers of `scope` the values of the newest complete checkpoint (averages, if
/// it has them), and changes nothing on disk.
/// Returns its step, and what is to be said about torn ones.
///
/// # Errors
/// If there is no complete checkpoint, or it is one of another model.
pub fn load_model(scope: &nn::Scope, checkpoints: &Path) -> Result<(u64, Vec<String>)> {
    let newest = checkpoint::newest(checkpoints)?;
    let torn: Vec<String> =
        newest.torn.iter().map(|(place, why)| format!("{} is torn ({why})", place.display())).collect();
    let Some(found) = newest.found else {
        let why = match &torn[..] {
            [] => "it holds no complete checkpoint".to_owned(),
            torn => format!("it holds no complete checkpoint: {}", torn.join("; ")),
        };
        return Err(Error::corrupt(checkpoints, why, "train again, or take a checkpoint from a backup"));
    };
    load_weights(scope, &found)?;
    Ok((found.step, torn))
}

/// Gives the parameters and buffers of `scope` the values of `checkpoint` (averages, if it has them).
///
/// # Errors
/// If it is one of another model, or damaged.
pub fn load_weights(scope: &nn::Scope, checkpoint: &Checkpoint) -> Result<()> {
    give(checkpoint, MODEL, |tensors, from| scope.load_state(tensors, from))?;
    if checkpoint.files.contains_key(AVERAGE) {
        let float = |var: &tensor::Var| var.dtype().is_float();
        let averaged = [scope.parameters(), scope.buffers()].concat().into_iter().filter(float);
        give(checkpoint, AVERAGE, |tensors, from| nn::state::restore(&averaged.collect::<Vec<_>>(), tensors, from))?;
    }
    Ok(())
}

/// Hands the tensors of a file of `checkpoint` to whoever takes them.
fn give(checkpoint: &Checkpoint, name: &str, take: impl FnOnce(&nn::State, &str) -> nn::Result<()>) -> Result<()> {
    let path = checkpoint.place.join(name);
    let broken = |why: String| Error::corrupt(&path, why, "train again, or take a checkpoint from a backup");
    let bytes = checkpoint.files.get(name).ok_or_else(|| broken("the checkpoint does not list it".to_owned()))?;
    let file = safetensors::from_bytes(bytes).map_err(broken)?;
    Ok(take(&file.tensors, &path.display().to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_state_comes_back() {
        let mut state = State {
            step: 77,
            open: true,
            val_accuracy: Some(1.0 / 3.0),
            usual_loss: f64::ln(10.0),
            best: Some(Best { step: 70, loss: f64::MIN_POSITIVE }),
            waited: 2,
            ..State::default()
        };
        state.loss.add(0.1 + 0.2, 3);
        state.smooth.add(0.1);
        state.accuracy.add(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0], &[0, 0, 0]);
        let text = json!({ "step": 77, "loop": state.loop_to_json() }).to_string();
        assert_eq!(State::from_json(&serde_json::from_str(&text).unwrap()), Some(state));
    }
}
