//! A network as questions are asked of it: of a run at one of its steps, or of a model alone.

use cpu::Cpu;
use nn::{Layer, Scope};
use see::Net;
use train::Input;

/// A network with its weights.
pub struct Network<'a> {
    /// What it computes on.
    pub cpu: &'a Cpu,
    /// What computes.
    pub model: &'a dyn Layer,
    /// Its weights.
    pub scope: &'a Scope,
    /// What it sees of a row.
    pub input: &'a Input,
    /// Name of its recipe.
    pub recipe: &'a str,
}

impl Network<'_> {
    /// As [`see`] takes it.
    pub fn net(&self) -> Net<'_> {
        Net { cpu: self.cpu, model: self.model, scope: self.scope }
    }
}
