//! Real datasets, if they are there: `GLASSBOX_DATA` names a folder with `mnist/`, `cifar10/`, `tabular/`, ...

use glassbox_data::{
    Channels, Convention, CsvOptions, DataError, Dataset, FolderOptions, FolderSplits, Loader, LoaderConfig, MnistDir,
    Npz, OnBroken, Survey, SurveyOptions, TargetKind, class_counts, mean_std, read_csv, read_npy, split_by_content,
    survey,
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

/// Rows of each class in each part, and how many leaks, copies, broken files and faults there are.
fn surveyed(path: &std::path::Path) -> Result<(Survey, [usize; 4]), DataError> {
    let survey = survey(path, &SurveyOptions::default())?;
    let problems = survey.problems();
    let counts = [problems.leaks.len(), problems.copies.len(), survey.broken.len(), survey.faults.len()];
    Ok((survey, counts))
}

#[test]
fn blood_cells_have_their_published_boxes() -> Result<(), DataError> {
    let Some(dir) = data("bccd") else { return Ok(()) };
    let (survey, counts) = surveyed(&dir.join("BCCD"))?;
    assert_eq!(
        (survey.convention, &survey.classes[..]),
        (Convention::Voc, &["Platelets", "RBC", "WBC"].map(str::to_owned)[..])
    );
    // Two fields were photographed twice, and one of each pair is to train on, the other not.
    assert_eq!((survey.part_rows(), counts), (vec![205, 87, 72], [2, 0, 0, 0]));
    let all = |class: usize| survey.counts().iter().map(|part| part[class]).sum::<usize>();
    assert_eq!([all(0), all(1), all(2)], [361, 4155, 372]);
    Ok(())
}

#[test]
fn photos_with_yolo_labels_have_their_boxes() -> Result<(), DataError> {
    let Some(dir) = data("coco128") else { return Ok(()) };
    let source = dir.join("coco128-320");
    let whole = std::env::temp_dir().join(format!("glassbox-yolo-{}", std::process::id()));
    for part in ["train2017", "val2017"] {
        for (from, to) in [("images", "images"), ("object_detection/labels", "labels")] {
            std::fs::create_dir_all(whole.join(to).join(part)).unwrap();
            for entry in std::fs::read_dir(source.join(from).join(part)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), whole.join(to).join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    std::fs::copy(source.join("object_detection/config.yaml"), whole.join("data.yaml")).unwrap();
    let outcome = surveyed(&whole);
    std::fs::remove_dir_all(&whole).unwrap();
    let (survey, counts) = outcome?;
    assert_eq!((survey.convention, survey.classes.len(), survey.part_rows()), (Convention::Yolo, 80, vec![128, 128]));
    let boxes: Vec<usize> = survey.counts().iter().map(|part| part.iter().sum()).collect();
    // 941 boxes are published to train on: 12 of them are in two label files that have no picture.
    assert_eq!((boxes, counts), (vec![929, 898], [0, 0, 0, 2]), "{:?}", survey.faults);
    assert_eq!(survey.faults[0].place, "labels/train2017/000000000656.txt");
    Ok(())
}

#[test]
fn spoken_digits_have_their_lengths() -> Result<(), DataError> {
    let Some(dir) = data("fsdd") else { return Ok(()) };
    let (survey, counts) = surveyed(&dir)?;
    assert_eq!((survey.convention, survey.counts(), counts), (Convention::Wav, vec![vec![300; 10]], [0; 4]));
    assert!(survey.to_text().contains("1312 s in all"));
    Ok(())
}

#[test]
fn a_known_set_has_a_picture_to_train_on_that_it_is_tested_on() -> Result<(), DataError> {
    let Some(dir) = data("cat-vs-noncat") else { return Ok(()) };
    let (survey, counts) = surveyed(&dir)?;
    assert_eq!((survey.counts(), counts), (vec![vec![137, 72], vec![17, 33]], [1, 0, 0, 0]));
    Ok(())
}

#[test]
fn cifar10_has_near_copies_across_its_parts() -> Result<(), DataError> {
    let Some(dir) = data("cifar10") else { return Ok(()) };
    let (survey, [leaks, copies, broken, faults]) = surveyed(&dir)?;
    assert_eq!((survey.part_rows(), broken, faults), (vec![50_000, 10_000], 0, 0));
    assert!((100..400).contains(&leaks) && (100..900).contains(&copies), "{leaks} {copies}");
    Ok(())
}

/// Shown, not asserted: the near copies of the dataset in `GLASSBOX_COPIES`, a line a pair, and the time that all of it took.
#[test]
#[ignore = "a measurement on a dataset of one's own"]
fn near_copies_of_a_dataset_are_listed() -> Result<(), DataError> {
    let Some(dir) = std::env::var_os("GLASSBOX_COPIES").map(PathBuf::from) else { return Ok(()) };
    let began = std::time::Instant::now();
    let found = survey(&dir, &SurveyOptions::default())?;
    let seconds = began.elapsed().as_secs_f64();
    let id = |row: usize| &found.rows[row].id;
    for &(a, b, agreement) in &found.twins.near {
        println!("near\t{}\t{}\t{agreement:.5}", id(a), id(b));
    }
    found.twins.exact.iter().for_each(|rows| {
        println!("exact\t{}", rows.iter().map(|&row| id(row).as_str()).collect::<Vec<_>>().join("\t"))
    });
    println!(
        "{} rows, {} near pairs, {seconds:.2} s, cut short: {}",
        found.rows.len(),
        found.twins.near.len(),
        found.twins.cut_short
    );
    Ok(())
}
