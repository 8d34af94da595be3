//! Samples of pooling.

use super::*;
use crate::dtype::DType;
use crate::op::{Op, Pool};
use crate::ops::pool::PoolOptions;
use crate::tensor::Inputs;

/// Name, input shape, window: kernel, stride, padding.
type Case = (&'static str, &'static [usize], &'static [usize], &'static [usize], &'static [usize]);

const CASES: [Case; 13] = [
    ("plain", &[2, 3, 4, 6], &[2, 2], &[2, 2], &[0, 0]),
    ("overlapping", &[1, 2, 5, 6], &[3, 3], &[1, 1], &[0, 0]),
    ("padding", &[1, 2, 5, 4], &[3, 2], &[2, 1], &[1, 1]),
    ("a rest at the end", &[1, 2, 7, 8], &[2, 3], &[3, 3], &[0, 0]),
    ("each axis its own", &[2, 1, 6, 5], &[1, 3], &[2, 1], &[0, 1]),
    ("size 1", &[1, 1, 1, 1], &[1, 1], &[1, 1], &[0, 0]),
    ("the whole input", &[2, 3, 3, 4], &[3, 4], &[3, 4], &[0, 0]),
    ("no batch", &[0, 2, 4, 4], &[2, 2], &[2, 2], &[0, 0]),
    ("no channels", &[2, 0, 4, 4], &[2, 2], &[2, 2], &[0, 0]),
    ("one dimension", &[2, 3, 9], &[3], &[2], &[1]),
    ("three dimensions", &[1, 2, 4, 3, 4], &[2, 2, 3], &[2, 1, 2], &[1, 0, 1]),
    ("wide", &[2, 5, 21, 43], &[3, 3], &[2, 2], &[1, 1]),
    ("wide, two by two", &[1, 2, 5, 37], &[2, 2], &[2, 2], &[0, 0]),
];

fn options((_, _, kernel, stride, padding): &Case) -> PoolOptions {
    PoolOptions { stride: stride.to_vec(), padding: padding.to_vec(), ..PoolOptions::new(kernel) }
}

/// `op` over each geometry, with and without rounding up the number of windows.
fn over_cases(numbers: Numbers, op: fn(&Tensor, &PoolOptions) -> Tensor) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (case, seed) in CASES.iter().zip(1..) {
        for ceil in [false, true] {
            let options = PoolOptions { ceil, ..options(case) };
            let name = if ceil { format!("{}, rounded up", case.0) } else { case.0.to_string() };
            samples.push(sample(&name, vec![numbers(case.1, seed)], move |t| op(&t[0], &options)));
        }
    }
    let last = PoolOptions::new(&[2, 2]);
    samples.push(sample("channels last, flipped", vec![numbers(&[2, 4, 6, 3], 40)], move |t| {
        op(&t[0].permute(&[0, 3, 1, 2]).flip(2), &last)
    }));
    samples
}

fn max_cases(op: fn(&Tensor, &PoolOptions) -> Tensor) -> Vec<Sample> {
    let mut samples = over_cases(distinct, op);
    let dilated =
        PoolOptions { stride: vec![1, 2], padding: vec![1, 1], dilation: vec![2, 3], ..PoolOptions::new(&[3, 2]) };
    samples.push(sample("dilation", vec![distinct(&[1, 2, 7, 8], 41)], move |t| op(&t[0], &dilated)));
    let window = PoolOptions { stride: vec![1], padding: vec![1], ..PoolOptions::new(&[3]) };
    samples.push(values("special", vec![special().reshaped(shape(&[2, 1, 12]))], move |t| op(&t[0], &window)));
    let two = PoolOptions::new(&[2, 2]);
    samples
        .push(values("special, two by two", vec![special().reshaped(shape(&[1, 1, 4, 6]))], move |t| op(&t[0], &two)));
    let tied = PoolOptions::new(&[2, 3]);
    samples.push(values("ties", vec![integers(&[2, 2, 6, 9], 0, 3, 42).cast(DType::F64)], move |t| op(&t[0], &tied)));
    samples
}

pub(crate) fn max_pool() -> Vec<Sample> {
    max_cases(Tensor::max_pool)
}

pub(crate) fn max_pool_index() -> Vec<Sample> {
    max_cases(|x, options| {
        let y = x.max_pool(options);
        pooled(&y, Op::MaxPoolIndex, Inputs::One([x.clone()]), *y.shape(), DType::I64)
    })
    .into_iter()
    .map(|sample| Sample { differentiable: false, ..sample })
    .collect()
}

/// The gradient of the maximum, for another number from each window.
pub(crate) fn max_pool_input() -> Vec<Sample> {
    let dx = |x: &Tensor, options: &PoolOptions| {
        let y = x.max_pool(options);
        let g = y.detach() * 0.5 + 1.0;
        pooled(&y, Op::MaxPoolInput, Inputs::Two([x.clone(), g]), *x.shape(), x.dtype())
    };
    let not_of_x = |sample: Sample| Sample { differentiable: false, ..sample };
    let mut samples: Vec<Sample> = max_cases(dx).into_iter().map(not_of_x).collect();
    for (case, seed) in CASES.iter().zip(80..) {
        let (options, x) = (options(case), distinct(case.1, 1));
        let windows = Tensor::from_array(x.clone()).max_pool(&options);
        let g = line(windows.dims(), seed);
        samples.push(sample(&format!("{}, of g", case.0), vec![g], move |t| {
            let x = Tensor::from_array(x.clone().cast(t[0].dtype()));
            let y = x.max_pool(&options);
            pooled(&y, Op::MaxPoolInput, Inputs::Two([x.clone(), t[0].clone()]), *x.shape(), x.dtype())
        }));
    }
    samples
}

/// The node that `op` makes of the geometry of the pooling `y`.
fn pooled(y: &Tensor, op: fn(Pool) -> Op, inputs: Inputs, shape: Shape, dtype: DType) -> Tensor {
    match *y.op() {
        Op::MaxPool(pool) | Op::AvgPool(pool) => Tensor::node(op(pool), inputs, shape, dtype, y.origin().location),
        _ => y.clone(),
    }
}

pub(crate) fn avg_pool() -> Vec<Sample> {
    let mut samples = over_cases(line, Tensor::avg_pool);
    samples.extend(over_cases(line, |x, options| {
        x.avg_pool(&PoolOptions { count_include_pad: false, ..options.clone() })
    }));
    samples.push(sample("adaptive", vec![line(&[2, 2, 6, 4], 50)], |t| t[0].adaptive_avg_pool(&[3, 2])));
    samples.push(values("special", vec![special().reshaped(shape(&[2, 1, 12]))], |t| {
        t[0].avg_pool(&PoolOptions { stride: vec![1], padding: vec![1], ..PoolOptions::new(&[3]) })
    }));
    samples
}

pub(crate) fn avg_pool_input() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (case, seed) in CASES.iter().zip(1..) {
        for (ceil, count_include_pad) in [(false, true), (true, true), (true, false)] {
            let options = PoolOptions { ceil, count_include_pad, ..options(case) };
            let dims = case.1;
            let pool = move |dtype| Tensor::zeros(dims, dtype).avg_pool(&options);
            let name = format!("{}, ceil {ceil}, counting padding {count_include_pad}", case.0);
            samples.push(sample(&name, vec![line(pool(DType::F64).dims(), 60 + seed)], move |t| {
                let y = pool(t[0].dtype());
                pooled(&y, Op::AvgPoolInput, Inputs::One([t[0].clone()]), shape(dims), t[0].dtype())
            }));
        }
    }
    samples
}
