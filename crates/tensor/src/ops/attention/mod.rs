//! Scaled dot-product attention (Vaswani et al. 2017, equation 1) as one op: no matrix of queries x keys lies in memory.
//!
//! The result and what the gradient needs of the softmax (its maximum and its inverse sum for each query, Dao 2023) come
//! from one pass over the scores, so they are one value, [`ATTENTION_PASS`]; [`ATTENTION`] is the view of the result.
//!
//! Rows are two-pass: all scores of a query first, then their maximum, exponentials, sum and mean of values. A running
//! softmax that rescales what it has (FlashAttention) saves the row of scores, but rounds at every block; a row of scores
//! for a few queries fits in cache, and this way each sum is one chain in the order of the keys, whatever the blocks.

mod plain;
pub mod reference;

use std::panic::Location;

use crate::array::{Array, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Attention, Op, Page};
use crate::samples;
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::{Inputs, Tensor, provenance};
use reference::{Heads, Mask};

/// The result of attention: a view of [`ATTENTION_PASS`].
pub static ATTENTION: Page = Page {
    name: "attention",
    formula: "y[i] = sum over j of softmax over j of (scale q[i] . k[j] + mask[i, j]) times v[j]",
    gradient_formula: "with p the softmax and ds = p (g v^T - sum(g y)): scale ds k, scale ds^T q, p^T g; ds for the mask",
    gradient: Some(|y, g| {
        let (Op::Attention(attention), [pass, q, k, v, mask @ ..]) = (*y.op(), y.inputs()) else { return vec![] };
        let heads = Heads::of(q.shape(), k.shape(), v.shape());
        let delta = (g * y).sum_keep(-1);
        let mut inputs = vec![pass.clone(), delta.clone(), g.clone(), q.clone(), k.clone(), v.clone()];
        inputs.extend(mask.iter().cloned());
        let shape = Shape::new(&[heads.gradient_count()]).unwrap_or(Shape::SCALAR);
        let at = y.origin().location;
        let all = Tensor::node(Op::AttentionGrad(attention), Inputs::Many(inputs), shape, q.dtype(), at);
        let [dq, dk, dv] = plain::parts(&all, &heads, [q, k, v]);
        let mut gradients = vec![None, Some(dq), Some(dk), Some(dv)];
        // A matrix of its own, which the mask is too: through plain products, and only if somebody asks for it.
        gradients.extend(mask.iter().map(|mask| {
            mask.dtype().is_float().then(|| {
                let weights = plain::weights(&attention, q, k, Some(mask));
                let towards = plain::by_head(g).matmul(&v.transpose(-1, -2));
                weights * (towards - plain::by_head(&delta))
            })
        }));
        gradients
    }),
    reference: |node, inputs| {
        let count = node.shape().count();
        let values = match inputs[0].values() {
            Values::F32(all) => Values::F32(all[..count].to_vec()),
            Values::F64(all) => Values::F64(all[..count].to_vec()),
            other => return Err(format!("attention is not defined on {}", other.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::attention,
};

/// The result of attention, and the maximum and the inverse sum of each softmax, in one.
pub static ATTENTION_PASS: Page = Page {
    name: "attention_pass",
    formula: "s = scale q k^T + mask; m = max s; y = (sum of e^(s - m) v) / (sum of e^(s - m)); flat: y, m, 1 / sum",
    gradient_formula: "none: attention, the view of it, has the rule",
    gradient: Some(|y, _| vec![None; y.inputs().len()]),
    reference: |node, inputs| {
        let (Op::AttentionPass(attention), [q, k, v, mask @ ..]) = (*node.op(), inputs) else {
            return Err("not attention".into());
        };
        let heads = Heads::of(q.shape(), k.shape(), v.shape());
        let mask = mask.first().map(|mask| mask.values());
        let values = match (q.values(), k.values(), v.values()) {
            (Values::F32(q), Values::F32(k), Values::F32(v)) => {
                Values::F32(reference::forward(&attention, &heads, [q, k, v], Mask::of(mask)))
            }
            (Values::F64(q), Values::F64(k), Values::F64(v)) => {
                Values::F64(reference::forward(&attention, &heads, [q, k, v], Mask::of(mask)))
            }
            (q, ..) => return Err(format!("attention is not defined on {}", q.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::attention_pass,
};

/// The three gradients of attention.
pub static ATTENTION_GRAD: Page = Page {
    name: "attention_grad",
    formula: "p = e^(s - m) / sum; ds = p (g v^T - delta); scale ds k, scale ds^T q, p^T g, where delta = sum(g y)",
    gradient_formula: "by way of plain products: a matrix of queries x keys lies in memory",
    gradient: Some(plain::second),
    reference: |node, inputs| {
        let (Op::AttentionGrad(attention), [pass, delta, g, q, k, v, mask @ ..]) = (*node.op(), inputs) else {
            return Err("not the gradient of attention".into());
        };
        let heads = Heads::of(q.shape(), k.shape(), v.shape());
        let mask = mask.first().map(|mask| mask.values());
        fn all<T: crate::Element>(arrays: [&Array; 6]) -> Result<[&[T]; 6], String> {
            let slices: Vec<&[T]> = arrays.iter().filter_map(|array| array.as_slice::<T>()).collect();
            slices.try_into().map_err(|_| "inputs of different dtypes".to_string())
        }
        let arrays = [*pass, *delta, *g, *q, *k, *v];
        let values = match q.values() {
            Values::F32(_) => Values::F32(reference::backward(&attention, &heads, all(arrays)?, Mask::of(mask))),
            Values::F64(_) => Values::F64(reference::backward(&attention, &heads, all(arrays)?, Mask::of(mask))),
            other => return Err(format!("attention is not defined on {}", other.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::attention_grad,
};

/// What attention may look at, and how; the defaults are PyTorch's.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionOptions<'a> {
    /// Broadcasts to `[.., queries, keys]`. `Bool`: which pairs take part. A float mask is added to the scores.
    pub mask: Option<&'a Tensor>,
    /// Query i looks at the keys 0 to i only. A mask may narrow this further.
    pub causal: bool,
    /// Factor of the scores; 1 / sqrt(width) if `None`.
    pub scale: Option<f64>,
    /// Heads (the axis before the last two) of the queries share those of keys and values, several in turn to each one.
    pub grouped: bool,
}

impl Tensor {
    /// What the queries of this attention look at: the softmax over the keys, `[.., queries, keys]`, as plain products; `None` if this
    /// is no attention.
    pub fn attention_weights(&self) -> Option<Tensor> {
        match (self.op(), self.inputs()) {
            (Op::Attention(attention), [_, q, k, _, mask @ ..]) => Some(plain::weights(attention, q, k, mask.first())),
            _ => None,
        }
    }

    /// Scaled dot-product attention (Vaswani et al. 2017): `self [.., queries, width]` looks at `keys [.., keys, width]` and
    /// gets means of `values [.., keys, values]`: `[.., queries, values]`. The leading dimensions broadcast.
    ///
    /// A query that may look at no key gets zeros, and gives none of its gradient on. Values that are not finite may show
    /// in all queries of a block of [`reference::BLOCK`], causal or not.
    ///
    /// With at least two leading dimensions `[batch, heads, ..]` the result lies in memory as `[batch, queries, heads, ..]`,
    /// so that joining the heads again costs nothing.
    #[track_caller]
    pub fn attention(&self, keys: &Tensor, values: &Tensor, options: &AttentionOptions<'_>) -> Tensor {
        let at = Location::caller();
        let given = [Some(self), Some(keys), Some(values), options.mask];
        if let Some(bad) = given.into_iter().flatten().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        match self.attend(keys, values, options, at) {
            Ok(y) => y,
            Err((kind, message)) => {
                let error = Error::new(kind, "attention", message)
                    .note(provenance("the queries", self))
                    .note(provenance("the keys", keys))
                    .note(provenance("the values", values));
                let error = options.mask.iter().fold(error, |error, mask| error.note(provenance("the mask", mask)));
                Tensor::failed(error, at)
            }
        }
    }

    fn attend(
        &self,
        keys: &Tensor,
        values: &Tensor,
        options: &AttentionOptions<'_>,
        at: &'static Location<'static>,
    ) -> Result<Tensor, (ErrorKind, String)> {
        let shapes = || format!("queries {}, keys {}, values {}", self.shape(), keys.shape(), values.shape());
        let dtype = self.dtype();
        if !dtype.is_float() || keys.dtype() != dtype || values.dtype() != dtype {
            let message = format!(
                "{dtype}, {} and {}: all must be f32 or f64, so cast to f32 first",
                keys.dtype(),
                values.dtype()
            );
            return Err((ErrorKind::DType, message));
        }
        if [self, keys, values].iter().any(|t| t.rank() < 2 || t.rank() > MAX_RANK - 2) {
            return Err((ErrorKind::Shape, format!("{}: 2 to {} dimensions", shapes(), MAX_RANK - 2)));
        }
        if options.grouped {
            return self.attend_in_groups(keys, values, options, at);
        }
        let last_two = |t: &Tensor| (t.dims()[t.rank() - 2], t.dims()[t.rank() - 1]);
        let ((t, width), (s, key_width), (value_count, value_width)) =
            (last_two(self), last_two(keys), last_two(values));
        if width != key_width {
            return Err((ErrorKind::Shape, format!("{}: queries and keys differ in width", shapes())));
        }
        if s != value_count {
            return Err((ErrorKind::Shape, format!("{}: {s} keys and {value_count} values", shapes())));
        }
        let lead = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]).unwrap_or(Shape::SCALAR);
        let broadcast = lead(self).broadcast(&lead(keys)).and_then(|both| both.broadcast(&lead(values)));
        let lead = broadcast.ok_or_else(|| (ErrorKind::Shape, format!("{}: leading dimensions differ", shapes())))?;
        let with = |rows, columns| {
            let shape = Shape::new(&[&*lead, &[rows, columns]].concat());
            shape.ok_or_else(|| (ErrorKind::Shape, format!("{}: too large", shapes())))
        };
        let mut inputs = vec![self.spread(with(t, width)?, at), keys.spread(with(s, width)?, at)];
        inputs.push(values.spread(with(s, value_width)?, at));
        if let Some(mask) = options.mask {
            if mask.dtype() != DType::Bool && mask.dtype() != dtype {
                let message = format!("a mask of {} for {dtype}: it is bool or {dtype}", mask.dtype());
                return Err((ErrorKind::DType, message));
            }
            let pairs = with(t, s)?;
            if mask.shape().broadcast(&pairs) != Some(pairs) {
                return Err((ErrorKind::Shape, format!("a mask {} for the pairs {pairs}", mask.shape())));
            }
            inputs.push(mask.spread(pairs, at));
        }
        let scale = options.scale.unwrap_or(1.0 / (width as f64).sqrt());
        let attention = Attention { causal: options.causal, scale: scale.into() };
        let heads = Heads::of(inputs[0].shape(), inputs[1].shape(), inputs[2].shape());
        let too_large = || (ErrorKind::Shape, format!("{}: too large", shapes()));
        let flat = Shape::new(&[heads.pass_count()]).ok_or_else(too_large)?;
        let pass = Tensor::node(Op::AttentionPass(attention), Inputs::Many(inputs.clone()), flat, dtype, at);
        inputs.insert(0, pass);
        let shape = plain::by_token(&with(t, value_width)?);
        let y = Tensor::node(Op::Attention(attention), Inputs::Many(inputs), shape, dtype, at);
        Ok(plain::by_head(&y))
    }

    /// Each head of keys and values gets an axis of its own for the heads of queries that share it.
    #[track_caller]
    fn attend_in_groups(
        &self,
        keys: &Tensor,
        values: &Tensor,
        options: &AttentionOptions<'_>,
        at: &'static Location<'static>,
    ) -> Result<Tensor, (ErrorKind, String)> {
        let heads = |t: &Tensor| if t.rank() < 3 { 0 } else { t.dims()[t.rank() - 3] };
        let (many, few) = (heads(self), heads(keys));
        if few == 0 || few != heads(values) || !many.is_multiple_of(few) {
            let message =
                format!("{many} heads of queries in groups for {few} of keys and {} of values", heads(values));
            return Err((ErrorKind::Shape, message));
        }
        let grouped = |t: &Tensor| {
            let mut dims = t.dims().to_vec();
            let axis = t.rank() - 3;
            dims[axis] = few;
            dims.insert(axis + 1, many / few);
            t.reshape(dims)
        };
        let mask = options.mask.map(|mask| match heads(mask) {
            0 => mask.clone(),
            heads if heads == many && many > 1 => grouped(mask),
            _ => mask.unsqueeze(-3),
        });
        let options = AttentionOptions { mask: mask.as_ref(), grouped: false, ..*options };
        let y = grouped(self).attend(&keys.unsqueeze(-3), &values.unsqueeze(-3), &options, at)?;
        let mut dims = y.dims().to_vec();
        let axis = y.rank() - 4;
        dims[axis] = many;
        dims.remove(axis + 1);
        Ok(y.reshape(dims))
    }
}
