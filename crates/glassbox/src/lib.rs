//! A deep-learning system whose networks open: same seed, same bits, so everything can be recomputed and seen.
//!
//! A training loop is your own Rust, six lines in which nothing that changes results is hidden:
//!
//! ```
//! use glassbox::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let at = Scope::root(0);
//! let model = Sequential::new().then(linear(&at / "fc1", 2, 16)).then(Tanh).then(linear(&at / "fc2", 16, 2));
//! let optimizer = Adam::new(vec![Group::new(at.trainable())]);
//! let x = Tensor::from_vec(vec![0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2]);
//! let labels = Tensor::from_vec(vec![0i64, 1, 1, 0], [4]);
//! let cpu = Cpu::new(0)?;
//! let mut last = f32::INFINITY;
//!
//! for step in 0..200 {
//!     let pass = Pass::train(RandomKey::new(0).stream("train").step(step));
//!     let loss = model.forward(&x, &pass).cross_entropy(&labels);
//!     let gradients = loss.grad(&at.trainable().iter().map(Var::tensor).collect::<Vec<_>>());
//!     let updates = [optimizer.step(&gradients, 0.05), pass.updates()].concat();
//!     last = cpu.run(&[&loss], &updates)?[0].get_f64(0) as f32;
//! }
//! assert!(last < 0.01, "exclusive or is learned: {last}");
//! # Ok(())
//! # }
//! ```

pub use cpu;
pub use data;
pub use nn;
pub use see;
pub use tensor;
pub use train;

pub use cpu::{Cpu, Run};
pub use tensor::{Array, DType, Error, RandomKey, Shape, Tensor, Update, Var};

/// What most programs use.
pub mod prelude {
    pub use cpu::{Cpu, Run};
    pub use data::{Dataset, Loader, LoaderConfig, Transform, Transforms};
    pub use nn::*;
    pub use tensor::{Array, DType, RandomKey, Tensor, Update, Var};
}

/// The README's example, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
