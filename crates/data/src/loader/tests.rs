use super::*;
use crate::dataset::out_of_range;
use crate::{InMemory, Target, Targets, Transform, Values, digits};
use std::sync::atomic::{AtomicUsize, Ordering};
use tensor::philox::RandomKey;

/// Rows `[1]` that hold their own number; some of them fail.
struct Rows {
    len: usize,
    broken: Option<usize>,
    panics: Option<usize>,
    read: AtomicUsize,
}

impl Rows {
    fn new(len: usize) -> Self {
        Rows { len, broken: None, panics: None, read: AtomicUsize::new(0) }
    }
}

impl Dataset for Rows {
    fn len(&self) -> usize {
        self.len
    }
    fn get(&self, row: usize) -> Result<Sample, DataError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        assert_ne!(Some(row), self.panics, "row {row} is a trap");
        if Some(row) == self.broken {
            return Err(out_of_range(row, self.len));
        }
        Ok(Sample { x: vec![row as f32], shape: vec![1], target: Target::Values(vec![row as f32, 0.5]) })
    }
    fn class_names(&self) -> &[String] {
        &[]
    }
    fn id(&self, row: usize) -> String {
        format!("rows {row}")
    }
    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        Ok(hmac_sha256::Hash::hash(&row.to_le_bytes()))
    }
}

fn loader(rows: Rows, config: LoaderConfig) -> Loader {
    Loader::new(Arc::new(rows), config).unwrap()
}

fn augmented(workers: usize, prefetch: usize) -> Loader {
    let transforms = Transforms::new()
        .then(Transform::Rotation { degrees: 15.0 })
        .then(Transform::RandomCrop { height: 28, width: 28, padding: 3 })
        .then(Transform::HorizontalFlip { probability: 0.5 });
    let config = LoaderConfig { batch: 96, seed: 5, workers, prefetch, transforms, ..LoaderConfig::default() };
    Loader::new(Arc::new(digits().unwrap().1), config).unwrap()
}

#[test]
fn batches_are_the_same_whatever_the_threads() {
    let mut inline = augmented(0, 1);
    let expected: Vec<Batch> = (0..25).map(|_| inline.next_batch().unwrap()).collect();
    for (workers, prefetch) in [(1, 1), (2, 4), (5, 3), (8, 16)] {
        let mut threaded = augmented(workers, prefetch);
        for batch in &expected {
            assert!(threaded.next_batch().unwrap() == *batch, "{workers} workers, {:?}", batch.position);
        }
    }
}

#[test]
fn a_loader_resumed_at_a_saved_position_goes_on_as_if_never_stopped() {
    let mut whole = augmented(2, 4);
    let expected: Vec<Batch> = (0..25).map(|_| whole.next_batch().unwrap()).collect();
    for stop in [0, 1, 10, 11, 12, 24] {
        let mut first = augmented(2, 4);
        (0..stop).for_each(|_| drop(first.next_batch().unwrap()));
        let saved = first.position();
        drop(first);
        let mut second = augmented(3, 2);
        second.next_batch().unwrap();
        second.resume(saved).unwrap();
        for batch in &expected[stop..] {
            assert!(second.next_batch().unwrap() == *batch, "stopped at {stop}, {:?}", batch.position);
        }
    }
}

#[test]
fn an_epoch_holds_every_row_once_in_the_documented_order() {
    let mut loader = loader(Rows::new(10), LoaderConfig { batch: 4, seed: 3, ..LoaderConfig::default() });
    for epoch in 0..3 {
        let batches: Vec<Batch> = loader.epoch().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [4, 4, 2]);
        let rows: Vec<usize> = batches.iter().flat_map(|b| b.rows.clone()).collect();
        assert_eq!(rows, RandomKey::new(3).stream("shuffle").step(epoch).permutation(10));
        assert_eq!(rows, loader.order(epoch));
        for batch in &batches {
            assert_eq!(batch.x, batch.rows.iter().map(|&row| row as f32).collect::<Vec<_>>());
            assert_eq!((batch.shape.clone(), batch.values_shape()), (vec![batch.len(), 1], [batch.len(), 2]));
            assert!(batch.labels.is_empty() && batch.position.epoch == epoch);
        }
    }
    assert_ne!(loader.order(0), loader.order(1));
}

#[test]
fn without_shuffle_rows_keep_their_order_and_a_small_last_batch_can_be_dropped() {
    let config = LoaderConfig { batch: 4, shuffle: false, drop_last: true, ..LoaderConfig::default() };
    let mut loader = loader(Rows::new(10), config);
    let rows: Vec<Vec<usize>> = loader.epoch().map(|b| b.unwrap().rows).collect();
    assert_eq!(rows, [vec![0, 1, 2, 3], vec![4, 5, 6, 7]]);
    assert_eq!((loader.position(), loader.batches_per_epoch()), (Position { epoch: 1, batch: 0 }, 2));
}

#[test]
fn an_error_arrives_in_its_place_and_the_loader_goes_on() {
    for workers in [0, 3] {
        let rows = Rows { broken: Some(5), ..Rows::new(12) };
        let mut loader = loader(rows, LoaderConfig { batch: 3, shuffle: false, workers, ..LoaderConfig::default() });
        let outcome: Vec<bool> = loader.epoch().map(|b| b.is_ok()).collect();
        assert_eq!(outcome, [true, false, true, true]);
    }
}

#[test]
fn a_panic_in_a_worker_becomes_an_error() {
    let rows = Rows { panics: Some(4), ..Rows::new(6) };
    let mut loader = loader(rows, LoaderConfig { batch: 2, shuffle: false, ..LoaderConfig::default() });
    assert!(loader.next_batch().is_ok() && loader.next_batch().is_ok());
    let error = loader.next_batch().unwrap_err().to_string();
    assert!(error.starts_with("the loader panicked while it made batch 2 of epoch 0"), "{error}");
    assert!(error.contains("row 4 is a trap"), "{error}");
}

#[test]
fn no_more_than_prefetch_batches_are_made_ahead() {
    let rows = Arc::new(Rows::new(1000));
    let config = LoaderConfig { batch: 10, workers: 4, prefetch: 3, ..LoaderConfig::default() };
    let mut loader = Loader::new(rows.clone(), config).unwrap();
    loader.next_batch().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(rows.read.load(Ordering::SeqCst) <= 10 * (1 + 3));
}

#[test]
fn dropping_the_loader_ends_its_threads() {
    let rows = Arc::new(Rows::new(1000));
    let mut loader = Loader::new(rows.clone(), LoaderConfig { workers: 4, ..LoaderConfig::default() }).unwrap();
    loader.next_batch().unwrap();
    drop(loader);
    // The threads held the dataset; joined, they hold it no more.
    assert_eq!(Arc::strong_count(&rows), 1);
}

#[test]
fn any_batch_and_sample_of_the_past_can_be_made_again() {
    let mut loader = augmented(2, 4);
    let seen: Vec<Batch> = (0..14).map(|_| loader.next_batch().unwrap()).collect();
    assert!(loader.batch_at(seen[12].position).unwrap() == seen[12]);
    let sample = loader.sample_at(1, seen[12].rows[3]).unwrap();
    assert_eq!(sample.x, seen[12].x[3 * 784..4 * 784]);
    assert_eq!(sample.target, Target::Class(seen[12].labels[3] as usize));
}

#[test]
fn samples_that_do_not_fit_together_are_both_named() {
    struct TwoSizes;
    impl Dataset for TwoSizes {
        fn len(&self) -> usize {
            2
        }
        fn get(&self, row: usize) -> Result<Sample, DataError> {
            Ok(Sample { x: vec![0.0; row + 1], shape: vec![1, 1, row + 1], target: Target::Class(0) })
        }
        fn class_names(&self) -> &[String] {
            &[]
        }
        fn id(&self, row: usize) -> String {
            format!("{row}.png")
        }
        fn content_hash(&self, _: usize) -> Result<[u8; 32], DataError> {
            Ok([0; 32])
        }
    }
    let config = LoaderConfig { shuffle: false, ..LoaderConfig::default() };
    let error = Loader::new(Arc::new(TwoSizes), config).unwrap().next_batch().unwrap_err().to_string();
    assert_eq!(
        error,
        "samples of one batch must agree: 0.png has shape [1, 1, 1] and a class, 1.png has shape [1, 1, 2] and a class\n  \
         help: bring them to one size with Resize or a crop, to one number of channels with Grey or Rgb"
    );
}

#[test]
fn settings_that_leave_no_batch_are_errors() {
    let error = |len: usize, config: LoaderConfig| match Loader::new(Arc::new(Rows::new(len)), config) {
        Ok(_) => panic!("no error"),
        Err(error) => error.to_string(),
    };
    let config = LoaderConfig::default;
    assert!(error(3, LoaderConfig { batch: 0, ..config() }).starts_with("batch: a batch of 0 rows holds nothing"));
    assert!(error(0, config()).starts_with("dataset: it has no rows"));
    assert!(error(3, LoaderConfig { prefetch: 0, ..config() }).starts_with("prefetch: "));
    let dropped = error(3, LoaderConfig { batch: 8, drop_last: true, ..config() });
    assert!(dropped.starts_with("drop_last: no batch is left: 3 rows do not fill one of 8"), "{dropped}");
    let mut loader = loader(Rows::new(10), config());
    let gone = loader.resume(Position { epoch: 2, batch: 1 }).unwrap_err().to_string();
    assert!(gone.starts_with("position: batch 1 was asked for, but an epoch has 1 batches"), "{gone}");
}

#[test]
fn a_transform_that_does_not_fit_names_the_sample() {
    let set = InMemory::new("toy", &[1, 2, 2], Values::Bytes(vec![0; 4]), Targets::None, vec![]).unwrap();
    let transforms = Transforms::new().then(Transform::CenterCrop { height: 4, width: 4 });
    let mut loader = Loader::new(Arc::new(set), LoaderConfig { transforms, ..LoaderConfig::default() }).unwrap();
    assert_eq!(
        loader.next_batch().unwrap_err().to_string(),
        "sample toy row 0: CenterCrop: an image of 2 x 2 is smaller than the crop 4 x 4\n  \
         help: put a Resize before it, or crop less"
    );
}
