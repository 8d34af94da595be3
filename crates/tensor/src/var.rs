//! Variables: named values that live from step to step (parameters, moments, running statistics).

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::shape::Shape;
use crate::tensor::{Node, Tensor};

/// A named value that changes only between evaluations. Cloning copies a pointer to the same variable.
#[derive(Clone)]
pub struct Var(Arc<Inner>);

struct Inner {
    name: String,
    shape: Shape,
    dtype: DType,
    state: Mutex<State>,
}

/// The value of a variable and how often it changed. For devices, which update it in place.
pub struct State {
    /// The current value.
    pub value: Arc<Array>,
    /// Raised by each change.
    pub version: u64,
    leaf: Weak<Node>,
}

/// "Give `var` the value of `value`", carried out when the graph is run.
#[derive(Clone, Debug)]
pub struct Update {
    /// The variable.
    pub var: Var,
    /// Its next value: same shape and dtype.
    pub value: Tensor,
}

impl Var {
    /// A variable called `name` (a path such as `fc1/weight`) that holds `value`.
    pub fn new(name: impl Into<String>, value: Array) -> Var {
        let (shape, dtype) = (*value.shape(), value.dtype());
        let state = Mutex::new(State { value: Arc::new(value), version: 0, leaf: Weak::new() });
        Var(Arc::new(Inner { name: name.into(), shape, dtype, state }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its shape, fixed.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// Its dtype, fixed.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// Its value in a graph. A graph reads the value of the time it was traced: evaluated after the variable changed, it
    /// is an error.
    #[track_caller]
    pub fn tensor(&self) -> Tensor {
        let mut state = self.state();
        if let Some(leaf) = Tensor::upgrade(&state.leaf) {
            return leaf;
        }
        let leaf = Tensor::of_var(self.clone(), state.version, Location::caller());
        state.leaf = leaf.downgrade();
        leaf
    }

    /// A snapshot of its value.
    pub fn value(&self) -> Arc<Array> {
        self.state().value.clone()
    }

    /// Replaces the value; shape and dtype must be the same.
    pub fn set(&self, value: Array) -> Result<()> {
        if value.shape() != self.shape() || value.dtype() != self.dtype() {
            let message = format!(
                "{} is {} {}, and cannot become {} {}",
                self.name(),
                self.dtype(),
                self.shape(),
                value.dtype(),
                value.shape()
            );
            return Err(Error::new(ErrorKind::Shape, "set", message));
        }
        let mut state = self.state();
        state.value = Arc::new(value);
        state.changed();
        Ok(())
    }

    /// `self` takes the value of `value` when the graph is run.
    pub fn update(&self, value: &Tensor) -> Update {
        Update { var: self.clone(), value: value.clone() }
    }

    /// The value and version, locked. For devices.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// `Ok` if the variable is still at `version`; else the error that a stale graph gives.
    pub fn check_version(&self, version: u64) -> Result<()> {
        if self.state().version == version {
            return Ok(());
        }
        Err(self.stale())
    }

    /// The error of a graph that was traced before the variable changed.
    pub fn stale(&self) -> Error {
        let message = format!("{} changed after this graph was traced", self.name());
        Error::new(ErrorKind::Stale, "variable", message).help("trace the graph again: call forward after each update")
    }

    /// A number that no other living variable has.
    pub fn id(&self) -> u64 {
        Arc::as_ptr(&self.0) as u64
    }

    /// Whether both are the same variable.
    pub fn is(&self, other: &Var) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl State {
    /// Notes that the value has changed: graphs traced before are stale.
    pub fn changed(&mut self) {
        self.version += 1;
        self.leaf = Weak::new();
    }
}

impl fmt::Debug for Var {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Var({} {} {})", self.name(), self.dtype(), self.shape())
    }
}
