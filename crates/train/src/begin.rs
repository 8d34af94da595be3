//! The folder of a new run, with all that is known before the first step.

use std::path::Path;

use cpu::Cpu;
use data::{Batch, Image, Loader, Position, write_png};
use nn::Pass;
use serde_json::Value;
use tensor::Tensor;

use crate::error::Result;
use crate::graph;
use crate::job::Job;
use crate::pictures::write_batch;
use crate::record::Record;
use crate::run_dir::{Contents, RunDir};
use crate::state::{self, State};
use crate::step::{Traced, trace};

/// The run's folder, with all that is known before the first step.
pub(crate) fn create(cpu: &Cpu, job: &mut Job, loader: &Loader, out: Option<&Path>, command: &str) -> Result<RunDir> {
    let batch = loader.batch_at(Position::default())?;
    let machine = [
        ("simd", cpu.machine().simd.level().to_string()),
        ("threads", cpu.machine().pool.threads().to_string()),
        ("os", std::env::consts::OS.to_owned()),
        ("arch", std::env::consts::ARCH.to_owned()),
    ];
    let contents = Contents {
        record: Record::new(&job.recipe, command, job.settings.get_int("train.seed")? as u64, &machine),
        config: job.settings.to_toml(),
        data: job.splits.to_json()?,
        graph: step_graph(job, &batch)?,
    };
    let input = &job.splits.input;
    RunDir::create(out, &contents, |dir| {
        let pictures = dir.join("pictures");
        write_batch(&pictures.join("first-batch.png"), &batch.x, &batch.shape, input)?;
        write_test_pictures(&pictures, job)?;
        if job.begun {
            state::save(job, &dir.join("checkpoints"), &State::first(job), Position::default())?;
        }
        Ok(())
    })
}

/// The graph of a training step, as `graph.json` holds it.
pub(crate) fn step_graph(job: &mut Job, batch: &Batch) -> Result<Value> {
    let traced = trace(job, batch, 0, job.schedule.lr(0), Pass::train)?;
    traced.losses.total.check()?;
    Ok(graph::to_json(&outputs(&traced)))
}

/// What the graph of a step is made of, by name; the order in which its nodes are numbered.
pub(crate) fn outputs(traced: &Traced) -> Vec<(String, &Tensor)> {
    let mut outputs = vec![("loss".to_owned(), &traced.losses.total), ("logits".to_owned(), &traced.logits)];
    outputs.extend(traced.updates.iter().map(|update| (format!("next {}", update.var.name()), &update.value)));
    outputs
}

/// The first test rows that are pictures, as files to try `predict` with.
fn write_test_pictures(pictures: &Path, job: &Job) -> Result<()> {
    const PICTURES: usize = 5;
    for row in 0..job.splits.test.len().min(PICTURES) {
        let sample = job.splits.test.get(row)?;
        if let [channels @ (1 | 3), height, width] = sample.shape[..] {
            let image = Image { channels, height, width, pixels: sample.x };
            write_png(&pictures.join(format!("test-{row}.png")), &image)?;
        }
    }
    Ok(())
}
