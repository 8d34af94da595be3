//! Sample inputs of every op, for the generated tests: broadcasting, size 1, size 0, strided views, kinks, infinities.
//!
//! All numbers are deterministic. Float inputs are f64 and shared by both widths.

mod attention;
mod contraction;
mod elementwise;
mod index;
mod pool;
mod recurrent;
mod reduce;
mod source;
mod view;

pub(crate) use attention::{attention, attention_grad, attention_pass};
pub(crate) use contraction::{conv, conv_input, conv_weight, matmul};
pub(crate) use elementwise::{binary, cast, clamp, not, select, unary};
pub(crate) use index::{gather, index_add, index_select, scatter_add};
pub(crate) use pool::{avg_pool, avg_pool_input, max_pool, max_pool_index, max_pool_input};
pub(crate) use recurrent::{recurrent, recurrent_grad};
pub(crate) use reduce::{arg_reduce, argsort, cumsum, reduce};
pub(crate) use source::{data, full, iota, random, variable};
pub(crate) use view::{concat, detach, expand, pad, permute, reshape, slice};

use crate::array::{Array, Element};
use crate::op::Sample;
use crate::philox::{RandomKey, unit};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The real line around 0, a tenth away from every whole and half number, where kinks and steps lie.
pub const LINE: (f64, f64) = (-4.0, 4.0);
/// Positive numbers.
pub const POSITIVE: (f64, f64) = (0.1, 6.0);
/// Numbers away from 0, of both signs.
pub const AWAY_FROM_ZERO: (f64, f64) = (0.5, 4.0);

/// More elements than two blocks of [`crate::order::BLOCK`], and not a multiple of any vector width.
const LONG: usize = 8219;

/// Numbers for a shape; the seed makes different inputs different.
type Numbers = fn(&[usize], u64) -> Array;

fn sample(name: &str, inputs: Vec<Array>, build: impl Fn(&[Tensor]) -> Tensor + 'static) -> Sample {
    Sample { name: name.to_string(), inputs, build: Box::new(build), differentiable: true }
}

/// A sample whose gradients are not compared with differences: kinks, infinities, integers, indices.
fn values(name: &str, inputs: Vec<Array>, build: impl Fn(&[Tensor]) -> Tensor + 'static) -> Sample {
    Sample { differentiable: false, ..sample(name, inputs, build) }
}

fn shape(dims: &[usize]) -> Shape {
    Shape::new(dims).expect("samples are small")
}

fn array<T: Element>(dims: &[usize], values: Vec<T>) -> Array {
    Array::of(shape(dims), values)
}

/// Uniform numbers in [0, 1) with 24 random bits.
fn units(dims: &[usize], seed: u64) -> Vec<f64> {
    let key = RandomKey::new(seed).stream("samples");
    (0..shape(dims).count() as u64).map(|i| f64::from(unit(key.words(i / 4)[i as usize % 4]))).collect()
}

fn uniform(dims: &[usize], (lo, hi): (f64, f64), seed: u64) -> Array {
    array(dims, units(dims, seed).into_iter().map(|u| lo + (hi - lo) * u).collect())
}

/// Numbers on [`LINE`].
fn line(dims: &[usize], seed: u64) -> Array {
    let place = |u: f64| (16.0 * u).floor() / 2.0 - 4.0 + 0.1 + 0.3 * (16.0 * u).fract();
    array(dims, units(dims, seed).into_iter().map(place).collect())
}

fn positive(dims: &[usize], seed: u64) -> Array {
    uniform(dims, POSITIVE, seed)
}

fn away_from_zero(dims: &[usize], seed: u64) -> Array {
    let (lo, hi) = AWAY_FROM_ZERO;
    let place = |u: f64| if u < 0.5 { -lo - (hi - lo) * 2.0 * u } else { lo + (hi - lo) * (2.0 * u - 1.0) };
    array(dims, units(dims, seed).into_iter().map(place).collect())
}

/// Numbers in random order of which no two are closer than a hundredth: no ties even after a small step.
fn distinct(dims: &[usize], seed: u64) -> Array {
    let u = units(dims, seed);
    let mut order: Vec<usize> = (0..u.len()).collect();
    order.sort_by(|&i, &j| u[i].total_cmp(&u[j]).then(i.cmp(&j)));
    let mut numbers = vec![0.0; u.len()];
    for (rank, &i) in order.iter().enumerate() {
        numbers[i] = 0.02 * (rank as f64 - u.len() as f64 / 2.0) + 0.01 * u[i];
    }
    array(dims, numbers)
}

/// Whole numbers in `lo..hi`.
fn integers(dims: &[usize], lo: i64, hi: i64, seed: u64) -> Array {
    let (lo, width) = (lo as f64, (hi - lo) as f64);
    array(dims, units(dims, seed).into_iter().map(|u| (lo + width * u).floor() as i64).collect())
}

fn booleans(dims: &[usize], seed: u64) -> Array {
    array(dims, units(dims, seed).into_iter().map(|u| u < 0.5).collect())
}

/// What floats can be, in both widths.
const SPECIAL: [f64; 24] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    1e-40,
    -1e-40,
    1e-8,
    -1e-8,
    1e30,
    -1e30,
    f32::MAX as f64,
    f32::MIN_POSITIVE as f64,
    88.8,
    -103.9,
    16_777_217.0,
    -2_147_483_649.0,
];

fn special() -> Array {
    array(&[SPECIAL.len()], SPECIAL.to_vec())
}

/// Every pair of special numbers: the left and the right operand.
fn special_pairs() -> Vec<Array> {
    let n = SPECIAL.len();
    vec![
        array(&[n * n], (0..n * n).map(|i| SPECIAL[i / n]).collect()),
        array(&[n * n], (0..n * n).map(|i| SPECIAL[i % n]).collect()),
    ]
}

type View = fn(&Tensor) -> Tensor;

/// Ways in which an input can lie in memory.
const VIEWS: [(&str, &[usize], View); 11] = [
    ("plain", &[5, 7], Tensor::clone),
    ("scalar", &[], Tensor::clone),
    ("size 1", &[1, 3, 1], Tensor::clone),
    ("size 0", &[0, 3], Tensor::clone),
    ("transposed", &[4, 6], |x| x.transpose(0, 1)),
    ("flipped", &[3, 5], |x| x.flip(1)),
    ("every other", &[3, 9], |x| x.slice(1, 1, 9, 2)),
    ("expanded", &[3, 1], |x| x.expand([2, 3, 4])),
    ("permuted, flipped, narrowed", &[4, 6, 3], |x| x.permute(&[2, 0, 1]).flip(0).narrow(2, 1..5)),
    ("transposed, then flat", &[6, 4], |x| x.transpose(0, 1).reshape([24])),
    ("long", &[LONG], Tensor::clone),
];

/// `op` on an input in each of [`VIEWS`].
fn over_views(numbers: Numbers, op: impl Fn(&Tensor) -> Tensor + Clone + 'static) -> Vec<Sample> {
    VIEWS
        .iter()
        .zip(1..)
        .map(|(&(name, dims, view), seed)| {
            let op = op.clone();
            sample(name, vec![numbers(dims, seed)], move |t| op(&view(&t[0])))
        })
        .collect()
}
