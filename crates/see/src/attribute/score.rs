//! Scores and their gradients in many inputs, a batch at a time, and what absence looks like.

use std::sync::Arc;

use tensor::{Array, Tensor};
use train::{Error, Result};

use super::Options;
use crate::net::{Net, floats};

/// How an input is laid out: channels of places.
pub(super) struct Frame {
    pub channels: usize,
    /// The axes of the places.
    pub spatial: Vec<usize>,
}

impl Frame {
    /// Of `[1, C, ..]`, or of `[1, D]`, whose places are its columns.
    pub fn of(x: &Array) -> Result<Frame> {
        let is_usable = x.as_slice::<f32>().is_some_and(|values| !values.is_empty());
        match x.shape()[..] {
            [1, columns] if is_usable => Ok(Frame { channels: 1, spatial: vec![columns] }),
            [1, channels, ref spatial @ ..] if is_usable && !spatial.is_empty() => {
                Ok(Frame { channels, spatial: spatial.to_vec() })
            }
            _ => Err(Error::usage(
                format!("an input of {} {} cannot be explained", x.dtype(), x.shape()),
                "give one row of f32 numbers: [1, C, H, W], [1, C, T] or [1, D]",
            )),
        }
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.spatial.iter().product()
    }

    /// Height and width; all but the last axis of the places are lines.
    pub fn height_width(&self) -> (usize, usize) {
        let width = self.spatial.last().copied().unwrap_or(1);
        (self.places() / width.max(1), width)
    }
}

/// What absence looks like: an input of the shape of `x`.
pub(super) fn baseline(x: &Array, options: &Options) -> Result<Vec<f32>> {
    let frame = Frame::of(x)?;
    let given = &options.baseline;
    if given.len() != 1 && given.len() != frame.channels {
        return Err(Error::usage(
            format!("{} numbers for the baseline of an input of {} channels", given.len(), frame.channels),
            "give one number, or one for each channel",
        ));
    }
    Ok((0..x.shape().count()).map(|at| given[at / frame.places().max(1) % given.len()]).collect())
}

/// The score of a class for one input.
pub(super) fn one(net: &Net, x: &Array, class: usize) -> Result<f64> {
    Ok(scores(net, x, floats(x).to_vec(), class, 1)?[0])
}

/// The score of a class for each of many inputs of the shape of `x`.
pub(super) fn scores(net: &Net, x: &Array, rows: Vec<f32>, class: usize, batch: usize) -> Result<Vec<f64>> {
    let mut scores = Vec::new();
    each_batch(x, &rows, batch, |inputs| {
        let score = net.trace_tensor(inputs)?.score(class)?;
        let values = net.cpu.run(&[&score], &[])?.swap_remove(0);
        check(&values)?;
        scores.extend(values.to_f64());
        Ok(())
    })?;
    Ok(scores)
}

/// The gradients of the score of a class in many inputs of the shape of `x`: `take` hears those of each row.
pub(super) fn gradients(
    net: &Net,
    x: &Array,
    rows: &[f32],
    class: usize,
    batch: usize,
    mut take: impl FnMut(&[f32]),
) -> Result<()> {
    each_batch(x, rows, batch, |inputs| {
        let traced = net.trace_tensor(inputs)?;
        let score = traced.score(class)?;
        let gradient = score.sum(..).grad([&traced.x]).swap_remove(0);
        let values: Vec<Arc<Array>> = net.cpu.run(&[&score, &gradient], &[])?;
        check(&values[0])?;
        floats(&values[1]).chunks_exact(x.shape().count().max(1)).for_each(&mut take);
        Ok(())
    })
}

fn each_batch(x: &Array, rows: &[f32], batch: usize, mut run: impl FnMut(Tensor) -> Result<()>) -> Result<()> {
    let size = x.shape().count().max(1);
    rows.chunks(size * batch.max(1)).try_for_each(|part| {
        let mut dims = x.shape().to_vec();
        dims[0] = part.len() / size;
        run(Tensor::from_vec(part.to_vec(), dims))
    })
}

fn check(scores: &Array) -> Result<()> {
    match floats(scores).iter().find(|score| !score.is_finite()) {
        None => Ok(()),
        Some(&number) => Err(Error::NotFinite {
            number,
            row: "this input".to_owned(),
            help: "look at weights that are finite: an earlier step, or a run that did not diverge".to_owned(),
        }),
    }
}
