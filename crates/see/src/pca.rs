//! Embeddings: the rows of a set as a layer sees them, along the directions in which they differ most.

use data::Dataset;
use tensor::{Array, Shape};
use train::{Error, Input, Result};

use crate::eigen::symmetric_eigen;
use crate::net::{Net, floats};

/// Principal components of rows of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The mean row `[D]`.
    pub mean: Vec<f64>,
    /// Directions `[k][D]` of length 1, that of the greatest variance first; the largest entry of each is positive.
    pub components: Vec<Vec<f64>>,
    /// The variance along each.
    pub variance: Vec<f64>,
    /// The variance of the rows in all.
    pub total: f64,
}

impl Pca {
    /// The first `components` of `rows [N, D]`, row-major. Of the two matrices of products, rows with rows and columns with
    /// columns, the smaller is taken.
    pub fn of(rows: &[f32], width: usize, components: usize) -> Pca {
        let count = rows.len().checked_div(width).unwrap_or(0);
        let mut mean = vec![0.0; width];
        rows.chunks_exact(width.max(1)).for_each(|row| {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / count.max(1) as f64);
        });
        let centred: Vec<f64> = rows.iter().enumerate().map(|(at, &x)| f64::from(x) - mean[at % width]).collect();
        let weight = 1.0 / count.max(1) as f64;
        let total = weight * centred.iter().map(|x| x * x).sum::<f64>();
        let by_rows = count < width;
        let size = count.min(width);
        let columns: Vec<f64>;
        let (vectors, length) = if by_rows {
            (&centred, width)
        } else {
            columns = (0..width * count).map(|at| centred[at % count * width + at / count]).collect();
            (&columns, count)
        };
        let mut products = vec![0.0; size * size];
        for a in 0..size {
            for b in 0..=a {
                let (a_, b_) = (&vectors[a * length..][..length], &vectors[b * length..][..length]);
                products[a * size + b] = weight * a_.iter().zip(b_).map(|(x, y)| x * y).sum::<f64>();
            }
        }
        let eigen = symmetric_eigen(&products, size);
        let kept = components.min(size);
        let component = |k: usize| {
            let vector = &eigen.vectors[k * size..][..size];
            let mut direction = if by_rows {
                let at = |d: usize| (0..count).map(|n| vector[n] * centred[n * width + d]).sum();
                (0..width).map(at).collect()
            } else {
                vector.to_vec()
            };
            normalise(&mut direction);
            direction
        };
        Pca {
            components: (0..kept).map(component).collect(),
            variance: eigen.values[..kept].iter().map(|x| x.max(0.0)).collect(),
            mean,
            total,
        }
    }

    /// Where rows `[N, D]` lie: `[N][k]`.
    pub fn project(&self, rows: &[f32]) -> Vec<Vec<f64>> {
        let along = |row: &[f32], direction: &Vec<f64>| {
            row.iter().zip(&self.mean).zip(direction).map(|((&x, mean), d)| (f64::from(x) - mean) * d).sum()
        };
        let place = |row: &[f32]| self.components.iter().map(|direction| along(row, direction)).collect();
        rows.chunks_exact(self.mean.len().max(1)).map(place).collect()
    }

    /// The share of all variance that the components hold.
    pub fn share(&self) -> f64 {
        self.variance.iter().sum::<f64>() / self.total.max(f64::MIN_POSITIVE)
    }
}

/// To length 1, with a positive largest entry.
fn normalise(direction: &mut [f64]) {
    let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let largest = direction.iter().copied().fold(0.0f64, |most, x| if x.abs() > most.abs() { x } else { most });
    let scale = if largest < 0.0 { -1.0 / length } else { 1.0 / length };
    direction.iter_mut().for_each(|x| *x *= scale);
}

/// The rows `rows` of a set as the layer `path` sees them: `[N, D]`, everything but the first axis in a line. As many as
/// `batch` are computed at once, which changes no number.
///
/// # Errors
/// If a row cannot be read, or the model has no such layer.
pub fn embed(net: &Net, input: &Input, set: &dyn Dataset, rows: &[usize], path: &str, batch: usize) -> Result<Array> {
    let transforms = input.prepare(&[]);
    let (mut all, mut width) = (Vec::new(), 0);
    for part in rows.chunks(batch.max(1)) {
        let mut x = Vec::new();
        for &row in part {
            x.extend(transforms.apply(set.get(row)?, data::augmentation_key(0, 0, row))?.x);
        }
        let dims: Vec<usize> = std::iter::once(part.len()).chain(input.shape.iter().copied()).collect();
        let value = net.activation(&array(&dims, x)?, path)?.value;
        width = value.shape().count() / part.len();
        all.extend_from_slice(floats(&value));
    }
    array(&[rows.len(), width], all)
}

/// An array of `values` in `dims`, which must fit.
pub(crate) fn array(dims: &[usize], values: Vec<f32>) -> Result<Array> {
    let count = values.len();
    match Shape::new(dims).filter(|shape| shape.count() == count) {
        Some(shape) => Ok(Array::of(shape, values)),
        None => Err(Error::usage(
            format!("{count} numbers do not make an input of shape {dims:?}"),
            "give rows like those that the network was trained on",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::RandomKey;

    /// Points along (3, 4, 0) / 5 with a little noise.
    fn line(count: usize) -> Vec<f32> {
        let random = |at: usize| RandomKey::new(1).uniform(at as u64) - 0.5;
        (0..count).flat_map(|n| [3.0, 4.0, 0.0].map(|x| x * random(4 * n) + 0.01 * random(4 * n + 1))).collect()
    }

    #[test]
    fn the_first_component_is_the_line_on_which_points_lie() {
        // (More rows than columns, and fewer.)
        for count in [200, 2] {
            let rows = line(count);
            let pca = Pca::of(&rows, 3, 2);
            let found = &pca.components[0];
            assert!(
                (found[0] - 0.6).abs() < 0.02 && (found[1] - 0.8).abs() < 0.02 && found[2].abs() < 0.02,
                "{found:?}"
            );
            assert!(pca.share() > 0.999_999 && pca.variance[0] > 100.0 * pca.variance[1]);
            let places = pca.project(&rows);
            let spread = places.iter().map(|place| place[0] * place[0]).sum::<f64>() / count as f64;
            assert!((spread - pca.variance[0]).abs() < 1e-9, "{spread}");
        }
    }
}
