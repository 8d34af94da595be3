//! Parameters and buffers: declared when a layer is constructed, given their values when first asked for.
//!
//! So that `conv2d(..).bias(false)` can still withdraw a parameter, or `.groups(4)` change its shape.

use std::ops::Range;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tensor::{Array, DType, Error, ErrorKind, RandomKey, Shape, Tensor, Values, Var};

use crate::init::Init;

/// A parameter or buffer of a layer. Cloning copies a pointer to the same one.
#[derive(Clone)]
pub struct Param(Arc<Slot>);

/// What never changes of a parameter.
pub(crate) struct ParamOrigin {
    pub(crate) name: String,
    pub(crate) trained: bool,
    pub(crate) dtype: DType,
    pub(crate) key: RandomKey,
    pub(crate) location: &'static Location<'static>,
}

struct Slot {
    origin: ParamOrigin,
    state: Mutex<State>,
    var: OnceLock<Var>,
}

struct State {
    declared: Option<(Vec<usize>, Init)>,
    filled: Option<(Range<usize>, f64)>,
    frozen: bool,
    problem: Option<String>,
}

impl Param {
    /// Declares what `origin` says with this shape and initial distribution, unless there is a `problem`.
    pub(crate) fn declare(origin: ParamOrigin, shape: Vec<usize>, init: Init, problem: Option<String>) -> Param {
        let state = Mutex::new(State { declared: Some((shape, init)), filled: None, frozen: false, problem });
        let param = Param(Arc::new(Slot { origin, state, var: OnceLock::new() }));
        param.check_shape();
        param
    }

    /// Full name: `conv1/weight`.
    pub fn name(&self) -> &str {
        &self.0.origin.name
    }

    /// Where its layer was constructed.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.origin.location
    }

    /// Whether it is a parameter; else it is a buffer (a running statistic, say).
    pub fn is_parameter(&self) -> bool {
        self.0.origin.trained
    }

    /// Whether it was frozen by [`crate::Scope::freeze`].
    pub fn is_frozen(&self) -> bool {
        self.state().frozen
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.state().frozen = frozen;
    }

    /// What is wrong with its declaration, if anything.
    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// Its variable, initialised now if it was not before; `None` if it was withdrawn or its declaration is wrong.
    pub fn var(&self) -> Option<Var> {
        if let Some(var) = self.0.var.get() {
            return Some(var.clone());
        }
        let state = self.state();
        let (shape, init) = state.declared.as_ref().filter(|_| state.problem.is_none())?;
        let shape = Shape::new(shape)?;
        let make = || {
            let mut values = init.values(shape, self.0.origin.dtype, self.0.origin.key);
            state.filled.iter().for_each(|(rows, value)| fill_rows(&mut values, rows, *value));
            Var::new(self.name(), values)
        };
        Some(self.0.var.get_or_init(make).clone())
    }

    /// Its value in a graph; an error tensor if its declaration is wrong.
    #[track_caller]
    pub fn tensor(&self) -> Tensor {
        match self.var() {
            Some(var) => var.tensor(),
            None => {
                let withdrawn = || format!("{} was withdrawn", self.name());
                let message = self.problem().unwrap_or_else(withdrawn);
                Tensor::failure(Error::new(ErrorKind::Argument, "model", message))
            }
        }
    }

    /// Takes it out of the model.
    pub fn withdraw(&self) {
        self.change(None);
    }

    /// Gives it another shape and initial distribution.
    pub fn redeclare(&self, shape: &[usize], init: Init) {
        self.change(Some((shape.to_vec(), init)));
        self.check_shape();
    }

    /// Starts `rows` of the first axis at `value`.
    pub(crate) fn fill_rows(&self, rows: Range<usize>, value: f64) {
        let mut state = self.state();
        let count = state.declared.as_ref().and_then(|(shape, _)| shape.first().copied());
        if count.is_some_and(|count| rows.end > count) {
            let text = format!("{} has no row {} ({})", self.name(), rows.end - 1, self.0.origin.location);
            state.problem.get_or_insert(text);
        }
        state.filled = Some((rows, value));
    }

    fn change(&self, declared: Option<(Vec<usize>, Init)>) {
        let mut state = self.state();
        if self.0.var.get().is_some() {
            let text = format!("{} was changed after it was used ({})", self.name(), self.0.origin.location);
            state.problem.get_or_insert(text);
        }
        state.declared = declared;
    }

    fn check_shape(&self) {
        let mut state = self.state();
        if let Some((shape, _)) = &state.declared
            && Shape::new(shape).is_none()
        {
            let text = format!("{} cannot have shape {shape:?} ({})", self.name(), self.0.origin.location);
            state.problem.get_or_insert(text);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn fill_rows(values: &mut Array, rows: &Range<usize>, value: f64) {
    let width: usize = values.shape().iter().skip(1).product();
    let span = rows.start * width..rows.end * width;
    match values.values_mut() {
        Values::F32(v) => v.get_mut(span).into_iter().for_each(|row| row.fill(value as f32)),
        Values::F64(v) => v.get_mut(span).into_iter().for_each(|row| row.fill(value)),
        _ => {}
    }
}
