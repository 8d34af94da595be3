//! Sample inputs of every op, for the generated tests: broadcasting, size 1, size 0, strided views, kinks, infinities.

use crate::op::{Binary, Reduction, Sample, Unary};

/// The real line, kinks and infinities included.
pub const LINE: (f64, f64) = (-4.0, 4.0);
/// Positive numbers.
pub const POSITIVE: (f64, f64) = (0.1, 6.0);
/// Numbers away from 0, of both signs.
pub const AWAY_FROM_ZERO: (f64, f64) = (0.5, 4.0);

pub(crate) fn unary(_op: Unary, _range: (f64, f64)) -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn binary(_op: Binary) -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn reduce(_op: Reduction) -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn not() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn select() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn clamp() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn cast() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn arg_reduce() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn cumsum() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn argsort() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn reshape() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn permute() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn expand() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn slice() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn detach() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn pad() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn concat() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn matmul() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn conv() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn conv_input() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn conv_weight() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn max_pool() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn max_pool_index() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn avg_pool() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn avg_pool_input() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn gather() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn scatter_add() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn index_select() -> Vec<Sample> {
    Vec::new()
}
pub(crate) fn index_add() -> Vec<Sample> {
    Vec::new()
}
