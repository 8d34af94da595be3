//! Samples of reductions, positions of extremes, running sums and sorting orders.

use super::*;
use crate::dtype::DType;
use crate::op::Reduction;
use crate::shape::Axes;

/// Input shape, how it lies, the axes folded.
const FOLDS: [(&str, &[usize], View, &[isize]); 15] = [
    ("all", &[4, 5], Tensor::clone, &[0, 1]),
    ("first axis", &[4, 5], Tensor::clone, &[0]),
    ("last axis", &[4, 5], Tensor::clone, &[-1]),
    ("outer and inner", &[3, 4, 5], Tensor::clone, &[0, 2]),
    ("middle", &[3, 4, 5], Tensor::clone, &[1]),
    ("size 1", &[3, 1, 2], Tensor::clone, &[1]),
    ("one element", &[1, 1], Tensor::clone, &[0, 1]),
    ("nothing to fold into", &[0, 3], Tensor::clone, &[1]),
    ("transposed", &[6, 35], |x| x.transpose(0, 1), &[0]),
    ("flipped", &[3, 37], |x| x.flip(1), &[1]),
    ("every other", &[3, 70], |x| x.slice(1, 1, 70, 2), &[1]),
    ("permuted", &[4, 17, 3], |x| x.permute(&[2, 0, 1]), &[0, 2]),
    ("long", &[LONG], Tensor::clone, &[0]),
    ("long rows", &[3, 4113], Tensor::clone, &[1]),
    ("long columns", &[4113, 3], Tensor::clone, &[0]),
];

fn fold(op: Reduction, x: &Tensor, axes: Axes) -> Tensor {
    match op {
        Reduction::Sum => x.sum(axes),
        Reduction::Prod => x.prod(axes),
        Reduction::Max => x.max(axes),
        Reduction::Min => x.min(axes),
    }
}

pub(crate) fn reduce(op: Reduction) -> Vec<Sample> {
    let numbers: Numbers = match op {
        Reduction::Sum => line,
        // Near 1, so that long products stay within f32.
        Reduction::Prod => |dims, seed| uniform(dims, (0.95, 1.05), seed),
        Reduction::Max | Reduction::Min => distinct,
    };
    let mut samples: Vec<Sample> = FOLDS
        .iter()
        .zip(1..)
        .map(|(&(name, dims, view, axes), seed)| {
            sample(name, vec![numbers(dims, seed)], move |t| fold(op, &view(&t[0]), axes.into()))
        })
        .collect();
    for n in [15, 16, 17, 31, 33, 4096, 4097] {
        samples.push(values(&format!("{n} values"), vec![numbers(&[2, n], 30)], move |t| fold(op, &t[0], 1.into())));
    }
    samples.push(sample("along a scalar's none", vec![numbers(&[], 31)], move |t| {
        fold(op, &t[0].reshape([1, 1]), (..).into())
    }));
    match op {
        Reduction::Sum => {
            samples.push(sample("expanded", vec![line(&[3, 1], 32)], |t| t[0].expand([2, 3, 5]).sum([0isize, 2])));
            samples.push(sample("kept, broadcast", vec![line(&[3, 7], 33)], |t| &t[0] * t[0].sum_keep(1)));
            samples.push(sample("nothing to sum", vec![line(&[3, 0], 34)], |t| t[0].sum(1)));
            samples.push(sample("mean of rows", vec![line(&[3, 7], 35)], |t| t[0].mean(1)));
            samples.push(sample("variance", vec![line(&[4, 3, 5], 36)], |t| t[0].var([0isize, 2], 1.0)));
            samples.push(sample("logsumexp", vec![distinct(&[4, 37], 37)], |t| t[0].logsumexp(-1)));
            samples.push(sample("log softmax", vec![distinct(&[4, 10], 38)], |t| &t[0] - t[0].logsumexp_keep(-1)));
        }
        Reduction::Prod => {
            samples.push(sample("nothing to multiply", vec![line(&[3, 0], 34)], |t| t[0].prod(1)));
            samples.push(sample("signs", vec![away_from_zero(&[3, 6], 35)], |t| t[0].prod(1)));
            let zeros = vec![0.0, 2.0, -3.0, 0.5, 1.5, 0.0, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0, 1.0, 4.0];
            samples.push(sample("zeros", vec![array(&[4, 4], zeros)], |t| t[0].prod(1)));
            samples.push(sample(
                "zeros, two axes",
                vec![array(&[2, 2, 2], vec![2.0, 0.0, 3.0, 1.0, 0.0, 0.0, 5.0, 4.0])],
                |t| t[0].prod([0isize, 2]),
            ));
        }
        Reduction::Max | Reduction::Min => {
            samples.push(values("ties", vec![integers(&[6, 40], 0, 3, 39).cast(DType::F64)], move |t| {
                fold(op, &t[0], 1.into())
            }));
        }
    }
    samples.push(values("special", vec![special()], move |t| fold(op, &t[0], (..).into())));
    samples.push(values("special one by one", special_pairs(), move |t| fold(op, &Tensor::stack(t, 1), 1.into())));
    for dtype in [DType::I64, DType::I32, DType::U8] {
        let x = integers(&[5, 37], -9, 200, 40).cast(dtype);
        samples.push(values(dtype.name(), vec![x], move |t| fold(op, &t[0], 1.into())));
    }
    samples
}

/// Inputs for what looks at the order of values along an axis.
fn ordered(apply: impl Fn(&Tensor, isize) -> Tensor + Clone + 'static) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (&(name, dims, view, axes), seed) in FOLDS.iter().zip(1..) {
        let apply = apply.clone();
        samples.push(values(name, vec![distinct(dims, seed)], move |t| apply(&view(&t[0]), axes[axes.len() - 1])));
    }
    let ties = integers(&[5, 33], 0, 4, 20);
    for (name, x) in [("ties", ties.cast(DType::F64)), ("i64", ties.clone()), ("u8", ties.cast(DType::U8))] {
        let apply = apply.clone();
        samples.push(values(name, vec![x], move |t| apply(&t[0], 1)));
    }
    let i32s = integers(&[33, 2], -9, 9, 21).cast(DType::I32);
    let zeros = array(&[3, 2], vec![0.0, -0.0, -0.0, 0.0, -0.0, -0.0]);
    let last = apply.clone();
    samples.push(values("i32 first axis", vec![i32s], move |t| last(&t[0], 0)));
    let last = apply.clone();
    samples.push(values("signed zeros", vec![zeros], move |t| last(&t[0], 1)));
    samples.push(values("special", vec![special()], move |t| apply(&t[0], 0)));
    samples
}

pub(crate) fn arg_reduce() -> Vec<Sample> {
    let mut samples = ordered(Tensor::argmax);
    samples.extend(ordered(Tensor::argmin));
    let pairs = || array(&[SPECIAL.len() / 2, 2], SPECIAL[..SPECIAL.len() / 2 * 2].to_vec());
    samples.push(values("special columns", vec![pairs()], |t| t[0].argmax(0)));
    samples.push(values("least of special columns", vec![pairs()], |t| t[0].argmin(0)));
    samples.push(values("many columns", vec![line(&[3, 700], 22)], |t| t[0].argmax(0)));
    samples
}

pub(crate) fn argsort() -> Vec<Sample> {
    let mut samples = ordered(|x, axis| x.argsort(axis, false));
    samples.extend(ordered(|x, axis| x.argsort(axis, true)));
    samples.push(sample("sorted values", vec![distinct(&[4, 9], 50)], |t| t[0].sort(1, true).0));
    samples.push(sample("top 3", vec![distinct(&[4, 9], 51)], |t| t[0].top_k(3, 1).0));
    samples.extend(ordered(|x, axis| x.top_k(1, axis).1));
    samples.push(values("top 0", vec![line(&[3, 5], 54)], |t| t[0].top_k(0, 1).1));
    samples.push(values("top 100 of 3,000", vec![integers(&[2, 3000], -50, 50, 53)], |t| t[0].top_k(100, 1).1));
    samples.push(values("size 0", vec![line(&[3, 0], 52)], |t| t[0].argsort(1, false)));
    samples
}

pub(crate) fn cumsum() -> Vec<Sample> {
    let mut samples: Vec<Sample> = FOLDS
        .iter()
        .zip(1..)
        .map(|(&(name, dims, view, axes), seed)| {
            sample(name, vec![line(dims, seed)], move |t| view(&t[0]).cumsum(axes[axes.len() - 1]))
        })
        .collect();
    samples.push(sample("size 0", vec![line(&[3, 0], 30)], |t| t[0].cumsum(1)));
    samples.push(values("special", vec![special()], |t| t[0].cumsum(0)));
    samples.push(values("many rows", vec![line(&[37, 300], 32)], |t| t[0].cumsum(1)));
    for dtype in [DType::I64, DType::I32, DType::U8] {
        samples.push(values(dtype.name(), vec![integers(&[5, 37], 0, 200, 31).cast(dtype)], |t| t[0].cumsum(1)));
    }
    samples
}
