//! Layers, named parameters, losses, initial values, optimisers, schedules, checkpoints of tensors.
//!
//! A model is made of layers that declare their parameters in a [`Scope`]; a [`Pass`] goes through it; an
//! [`optim::Optimiser`] turns gradients into updates that run with the pass as one plan.

pub mod clip;
pub mod error;
pub mod init;
pub mod layer;
pub mod layers;
pub mod losses;
pub mod optim;
pub mod param;
pub mod pass;
pub mod safetensors;
pub mod schedule;
pub mod scope;
pub mod sequential;
mod sizes;
pub mod state;
pub mod summary;

pub use clip::{clip_grad_norm, clip_grad_value};
pub use error::{Error, Result};
pub use init::Init;
pub use layer::{Description, Layer, Place};
pub use layers::*;
pub use optim::{Adam, Group, Optimiser, RmsProp, Sgd};
pub use param::Param;
pub use pass::Pass;
pub use schedule::Schedule;
pub use scope::Scope;
pub use sequential::Sequential;
pub use sizes::Sizes;
pub use state::State;
pub use summary::Summary;
