//! An answer with all that it hangs on, in one call.

use std::sync::Arc;

use data::Image;
use tensor::Array;
use train::pictures::as_seen;
use train::{Error, Input, Result};

use crate::attribute::{Method, Options, attribute, certify};
use crate::net::{Net, floats};
use crate::picture::{Explained, Explanation};

/// What a network says of the picture `x [1, C, H, W]`, and what the score of `class` (the likeliest, if none is given) hangs on by
/// each of `methods`, with certificates. `about` says what `x` is.
///
/// The weights of `net` are shuffled meanwhile and then put back: nothing else may use its scope at the same time.
///
/// # Errors
/// As for [`attribute`]; if `x` is no picture.
pub fn explain(
    net: &Net,
    input: &Input,
    x: &Array,
    class: Option<usize>,
    methods: &[Method],
    options: &Options,
    about: &str,
) -> Result<Explanation> {
    let seen = as_seen(floats(x), x.shape(), input).and_then(|pictures| pictures.into_iter().next());
    let picture: Image = seen.ok_or_else(|| {
        Error::usage(format!("an input of {} is no picture", x.shape()), "ask attribute(..) for the numbers alone")
    })?;
    let logits: Arc<Array> = net.output(x)?;
    let probabilities = softmax(&logits.to_f64());
    let likeliest = (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let class = class.or(likeliest).unwrap_or(0);
    let maps = methods.iter().map(|&method| {
        let map = attribute(net, x, class, method, options)?;
        Ok(Explained { checks: certify(net, x, &map, options)?, map })
    });
    let maps = maps.collect::<Result<Vec<Explained>>>()?;
    let name = |class: usize| input.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    let mut answers: Vec<(String, f32)> =
        probabilities.iter().enumerate().map(|(class, &p)| (name(class), p as f32)).collect();
    answers.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Explanation { about: about.to_owned(), input: picture, answers, class: name(class), maps })
}

pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|x| tensor::math::f64::exp(x - most)).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
