//! What a training would be, before it begins: sizes, memory, steps, the first batch.

use cpu::Cpu;
use data::{Batch, Position};
use tensor::Var;

use crate::error::Result;
use crate::job::{Job, steps_per_epoch};
use crate::step::{plan_of, training_loader};

/// What a training would be.
pub struct Preview {
    /// Numbers of the net.
    pub parameters: usize,
    /// Those of them that stay as they are.
    pub frozen: usize,
    /// Bytes that a step needs.
    pub memory: Memory,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Steps in all.
    pub steps: u64,
    /// The first batch, as the model would be fed it.
    pub batch: Batch,
}

/// Bytes that a training step needs, as its plan says. The rows of a dataset in memory come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Activations and gradients: the arena of the plan.
    pub arena: usize,
    /// Parameters and buffers.
    pub model: usize,
    /// What the optimiser and the averages remember.
    pub moments: usize,
    /// One batch of inputs; the loader makes a few ahead.
    pub batch: usize,
}

impl Memory {
    /// All of it, with the batches that are made ahead.
    pub fn total(&self, ahead: usize) -> usize {
        self.arena + self.model + self.moments + (1 + ahead) * self.batch
    }
}

/// Plans the first step of `job`, and makes its batch. Nothing is trained or written.
///
/// # Errors
/// If the data cannot be read, or the model does not fit it.
pub fn preview(cpu: &Cpu, job: &mut Job) -> Result<Preview> {
    let batch = training_loader(job)?.batch_at(Position::default())?;
    let plan = plan_of(cpu, job, &batch)?;
    let bytes = |vars: &[Var]| vars.iter().map(|var| var.shape().count() * var.dtype().size()).sum::<usize>();
    let mut moments = bytes(&job.optimizer.state());
    if let Some(average) = &job.average {
        moments += bytes(&average.state());
    }
    let memory = Memory {
        arena: plan.arena,
        model: bytes(&job.scope.parameters()) + bytes(&job.scope.buffers()),
        moments,
        batch: batch.x.len() * size_of::<f32>(),
    };
    Ok(Preview {
        parameters: job.parameters(),
        frozen: job.frozen(),
        memory,
        steps_per_epoch: steps_per_epoch(&job.settings, job.splits.train.len())?,
        steps: job.steps()?,
        batch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job::{Kind, job};

    #[test]
    fn the_sizes_of_a_training_are_known_before_it() {
        let mut job = job(Kind::Conv, &[]);
        let preview = preview(&Cpu::new(1).unwrap(), &mut job).unwrap();
        assert_eq!((preview.steps_per_epoch, preview.steps, &preview.batch.shape[..]), (7, 21, &[8, 1, 8, 8][..]));
        let memory = preview.memory;
        // Two moments of AdamW and the averages, of buffers too.
        assert!(memory.moments >= 3 * 4 * preview.parameters && memory.arena > 0, "{memory:?}");
        assert_eq!(memory.batch, 4 * 8 * 64);
    }
}
