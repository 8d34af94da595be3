//! Data of the recipe on any folder of class folders.

use std::path::Path;
use std::sync::Arc;

use data::{DataError, MeanStd, Transforms};
use data::{Dataset, FolderOptions, FolderSplits, ImageFolder, OnBroken, Transform, mean_std, split_by_class};
use train::{DataFile, Error, Goal, Input, Result, Settings, Splits};

use crate::class_rows;
use crate::settings::whole_path;

/// Larger pictures are reduced to this length of the longer side unless `data.size` says otherwise.
const MOST_SIDE: usize = 64;
/// Less than this has no pixel left behind the three poolings of the network.
const LEAST_SIDE: usize = 8;
/// Share of all rows that is set aside for testing where the folder has no part for it.
const TEST_SHARE: f64 = 0.15;

/// `DIR/CLASS/*.png`, or `DIR/{train,val,test}/CLASS/*.png`.
pub(crate) fn class_folders(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    let Some(dir) = dir else {
        return Err(Error::usage(
            "the recipe images needs pictures to learn from",
            "give --data DIR, a folder that holds a folder for each class: DIR/cat/1.png, DIR/background/1.png, ...",
        ));
    };
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
    let (height, width) = size(settings, dir, &train)?;
    let (channels, classes) = (train.channels(), train.class_names().to_vec());

    let seed = settings.get_int("train.seed")? as u64;
    let share = settings.get_float("data.val")?;
    let all: Arc<dyn Dataset> = Arc::new(train);
    let (test_share, val_share) = match (&val, &test) {
        (Some(_), Some(_)) => (0.0, 0.0),
        (None, None) => (TEST_SHARE, share),
        _ => (0.0, share),
    };
    if test_share + val_share >= 1.0 {
        return Err(Error::usage(
            format!("data.val cannot be {share}: beside the {TEST_SHARE} to test, nothing is left to train on"),
            format!("set data.val below {}", 1.0 - TEST_SHARE),
        ));
    }
    // A class of a few pictures has one to test before it has one to validate.
    let fractions = [1.0 - test_share - val_share, test_share, val_share];
    let [own_train, own_test, own_val]: [Option<Arc<dyn Dataset>>; 3] = {
        let mut split = split_by_class(&all, &fractions, seed)?.into_iter();
        std::array::from_fn(|_| {
            split.next().filter(|part| !part.is_empty()).map(|part| Arc::new(part) as Arc<dyn Dataset>)
        })
    };
    // A folder with one part beside `train` tests on it.
    let (val, test) = match (val, test) {
        (Some(val), None) => (None, Some(val)),
        other => other,
    };
    let part = |part: Option<ImageFolder>, own| part.map(|part| Arc::new(part) as Arc<dyn Dataset>).or(own);
    let (Some(train), Some(test)) = (own_train, part(test, own_test)) else {
        return Err(Error::Data(DataError::Layout {
            path: dir.to_owned(),
            why: "there are too few different pictures to set some aside for testing".to_owned(),
            found: format!("{} pictures, {} of them different", all.len(), class_rows::different(all.as_ref())?),
            help: "add pictures, or put some into DIR/train/CLASS and some into DIR/test/CLASS".to_owned(),
        }));
    };
    let notes = class_rows::notes(dir, train.as_ref(), test.as_ref())?;
    let mut input =
        Input { goal: Goal::Class, shape: vec![channels, height, width], mean: vec![0.0], std: vec![1.0], classes };
    let MeanStd { mean, std } = mean_std(&Sized { dataset: train.as_ref(), transforms: input.resized() })?;
    (input.mean, input.std) = (mean, std);
    Ok(Splits {
        train,
        val: part(val, own_val),
        test,
        augment: augment(settings, height, width)?,
        input,
        source: Some(whole_path(dir)),
        files,
        notes,
    })
}

/// The size that pictures are brought to: the setting, or that of the pictures with a limit.
fn size(settings: &Settings, dir: &Path, train: &ImageFolder) -> Result<(usize, usize)> {
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
    let (height, width) = match train.common_size() {
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
        found: train
            .common_size()
            .map_or_else(String::new, |(height, width)| format!("{width} x {height} pixels each")),
        help: format!("--set data.size={LEAST_SIDE}, or more, brings them to a size that fits"),
    }))
}

/// A window at a random place of the picture with a border of an eighth, and its mirror image half of the time.
fn augment(settings: &Settings, height: usize, width: usize) -> Result<Vec<Transform>> {
    let mut augment = Vec::new();
    if settings.get_flag("data.crop")? {
        augment.push(Transform::RandomCrop { height, width, padding: height.min(width) / 8 });
    }
    if settings.get_flag("data.flip")? {
        augment.push(Transform::HorizontalFlip { probability: 0.5 });
    }
    Ok(augment)
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
