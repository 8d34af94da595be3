//! Datasets: formats, transforms, splits, and a loader whose batches depend on the seed alone.
//!
//! Nothing here knows of graphs or training: it hands out plain arrays.
//! A row is read by `Dataset::get`, changed by `Transforms`, and gathered with others into a `Batch` by the `Loader`.
//! Everything random is a pure function of (seed, epoch, row), so any sample of any past epoch can be made again.
//!
//! ```
//! use glassbox_data::{DataError, Loader, LoaderConfig, Transform, Transforms, digits, mean_std};
//!
//! let (train, _test) = digits()?;
//! let transforms = Transforms::new().then(Transform::Rotation { degrees: 10.0 }).then(mean_std(&train)?.normalise());
//! let config = LoaderConfig { batch: 64, seed: 1, transforms, ..LoaderConfig::default() };
//! let mut loader = Loader::new(std::sync::Arc::new(train), config)?;
//! let batch = loader.next_batch()?;
//! assert_eq!((batch.shape, batch.labels.len()), (vec![64, 1, 28, 28], 64));
//! # Ok::<(), DataError>(())
//! ```

mod bytes;
mod class_folders;
pub mod columns;
pub mod csv;
pub mod dataset;
pub mod detection;
pub mod digits;
mod error;
pub mod folder;
mod folder_scan;
#[cfg(test)]
mod fuzz;
pub mod idx;
pub mod loader;
pub mod manifest;
pub mod memory;
pub mod ngram;
pub mod npy;
mod parallel;
pub mod picture;
mod sample;
pub mod split;
pub mod statistics;
pub mod survey;
pub mod table;
pub mod text;
pub mod text_rows;
pub mod tokenizer;
pub mod transform;
pub mod wav;
pub mod windows;
mod zip;

pub use columns::{
    Column, ColumnKind, TableTarget, classes_of, columns_of, fill_gaps, rows_without_gaps, table_dataset,
};
pub use csv::{CsvOptions, TargetKind, csv_dataset, read_csv};
pub use dataset::{Dataset, OnBroken, Skipped, Subset, class_counts};
pub use detection::{Annotated, Bounds, Detection, Fault, read_coco, read_voc, read_yolo};
pub use digits::digits;
pub use error::DataError;
pub use folder::{Channels, FolderOptions, FolderSplits, ImageFile, ImageFolder};
pub use idx::{Idx, MnistDir, parse_idx, read_idx, read_idx_images, write_idx};
pub use loader::{Batch, Loader, LoaderConfig, Position};
pub use manifest::{Changes, Entry, Manifest};
pub use memory::{InMemory, Targets, Values};
pub use ngram::NGram;
pub use npy::{NpyArray, NpyValues, Npz, parse_npy, read_npy};
pub use picture::{Depth, Picture, decode_picture, encode_png, read_picture, write_png};
pub use sample::{Image, Sample, Target};
pub use split::{split_by_class, split_by_content, split_by_group};
pub use statistics::{MeanStd, mean_std};
pub use survey::{Convention, Survey, SurveyOptions, survey};
pub use table::{Table, TableFormat};
pub use text::{Text, read_text, read_utf8};
pub use text_rows::{TextColumns, TextRows, TextSplits};
pub use tokenizer::Tokenizer;
pub use transform::{AugmentationKey, PadMode, Transform, Transforms, augmentation_key};
pub use wav::{WavInfo, parse_wav};
pub use windows::{Layout, Windows};
