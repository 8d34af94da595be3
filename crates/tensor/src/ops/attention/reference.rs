//! The specification of attention: plain loops, the same order of sums as every kernel.

use crate::array::{Element, Values};
use crate::op::Attention;
use crate::real::Real;
use crate::shape::Shape;

/// Keys are summed in blocks of this many; a causal query takes whole blocks, the last one up to its end, with weight 0
/// for the keys behind it.
pub const BLOCK: usize = 64;

/// A key whose score lies further below the largest one weighs nothing: e^-87 is about the least number that f32 holds in
/// full, and what is less than that costs a processor a hundred times as much.
pub const FAR: f32 = -87.0;

/// The sizes of attention, its leading dimensions in two: the first one, and the product of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// The first leading dimension.
    pub outer: usize,
    /// The product of the others.
    pub inner: usize,
    /// Queries.
    pub queries: usize,
    /// Keys, and values.
    pub keys: usize,
    /// Width of queries and keys.
    pub width: usize,
    /// Width of values.
    pub value_width: usize,
}

impl Heads {
    /// The sizes for `q [.., queries, width]`, `k [.., keys, width]`, `v [.., keys, value width]`.
    pub fn of(q: &Shape, k: &Shape, v: &Shape) -> Heads {
        let (rank, lead) = (q.rank(), &q[..q.rank() - 2]);
        Heads {
            outer: lead.first().copied().unwrap_or(1),
            inner: lead.iter().skip(1).product(),
            queries: q[rank - 2],
            keys: k[rank - 2],
            width: q[rank - 1],
            value_width: v[rank - 1],
        }
    }

    /// Independent attentions: item i has the leading index (i / inner, i % inner).
    pub fn items(&self) -> usize {
        self.outer * self.inner
    }

    /// Elements of the result.
    pub fn result_count(&self) -> usize {
        self.items() * self.queries * self.value_width
    }

    /// Elements of the flat value of a pass: the result, all maxima, all inverse sums.
    pub fn pass_count(&self) -> usize {
        self.result_count() + 2 * self.items() * self.queries
    }

    /// Where row `query` of `item` begins in values `[outer, queries, inner, width]`.
    pub fn row(&self, item: usize, query: usize, width: usize) -> usize {
        ((item / self.inner * self.queries + query) * self.inner + item % self.inner) * width
    }

    /// Where the maxima of `item` and its inverse sums begin in the value of a pass.
    pub fn statistics(&self, item: usize) -> [usize; 2] {
        [0, self.items()].map(|skipped| self.result_count() + (skipped + item) * self.queries)
    }

    /// Whether the three gradients lie side by side for each token: as a layer that makes all three from one product wants.
    pub fn together(&self) -> bool {
        self.queries == self.keys && self.width == self.value_width
    }

    /// Elements of the flat value of the three gradients.
    pub fn gradient_count(&self) -> usize {
        self.items() * (self.queries * self.width + self.keys * (self.width + self.value_width))
    }

    /// Where row 0 of `item` begins in the gradients of queries, keys and values, and the distances of rows.
    pub fn gradients(&self, item: usize) -> [(usize, usize); 3] {
        let (outer, inner) = (item / self.inner, item % self.inner);
        if self.together() {
            let step = self.inner * self.width;
            return [0, 1, 2].map(|which| ((outer * self.queries * 3 + which) * step + inner * self.width, 3 * step));
        }
        let mut start = 0;
        let sizes = [(self.queries, self.width), (self.keys, self.width), (self.keys, self.value_width)];
        sizes.map(|(rows, width)| {
            let first = start + (outer * rows * self.inner + inner) * width;
            start += self.items() * rows * width;
            (first, self.inner * width)
        })
    }

    /// The keys that the sums of `query` run over: 0 to this.
    pub fn key_end(&self, causal: bool, query: usize) -> usize {
        if causal { self.keys.min((query / BLOCK + 1) * BLOCK) } else { self.keys }
    }
}

/// A mask as it is given, row-major `[items, queries, keys]`.
#[derive(Clone, Copy)]
pub enum Mask<'a, T> {
    /// Every pair takes part.
    None,
    /// Which pairs take part.
    Pairs(&'a [bool]),
    /// Added to the scores.
    Added(&'a [T]),
}

impl<'a, T: Element> Mask<'a, T> {
    /// The mask in `values`.
    pub fn of(values: Option<&'a Values>) -> Self {
        match values {
            Some(Values::Bool(pairs)) => Mask::Pairs(pairs),
            Some(added) => T::of(added).map_or(Mask::None, Mask::Added),
            None => Mask::None,
        }
    }
}

/// One attention: what its scores are made of.
struct Item<'a, T> {
    attention: &'a Attention,
    heads: &'a Heads,
    q: &'a [T],
    k: &'a [T],
    mask: Mask<'a, T>,
    number: usize,
}

impl<T: Real> Item<'_, T> {
    /// The scores of a query against the keys that it takes.
    fn scores(&self, query: usize) -> Vec<T> {
        let (width, scale) = (self.heads.width, T::from_f64(self.attention.scale.f64()));
        let score = |key: usize| {
            let term = |sum: T, d: usize| self.q[query * width + d].fma(self.k[key * width + d], sum);
            let score = (0..width).fold(T::ZERO, term) * scale;
            let pair = (self.number * self.heads.queries + query) * self.heads.keys + key;
            let (score, open) = match self.mask {
                Mask::None => (score, true),
                Mask::Pairs(pairs) => (score, pairs[pair]),
                Mask::Added(added) => (score + added[pair], true),
            };
            if open && (key <= query || !self.attention.causal) { score } else { -T::INFINITY }
        };
        (0..self.heads.key_end(self.attention.causal, query)).map(score).collect()
    }
}

/// The largest score, ready to be subtracted: 0 where there is none.
fn top<T: Real>(scores: &[T]) -> T {
    let top = scores.iter().fold(-T::INFINITY, |top, &score| if score > top { score } else { top });
    // Adding 0 makes the zeros one.
    if top == -T::INFINITY { T::ZERO } else { top + T::ZERO }
}

/// The exponential of a score less the largest one.
fn exponential<T: Real>(x: T) -> T {
    if x < T::from_f64(f64::from(FAR)) { T::ZERO } else { x.exp() }
}

/// The value of a pass: the result `[outer, queries, inner, value width]`, all maxima, all inverse sums.
pub fn forward<T: Real>(attention: &Attention, heads: &Heads, [q, k, v]: [&[T]; 3], mask: Mask<'_, T>) -> Vec<T> {
    let mut pass = vec![T::ZERO; heads.pass_count()];
    let Heads { queries, keys, width, value_width, .. } = *heads;
    for number in 0..heads.items() {
        let (q, k) = (&q[number * queries * width..], &k[number * keys * width..]);
        let v = &v[number * keys * value_width..];
        let item = Item { attention, heads, q, k, mask, number };
        let [tops, inverses] = heads.statistics(number);
        for query in 0..queries {
            let scores = item.scores(query);
            let top = top(&scores);
            let exps: Vec<T> = scores.iter().map(|&score| exponential(score - top)).collect();
            let block_sum = |block: &[T]| block.iter().fold(T::ZERO, |sum, &e| sum + e);
            let sum = exps.chunks(BLOCK).fold(T::ZERO, |sum, block| sum + block_sum(block));
            let inverse = if sum == T::ZERO { T::ZERO } else { T::ONE / sum };
            for d in 0..value_width {
                let term = |sum: T, (key, &e): (usize, &T)| e.fma(v[key * value_width + d], sum);
                let sum = exps.iter().enumerate().fold(T::ZERO, term);
                pass[heads.row(number, query, value_width) + d] = sum * inverse;
            }
            (pass[tops + query], pass[inverses + query]) = (top, inverse);
        }
    }
    pass
}

/// The gradients of queries, keys and values from (pass, delta, g, q, k, v): see [`Heads::gradients`].
pub fn backward<T: Real>(
    attention: &Attention,
    heads: &Heads,
    [pass, delta, g, q, k, v]: [&[T]; 6],
    mask: Mask<'_, T>,
) -> Vec<T> {
    let mut gradients = vec![T::ZERO; heads.gradient_count()];
    let Heads { queries, keys, width, value_width, .. } = *heads;
    let scale = T::from_f64(attention.scale.f64());
    for number in 0..heads.items() {
        let (q, k) = (&q[number * queries * width..], &k[number * keys * width..]);
        let v = &v[number * keys * value_width..];
        let item = Item { attention, heads, q, k, mask, number };
        let [tops, inverses] = heads.statistics(number);
        let [of_q, of_k, of_v] = heads.gradients(number);
        let at = |(first, step): (usize, usize), row: usize, d: usize| first + row * step + d;
        for query in 0..queries {
            let g = &g[heads.row(number, query, value_width)..][..value_width];
            for (key, score) in item.scores(query).into_iter().enumerate() {
                let weight = exponential(score - pass[tops + query]) * pass[inverses + query];
                let v = &v[key * value_width..][..value_width];
                let towards = g.iter().zip(v).fold(T::ZERO, |sum, (&g, &v)| g.fma(v, sum));
                let slope = weight * (towards - delta[heads.row(number, query, 1)]);
                for d in 0..width {
                    let (dq, dk) = (at(of_q, query, d), at(of_k, key, d));
                    gradients[dq] = slope.fma(k[key * width + d], gradients[dq]);
                    gradients[dk] = slope.fma(q[query * width + d], gradients[dk]);
                }
                for (d, &g) in g.iter().enumerate() {
                    let dv = at(of_v, key, d);
                    gradients[dv] = weight.fma(g, gradients[dv]);
                }
            }
        }
        for (of, rows) in [(of_q, queries), (of_k, keys)] {
            for (row, d) in (0..rows).flat_map(|row| (0..width).map(move |d| (row, d))) {
                gradients[at(of, row, d)] = gradients[at(of, row, d)] * scale;
            }
        }
    }
    gradients
}
