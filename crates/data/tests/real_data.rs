//! Real datasets, if they are there: `GLASSBOX_DATA` names a folder with `mnist/`, `cifar10/`, `tabular/`, ...

use glassbox_data::{
    Channels, CsvOptions, DataError, Dataset, FolderOptions, FolderSplits, Loader, LoaderConfig, MnistDir, Npz,
    OnBroken, TargetKind, class_counts, mean_std, read_csv, read_npy, split_by_content,
};
use std::path::PathBuf;
use std::sync::Arc;

/// The folder of a dataset, or `None` (and a word about it) if it is not there.
fn data(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("GLASSBOX_DATA").map(|root| PathBuf::from(root).join(name));
    let dir = dir.filter(|dir| dir.exists());
    if dir.is_none() {
        eprintln!("skipped: GLASSBOX_DATA holds no {name}");
    }
    dir
}

#[test]
fn mnist_has_its_published_sizes_counts_and_mean() -> Result<(), DataError> {
    let Some(dir) = data("mnist") else { return Ok(()) };
    let MnistDir { train, test } = MnistDir::open(&dir)?;
    assert_eq!((train.len(), test.len(), train.shape()), (60_000, 10_000, &[1, 28, 28][..]));
    assert_eq!(class_counts(&train)?, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    let statistics = mean_std(&train)?;
    // The constants that every MNIST example carries.
    assert!((statistics.mean[0] - 0.1307).abs() < 5e-5 && (statistics.std[0] - 0.3081).abs() < 5e-5);
    Ok(())
}

#[test]
fn fashion_mnist_is_read_by_the_same_names() -> Result<(), DataError> {
    let Some(dir) = data("fashion-mnist") else { return Ok(()) };
    let MnistDir { train, test } = MnistDir::open(&dir)?;
    assert_eq!((class_counts(&train)?, class_counts(&test)?), (vec![6000; 10], vec![1000; 10]));
    Ok(())
}

#[test]
fn a_split_of_mnist_keeps_duplicates_together_and_its_fractions() -> Result<(), DataError> {
    let Some(dir) = data("mnist") else { return Ok(()) };
    let train: Arc<dyn Dataset> = Arc::new(MnistDir::open(&dir)?.test);
    let parts = split_by_content(&train, &[0.9, 0.1], 0)?;
    assert!(parts[1].len().abs_diff(1000) < 120, "{}", parts[1].len());
    Ok(())
}

#[test]
fn cifar10_as_folders_of_jpeg_decodes_whole() -> Result<(), DataError> {
    let Some(dir) = data("cifar10") else { return Ok(()) };
    let parts = FolderSplits::open(&dir, &FolderOptions::default())?;
    let test = parts.test.expect("the folder test");
    assert_eq!((parts.train.len(), test.len(), parts.train.common_size()), (50_000, 10_000, Some((32, 32))));
    assert_eq!(parts.train.class_names()[..3], ["airplane", "automobile", "bird"]);
    assert_eq!((class_counts(&test)?, test.channels()), (vec![1000; 10], 3));
    // Published for the exact pixels: 0.491, 0.482, 0.447 and 0.247, 0.243, 0.262; JPEG blurs a little.
    let statistics = mean_std(&test)?;
    for (got, want) in statistics.mean.iter().zip([0.494, 0.485, 0.450]) {
        assert!((got - want).abs() < 0.003, "{statistics:?}");
    }
    Ok(())
}

#[test]
fn faces_of_several_sizes_are_read_as_grey_when_told_to() -> Result<(), DataError> {
    let Some(dir) = data("faces/real-vs-fake-faces-128") else { return Ok(()) };
    let options = FolderOptions { channels: Channels::Grey, cache_bytes: 0, ..FolderOptions::default() };
    let parts = FolderSplits::open(&dir, &options)?;
    assert_eq!(parts.train.get(0)?.shape[0], 1);
    Ok(())
}

#[test]
fn tables_of_scikit_learn_are_read() -> Result<(), DataError> {
    let Some(dir) = data("tabular") else { return Ok(()) };
    let digits = CsvOptions { header: false, ..CsvOptions::new("64", TargetKind::Class) };
    let digits = read_csv(&dir.join("digits.csv.gz"), &digits)?;
    assert_eq!((digits.len(), digits.shape(), digits.class_names().len()), (1797, &[64][..], 10));
    let houses = dir.join("california_housing.csv.gz");
    let mut options = CsvOptions::new("median_house_value", TargetKind::Value);
    let error = read_csv(&houses, &options).unwrap_err().to_string();
    assert!(error.contains("column '"), "{error}");
    options.features = ["median_income", "total_bedrooms"].map(str::to_owned).to_vec();
    options.on_broken = OnBroken::Skip;
    let houses = read_csv(&houses, &options)?;
    assert_eq!((houses.len(), houses.skipped().len()), (20_640 - 207, 207));
    Ok(())
}

#[test]
fn cats_are_read_from_npz() -> Result<(), DataError> {
    let Some(dir) = data("cat-vs-noncat") else { return Ok(()) };
    let npz = Npz::open(&dir.join("catvnoncat_64.npz"))?;
    let (train, test) = (npz.images("train_x", "train_y")?, npz.images("test_x", "test_y")?);
    assert_eq!((train.len(), test.len(), train.shape()), (209, 50, &[3, 64, 64][..]));
    assert_eq!(class_counts(&train)?, [137, 72]);
    Ok(())
}

#[test]
fn pneumonia_images_are_read_from_npz_with_labels_in_a_column() -> Result<(), DataError> {
    let Some(dir) = data("medmnist") else { return Ok(()) };
    let npz = Npz::open(&dir.join("pneumoniamnist_balanced_3166.npz"))?;
    let train = npz.images("train_images", "train_labels")?;
    assert_eq!((train.len(), train.shape(), train.class_names().len()), (2428, &[1, 28, 28][..], 2));
    Ok(())
}

#[test]
fn an_npy_file_of_numpy_is_read() -> Result<(), DataError> {
    let Some(file) = data("faces/skimage_lfw_subset_u8.npy") else { return Ok(()) };
    assert_eq!(read_npy(&file)?.shape[0], 200);
    Ok(())
}

#[test]
fn folders_load_the_same_batches_with_any_number_of_threads() -> Result<(), DataError> {
    let Some(dir) = data("cifar10/test") else { return Ok(()) };
    let folder =
        Arc::new(FolderSplits::open(&dir, &FolderOptions { cache_bytes: 0, ..FolderOptions::default() })?.train);
    let loader = |workers| Loader::new(folder.clone(), LoaderConfig { workers, batch: 100, ..LoaderConfig::default() });
    let (mut one, mut many) = (loader(0)?, loader(3)?);
    for _ in 0..20 {
        assert!(one.next_batch()? == many.next_batch()?);
    }
    Ok(())
}
