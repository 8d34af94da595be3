//! The filters of convolutions, as they stand in the weights.

use std::sync::Arc;

use nn::Scope;
use tensor::Array;

use crate::eigen::symmetric_eigen;
use crate::net::floats;

/// The filters of one convolution.
#[derive(Debug, Clone)]
pub struct Filters {
    /// The parameter: `conv1/weight`.
    pub name: String,
    /// `[outputs, inputs, ..]`.
    pub weight: Arc<Array>,
}

/// The filters of all convolutions below `scope`, in the order of their declaration.
pub fn filters(scope: &Scope) -> Vec<Filters> {
    let convolutions = scope.parameters().into_iter().filter(|var| var.shape().rank() >= 3);
    convolutions.map(|var| Filters { name: var.name().to_owned(), weight: var.value() }).collect()
}

/// Each filter of `weight [K, C, H, W]` as one picture `[K][H * W]`: along the direction in colour in which it varies most
/// (the first principal component of its channels), with a sum over channels that is not negative.
pub fn luminance(weight: &Array) -> Vec<Vec<f64>> {
    let &[count, channels, height, width] = &weight.shape()[..] else { return Vec::new() };
    let (size, values) = (height * width, floats(weight));
    if values.len() != count * channels * size {
        return Vec::new();
    }
    let one = |filter: usize| {
        let channel = |c: usize| &values[(filter * channels + c) * size..][..size];
        let mut products = vec![0.0; channels * channels];
        for a in 0..channels {
            for b in 0..channels {
                let pairs = channel(a).iter().zip(channel(b));
                products[a * channels + b] = pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            }
        }
        let first = symmetric_eigen(&products, channels).vectors[..channels].to_vec();
        let sign = if first.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
        let at = |i: usize| (0..channels).map(|c| sign * first[c] * f64::from(channel(c)[i])).sum();
        (0..size).map(at).collect()
    };
    (0..count).map(one).collect()
}
