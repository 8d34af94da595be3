//! A run on the worker's bench: brought to any of its steps, with the proof that it is the step that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use train::replay::Planned;
use train::{At, Error as TrainError, checkpoint};

use crate::error::{Error, Result};

/// What an answer is.
pub enum Made {
    /// JSON; an object gets the proof.
    Json(Value),
    /// A picture.
    Png(Vec<u8>),
}

impl From<Value> for Made {
    fn from(value: Value) -> Made {
        Made::Json(value)
    }
}

/// How far a question has come, and whether anybody still waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) cancelled: AtomicBool,
    pub(crate) done: AtomicU64,
    pub(crate) of: AtomicU64,
}

impl Progress {
    /// An error if nobody waits any more.
    ///
    /// # Errors
    /// See there.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Gone) } else { Ok(()) }
    }

    /// Says how much of how much is done.
    pub fn say(&self, done: u64, of: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
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

/// A run that questions are asked of.
pub struct Bench {
    run: zoo::Run,
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
    pub(crate) fn new(run: zoo::Run) -> Bench {
        Bench { run, way: Way::default(), progress: Arc::default(), kept: Vec::new(), proof: None, spoilt: false }
    }

    pub(crate) fn begin(&mut self, progress: &Arc<Progress>) {
        self.progress = Arc::clone(progress);
        self.proof = None;
    }

    pub(crate) fn proof(&mut self) -> Option<Value> {
        self.proof.take()
    }

    /// The run, as it stands.
    pub fn run(&self) -> &train::Run {
        &self.run
    }

    /// How far the question at hand has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The step of the newest checkpoint, or else the last step that was made: what is asked about if no step is given.
    ///
    /// # Errors
    /// If the checkpoints cannot be listed.
    pub fn newest(&self) -> Result<u64> {
        let saved = checkpoint::list(&self.run.dir().checkpoints())?.last().map(|(step, _)| *step);
        Ok(saved.unwrap_or(self.run.ledger().steps().last().map_or(0, |record| record.step)))
    }

    /// Step `step`, from 1: all that it computed.
    ///
    /// # Errors
    /// As for [`train::Run::at`]; if nobody waits any more.
    pub fn at(&mut self, step: u64) -> Result<At<'_>> {
        self.read_on(step)?;
        // A step that the run did not make is refused with its reason below.
        if step > 0 && self.run.last_step()? >= step {
            self.bring(step - 1)?;
        }
        let recorded = self.run.ledger().step(step).is_some();
        self.proof = Some(self.proven(step, recorded));
        Ok(self.run.at(step)?)
    }

    /// How step `step` is planned; nothing of it is computed.
    ///
    /// # Errors
    /// As for [`train::Run::planned`].
    pub fn planned(&mut self, step: u64) -> Result<Planned> {
        self.read_on(step)?;
        Ok(self.run.planned(step)?)
    }

    /// The times of its kernels over some runs of a step; nothing is changed by them.
    ///
    /// # Errors
    /// As for [`train::Run::timed`].
    pub fn timed(&mut self, step: u64, times: usize) -> Result<Vec<Duration>> {
        Ok(self.run.timed(step, times)?)
    }

    /// The run with all variables as step `made` left them; 0: as the seed made them.
    ///
    /// # Errors
    /// As for `at`.
    pub fn after(&mut self, made: u64) -> Result<&train::Run> {
        self.read_on(made)?;
        self.bring(made)?;
        // A checkpoint carries its SHA-256; of what the seed made nothing is recorded.
        let own = self.way.made > 0 || self.way.from > 0;
        self.proof = Some(self.proven(made, own));
        Ok(&self.run)
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
        format!("{name} after step {}", self.run.stands())
    }

    /// A run that is trained has made more steps since it was opened.
    fn read_on(&mut self, step: u64) -> Result<()> {
        if self.run.ledger().steps().last().is_some_and(|record| record.step < step) {
            self.run.reread()?;
        }
        Ok(())
    }

    fn bring(&mut self, made: u64) -> Result<()> {
        if self.run.stands() == made {
            return Ok(());
        }
        self.progress.check()?;
        let progress = Arc::clone(&self.progress);
        let mut on_the_way = Way::default();
        let moved = self.run.stand(made, &mut |record, recorded| {
            on_the_way.made += 1;
            on_the_way.recorded += u64::from(recorded);
            on_the_way.hashes += u64::from(record.hash.is_some());
            let first = record.step + 1 - on_the_way.made;
            progress.say(on_the_way.made, made + 1 - first);
            // The run stays where it has come to.
            match progress.check() {
                Ok(()) => Ok(()),
                Err(_) => Err(TrainError::usage("nobody waits for the answer", "")),
            }
        });
        let Way { from, made, recorded, hashes } = self.way;
        let began = self.run.stands().saturating_sub(on_the_way.made);
        self.way = if began == from + made {
            let (recorded, hashes) = (recorded + on_the_way.recorded, hashes + on_the_way.hashes);
            Way { from, made: made + on_the_way.made, recorded, hashes }
        } else {
            Way { from: began, ..on_the_way }
        };
        self.progress.check()?;
        self.spoilt = moved.is_err();
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
