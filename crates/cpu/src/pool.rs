//! The thread pool: runs numbered units of work on every core.
//!
//! Each thread begins with a share of neighbouring units, the same share of every job of as many units, so that it finds
//! in its caches what it has written before; who is done helps the others. So which worker takes which unit is left to
//! chance, and a unit must write only what is its own; then no result can depend on it. Workers spin for a moment after a
//! job, because the next kernel of a plan usually follows within microseconds, and then sleep.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle worker looks for the next job before it sleeps. Waking a sleeper costs about 5 to 50
/// microseconds, and kernels of a running plan follow each other faster than this.
const SPIN: Duration = Duration::from_micros(50);

/// Spins of a waiting caller before it starts to give its time slice away: the last workers are about to finish.
const SPINS_BEFORE_YIELD: u32 = 1 << 12;

/// Threads that run numbered units of work.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held while a job runs: jobs of several callers follow one another.
    turn: Mutex<()>,
}

/// `gate` in one word: the number of the job, whether it may still be joined, and how many workers are in it.
struct Shared {
    gate: AtomicU64,
    job: UnsafeCell<Option<Job>>,
    /// The next unit of each thread's share, the caller's first: one for each thread that was asked for, whether or not there is one.
    next: Box<[Counter]>,
    sleepers: Mutex<usize>,
    sleeping: AtomicUsize,
    wake: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// On cache lines of its own: other threads write the counters beside it.
#[repr(align(128))]
struct Counter(AtomicUsize);

const WORKERS_IN: u64 = (1 << 30) - 1;
const OPEN: u64 = 1 << 30;
const STOP: u64 = 1 << 31;
const JOB_NUMBER: u32 = 32;

/// The work of one call of `run`; the lifetime of `unit` is erased, see `Pool::run`.
#[derive(Clone, Copy)]
struct Job {
    units: usize,
    unit: *const (dyn Fn(usize) + Sync),
}

// SAFETY: `job` is written only by the caller that holds `turn` while no worker is in (gate closed, count zero), and
// read only by workers that joined through the gate, which orders the write before the read.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` refers to a `Sync` closure, and is followed only while `Pool::run` keeps it alive.
unsafe impl Send for Shared {}

thread_local! {
    /// Whether this thread is inside a unit, so that a nested run stays on it.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// A pool of `threads` threads, the calling thread counted; 0 means one for each core.
    pub fn new(threads: usize) -> Pool {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            given => given,
        };
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            next: (0..threads).map(|_| Counter(AtomicUsize::new(0))).collect(),
            sleepers: Mutex::new(0),
            sleeping: AtomicUsize::new(0),
            wake: Condvar::new(),
            panic: Mutex::new(None),
        });
        // Where the system refuses a thread, the pool is smaller; results are the same.
        let workers = (1..threads)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                let name = format!("glassbox-{index}");
                std::thread::Builder::new().name(name).spawn(move || work(&shared, index)).ok()
            })
            .collect();
        Pool { shared, workers, turn: Mutex::new(()) }
    }

    /// How many threads work on a job, the caller counted.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Whether a worker looks for a job, so that a short one is worth handing out. (Results must not depend on it.)
    pub fn awake(&self) -> bool {
        let busy = INSIDE.get() || self.shared.gate.load(Ordering::Relaxed) & OPEN != 0;
        !busy && self.shared.sleeping.load(Ordering::Relaxed) < self.workers.len()
    }

    /// Calls `unit(0)` to `unit(units - 1)`, each once, on any thread and in any order, and returns when all are done.
    ///
    /// A run from inside one of several units stays on that unit's thread. A panic in a unit is raised again here.
    pub fn run(&self, units: usize, unit: impl Fn(usize) + Sync) {
        if units <= 1 || self.workers.is_empty() || INSIDE.get() {
            (0..units).for_each(unit);
            return;
        }
        let turn = lock(&self.turn);
        let unit: &(dyn Fn(usize) + Sync) = &unit;
        // SAFETY: only the lifetime is erased. `run` does not return, nor unwind, before every worker that could
        // follow the pointer has left the job: `close` waits for them, and units run under `catch_unwind`.
        let unit: *const (dyn Fn(usize) + Sync + 'static) = unsafe { std::mem::transmute(unit) };
        let job = Job { units, unit };
        self.shared.open(job, self.workers.len());
        self.shared.take_units(job, 0);
        self.shared.close();
        let panic = lock(&self.shared.panic).take();
        drop(turn);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Cuts `data` into pieces of `length` elements (the last may be shorter) and calls `unit(index, piece)` for each.
    pub fn chunks<T: Send>(&self, data: &mut [T], length: usize, unit: impl Fn(usize, &mut [T]) + Sync) {
        let length = length.max(1);
        let total = data.len();
        let all = Disjoint::new(data);
        self.run(total.div_ceil(length), |index| {
            let start = index * length;
            // SAFETY: the pieces of different units do not overlap.
            unit(index, unsafe { all.slice(start, length.min(total - start)) });
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.gate.fetch_or(STOP, Ordering::SeqCst);
        drop(lock(&self.shared.sleepers));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of units, so it ends normally.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Publishes a job and wakes as many sleepers as it can use.
    fn open(&self, job: Job, workers: usize) {
        // SAFETY: the caller holds `turn` and the gate is closed with nobody in.
        unsafe { *self.job.get() = Some(job) };
        for (thread, next) in self.next.iter().enumerate() {
            next.0.store(self.share(job.units, thread).start, Ordering::Relaxed);
        }
        let number = (self.gate.load(Ordering::Relaxed) >> JOB_NUMBER).wrapping_add(1);
        self.gate.store(number << JOB_NUMBER | OPEN, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            // Taking the lock orders this after a sleeper's last look at the gate.
            let asleep = *lock(&self.sleepers);
            for _ in 0..asleep.min(workers).min(job.units - 1) {
                self.wake.notify_one();
            }
        }
    }

    /// Ends a job: nobody may join any more, and everybody inside has left on return.
    fn close(&self) {
        self.gate.fetch_and(!OPEN, Ordering::SeqCst);
        let mut spins = 0u32;
        while self.gate.load(Ordering::Acquire) & WORKERS_IN != 0 {
            spins = spins.saturating_add(1);
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    /// The units that a thread begins with. (If they are fewer than threads, the caller has one: it is awake.)
    fn share(&self, units: usize, thread: usize) -> Range<usize> {
        let threads = self.next.len();
        (units * thread).div_ceil(threads)..(units * (thread + 1)).div_ceil(threads)
    }

    /// Takes units until none is left: of the share of thread `own`, then of those that follow it. A panic is kept for the caller and
    /// ends the handing out.
    fn take_units(&self, job: Job, own: usize) {
        INSIDE.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for thread in (own..self.next.len()).chain(0..own) {
                let (next, end) = (&self.next[thread].0, self.share(job.units, thread).end);
                // (Many threads that only read a counter do not take it from each other.)
                while next.load(Ordering::Relaxed) < end {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= end {
                        break;
                    }
                    // SAFETY: the closure outlives the job, see `Pool::run`.
                    unsafe { (*job.unit)(index) };
                }
            }
        }));
        INSIDE.set(false);
        if let Err(payload) = outcome {
            self.next.iter().for_each(|next| next.0.store(job.units, Ordering::Relaxed));
            lock(&self.panic).get_or_insert(payload);
        }
    }

    /// Joins the open job if there is one this worker has not been in; `Err(())` means stop.
    fn join(&self, seen: u64) -> Result<Option<(u64, Job)>, ()> {
        let mut gate = self.gate.load(Ordering::SeqCst);
        loop {
            if gate & STOP != 0 {
                return Err(());
            }
            if gate & OPEN == 0 || gate >> JOB_NUMBER == seen {
                return Ok(None);
            }
            match self.gate.compare_exchange_weak(gate, gate + 1, Ordering::SeqCst, Ordering::SeqCst) {
                // SAFETY: the job is not written while this worker is counted in.
                Ok(_) => return Ok(unsafe { *self.job.get() }.map(|job| (gate >> JOB_NUMBER, job))),
                Err(now) => gate = now,
            }
        }
    }
}

/// The life of worker `index`, counted from 1.
fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    let mut idle_since = Instant::now();
    loop {
        match shared.join(seen) {
            Err(()) => return,
            Ok(Some((number, job))) => {
                seen = number;
                shared.take_units(job, index);
                shared.gate.fetch_sub(1, Ordering::AcqRel);
                idle_since = Instant::now();
            }
            Ok(None) if idle_since.elapsed() < SPIN => {
                (0..32).for_each(|_| std::hint::spin_loop());
            }
            Ok(None) => {
                sleep(shared, seen);
                idle_since = Instant::now();
            }
        }
    }
}

/// Sleeps until there is a job to join, or the pool ends.
fn sleep(shared: &Shared, seen: u64) {
    let mut sleepers = lock(&shared.sleepers);
    *sleepers += 1;
    shared.sleeping.fetch_add(1, Ordering::SeqCst);
    loop {
        let gate = shared.gate.load(Ordering::SeqCst);
        if gate & STOP != 0 || (gate & OPEN != 0 && gate >> JOB_NUMBER != seen) {
            break;
        }
        sleepers = shared.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
    }
    *sleepers -= 1;
    shared.sleeping.fetch_sub(1, Ordering::SeqCst);
}

/// Locks; the data behind these locks stays valid through a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Part `part` of `parts` of `total`, as even as can be.
#[inline(always)]
pub(crate) fn part_of(total: usize, parts: usize, part: usize) -> Range<usize> {
    part * total / parts..(part + 1) * total / parts
}

/// A mutable slice of which units of a job write different parts.
#[derive(Clone, Copy)]
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    length: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out `&mut [T]` of parts that the caller promises to be disjoint, so `T: Send` is enough.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(data: &'a mut [T]) -> Self {
        Disjoint { start: data.as_mut_ptr(), length: data.len(), life: PhantomData }
    }

    /// The part `start .. start + length`.
    ///
    /// # Safety
    /// No other live slice of this data may overlap it.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn slice(&self, start: usize, length: usize) -> &'a mut [T] {
        assert!(start <= self.length && length <= self.length - start, "part of a slice out of bounds");
        // SAFETY: in bounds by the check above; not aliased by the promise of the caller.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), length) }
    }

    /// Where element `start` lies, at least `reach` elements before the end.
    #[inline(always)]
    pub(crate) fn pointer(&self, start: usize, reach: usize) -> *mut T {
        assert!(start <= self.length && reach <= self.length - start, "part of a slice out of bounds");
        self.start.wrapping_add(start)
    }

    /// The part `start .. start + length`, to be read by any number of units.
    ///
    /// # Safety
    /// Nobody writes this part while it is read.
    #[inline(always)]
    pub(crate) unsafe fn read(&self, start: usize, length: usize) -> &'a [T] {
        assert!(start <= self.length && length <= self.length - start, "part of a slice out of bounds");
        // SAFETY: in bounds by the check above; not written by the promise of the caller.
        unsafe { std::slice::from_raw_parts(self.start.add(start), length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_runs_exactly_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            for units in [0, 1, 2, 7, 1000] {
                let counts: Vec<AtomicUsize> = (0..units).map(|_| AtomicUsize::new(0)).collect();
                pool.run(units, |unit| {
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_jobs_with_pauses_lose_nothing() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        for job in 0..2000 {
            pool.run(5, |unit| {
                sum.fetch_add(unit, Ordering::Relaxed);
            });
            if job % 500 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(sum.into_inner(), 2000 * 10);
    }

    #[test]
    fn a_panic_in_a_unit_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(4);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(100, |unit| assert!(unit != 57, "unit 57"));
        }));
        let payload = outcome.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"unit 57"));
        let sum = AtomicUsize::new(0);
        pool.run(10, |unit| {
            sum.fetch_add(unit, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }

    #[test]
    fn a_nested_run_stays_on_its_thread() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        pool.run(8, |_| {
            let here = std::thread::current().id();
            pool.run(8, |unit| {
                assert_eq!(std::thread::current().id(), here);
                sum.fetch_add(unit, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 8 * 28);
    }

    #[test]
    fn several_callers_share_one_pool() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(4, |unit| {
                            sum.fetch_add(unit, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 200 * 6);
    }

    #[test]
    fn chunks_cover_a_slice() {
        let mut data = vec![0usize; 103];
        Pool::new(3).chunks(&mut data, 10, |index, piece| piece.iter_mut().for_each(|value| *value = index));
        assert!(data.iter().enumerate().all(|(i, &value)| value == i / 10));
    }
}
