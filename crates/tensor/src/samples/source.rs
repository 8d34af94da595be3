//! Samples of sources.

use super::*;
use crate::dtype::DType;
use crate::var::Var;

const SHAPES: [(&str, &[usize]); 5] =
    [("plain", &[3, 5]), ("scalar", &[]), ("size 1", &[1, 1]), ("size 0", &[2, 0]), ("long", &[LONG])];

pub(crate) fn data() -> Vec<Sample> {
    SHAPES.iter().map(|&(name, dims)| values(name, vec![line(dims, 1)], |t| t[0].clone())).collect()
}

pub(crate) fn variable() -> Vec<Sample> {
    let read = |t: &[Tensor]| match t[0].value() {
        Some(value) => Var::new("v", (**value).clone()).tensor(),
        None => t[0].clone(),
    };
    SHAPES.iter().map(|&(name, dims)| values(name, vec![line(dims, 1)], read)).collect()
}

pub(crate) fn full() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (name, dims) in SHAPES {
        for dtype in DType::ALL {
            let name = format!("{name} {dtype}");
            samples.push(values(&name, vec![], move |_| Tensor::full(dims, 3.25, dtype)));
        }
    }
    samples.push(values("a whole number beyond f64", vec![], |_| Tensor::full([3], i64::MAX - 1, DType::I64)));
    samples.push(values("in a sum", vec![line(&[3, 4], 2)], |t| &t[0] + t[0].full_like(0.1)));
    samples
}

pub(crate) fn iota() -> Vec<Sample> {
    let mut samples: Vec<Sample> = DType::ALL
        .iter()
        .map(|&dtype| values(&format!("plain {dtype}"), vec![], move |_| Tensor::iota([2, 5, 3], 1, dtype)))
        .collect();
    samples.push(values("size 0", vec![], |_| Tensor::iota([2, 0], 0, DType::F32)));
    samples.push(values("long", vec![], |_| Tensor::arange(LONG, DType::F32)));
    samples.push(values("last axis, flipped", vec![], |_| Tensor::iota([3, 7], -1, DType::F64).flip(1)));
    samples
}

pub(crate) fn random() -> Vec<Sample> {
    let key = RandomKey::new(0xC0FF_EE00_1234_5678).stream("dropout").step(1412);
    let mut samples = Vec::new();
    for (name, dims) in SHAPES {
        for dtype in [DType::F32, DType::F64] {
            let label = |what: &str| format!("{what} {name} {dtype}");
            samples.push(values(&label("uniform"), vec![], move |_| Tensor::uniform(dims, key, dtype)));
            samples.push(values(&label("normal"), vec![], move |_| Tensor::normal(dims, key, dtype)));
        }
    }
    samples.push(values("bernoulli", vec![], move |_| Tensor::bernoulli([7, 9], 0.25, key)));
    samples.push(values("permutation", vec![], move |_| Tensor::permutation(101, key)));
    samples.push(values("dropout", vec![line(&[40, 25], 3)], move |t| {
        t[0].keep_where(&Tensor::bernoulli([40, 25], 0.5, key)) * 2.0
    }));
    samples
}
