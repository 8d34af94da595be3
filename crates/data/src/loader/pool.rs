//! The threads that make batches ahead of their use, and hand them over in order.

use super::Batch;
use super::batch::Maker;
use crate::DataError;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Running workers. Dropping it ends them: each finishes at most the batch it is making.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The next batch that no worker has begun.
    to_make: u64,
    /// The next batch that the consumer takes.
    to_take: u64,
    ready: BTreeMap<u64, Result<Batch, DataError>>,
    stop: bool,
}

impl Pool {
    /// Starts the workers at the batch `ticket`.
    pub fn start(maker: &Arc<Maker>, ticket: u64) -> Result<Self, DataError> {
        let state = State { to_make: ticket, to_take: ticket, ready: BTreeMap::new(), stop: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let mut pool = Pool { shared, threads: Vec::new() };
        for worker in 0..maker.config.workers.min(maker.config.prefetch) {
            let (maker, shared) = (Arc::clone(maker), Arc::clone(&pool.shared));
            let thread = Builder::new().name(format!("loader-{worker}")).spawn(move || work(&maker, &shared));
            pool.threads.push(thread.map_err(|e| {
                DataError::argument("workers", format!("worker {worker} cannot start: {e}"), "use fewer workers")
            })?);
        }
        Ok(pool)
    }

    /// Waits for the next batch in order.
    pub fn take(&self) -> Result<Batch, DataError> {
        let mut state = self.shared.lock();
        loop {
            let ticket = state.to_take;
            if let Some(batch) = state.ready.remove(&ticket) {
                state.to_take += 1;
                self.shared.changed.notify_all();
                return batch;
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches the panics of its batches, so there is nothing left to report here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(maker: &Maker, shared: &Shared) {
    let prefetch = maker.config.prefetch as u64;
    let mut state = shared.lock();
    loop {
        if state.stop {
            return;
        }
        if state.to_make >= state.to_take + prefetch {
            state = shared.wait(state);
            continue;
        }
        let ticket = state.to_make;
        state.to_make += 1;
        drop(state);
        let position = maker.position(ticket);
        let batch = catch_unwind(AssertUnwindSafe(|| maker.make(position))).unwrap_or_else(|panic| {
            let why = message(panic.as_ref());
            Err(DataError::Panic { epoch: position.epoch, batch: position.batch, why })
        });
        state = shared.lock();
        state.ready.insert(ticket, batch);
        shared.changed.notify_all();
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
