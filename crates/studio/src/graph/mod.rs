//! The graph of a training step at three zooms: layers, ops, kernels of the plan. Layout, figures and sources come from here;
//! the page draws.

pub mod answers;
mod kernel;
pub mod layout;
mod model;
mod source;
pub mod zoom;

pub use kernel::{KernelCall, Operand};
pub use model::{Node, Phase, StepGraph};
pub use source::{Source, files, source};
