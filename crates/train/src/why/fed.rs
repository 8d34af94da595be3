//! The rows that a step was fed: numbers far beyond those of the others, and their shares of the gradient.

use data::Batch;
use nn::clip::{Norm, total_norm};
use tensor::Tensor;

use super::robust::median;
use crate::error::Result;
use crate::replay::{At, Kind};

/// A row is corrupt if its largest number is so many times that of the other rows (by the median).
const FAR: f64 = 30.0;
/// Fewer rows do not say what is usual.
const LEAST_ROWS: usize = 4;

/// A row of a batch whose numbers are beyond all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OddInput {
    /// In the batch.
    pub place: usize,
    /// Its largest number, without the sign; infinite if one is no number.
    pub largest: f64,
    /// The median of that over the rows.
    pub usual: f64,
}

/// The rows whose numbers, as they were fed, are far beyond those of the others; the farthest first.
pub(super) fn odd_inputs(batch: &Batch) -> Vec<OddInput> {
    if batch.len() < LEAST_ROWS {
        return Vec::new();
    }
    let each = (batch.x.len() / batch.len()).max(1);
    let size = |x: &f32| if x.is_finite() { f64::from(x.abs()) } else { f64::INFINITY };
    let largest: Vec<f64> = batch.x.chunks(each).map(|row| row.iter().map(size).fold(0.0, f64::max)).collect();
    let usual = median(largest.iter().copied());
    let mut odd: Vec<OddInput> = largest
        .into_iter()
        .enumerate()
        .filter(|(_, largest)| *largest > FAR * usual)
        .map(|(place, largest)| OddInput { place, largest, usual })
        .collect();
    odd.sort_by(|a, b| b.largest.total_cmp(&a.largest));
    odd
}

/// The share of the row at `place` in the gradient of all parameters: the length of its part, beside that and the length of
/// the part of all others. `None` if the loss has no parts.
pub(super) fn share(at: &At, place: usize) -> Result<Option<f64>> {
    let Ok(losses) = at.node("losses") else { return Ok(None) };
    let parameters: Vec<Tensor> =
        at.names().iter().filter(|named| named.kind == Kind::Parameter).map(|named| named.tensor.clone()).collect();
    let trained: Vec<(Tensor, Tensor)> = parameters
        .into_iter()
        .filter_map(|tensor| {
            let name = tensor.variable().map(|(var, _)| var.name().to_owned())?;
            let whole = at.node(&format!("{name}.grad")).ok().filter(|whole| whole.error().is_none())?;
            Some((tensor, whole))
        })
        .collect();
    let rows = at.batch().len() as f64;
    let own = losses.slice(0, place as isize, place as isize + 1, 1).sum(..) / rows;
    let own: Vec<Tensor> = own.grad(&trained.iter().map(|(tensor, _)| tensor.clone()).collect::<Vec<_>>());
    let others: Vec<Tensor> = trained.iter().zip(&own).map(|((_, whole), own)| whole - own).collect();
    let [own, others] = [total_norm(&own, Norm::P(2.0)), total_norm(&others, Norm::P(2.0))];
    if own.error().is_some() || others.error().is_some() {
        return Ok(None);
    }
    let lengths = at.values(&[&own, &others])?;
    let [own, others] = [lengths[0].get_f64(0), lengths[1].get_f64(0)];
    let share = own / (own + others);
    Ok(Some(share).filter(|share| share.is_finite()))
}
