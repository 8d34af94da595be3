//! What is asked about, on the worker's bench: a run, brought to any of its steps, with the proof that it is the step that was; or
//! a model without its run, which stands where it stands.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cpu::Cpu;
use serde_json::{Value, json};
use train::replay::Planned;
use train::{At, Error as TrainError};

use crate::error::{Error, Result};
use crate::network::Network;

/// How far a question has come, and whether anybody still waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) cancelled: AtomicBool,
    pub(crate) done: AtomicU64,
    pub(crate) of: AtomicU64,
    /// Whether rows are counted, and not steps.
    pub(crate) rows: AtomicBool,
}

impl Progress {
    /// An error if nobody waits any more.
    ///
    /// # Errors
    /// See there.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Gone) } else { Ok(()) }
    }

    /// Says how many of how many steps are made.
    pub fn steps(&self, done: u64, of: u64) {
        self.say(done, of, false);
    }

    /// Says how many of how many rows are done.
    pub fn rows(&self, done: usize, of: usize) {
        self.say(done as u64, of as u64, true);
    }

    fn say(&self, done: u64, of: u64, rows: bool) {
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
        self.rows.store(rows, Ordering::Relaxed);
    }

    pub(crate) fn to_json(&self) -> Value {
        let unit = if self.rows.load(Ordering::Relaxed) { "rows" } else { "steps" };
        json!({ "done": self.done.load(Ordering::Relaxed), "of": self.of.load(Ordering::Relaxed), "unit": unit })
    }
}

/// How the step where a run stands came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Way {
    /// The checkpoint that it began with; 0: the seed.
    from: u64,
    /// Steps made since.
    made: u64,
    /// How many of them the ledger holds, all of them met.
    recorded: u64,
    /// How many of them it holds a hash of the state of.
    hashes: u64,
}

/// A run, or a model without its run.
enum Subject {
    Run(Box<zoo::Run>),
    Model(Cpu, Box<zoo::Opened>),
}

/// A run, or a model without one, that questions are asked of.
pub struct Bench {
    subject: Subject,
    way: Way,
    progress: Arc<Progress>,
    /// What a question has found, for others on the same step: see [`Bench::remember`].
    kept: Vec<(String, Arc<Vec<f32>>)>,
    /// What is said of the answer to the question at hand.
    proof: Option<Value>,
    /// Whether it stands where nobody knows.
    pub(crate) spoilt: bool,
}

impl Bench {
    /// Opens what lies at a place.
    ///
    /// # Errors
    /// If it is neither a run nor a model, or a damaged one.
    pub(crate) fn open(place: &Path, cpu: Cpu) -> Result<Bench> {
        let subject = if place.join("run.toml").is_file() {
            Subject::Run(Box::new(zoo::Run::open_on(cpu, place, None)?))
        } else {
            let opened = zoo::open_model(place)?;
            let opened = opened.ok_or_else(|| Error::Missing(format!("{} is no model of ours", place.display())))?;
            Subject::Model(cpu, Box::new(opened))
        };
        let (way, progress, kept) = (Way::default(), Arc::default(), Vec::new());
        Ok(Bench { subject, way, progress, kept, proof: None, spoilt: false })
    }

    pub(crate) fn begin(&mut self, progress: &Arc<Progress>) {
        self.progress = Arc::clone(progress);
        self.proof = None;
    }

    pub(crate) fn proof(&mut self) -> Option<Value> {
        self.proof.take()
    }

    /// The run, as it stands.
    ///
    /// # Errors
    /// If there is none.
    pub fn run(&self) -> Result<&train::Run> {
        match &self.subject {
            Subject::Run(run) => Ok(run),
            Subject::Model(..) => Err(Error::Alone),
        }
    }

    fn run_mut(&mut self) -> Result<&mut train::Run> {
        match &mut self.subject {
            Subject::Run(run) => Ok(run),
            Subject::Model(..) => Err(Error::Alone),
        }
    }

    /// The network, as it stands.
    pub fn network(&self) -> Network<'_> {
        match &self.subject {
            Subject::Run(run) => {
                let job = run.job();
                let (model, scope, input) = (job.model.as_ref(), &job.scope, &job.splits.input);
                Network { cpu: run.cpu(), model, scope, input, recipe: &job.recipe }
            }
            Subject::Model(cpu, opened) => {
                let (model, scope, input) = (opened.model.as_ref(), &opened.scope, &opened.input);
                Network { cpu, model, scope, input, recipe: opened.recipe.name }
            }
        }
    }

    /// The last step that is known to have been made.
    ///
    /// # Errors
    /// If the checkpoints cannot be listed.
    pub fn last_step(&self) -> Result<u64> {
        match &self.subject {
            Subject::Run(run) => Ok(run.last_step()?),
            Subject::Model(_, opened) => Ok(opened.step),
        }
    }

    /// The step whose plan is looked at unless another is asked for: the last one, or the first while it is made.
    ///
    /// # Errors
    /// As for `last_step`.
    pub fn last_plan(&self) -> Result<u64> {
        let last = self.last_step()?;
        Ok(if self.run().is_ok() { last.max(1) } else { last })
    }

    /// How far the question at hand has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Step `step`, from 1: all that it computed.
    ///
    /// # Errors
    /// As for [`train::Run::at`]; if nobody waits any more.
    pub fn at(&mut self, step: u64) -> Result<At<'_>> {
        self.read_on(step)?;
        // A step that the run did not make is refused with its reason below.
        if step > 0 && self.run()?.last_step()? >= step {
            self.bring(step - 1)?;
        }
        let recorded = self.run()?.ledger().step(step).is_some();
        self.proof = Some(self.proven(step, recorded));
        Ok(self.run_mut()?.at(step)?)
    }

    /// How step `step` is planned; of a model alone, how it answers an input. Nothing of it is computed.
    ///
    /// # Errors
    /// As for [`train::Run::planned`].
    pub fn planned(&mut self, step: u64) -> Result<Planned> {
        if let Subject::Model(cpu, opened) = &self.subject {
            check_step(opened, step)?;
            return Ok(Planned::pass(cpu, opened.model.as_ref(), &opened.scope, &opened.input)?);
        }
        self.read_on(step)?;
        Ok(self.run()?.planned(step)?)
    }

    /// The network with all variables as step `made` left them; 0: as the seed made them.
    ///
    /// # Errors
    /// As for `at`; a model alone has those of one step.
    pub fn after(&mut self, made: u64) -> Result<Network<'_>> {
        if let Subject::Model(_, opened) = &self.subject {
            check_step(opened, made)?;
            return Ok(self.network());
        }
        self.read_on(made)?;
        self.bring(made)?;
        // A checkpoint carries its SHA-256; of what the seed made nothing is recorded.
        let own = self.way.made > 0 || self.way.from > 0;
        self.proof = Some(self.proven(made, own));
        Ok(self.network())
    }

    /// What `look` finds while the model has the weights that it answers with after step `made`: the averaged ones, if there
    /// are any.
    ///
    /// # Errors
    /// As for `after`; that of `look`.
    pub fn asked<T>(&mut self, made: u64, look: impl FnOnce(&Network, &Progress) -> Result<T>) -> Result<T> {
        self.after(made)?;
        let average = || self.run().ok().and_then(|run| run.job().average.as_ref());
        let swap = || average().map_or(Ok(()), |average| average.swap());
        swap()?;
        let found = look(&self.network(), &self.progress);
        // Without its own weights back, the run is not where it stood.
        self.spoilt |= swap().is_err();
        found
    }

    /// Something found before under this name, in this state of the run.
    pub fn recall(&self, name: &str) -> Option<Arc<Vec<f32>>> {
        let name = self.in_state(name);
        self.kept.iter().find(|(of, _)| *of == name).map(|(_, found)| Arc::clone(found))
    }

    /// Keeps what was found in this state of the run, for a few questions.
    pub fn remember(&mut self, name: &str, found: Vec<f32>) -> Arc<Vec<f32>> {
        const KEPT: usize = 3;
        let found = Arc::new(found);
        self.kept.truncate(KEPT - 1);
        self.kept.insert(0, (self.in_state(name), Arc::clone(&found)));
        found
    }

    fn in_state(&self, name: &str) -> String {
        format!("{name} after step {}", self.run().map_or(0, |run| run.stands()))
    }

    /// Reads what a run that is trained has made since it was opened, if it is asked about such a step.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn read_on(&mut self, step: u64) -> Result<()> {
        if self.run()?.ledger().steps().last().is_none_or(|record| record.step < step) {
            self.run_mut()?.reread()?;
        }
        Ok(())
    }

    fn bring(&mut self, made: u64) -> Result<()> {
        if self.run()?.stands() == made {
            return Ok(());
        }
        self.progress.check()?;
        let progress = Arc::clone(&self.progress);
        let mut on_the_way = Way::default();
        let run = self.run_mut()?;
        let moved = run.stand(made, &mut |record, recorded| {
            on_the_way.made += 1;
            on_the_way.recorded += u64::from(recorded);
            on_the_way.hashes += u64::from(record.hash.is_some());
            let first = record.step + 1 - on_the_way.made;
            progress.steps(on_the_way.made, made + 1 - first);
            // The run stays where it has come to.
            match progress.check() {
                Ok(()) => Ok(()),
                Err(_) => Err(TrainError::usage("nobody waits for the answer", "")),
            }
        });
        let began = run.stands().saturating_sub(on_the_way.made);
        let Way { from, made, recorded, hashes } = self.way;
        self.way = if began == from + made {
            let (recorded, hashes) = (recorded + on_the_way.recorded, hashes + on_the_way.hashes);
            Way { from, made: made + on_the_way.made, recorded, hashes }
        } else {
            Way { from: began, ..on_the_way }
        };
        self.progress.check()?;
        self.spoilt |= moved.is_err();
        moved?;
        Ok(())
    }

    /// What is known of a step of which `own` says whether the ledger has it, apart from the way there.
    fn proven(&self, step: u64, own: bool) -> Value {
        let Way { from, made, recorded, hashes } = self.way;
        json!({
            "step": step, "from": from, "made": made, "recorded": recorded, "hashes": hashes,
            "verified": own && recorded == made,
        })
    }
}

/// An error unless a model alone stands after this step.
fn check_step(opened: &zoo::Opened, step: u64) -> Result<()> {
    if step == opened.step {
        return Ok(());
    }
    Err(Error::Asked(format!("a model without its run is that of one step, {}: there is no step {step}", opened.step)))
}
