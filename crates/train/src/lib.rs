//! Training: runs on disk, the step loop, checkpoints, settings, measures. It never prints: it hands out events.

pub mod checkpoint;
pub mod config;
mod durable;
mod error;
pub mod event;
pub mod graph;
pub mod metric;
pub mod pictures;
mod record;
mod run_dir;
mod splits;
pub mod suggest;
#[cfg(test)]
mod testing;
mod toml;

pub use config::{Settings, Source};
pub use error::{Error, Result};
pub use event::{Event, Status};
pub use record::Record;
pub use run_dir::{Contents, RunDir};
pub use splits::{DataFile, Input, Splits, check_classes};
