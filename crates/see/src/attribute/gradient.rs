//! The methods that read gradients in the input.

use tensor::op::Distribution;
use tensor::ops::source::random_f32;
use tensor::{Array, RandomKey};
use train::Result;

use super::score::{baseline, gradients};
use super::{Options, counted, like};
use crate::net::{Net, floats};

/// `ds/dx`.
pub(super) fn plain(net: &Net, x: &Array, class: usize) -> Result<Array> {
    mean(net, x, 1, class, 1, |_, rows| rows.extend(floats(x)))
}

/// `(x - b) ds/dx`.
pub(super) fn times_input(net: &Net, x: &Array, class: usize, options: &Options) -> Result<Array> {
    let gradient = plain(net, x, class)?;
    weighed(x, &gradient, options)
}

/// The mean of `ds/dx` over noisy copies; the noise of a copy depends on the seed and its number alone.
pub(super) fn smooth(net: &Net, x: &Array, class: usize, options: &Options) -> Result<Array> {
    let samples = counted("samples", options.samples)?;
    let values = floats(x);
    let (least, most) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    let sigma = (options.noise * f64::from(most - least)) as f32;
    let key = RandomKey::new(options.seed).stream("smoothgrad");
    mean(net, x, samples, class, options.batch, |sample, rows| {
        let key = key.step(sample as u32);
        let noisy = |(at, &x): (usize, &f32)| x + sigma * random_f32(Distribution::Normal, key, at as u64);
        rows.extend(values.iter().enumerate().map(noisy));
    })
}

/// `(x - b)` times the mean of `ds/dx` at the middles of equal stretches of the way from b to x.
pub(super) fn integrated(net: &Net, x: &Array, class: usize, options: &Options) -> Result<Array> {
    let steps = counted("points", options.steps)?;
    let (values, from) = (floats(x), baseline(x, options)?);
    let gradient = mean(net, x, steps, class, options.batch, |step, rows| {
        let share = (step as f32 + 0.5) / steps as f32;
        rows.extend(values.iter().zip(&from).map(|(x, b)| b + share * (x - b)));
    })?;
    weighed(x, &gradient, options)
}

/// The mean of the gradients in `count` inputs, summed in f64 in their order. `add` appends the input of a number to others.
fn mean(
    net: &Net,
    x: &Array,
    count: usize,
    class: usize,
    batch: usize,
    add: impl Fn(usize, &mut Vec<f32>),
) -> Result<Array> {
    let mut sums = vec![0.0f64; x.shape().count()];
    let numbers: Vec<usize> = (0..count).collect();
    for part in numbers.chunks(batch.max(1)) {
        let mut rows = Vec::new();
        part.iter().for_each(|&number| add(number, &mut rows));
        gradients(net, x, &rows, class, batch, |row| {
            sums.iter_mut().zip(row).for_each(|(sum, &g)| *sum += f64::from(g));
        })?;
    }
    Ok(like(x.shape(), sums.into_iter().map(|sum| sum / count.max(1) as f64).collect()))
}

/// Each number's distance from the baseline times `gradient`.
fn weighed(x: &Array, gradient: &Array, options: &Options) -> Result<Array> {
    let from = baseline(x, options)?;
    let products = floats(x).iter().zip(&from).zip(floats(gradient));
    Ok(like(x.shape(), products.map(|((x, b), g)| f64::from(x - b) * f64::from(*g)).collect()))
}
