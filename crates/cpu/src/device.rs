//! The CPU as a device: runs graphs, updates variables in place.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tensor::plan::{Fusion, Plan, Trace, build, trace};
use tensor::{Array, Element, Error, ErrorKind, Result, Tensor, Update};

use crate::exec::{self, Memory, Prepared};
use crate::machine::Machine;
use crate::pool::Pool;
use crate::simd::{Level, Simd, SimdError};

/// A CPU with its threads, its instruction set and its cache of plans. Usable from several threads.
pub struct Cpu {
    machine: Machine,
    plans: Mutex<Plans>,
    memory: Memory,
}

/// Plans by the hash of the graph they were made for.
#[derive(Default)]
struct Plans {
    by_hash: HashMap<(u128, Fusion), (Arc<Prepared>, u64)>,
    /// Counts look-ups, to know which plan was used last.
    clock: u64,
}

/// Plans kept: a training run needs a handful; shapes that change at every step must not fill the memory.
const MOST_PLANS: usize = 256;

impl Cpu {
    /// A CPU device with `threads` threads (0: one for each core); `GLASSBOX_SIMD` may name the vector width.
    pub fn new(threads: usize) -> Result<Cpu, SimdError> {
        Ok(Cpu { machine: Machine::new(threads)?, plans: Mutex::default(), memory: Memory::default() })
    }

    /// A CPU device of a given vector width.
    pub fn with(threads: usize, level: Level) -> Result<Cpu, SimdError> {
        let machine = Machine { pool: Pool::new(threads), simd: Simd::new(level)? };
        Ok(Cpu { machine, plans: Mutex::default(), memory: Memory::default() })
    }

    /// The device that [`Run`] uses: all cores, made at the first use.
    pub fn shared() -> Result<&'static Cpu> {
        static SHARED: LazyLock<Result<Cpu, SimdError>> = LazyLock::new(|| Cpu::new(0));
        SHARED.as_ref().map_err(|error| Error::new(ErrorKind::Device, "cpu", error.to_string()))
    }

    /// Threads and instruction set.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Computes `outputs` and carries out `updates`, as one plan: all values are those before the updates.
    ///
    /// # Errors
    /// The error of the first bad node; stale variables; values out of range. On an error no variable has changed.
    pub fn run(&self, outputs: &[&Tensor], updates: &[Update]) -> Result<Vec<Arc<Array>>> {
        if updates.is_empty()
            && let Some(values) = outputs.iter().map(|output| output.value().cloned()).collect()
        {
            return Ok(values);
        }
        self.execute(outputs, updates, Fusion::On, None)
    }

    /// As [`Cpu::run`], but each op in a kernel of its own: the same bits, for tests and for people who look.
    ///
    /// # Errors
    /// As [`Cpu::run`].
    pub fn run_unfused(&self, outputs: &[&Tensor], updates: &[Update]) -> Result<Vec<Arc<Array>>> {
        self.execute(outputs, updates, Fusion::Off, None)
    }

    /// As [`Cpu::run`], and how long each step of [`Cpu::plan`] took.
    ///
    /// # Errors
    /// As [`Cpu::run`].
    pub fn run_timed(&self, outputs: &[&Tensor], updates: &[Update]) -> Result<(Vec<Arc<Array>>, Vec<Duration>)> {
        let mut times = Vec::new();
        let values = self.execute(outputs, updates, Fusion::On, Some(&mut times))?;
        Ok((values, times))
    }

    /// The plan that [`Cpu::run`] follows, to be printed.
    ///
    /// # Errors
    /// The error of the first bad node.
    pub fn plan(&self, outputs: &[&Tensor], updates: &[Update]) -> Result<Arc<Plan>> {
        Ok(self.prepared(&trace(outputs, updates)?, Fusion::On)?.plan.clone())
    }

    fn execute(
        &self,
        outputs: &[&Tensor],
        updates: &[Update],
        fusion: Fusion,
        times: Option<&mut Vec<Duration>>,
    ) -> Result<Vec<Arc<Array>>> {
        let trace = trace(outputs, updates)?;
        let prepared = self.prepared(&trace, fusion)?;
        exec::run(&self.machine, &self.memory, &prepared, &trace, outputs, times)
    }

    fn prepared(&self, trace: &Trace<'_>, fusion: Fusion) -> Result<Arc<Prepared>> {
        let key = (trace.hash, fusion);
        if let Some(prepared) = self.plans().find(key) {
            return Ok(prepared);
        }
        let prepared = Arc::new(Prepared::new(build(trace, fusion), &self.machine)?);
        self.plans().keep(key, prepared.clone());
        Ok(prepared)
    }

    fn plans(&self) -> std::sync::MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plans {
    fn find(&mut self, key: (u128, Fusion)) -> Option<Arc<Prepared>> {
        self.clock += 1;
        let (prepared, used) = self.by_hash.get_mut(&key)?;
        *used = self.clock;
        Some(prepared.clone())
    }

    fn keep(&mut self, key: (u128, Fusion), prepared: Arc<Prepared>) {
        if self.by_hash.len() >= MOST_PLANS
            && let Some(oldest) = self.by_hash.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)
        {
            self.by_hash.remove(&oldest);
        }
        self.by_hash.insert(key, (prepared, self.clock));
    }
}

/// Values of tensors, computed on the shared CPU device.
pub trait Run {
    /// The value.
    fn run(&self) -> Result<Arc<Array>>;

    /// The elements, row-major; `T` must be the dtype.
    fn to_vec<T: Element>(&self) -> Result<Vec<T>>;

    /// The only element of a tensor of one element.
    fn item<T: Element>(&self) -> Result<T>;
}

impl Run for Tensor {
    fn run(&self) -> Result<Arc<Array>> {
        let mut values = Cpu::shared()?.run(&[self], &[])?;
        Ok(values.swap_remove(0))
    }

    fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let value = self.run()?;
        value.as_slice::<T>().map(<[T]>::to_vec).ok_or_else(|| {
            let message = format!("the tensor is {}, not {}", self.dtype(), T::DTYPE);
            Error::new(ErrorKind::DType, "to_vec", message).at(self.origin()).help("cast it, or ask for its own type")
        })
    }

    fn item<T: Element>(&self) -> Result<T> {
        match self.to_vec::<T>()?.as_slice() {
            [value] => Ok(*value),
            values => {
                let message = format!("{} elements in {}, not one", values.len(), self.shape());
                Err(Error::new(ErrorKind::Shape, "item", message).at(self.origin()))
            }
        }
    }
}
