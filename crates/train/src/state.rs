//! What a checkpoint holds, so that training can go on from it as if it had never stopped.
//!
//! Random numbers need no state: they are functions of (seed, stream, step). So a step, a place in the data and the sums
//! of the epoch under way are all that there is beside weights and optimiser.

use std::path::{Path, PathBuf};

use data::Position;
use nn::safetensors;
use serde_json::{Value, json};

use crate::checkpoint;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::metric::{Accuracy, Mean};

/// Weights and buffers.
pub(crate) const MODEL: &str = "model.safetensors";
/// The optimiser's moments.
const OPTIMIZER: &str = "optim.safetensors";
/// Everything else.
const STATE: &str = "state.json";

/// How far a training has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Steps made.
    pub step: u64,
    /// Mean loss over the training rows of the epoch under way.
    pub loss: Mean,
    /// Accuracy on the training rows of the epoch under way.
    pub accuracy: Accuracy,
}

impl State {
    /// As `state.json` holds it.
    fn to_json(&self, job: &Job, position: Position) -> Result<Value> {
        Ok(json!({
            "format": 1,
            "recipe": job.recipe,
            "step": self.step,
            "steps": job.steps()?,
            "data": { "epoch": position.epoch, "batch": position.batch },
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
            },
            // As text, so that every bit comes back.
            "epoch": {
                "loss_sum": format!("{:?}", self.loss.sum()),
                "rows": self.loss.count(),
                "right": self.accuracy.right(),
            },
        }))
    }

    /// The state that `state.json` holds and the place of the next batch; `None` if it holds none.
    pub fn from_json(value: &Value) -> Option<(State, Position)> {
        let (data, epoch) = (value.get("data")?, value.get("epoch")?);
        let number = |value: &Value, name: &str| value.get(name)?.as_u64();
        let rows = number(epoch, "rows")? as usize;
        let state = State {
            step: number(value, "step")?,
            loss: Mean::restored(epoch.get("loss_sum")?.as_str()?.parse().ok()?, rows),
            accuracy: Accuracy::restored(number(epoch, "right")? as usize, rows),
        };
        let position = Position {
            epoch: u32::try_from(number(data, "epoch")?).ok()?,
            batch: usize::try_from(number(data, "batch")?).ok()?,
        };
        Some((state, position))
    }
}

/// Writes a checkpoint of all that training depends on.
pub(crate) fn save(job: &Job, checkpoints: &Path, state: &State, position: Position) -> Result<PathBuf> {
    let bytes = |name: &str, tensors: &nn::State| {
        let metadata = safetensors::Metadata::from([("format".to_owned(), "pt".to_owned())]);
        let place = checkpoints.join(name);
        safetensors::to_bytes(tensors, &metadata).map_err(|why| Error::corrupt(&place, why, "please report this"))
    };
    let model = bytes(MODEL, &job.scope.state()?)?;
    let optimizer = bytes(OPTIMIZER, &nn::state::snapshot(&job.optimizer.state()))?;
    let text = format!("{:#}\n", state.to_json(job, position)?);
    let files = [(MODEL, model), (OPTIMIZER, optimizer), (STATE, text.into_bytes())];
    checkpoint::save(checkpoints, state.step, &files)
}

/// Gives the parameters and buffers of `scope` the values of the newest complete checkpoint, and changes nothing on disk.
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
    let path = found.place.join(MODEL);
    let broken = |why: String| Error::corrupt(&path, why, "train again, or take a checkpoint from a backup");
    let bytes = found.files.get(MODEL).ok_or_else(|| broken("the checkpoint does not list it".to_owned()))?;
    let file = safetensors::from_bytes(bytes).map_err(broken)?;
    scope.load_state(&file.tensors, &path.display().to_string())?;
    Ok((found.step, torn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_state_comes_back() {
        let mut state = State { step: 77, ..State::default() };
        state.loss.add(0.1 + 0.2, 3);
        state.accuracy.add(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0], &[0, 0, 0]);
        let epoch = json!({
            "loss_sum": format!("{:?}", state.loss.sum()), "rows": 3, "right": state.accuracy.right(),
        });
        let text = json!({ "step": 77, "data": { "epoch": 2, "batch": 5 }, "epoch": epoch }).to_string();
        let value = serde_json::from_str(&text).unwrap();
        assert_eq!(State::from_json(&value), Some((state, Position { epoch: 2, batch: 5 })));
    }
}
