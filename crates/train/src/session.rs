//! The step loop of a run: steps, validation and checkpoints in between, until the end, a stop, or an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cpu::Cpu;
use data::{Dataset, Loader};
use serde_json::{Map, Value};

use crate::checkpoint::{self, Keep};
use crate::divergence::Watch;
use crate::error::{Error, Result};
use crate::evaluate::evaluate;
use crate::event::{End, Epoch, Event, Start, Status, Step};
use crate::job::{Job, steps_per_epoch};
use crate::metric::{Accuracy, Mean, Scores};
use crate::report::{Answers, REPORT, Report};
use crate::run_dir::RunDir;
use crate::state::{self, Best, State};
use crate::step::step;
use crate::teller::Teller;

/// A run that is being trained.
pub(crate) struct Session<'a> {
    pub cpu: &'a Cpu,
    pub job: &'a mut Job,
    pub run: RunDir,
    pub loader: Loader,
    pub state: State,
    pub teller: Teller<'a>,
    /// Asks for a stop after the step under way.
    pub stop: &'a AtomicBool,
    /// The step of the newest complete checkpoint.
    pub saved: Option<u64>,
}

/// How long a training is, and how often something is done.
struct Lengths {
    steps: u64,
    per_epoch: u64,
    /// Steps between checkpoints, beside those at the ends of epochs.
    every: u64,
    /// Epochs without a better one that are borne; 0: any number.
    patience: u64,
}

impl Lengths {
    fn of(job: &Job) -> Result<Lengths> {
        Ok(Lengths {
            steps: job.steps()?,
            per_epoch: steps_per_epoch(&job.settings, job.splits.train.len())?,
            every: job.settings.get_int("checkpoint.every")? as u64,
            patience: job.settings.get_int("train.patience")? as u64,
        })
    }

    fn epochs(&self) -> u64 {
        self.steps.div_ceil(self.per_epoch)
    }

    /// The epoch, from 1, that the step `step` (from 1) belongs to.
    fn epoch(&self, step: u64) -> u64 {
        step.div_ceil(self.per_epoch).max(1)
    }

    /// Whether validation follows the step: an epoch ends with it, or the training.
    fn ends_epoch(&self, step: u64) -> bool {
        step.is_multiple_of(self.per_epoch) || step >= self.steps
    }

    /// Whether there is nothing left to do but the test.
    fn is_done(&self, state: &State) -> bool {
        !state.open && (state.step >= self.steps || (self.patience > 0 && state.waited >= self.patience))
    }
}

/// Whether a training that has come to `state` has no step left to make.
pub(crate) fn is_done(job: &Job, state: &State) -> Result<bool> {
    Ok(Lengths::of(job)?.is_done(state))
}

impl Session<'_> {
    /// Trains to the end or to a stop, and tests at the end. `notes` are told first.
    ///
    /// # Errors
    /// If it diverges, or data, model or disk fail. The run then says how it ended, as far as the disk allows.
    pub fn train(mut self, notes: Vec<String>) -> Result<End> {
        let clock = Instant::now();
        let outcome = self.tell_start(notes).and_then(|()| self.steps()).and_then(|status| {
            let figures = if status == Status::Finished { self.test()? } else { Map::new() };
            Ok((status, figures))
        });
        let seconds = clock.elapsed().as_secs_f64();
        let (status, figures) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.failed(error)),
        };
        let noted = self.run.end(status, &figures);
        self.teller.bear(noted, "how the run ended is not noted in it")?;
        let run = self.run.path().to_owned();
        let end = End { run, status, step: self.state.step, saved: self.saved, figures, seconds };
        self.teller.log(&Event::End(end.clone()))?;
        Ok(end)
    }

    fn tell_start(&mut self, notes: Vec<String>) -> Result<()> {
        let splits = &self.job.splits;
        let start = Start {
            run: self.run.path().to_owned(),
            recipe: self.job.recipe.clone(),
            simd: self.cpu.machine().simd.level().to_string(),
            threads: self.cpu.machine().pool.threads(),
            seed: self.job.settings.get_int("train.seed")? as u64,
            parameters: self.job.parameters(),
            rows: [splits.train.len(), splits.val.as_ref().map_or(0, |val| val.len()), splits.test.len()],
            epochs: Lengths::of(self.job)?.epochs(),
            step: self.state.step,
            steps: self.job.steps()?,
        };
        self.teller.tell(Event::Start(start))?;
        let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let skipped =
            splits.skipped().map(|skipped| format!("skipped {}: {}", skipped.path.display(), first_line(&skipped.why)));
        let notes: Vec<String> = notes.into_iter().chain(splits.notes.iter().cloned()).chain(skipped).collect();
        notes.into_iter().try_for_each(|note| self.teller.tell(Event::Note(note)))
    }

    /// All steps that are left, epoch by epoch.
    fn steps(&mut self) -> Result<Status> {
        let lengths = Lengths::of(self.job)?;
        let mut watch = Watch::new(self.state.usual_loss);
        let mut pace = Pace { rows: 0, clock: Instant::now() };
        let mut epoch_clock = Instant::now();
        let mut stopped = false;
        loop {
            if self.state.open && lengths.ends_epoch(self.state.step) {
                watch.at(self.state.step, lengths.epoch(self.state.step));
                self.end_epoch(&lengths, &watch, epoch_clock.elapsed().as_secs_f64())?;
                epoch_clock = Instant::now();
                self.save(&watch)?;
                stopped = self.stop.load(Ordering::Relaxed);
            }
            if lengths.is_done(&self.state) {
                if self.state.step < lengths.steps {
                    let note = format!("no better epoch for {} epochs, so training ends here", self.state.waited);
                    self.teller.tell(Event::Note(note))?;
                }
                return Ok(Status::Finished);
            }
            if stopped {
                return Ok(Status::Interrupted);
            }
            self.step(&lengths, &mut watch, &mut pace)?;
            let at = self.state.step;
            if !lengths.ends_epoch(at) {
                stopped = self.stop.load(Ordering::Relaxed);
                if stopped || (lengths.every > 0 && at.is_multiple_of(lengths.every)) {
                    self.save(&watch)?;
                }
            }
        }
    }

    /// One step, and its figures.
    fn step(&mut self, lengths: &Lengths, watch: &mut Watch, pace: &mut Pace) -> Result<()> {
        let batch = self.loader.next_batch()?;
        let figures = step(self.cpu, self.job, &batch, self.state.step)?;
        let state = &mut self.state;
        state.step += 1;
        state.open = true;
        state.loss.add(f64::from(figures.loss), batch.len());
        state.accuracy.add(&figures.logits, &batch.labels);
        let epoch = lengths.epoch(state.step);
        watch.at(state.step, epoch);
        watch.step(figures.loss, figures.grad_norm)?;
        state.usual_loss = watch.usual();
        state.smooth.add(f64::from(figures.loss));
        pace.rows += batch.len();
        let event = Step {
            epoch,
            epochs: lengths.epochs(),
            step: state.step,
            steps: lengths.steps,
            loss: figures.loss,
            smooth_loss: state.smooth.value(),
            lr: figures.lr,
            grad_norm: figures.grad_norm,
            val_accuracy: state.val_accuracy,
            rate: pace.rate(),
            left: (lengths.steps - state.step) as f64 * batch.len() as f64 / pace.rate().max(1e-9),
        };
        self.teller.tell(Event::Step(event))
    }

    /// Validation, and what follows from it: the best epoch so far, patience, the plateau's rate.
    fn end_epoch(&mut self, lengths: &Lengths, watch: &Watch, seconds: f64) -> Result<()> {
        let mut figures = Map::new();
        figures.insert("train_loss".to_owned(), self.state.loss.value().into());
        figures.insert("train_accuracy".to_owned(), self.state.accuracy.value().into());
        let mut loss = self.state.loss.value();
        if let Some(val) = self.job.splits.val.clone() {
            let scores = watch.scores("validation", self.evaluate(val))?;
            self.state.val_accuracy = Some(scores.accuracy.value());
            loss = scores.loss.value();
            figures.extend(scores.to_json("val_"));
        }
        let step = self.state.step;
        // An epoch that `train.max_steps` cut short is no epoch: extended, the run goes on in the middle of it.
        if step.is_multiple_of(lengths.per_epoch) {
            let is_best = self.state.best.is_none_or(|best| loss < best.loss);
            if is_best {
                self.state.best = Some(Best { step, loss });
            }
            self.state.waited = if is_best { 0 } else { self.state.waited + 1 };
            self.job.schedule.observe(loss);
            (self.state.loss, self.state.accuracy) = (Mean::default(), Accuracy::default());
        }
        self.state.open = false;
        let (epoch, epochs) = (lengths.epoch(step), lengths.epochs());
        self.teller.tell(Event::Epoch(Epoch { epoch, epochs, step, figures, seconds }))
    }

    /// The scores of the model, with averaged weights if there are any, on all rows of a set.
    fn evaluate(&self, rows: Arc<dyn Dataset>) -> Result<Scores> {
        let batch = self.job.settings.get_size("eval.batch")?;
        let swap = || self.job.average.as_ref().map_or(Ok(()), |average| average.swap());
        swap()?;
        let scores = evaluate(self.cpu, self.job.model.as_ref(), rows, &self.job.splits.input, batch);
        swap()?;
        scores
    }

    /// The final figures, on rows that were never looked at before.
    fn test(&mut self) -> Result<Map<String, Value>> {
        let lengths = Lengths::of(self.job)?;
        let mut watch = Watch::new(self.state.usual_loss);
        watch.at(self.state.step, lengths.epoch(self.state.step));
        let mut answers = None;
        let scores = self.answers().map(|all| answers.insert(all).scores.clone());
        let scores = watch.scores("test", scores)?;
        let text = format!("{}\n", scores.confusion.to_text(&self.job.splits.input.classes));
        let written = crate::durable::write(&self.run.path().join("pictures").join("confusion.txt"), text.as_bytes());
        self.teller.bear(written, "the confusion matrix is not written")?;
        let figures = scores.to_json("test_");
        let written = Report::of(&self.run, Some(figures.clone()), answers.as_ref(), Vec::new())
            .and_then(|report| report.write(&self.run.path().join(REPORT)));
        self.teller.bear(written, "the report is not written")?;
        Ok(figures)
    }

    /// As `evaluate`, for the test rows, with what is to be shown of the answers.
    fn answers(&self) -> Result<Answers> {
        let batch = self.job.settings.get_size("eval.batch")?;
        let swap = || self.job.average.as_ref().map_or(Ok(()), |average| average.swap());
        let (model, rows) = (self.job.model.as_ref(), Arc::clone(&self.job.splits.test));
        swap()?;
        let answers = Answers::of(self.cpu, model, rows, &self.job.splits.input, batch);
        swap()?;
        answers
    }

    /// Writes a checkpoint, and removes those that are not to be kept.
    fn save(&mut self, watch: &Watch) -> Result<()> {
        // A checkpoint of no numbers must not push out a good one.
        watch.weights(&self.job.scope)?;
        let settings = &self.job.settings;
        let keep_best = settings.get_flag("checkpoint.keep_best")?;
        let keep = Keep {
            last: settings.get_size("checkpoint.keep")?,
            every: settings.get_int("checkpoint.keep_every")? as u64,
            best: self.state.best.filter(|_| keep_best).map(|best| best.step),
        };
        let checkpoints = self.run.checkpoints();
        let saved = self
            .teller
            .sync()
            .and_then(|()| state::save(self.job, &checkpoints, &self.state, self.loader.position()))
            .inspect(|_| self.saved = Some(self.state.step))
            .and_then(|path| checkpoint::prune(&checkpoints, keep).map(|()| path));
        match saved {
            Ok(path) => self.teller.tell(Event::Checkpoint { step: self.state.step, path }),
            Err(error) => self.teller.bear(Err(error), "training goes on without this checkpoint"),
        }
    }

    /// Notes how the run ended with an error, as far as the disk allows, and gives the error back.
    fn failed(&mut self, error: Error) -> Error {
        let status = if matches!(error, Error::Diverged { .. }) { Status::Diverged } else { Status::Failed };
        if status == Status::Failed {
            let last = match self.saved {
                Some(step) => format!("the last complete checkpoint is that of step {step}"),
                None => "there is no checkpoint yet".to_owned(),
            };
            let run = self.run.path().display();
            let note = format!("{last}; when the cause is gone, glassbox resume {run} goes on from there");
            self.teller.show(&Event::Note(note));
        }
        // The first error is the one to report, even if the disk refuses to note it.
        let _ = self.teller.log(&Event::Note(error.to_string()));
        let _ = self.run.end(status, &Map::new());
        error
    }
}

/// Speed since the session began.
struct Pace {
    rows: usize,
    clock: Instant,
}

impl Pace {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.clock.elapsed().as_secs_f64().max(1e-9)
    }
}
