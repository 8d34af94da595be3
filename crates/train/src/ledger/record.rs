//! What the ledger holds of a step, and its bytes.

/// Most bytes of the figures of a step.
pub(super) const LARGEST_FIGURES: usize = 48;

/// Figures of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRecord {
    /// From 1.
    pub step: u64,
    /// Learning rate.
    pub lr: f64,
    /// Loss of the batch.
    pub loss: f32,
    /// Length of the gradient of all parameters.
    pub grad_norm: f32,
    /// Length of all parameters after the step, if it was taken.
    pub weight_norm: Option<f32>,
    /// Length of what the step added to them, if it was taken.
    pub update_norm: Option<f32>,
    /// [`crate::ledger::StateHash`] of parameters, buffers, moments and averages after the step, if it was taken.
    pub hash: Option<u128>,
}

/// The rows that a step was fed.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRows {
    /// From 1.
    pub step: u64,
    /// Pass over the data, from 0. Seed, epoch and row are the key of a row's augmentation (`data::augmentation_key`).
    pub epoch: u32,
    /// In the order of the batch.
    pub rows: Vec<RowLoss>,
}

/// A row of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowLoss {
    /// Its number among the training rows.
    pub row: u32,
    /// Its loss, before any weighting; NaN if the loss function does not give one a row.
    pub loss: f32,
}

/// How long a step took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepTimes {
    /// From 1.
    pub step: u64,
    /// Waiting for the batch.
    pub data: u32,
    /// Forward, backward and update.
    pub compute: u32,
    /// Hash and writing of the ledger for the step before.
    pub ledger: u32,
}

/// All of a step.
pub(crate) struct Entry {
    pub step: StepRecord,
    pub rows: StepRows,
    pub times: StepTimes,
}

impl StepRecord {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.step.to_le_bytes().to_vec();
        bytes.extend(self.lr.to_le_bytes());
        let norms = self.weight_norm.zip(self.update_norm).map(|(weight, update)| [weight, update]);
        for figure in [self.loss, self.grad_norm].into_iter().chain(norms.into_iter().flatten()) {
            bytes.extend(figure.to_le_bytes());
        }
        bytes.extend(self.hash.iter().flat_map(|hash| hash.to_le_bytes()));
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<StepRecord> {
        let (normed, hash, mut bytes) = match bytes.len() {
            24 | 32 => (bytes.len() == 32, None, bytes),
            40 | 48 => {
                let (figures, hash) = bytes.split_at(bytes.len() - 16);
                (figures.len() == 32, Some(u128::from_le_bytes(hash.try_into().ok()?)), figures)
            }
            _ => return None,
        };
        let (step, lr) = (u64::from_le_bytes(take(&mut bytes)?), f64::from_le_bytes(take(&mut bytes)?));
        let mut figure = || Some(f32::from_le_bytes(take(&mut bytes)?));
        let (loss, grad_norm) = (figure()?, figure()?);
        let (weight_norm, update_norm) = if normed { (Some(figure()?), Some(figure()?)) } else { (None, None) };
        Some(StepRecord { step, lr, loss, grad_norm, weight_norm, update_norm, hash })
    }
}

impl StepRows {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.step.to_le_bytes().to_vec();
        bytes.extend(self.epoch.to_le_bytes());
        for RowLoss { row, loss } in &self.rows {
            bytes.extend(row.to_le_bytes());
            bytes.extend(loss.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<StepRows> {
        let (step, epoch) = (u64::from_le_bytes(take(&mut bytes)?), u32::from_le_bytes(take(&mut bytes)?));
        let (rows, rest) = bytes.as_chunks::<8>();
        let half = |row: &[u8; 8], at: usize| [row[at], row[at + 1], row[at + 2], row[at + 3]];
        let one =
            |row: &[u8; 8]| RowLoss { row: u32::from_le_bytes(half(row, 0)), loss: f32::from_le_bytes(half(row, 4)) };
        rest.is_empty().then(|| StepRows { step, epoch, rows: rows.iter().map(one).collect() })
    }
}

impl StepTimes {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.step.to_le_bytes().to_vec();
        for time in [self.data, self.compute, self.ledger] {
            bytes.extend(time.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<StepTimes> {
        let step = u64::from_le_bytes(take(&mut bytes)?);
        let mut time = || Some(u32::from_le_bytes(take(&mut bytes)?));
        Some(StepTimes { step, data: time()?, compute: time()?, ledger: time()? })
    }
}

/// The step of a payload of any of the three files: all begin with it.
pub(super) fn step_of(payload: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*payload.first_chunk()?))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_comes_back() {
        let step = StepRecord {
            step: 7,
            lr: 0.1,
            loss: f32::MIN_POSITIVE,
            grad_norm: 3.0,
            weight_norm: Some(-0.0),
            update_norm: Some(f32::INFINITY),
            hash: None,
        };
        assert_eq!(StepRecord::from_bytes(&step.to_bytes()), Some(step));
        let hashed = StepRecord { hash: Some(u128::MAX / 3), ..step };
        assert_eq!(StepRecord::from_bytes(&hashed.to_bytes()), Some(hashed));
        let plain = StepRecord { weight_norm: None, update_norm: None, ..hashed };
        assert_eq!(StepRecord::from_bytes(&plain.to_bytes()), Some(plain));
        let plain = StepRecord { hash: None, ..plain };
        assert_eq!((StepRecord::from_bytes(&plain.to_bytes()), plain.to_bytes().len()), (Some(plain), 24));
        assert_eq!(StepRecord::from_bytes(&hashed.to_bytes()[..44]), None);

        let rows = vec![RowLoss { row: 3, loss: 0.5 }, RowLoss { row: u32::MAX, loss: -1.0 }];
        let rows = StepRows { step: 7, epoch: 2, rows };
        assert_eq!(StepRows::from_bytes(&rows.to_bytes()), Some(rows.clone()));
        assert_eq!(StepRows::from_bytes(&rows.to_bytes()[1..]), None);
        assert_eq!(rows.to_bytes().len(), 12 + 8 * 2);

        let times = StepTimes { step: 7, data: 1, compute: 2, ledger: 3 };
        assert_eq!((StepTimes::from_bytes(&times.to_bytes()), step_of(&times.to_bytes())), (Some(times), Some(7)));
    }
}
