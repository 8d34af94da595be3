//! The pass: scores, softmax, means of values.
//!
//! A strip holds the scores of a block of queries transposed, `[key][query]`: the softmax runs down its columns with one
//! query a lane, and it is the right factor of `y^T = v^T p^T` as it lies.

use tensor::ops::attention::reference::BLOCK;

use super::product::{B, multiply};
use super::{A, Operand, QUERIES, Rectangle, Scores, exponential, room, run_units, take};
use crate::gemm::Kernel;
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;

/// Queries that the softmax takes at once: one vector register.
const LANES: usize = 16;
/// Keys between which the sums of values rest in memory: a panel of the strip, 128 rows of 128 bytes, stays in that half
/// of the first cache which rows 256 bytes apart can use.
const STEPS: usize = 128;

/// Writes the pass: see [`tensor::ops::attention::reference::forward`].
pub(crate) fn attention_pass(machine: &Machine, scores: &Scores<'_>, v: Operand<'_, f32>, pass: &mut [f32]) {
    assert!(scores.heads.pass_count() <= pass.len());
    let (parts, all) = (scores.parts(machine), Disjoint::new(pass));
    let blocks = scores.heads.queries.div_ceil(QUERIES);
    run_units(machine, scores.work(), scores.heads.items() * parts, |unit| {
        some_blocks(machine, scores, v, unit / parts, part_of(blocks, parts, unit % parts), all);
    });
}

/// Blocks of queries of one item.
fn some_blocks(
    machine: &Machine,
    scores: &Scores<'_>,
    v: Operand<'_, f32>,
    item: usize,
    blocks: std::ops::Range<usize>,
    pass: Disjoint<'_, f32>,
) {
    let Some(last) = blocks.clone().last() else { return };
    let (simd, kernel, heads) = (machine.simd, Kernel::of(machine.simd), &scores.heads);
    let (width, value_width, causal) = (heads.width, heads.value_width, scores.attention.causal);
    let keys = heads.key_end(causal, last * QUERIES);
    let (q, k, v) = (scores.q.item(item), scores.k.item(item), v.item(item));
    let of_k = keys.next_multiple_of(kernel.mr) * width;
    let of_v = value_width.next_multiple_of(kernel.mr) * keys;
    let of_q = QUERIES.next_multiple_of(kernel.nr) * width;
    // (Without keys the softmax is still taken, of nothing.)
    let lengths = [of_k, of_v, of_q, keys.max(1) * QUERIES, value_width * QUERIES];
    with_scratch(lengths.into_iter().map(room).sum(), |mut loan| {
        let [packed_k, packed_v, packed_q, strip, result] = lengths.map(|length| take(&mut loan, length));
        k.pack(simd, 0..keys, 0..width, kernel.mr, &mut packed_k[..of_k]);
        v.transposed().pack(simd, 0..value_width, 0..keys, kernel.mr, &mut packed_v[..of_v]);
        for block in blocks {
            let (r0, r1) = (block * QUERIES, heads.queries.min((block + 1) * QUERIES));
            let (rows, end) = (r1 - r0, heads.key_end(causal, r0));
            q.pack(simd, r0..r1, 0..width, kernel.nr, &mut packed_q[..of_q]);
            let (a, b) = (A::packed(kernel, packed_k, width), B::packed(kernel, packed_q, width));
            multiply(kernel, (end, rows, width), a, b, strip, QUERIES, false);
            let at = Rectangle { queries: (r0, r1), first_key: 0, end_key: end, query_step: 1, key_step: QUERIES };
            let plain = scores.mask_strip(item, at, strip);
            let scale = scores.attention.scale.f64() as f32;
            let (mut tops, mut inverses) = ([0.0; QUERIES], [0.0; QUERIES]);
            for first in (0..rows).step_by(LANES) {
                let (top, inverse) = simd.run(
                    #[inline(always)]
                    || softmax(&mut strip[first..], end, plain, scale),
                );
                tops[first..first + LANES].copy_from_slice(&top);
                inverses[first..first + LANES].copy_from_slice(&inverse);
            }
            let a = A::packed(kernel, packed_v, keys);
            multiply(kernel, (value_width, rows, 0), a, B::in_place(kernel, strip, QUERIES), result, QUERIES, false);
            for step in (0..end).step_by(STEPS) {
                let size = (value_width, rows, STEPS.min(end - step));
                let b = B::in_place(kernel, &strip[step * QUERIES..], QUERIES);
                multiply(kernel, size, a.after(kernel, step), b, result, QUERIES, true);
            }
            let [of_tops, of_inverses] = heads.statistics(item);
            for (i, &inverse) in inverses[..rows].iter().enumerate() {
                // SAFETY: rows of different items, and of different queries of one, are apart.
                let row = unsafe { pass.slice(heads.row(item, r0 + i, value_width), value_width) };
                for (d, y) in row.iter_mut().enumerate() {
                    *y = result[d * QUERIES + i] * inverse;
                }
            }
            // SAFETY: so are the statistics.
            unsafe {
                pass.slice(of_tops + r0, rows).copy_from_slice(&tops[..rows]);
                pass.slice(of_inverses + r0, rows).copy_from_slice(&inverses[..rows]);
            }
        }
    });
}

/// Turns `end` scores of [`LANES`] queries, rows of the strip, into exponentials: the tops and the inverse sums. The first
/// `plain` rows are still to be scaled.
#[inline(always)]
fn softmax(strip: &mut [f32], end: usize, plain: usize, scale: f32) -> ([f32; LANES], [f32; LANES]) {
    let mut top = [f32::NEG_INFINITY; LANES];
    for key in 0..end {
        let scores = &mut strip[key * QUERIES..][..LANES];
        let factor = if key < plain { scale } else { 1.0 };
        for i in 0..LANES {
            let score = scores[i] * factor;
            scores[i] = score;
            top[i] = if score > top[i] { score } else { top[i] };
        }
    }
    for x in &mut top {
        *x = if *x == f32::NEG_INFINITY { 0.0 } else { *x + 0.0 };
    }
    let mut sum = [0.0; LANES];
    for first in (0..end).step_by(BLOCK) {
        let mut part = [0.0; LANES];
        for key in first..end.min(first + BLOCK) {
            let scores = &mut strip[key * QUERIES..][..LANES];
            for i in 0..LANES {
                let e = exponential(scores[i] - top[i]);
                scores[i] = e;
                part[i] += e;
            }
        }
        for i in 0..LANES {
            sum[i] += part[i];
        }
    }
    let mut inverse = [0.0; LANES];
    for i in 0..LANES {
        inverse[i] = if sum[i] == 0.0 { 0.0 } else { 1.0 / sum[i] };
    }
    (top, inverse)
}
