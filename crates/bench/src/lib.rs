//! The benchmark: nets that train, nets that infer and single ops, timed as a user would run them.
//!
//! Each case is the same net, sizes, loss and optimiser as in `bench/pytorch.py`, on synthetic data in memory. One step is
//! everything that a training loop does: the graph is traced afresh, and its forward pass, gradient and optimiser run.

mod case;
mod charlstm;
mod gpt;
mod inference;
mod measure;
mod models;
mod nets;
mod ops;
mod others;
mod plot;
mod profile;
mod quiet;
mod scale;

pub use case::{CASES, Case, Kind, Sizes, Traced, Work, find};
pub use measure::{Effort, Timing, measure, peak_rss_mib};
pub use plot::{Line, Plot};
pub use profile::{KernelTime, profile};
pub use scale::{Axis, Point, axes, scale};
