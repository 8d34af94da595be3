//! The step loop of a run: steps, validation and checkpoints in between, until the end, a stop, or an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cpu::Cpu;
use data::{Batch, Loader};
use serde_json::{Map, Value};

use crate::baseline::baseline;
use crate::checkpoint::{self, Keep};
use crate::divergence::Watch;
use crate::epoch::{end_epoch, measure, with_averages};
use crate::error::{Error, Result};
use crate::event::{End, Epoch, Event, Start, Status, Step, counted};
use crate::job::Job;
use crate::ledger::{Entry, Norms, StateHash, StepRecord, StepTimes};
use crate::lengths::Lengths;
use crate::report::{Answers, Numbers, REPORT, Report};
use crate::run_dir::RunDir;
use crate::splits::Goal;
use crate::state::{self, State};
use crate::step::{Figures, Wanted, step};
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
    pub norms: Option<Norms>,
    pub costs: Costs,
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
        let end =
            End { run, status, step: self.state.step, saved: self.saved, figures, seconds, ledger: self.costs.share() };
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
            frozen: self.job.frozen(),
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
                    let waited = counted(self.state.waited as usize, "epoch");
                    self.teller.tell(Event::Note(format!("no better epoch for {waited}, so training ends here")))?;
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
        let clock = Instant::now();
        let batch = self.loader.next_batch()?;
        let waited = clock.elapsed();
        let at = self.state.step;
        let (lr, wanted) = (self.job.schedule.lr(at), Wanted::of(self.job)?);
        let figures = step(self.cpu, self.job, &batch, at, lr, wanted)?;
        let made = clock.elapsed();
        // Before anything else: a step from which no training goes on is the one to look at.
        self.record(&figures, &batch, waited, made - waited)?;
        self.costs.add(clock.elapsed(), clock.elapsed() - made);
        let state = &mut self.state;
        state.take(&figures, &batch);
        let epoch = lengths.epoch(state.step);
        watch.at(state.step, epoch);
        watch.step(figures.loss, figures.grad_norm)?;
        state.usual_loss = watch.usual();
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

    /// Writes a step that was just made to the ledger.
    fn record(&mut self, figures: &Figures, batch: &Batch, data: Duration, compute: Duration) -> Result<()> {
        if !self.costs.on {
            return Ok(());
        }
        let (record, rows) = figures.record(self.state.step + 1, batch);
        let norms = self.norms.as_mut().and_then(|norms| norms.take(record.step));
        let [weight_norm, update_norm] = norms.map_or([None, None], |norms| norms.map(Some));
        let every = self.job.settings.get_int("ledger.hash_every")? as u64;
        let due = every > 0 && record.step.is_multiple_of(every);
        let hash = due.then(|| StateHash::of(&state::variables(self.job)));
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let (data, compute, ledger) = (micros(data), micros(compute), micros(self.costs.last));
        let times = StepTimes { step: record.step, data, compute, ledger };
        self.teller.record(&Entry { step: StepRecord { weight_norm, update_norm, hash, ..record }, rows, times })
    }

    /// Validation, and what follows from it.
    fn end_epoch(&mut self, lengths: &Lengths, watch: &Watch, seconds: f64) -> Result<()> {
        let figures =
            end_epoch(self.cpu, self.job, &mut self.state, lengths, |scores| watch.scores("validation", scores))?;
        let step = self.state.step;
        let (epoch, epochs) = (lengths.epoch(step), lengths.epochs());
        self.teller.tell(Event::Epoch(Epoch { epoch, epochs, step, figures, seconds }))
    }

    /// The final figures, on rows that were never looked at before.
    fn test(&mut self) -> Result<Map<String, Value>> {
        let lengths = Lengths::of(self.job)?;
        let mut watch = Watch::new(self.state.usual_loss);
        watch.at(self.state.step, lengths.epoch(self.state.step));
        let (mut answers, mut numbers) = (None, None);
        let scores = match self.job.splits.input.goal {
            Goal::Class => self.answers().map(|all| answers.insert(all).scores.clone()),
            Goal::Number { .. } => self.numbers().map(|all| numbers.insert(all).scores.clone()),
            Goal::Symbols => measure(self.cpu, self.job, Arc::clone(&self.job.splits.test)),
        };
        let scores = watch.scores("test", scores)?;
        if answers.is_some() {
            let text = format!("{}\n", scores.confusion.to_text(&self.job.splits.input.classes));
            let written =
                crate::durable::write(&self.run.path().join("pictures").join("confusion.txt"), text.as_bytes());
            self.teller.bear(written, "the confusion matrix is not written")?;
        }
        let mut figures = scores.to_json("test_");
        if let Some(counted) = baseline(&self.job.splits) {
            figures.insert("test_ngram_order".to_owned(), counted.order.into());
            figures.insert("test_ngram_loss".to_owned(), counted.chosen().into());
        }
        let written = self.report(Some(figures.clone()), answers.as_ref(), numbers.as_ref());
        self.teller.bear(written, "the report is not written")?;
        Ok(figures)
    }

    /// Writes the report, and its pictures.
    fn report(
        &self,
        figures: Option<Map<String, Value>>,
        answers: Option<&Answers>,
        numbers: Option<&Numbers>,
    ) -> Result<()> {
        let report = Report::of(&self.run, figures, answers, Vec::new())?.with_numbers(numbers);
        report.write(&self.run.path().join(REPORT))?;
        report.write_pictures(&self.run.path().join("pictures"))
    }

    /// As `evaluate`, for the test rows, with what is to be shown of the answers.
    fn answers(&self) -> Result<Answers> {
        let batch = self.job.settings.get_size("eval.batch")?;
        let (model, rows) = (self.job.model.as_ref(), Arc::clone(&self.job.splits.test));
        with_averages(self.job, || Answers::of(self.cpu, model, rows, &self.job.splits.input, batch))
    }

    /// The same where a number is predicted.
    fn numbers(&self) -> Result<Numbers> {
        let batch = self.job.settings.get_size("eval.batch")?;
        let (model, rows) = (self.job.model.as_ref(), Arc::clone(&self.job.splits.test));
        with_averages(self.job, || Numbers::of(self.cpu, model, rows, &self.job.splits.input, batch))
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
            // What a branch began with is nowhere else, nor are weights trained elsewhere; other runs begin with their seed.
            first: self.run.record().branched_at().or(self.job.begun.then_some(0)),
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
        if status == Status::Diverged {
            let run = self.run.path().display();
            if self.report(None, None, None).is_ok() {
                self.teller.show(&Event::Note(format!("the curves until then are in {run}/{REPORT}")));
            }
            self.teller.show(&Event::Note(format!("glassbox why {run} looks for the cause")));
        }
        error
    }
}

/// What the ledger costs.
#[derive(Default)]
pub(crate) struct Costs {
    /// Whether there is one.
    on: bool,
    /// Of the last step.
    last: Duration,
    ledger: Duration,
    steps: Duration,
}

impl Costs {
    pub fn new(on: bool) -> Costs {
        Costs { on, ..Costs::default() }
    }

    fn add(&mut self, step: Duration, ledger: Duration) {
        self.last = ledger;
        self.ledger += ledger;
        self.steps += step;
    }

    /// The share of the time of all steps that went into lengths, hashes and writing; `None` without a ledger or a step.
    fn share(&self) -> Option<f64> {
        (self.on && !self.steps.is_zero()).then(|| self.ledger.as_secs_f64() / self.steps.as_secs_f64())
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
