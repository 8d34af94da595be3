//! Recurrent layers over whole sequences.

use crate::machine::Machine;
use tensor::op::Recurrence;
pub use tensor::ops::recurrent::reference::Given;
use tensor::ops::recurrent::{Extent, reference};

pub fn forward(_m: &Machine, of: Recurrence, size: Extent, given: Given<'_, f32>, saved: &mut [f32]) {
    reference::forward(of, size, given, saved)
}
pub fn backward(
    _m: &Machine,
    of: Recurrence,
    size: Extent,
    given: (&[f32], &[f32], &[f32]),
    lengths: Option<&[i64]>,
    out: &mut [f32],
) {
    reference::backward(of, size, given, lengths, out)
}
