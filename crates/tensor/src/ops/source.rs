//! Where values come from: data, variables, numbers, counters, random numbers.

use std::panic::Location;

use crate::array::{Array, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Distribution, Op, Page, Sample, Scalar};
use crate::philox::{RandomKey, unit};
use crate::real::Real;
use crate::samples;
use crate::shape::{Dims, Shape, resolve_axis};
use crate::tensor::{Inputs, Node, Tensor, checked};

/// A value brought from outside.
pub static DATA: Page = leaf("data", "a given value", samples::data, |node, _| Ok((**node_value(node)?).clone()));

/// The value of a variable.
pub static VAR: Page = leaf("variable", "the current value of a variable", samples::variable, |node, _| {
    let (var, _) = node.variable().ok_or("a variable node without a variable")?;
    Ok((*var.value()).clone())
});

/// One number everywhere.
pub static FULL: Page = leaf("full", "y[i] = c", samples::full, |node, _| {
    let Op::Full(value) = *node.op() else { return Err("not full".into()) };
    Ok(filled(value, node.dtype(), *node.shape()))
});

/// The index along an axis.
pub static IOTA: Page = leaf("iota", "y[.., i, ..] = i", samples::iota, |node, _| {
    let Op::Iota { axis } = *node.op() else { return Err("not iota".into()) };
    let (shape, axis) = (*node.shape(), axis as usize);
    let inner: usize = shape[axis + 1..].iter().product();
    let index = (0..shape.count()).map(|i| (i / inner % shape[axis]) as i64).collect();
    Ok(Array::of::<i64>(shape, index).cast(node.dtype()))
});

/// Counter-based random numbers.
pub static RANDOM: Page = leaf("random", "y[i] = f(Philox(key, i))", samples::random, |node, inputs| {
    let Op::Random(distribution) = *node.op() else { return Err("not random".into()) };
    let key = read_key(inputs[0])?;
    let count = node.shape().count() as u64;
    Ok(match (distribution, node.dtype()) {
        (Distribution::Bits, _) => {
            Array::of(*node.shape(), (0..count).map(|i| i64::from(key.words(i / 4)[i as usize % 4])).collect())
        }
        (_, DType::F32) => {
            Array::of::<f32>(*node.shape(), (0..count).map(|i| random_f32(distribution, key, i)).collect())
        }
        _ => Array::of::<f64>(*node.shape(), (0..count).map(|i| random_f64(distribution, key, i)).collect()),
    })
});

/// A node that could not be built.
pub static ERROR: Page = leaf("error", "-", Vec::new, |_, _| Err("an error node has no value".into()));

const fn leaf(
    name: &'static str,
    formula: &'static str,
    samples: fn() -> Vec<Sample>,
    reference: fn(&Node, &[&Array]) -> Result<Array, String>,
) -> Page {
    Page {
        name,
        formula,
        gradient_formula: "none: a source",
        gradient: Some(|y, _| vec![None; y.inputs().len()]),
        reference,
        samples,
    }
}

fn node_value(node: &Node) -> Result<&std::sync::Arc<Array>, String> {
    node.value().ok_or_else(|| "a data node without data".to_string())
}

/// The key held by the input of [`Op::Random`].
pub fn read_key(key: &Array) -> Result<RandomKey, String> {
    match key.as_slice::<i64>() {
        Some(&[seed, stream, step]) => Ok(RandomKey { seed: seed as u64, stream: stream as u32, step: step as u32 }),
        _ => Err(format!("a random key is i64 [seed, stream, step], not {} {}", key.dtype(), key.shape())),
    }
}

/// Element `index` of an f32 random tensor.
#[inline(always)]
pub fn random_f32(distribution: Distribution, key: RandomKey, index: u64) -> f32 {
    let words = key.words(index / 4);
    match distribution {
        Distribution::Uniform | Distribution::Bits => unit(words[index as usize % 4]),
        Distribution::Normal => normal_group(words)[index as usize % 4],
    }
}

/// The four standard normal numbers of a Philox group: Box-Muller on words (0, 1) and (2, 3).
#[inline(always)]
pub fn normal_group(words: [u32; 4]) -> [f32; 4] {
    let [a, b] = box_muller(words[0], words[1]);
    let [c, d] = box_muller(words[2], words[3]);
    [a, b, c, d]
}

#[inline(always)]
fn box_muller(radius_word: u32, angle_word: u32) -> [f32; 2] {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * Real::log(1.0 - unit(radius_word))).sqrt();
    let angle = std::f32::consts::TAU * unit(angle_word);
    [radius * Real::cos(angle), radius * Real::sin(angle)]
}

/// Element `index` of an f64 random tensor: the same words as in f32, computed in f64.
pub fn random_f64(distribution: Distribution, key: RandomKey, index: u64) -> f64 {
    let words = key.words(index / 4);
    let lane = index as usize % 4;
    match distribution {
        Distribution::Uniform | Distribution::Bits => f64::from(unit(words[lane])),
        Distribution::Normal => {
            let pair = lane / 2 * 2;
            let radius = (-2.0 * Real::log(1.0 - f64::from(unit(words[pair])))).sqrt();
            let angle = std::f64::consts::TAU * f64::from(unit(words[pair + 1]));
            radius * if lane.is_multiple_of(2) { Real::cos(angle) } else { Real::sin(angle) }
        }
    }
}

/// `shape` filled with `value` as `dtype`.
pub fn filled(value: Scalar, dtype: DType, shape: Shape) -> Array {
    let n = shape.count();
    let values = match dtype {
        DType::F32 => Values::F32(vec![value.f64() as f32; n]),
        DType::F64 => Values::F64(vec![value.f64(); n]),
        DType::I32 => Values::I32(vec![value.i64() as i32; n]),
        DType::I64 => Values::I64(vec![value.i64(); n]),
        DType::U8 => Values::U8(vec![value.i64() as u8; n]),
        DType::Bool => Values::Bool(vec![value.f64() != 0.0; n]),
        DType::F16 | DType::BF16 => {
            return Array::of::<f32>(shape, vec![value.f64() as f32; n]).cast(dtype);
        }
    };
    Array::new(shape, values)
}

impl Tensor {
    /// `value` everywhere.
    #[track_caller]
    pub fn full(shape: impl Into<Dims>, value: impl Into<Scalar>, dtype: DType) -> Tensor {
        let at = Location::caller();
        match checked("full", shape) {
            Ok(shape) => Tensor::node(Op::Full(value.into()), Inputs::None, shape, dtype, at),
            Err(error) => Tensor::failed(error, at),
        }
    }

    /// Zeros.
    #[track_caller]
    pub fn zeros(shape: impl Into<Dims>, dtype: DType) -> Tensor {
        Tensor::full(shape, 0.0, dtype)
    }

    /// Ones.
    #[track_caller]
    pub fn ones(shape: impl Into<Dims>, dtype: DType) -> Tensor {
        Tensor::full(shape, 1.0, dtype)
    }

    /// `value` everywhere, in the shape and dtype of `self`.
    #[track_caller]
    pub fn full_like(&self, value: impl Into<Scalar>) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        Tensor::full(self.shape(), value, self.dtype())
    }

    /// `0, 1, ..., n - 1`.
    #[track_caller]
    pub fn arange(n: usize, dtype: DType) -> Tensor {
        Tensor::iota([n], 0, dtype)
    }

    /// The index along `axis`, everywhere in `shape`.
    #[track_caller]
    pub fn iota(shape: impl Into<Dims>, axis: isize, dtype: DType) -> Tensor {
        let at = Location::caller();
        let shape = match checked("iota", shape) {
            Ok(shape) => shape,
            Err(error) => return Tensor::failed(error, at),
        };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => Tensor::node(Op::Iota { axis: axis as u8 }, Inputs::None, shape, dtype, at),
            Err(message) => Tensor::failed(Error::new(ErrorKind::Argument, "iota", message), at),
        }
    }

    /// Uniform random numbers in [0, 1).
    #[track_caller]
    pub fn uniform(shape: impl Into<Dims>, key: RandomKey, dtype: DType) -> Tensor {
        Tensor::random(Distribution::Uniform, shape, key, dtype)
    }

    /// Standard normal random numbers.
    #[track_caller]
    pub fn normal(shape: impl Into<Dims>, key: RandomKey, dtype: DType) -> Tensor {
        Tensor::random(Distribution::Normal, shape, key, dtype)
    }

    /// True with probability `p`.
    #[track_caller]
    pub fn bernoulli(shape: impl Into<Dims>, p: f64, key: RandomKey) -> Tensor {
        Tensor::random(Distribution::Uniform, shape, key, DType::F32).lt(p)
    }

    /// A uniformly random order of `0..n` (i64).
    #[track_caller]
    pub fn permutation(n: usize, key: RandomKey) -> Tensor {
        Tensor::random(Distribution::Bits, [n], key, DType::I64).argsort(0, false)
    }

    #[track_caller]
    fn random(distribution: Distribution, shape: impl Into<Dims>, key: RandomKey, dtype: DType) -> Tensor {
        let at = Location::caller();
        let shape = match checked("random", shape) {
            Ok(shape) => shape,
            Err(error) => return Tensor::failed(error, at),
        };
        if distribution != Distribution::Bits && !dtype.is_float() {
            let message = format!("random numbers are f32 or f64, not {dtype}");
            return Tensor::failed(Error::new(ErrorKind::DType, "random", message), at);
        }
        // The key is an input, not part of the op: another step is the same plan.
        let key = Tensor::from_vec(vec![key.seed as i64, i64::from(key.stream), i64::from(key.step)], [3]);
        Tensor::node(Op::Random(distribution), Inputs::One([key]), shape, dtype, at)
    }
}
