//! One thread that computes steps of the past again, one question at a time; the others wait in a short queue.
//!
//! Threads and runs held open are few, so that the studio takes little from a training beside it. Whoever asks the same waits
//! for the same answer; what nobody waits for any more is dropped, on its way too.

use std::collections::VecDeque;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cpu::Cpu;
use serde_json::{Value, json};

use crate::Limits;
use crate::bench::{Bench, Progress};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::query::Query;
use crate::response::Response;

/// Questions that may wait.
const MOST_WAITING: usize = 128;
/// Runs that are held open: their data lies in memory.
const MOST_OPEN: usize = 2;
/// How long a reader waits before it is told how far things are.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a question is kept for a reader who was told so, until it asks again.
const GRACE: Duration = Duration::from_secs(5);
/// How often a waiting reader looks whether it is still there.
const LOOK: Duration = Duration::from_millis(100);

/// What is asked of a run.
pub type Question = fn(&mut Bench, &Query) -> Result<Value>;

/// The thread, and what it shares with those who ask.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    /// Something was asked or answered.
    changed: Condvar,
    stop: AtomicBool,
}

struct State {
    waiting: VecDeque<Arc<Task>>,
    running: Option<Arc<Task>>,
    answers: Cache,
}

struct Task {
    key: String,
    run: PathBuf,
    query: Query,
    question: Question,
    progress: Arc<Progress>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Who waits, and when the last of them left.
    readers: usize,
    left: Instant,
    outcome: Option<Result<Response>>,
}

impl Worker {
    /// Begins the thread.
    ///
    /// # Errors
    /// If the CPU cannot be set up.
    pub fn new(limits: Limits) -> train::Result<Worker> {
        // To fail now and not at the first question.
        Cpu::new(limits.threads)?;
        let state = State { waiting: VecDeque::new(), running: None, answers: Cache::new(limits.answers) };
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("replay".to_owned()).spawn(move || work(&theirs));
        let thread = thread.map_err(|source| train::Error::io(Path::new("a thread"), "begin", source))?;
        Ok(Worker { shared, thread: Some(thread) })
    }

    /// The answer to a question about the run at `run`.
    ///
    /// # Errors
    /// That of the question; if too many wait; if it takes long, how far it is.
    pub fn ask(&self, run: &Path, query: &Query, question: Question, gone: &dyn Fn() -> bool) -> Result<Response> {
        let key = format!("{} {}", stamp(run), query.key());
        let task = {
            let mut state = self.shared.state();
            if let Some(answer) = state.answers.get(&key) {
                return Ok(answer);
            }
            let same = state.waiting.iter().chain(&state.running).find(|task| task.key == key && !task.is_dropped());
            match same.cloned() {
                Some(task) => {
                    task.inner().readers += 1;
                    task
                }
                None if state.waiting.len() >= MOST_WAITING => return Err(Error::Busy),
                None => {
                    let inner = Inner { readers: 1, left: Instant::now(), outcome: None };
                    let (run, query, progress) = (run.to_owned(), query.clone(), Arc::default());
                    let task = Arc::new(Task { key, run, query, question, progress, inner: Mutex::new(inner) });
                    state.waiting.push_back(Arc::clone(&task));
                    self.shared.changed.notify_all();
                    task
                }
            }
        };
        let began = Instant::now();
        let outcome = loop {
            let state = self.shared.state();
            if let Some(outcome) = task.inner().outcome.clone() {
                break outcome;
            }
            state.running.iter().filter(|task| task.is_dropped()).for_each(|task| task.cancel());
            drop(self.shared.changed.wait_timeout(state, LOOK));
            if gone() {
                break Err(Error::Gone);
            }
            if began.elapsed() > PATIENCE {
                break Err(Error::Pending);
            }
        };
        // Held, so that none joins a task that is given up meanwhile.
        let _state = self.shared.state();
        let mut inner = task.inner();
        inner.readers -= 1;
        inner.left = Instant::now();
        if inner.readers == 0 && outcome == Err(Error::Gone) {
            task.cancel();
        }
        drop(inner);
        outcome
    }

    /// What is being done, for the page.
    pub fn progress(&self) -> Value {
        let state = self.shared.state();
        state.running.iter().filter(|task| task.is_dropped()).for_each(|task| task.cancel());
        let running = state.running.as_ref().map(|task| {
            let mut object = task.progress.to_json();
            object["what"] = task.query.path().into();
            object["run"] = task.query.get("run").unwrap_or_default().into();
            object
        });
        json!({ "waiting": state.waiting.len(), "running": running, "threads": self.shared.limits.threads })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        {
            let state = self.shared.state();
            state.running.iter().for_each(|task| task.cancel());
            self.shared.changed.notify_all();
        }
        if let Some(thread) = self.thread.take() {
            // It ends at its next step; a panic of it was answered already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self) {
        self.progress.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits for it any more.
    fn is_dropped(&self) -> bool {
        if self.progress.cancelled.load(Ordering::Relaxed) {
            return true;
        }
        let inner = self.inner();
        inner.readers == 0 && inner.left.elapsed() > GRACE
    }
}

/// Whatever else computes here comes first: a training keeps its cores while a step is made again beside it. The threads that
/// this one begins are as modest. A system that does not know of it computes all the same.
fn be_modest() {
    #[cfg(unix)]
    let _ = rustix::process::nice(19);
}

fn work(shared: &Shared) {
    be_modest();
    let mut open: Vec<(String, Bench)> = Vec::new();
    while let Some(task) = next(shared) {
        let found = catch_unwind(AssertUnwindSafe(|| answer(&task, &mut open, shared.limits)));
        let outcome = found.unwrap_or_else(|_| {
            // Whatever it stumbled over is not to be trusted any more.
            open.clear();
            Err(Error::Panic)
        });
        open.retain(|(_, bench)| !bench.spoilt);
        let mut state = shared.state();
        if let Ok(answer) = &outcome {
            state.answers.put(task.key.clone(), answer.clone());
        }
        state.running = None;
        task.inner().outcome = Some(outcome);
        drop(state);
        shared.changed.notify_all();
    }
}

/// The next question that somebody waits for; `None` at the end.
fn next(shared: &Shared) -> Option<Arc<Task>> {
    let mut state = shared.state();
    loop {
        if shared.stop.load(Ordering::Relaxed) {
            return None;
        }
        while let Some(task) = state.waiting.pop_front() {
            if task.is_dropped() {
                task.inner().outcome = Some(Err(Error::Gone));
                continue;
            }
            state.running = Some(Arc::clone(&task));
            return Some(task);
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

fn answer(task: &Task, open: &mut Vec<(String, Bench)>, limits: Limits) -> Result<Response> {
    let stamp = stamp(&task.run);
    match open.iter().position(|(of, _)| *of == stamp) {
        Some(place) => {
            let found = open.remove(place);
            open.insert(0, found);
        }
        None => {
            open.truncate(MOST_OPEN - 1);
            let cpu = Cpu::new(limits.threads).map_err(train::Error::from)?;
            open.insert(0, (stamp, Bench::open(&task.run, cpu)?));
        }
    }
    let Some((_, bench)) = open.first_mut() else { return Err(Error::Panic) };
    bench.begin(&task.progress);
    let mut value = (task.question)(bench, &task.query)?;
    if let (Some(object), Some(proof)) = (value.as_object_mut(), bench.proof()) {
        object.insert("proof".to_owned(), proof);
    }
    Ok(Response::json(200, &value))
}

/// What tells a run from another that lay at the same place before, or went on with other settings.
fn stamp(run: &Path) -> String {
    let of = |path: &Path| fs::metadata(path).map(|found| (found.len(), found.modified().ok())).ok();
    let parts = ["config.toml", "graph.json", "COMMIT"].map(|name| of(&run.join(name)));
    // A model alone may be a file.
    let file = of(run).filter(|_| run.is_file());
    format!("{} {parts:?} {file:?}", run.display())
}
