//! Filters without a network around them: a convolution, a rectifier and a pooling, so that they can be asked like one.

use cpu::Cpu;
use nn::{Relu, Scope, Sequential, State, conv2d, max_pool2d};
use tensor::Array;
use train::{Error, Goal, Input, Result};

use crate::net::Net;

/// A convolution with given filters, its rectifier, and max pooling of 2 x 2.
pub struct Bank {
    scope: Scope,
    model: Sequential,
}

/// How far the pictures that a bank is shown reach beyond its filters: room for units to be pooled.
const ROOM: usize = 11;

impl Bank {
    /// Of `filters [K, C, H, W]`.
    ///
    /// # Errors
    /// If they are not f32 filters of pictures.
    pub fn new(filters: &Array) -> Result<Bank> {
        let &[count, channels, height, width] = &filters.shape()[..] else {
            return Err(Error::usage(
                format!("{} are no filters of pictures", filters.shape()),
                "give weights of shape [K, C, H, W]",
            ));
        };
        let scope = Scope::root(0);
        let conv = conv2d(&scope / "filters", channels, count, [height, width]).bias(false);
        let model = Sequential::new().then(conv).then(Relu).then(max_pool2d(2));
        if let Some(weight) = scope.find("filters/weight") {
            weight.set(filters.clone())?;
        }
        Ok(Bank { scope, model })
    }

    /// As a network.
    pub fn net<'a>(&'a self, cpu: &'a Cpu) -> Net<'a> {
        Net { cpu, model: &self.model, scope: &self.scope }
    }
}

/// The input of a bank of `filters [K, C, H, W]`: pictures a little larger than they are.
pub fn bank_input(filters: &Array) -> Input {
    let side = |axis: usize| filters.shape().get(axis).copied().unwrap_or(1) + ROOM;
    let channels = filters.shape().get(1).copied().unwrap_or(1);
    Input {
        goal: Goal::Class,
        shape: vec![channels, side(2), side(3)],
        mean: vec![0.0],
        std: vec![1.0],
        classes: Vec::new(),
        columns: Vec::new(),
        tokens: None,
    }
}

/// The filters of a model file that see pictures: of the tensors `[K, 1 or 3, H, W]` the one with the largest filters, and its
/// name.
pub fn of_state(state: &State) -> Option<(String, Array)> {
    let sees_pictures =
        |array: &Array| matches!(array.shape()[..], [_, 1 | 3, height, width] if height > 1 && width > 1);
    let found = state.iter().filter(|(_, array)| sees_pictures(array) && array.dtype().is_float());
    // (The first of equals: `max_by_key` would take the last.)
    let (name, array) = found.rev().max_by_key(|(_, array)| array.shape()[2] * array.shape()[3])?;
    Some((name.clone(), array.cast(tensor::DType::F32)))
}
