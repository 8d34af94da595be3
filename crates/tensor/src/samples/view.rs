//! Samples of views, padding and joining.

use super::*;
use crate::dtype::DType;

pub(crate) fn reshape() -> Vec<Sample> {
    vec![
        sample("plain", vec![line(&[2, 6], 1)], |t| t[0].reshape([3, 4])),
        sample("scalar", vec![line(&[], 2)], |t| t[0].reshape([1, 1])),
        sample("size 1", vec![line(&[1, 3, 1], 3)], |t| t[0].squeeze(..)),
        sample("size 0", vec![line(&[0, 3], 4)], |t| t[0].reshape([5, 0, 2])),
        sample("transposed", vec![line(&[4, 6], 5)], |t| t[0].transpose(0, 1).reshape([3, 8])),
        sample("transposed, split", vec![line(&[4, 6], 6)], |t| t[0].transpose(0, 1).reshape([2, 3, 1, 4])),
        sample("expanded", vec![line(&[3, 1], 7)], |t| t[0].expand([2, 3, 4]).reshape([6, 4])),
        sample("flipped", vec![line(&[3, 4], 8)], |t| t[0].flip(0).flip(1).reshape([12])),
        sample("every other", vec![line(&[4, 6], 9)], |t| t[0].slice(1, 0, 6, 2).reshape([2, 6])),
        sample("flatten", vec![line(&[2, 3, 4], 10)], |t| t[0].flatten(1)),
        sample("long", vec![line(&[83, 99], 11)], |t| t[0].transpose(0, 1).reshape([83 * 99])),
        sample("computed on", vec![line(&[2, 6], 12)], |t| (&t[0] * &t[0]).reshape([4, 3]).exp()),
        values("i64", vec![integers(&[4, 6], -9, 9, 13)], |t| t[0].transpose(0, 1).reshape([3, 8])),
        values("bool", vec![booleans(&[4, 6], 14)], |t| t[0].transpose(0, 1).reshape([3, 8])),
        values("f16", vec![line(&[4, 6], 15).cast(DType::F16)], |t| t[0].transpose(0, 1).reshape([3, 8])),
    ]
}

pub(crate) fn permute() -> Vec<Sample> {
    vec![
        sample("plain", vec![line(&[4, 5], 1)], |t| t[0].transpose(0, 1)),
        sample("three axes", vec![line(&[2, 3, 4], 2)], |t| t[0].permute(&[2, 0, 1])),
        sample("four axes", vec![line(&[2, 3, 4, 5], 3)], |t| t[0].permute(&[0, 2, 3, 1])),
        sample("twice", vec![line(&[2, 3, 4], 4)], |t| t[0].permute(&[2, 0, 1]).permute(&[2, 1, 0])),
        sample("size 1", vec![line(&[1, 3], 5)], |t| t[0].transpose(0, 1)),
        sample("size 0", vec![line(&[0, 3], 6)], |t| t[0].transpose(0, 1)),
        sample("flipped", vec![line(&[3, 4], 7)], |t| t[0].flip(1).transpose(0, 1)),
        sample("expanded", vec![line(&[3, 1], 8)], |t| t[0].expand([3, 4]).transpose(0, 1)),
        sample("long", vec![line(&[83, 99], 9)], |t| t[0].transpose(0, 1)),
        sample("eight axes", vec![line(&[2; 8], 10)], |t| t[0].permute(&[7, 0, 6, 1, 5, 2, 4, 3])),
        sample("computed on", vec![line(&[4, 5], 11)], |t| t[0].transpose(0, 1).exp()),
        values("i32", vec![integers(&[4, 5], -9, 9, 12).cast(DType::I32)], |t| t[0].transpose(0, 1)),
        values("bf16", vec![line(&[4, 5], 13).cast(DType::BF16)], |t| t[0].transpose(0, 1)),
    ]
}

pub(crate) fn expand() -> Vec<Sample> {
    vec![
        sample("plain", vec![line(&[3, 1], 1)], |t| t[0].expand([3, 4])),
        sample("new axes", vec![line(&[3], 2)], |t| t[0].expand([2, 4, 3])),
        sample("new axes of size 1", vec![line(&[3], 3)], |t| t[0].expand([1, 1, 3])),
        sample("scalar", vec![line(&[], 4)], |t| t[0].expand([2, 3])),
        sample("both ends", vec![line(&[1, 4, 1], 5)], |t| t[0].expand([3, 4, 5])),
        sample("to size 0", vec![line(&[3, 1], 6)], |t| t[0].expand([3, 0])),
        sample("size 0, new axis", vec![line(&[0], 7)], |t| t[0].expand([2, 0])),
        sample("transposed", vec![line(&[1, 4], 8)], |t| t[0].transpose(0, 1).expand([2, 4, 3])),
        sample("long", vec![line(&[3, 1], 9)], |t| t[0].expand([3, 4113])),
        sample("computed on", vec![line(&[3, 1], 10)], |t| t[0].expand([3, 4]).exp()),
        values("i64", vec![integers(&[3, 1], -9, 9, 11)], |t| t[0].expand([3, 4])),
        values("bool", vec![booleans(&[3, 1], 12)], |t| t[0].expand([3, 4])),
        values("f16", vec![line(&[3, 1], 13).cast(DType::F16)], |t| t[0].expand([3, 4])),
    ]
}

pub(crate) fn slice() -> Vec<Sample> {
    vec![
        sample("plain", vec![line(&[4, 6], 1)], |t| t[0].narrow(1, 1..4)),
        sample("first axis", vec![line(&[4, 6], 2)], |t| t[0].narrow(0, 2..4)),
        sample("flip", vec![line(&[4, 6], 3)], |t| t[0].flip(1)),
        sample("every other", vec![line(&[3, 7], 4)], |t| t[0].slice(1, 0, 7, 2)),
        sample("every third from 1", vec![line(&[3, 9], 5)], |t| t[0].slice(1, 1, -1, 3)),
        sample("a step beyond the end", vec![line(&[3, 4], 6)], |t| t[0].slice(1, 2, 4, 7)),
        sample("flip of a slice of a flip", vec![line(&[3, 9], 7)], |t| t[0].flip(1).slice(1, 1, 9, 2).flip(1)),
        sample("select", vec![line(&[3, 4, 2], 8)], |t| t[0].select(1, 2)),
        sample("nothing", vec![line(&[3, 4], 9)], |t| t[0].narrow(1, 2..2)),
        sample("nothing, every other", vec![line(&[3, 4], 10)], |t| t[0].slice(1, 3, 3, 2)),
        sample("flip of size 0", vec![line(&[3, 0], 11)], |t| t[0].flip(1)),
        sample("flip of size 1", vec![line(&[3, 1], 12)], |t| t[0].flip(1)),
        sample("transposed", vec![line(&[4, 6], 13)], |t| t[0].transpose(0, 1).narrow(0, 2..5)),
        sample("expanded", vec![line(&[3, 1], 14)], |t| t[0].expand([3, 6]).slice(1, 0, 6, 2)),
        sample("long", vec![line(&[LONG], 15)], |t| t[0].slice(0, 5, -5, 3)),
        sample("overlapping pieces", vec![line(&[9], 16)], |t| t[0].narrow(0, 0..6) * t[0].narrow(0, 3..9)),
        values("i64", vec![integers(&[3, 9], -9, 9, 17)], |t| t[0].flip(0).slice(1, 1, 9, 3)),
        values("bool", vec![booleans(&[3, 9], 18)], |t| t[0].slice(1, 1, 9, 3)),
        values("bf16", vec![line(&[3, 9], 19).cast(DType::BF16)], |t| t[0].slice(1, 1, 9, 3)),
    ]
}

pub(crate) fn detach() -> Vec<Sample> {
    over_views(line, Tensor::detach).into_iter().map(|s| Sample { differentiable: false, ..s }).collect()
}

pub(crate) fn pad() -> Vec<Sample> {
    vec![
        sample("plain", vec![line(&[3, 4], 1)], |t| t[0].pad(1, 1, 2, 0.0)),
        sample("before", vec![line(&[3, 4], 2)], |t| t[0].pad(0, 2, 0, 1.5)),
        sample("after", vec![line(&[3, 4], 3)], |t| t[0].pad(-1, 0, 3, f64::NEG_INFINITY).narrow(1, 0..4)),
        sample("size 1", vec![line(&[1, 1], 4)], |t| t[0].pad(1, 1, 1, 0.0)),
        sample("size 0", vec![line(&[3, 0], 5)], |t| t[0].pad(1, 1, 1, 2.0)),
        sample("size 0 elsewhere", vec![line(&[0, 3], 6)], |t| t[0].pad(1, 1, 1, 2.0)),
        sample("transposed, flipped", vec![line(&[3, 4], 7)], |t| t[0].transpose(0, 1).flip(0).pad(0, 1, 1, 0.0)),
        sample("expanded", vec![line(&[3, 1], 8)], |t| t[0].expand([3, 4]).pad(0, 1, 0, 0.0)),
        sample("all around", vec![line(&[2, 3, 4], 9)], |t| t[0].pad(1, 1, 1, 0.0).pad(2, 1, 1, 0.0)),
        sample("mirror", vec![line(&[3, 5], 10)], |t| t[0].pad_reflect(1, 2, 3).pad(1, 0, 1, 0.0)),
        sample("long", vec![line(&[3, 2741], 11)], |t| t[0].pad(1, 3, 5, 0.0)),
        values("infinite margin", vec![line(&[3, 4], 12)], |t| t[0].pad(1, 1, 1, f64::NEG_INFINITY)),
        values("i64", vec![integers(&[3, 4], -9, 9, 13)], |t| t[0].pad(1, 1, 1, -1)),
        values("bool", vec![booleans(&[3, 4], 14)], |t| t[0].pad(1, 1, 1, true)),
    ]
}

pub(crate) fn concat() -> Vec<Sample> {
    let pair = |a: &[usize], b: &[usize], seed| vec![line(a, seed), line(b, seed + 1)];
    vec![
        sample("plain", pair(&[3, 4], &[3, 2], 1), |t| Tensor::concat(t, 1)),
        sample("first axis", pair(&[3, 4], &[1, 4], 3), |t| Tensor::concat(t, 0)),
        sample("middle axis", pair(&[2, 3, 2], &[2, 1, 2], 5), |t| Tensor::concat(t, -2)),
        sample("three", vec![line(&[2, 3], 7), line(&[2, 1], 8), line(&[2, 4], 9)], |t| Tensor::concat(t, 1)),
        sample("a piece of size 0", pair(&[2, 3], &[2, 0], 10), |t| Tensor::concat(t, 1)),
        sample("size 0 elsewhere", pair(&[0, 3], &[0, 2], 12), |t| Tensor::concat(t, 1)),
        sample("the same piece twice", vec![line(&[2, 3], 14)], |t| Tensor::concat(&[t[0].clone(), t[0].clone()], 0)),
        sample("stack", pair(&[2, 3], &[2, 3], 15), |t| Tensor::stack(t, 1)),
        sample("stack of scalars", pair(&[], &[], 17), |t| Tensor::stack(t, 0)),
        sample("strided", pair(&[4, 3], &[3, 1], 19), |t| {
            Tensor::concat(&[t[0].transpose(0, 1).flip(1), t[1].expand([3, 5])], 1)
        }),
        sample("computed pieces", pair(&[3, 4], &[3, 2], 21), |t| Tensor::concat(&[t[0].exp(), t[1].sin()], 1)),
        sample("long", pair(&[3, 1500], &[3, 1241], 23), |t| Tensor::concat(t, 1)),
        values("i64", vec![integers(&[3, 4], -9, 9, 25), integers(&[3, 2], -9, 9, 26)], |t| Tensor::concat(t, 1)),
        values("bool", vec![booleans(&[3, 4], 27), booleans(&[3, 2], 28)], |t| Tensor::concat(t, 1)),
    ]
}
