//! What the values of a step are called.

use nn::{Pass, Scope};
use serde_json::{Value, json};
use tensor::Tensor;

use crate::job::Job;
use crate::step::Traced;

/// A value of a step that has a name.
#[derive(Clone)]
pub struct Named {
    /// `conv1/weight`, `conv1/relu`, `loss`, ...
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its node: shape, dtype, origin.
    pub tensor: Tensor,
}

impl Named {
    /// Name, kind, shape and dtype.
    pub fn to_json(&self) -> Value {
        let (tensor, kind) = (&self.tensor, self.kind.word());
        json!({ "name": self.name, "kind": kind, "shape": tensor.dims(), "dtype": tensor.dtype().to_string() })
    }
}

/// What a named value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `input [N, ..]` and `target [N]`: the batch as fed, augmented and normalised.
    Batch,
    /// The output of a layer, by its path. The second time a layer is passed, its output is called `path:2`.
    Activation,
    /// `logits`, `losses [N]`, `loss []`, and the lengths `grad_norm`, `weight_norm`, `update_norm`.
    Result,
    /// A parameter before the step.
    Parameter,
    /// A buffer (a running statistic) before the step.
    Buffer,
    /// What the optimiser or the averages remember: `exp_avg/conv1/weight`, `average/conv1/weight`.
    Memory,
}

impl Kind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Batch => "batch",
            Kind::Activation => "activation",
            Kind::Result => "result",
            Kind::Parameter => "parameter",
            Kind::Buffer => "buffer",
            Kind::Memory => "memory",
        }
    }
}

/// All names of a step: batch, activations in the order of the pass, results, parameters, buffers, memories.
pub(super) fn names(job: &Job, traced: &Traced) -> Vec<Named> {
    let mut all = Names(Vec::new());
    all.add("input", Kind::Batch, traced.x.clone());
    all.add("target", Kind::Batch, traced.labels.clone());
    all.add_pass(&traced.pass, &traced.logits);
    if let Some(rows) = &traced.losses.rows {
        all.add("losses", Kind::Result, rows.clone());
    }
    all.add("loss", Kind::Result, traced.losses.total.clone());
    all.add("grad_norm", Kind::Result, traced.grad_norm());
    all.add("weight_norm", Kind::Result, traced.weight_norm());
    all.add("update_norm", Kind::Result, traced.update_norm());
    all.add_variables(&job.scope);
    job.optimizer.state().iter().for_each(|var| all.add(var.name(), Kind::Memory, var.tensor()));
    for var in job.average.iter().flat_map(|average| average.state()) {
        all.add(&format!("average/{}", var.name()), Kind::Memory, var.tensor());
    }
    all.0
}

/// The same of one pass outside training.
pub(super) fn names_of_pass(scope: &Scope, x: &Tensor, pass: &Pass, logits: &Tensor) -> Vec<Named> {
    let mut all = Names(Vec::new());
    all.add("input", Kind::Batch, x.clone());
    all.add_pass(pass, logits);
    all.add_variables(scope);
    all.0
}

/// Names, no two alike.
struct Names(Vec<Named>);

impl Names {
    fn add_pass(&mut self, pass: &Pass, logits: &Tensor) {
        for seen in pass.seen() {
            self.add(&seen.path, Kind::Activation, seen.output);
        }
        self.add("logits", Kind::Result, logits.clone());
    }

    fn add_variables(&mut self, scope: &Scope) {
        scope.parameters().iter().for_each(|var| self.add(var.name(), Kind::Parameter, var.tensor()));
        scope.buffers().iter().for_each(|var| self.add(var.name(), Kind::Buffer, var.tensor()));
    }

    fn add(&mut self, name: &str, kind: Kind, tensor: Tensor) {
        let taken = |name: &str| self.0.iter().any(|named| named.name == name);
        let mut free = name.to_owned();
        let mut number = 2;
        while taken(&free) {
            free = format!("{name}:{number}");
            number += 1;
        }
        self.0.push(Named { name: free, kind, tensor });
    }
}
