//! Making one batch: a pure function of the dataset, the settings and the position.

use super::{LoaderConfig, Position};
use crate::sample::check_len;
use crate::{DataError, Dataset, Sample, Target, augmentation_key};
use std::sync::{Arc, Mutex, PoisonError};
use tensor::philox::RandomKey;

/// Several rows of a dataset in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The numbers of all rows, in row-major order of `shape`.
    pub x: Vec<f32>,
    /// `[N, C, H, W]` for images, `[N, D]` for rows of a table.
    pub shape: Vec<usize>,
    /// `[N]` classes, or `[N, T]` where a row is a sequence of T of them; empty if the targets are not classes.
    pub labels: Vec<i64>,
    /// `[N, K]` target numbers, row after row; empty if the targets are not numbers.
    pub values: Vec<f32>,
    /// `[N]` rows of the dataset, in the order of this batch.
    pub rows: Vec<usize>,
    /// Where this batch lies in the sequence of all batches.
    pub position: Position,
}

impl Batch {
    /// Number of rows N.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there are no rows; a loader never yields such a batch.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Shape of `labels`: `[N]`, or `[N, T]` where a row is a sequence.
    pub fn labels_shape(&self) -> Vec<usize> {
        match self.labels.len().checked_div(self.rows.len()) {
            Some(places @ 2..) => vec![self.rows.len(), places],
            _ => vec![self.labels.len()],
        }
    }

    /// Shape of `values`: `[N, K]`, K = 0 if the targets are not numbers.
    pub fn values_shape(&self) -> [usize; 2] {
        [self.rows.len(), self.values.len().checked_div(self.rows.len()).unwrap_or(0)]
    }
}

/// Everything that determines the batches of a loader.
pub(super) struct Maker {
    pub dataset: Arc<dyn Dataset>,
    pub config: LoaderConfig,
    pub per_epoch: usize,
    /// The orders of the last epochs that were asked for, newest last.
    orders: Mutex<Vec<(u32, Arc<Vec<usize>>)>>,
}

impl Maker {
    pub fn new(dataset: Arc<dyn Dataset>, config: LoaderConfig) -> Result<Self, DataError> {
        let (len, batch) = (dataset.len(), config.batch);
        let wrong = |what, why: String, help: &str| Err(DataError::argument(what, why, help));
        if batch == 0 {
            return wrong("batch", "a batch of 0 rows holds nothing".to_owned(), "set it to 1 or more");
        }
        if config.prefetch == 0 {
            return wrong("prefetch", "0 batches ahead leave nothing to yield".to_owned(), "set it to 1 or more");
        }
        if len == 0 {
            return wrong("dataset", "it has no rows".to_owned(), "check the path, the split and what was left out");
        }
        config.transforms.check()?;
        let per_epoch = if config.drop_last { len / batch } else { len.div_ceil(batch) };
        if per_epoch == 0 {
            let why = format!("no batch is left: {len} rows do not fill one of {batch}, and smaller ones are dropped");
            return wrong("drop_last", why, "use smaller batches or keep the last one");
        }
        Ok(Maker { dataset, config, per_epoch, orders: Mutex::new(Vec::new()) })
    }

    pub fn position(&self, ticket: u64) -> Position {
        let per_epoch = self.per_epoch as u64;
        Position { epoch: (ticket / per_epoch) as u32, batch: (ticket % per_epoch) as usize }
    }

    pub fn ticket(&self, position: Position) -> Result<u64, DataError> {
        if position.batch >= self.per_epoch {
            return Err(DataError::argument(
                "position",
                format!("batch {} was asked for, but an epoch has {} batches", position.batch, self.per_epoch),
                "resume with the dataset and the batch size that the position was saved with",
            ));
        }
        Ok(u64::from(position.epoch) * self.per_epoch as u64 + position.batch as u64)
    }

    /// The rows of an epoch in their order.
    pub fn order(&self, epoch: u32) -> Arc<Vec<usize>> {
        // Workers are at most one epoch apart in practice; an older epoch is just computed again.
        const KEPT: usize = 2;
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = orders.iter().find(|(e, _)| *e == epoch) {
            return Arc::clone(order);
        }
        let order = Arc::new(if self.config.shuffle && !self.dataset.in_order() {
            RandomKey::new(self.config.seed).stream("shuffle").step(epoch).permutation(self.dataset.len())
        } else {
            (0..self.dataset.len()).collect()
        });
        if orders.len() == KEPT {
            orders.remove(0);
        }
        orders.push((epoch, Arc::clone(&order)));
        order
    }

    /// One row as an epoch shows it.
    pub fn sample(&self, epoch: u32, row: usize) -> Result<Sample, DataError> {
        let sample = self.dataset.get(row)?;
        check_len(&sample.x, &sample.shape)
            .and_then(|()| self.config.transforms.apply(sample, augmentation_key(self.config.seed, epoch, row)))
            .map_err(|e| e.in_sample(self.dataset.id(row)))
    }

    pub fn make(&self, position: Position) -> Result<Batch, DataError> {
        let order = self.order(position.epoch);
        let start = position.batch * self.config.batch;
        let rows = order[start..order.len().min(start + self.config.batch)].to_vec();
        let mut batch = Batch { x: vec![], shape: vec![], labels: vec![], values: vec![], rows, position };
        let mut kind = None;
        for i in 0..batch.rows.len() {
            let row = batch.rows[i];
            let sample = self.sample(position.epoch, row)?;
            let sample_kind = Kind::of(&sample);
            match &kind {
                None => {
                    batch.shape = [&[batch.rows.len()], sample.shape.as_slice()].concat();
                    batch.x.reserve_exact(sample.x.len() * batch.rows.len());
                    kind = Some(sample_kind);
                }
                Some(kind) if *kind != sample_kind => {
                    return Err(DataError::Mixed {
                        first: self.dataset.id(batch.rows[0]),
                        first_is: kind.describe(),
                        second: self.dataset.id(row),
                        second_is: sample_kind.describe(),
                        help:
                            "bring them to one size with Resize or a crop, to one number of channels with Grey or Rgb"
                                .to_owned(),
                    });
                }
                Some(_) => {}
            }
            batch.x.extend_from_slice(&sample.x);
            match sample.target {
                Target::None => {}
                Target::Class(class) => batch.labels.push(class as i64),
                Target::Values(values) => batch.values.extend(values),
                Target::Symbols(symbols) => batch.labels.extend(symbols),
            }
        }
        Ok(batch)
    }
}

/// What the samples of a batch must share.
#[derive(PartialEq)]
struct Kind {
    shape: Vec<usize>,
    /// `None` unlabelled, `Some(0)` a class, `Some(k)` k numbers or symbols.
    target: Option<usize>,
}

impl Kind {
    fn of(sample: &Sample) -> Self {
        let target = match &sample.target {
            Target::None => None,
            Target::Class(_) => Some(0),
            Target::Values(values) => Some(values.len()),
            Target::Symbols(symbols) => Some(symbols.len()),
        };
        Kind { shape: sample.shape.clone(), target }
    }

    fn describe(&self) -> String {
        let target = match self.target {
            None => "no target".to_owned(),
            Some(0) => "a class".to_owned(),
            Some(n) => format!("{n} target numbers"),
        };
        format!("shape {:?} and {target}", self.shape)
    }
}
