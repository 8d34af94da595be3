//! Convolution over 1 to 3 spatial dimensions, and its two adjoints.
//!
//! The three are one trilinear form of `x`, `w` and `dy`, so each is the gradient of the others.

use std::panic::Location;

use crate::array::{Array, Values};
use crate::error::{Error, ErrorKind};
use crate::op::{Conv, Op, Page};
use crate::real::Real;
use crate::samples;
use crate::shape::Shape;
use crate::tensor::{Inputs, Node, Tensor, provenance};

/// Convolution.
pub static CONV: Page = Page {
    name: "conv",
    formula: "y[n, o, p] = sum over c, k of w[o, c, k] x[n, c, stride p - padding + dilation k], in that order",
    gradient_formula: "conv_input(g, w), conv_weight(x, g)",
    gradient: Some(|y, g| {
        let (Op::Conv(conv), [x, w]) = (*y.op(), y.inputs()) else { return vec![None; 2] };
        let at = y.origin().location;
        vec![
            Some(adjoint(Op::ConvInput(conv), g, w, *x.shape(), at)),
            Some(adjoint(Op::ConvWeight(conv), x, g, *w.shape(), at)),
        ]
    }),
    reference,
    samples: samples::conv,
};

/// Adjoint in the input.
pub static CONV_INPUT: Page = Page {
    name: "conv_input",
    formula: "dx[n, c, q] = sum over o, k of w[o, c, k] dy[n, o, (q + padding - dilation k) / stride] where that is whole",
    gradient_formula: "conv(g, w), conv_weight(g, dy)",
    gradient: Some(|y, g| {
        let (Op::ConvInput(conv), [dy, w]) = (*y.op(), y.inputs()) else { return vec![None; 2] };
        let at = y.origin().location;
        vec![
            Some(adjoint(Op::Conv(conv), g, w, *dy.shape(), at)),
            Some(adjoint(Op::ConvWeight(conv), g, dy, *w.shape(), at)),
        ]
    }),
    reference,
    samples: samples::conv_input,
};

/// Adjoint in the weight.
pub static CONV_WEIGHT: Page = Page {
    name: "conv_weight",
    formula: "dw[o, c, k] = sum over n, p of dy[n, o, p] x[n, c, stride p - padding + dilation k], in that order",
    gradient_formula: "conv_input(dy, g), conv(x, g)",
    gradient: Some(|y, g| {
        let (Op::ConvWeight(conv), [x, dy]) = (*y.op(), y.inputs()) else { return vec![None; 2] };
        let at = y.origin().location;
        vec![
            Some(adjoint(Op::ConvInput(conv), dy, g, *x.shape(), at)),
            Some(adjoint(Op::Conv(conv), x, g, *dy.shape(), at)),
        ]
    }),
    reference,
    samples: samples::conv_weight,
};

fn adjoint(op: Op, a: &Tensor, b: &Tensor, shape: Shape, at: &'static Location<'static>) -> Tensor {
    if let Some(bad) = [a, b].into_iter().find(|t| t.error().is_some()) {
        return bad.clone();
    }
    Tensor::node(op, Inputs::Two([a.clone(), b.clone()]), shape, a.dtype(), at)
}

/// Shapes of `x`, `w` and `dy` with three spatial dimensions, ones behind.
struct Extents {
    x: [usize; 5],
    w: [usize; 5],
    y: [usize; 5],
}

fn five(shape: &Shape) -> [usize; 5] {
    std::array::from_fn(|i| shape.get(i).copied().unwrap_or(1))
}

fn reference(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let (a, b, out) = (five(inputs[0].shape()), five(inputs[1].shape()), five(node.shape()));
    let (conv, extents) = match *node.op() {
        Op::Conv(conv) => (conv, Extents { x: a, w: b, y: out }),
        Op::ConvInput(conv) => (conv, Extents { x: out, w: b, y: a }),
        Op::ConvWeight(conv) => (conv, Extents { x: a, w: out, y: b }),
        _ => return Err("not a convolution".into()),
    };
    let values = match (inputs[0].values(), inputs[1].values()) {
        (Values::F32(a), Values::F32(b)) => Values::F32(contract(node.op(), &conv, &extents, a, b)),
        (Values::F64(a), Values::F64(b)) => Values::F64(contract(node.op(), &conv, &extents, a, b)),
        (a, _) => return Err(format!("convolution is not defined on {}", a.dtype())),
    };
    Ok(Array::new(*node.shape(), values))
}

/// All indices below `dims`, row-major.
fn indices<const N: usize>(dims: [usize; N]) -> impl Iterator<Item = [usize; N]> {
    (0..dims.iter().product()).map(move |mut flat: usize| {
        let mut index = [0; N];
        for axis in (0..N).rev() {
            index[axis] = flat % dims[axis];
            flat /= dims[axis];
        }
        index
    })
}

fn flat(dims: &[usize; 5], index: [usize; 5]) -> usize {
    index.iter().zip(dims).fold(0, |flat, (&i, &d)| flat * d + i)
}

/// Positions outside contribute `w * 0` (or `dy * 0`), so that the chain has the same length everywhere; what lies between
/// the windows of a stride is no position, and contributes nothing. Around a single window there is nothing.
fn contract<T: Real>(op: &Op, conv: &Conv, e: &Extents, a: &[T], b: &[T]) -> Vec<T> {
    let groups = conv.groups as usize;
    let (per_in, per_out) = (e.w[1], e.y[1] / groups.max(1));
    // Position in x of tap k of window p, along one axis.
    let source = |axis: usize, p: usize, k: usize| {
        let q = (p * conv.stride[axis] as usize + k * conv.dilation[axis] as usize)
            .checked_sub(conv.padding[axis] as usize)?;
        (q < e.x[2 + axis]).then_some(q)
    };
    // The window p whose tap k lies on q: `None` where none does, `Some(None)` where it is outside.
    let window = |axis: usize, q: usize, k: usize| {
        let stride = conv.stride[axis] as usize;
        let (there, tap) = (q + conv.padding[axis] as usize, k * conv.dilation[axis] as usize);
        if there % stride != tap % stride {
            return None;
        }
        Some(there.checked_sub(tap).map(|moved| moved / stride).filter(|&p| p < e.y[2 + axis]))
    };
    let single = conv.is_single_window(&e.x[2..], &e.w[2..]);
    match op {
        Op::Conv(_) => indices(e.y)
            .map(|[n, o, pd, ph, pw]| {
                indices([per_in, e.w[2], e.w[3], e.w[4]]).fold(T::ZERO, |sum, [c, kd, kh, kw]| {
                    let x = match (source(0, pd, kd), source(1, ph, kh), source(2, pw, kw)) {
                        (Some(d), Some(h), Some(w)) => a[flat(&e.x, [n, o / per_out * per_in + c, d, h, w])],
                        _ => T::ZERO,
                    };
                    b[flat(&e.w, [o, c, kd, kh, kw])].fma(x, sum)
                })
            })
            .collect(),
        Op::ConvInput(_) => indices(e.x)
            .map(|[n, c, qd, qh, qw]| {
                let group = c / per_in;
                indices([per_out, e.w[2], e.w[3], e.w[4]]).fold(T::ZERO, |sum, [o, kd, kh, kw]| {
                    let o = group * per_out + o;
                    let dy = match (window(0, qd, kd), window(1, qh, kh), window(2, qw, kw)) {
                        (Some(Some(d)), Some(Some(h)), Some(Some(w))) => a[flat(&e.y, [n, o, d, h, w])],
                        (Some(_), Some(_), Some(_)) if !single => T::ZERO,
                        _ => return sum,
                    };
                    b[flat(&e.w, [o, c % per_in, kd, kh, kw])].fma(dy, sum)
                })
            })
            .collect(),
        _ => indices(e.w)
            .map(|[o, c, kd, kh, kw]| {
                indices([e.y[0], e.y[2], e.y[3], e.y[4]]).fold(T::ZERO, |sum, [n, pd, ph, pw]| {
                    let x = match (source(0, pd, kd), source(1, ph, kh), source(2, pw, kw)) {
                        (Some(d), Some(h), Some(w)) => a[flat(&e.x, [n, o / per_out * per_in + c, d, h, w])],
                        _ => T::ZERO,
                    };
                    b[flat(&e.y, [n, o, pd, ph, pw])].fma(x, sum)
                })
            })
            .collect(),
    }
}

/// Stride, padding, dilation and groups of a convolution, one entry a spatial dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvOptions {
    /// Distance between windows.
    pub stride: Vec<usize>,
    /// Zeros on both sides.
    pub padding: Vec<usize>,
    /// Distance between taps.
    pub dilation: Vec<usize>,
    /// Independent groups of channels.
    pub groups: usize,
}

impl ConvOptions {
    /// Stride 1, no padding, dilation 1, one group, over `spatial` dimensions.
    pub fn new(spatial: usize) -> ConvOptions {
        ConvOptions { stride: vec![1; spatial], padding: vec![0; spatial], dilation: vec![1; spatial], groups: 1 }
    }

    fn resolve(&self, spatial: usize) -> Result<Conv, String> {
        let fill = |v: &[usize], name: &str, fill: u32, least: usize| {
            if v.len() != spatial {
                return Err(format!("{name} {v:?} for {spatial} spatial dimensions"));
            }
            if v.iter().any(|&x| x < least || x > 1 << 24) {
                return Err(format!("{name} {v:?} is out of range"));
            }
            Ok(std::array::from_fn(|i| v.get(i).map_or(fill, |&x| x as u32)))
        };
        if self.groups == 0 || self.groups > 1 << 24 {
            return Err(format!("{} groups", self.groups));
        }
        Ok(Conv {
            spatial: spatial as u8,
            stride: fill(&self.stride, "stride", 1, 1)?,
            padding: fill(&self.padding, "padding", 0, 0)?,
            dilation: fill(&self.dilation, "dilation", 1, 1)?,
            groups: self.groups as u32,
        })
    }
}

impl Tensor {
    /// Convolution (cross-correlation, as everywhere in deep learning) of `self [N, C, ..]` with
    /// `weight [O, C/groups, ..]`: `[N, O, ..]` with `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1` windows.
    #[track_caller]
    pub fn conv(&self, weight: &Tensor, options: &ConvOptions) -> Tensor {
        let at = Location::caller();
        self.conv_checked("conv", weight, options, at, |conv| {
            let groups = conv.groups as usize;
            let (channels, per_in, out) = (self.dims()[1], weight.dims()[1], weight.dims()[0]);
            if channels != per_in * groups || out % groups != 0 {
                return Err(format!(
                    "{} channels in {groups} groups do not fit a weight of {} ({out} out, {per_in} in a group)",
                    channels,
                    weight.shape()
                ));
            }
            let mut shape = *self.shape();
            shape[1] = out;
            for axis in 0..conv.spatial as usize {
                let span = (conv.dilation[axis] as usize) * weight.dims()[2 + axis].saturating_sub(1) + 1;
                let padded = self.dims()[2 + axis] + 2 * conv.padding[axis] as usize;
                if weight.dims()[2 + axis] == 0 || padded < span {
                    return Err(format!("a window of {span} does not fit {padded} (padded) along spatial axis {axis}"));
                }
                shape[2 + axis] = (padded - span) / conv.stride[axis] as usize + 1;
            }
            Ok((Op::Conv(conv), shape))
        })
    }

    /// Transposed convolution: the adjoint of [`Tensor::conv`] in its input. `self [N, C, ..]`, `weight [C, O/groups, ..]`
    /// -> `[N, O, ..]` of size `(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`.
    #[track_caller]
    pub fn conv_transpose(&self, weight: &Tensor, options: &ConvOptions, output_padding: &[usize]) -> Tensor {
        let at = Location::caller();
        self.conv_checked("conv_transpose", weight, options, at, |conv| {
            let groups = conv.groups as usize;
            if self.dims()[1] != weight.dims()[0] || !weight.dims()[0].is_multiple_of(groups) {
                return Err(format!(
                    "{} channels in {groups} groups do not fit a weight of {}",
                    self.dims()[1],
                    weight.shape()
                ));
            }
            if !(output_padding.is_empty() || output_padding.len() == conv.spatial as usize) {
                return Err(format!("output padding {output_padding:?} for {} spatial dimensions", conv.spatial));
            }
            let mut shape = *self.shape();
            shape[1] = weight.dims()[1] * groups;
            for axis in 0..conv.spatial as usize {
                let (stride, dilation) = (conv.stride[axis] as usize, conv.dilation[axis] as usize);
                if self.dims()[2 + axis] == 0 || weight.dims()[2 + axis] == 0 {
                    return Err(format!("nothing along spatial axis {axis} of {} or {}", self.shape(), weight.shape()));
                }
                let extra = output_padding.get(axis).copied().unwrap_or(0);
                if extra >= stride.max(dilation) {
                    return Err(format!(
                        "output padding {extra} must be smaller than stride {stride} or dilation {dilation}"
                    ));
                }
                let full = (self.dims()[2 + axis] - 1).saturating_mul(stride);
                let full = full.saturating_add(dilation.saturating_mul(weight.dims()[2 + axis] - 1) + extra + 1);
                shape[2 + axis] =
                    full.checked_sub(2 * conv.padding[axis] as usize).filter(|&size| size > 0).ok_or_else(|| {
                        format!("padding {} leaves nothing of {full} along spatial axis {axis}", conv.padding[axis])
                    })?;
            }
            Ok((Op::ConvInput(conv), shape))
        })
    }

    fn conv_checked(
        &self,
        name: &'static str,
        weight: &Tensor,
        options: &ConvOptions,
        at: &'static Location<'static>,
        shape: impl FnOnce(Conv) -> Result<(Op, Shape), String>,
    ) -> Tensor {
        if let Some(bad) = [self, weight].into_iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        let fail = |kind, message: String| {
            let error = Error::new(kind, name, message)
                .note(provenance("the input", self))
                .note(provenance("the weight", weight));
            Tensor::failed(error, at)
        };
        if self.dtype() != weight.dtype() || !self.dtype().is_float() {
            let (input, weight) = (self.dtype(), weight.dtype());
            let message = format!("input {input} and weight {weight}: both must be f32 or f64, so cast to f32 first");
            return fail(ErrorKind::DType, message);
        }
        let rank = self.rank();
        if !(3..=5).contains(&rank) || weight.rank() != rank {
            let message = format!(
                "input {} and weight {}: both need batch, channels and the same 1 to 3 spatial dimensions",
                self.shape(),
                weight.shape()
            );
            return fail(ErrorKind::Shape, message);
        }
        let resolved = match options.resolve(rank - 2) {
            Ok(conv) => shape(conv),
            Err(message) => return fail(ErrorKind::Argument, message),
        };
        match resolved {
            Ok((_, shape)) if Shape::new(&shape).is_none() => fail(ErrorKind::Shape, "the result is too large".into()),
            Ok((op, shape)) => Tensor::node(op, Inputs::Two([self.clone(), weight.clone()]), shape, self.dtype(), at),
            Err(message) => fail(ErrorKind::Shape, message),
        }
    }
}
