//! The gradients of queries, keys and values: the weights are made again, a chunk of keys at a time.
//!
//! One unit makes all three for an item, with five products; where items are too few for the threads, some units make
//! those of keys and values and others that of queries, with seven. Each sum is the same chain either way.

use super::product::{B, multiply};
use super::{A, Matrix, Operand, QUERIES, Rectangle, Scores, exponential, room, run_units, take};
use crate::gemm::Kernel;
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;

/// Keys in a chunk: its packed keys and values, strips and sums, about 1 MiB at width 64, stay in the second cache.
const CHUNK: usize = 512;

/// What the gradients are made of, beside the scores.
#[derive(Clone, Copy)]
pub(crate) struct Backward<'a> {
    /// `[.., keys, value width]`.
    pub v: Operand<'a, f32>,
    /// The gradient of the result, `[.., queries, value width]`.
    pub g: Operand<'a, f32>,
    /// The sums of its products with the result, `[.., queries, 1]`.
    pub delta: Operand<'a, f32>,
    /// The value of the pass.
    pub pass: &'a [f32],
}

/// Writes the gradients: see [`tensor::ops::attention::reference::backward`].
pub(crate) fn attention_gradient(machine: &Machine, scores: &Scores<'_>, from: Backward<'_>, gradients: &mut [f32]) {
    let heads = &scores.heads;
    assert!(heads.gradient_count() <= gradients.len() && heads.pass_count() <= from.pass.len());
    let (parts, to) = (scores.parts(machine), Disjoint::new(gradients));
    let (blocks, key_blocks) = (heads.queries.div_ceil(QUERIES), heads.keys.div_ceil(QUERIES));
    let make = |item, blocks, key_blocks, of_queries, of_keys| {
        Unit { machine, scores, from, item, blocks, key_blocks, of_queries, of_keys, to }.run();
    };
    if parts == 1 {
        run_units(machine, scores.work(), heads.items(), |item| make(item, (0, blocks), (0, key_blocks), true, true));
        return;
    }
    run_units(machine, scores.work(), heads.items() * parts * 2, |unit| {
        let (item, part) = (unit / (2 * parts), unit / 2 % parts);
        if unit % 2 == 0 {
            let part = part_of(blocks, parts, part);
            make(item, (part.start, part.end), (0, key_blocks), true, false);
        } else {
            let part = part_of(key_blocks, parts, part);
            make(item, (0, blocks), (part.start, part.end), false, true);
        }
    });
}

/// Some gradients of one item: blocks of queries against blocks of keys.
struct Unit<'a> {
    machine: &'a Machine,
    scores: &'a Scores<'a>,
    from: Backward<'a>,
    item: usize,
    blocks: (usize, usize),
    key_blocks: (usize, usize),
    of_queries: bool,
    of_keys: bool,
    to: Disjoint<'a, f32>,
}

impl Unit<'_> {
    fn run(&self) {
        let (simd, kernel, heads) = (self.machine.simd, Kernel::of(self.machine.simd), &self.scores.heads);
        let (width, value_width, causal) = (heads.width, heads.value_width, self.scores.attention.causal);
        let (q, k) = (self.scores.q.item(self.item), self.scores.k.item(self.item));
        let (v, g) = (self.from.v.item(self.item), self.from.g.item(self.item));
        let queries = (self.blocks.0 * QUERIES, heads.queries.min(self.blocks.1 * QUERIES));
        let keys = (self.key_blocks.0 * QUERIES, heads.keys.min(self.key_blocks.1 * QUERIES));
        let chunk = CHUNK.min(keys.1.saturating_sub(keys.0));
        // An odd number of cache lines: rows whose distance is a power of two would share a few places of the cache.
        let stride = (chunk.div_ceil(16) | 1) * 16;
        let up = |count: usize, step: usize| count.next_multiple_of(step);
        let (mr, nr) = (kernel.mr, kernel.nr);
        let lengths = [
            up(chunk, nr) * width,
            up(chunk, nr) * value_width,
            up(width, nr) * chunk,
            up(QUERIES, mr) * width,
            up(QUERIES, mr) * value_width,
            up(width, mr) * QUERIES,
            up(value_width, mr) * QUERIES,
            up(QUERIES, mr) * chunk,
            QUERIES * stride,
            QUERIES * stride,
            width * stride,
            value_width * stride,
            if self.of_queries { queries.1.saturating_sub(queries.0) * width } else { 0 },
        ];
        with_scratch(lengths.into_iter().map(room).sum(), |mut loan| {
            let [
                key_lanes,
                value_lanes,
                key_steps,
                query_rows,
                g_rows,
                query_steps,
                g_steps,
                slope_rows,
                weights,
                slopes,
                sums_k,
                sums_v,
                sums_q,
            ] = lengths.map(|length| take(&mut loan, length));
            sums_q.fill(0.0);
            for k0 in (keys.0..keys.1).step_by(CHUNK) {
                let k1 = keys.1.min(k0 + CHUNK);
                let count = k1 - k0;
                k.pack(simd, k0..k1, 0..width, nr, &mut key_lanes[..up(count, nr) * width]);
                v.pack(simd, k0..k1, 0..value_width, nr, &mut value_lanes[..up(count, nr) * value_width]);
                if self.of_queries {
                    k.transposed().pack(simd, 0..width, k0..k1, nr, &mut key_steps[..up(width, nr) * count]);
                }
                sums_k.fill(0.0);
                sums_v.fill(0.0);
                // The queries before the first key of the chunk do not look at it.
                let first = if causal { self.blocks.0.max(k0 / QUERIES) } else { self.blocks.0 };
                for block in first..self.blocks.1 {
                    let (r0, r1) = (block * QUERIES, heads.queries.min((block + 1) * QUERIES));
                    let (rows, n) = (r1 - r0, heads.key_end(causal, r0).min(k1) - k0);
                    q.pack(simd, r0..r1, 0..width, mr, &mut query_rows[..up(rows, mr) * width]);
                    g.pack(simd, r0..r1, 0..value_width, mr, &mut g_rows[..up(rows, mr) * value_width]);
                    let (a, b) = (A::packed(kernel, query_rows, width), B::packed(kernel, key_lanes, width));
                    multiply(kernel, (rows, n, width), a, b, weights, stride, false);
                    let (a, b) = (A::packed(kernel, g_rows, value_width), B::packed(kernel, value_lanes, value_width));
                    multiply(kernel, (rows, n, value_width), a, b, slopes, stride, false);
                    self.weights_and_slopes((r0, r1), (k0, k0 + n), stride, weights, slopes);
                    if self.of_keys {
                        q.transposed().pack(simd, 0..width, r0..r1, mr, &mut query_steps[..up(width, mr) * rows]);
                        let (a, b) = (A::packed(kernel, query_steps, rows), B::in_place(kernel, slopes, stride));
                        multiply(kernel, (width, n, rows), a, b, sums_k, stride, true);
                        g.transposed().pack(
                            simd,
                            0..value_width,
                            r0..r1,
                            mr,
                            &mut g_steps[..up(value_width, mr) * rows],
                        );
                        let (a, b) = (A::packed(kernel, g_steps, rows), B::in_place(kernel, weights, stride));
                        multiply(kernel, (value_width, n, rows), a, b, sums_v, stride, true);
                    }
                    if self.of_queries {
                        let strip = Matrix { data: &*slopes, row_stride: stride, col_stride: 1 };
                        strip.pack(simd, 0..rows, 0..n, mr, &mut slope_rows[..up(rows, mr) * n]);
                        let (a, b) = (A::packed(kernel, slope_rows, n), B::packed(kernel, key_steps, count));
                        let sums = &mut sums_q[(r0 - queries.0) * width..];
                        multiply(kernel, (rows, width, n), a, b, sums, width.max(1), true);
                    }
                }
                if self.of_keys {
                    let [_, of_k, of_v] = heads.gradients(self.item);
                    let scale = self.scores.attention.scale.f64() as f32;
                    self.write_turned(of_k, (k0, k1), width, stride, sums_k, scale);
                    self.write_turned(of_v, (k0, k1), value_width, stride, sums_v, 1.0);
                }
            }
            if self.of_queries {
                let ([(start, step), ..], scale) =
                    (heads.gradients(self.item), self.scores.attention.scale.f64() as f32);
                for query in queries.0..queries.1 {
                    // SAFETY: rows of different queries and items are apart.
                    let row = unsafe { self.to.slice(start + query * step, width) };
                    let sums = &sums_q[(query - queries.0) * width..][..width];
                    row.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum * scale);
                }
            }
        });
    }

    /// Turns scores into weights, and products of gradients and values into slopes of the scores.
    fn weights_and_slopes(
        &self,
        (r0, r1): (usize, usize),
        (k0, k1): (usize, usize),
        stride: usize,
        weights: &mut [f32],
        slopes: &mut [f32],
    ) {
        let at = Rectangle { queries: (r0, r1), first_key: k0, end_key: k1, query_step: stride, key_step: 1 };
        let plain = self.scores.mask_strip(self.item, at, weights);
        let [tops, inverses] = self.scores.heads.statistics(self.item);
        let (delta, scale) = (self.from.delta.item(self.item), self.scores.attention.scale.f64() as f32);
        for query in r0..r1 {
            let (top, inverse) = (self.from.pass[tops + query], self.from.pass[inverses + query]);
            let delta = delta.at(query, 0);
            let row = (query - r0) * stride;
            let (first, rest) = weights[row..row + k1 - k0].split_at_mut(plain);
            let (first_slopes, rest_slopes) = slopes[row..row + k1 - k0].split_at_mut(plain);
            self.machine.simd.run(
                #[inline(always)]
                || {
                    along(first, first_slopes, scale, [top, inverse, delta]);
                    along(rest, rest_slopes, 1.0, [top, inverse, delta]);
                },
            );
        }
    }

    /// Writes rows `keys` of a gradient whose transpose is in `sums`.
    fn write_turned(
        &self,
        (start, step): (usize, usize),
        (k0, k1): (usize, usize),
        width: usize,
        stride: usize,
        sums: &[f32],
        scale: f32,
    ) {
        for key in k0..k1 {
            // SAFETY: rows of different keys, items and gradients are apart.
            let row = unsafe { self.to.slice(start + key * step, width) };
            for (d, y) in row.iter_mut().enumerate() {
                *y = sums[d * stride + key - k0] * scale;
            }
        }
    }
}

#[inline(always)]
fn along(weights: &mut [f32], slopes: &mut [f32], scale: f32, [top, inverse, delta]: [f32; 3]) {
    for (weight, slope) in weights.iter_mut().zip(slopes) {
        let p = exponential(*weight * scale - top) * inverse;
        *weight = p;
        *slope = p * (*slope - delta);
    }
}
