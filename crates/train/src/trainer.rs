//! The step loop: batch, loss, gradients, update, all of a step in one plan; validation and checkpoints in between.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cpu::Cpu;
use data::{Image, Loader, LoaderConfig, Position, write_png};
use nn::Pass;
use nn::clip::{Norm, total_norm};
use serde_json::{Map, Value};
use tensor::plan::Plan;
use tensor::{RandomKey, Tensor, Update, Var};

use crate::divergence::Watch;
use crate::error::{Error, Result};
use crate::evaluate::{evaluate, floats, number, tensors};
use crate::event::{End, Epoch, Event, Start, Status, Step};
use crate::graph;
use crate::job::Job;
use crate::metric::{Accuracy, Mean};
use crate::pictures::write_batch;
use crate::record::Record;
use crate::run_dir::{Contents, RunDir};
use crate::state::{self, State};

/// Trains `job` into a new run at `out` (default: `runs/NAME-K`), and measures it on the test rows.
///
/// The loop stops after the step during which `stop` becomes true, with a checkpoint. `listen` hears what happens.
///
/// # Errors
/// If the run cannot be made, data or model cannot be evaluated, or the training diverged: the loss of a step, of the
/// validation rows or of the test rows, the gradient or a weight is no number any more, or a loss is absurd (a million times
/// what it was at first). The run then says how far it came, and its checkpoints stay.
pub fn fit(
    cpu: &Cpu,
    job: &mut Job,
    out: Option<&Path>,
    command: &str,
    stop: &AtomicBool,
    listen: &mut dyn FnMut(&Event),
) -> Result<End> {
    let clock = Instant::now();
    let loader = training_loader(job)?;
    let mut run = create(cpu, job, &loader, out, command)?;
    let mut tell = |run: &RunDir, event: Event| {
        listen(&event);
        run.log(&event)
    };
    let epochs_in_all = job.steps()?.div_ceil(loader.batches_per_epoch() as u64);
    tell(&run, Event::Start(start(cpu, job, &run, epochs_in_all)?))?;
    for left in run.leftovers() {
        let text = format!("{} is left of a run that was killed before it began, and can be removed", left.display());
        tell(&run, Event::Note(text))?;
    }
    for note in &job.splits.notes {
        tell(&run, Event::Note(note.clone()))?;
    }
    for skipped in job.splits.skipped() {
        tell(&run, Event::Note(format!("skipped {}: {}", skipped.path.display(), first_line(&skipped.why))))?;
    }

    let mut state = State::default();
    let outcome = epochs(cpu, job, &run, loader, &mut state, stop, &mut tell).and_then(|(status, watch)| {
        let figures = if status == Status::Finished { test(cpu, job, &run, &watch)? } else { Map::new() };
        Ok((status, figures))
    });
    let seconds = clock.elapsed().as_secs_f64();
    match outcome {
        Ok((status, figures)) => {
            run.end(status, &figures)?;
            let end = End { run: run.path().to_owned(), status, step: state.step, figures, seconds };
            run.log(&Event::End(end.clone()))?;
            Ok(end)
        }
        Err(error) => {
            let status = if matches!(error, Error::Diverged { .. }) { Status::Diverged } else { Status::Failed };
            // The first error is the one to report, even if the disk refuses to note it.
            let _ = run.log(&Event::Note(error.to_string()));
            let _ = run.end(status, &Map::new());
            Err(error)
        }
    }
}

/// The plan of the first training step of `job`: forward, backward and optimiser as one list of kernels.
///
/// # Errors
/// If the data cannot be read, or the model does not fit it.
pub fn plan(cpu: &Cpu, job: &mut Job) -> Result<Arc<Plan>> {
    let batch = training_loader(job)?.batch_at(Position::default())?;
    let Traced { loss, logits, grad_norm, updates, .. } = trace(job, &batch, 0)?;
    Ok(cpu.plan(&[&loss, &logits, &grad_norm], &updates)?)
}

/// All steps that are left, epoch by epoch.
fn epochs(
    cpu: &Cpu,
    job: &mut Job,
    run: &RunDir,
    mut loader: Loader,
    state: &mut State,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&RunDir, Event) -> Result<()>,
) -> Result<(Status, Watch)> {
    let mut watch = Watch::new(job.splits.input.classes.len());
    let (steps, batch) = (job.steps()?, job.settings.get_size("eval.batch")?);
    let every = job.settings.get_int("checkpoint.every")? as u64;
    let per_epoch = loader.batches_per_epoch() as u64;
    let epochs = steps.div_ceil(per_epoch);
    let mut val_accuracy = None;
    let mut pace = Pace::new();
    while state.step < steps {
        let clock = Instant::now();
        let epoch = state.step / per_epoch + 1;
        let last = (epoch * per_epoch).min(steps);
        while state.step < last {
            let batch = loader.next_batch()?;
            let figures = step(cpu, job, &batch, state.step)?;
            state.step += 1;
            state.loss.add(f64::from(figures.loss), batch.len());
            state.accuracy.add(&figures.logits, &batch.labels);
            watch.at(state.step, epoch);
            watch.step(figures.loss, figures.grad_norm)?;
            pace.step(figures.loss, batch.len());
            tell(
                run,
                Event::Step(Step {
                    epoch,
                    epochs,
                    step: state.step,
                    steps,
                    loss: figures.loss,
                    smooth_loss: pace.loss(),
                    lr: figures.lr,
                    grad_norm: figures.grad_norm,
                    val_accuracy,
                    rate: pace.rate(),
                    left: (steps - state.step) as f64 * batch.len() as f64 / pace.rate().max(1e-9),
                }),
            )?;
            let stopped = stop.load(Ordering::Relaxed);
            if stopped || (every > 0 && state.step.is_multiple_of(every) && state.step < last) {
                save(job, run, state, &watch, &loader, tell)?;
            }
            if stopped {
                return Ok((Status::Interrupted, watch));
            }
        }
        let mut figures = Map::new();
        figures.insert("train_loss".to_owned(), state.loss.value().into());
        figures.insert("train_accuracy".to_owned(), state.accuracy.value().into());
        if let Some(val) = &job.splits.val {
            let scores = evaluate(cpu, job.model.as_ref(), Arc::clone(val), &job.splits.input, batch);
            let scores = watch.scores("validation", scores)?;
            val_accuracy = Some(scores.accuracy.value());
            figures.extend(scores.to_json("val_"));
        }
        let seconds = clock.elapsed().as_secs_f64();
        tell(run, Event::Epoch(Epoch { epoch, epochs, step: state.step, figures, seconds }))?;
        (state.loss, state.accuracy) = (Mean::default(), Accuracy::default());
        save(job, run, state, &watch, &loader, tell)?;
    }
    Ok((Status::Finished, watch))
}

/// What one step gave.
struct Figures {
    loss: f32,
    lr: f64,
    grad_norm: f32,
    logits: Vec<f32>,
}

/// The graph of one step: what it computes, and what it changes.
struct Traced {
    loss: Tensor,
    logits: Tensor,
    grad_norm: Tensor,
    updates: Vec<Update>,
    lr: f64,
}

/// Traces step `number` on `batch`.
fn trace(job: &mut Job, batch: &data::Batch, number: u64) -> Result<Traced> {
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
    Ok(Traced { loss, logits, grad_norm, updates, lr })
}

/// Carries out step `at`: forward, backward and optimiser as one plan.
fn step(cpu: &Cpu, job: &mut Job, batch: &data::Batch, at: u64) -> Result<Figures> {
    let Traced { loss, logits, grad_norm, updates, lr } = trace(job, batch, at)?;
    let values = cpu.run(&[&loss, &logits, &grad_norm], &updates)?;
    Ok(Figures { loss: number(&values[0]), lr, grad_norm: number(&values[2]), logits: floats(&values[1]).to_vec() })
}

/// The loader of the training rows.
fn training_loader(job: &Job) -> Result<Loader> {
    let batch = job.settings.get_size("train.batch")?;
    let config = LoaderConfig {
        batch,
        seed: job.settings.get_int("train.seed")? as u64,
        drop_last: job.splits.train.len() >= batch,
        transforms: job.splits.input.prepare(&job.splits.augment),
        ..LoaderConfig::default()
    };
    Ok(Loader::new(Arc::clone(&job.splits.train), config)?)
}

/// The run's folder, with all that is known before the first step.
fn create(cpu: &Cpu, job: &mut Job, loader: &Loader, out: Option<&Path>, command: &str) -> Result<RunDir> {
    let batch = loader.batch_at(Position::default())?;
    let traced = trace(job, &batch, 0)?;
    traced.loss.check()?;
    let mut outputs = vec![("loss".to_owned(), &traced.loss), ("logits".to_owned(), &traced.logits)];
    outputs.extend(traced.updates.iter().map(|update| (format!("next {}", update.var.name()), &update.value)));
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
        graph: graph::to_json(&outputs),
    };
    let input = &job.splits.input;
    RunDir::create(out, &contents, |dir| {
        let pictures = dir.join("pictures");
        write_batch(&pictures.join("first-batch.png"), &batch.x, &batch.shape, input)?;
        write_test_pictures(&pictures, job)
    })
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

fn start(cpu: &Cpu, job: &Job, run: &RunDir, epochs: u64) -> Result<Start> {
    let splits = &job.splits;
    Ok(Start {
        run: run.path().to_owned(),
        recipe: job.recipe.clone(),
        simd: cpu.machine().simd.level().to_string(),
        threads: cpu.machine().pool.threads(),
        seed: job.settings.get_int("train.seed")? as u64,
        parameters: job.parameters(),
        rows: [splits.train.len(), splits.val.as_ref().map_or(0, |val| val.len()), splits.test.len()],
        epochs,
        steps: job.steps()?,
    })
}

/// The final figures, on rows that were never looked at before.
fn test(cpu: &Cpu, job: &Job, run: &RunDir, watch: &Watch) -> Result<Map<String, Value>> {
    let batch = job.settings.get_size("eval.batch")?;
    let test = Arc::clone(&job.splits.test);
    let scores = watch.scores("test", evaluate(cpu, job.model.as_ref(), test, &job.splits.input, batch))?;
    let text = scores.confusion.to_text(&job.splits.input.classes);
    crate::durable::write(&run.path().join("pictures").join("confusion.txt"), format!("{text}\n").as_bytes())?;
    Ok(scores.to_json("test_"))
}

fn save(
    job: &Job,
    run: &RunDir,
    state: &State,
    watch: &Watch,
    loader: &Loader,
    tell: &mut dyn FnMut(&RunDir, Event) -> Result<()>,
) -> Result<()> {
    // A checkpoint of no numbers must not push out a good one.
    watch.weights(&job.scope)?;
    let path = state::save(job, &run.checkpoints(), state, loader.position())?;
    crate::checkpoint::prune(&run.checkpoints(), job.settings.get_size("checkpoint.keep")?)?;
    tell(run, Event::Checkpoint { step: state.step, path })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Speed and a running mean of the loss, for the eyes only.
struct Pace {
    loss: f64,
    weight: f64,
    rows: usize,
    clock: Instant,
}

impl Pace {
    /// Share of the mean that each step keeps.
    const KEPT: f64 = 0.98;

    fn new() -> Pace {
        Pace { loss: 0.0, weight: 0.0, rows: 0, clock: Instant::now() }
    }

    fn step(&mut self, loss: f32, rows: usize) {
        self.loss = Pace::KEPT * self.loss + (1.0 - Pace::KEPT) * f64::from(loss);
        self.weight = Pace::KEPT * self.weight + (1.0 - Pace::KEPT);
        self.rows += rows;
    }

    fn loss(&self) -> f64 {
        self.loss / self.weight.max(f64::MIN_POSITIVE)
    }

    fn rate(&self) -> f64 {
        self.rows as f64 / self.clock.elapsed().as_secs_f64().max(1e-9)
    }
}
