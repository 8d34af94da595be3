//! Data of the recipes on 28 x 28 grey pictures: what ships with the library, or a folder of IDX files.

use std::path::Path;
use std::sync::Arc;

use data::{Dataset, InMemory, MeanStd, MnistDir, Transform, digits, mean_std, split_by_class};
use train::{DataFile, Goal, Input, Result, Settings, Splits};

use crate::class_rows;
use crate::settings::whole_path;

/// Height and width of the pictures, and of the input of the models.
const SIDE: usize = 28;

/// The shipped digits, or MNIST in `dir`.
pub(crate) fn digits_or_mnist(settings: &Settings, dir: Option<&Path>) -> Result<Splits> {
    match dir {
        Some(dir) => idx_folder(settings, dir, &[]),
        None => {
            let (train, test) = digits()?;
            parts(settings, train, test, None, Vec::new())
        }
    }
}

/// The four IDX files in `dir`; `names` name the classes if there are as many.
pub(crate) fn idx_folder(settings: &Settings, dir: &Path, names: &[&str]) -> Result<Splits> {
    let MnistDir { train, test } = MnistDir::open(dir)?;
    let named = |part: InMemory| {
        if part.class_names().len() == names.len() { part.with_class_names(names) } else { Ok(part) }
    };
    let mut files = Vec::new();
    for stem in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
        let names = [format!("{stem}-ubyte"), format!("{stem}-ubyte.gz")];
        if let Some(path) = names.iter().map(|name| dir.join(name)).find(|path| path.is_file()) {
            files.push(DataFile::of(dir, &path)?);
        }
    }
    parts(settings, named(train)?, named(test)?, Some(dir), files)
}

fn parts(
    settings: &Settings,
    train: InMemory,
    test: InMemory,
    source: Option<&Path>,
    files: Vec<DataFile>,
) -> Result<Splits> {
    let seed = settings.get_int("train.seed")? as u64;
    let share = settings.get_float("data.val")?;
    let shift = settings.get_size("data.shift")?;
    let MeanStd { mean, std } = mean_std(&train)?;
    let input = Input {
        goal: Goal::Class,
        shape: vec![1, SIDE, SIDE],
        mean,
        std,
        classes: train.class_names().to_vec(),
        columns: Vec::new(),
        tokens: None,
    };
    let all: Arc<dyn Dataset> = Arc::new(train);
    let mut split = split_by_class(&all, &[1.0 - share, share], seed)?.into_iter();
    let (train, val) = (split.next(), split.next());
    let (train, test): (Arc<dyn Dataset>, Arc<dyn Dataset>) =
        (train.map_or(all, |part| Arc::new(part)), Arc::new(test));
    let notes = class_rows::notes(source.unwrap_or(Path::new("shipped digits")), train.as_ref(), test.as_ref())?;
    Ok(Splits {
        train,
        val: val.filter(|part| !part.is_empty()).map(|part| Arc::new(part) as Arc<dyn Dataset>),
        test,
        input,
        augment: if shift > 0 { vec![Transform::Shift { pixels: shift }] } else { Vec::new() },
        source: source.map(whole_path),
        files,
        notes,
    })
}
