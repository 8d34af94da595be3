//! One way through the model: training or evaluation, its random numbers, and what it changes or watches.

use std::cell::RefCell;
use std::collections::HashMap;

use tensor::{RandomKey, Tensor, Update, Var};

/// What a layer needs to know beside its input, and where it leaves what it gives beside its output.
pub struct Pass {
    key: Option<RandomKey>,
    draws: RefCell<HashMap<String, u32>>,
    updates: RefCell<Vec<Update>>,
    watched: Option<RefCell<Vec<Seen>>>,
}

/// What a layer made in a watched pass.
#[derive(Clone)]
pub struct Seen {
    /// Path of the layer.
    pub path: String,
    /// What kind of layer.
    pub kind: &'static str,
    /// Its output.
    pub output: Tensor,
}

impl Pass {
    /// Evaluation: no dropout, running statistics used and left alone.
    pub fn eval() -> Pass {
        Pass { key: None, draws: RefCell::default(), updates: RefCell::default(), watched: None }
    }

    /// Training: random numbers come from `key`, which already has the step.
    pub fn train(key: RandomKey) -> Pass {
        Pass { key: Some(key), ..Pass::eval() }
    }

    /// The same, keeping every layer's output for [`Pass::seen`].
    pub fn watching(self) -> Pass {
        Pass { watched: Some(RefCell::default()), ..self }
    }

    /// Whether layers behave as in training.
    pub fn is_training(&self) -> bool {
        self.key.is_some()
    }

    /// The random numbers of the layer at `path`; `None` in evaluation. A layer that is passed several times draws anew.
    pub fn key(&self, path: &str) -> Option<RandomKey> {
        let key = self.key?.stream(path);
        let mut draws = self.draws.borrow_mut();
        match draws.get_mut(path) {
            None => {
                draws.insert(path.to_string(), 1);
                Some(key)
            }
            Some(times) => {
                *times += 1;
                Some(key.stream(&format!("{times}")))
            }
        }
    }

    /// The value of `var` in this pass: what the pass has changed it to already, or its current value.
    #[track_caller]
    pub fn current(&self, var: &Var) -> Tensor {
        let changed = self.updates.borrow().iter().find(|update| update.var.is(var)).map(|u| u.value.clone());
        changed.unwrap_or_else(|| var.tensor())
    }

    /// Notes that `var` takes `value` when the step is run. A later value replaces an earlier one.
    pub fn update(&self, var: &Var, value: &Tensor) {
        let mut updates = self.updates.borrow_mut();
        updates.retain(|update| !update.var.is(var));
        updates.push(var.update(value));
    }

    /// What the pass changes (running statistics): to be run with the step.
    pub fn updates(&self) -> Vec<Update> {
        self.updates.borrow().clone()
    }

    /// Every layer's output, in order, if the pass is watching.
    pub fn seen(&self) -> Vec<Seen> {
        self.watched.as_ref().map_or(Vec::new(), |watched| watched.borrow().clone())
    }

    pub(crate) fn note(&self, path: &str, kind: &'static str, output: &Tensor) {
        if let Some(watched) = &self.watched {
            watched.borrow_mut().push(Seen { path: path.to_string(), kind, output: output.clone() });
        }
    }
}
