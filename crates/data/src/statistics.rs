//! Mean and spread of a dataset, to standardise it.

use crate::{DataError, Dataset, Transform};

/// Mean and standard deviation per channel of images, per column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanStd {
    /// One mean per channel or column.
    pub mean: Vec<f32>,
    /// One standard deviation (of the population) per channel or column; 1 where all values are equal, so that
    /// dividing by it is harmless.
    pub std: Vec<f32>,
}

impl MeanStd {
    /// The transform that brings the dataset to mean 0 and standard deviation 1.
    pub fn normalise(&self) -> Transform {
        Transform::Normalise { mean: self.mean.clone(), std: self.std.clone() }
    }
}

/// Mean and standard deviation of all rows. Pass the training part only: the others must stay unseen.
///
/// Computed in f64, row by row in order (Chan et al. 1983 merges the rows without loss of digits).
///
/// # Errors
/// If a row cannot be read, rows differ in channels, or there are no rows.
pub fn mean_std(training: &dyn Dataset) -> Result<MeanStd, DataError> {
    let mut channels: Vec<Moments> = Vec::new();
    for row in 0..training.len() {
        let sample = training.get(row)?;
        let count = sample.shape.first().copied().unwrap_or(0);
        if row == 0 {
            channels = vec![Moments::default(); count];
        }
        if count != channels.len() || count == 0 {
            return Err(DataError::Mixed {
                first: training.id(0),
                first_is: format!("{} channels", channels.len()),
                second: training.id(row),
                second_is: format!("shape {:?}", sample.shape),
                help: "bring all rows to the same number of channels, at least 1".to_owned(),
            });
        }
        let size = sample.x.len() / count;
        if size > 0 {
            channels.iter_mut().zip(sample.x.chunks_exact(size)).for_each(|(m, x)| m.merge(&Moments::of(x)));
        }
    }
    if channels.iter().all(|m| m.count == 0.0) {
        return Err(DataError::argument(
            "dataset",
            "it has no numbers to take the mean of",
            "pass the training part of the data",
        ));
    }
    let std = |m: &Moments| (m.squares / m.count).sqrt() as f32;
    Ok(MeanStd {
        mean: channels.iter().map(|m| m.mean as f32).collect(),
        std: channels.iter().map(std).map(|s| if s > 0.0 { s } else { 1.0 }).collect(),
    })
}

/// Count, mean, and sum of squared deviations from the mean.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(x: &[f32]) -> Self {
        let count = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
        Moments { count, mean, squares }
    }

    fn merge(&mut self, other: &Moments) {
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.mean += delta * other.count / count;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InMemory, Targets, Values};

    fn floats(shape: &[usize], x: &[f32]) -> InMemory {
        InMemory::new("toy", shape, Values::Floats(x.to_vec()), Targets::None, vec![]).unwrap()
    }

    #[test]
    fn images_have_one_mean_per_channel_and_tables_one_per_column() {
        let images = mean_std(&floats(&[2, 1, 2], &[1.0, 3.0, 5.0, 5.0, 5.0, 7.0, 5.0, 5.0])).unwrap();
        assert_eq!(images, MeanStd { mean: vec![4.0, 5.0], std: vec![5.0f32.sqrt(), 1.0] });
        let table = mean_std(&floats(&[2], &[1.0, 10.0, 3.0, 30.0])).unwrap();
        assert_eq!(table, MeanStd { mean: vec![2.0, 20.0], std: vec![1.0, 10.0] });
    }

    #[test]
    fn a_large_offset_loses_no_digits() {
        let column: Vec<f32> = (0..1000).map(|i| 1e6 + (i % 2) as f32).collect();
        let MeanStd { mean, std } = mean_std(&floats(&[1], &column)).unwrap();
        assert_eq!((mean[0], std[0]), (1_000_000.5, 0.5));
    }
}
