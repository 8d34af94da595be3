//! Data of the recipes on any folder of class folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{DataError, MeanStd, Transforms};
use data::{Dataset, FolderOptions, FolderSplits, ImageFolder, Npz, OnBroken, mean_std};
use train::{DataFile, Error, Goal, Input, Result, Settings, Splits};

use crate::class_rows;
use crate::settings::whole_path;

/// Larger pictures are reduced to this length of the longer side unless `data.size` says otherwise.
const MOST_SIDE: usize = 64;
/// Less than this has no pixel left behind the three poolings of the network.
const LEAST_SIDE: usize = 8;

/// Pictures as they were found.
struct Found {
    train: Arc<dyn Dataset>,
    val: Option<Arc<dyn Dataset>>,
    test: Option<Arc<dyn Dataset>>,
    channels: usize,
    /// Height and width, if all share them.
    size: Option<(usize, usize)>,
    files: Vec<DataFile>,
}

/// `DIR/CLASS/*.png`, or `DIR/{train,val,test}/CLASS/*.png`, or an `.npz` of `train_x`, `train_y`, `test_x` and `test_y` in DIR;
/// without augmentation.
pub(crate) fn class_pictures(settings: &Settings, dir: &Path) -> Result<Splits> {
    let Found { train: all, val, test, channels, size: common, files } = match archive(dir) {
        Some(path) => arrays(dir, &path)?,
        None => folders(settings, dir)?,
    };
    let (height, width) = size(settings, dir, common)?;
    let classes = all.class_names().to_vec();
    let class_rows::Parts { train, val, test } = class_rows::parts(settings, dir, "pictures", all, val, test)?;
    let notes = class_rows::notes(dir, train.as_ref(), test.as_ref())?;
    let mut input = Input {
        goal: Goal::Class,
        shape: vec![channels, height, width],
        mean: vec![0.0],
        std: vec![1.0],
        classes,
        columns: Vec::new(),
        tokens: None,
    };
    let MeanStd { mean, std } = mean_std(&Sized { dataset: train.as_ref(), transforms: input.resized() })?;
    (input.mean, input.std) = (mean, std);
    Ok(Splits { train, val, test, augment: Vec::new(), input, source: Some(whole_path(dir)), files, notes })
}

fn folders(settings: &Settings, dir: &Path) -> Result<Found> {
    let on_broken = if settings.get_word("data.on_broken")? == "skip" { OnBroken::Skip } else { OnBroken::Fail };
    let FolderSplits { train, val, test } =
        FolderSplits::open(dir, &FolderOptions { on_broken, ..FolderOptions::default() })?;
    let files = [Some(&train), val.as_ref(), test.as_ref()].into_iter().flatten();
    let files = files.flat_map(ImageFolder::files).map(|file| DataFile {
        path: file.path.strip_prefix(dir).unwrap_or(&file.path).display().to_string(),
        bytes: file.bytes,
        hash: file.hash,
        class: train.class_names().get(file.class).cloned(),
    });
    let files = files.collect();
    let shared = |part: Option<ImageFolder>| part.map(|part| Arc::new(part) as Arc<dyn Dataset>);
    let (channels, size) = (train.channels(), train.common_size());
    Ok(Found { train: Arc::new(train), val: shared(val), test: shared(test), channels, size, files })
}

/// The one `.npz` file of a folder that holds nothing else to learn from.
fn archive(dir: &Path) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let mut archives = entries.iter().filter(|path| path.extension().is_some_and(|end| end == "npz"));
    let (one, other) = (archives.next()?, archives.next());
    (other.is_none() && !entries.iter().any(|path| path.is_dir())).then(|| one.clone())
}

fn arrays(dir: &Path, path: &Path) -> Result<Found> {
    let npz = Npz::open(path)?;
    let (train, test) = (npz.images("train_x", "train_y")?, npz.images("test_x", "test_y")?);
    if train.shape() != test.shape() || test.class_names().len() != train.class_names().len() {
        return Err(Error::Data(DataError::Layout {
            path: path.to_owned(),
            why: "its two parts have pictures of other sizes, or other classes".to_owned(),
            found: format!("{:?} to train, {:?} to test", train.shape(), test.shape()),
            help: "give train_x and test_x one shape, and train_y every class".to_owned(),
        }));
    }
    let names: Vec<&str> = train.class_names().iter().map(String::as_str).collect();
    let test = test.with_class_names(&names)?;
    let &[channels, height, width] = train.shape() else { return Err(no_picture(path)) };
    let files = vec![DataFile::of(dir, path)?];
    let (train, size) = (Arc::new(train), Some((height, width)));
    Ok(Found { train, val: None, test: Some(Arc::new(test)), channels, size, files })
}

fn no_picture(path: &Path) -> Error {
    Error::usage(format!("the rows of {} are no pictures", path.display()), "give arrays of pictures")
}

/// The size that pictures are brought to: the setting, or that of the pictures with a limit.
fn size(settings: &Settings, dir: &Path, common: Option<(usize, usize)>) -> Result<(usize, usize)> {
    let asked = settings.get_size("data.size")?;
    if (1..LEAST_SIDE).contains(&asked) {
        return Err(Error::usage(
            format!("data.size cannot be {asked}: the network needs at least {LEAST_SIDE} x {LEAST_SIDE} pixels"),
            format!("set data.size to 0 or to {LEAST_SIDE} or more"),
        ));
    }
    if asked > 0 {
        return Ok((asked, asked));
    }
    let (height, width) = match common {
        Some((height, width)) if height.max(width) <= MOST_SIDE => (height, width),
        Some((height, width)) => {
            let scaled = |side: usize| (side * MOST_SIDE).div_ceil(height.max(width)).max(1);
            (scaled(height), scaled(width))
        }
        None => (MOST_SIDE, MOST_SIDE),
    };
    if height.min(width) >= LEAST_SIDE {
        return Ok((height, width));
    }
    Err(Error::Data(DataError::Layout {
        path: dir.to_owned(),
        why: format!(
            "pictures of {width} x {height} pixels are too small: the network needs at least {LEAST_SIDE} x {LEAST_SIDE}"
        ),
        found: common.map_or_else(String::new, |(height, width)| format!("{width} x {height} pixels each")),
        help: format!("--set data.size={LEAST_SIDE}, or more, brings them to a size that fits"),
    }))
}

/// A dataset whose rows are brought to one size, to take their mean.
struct Sized<'a> {
    dataset: &'a dyn Dataset,
    transforms: Transforms,
}

impl Dataset for Sized<'_> {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, row: usize) -> Result<data::Sample, DataError> {
        self.transforms.apply(self.dataset.get(row)?, data::augmentation_key(0, 0, row))
    }

    fn class_names(&self) -> &[String] {
        self.dataset.class_names()
    }

    fn id(&self, row: usize) -> String {
        self.dataset.id(row)
    }

    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        self.dataset.content_hash(row)
    }
}
