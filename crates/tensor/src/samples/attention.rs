//! Samples of attention.

use super::*;
use crate::op::Op;
use crate::ops::attention::AttentionOptions;

/// Name, queries, keys, values, mask.
type Case = (&'static str, &'static [usize], &'static [usize], &'static [usize], Option<&'static [usize]>);

const CASES: [Case; 14] = [
    ("plain", &[4, 3], &[4, 3], &[4, 3], None),
    ("one batch", &[2, 3, 4], &[2, 5, 4], &[2, 5, 2], None),
    ("batch and heads", &[2, 3, 4, 2], &[2, 3, 4, 2], &[2, 3, 4, 2], None),
    ("more keys", &[1, 2, 2, 3], &[1, 2, 5, 3], &[1, 2, 5, 3], None),
    ("more queries", &[1, 2, 5, 3], &[1, 2, 2, 3], &[1, 2, 2, 3], None),
    ("size 1", &[1, 1, 1, 1], &[1, 1, 1, 1], &[1, 1, 1, 1], None),
    ("broadcast heads", &[2, 1, 3, 2], &[3, 3, 2], &[1, 3, 3, 2], None),
    ("three leading dimensions", &[2, 1, 2, 3, 2], &[2, 1, 2, 3, 2], &[2, 1, 2, 3, 2], None),
    ("no batch", &[0, 2, 3, 4], &[0, 2, 3, 4], &[0, 2, 3, 4], None),
    ("no keys", &[2, 3, 4], &[2, 0, 4], &[2, 0, 4], None),
    ("no keys for many queries", &[70, 2], &[0, 2], &[0, 2], None),
    ("no queries", &[2, 0, 4], &[2, 3, 4], &[2, 3, 4], None),
    ("mask", &[2, 2, 3, 4], &[2, 2, 5, 4], &[2, 2, 5, 4], Some(&[2, 1, 3, 5])),
    ("mask of keys", &[2, 2, 4, 3], &[2, 2, 4, 3], &[2, 2, 4, 3], Some(&[1, 4])),
];

/// Beyond one block, tile and panel of every kernel.
const LARGE: [Case; 5] = [
    ("large", &[2, 2, 150, 40], &[2, 2, 150, 40], &[2, 2, 150, 40], None),
    ("large, one head", &[200, 24], &[200, 24], &[200, 24], None),
    ("large, more keys", &[1, 2, 70, 17], &[1, 2, 1100, 17], &[1, 2, 1100, 33], None),
    ("large, more queries", &[1, 1, 300, 8], &[1, 1, 100, 8], &[1, 1, 100, 8], None),
    ("large, mask", &[2, 2, 129, 5], &[2, 2, 129, 5], &[2, 2, 129, 5], Some(&[2, 1, 129, 129])),
];

fn inputs(case: &Case, seed: u64) -> Vec<Array> {
    [case.1, case.2, case.3].into_iter().zip(seed..).map(|(dims, seed)| uniform(dims, (-2.0, 2.0), seed)).collect()
}

/// `finish` on the attention of each case: plain, causal, and with both kinds of mask.
fn over_cases(finish: fn(Tensor) -> Tensor) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (index, case) in CASES.iter().chain(&LARGE).enumerate() {
        let (seed, small) = (10 * index as u64 + 1, index < CASES.len());
        for causal in [false, true] {
            let kept = |sample: Sample| Sample { differentiable: small, ..sample };
            let named = |kind: &str| format!("{}{kind}{}", case.0, if causal { ", causal" } else { "" });
            let Some(mask) = case.4 else {
                let sample = sample(&named(""), inputs(case, seed), move |t| {
                    finish(t[0].attention(&t[1], &t[2], &AttentionOptions { causal, ..Default::default() }))
                });
                samples.push(kept(sample));
                continue;
            };
            for float in [false, true] {
                let mut inputs = inputs(case, seed);
                let kind = if float { " of floats" } else { " of pairs" };
                inputs.push(if float { uniform(mask, (-2.0, 2.0), seed + 3) } else { booleans(mask, seed + 3) });
                let sample = sample(&named(kind), inputs, move |t| {
                    let options = AttentionOptions { mask: Some(&t[3]), causal, ..Default::default() };
                    finish(t[0].attention(&t[1], &t[2], &options))
                });
                samples.push(kept(sample));
            }
        }
    }
    samples.push(sample("heads side by side", vec![uniform(&[2, 3, 12], (-2.0, 2.0), 300)], move |t| {
        let heads = |i: usize| t[0].narrow(2, 4 * i..4 * i + 4).reshape([2, 3, 2, 2]).transpose(1, 2);
        let y = heads(0).attention(&heads(1), &heads(2), &AttentionOptions { causal: true, ..Default::default() });
        finish(y)
    }));
    samples.push(sample("of itself, flipped, every other", vec![uniform(&[2, 6, 3], (-2.0, 2.0), 301)], move |t| {
        let x = t[0].flip(1);
        finish(x.attention(&x.slice(1, 0, 6, 2), &x.slice(1, 0, 6, 2), &AttentionOptions::default()))
    }));
    let options = AttentionOptions { scale: Some(-0.75), grouped: true, ..Default::default() };
    let grouped = [&[2, 4, 3, 2][..], &[2, 2, 3, 2], &[2, 2, 3, 2]];
    let grouped = grouped.into_iter().zip(310..).map(|(dims, seed)| uniform(dims, (-2.0, 2.0), seed)).collect();
    samples.push(sample("groups, another scale", grouped, move |t| finish(t[0].attention(&t[1], &t[2], &options))));
    let closed = vec![
        uniform(&[3, 2], (-2.0, 2.0), 320),
        uniform(&[4, 2], (-2.0, 2.0), 321),
        uniform(&[4, 2], (-2.0, 2.0), 322),
        array(&[3, 4], [true, false, true, true, false, false, false, false, false, true, false, false].to_vec()),
    ];
    samples.push(sample("a query without keys", closed.clone(), move |t| {
        finish(t[0].attention(&t[1], &t[2], &AttentionOptions { mask: Some(&t[3]), ..Default::default() }))
    }));
    samples.push(values("a query without keys, minus infinity", closed, move |t| {
        let closed = t[0].full_like(f64::NEG_INFINITY).select(1, 0).select(0, 0).expand([3, 4]);
        let mask = closed.full_like(0).where_else(&t[3], &closed);
        finish(t[0].attention(&t[1], &t[2], &AttentionOptions { mask: Some(&mask), ..Default::default() }))
    }));
    let odd = vec![special().reshaped(shape(&[8, 3])), uniform(&[5, 3], (-2.0, 2.0), 330), line(&[5, 3], 331)];
    samples.push(values("special", odd, move |t| finish(t[0].attention(&t[1], &t[2], &AttentionOptions::default()))));
    samples
}

pub(crate) fn attention() -> Vec<Sample> {
    over_cases(|y| y)
}

/// The pass behind a result, which may be seen through views.
fn pass_of(y: Tensor) -> Tensor {
    let mut node = y;
    while !matches!(node.op(), Op::AttentionPass(_)) {
        let Some(input) = node.inputs().first().cloned() else { return node };
        node = input;
    }
    node
}

pub(crate) fn attention_pass() -> Vec<Sample> {
    over_cases(pass_of).into_iter().map(|sample| Sample { differentiable: false, ..sample }).collect()
}

/// The gradients of queries, keys and values under a cotangent made of the result, in one.
pub(crate) fn attention_grad() -> Vec<Sample> {
    over_cases(|y| {
        let inputs = pass_of(y.clone()).inputs().to_vec();
        let cotangent = y.cos();
        let Some([q, k, v]) = inputs.get(..3) else { return y };
        let gradients = y.vector_jacobian(&cotangent, [q, k, v]);
        if let Some(bad) = gradients.iter().find(|gradient| gradient.error().is_some()) {
            return bad.clone();
        }
        Tensor::concat(&gradients.iter().map(|gradient| gradient.flatten(0)).collect::<Vec<_>>(), 0)
    })
    .into_iter()
    .map(|sample| Sample { differentiable: false, ..sample })
    .collect()
}
