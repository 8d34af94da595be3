//! Attention by plain products: for the gradient of a mask and for second derivatives. And how its values are arranged.

use crate::op::{Attention, Op};
use crate::shape::Shape;
use crate::tensor::Tensor;

use super::reference::Heads;

/// `[first, others.., rows, columns]` as it lies in memory: `[first, rows, others.., columns]`.
pub fn by_token(shape: &Shape) -> Shape {
    let mut dims = shape.to_vec();
    if dims.len() > 3 {
        let rows = dims.remove(dims.len() - 2);
        dims.insert(1, rows);
    }
    Shape::new(&dims).unwrap_or(*shape)
}

/// `[first, rows, others.., columns]` as `[first, others.., rows, columns]`.
pub fn by_head(x: &Tensor) -> Tensor {
    let rank = x.rank() as isize;
    if rank <= 3 {
        return x.clone();
    }
    let order: Vec<isize> = [0].into_iter().chain(2..rank - 1).chain([1, rank - 1]).collect();
    x.permute(&order)
}

/// The inverse of [`by_head`].
fn into_tokens(x: &Tensor) -> Tensor {
    let rank = x.rank() as isize;
    if rank <= 3 {
        return x.clone();
    }
    let order: Vec<isize> = [0, rank - 2].into_iter().chain(1..rank - 2).chain([rank - 1]).collect();
    x.permute(&order)
}

/// The gradients of queries, keys and values in the flat value that holds all three.
pub fn parts(all: &Tensor, heads: &Heads, like: [&Tensor; 3]) -> [Tensor; 3] {
    let mut start = 0;
    let together = heads.together().then(|| all.reshape([heads.outer, heads.queries, 3, heads.inner, heads.width]));
    [0, 1, 2].map(|which| {
        let shape = by_token(like[which].shape());
        let part = match &together {
            Some(all) => all.narrow(2, which..which + 1),
            None => all.narrow(0, start..start + shape.count()),
        };
        start += shape.count();
        by_head(&part.reshape(shape))
    })
}

/// The inverse of [`parts`].
fn joined(parts: &[Tensor], heads: &Heads) -> Tensor {
    let Heads { outer, inner, queries, width, .. } = *heads;
    if heads.together() {
        let parts: Vec<Tensor> =
            parts.iter().map(|part| into_tokens(part).reshape([outer, queries, 1, inner, width])).collect();
        return Tensor::concat(&parts, 2).flatten(0);
    }
    Tensor::concat(&parts.iter().map(|part| into_tokens(part).flatten(0)).collect::<Vec<_>>(), 0)
}

/// The softmax of the scores: `[.., queries, keys]`.
pub fn weights(attention: &Attention, q: &Tensor, k: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let mut scores = q.matmul(&k.transpose(-1, -2)) * attention.scale.f64();
    let none = |scores: &Tensor| scores.full_like(f64::NEG_INFINITY);
    match mask {
        Some(mask) if mask.dtype().is_float() => scores = scores + mask,
        Some(mask) => scores = scores.where_else(mask, none(&scores)),
        None => {}
    }
    if attention.causal {
        let pairs = [q.dims()[q.rank() - 2], k.dims()[k.rank() - 2]];
        let index = |axis| Tensor::iota(pairs, axis, crate::DType::I64);
        scores = scores.where_else(&index(1).le(index(0)), none(&scores));
    }
    if scores.count() == 0 {
        return scores;
    }
    let top = scores.max_keep(-1).detach();
    let exps = (&scores - top.keep_where(&top.gt(f64::NEG_INFINITY))).exp();
    // A query without keys has zeros over one.
    let sum = exps.sum_keep(-1);
    exps / sum.where_else(&sum.ne(0.0), 1.0)
}

/// The gradient of the gradient: attention again, by plain products, differentiated twice.
pub fn second(y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let (Op::AttentionGrad(attention), [_, _, cotangent, q, k, v, mask @ ..]) = (*y.op(), y.inputs()) else {
        return vec![];
    };
    let heads = Heads::of(q.shape(), k.shape(), v.shape());
    // Names of their own: one tensor may be queries, keys and values at once.
    let again: Vec<Tensor> = [cotangent, q, k, v].into_iter().chain(mask).map(|x| x.unsqueeze(0)).collect();
    let [cotangent, q1, k1, v1, mask1 @ ..] = &again[..] else { return vec![] };
    let result = weights(&attention, q1, k1, mask1.first()).matmul(v1);
    let gradients = result.vector_jacobian(&by_head(&cotangent.squeeze(0)).unsqueeze(0), [q1, k1, v1]);
    let gradients: Vec<Tensor> = gradients.iter().zip([q, k, v]).map(|(d, like)| d.reshape(like.shape())).collect();
    let wrt: Vec<&Tensor> = again.iter().filter(|x| x.dtype().is_float()).collect();
    let found = joined(&gradients, &heads).vector_jacobian(g, wrt);
    let inputs = y.inputs()[2..].iter();
    let mut found = found.into_iter();
    let shaped =
        inputs.map(|input| if input.dtype().is_float() { Some(found.next()?.reshape(input.shape())) } else { None });
    [None, None].into_iter().chain(shaped).collect()
}
