//! Recurrent layers over whole sequences, f32: one product of the state with a packed weight a step, and the cell while its
//! sums are in cache.
//!
//! A step is cut into units of a block of hidden units (as many as the micro-kernel has columns, all gates of them) and some
//! samples. A unit reads the state of all hidden units, packed, and writes its own part of the next one; so the units of a
//! step may run in any order on any threads, and the steps follow each other. Sums are chains over the hidden units as in
//! the specification ([`tensor::ops::recurrent::reference`]), whose cells these kernels call too.

mod backward;
mod forward;
mod grid;

pub(crate) use backward::backward;
pub(crate) use forward::forward;
pub(crate) use tensor::ops::recurrent::reference::Given;

#[cfg(test)]
mod tests;
