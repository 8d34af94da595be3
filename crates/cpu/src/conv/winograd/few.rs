//! Few tiles: one sample of small pictures. The weights are then most of the work, and each is used for few tiles.
//!
//! Target channels lie side by side in a vector. Each unit of work transforms the weights of sixteen of them, a few
//! source channels at a time, and multiplies them while they are in the first-level cache.

use super::forward::{Each, Forward, Segment};
use super::inputs::Points;
use super::taps;
use super::transform::{self, Lanes, interleave};
use super::{LANES, PATCH, POINTS, TILE};
use crate::gemm::{Kernel, SIDE_ROWS};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Most tiles. With 16, as many products of a vector as the other way has, whose lanes are tiles.
pub(super) const TILES: usize = 16;
/// Chunks of channels of a unit that transforms inputs.
const CHUNKS: usize = 8;

impl Forward<'_> {
    /// Computes a target of at most [`TILES`] tiles, with `each` to hand out the units.
    pub(super) fn few(&self, machine: &Machine, each: Each<'_>, target: Disjoint<'_, f32>) {
        let segments = self.segments(0);
        let count: usize = segments.iter().map(|segment| segment.count).sum();
        // Tiles multiplied at a time, in even parts.
        let together = count.div_ceil(count.div_ceil(SIDE_ROWS));
        let parts = count.div_ceil(together);
        let chunks = self.channels.div_ceil(taps::CHANNELS);
        let chunk_size = parts * POINTS * taps::CHANNELS * together;
        let input_room = self.input_room(&segments);
        with_scratch(chunks * chunk_size, |points| {
            let all = Disjoint::new(points);
            each(chunks.div_ceil(CHUNKS), &|unit| {
                let first = unit * CHUNKS * taps::CHANNELS;
                let channels = first..self.channels.min(first + CHUNKS * taps::CHANNELS);
                with_scratch(input_room, |room| {
                    machine.simd.run(
                        #[inline(always)]
                        || self.inputs(machine.simd, &segments, channels, Points::Few { all, count, together }, room),
                    );
                });
            });
            let points = &*points;
            each(self.rows.div_ceil(LANES), &|panel| {
                let rows = panel * LANES..self.rows.min((panel + 1) * LANES);
                let sums_size = POINTS * together * LANES;
                with_scratch(taps::SIZE + taps::ROOM + parts * sums_size, |scratch| {
                    let (weights, rest) = scratch.split_at_mut(taps::SIZE);
                    let (room, sums) = rest.split_at_mut(taps::ROOM);
                    machine.simd.run(
                        #[inline(always)]
                        || self.sums(machine.simd, rows.clone(), (points, together), room, weights, sums),
                    );
                    machine.simd.run(
                        #[inline(always)]
                        || self.few_outputs(machine.simd, &segments, rows.clone(), (&*sums, together), target),
                    );
                });
                if let Some(epilogue) = self.epilogue {
                    self.finish(&segments, rows, target, epilogue);
                }
            });
        });
    }

    /// `sums[part][point][tile][row]`: the products, summed over the channels.
    #[inline(always)]
    fn sums(
        &self,
        simd: Simd,
        rows: Range<usize>,
        (points, together): (&[f32], usize),
        room: &mut [f32],
        weights: &mut [f32],
        sums: &mut [f32],
    ) {
        let kernel = Kernel::of(simd);
        let Some(weights) = weights.first_chunk_mut() else { return };
        let taps = self.taps();
        let size = POINTS * taps::CHANNELS * together;
        let mut points = points.chunks_exact(size);
        for first in (0..self.channels).step_by(taps::CHANNELS) {
            let channels = first..self.channels.min(first + taps::CHANNELS);
            taps.transform(simd, rows.clone(), channels.clone(), room, weights);
            for sums in sums.chunks_exact_mut(POINTS * together * LANES) {
                let Some(points) = points.next() else { return };
                let size = (POINTS, together, channels.len());
                kernel.side_by_side(size, points, &*weights, sums, first > 0);
            }
        }
    }

    /// The target channels `rows` of the tiles: A^T m A.
    #[inline(always)]
    fn few_outputs(
        &self,
        simd: Simd,
        segments: &[Segment],
        rows: Range<usize>,
        (sums, together): (&[f32], usize),
        target: Disjoint<'_, f32>,
    ) {
        let [height, width] = self.target;
        let (mut tile, part_size) = (0, POINTS * together * LANES);
        for segment in segments {
            for across in segment.across..segment.across + segment.count {
                let sums = &sums[tile / together * part_size + tile % together * LANES..];
                let mut columns: [[Lanes; PATCH]; TILE] = [[[0.0; LANES]; PATCH]; TILE];
                for j in 0..PATCH {
                    let mut m: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
                    for (i, m) in m.iter_mut().enumerate() {
                        m.copy_from_slice(&sums[(i * PATCH + j) * together * LANES..][..LANES]);
                    }
                    let mut results: [Lanes; TILE] = [[0.0; LANES]; TILE];
                    transform::outputs(&m, &mut results);
                    for (column, result) in columns.iter_mut().zip(results) {
                        column[j] = result;
                    }
                }
                let (top, left) = (TILE * segment.down, TILE * across);
                let count = TILE.min(width - left);
                for (y, column) in (top..height.min(top + TILE)).zip(&columns) {
                    let mut results: [Lanes; TILE] = [[0.0; LANES]; TILE];
                    transform::outputs(column, &mut results);
                    let mut lines = [0.0; TILE * LANES];
                    interleave(simd, &results, &mut lines);
                    for (row, line) in rows.clone().zip(lines.as_chunks::<TILE>().0) {
                        let start = ((segment.item * self.rows + row) * height + y) * width + left;
                        // SAFETY: units have target channels of their own.
                        let to = unsafe { target.slice(start, count) };
                        match to.first_chunk_mut() {
                            Some(to) => *to = *line,
                            None => to.iter_mut().zip(line).for_each(|(to, value)| *to = *value),
                        }
                    }
                }
                tile += 1;
            }
        }
    }
}
