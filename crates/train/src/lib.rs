//! Training: runs on disk, the step loop, checkpoints, settings, measures. It never prints: it hands out events.

mod begin;
mod branch;
pub mod checkpoint;
pub mod config;
mod divergence;
mod durable;
mod error;
mod evaluate;
pub mod event;
pub mod graph;
mod job;
mod log;
pub mod metric;
pub mod pictures;
mod preview;
mod record;
pub mod report;
mod run_dir;
mod same;
mod self_test;
mod session;
mod splits;
mod state;
mod step;
pub mod suggest;
mod teller;
pub mod tensorboard;
#[cfg(test)]
mod testing;
mod toml;
mod trainer;

pub use branch::branch;
pub use config::{Settings, Source};
pub use error::{Error, Result};
pub use evaluate::{Prediction, evaluate, predict, tensors};
pub use event::{Event, Status};
pub use job::{Job, Loss, steps};
pub use preview::{Memory, Preview, preview};
pub use record::Record;
pub use run_dir::{Contents, RunDir};
pub use same::{CHANGEABLE, check_manifest};
pub use self_test::{SelfTest, self_test};
pub use splits::{DataFile, DataRecord, Input, Splits, check_classes, rows_hash};
pub use state::{State, load_model};
pub use step::plan;
pub use trainer::{fit, resume};
