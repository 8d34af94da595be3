//! Optimisers: they build the graphs of the next parameters, which run with the forward and backward pass as one plan.
//!
//! Formulas and their order are PyTorch's. What changes from step to step (rates, bias corrections) enters as data, so the
//! plan of a step stays the same.

mod adam;
mod clipped;
mod group;
mod levenberg;
mod muon;
mod rms_prop;
mod sgd;

pub use adam::Adam;
pub use clipped::Clipped;
pub use group::Group;
pub use levenberg::Levenberg;
pub use muon::Muon;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use tensor::{Tensor, Update, Var};

/// A rule that turns gradients into the next parameters.
pub trait Optimiser {
    /// The parameters, in the order in which gradients are given.
    fn parameters(&self) -> Vec<Var>;

    /// The updates of parameters and state for `gradients` (one a parameter) at learning rate `lr`. Nothing changes until
    /// they are run.
    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update>;

    /// All that must be saved to go on exactly: moments and the step counter, with names such as `momentum/fc1/weight`.
    fn state(&self) -> Vec<Var>;
}
