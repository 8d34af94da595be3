//! Datasets: formats, transforms, splits, and a loader whose batches depend on the seed alone.
//!
//! Nothing here knows of graphs or training: it hands out plain arrays.
//! A row is read by `Dataset::get`, changed by `Transforms`, and gathered with others into a `Batch` by the `Loader`.
//! Everything random is a pure function of (seed, epoch, row), so any sample of any past epoch can be made again.

mod bytes;
pub mod dataset;
pub mod digits;
mod error;
pub mod idx;
pub mod loader;
pub mod memory;
mod sample;
pub mod statistics;
pub mod transform;

pub use dataset::{Dataset, OnBroken, Skipped, Subset, class_counts};
pub use digits::digits;
pub use error::DataError;
pub use idx::{Idx, MnistDir, parse_idx, read_idx, read_idx_images, write_idx};
pub use loader::{Batch, Loader, LoaderConfig, Position};
pub use memory::{InMemory, Targets, Values};
pub use sample::{Image, Sample, Target};
pub use statistics::{MeanStd, mean_std};
pub use transform::{PadMode, Transform, Transforms, augmentation_key};
