//! The loader: batches in an order that the seed fixes, made ahead by threads that cannot change it.

mod batch;
mod pool;

pub use batch::Batch;
use batch::Maker;
use pool::Pool;

use crate::{DataError, Dataset, Sample, Transforms};
use std::fmt;
use std::sync::Arc;

/// What a loader does. Only `workers` and `prefetch` are free: they change the speed and never a bit.
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderConfig {
    /// Rows in a batch, at least 1.
    pub batch: usize,
    /// Seed of the order and of the augmentation.
    pub seed: u64,
    /// A new random order each epoch; otherwise the order of the dataset.
    pub shuffle: bool,
    /// Leave out the last batch of an epoch if it is smaller than the others.
    pub drop_last: bool,
    /// Threads that make batches ahead; 0 makes each batch when it is asked for.
    pub workers: usize,
    /// How many batches may be ready or in the making, at least 1.
    pub prefetch: usize,
    /// What is done to each sample.
    pub transforms: Transforms,
}

impl Default for LoaderConfig {
    /// Batches of 32, shuffled by seed 0, the last one kept, two workers, four batches ahead, no transforms.
    fn default() -> Self {
        LoaderConfig {
            batch: 32,
            seed: 0,
            shuffle: true,
            drop_last: false,
            workers: 2,
            prefetch: 4,
            transforms: Transforms::default(),
        }
    }
}

/// A place in the endless sequence of batches: save it, and resume there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Batch in the epoch, from 0.
    pub batch: usize,
}

/// Yields batches, epoch after epoch, in an order that depends on the seed alone.
///
/// The order of epoch e is `RandomKey::new(seed).stream("shuffle").step(e).permutation(len)`.
pub struct Loader {
    maker: Arc<Maker>,
    /// How many batches precede the next one, since epoch 0.
    ticket: u64,
    /// Started by the first batch that is asked for.
    pool: Option<Pool>,
}

impl Loader {
    /// A loader of `dataset`, at the start of epoch 0.
    ///
    /// # Errors
    /// If the settings make no sense or leave no batch.
    pub fn new(dataset: Arc<dyn Dataset>, config: LoaderConfig) -> Result<Self, DataError> {
        Ok(Loader { maker: Arc::new(Maker::new(dataset, config)?), ticket: 0, pool: None })
    }

    /// The next batch. It follows the last batch of an epoch with the first of the next, without end.
    ///
    /// # Errors
    /// The first problem in the batch's rows. The loader then stands after that batch and can go on.
    pub fn next_batch(&mut self) -> Result<Batch, DataError> {
        let position = self.position();
        if self.maker.config.workers > 0 && self.pool.is_none() {
            self.pool = Some(Pool::start(&self.maker, self.ticket)?);
        }
        self.ticket += 1;
        match &self.pool {
            Some(pool) => pool.take(),
            None => self.maker.make(position),
        }
    }

    /// The batches that are left of the current epoch.
    pub fn epoch(&mut self) -> Epoch<'_> {
        Epoch { epoch: self.position().epoch, loader: self }
    }

    /// Where the next batch lies.
    pub fn position(&self) -> Position {
        self.maker.position(self.ticket)
    }

    /// Goes to `position`: the next batch is the one that a loader which came there by itself would yield.
    ///
    /// # Errors
    /// If an epoch has no such batch: the position was saved with other data or another batch size.
    pub fn resume(&mut self, position: Position) -> Result<(), DataError> {
        self.ticket = self.maker.ticket(position)?;
        self.pool = None;
        Ok(())
    }

    /// The batch at any position, without moving the loader: to look at it again.
    ///
    /// # Errors
    /// As for `resume` and `next_batch`.
    pub fn batch_at(&self, position: Position) -> Result<Batch, DataError> {
        self.maker.ticket(position)?;
        self.maker.make(position)
    }

    /// Row `row` of the dataset exactly as epoch `epoch` shows it, after augmentation.
    ///
    /// # Errors
    /// If the row cannot be read or transformed.
    pub fn sample_at(&self, epoch: u32, row: usize) -> Result<Sample, DataError> {
        self.maker.sample(epoch, row)
    }

    /// The rows of epoch `epoch` in their order, those of a dropped last batch included.
    pub fn order(&self, epoch: u32) -> Vec<usize> {
        self.maker.order(epoch).to_vec()
    }

    /// Batches in an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> usize {
        self.maker.per_epoch
    }

    /// The dataset.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.maker.dataset
    }

    /// The settings.
    pub fn config(&self) -> &LoaderConfig {
        &self.maker.config
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.maker.dataset.len();
        f.debug_struct("Loader").field("rows", &rows).field("position", &self.position()).finish_non_exhaustive()
    }
}

/// The batches that are left of one epoch; see `Loader::epoch`.
pub struct Epoch<'a> {
    loader: &'a mut Loader,
    epoch: u32,
}

impl Iterator for Epoch<'_> {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.loader.position().epoch == self.epoch).then(|| self.loader.next_batch())
    }
}

#[cfg(test)]
mod tests;
