//! The forward pass, and the input gradient as a forward pass.
//!
//! A unit of work is a few rows of tiles and some of the target channels. Its transformed inputs, one matrix
//! [channels, tiles] for each of the 36 points, stay in the second-level cache, and so do the products of a few target
//! channels until they are transformed back.

use super::transform::{self, Lanes, deinterleave, interleave};
use super::{ConvGeometry, LANES, PATCH, POINTS, TILE};
use crate::gemm::{Epilogue, Factors, Kernel, NR_MAX, Rows, SMALL, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Tiles of a unit: two AVX-512 panels. The weights, from a farther cache, are read once for so many tiles.
const TILES: usize = 64;
/// Target channels whose products with all tiles of a unit are kept until they are transformed back: 576 KiB.
const CHANNELS_KEPT: usize = 64;
/// Floats between the matrices of two points, beyond their size: no two then compete for one place in the cache.
const APART: usize = 16;
/// Channels whose transformed weights are gathered in the first-level cache before they are written: to write 36 places
/// by turns, each far from the others, took 49 ms where this takes 30 (512 channels, 4 x 4).
const CHANNELS_STAGED: usize = 16;
/// Units for each thread.
const UNITS_PER_THREAD: usize = 4;

/// A 3 x 3 convolution with stride 1 of `source` [items, channels, size] to [items, rows, target].
pub(in crate::conv) struct Forward<'a> {
    pub source: &'a [f32],
    pub items: usize,
    pub channels: usize,
    pub size: [usize; 2],
    pub padding: [usize; 2],
    pub target: [usize; 2],
    pub rows: usize,
    pub weights: &'a [f32],
    /// From one target channel's weights to the next, and from one source channel's.
    pub strides: [usize; 2],
    /// Whether the kernel is turned by 180 degrees.
    pub turned: bool,
    pub epilogue: Option<Epilogue<'a, f32>>,
}

/// Neighbouring tiles of one row of tiles.
#[derive(Clone, Copy)]
struct Segment {
    item: usize,
    down: usize,
    across: usize,
    count: usize,
}

impl<'a> Forward<'a> {
    /// y = conv(x, w).
    pub fn new(geometry: &ConvGeometry, x: &'a [f32], w: &'a [f32], epilogue: Option<Epilogue<'a, f32>>) -> Self {
        let ConvGeometry { batch, channels, outputs, input, output, padding, .. } = *geometry;
        Forward {
            source: x,
            items: batch,
            channels,
            size: [input[1], input[2]],
            padding: [padding[1], padding[2]],
            target: [output[1], output[2]],
            rows: outputs,
            weights: w,
            strides: [channels * 9, 9],
            turned: false,
            epilogue,
        }
    }

    /// dx, the adjoint applied to dy.
    pub fn backward(geometry: &ConvGeometry, w: &'a [f32], dy: &'a [f32], epilogue: Option<Epilogue<'a, f32>>) -> Self {
        let ConvGeometry { batch, channels, outputs, input, output, padding, .. } = *geometry;
        Forward {
            source: dy,
            items: batch,
            channels: outputs,
            size: [output[1], output[2]],
            padding: [2 - padding[1], 2 - padding[2]],
            target: [input[1], input[2]],
            rows: channels,
            weights: w,
            strides: [9, channels * 9],
            turned: true,
            epilogue,
        }
    }

    fn down(&self) -> usize {
        self.target[0].div_ceil(TILE)
    }

    fn across(&self) -> usize {
        self.target[1].div_ceil(TILE)
    }

    /// Computes the target.
    pub fn run(&self, machine: &Machine, target: &mut [f32]) {
        if target.is_empty() {
            return;
        }
        let kernel = Kernel::of(machine.simd);
        let panels = self.rows.div_ceil(kernel.mr);
        let blocks = self.blocks();
        let work = self.items * self.down() * self.across() * POINTS * self.rows * self.channels;
        let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
            if work < SMALL { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
        };
        // Cut the channels too where there are few blocks of tiles.
        let wanted = if machine.pool.threads() == 1 { 1 } else { machine.pool.threads() * UNITS_PER_THREAD };
        let parts = wanted.div_ceil(blocks).clamp(1, panels.div_ceil(2));
        let all = Disjoint::new(target);
        let panel_size = POINTS * self.channels * kernel.mr;
        if blocks == 1 {
            // Each panel of weights is used once: where it is transformed.
            each(parts, &|part| {
                let panels = part * panels / parts..(part + 1) * panels / parts;
                self.unit(machine.simd, kernel, &self.segments(0), panels, None, all);
            });
            return;
        }
        with_scratch(panels * panel_size, |packed| {
            let all_packed = Disjoint::new(packed);
            each(panels, &|panel| {
                // SAFETY: the panels of different units are apart.
                let to = unsafe { all_packed.slice(panel * panel_size, panel_size) };
                self.weights_of(machine.simd, kernel, panel, to);
            });
            let packed = &*packed;
            each(blocks * parts, &|unit| {
                let (block, part) = (unit / parts, unit % parts);
                let panels = part * panels / parts..(part + 1) * panels / parts;
                self.unit(machine.simd, kernel, &self.segments(block), panels, Some(packed), all);
            });
        });
    }

    /// One panel of weights, transformed.
    fn weights_of(&self, simd: Simd, kernel: &Kernel, panel: usize, to: &mut [f32]) {
        let rows = panel * kernel.mr..self.rows.min((panel + 1) * kernel.mr);
        with_scratch(POINTS * (CHANNELS_STAGED * kernel.mr + LANES), |staged| {
            simd.run(
                #[inline(always)]
                || self.pack_weights(rows.clone(), kernel.mr, staged, to),
            );
        });
    }

    /// `packed[point][channel][row]` = G w G^T, of the target channels `rows`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn pack_weights(&self, rows: Range<usize>, mr: usize, staged: &mut [f32], packed: &mut [f32]) {
        let mut w: [Lanes; 9] = [[0.0; LANES]; 9];
        let point_size = CHANNELS_STAGED * mr + LANES;
        for first in (0..self.channels).step_by(CHANNELS_STAGED) {
            let count = CHANNELS_STAGED.min(self.channels - first);
            for channel in 0..count {
                for (lane, row) in rows.clone().enumerate() {
                    let from = &self.weights[row * self.strides[0] + (first + channel) * self.strides[1]..][..9];
                    for (tap, from) in from.iter().enumerate() {
                        w[if self.turned { 8 - tap } else { tap }][lane] = *from;
                    }
                }
                let mut columns: [[Lanes; PATCH]; 3] = [[[0.0; LANES]; PATCH]; 3];
                for (j, column) in columns.iter_mut().enumerate() {
                    transform::weights(&[w[j], w[3 + j], w[6 + j]], column);
                }
                let [left, middle, right] = &columns;
                for (i, ((left, middle), right)) in left.iter().zip(middle).zip(right).enumerate() {
                    let mut points: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
                    transform::weights(&[*left, *middle, *right], &mut points);
                    for (j, point) in points.iter().enumerate() {
                        // The next channel overwrites what is too much.
                        let at = (i * PATCH + j) * point_size + channel * mr;
                        staged[at..at + LANES].copy_from_slice(point);
                    }
                }
            }
            for (point, staged) in staged.chunks_exact(point_size).enumerate() {
                let to = &mut packed[(point * self.channels + first) * mr..][..count * mr];
                to.copy_from_slice(&staged[..count * mr]);
            }
        }
    }

    /// Rows of tiles in a block, and parts that a row is cut into.
    fn cut(&self) -> (usize, usize) {
        let across = self.across();
        ((TILES / across).max(1), across.div_ceil(TILES))
    }

    fn blocks(&self) -> usize {
        let (together, parts) = self.cut();
        (self.items * self.down()).div_ceil(together) * parts
    }

    fn segments(&self, block: usize) -> Vec<Segment> {
        let (together, parts) = self.cut();
        let (down, across) = (self.down(), self.across());
        let first = block / parts * together;
        let part = block % parts;
        let (start, end) = (part * across / parts, (part + 1) * across / parts);
        let rows = first..(first + together).min(self.items * down);
        rows.map(|row| Segment { item: row / down, down: row % down, across: start, count: end - start }).collect()
    }

    fn unit(
        &self,
        simd: Simd,
        kernel: &Kernel,
        segments: &[Segment],
        panels: Range<usize>,
        packed: Option<&[f32]>,
        target: Disjoint<'_, f32>,
    ) {
        let (channels, mr) = (self.channels, kernel.mr);
        let count: usize = segments.iter().map(|segment| segment.count).sum();
        let room = count.next_multiple_of(LANES);
        let columns = count.next_multiple_of(kernel.width);
        let point_size = channels * room + APART;
        let most = (CHANNELS_KEPT / mr).max(1).min(panels.len());
        let product_size = most * mr * room + APART;
        let panel_size = POINTS * channels * mr;
        let own = if packed.is_none() { most * panel_size } else { 0 };
        with_scratch(POINTS * (point_size + product_size) + NR_MAX + own, |scratch| {
            let (own, scratch) = scratch.split_at_mut(own);
            let (products, points) = scratch.split_at_mut(POINTS * product_size);
            let input_room = self.input_room(segments, room);
            with_scratch(input_room, |scratch| {
                simd.run(
                    #[inline(always)]
                    || self.inputs(simd, segments, room, (point_size, points), scratch),
                );
            });
            for first in panels.clone().step_by(most) {
                let some = first..panels.end.min(first + most);
                let rows = some.start * mr..self.rows.min(some.end * mr);
                let packed = match packed {
                    Some(packed) => &packed[some.start * panel_size..],
                    None => {
                        for (panel, to) in some.clone().zip(own.chunks_exact_mut(panel_size)) {
                            self.weights_of(simd, kernel, panel, to);
                        }
                        &*own
                    }
                };
                for point in 0..POINTS {
                    for column in (0..columns).step_by(kernel.nr) {
                        let width = kernel.nr.min(columns - column);
                        for panel in some.clone() {
                            let row = panel * mr;
                            let height = mr.min(self.rows - row);
                            let a =
                                &packed[(panel - some.start) * panel_size + point * channels * mr..][..channels * mr];
                            let b = &points[point * point_size + column..];
                            let start = point * product_size + (row - rows.start) * room + column;
                            let c = &mut products[start..];
                            assert!((channels - 1) * room + kernel.nr <= b.len());
                            assert!((height - 1) * room + width <= c.len());
                            // SAFETY: the panel of A has `channels` steps; B and C hold the tile by the assertions.
                            unsafe {
                                kernel.tile(
                                    (height, width, channels),
                                    Factors::strided(a.as_ptr(), 1, kernel.mr),
                                    Rows::even(b.as_ptr(), room),
                                    (c.as_mut_ptr(), room),
                                    false,
                                );
                            }
                        }
                    }
                }
                with_scratch(TILE * TILE * room, |staged| {
                    simd.run(
                        #[inline(always)]
                        || self.outputs(simd, segments, rows.clone(), room, (product_size, products), staged, target),
                    );
                });
                if let Some(epilogue) = self.epilogue {
                    self.finish(segments, rows, target, epilogue);
                }
            }
        });
    }

    /// Floats in a row of patches, and what a vector may write beyond it.
    fn pitch(&self, segments: &[Segment]) -> usize {
        TILE * segments.iter().map(|segment| segment.count).max().unwrap_or(0) + PATCH + 2 * LANES
    }

    fn input_room(&self, segments: &[Segment], room: usize) -> usize {
        PATCH * (self.pitch(segments) + 2 * (TILE * room + LANES))
    }

    /// `points[point][channel][tile]` = B^T d B.
    #[inline(always)]
    fn inputs(
        &self,
        simd: Simd,
        segments: &[Segment],
        room: usize,
        (point_size, points): (usize, &mut [f32]),
        scratch: &mut [f32],
    ) {
        let [height, width] = self.size;
        let (pitch, line) = (self.pitch(segments), TILE * room + LANES);
        let (row, staged) = scratch.split_at_mut(PATCH * pitch);
        staged.fill(0.0);
        let (here, next) = staged.split_at_mut(PATCH * line);
        for channel in 0..self.channels {
            let mut tile = 0;
            for segment in segments {
                let plane = &self.source[(segment.item * self.channels + channel) * height * width..][..height * width];
                self.columns(plane, segment, pitch, row);
                for i in 0..PATCH {
                    let from = &row[i * pitch..][..pitch];
                    let at = i * line + TILE * tile;
                    copy(from, &mut here[at..], TILE * segment.count);
                    copy(&from[TILE..], &mut next[at..], TILE * segment.count);
                }
                tile += segment.count;
            }
            for first in (0..room).step_by(LANES) {
                for i in 0..PATCH {
                    let at = i * line + TILE * first;
                    let mut d = [[0.0; LANES]; PATCH];
                    if let (Some(here), Some(next)) = (here[at..].first_chunk(), next[at..].first_chunk()) {
                        let (mut inside, mut beyond) = ([[0.0; LANES]; TILE], [[0.0; LANES]; TILE]);
                        deinterleave(simd, here, &mut inside);
                        deinterleave(simd, next, &mut beyond);
                        d = [inside[0], inside[1], inside[2], inside[3], beyond[0], beyond[1]];
                    }
                    let mut v = [[0.0; LANES]; PATCH];
                    transform::inputs(&d, &mut v);
                    for (j, v) in v.iter().enumerate() {
                        let to = (i * PATCH + j) * point_size + channel * room + first;
                        points[to..to + LANES].copy_from_slice(v);
                    }
                }
            }
        }
    }

    /// `row[i][x]` = (B^T d)[i] for every x that the tiles of a segment see.
    #[inline(always)]
    fn columns(&self, plane: &[f32], segment: &Segment, pitch: usize, row: &mut [f32]) {
        let [height, width] = self.size;
        let left = TILE * segment.across;
        // Coordinates inside the source: from `start` on, at place `skip` of the row.
        let (start, skip) = (left.saturating_sub(self.padding[1]), self.padding[1].saturating_sub(left));
        let end = width.min((left + TILE * segment.count + 2).saturating_sub(self.padding[1]));
        let source: [Option<&[f32]>; PATCH] = std::array::from_fn(|i| {
            let y = (TILE * segment.down + i).checked_sub(self.padding[0]).filter(|&y| y < height)?;
            Some(&plane[y * width..])
        });
        for i in 0..PATCH {
            row[i * pitch..i * pitch + skip].fill(0.0);
        }
        let mut at = skip;
        for x in (start..end).step_by(LANES) {
            let mut d: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            for (d, source) in d.iter_mut().zip(source) {
                let Some(source) = source else { continue };
                let count = LANES.min(end - x);
                match source[x..].first_chunk() {
                    Some(from) if count == LANES => *d = *from,
                    _ => d[..count].copy_from_slice(&source[x..x + count]),
                }
            }
            let mut v: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            transform::inputs(&d, &mut v);
            for (i, v) in v.iter().enumerate() {
                row[i * pitch + at..][..LANES].copy_from_slice(v);
            }
            at += LANES;
        }
        let used = TILE * segment.count + PATCH;
        if at < used {
            for i in 0..PATCH {
                row[i * pitch + at..i * pitch + used].fill(0.0);
            }
        }
    }

    /// The target channels `rows` of the tiles: A^T m A.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn outputs(
        &self,
        simd: Simd,
        segments: &[Segment],
        rows: Range<usize>,
        room: usize,
        (product_size, products): (usize, &[f32]),
        staged: &mut [f32],
        target: Disjoint<'_, f32>,
    ) {
        let [height, width] = self.target;
        let line = TILE * room;
        for row in rows.clone() {
            for first in (0..room).step_by(LANES) {
                let mut columns: [[Lanes; PATCH]; TILE] = [[[0.0; LANES]; PATCH]; TILE];
                for j in 0..PATCH {
                    let mut m: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
                    for (i, m) in m.iter_mut().enumerate() {
                        let at = (i * PATCH + j) * product_size + (row - rows.start) * room + first;
                        m.copy_from_slice(&products[at..at + LANES]);
                    }
                    let mut results: [Lanes; TILE] = [[0.0; LANES]; TILE];
                    transform::outputs(&m, &mut results);
                    for (column, result) in columns.iter_mut().zip(results) {
                        column[j] = result;
                    }
                }
                for (i, column) in columns.iter().enumerate() {
                    let mut results: [Lanes; TILE] = [[0.0; LANES]; TILE];
                    transform::outputs(column, &mut results);
                    if let Some(to) = staged[i * line + TILE * first..].first_chunk_mut() {
                        interleave(simd, &results, to);
                    }
                }
            }
            let mut tile = 0;
            for segment in segments {
                let left = TILE * segment.across;
                let count = (TILE * segment.count).min(width - left);
                for i in 0..TILE.min(height - TILE * segment.down) {
                    let y = TILE * segment.down + i;
                    let start = ((segment.item * self.rows + row) * height + y) * width + left;
                    // SAFETY: units have tiles or channels of their own.
                    let to = unsafe { target.slice(start, count) };
                    copy_exact(&staged[i * line + TILE * tile..][..count], to);
                }
                tile += segment.count;
            }
        }
    }

    /// Calls the epilogue on what the segments cover of the target channels `rows`.
    fn finish(&self, segments: &[Segment], rows: Range<usize>, target: Disjoint<'_, f32>, epilogue: Epilogue<'_, f32>) {
        let [height, width] = self.target;
        let positions = height * width;
        let call = |item: usize, columns: (usize, usize)| {
            // SAFETY: this unit alone touches these rows and columns, and nothing else does now.
            epilogue(unsafe {
                Tile::new(target, self.rows * positions, positions, item, (rows.start, rows.end), columns)
            });
        };
        let mut index = 0;
        while index < segments.len() {
            let Segment { item, down, across, count } = segments[index];
            let top = TILE * down;
            if count == self.across() {
                // Whole rows: as many as follow each other in this sample.
                let together = segments[index..].iter().take_while(|other| other.item == item).count();
                call(item, (top * width, height.min(top + TILE * together) * width));
                index += together;
            } else {
                let (left, right) = (TILE * across, width.min(TILE * (across + count)));
                (top..height.min(top + TILE)).for_each(|y| call(item, (y * width + left, y * width + right)));
                index += 1;
            }
        }
    }
}

/// Copies `count` floats, and what follows them up to a whole vector.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32], count: usize) {
    for first in (0..count).step_by(LANES) {
        to[first..first + LANES].copy_from_slice(&from[first..first + LANES]);
    }
}

/// Copies a short row without calling a function for it.
#[inline(always)]
fn copy_exact(from: &[f32], to: &mut [f32]) {
    let ((from, end), (to, rest)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    let ((end, last), (rest, place)) = (end.as_chunks::<TILE>(), rest.as_chunks_mut::<TILE>());
    for (to, from) in rest.iter_mut().zip(end) {
        *to = *from;
    }
    for (to, from) in place.iter_mut().zip(last) {
        *to = *from;
    }
}
