//! Layers, named parameters, losses, initial values, optimisers, schedules, checkpoints of tensors.
//!
//! A model is made of layers that declare their parameters in a [`Scope`]; a [`Pass`] goes through it; an
//! [`optim::Optimiser`] turns gradients into updates that run with the pass as one plan.
//!
//! ```
//! # use glassbox_nn as nn;
//! use cpu::Cpu;
//! use nn::{Group, Layer, Optimiser, Pass, Scope, Sequential, Sgd, Tanh, linear};
//! use tensor::{DType, RandomKey, Tensor, Var};
//!
//! let at = Scope::root(7);
//! let model = Sequential::new().then(linear(&at / "fc1", 2, 8)).then(Tanh).then(linear(&at / "fc2", 8, 2));
//! let optimiser = Sgd::new(vec![Group::new(at.parameters())], 0.9);
//!
//! let x = Tensor::from_vec(vec![0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2]);
//! let target = Tensor::from_vec(vec![0i64, 1, 1, 0], [4]); // exclusive or
//! let mut last = f64::INFINITY;
//! for step in 0..300 {
//!     let pass = Pass::train(RandomKey::new(7).step(step));
//!     let loss = model.forward(&x, &pass).cross_entropy(&target);
//!     let parameters: Vec<Tensor> = optimiser.parameters().iter().map(Var::tensor).collect();
//!     let mut updates = optimiser.step(&loss.grad(&parameters), 0.1);
//!     updates.extend(pass.updates());
//!     last = Cpu::shared()?.run(&[&loss], &updates)?[0].get_f64(0);
//! }
//! assert!(last < 0.05, "{last}");
//! # Ok::<(), tensor::Error>(())
//! ```

pub mod average;
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
pub mod solve;
pub mod state;
pub mod summary;

pub use average::Average;
pub use clip::{clip_grad_norm, clip_grad_value};
pub use error::{Error, Result};
pub use init::{Fan, Gain, Init};
pub use layer::{Description, Layer, Place};
pub use layers::*;
pub use optim::{Adam, Clipped, Group, Levenberg, Muon, Optimiser, RmsProp, Sgd};
pub use param::Param;
pub use pass::Pass;
pub use schedule::Schedule;
pub use scope::Scope;
pub use sequential::Sequential;
pub use sizes::Sizes;
pub use state::State;
pub use summary::Summary;
