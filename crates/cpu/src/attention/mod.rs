//! Attention, forward and backward, over strips of scores: a block of queries against all keys (forward) or a chunk of
//! keys (backward), in cache.
//!
//! Every product is made by the micro-kernels of the matrix product, every sum is the chain that
//! [`tensor::ops::attention::reference`] specifies: neither the chunks nor the way work is cut for the threads shows.

mod backward;
mod forward;
mod product;

pub(crate) use backward::{Backward, attention_gradient};
pub(crate) use forward::attention_pass;

use tensor::Layout;
use tensor::op::Attention;
use tensor::ops::attention::reference::{FAR, Heads};

use crate::gemm::{Panels, Strided};
use crate::machine::Machine;
use crate::simd::Simd;
use product::A;

/// Queries in a block; also the keys in a block of the specification, so that all queries of a block take the same keys.
const QUERIES: usize = tensor::ops::attention::reference::BLOCK;

/// One call: the sizes, and what the scores are made of.
pub(crate) struct Scores<'a> {
    pub attention: Attention,
    pub heads: Heads,
    /// `[.., queries, width]`.
    pub q: Operand<'a, f32>,
    /// `[.., keys, width]`.
    pub k: Operand<'a, f32>,
    pub mask: Mask<'a>,
}

/// A value whose last two axes are the matrices of the items, wherever they lie.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a, T> {
    data: &'a [T],
    layout: &'a Layout,
}

/// Which pairs take part, or what is added to the scores.
#[derive(Clone, Copy)]
pub(crate) enum Mask<'a> {
    None,
    Pairs(Operand<'a, u8>),
    Added(Operand<'a, f32>),
}

/// The matrix of one item.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T: Copy> Operand<'a, T> {
    /// `data` seen through `layout`, whose strides are not negative.
    pub fn new(data: &'a [T], layout: &'a Layout) -> Self {
        Operand { data, layout }
    }

    fn item(&self, item: usize) -> Matrix<'a, T> {
        let (rank, mut rest, mut start) = (self.layout.shape.rank(), item, self.layout.offset);
        for axis in (0..rank - 2).rev() {
            let size = self.layout.shape[axis].max(1);
            start += rest % size * self.layout.strides[axis] as usize;
            rest /= size;
        }
        Matrix {
            data: self.data.get(start..).unwrap_or_default(),
            row_stride: self.layout.strides[rank - 2] as usize,
            col_stride: self.layout.strides[rank - 1] as usize,
        }
    }
}

impl<T: Copy> Matrix<'_, T> {
    fn at(&self, row: usize, col: usize) -> T {
        self.data[row * self.row_stride + col * self.col_stride]
    }
}

impl Matrix<'_, f32> {
    fn transposed(self) -> Self {
        Matrix { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Rows `rows` as panels of `width` rows, one after the other; columns `cols` are the steps.
    fn pack(
        &self,
        simd: Simd,
        rows: std::ops::Range<usize>,
        cols: std::ops::Range<usize>,
        width: usize,
        to: &mut [f32],
    ) {
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        let source = Strided {
            data: self.data,
            batch_stride: 0,
            lane_stride: self.row_stride,
            k_inner: usize::MAX,
            k_inner_stride: self.col_stride,
            k_outer_stride: 0,
        };
        for (panel, first) in to.chunks_exact_mut(width * cols.len()).zip(rows.clone().step_by(width)) {
            source.pack(simd, 0, cols.clone(), first..rows.end.min(first + width), width, panel);
        }
    }
}

/// A rectangle of scores, `[query, key]` at `query * query_step + key * key_step` of a strip that begins with some key.
#[derive(Clone, Copy)]
struct Rectangle {
    /// The queries, numbered in the item.
    queries: (usize, usize),
    /// The first key of the strip.
    first_key: usize,
    /// The keys behind those of the strip.
    end_key: usize,
    query_step: usize,
    key_step: usize,
}

impl Rectangle {
    /// Minus infinity for the keys behind each query: a positive factor does not change it.
    fn close_later_keys(&self, strip: &mut [f32]) {
        let (r0, r1) = self.queries;
        if self.key_step == 1 {
            for query in r0..r1 {
                let first = self.end_key.min(query + 1).max(self.first_key) - self.first_key;
                let row = (query - r0) * self.query_step;
                strip[row + first..row + self.end_key - self.first_key].fill(f32::NEG_INFINITY);
            }
        } else {
            for key in self.first_key.max(r0)..self.end_key {
                let row = (key - self.first_key) * self.key_step;
                strip[row..row + key.min(r1) - r0].fill(f32::NEG_INFINITY);
            }
        }
    }
}

impl Scores<'_> {
    /// Scales and masks the scores of a strip that need more than a factor, and returns how many keys of the strip need
    /// no more than that: those come first, and are left as they are.
    fn mask_strip(&self, item: usize, at: Rectangle, strip: &mut [f32]) -> usize {
        let (r0, r1) = at.queries;
        let scale = self.attention.scale.f64() as f32;
        if matches!(self.mask, Mask::None) && (scale > 0.0 || !self.attention.causal) {
            if self.attention.causal {
                at.close_later_keys(strip);
            }
            return at.end_key - at.first_key;
        }
        let plain = match (&self.mask, self.attention.causal) {
            (Mask::None, _) => at.end_key.min(r0).max(at.first_key),
            _ => at.first_key,
        };
        for query in r0..r1 {
            let last = if self.attention.causal { query } else { usize::MAX };
            let mut place = (query - r0) * at.query_step + (plain - at.first_key) * at.key_step;
            let each = plain..at.end_key;
            match &self.mask {
                Mask::None => {
                    for key in each {
                        strip[place] = if key <= last { strip[place] * scale } else { f32::NEG_INFINITY };
                        place += at.key_step;
                    }
                }
                Mask::Pairs(pairs) => {
                    let pairs = pairs.item(item);
                    for key in each {
                        let open = key <= last && pairs.at(query, key) != 0;
                        strip[place] = if open { strip[place] * scale } else { f32::NEG_INFINITY };
                        place += at.key_step;
                    }
                }
                Mask::Added(added) => {
                    let added = added.item(item);
                    for key in each {
                        let score = strip[place] * scale + added.at(query, key);
                        strip[place] = if key <= last { score } else { f32::NEG_INFINITY };
                        place += at.key_step;
                    }
                }
            }
        }
        plain - at.first_key
    }

    /// Multiply-adds of one product of queries and keys.
    fn work(&self) -> usize {
        let pairs = self.heads.items() * self.heads.queries * self.heads.keys;
        pairs.saturating_mul(self.heads.width.max(self.heads.value_width))
    }

    /// How many parts each item is cut into, so that every thread has work.
    fn parts(&self, machine: &Machine) -> usize {
        let (threads, items) = (machine.pool.threads(), self.heads.items().max(1));
        if threads == 1 || items >= 2 * threads || self.work() < crate::gemm::SMALL {
            return 1;
        }
        (4 * threads).div_ceil(items).min(self.heads.queries.div_ceil(QUERIES)).max(1)
    }
}

/// The exponential of a score less the largest one, as specified.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    let e = tensor::math::exp(if x < FAR { FAR } else { x });
    if x < FAR { 0.0 } else { e }
}

/// Runs units on all threads, or here if there is little to do.
fn run_units(machine: &Machine, work: usize, units: usize, unit: impl Fn(usize) + Sync) {
    if work < crate::gemm::SMALL { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
}

/// Takes the next `length` floats of a loan, on a cache line.
fn take<'a>(loan: &mut &'a mut [f32], length: usize) -> &'a mut [f32] {
    let (taken, rest) = std::mem::take(loan).split_at_mut(room(length));
    *loan = rest;
    taken
}

/// Room for `length` floats, and for a vector tile that reads beyond them.
fn room(length: usize) -> usize {
    (length + crate::gemm::NR_MAX).next_multiple_of(16)
}
