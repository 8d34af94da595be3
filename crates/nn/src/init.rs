//! Initial values of parameters: each element a pure function of the seed, the parameter's name and its place.

use tensor::ops::source::normal_group;
use tensor::philox::unit;
use tensor::{Array, DType, RandomKey, Shape};

/// Tries of [`Init::TruncatedNormal`] before it limits a value instead: reached by no sensible interval.
const TRIES: u64 = 64;

/// A distribution of initial values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// One number everywhere.
    Constant(f64),
    /// Uniform in `low..high`.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Normal, limited to `low..=high` by drawing again.
    TruncatedNormal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Uniform with deviation `gain / sqrt(fan)` (He et al. 2015).
    KaimingUniform {
        /// Which fan.
        fan: Fan,
        /// What the nonlinearity costs.
        gain: Gain,
    },
    /// Normal with deviation `gain / sqrt(fan)` (He et al. 2015).
    KaimingNormal {
        /// Which fan.
        fan: Fan,
        /// What the nonlinearity costs.
        gain: Gain,
    },
    /// Uniform with deviation `gain sqrt(2 / (fan in + fan out))` (Glorot and Bengio 2010).
    XavierUniform {
        /// What the nonlinearity costs.
        gain: Gain,
    },
    /// Normal with deviation `gain sqrt(2 / (fan in + fan out))` (Glorot and Bengio 2010).
    XavierNormal {
        /// What the nonlinearity costs.
        gain: Gain,
    },
    /// Orthonormal rows or columns (whichever are fewer) of the matrix `[first, all others]`, times a number (Saxe et al. 2014).
    Orthogonal {
        /// The number.
        gain: f64,
    },
}

/// Which sums the deviation keeps: those of the forward or of the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fan {
    /// Inputs of one output.
    In,
    /// Outputs of one input.
    Out,
}

/// The factor by which a nonlinearity shrinks what passes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gain {
    /// 1: linear layers, convolutions, sigmoid.
    Linear,
    /// 5/3.
    Tanh,
    /// The square root of 2.
    Relu,
    /// sqrt(2 / (1 + slope^2)).
    LeakyRelu(f64),
    /// 3/4.
    Selu,
    /// Any other.
    Value(f64),
}

impl Gain {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Gain::Linear => 1.0,
            Gain::Tanh => 5.0 / 3.0,
            Gain::Relu => 2f64.sqrt(),
            Gain::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            Gain::Selu => 0.75,
            Gain::Value(gain) => gain,
        }
    }
}

/// Inputs of one output and outputs of one input of a weight `[out, in, ..]`, as PyTorch counts them.
pub fn fans(shape: &[usize]) -> (usize, usize) {
    let field: usize = shape.iter().skip(2).product();
    let size = |axis: usize| shape.get(axis).copied().unwrap_or(1);
    (size(1) * field, size(0) * field)
}

impl Init {
    /// What PyTorch's linear and convolution layers start from: Kaiming uniform for a leaky ReLU of slope sqrt(5), which is
    /// uniform within `1 / sqrt(fan in)`.
    pub fn layer_weight() -> Init {
        Init::KaimingUniform { fan: Fan::In, gain: Gain::LeakyRelu(5f64.sqrt()) }
    }

    /// What PyTorch's linear and convolution layers give a bias beside a weight of `shape`: uniform within `1 / sqrt(fan in)`.
    pub fn layer_bias(weight: &[usize]) -> Init {
        let bound = match fans(weight).0 {
            0 => 0.0,
            fan_in => 1.0 / (fan_in as f64).sqrt(),
        };
        Init::Uniform { low: -bound, high: bound }
    }

    /// The standard deviation that this distribution has for a weight of `shape`.
    pub fn std(&self, shape: &[usize]) -> f64 {
        let (fan_in, fan_out) = fans(shape);
        match *self {
            Init::Constant(_) => 0.0,
            Init::Uniform { low, high } => (high - low) / 12f64.sqrt(),
            Init::Normal { std, .. } | Init::TruncatedNormal { std, .. } => std,
            Init::KaimingUniform { fan, gain } | Init::KaimingNormal { fan, gain } => {
                let fan = if fan == Fan::In { fan_in } else { fan_out };
                gain.value() / (fan.max(1) as f64).sqrt()
            }
            Init::XavierUniform { gain } | Init::XavierNormal { gain } => {
                gain.value() * (2.0 / (fan_in + fan_out).max(1) as f64).sqrt()
            }
            Init::Orthogonal { gain } => gain / (shape.iter().skip(1).product::<usize>().max(1) as f64).sqrt(),
        }
    }

    /// Half the width of a uniform distribution of this deviation.
    pub fn bound(&self, shape: &[usize]) -> f64 {
        3f64.sqrt() * self.std(shape)
    }

    /// The values of a parameter of `shape`, drawn with `key`.
    pub fn values(&self, shape: Shape, dtype: DType, key: RandomKey) -> Array {
        let (n, std) = (shape.count(), self.std(&shape));
        let values = match *self {
            Init::Constant(value) => vec![value; n],
            Init::Uniform { low, high } => uniform(n, low, high, key),
            Init::Normal { mean, .. } => normal(n, mean, std, key),
            Init::TruncatedNormal { mean, std, low, high } => truncated(n, mean, std, low, high, key),
            Init::KaimingUniform { .. } | Init::XavierUniform { .. } => {
                uniform(n, -self.bound(&shape), self.bound(&shape), key)
            }
            Init::KaimingNormal { .. } | Init::XavierNormal { .. } => normal(n, 0.0, std, key),
            Init::Orthogonal { gain } => orthogonal(&shape, gain, key),
        };
        match dtype {
            DType::F32 => Array::of(shape, values.into_iter().map(|x| x as f32).collect()),
            _ => Array::of(shape, values).cast(dtype),
        }
    }
}

fn uniform(n: usize, low: f64, high: f64, key: RandomKey) -> Vec<f64> {
    let units = (0..n.div_ceil(4) as u64).flat_map(|group| key.words(group)).take(n);
    units.map(|word| low + (high - low) * f64::from(unit(word))).collect()
}

fn normal(n: usize, mean: f64, std: f64, key: RandomKey) -> Vec<f64> {
    let normals = (0..n.div_ceil(4) as u64).flat_map(|group| normal_group(key.words(group))).take(n);
    normals.map(|z| mean + std * f64::from(z)).collect()
}

fn truncated(n: usize, mean: f64, std: f64, low: f64, high: f64, key: RandomKey) -> Vec<f64> {
    (0..n as u64)
        .map(|i| {
            let draw = |attempt: u64| mean + std * f64::from(normal_group(key.words(i + attempt * n as u64))[0]);
            let inside = (0..TRIES).map(draw).find(|x| (low..=high).contains(x));
            inside.unwrap_or_else(|| draw(0).max(low).min(high))
        })
        .collect()
}

/// Gram-Schmidt, twice, on normal random vectors: as many as there are rows or columns, whichever are fewer.
fn orthogonal(shape: &Shape, gain: f64, key: RandomKey) -> Vec<f64> {
    let rows = shape.first().copied().unwrap_or(1);
    let columns = shape.iter().skip(1).product::<usize>();
    let (few, long) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(few);
    let random = normal(few * long, 0.0, 1.0, key);
    for start in 0..few {
        let mut v = random[start * long..][..long].to_vec();
        for _ in 0..2 {
            for u in &vectors {
                let along = dot(u, &v);
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let length = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|v| *v /= length);
        vectors.push(v);
    }
    let element = |row: usize, column: usize| if rows <= columns { vectors[row][column] } else { vectors[column][row] };
    (0..rows * columns).map(|i| gain * element(i / columns, i % columns)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (&a, &b)| a.mul_add(b, sum))
}
