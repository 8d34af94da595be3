//! Scopes: where parameters get their names, their initial values, and are found again.

use std::collections::HashMap;
use std::ops::Div;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};

use tensor::{DType, RandomKey, Var};

use crate::error::{Error, Result};
use crate::init::Init;
use crate::param::{Param, ParamOrigin};
use crate::state::{self, State};

/// A path in a model, such as `block1/conv2`, and the registry of all parameters, shared by the whole tree of scopes.
///
/// `&at / "conv1"` is the path below. A parameter's initial value depends on the seed and on its own full name alone, so
/// adding a layer never changes another's.
#[derive(Clone)]
pub struct Scope {
    path: String,
    registry: Arc<Registry>,
}

struct Registry {
    key: RandomKey,
    dtype: DType,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    params: Vec<Param>,
    by_name: HashMap<String, usize>,
}

impl Scope {
    /// The root of a new model of f32 parameters, initialised from `seed`.
    pub fn root(seed: u64) -> Scope {
        Scope::root_of(seed, DType::F32)
    }

    /// The root of a new model of `dtype` parameters.
    pub fn root_of(seed: u64, dtype: DType) -> Scope {
        let registry = Registry { key: RandomKey::new(seed), dtype, entries: Mutex::default() };
        Scope { path: String::new(), registry: Arc::new(registry) }
    }

    /// Its path; empty at the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The dtype of its parameters.
    pub fn dtype(&self) -> DType {
        self.registry.dtype
    }

    /// Declares a parameter, which is trained.
    #[track_caller]
    pub fn parameter(&self, name: &str, shape: &[usize], init: Init) -> Param {
        self.declare(name, true, self.registry.dtype, shape, init, Location::caller())
    }

    /// Declares a buffer: saved with the model, but not trained.
    #[track_caller]
    pub fn buffer(&self, name: &str, shape: &[usize], dtype: DType, init: Init) -> Param {
        self.declare(name, false, dtype, shape, init, Location::caller())
    }

    fn declare(
        &self,
        name: &str,
        trained: bool,
        dtype: DType,
        shape: &[usize],
        init: Init,
        location: &'static Location<'static>,
    ) -> Param {
        let full = join(&self.path, name);
        let mut entries = self.entries();
        let problem = match entries.by_name.get(&full).map(|&i| &entries.params[i]) {
            Some(first) => Some(format!("{full} is declared twice: at {} and at {location}", first.location())),
            None if full.split('/').any(|part| part.is_empty() || part.contains('.')) => {
                Some(format!("{full:?} is no name: its parts must not be empty or hold a dot ({location})"))
            }
            None => None,
        };
        let key = self.registry.key.stream(&full);
        let origin = ParamOrigin { name: full.clone(), trained, dtype, key, location };
        let param = Param::declare(origin, shape.to_vec(), init, problem);
        let index = entries.params.len();
        entries.by_name.entry(full).or_insert(index);
        entries.params.push(param.clone());
        param
    }

    /// `Ok` unless a name was declared twice, or a declaration is wrong in another way; all faults at once.
    pub fn check(&self) -> Result<()> {
        let problems: Vec<String> = self.declared().iter().filter_map(Param::problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Declaration(problems)) }
    }

    /// All parameters below this scope, in the order of their declaration.
    pub fn parameters(&self) -> Vec<Var> {
        self.vars(Param::is_parameter)
    }

    /// The parameters that are not frozen: those to give an optimiser.
    pub fn trainable(&self) -> Vec<Var> {
        self.vars(|param| param.is_parameter() && !param.is_frozen())
    }

    /// All buffers below this scope.
    pub fn buffers(&self) -> Vec<Var> {
        self.vars(|param| !param.is_parameter())
    }

    /// The parameter or buffer with this full name; `conv1.weight` is the same as `conv1/weight`.
    pub fn find(&self, name: &str) -> Option<Var> {
        let entries = self.entries();
        let index = *entries.by_name.get(&name.replace('.', "/"))?;
        entries.params[index].var()
    }

    /// Freezes (or thaws) the parameters at and below the full name `prefix`.
    pub fn freeze(&self, prefix: &str, frozen: bool) {
        let prefix = prefix.replace('.', "/");
        self.declared().iter().filter(|param| is_below(param.name(), &prefix)).for_each(|p| p.set_frozen(frozen));
    }

    /// A snapshot of all parameters and buffers below this scope, under PyTorch's names (`conv1.weight`).
    pub fn state(&self) -> Result<State> {
        self.check()?;
        Ok(state::snapshot(&self.vars(|_| true)))
    }

    /// Gives all parameters and buffers below this scope the values in `state`, or none: anything missing, unexpected or of
    /// another shape is an error that lists everything. `from` names the file in it.
    pub fn load_state(&self, state: &State, from: &str) -> Result<()> {
        self.check()?;
        state::restore(&self.vars(|_| true), state, from)
    }

    fn vars(&self, wanted: impl Fn(&Param) -> bool) -> Vec<Var> {
        self.declared().iter().filter(|param| wanted(param)).filter_map(Param::var).collect()
    }

    fn declared(&self) -> Vec<Param> {
        self.entries().params.iter().filter(|param| is_below(param.name(), &self.path)).cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.registry.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}/{name}") }
}

fn is_below(name: &str, path: &str) -> bool {
    path.is_empty() || name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl<S: AsRef<str>> Div<S> for &Scope {
    type Output = Scope;
    fn div(self, name: S) -> Scope {
        Scope { path: join(&self.path, name.as_ref()), registry: self.registry.clone() }
    }
}

impl<S: AsRef<str>> Div<S> for Scope {
    type Output = Scope;
    fn div(self, name: S) -> Scope {
        &self / name
    }
}
