//! The CPU as a device: runs graphs, updates variables in place.

use std::sync::{Arc, LazyLock};

use tensor::{Array, Element, Error, ErrorKind, Result, Tensor, Update};

use crate::machine::Machine;
use crate::simd::SimdError;

/// A CPU with its threads, its instruction set and its cache of plans.
pub struct Cpu {
    machine: Machine,
}

impl Cpu {
    /// A CPU device with `threads` threads (0: one for each core); `GLASSBOX_SIMD` may name the vector width.
    pub fn new(threads: usize) -> Result<Cpu, SimdError> {
        Ok(Cpu { machine: Machine::new(threads)? })
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
        let all: Vec<&Tensor> = outputs.iter().copied().chain(updates.iter().map(|update| &update.value)).collect();
        let mut values = tensor::reference::evaluate(&all)?;
        let next = values.split_off(outputs.len());
        for (update, value) in updates.iter().zip(next) {
            update.var.set(Arc::unwrap_or_clone(value))?;
        }
        outputs.iter().zip(&values).for_each(|(tensor, value)| tensor.realise(value.clone()));
        Ok(values)
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
