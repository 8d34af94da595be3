//! Folders of pictures by class: `DIR/CLASS/*.png`, or `DIR/train/CLASS/*.png` beside `val` (or `valid`) and `test`.
//!
//! All files are decoded once when the folder is opened, by several threads. So what is broken is known up front, and
//! numbers and order of rows depend on nothing but the files.

use crate::class_folders::{ClassFiles, PICTURE, Parts, part_folders};
use crate::dataset::{OnBroken, Skipped, out_of_range};
use crate::folder_scan::scan;
use crate::picture::{MAX_PIXELS, Picture, read_picture};
use crate::{DataError, Dataset, Sample, Target};
use std::path::{Path, PathBuf};

/// How many channels the samples of a folder get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// One if all files (of the training part) are grey, else three.
    #[default]
    Auto,
    /// One.
    Grey,
    /// Three.
    Rgb,
}

/// How a folder is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderOptions {
    /// What to do with files that cannot be decoded.
    pub on_broken: OnBroken,
    /// Channels of the samples.
    pub channels: Channels,
    /// Threads that decode at opening, at least 1.
    pub threads: usize,
    /// Decoded pictures stay in memory if each part of the dataset fits into so many bytes.
    pub cache_bytes: usize,
    /// Larger pictures count as broken.
    pub max_pixels: usize,
}

impl Default for FolderOptions {
    /// Fail on broken files, channels by the files, a thread per core, 512 MiB of cache, 64 million pixels.
    fn default() -> Self {
        FolderOptions {
            on_broken: OnBroken::Fail,
            channels: Channels::Auto,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cache_bytes: 512 << 20,
            max_pixels: MAX_PIXELS,
        }
    }
}

/// The parts of a folder of pictures.
#[derive(Debug, Clone)]
pub struct FolderSplits {
    /// `DIR/train`, or `DIR` itself if it has no such parts.
    pub train: ImageFolder,
    /// `DIR/val` or `DIR/valid`.
    pub val: Option<ImageFolder>,
    /// `DIR/test`.
    pub test: Option<ImageFolder>,
}

impl FolderSplits {
    /// Opens `DIR/CLASS/..` (all of it as `train`) or `DIR/{train,val,valid,test}/CLASS/..`.
    ///
    /// Classes are those of the training part, sorted by code point; the other parts use their numbers.
    ///
    /// # Errors
    /// If the layout is neither, a class is empty or missing from the training part, there is only one class, or a file
    /// is broken and `on_broken` is `Fail`.
    pub fn open(dir: &Path, options: &FolderOptions) -> Result<Self, DataError> {
        let Parts { train, val, test } = part_folders(dir)?;
        let train = ImageFolder::open(&train, options)?;
        let part = |dir: Option<PathBuf>| dir.map(|dir| ImageFolder::open_like(&dir, &train, options)).transpose();
        let (val, test) = (part(val)?, part(test)?);
        Ok(FolderSplits { train, val, test })
    }
}

/// Pictures by class: `DIR/CLASS/**/*.{png,jpg,jpeg}`.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    files: Vec<ImageFile>,
    class_names: Vec<String>,
    channels: usize,
    max_pixels: usize,
    skipped: Vec<Skipped>,
}

/// A picture of a folder.
#[derive(Debug, Clone)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its class.
    pub class: usize,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Kept if the whole folder fits into the cache.
    pub(crate) picture: Option<Picture>,
}

impl ImageFolder {
    /// Opens the pictures of all folders in `dir`. Folders in a class folder belong to the class; hidden files and
    /// files with other extensions are ignored.
    ///
    /// # Errors
    /// If there are less than two classes, an empty class, or a broken file that is not to be skipped.
    pub fn open(dir: &Path, options: &FolderOptions) -> Result<Self, DataError> {
        Self::open_files(dir, PICTURE.files(dir)?, None, options)
    }

    /// Opens `dir` with the class numbers and the channels of `train`: a part for validation or testing.
    ///
    /// # Errors
    /// If it holds a class that `train` lacks, no class, an empty class, or a broken file that is not to be skipped.
    pub fn open_like(dir: &Path, train: &ImageFolder, options: &FolderOptions) -> Result<Self, DataError> {
        Self::open_files(dir, PICTURE.files_like(dir, &train.class_names)?, Some(train.channels), options)
    }

    fn open_files(
        dir: &Path,
        files: ClassFiles,
        channels: Option<usize>,
        options: &FolderOptions,
    ) -> Result<Self, DataError> {
        let scanned = scan(&files.found, options)?;
        PICTURE.none_broken(dir, &files, scanned.files.iter().map(|f| f.class))?;
        let channels = match (channels, options.channels) {
            (_, Channels::Grey) => 1,
            (_, Channels::Rgb) => 3,
            (Some(channels), Channels::Auto) => channels,
            (None, Channels::Auto) => scanned.channels,
        };
        Ok(ImageFolder {
            files: scanned.files,
            class_names: files.names,
            channels,
            max_pixels: options.max_pixels,
            skipped: scanned.skipped,
        })
    }

    /// The files, in the order of the rows: by class, then by path.
    pub fn files(&self) -> &[ImageFile] {
        &self.files
    }

    /// Channels of the samples: 1 or 3.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width if all pictures share them; otherwise batches need a resize or a crop.
    pub fn common_size(&self) -> Option<(usize, usize)> {
        let first = self.files.first().map(|f| (f.height, f.width))?;
        self.files.iter().all(|f| (f.height, f.width) == first).then_some(first)
    }

    fn file(&self, row: usize) -> Result<&ImageFile, DataError> {
        self.files.get(row).ok_or_else(|| out_of_range(row, self.files.len()))
    }
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, row: usize) -> Result<Sample, DataError> {
        let file = self.file(row)?;
        let image = match &file.picture {
            Some(picture) => picture.to_image(self.channels),
            None => read_picture(&file.path, self.max_pixels)?.to_image(self.channels),
        };
        Ok(Sample { shape: image.shape().to_vec(), x: image.pixels, target: Target::Class(file.class) })
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn id(&self, row: usize) -> String {
        self.files.get(row).map_or_else(|| format!("row {row}"), |file| file.path.display().to_string())
    }

    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        self.file(row).map(|file| file.hash)
    }

    fn target(&self, row: usize) -> Result<Target, DataError> {
        self.file(row).map(|file| Target::Class(file.class))
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

#[cfg(test)]
mod tests;
