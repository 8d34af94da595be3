//! The forward pass, and the input gradient as a forward pass.
//!
//! A block is a few rows of tiles. Its transformed inputs, for each of the 36 points panels [channels, some tiles], stay near,
//! and so do the products of a few target channels until they are transformed back.

use super::inputs::Points;
use super::taps::{self, Taps};
use super::transform::{self, Lanes, interleave};
use super::{ConvGeometry, LANES, PATCH, POINTS, TILE, few};
use crate::gemm::{Epilogue, Factors, Kernel, NR_MAX, Rows, SMALL, Tile};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Tiles of a unit: two AVX-512 panels. The weights, from a farther cache, are read once for so many tiles.
pub(super) const TILES: usize = 64;
/// Panels of target channels whose products with all tiles of a unit are kept until they are transformed back: 576 KiB.
const PANELS_KEPT: usize = 4;
/// Floats between the matrices of two points, beyond their size: no two then compete for one place in the cache.
const APART: usize = 16;
/// Source channels of a unit, where the inputs of one block are transformed by all threads.
const CHANNELS_TOGETHER: usize = 8;
/// Units for each thread.
const UNITS_PER_THREAD: usize = 4;

/// Calls a function for every unit number.
pub(super) type Each<'a> = &'a dyn Fn(usize, &(dyn Fn(usize) + Sync));

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
pub(super) struct Segment {
    pub item: usize,
    pub down: usize,
    pub across: usize,
    pub count: usize,
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

    pub(super) fn taps(&self) -> Taps<'a> {
        Taps { data: self.weights, strides: self.strides, turned: self.turned }
    }

    /// Computes the target.
    pub fn run(&self, machine: &Machine, target: &mut [f32]) {
        if target.is_empty() {
            return;
        }
        let panels = self.rows.div_ceil(LANES);
        let (blocks, threads) = (self.blocks(), machine.pool.threads());
        let tiles = self.items * self.down() * self.across();
        let work = tiles * POINTS * self.rows * self.channels;
        let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
            if work < SMALL { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
        };
        let all = Disjoint::new(target);
        if tiles <= few::TILES {
            self.few(machine, &each, all);
            return;
        }
        let wanted = threads * UNITS_PER_THREAD;
        if blocks == 1 {
            // Each panel of weights is used once: where it is transformed.
            let parts = if threads == 1 { 1 } else { wanted.min(panels) };
            self.by_parts(machine, &each, (0, parts), None, all);
            return;
        }
        let panel_size = POINTS * self.channels * LANES;
        with_scratch(panels * panel_size, |packed| {
            let all_packed = Disjoint::new(packed);
            each(panels, &|panel| {
                // SAFETY: the panels of different units are apart.
                let to = unsafe { all_packed.slice(panel * panel_size, panel_size) };
                self.weights_of(machine.simd, panel, to);
            });
            let packed = &*packed;
            if threads > 1 && blocks < wanted {
                let parts = panels.div_ceil(PANELS_KEPT).next_multiple_of(threads).min(panels);
                (0..blocks).for_each(|block| self.by_parts(machine, &each, (block, parts), Some(packed), all));
                return;
            }
            each(blocks, &|block| {
                let block = Block::new(self, machine.simd, block);
                with_scratch(block.points(), |points| {
                    block.inputs(machine.simd, 0..self.channels, Disjoint::new(points));
                    block.multiply(machine.simd, points, 0..panels, Some(packed), all);
                });
            });
        });
    }

    /// A block whose inputs all threads transform, and then the target channels in parts.
    fn by_parts(
        &self,
        machine: &Machine,
        each: Each<'_>,
        (block, parts): (usize, usize),
        packed: Option<&[f32]>,
        target: Disjoint<'_, f32>,
    ) {
        let panels = self.rows.div_ceil(LANES);
        let block = Block::new(self, machine.simd, block);
        with_scratch(block.points(), |points| {
            let all_points = Disjoint::new(points);
            each(self.channels.div_ceil(CHANNELS_TOGETHER), &|unit| {
                let first = unit * CHANNELS_TOGETHER;
                block.inputs(machine.simd, first..self.channels.min(first + CHANNELS_TOGETHER), all_points);
            });
            let points = &*points;
            each(parts, &|part| {
                let panels = part_of(panels, parts, part);
                block.multiply(machine.simd, points, panels, packed, target);
            });
        });
    }

    /// `packed[point][channel][row]` = G w G^T, of one panel of target channels.
    fn weights_of(&self, simd: Simd, panel: usize, packed: &mut [f32]) {
        let rows = panel * LANES..self.rows.min((panel + 1) * LANES);
        with_scratch(taps::SIZE + taps::ROOM, |scratch| {
            let Some((staged, room)) = scratch.split_first_chunk_mut() else { return };
            for first in (0..self.channels).step_by(taps::CHANNELS) {
                let channels = first..self.channels.min(first + taps::CHANNELS);
                let length = channels.len() * LANES;
                simd.run(
                    #[inline(always)]
                    || self.taps().transform(simd, rows.clone(), channels, room, staged),
                );
                for (point, staged) in staged.chunks_exact(taps::POINT).enumerate() {
                    let to = (point * self.channels + first) * LANES;
                    packed[to..to + length].copy_from_slice(&staged[..length]);
                }
            }
        });
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

    pub(super) fn segments(&self, block: usize) -> Vec<Segment> {
        let (together, parts) = self.cut();
        let (down, across) = (self.down(), self.across());
        let first = block / parts * together;
        let part = block % parts;
        let (start, end) = (part * across / parts, (part + 1) * across / parts);
        let rows = first..(first + together).min(self.items * down);
        rows.map(|row| Segment { item: row / down, down: row % down, across: start, count: end - start }).collect()
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
    pub(super) fn finish(
        &self,
        segments: &[Segment],
        rows: Range<usize>,
        target: Disjoint<'_, f32>,
        epilogue: Epilogue<'_, f32>,
    ) {
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

/// A block of tiles, with tiles side by side in a vector.
struct Block<'a> {
    forward: &'a Forward<'a>,
    segments: Vec<Segment>,
    /// Tiles, and those that fill vectors.
    count: usize,
    room: usize,
    /// Tiles whose points lie side by side, so that what a tile of the products reads lies together.
    panel: usize,
    point_size: usize,
}

impl<'a> Block<'a> {
    fn new(forward: &'a Forward<'a>, simd: Simd, block: usize) -> Self {
        let segments = forward.segments(block);
        let count: usize = segments.iter().map(|segment| segment.count).sum();
        let panel = LANES.max(Kernel::of(simd).nr);
        let room = count.next_multiple_of(panel);
        Block { forward, segments, count, room, panel, point_size: forward.channels * room + APART }
    }

    /// Floats of the transformed inputs.
    fn points(&self) -> usize {
        POINTS * self.point_size + NR_MAX
    }

    /// Transforms the inputs of some channels.
    fn inputs(&self, simd: Simd, channels: Range<usize>, points: Disjoint<'_, f32>) {
        let points =
            Points::Tiles { all: points, size: self.point_size, channels: self.forward.channels, panel: self.panel };
        with_scratch(self.forward.input_room(&self.segments), |room| {
            simd.run(
                #[inline(always)]
                || self.forward.inputs(simd, &self.segments, channels, points, room),
            );
        });
    }

    /// The target channels of some panels, from the transformed weights of all, or from those that are transformed here.
    fn multiply(
        &self,
        simd: Simd,
        points: &[f32],
        panels: Range<usize>,
        packed: Option<&[f32]>,
        target: Disjoint<'_, f32>,
    ) {
        let (forward, room) = (self.forward, self.room);
        let panel_size = POINTS * forward.channels * LANES;
        let most = if packed.is_some() { PANELS_KEPT } else { 1 }.min(panels.len());
        let product_size = most * LANES * room + APART;
        let own = if packed.is_none() { most * panel_size } else { 0 };
        with_scratch(POINTS * product_size + TILE * TILE * room + own, |scratch| {
            let (own, scratch) = scratch.split_at_mut(own);
            let (products, staged) = scratch.split_at_mut(POINTS * product_size);
            for first in panels.clone().step_by(most) {
                let some = first..panels.end.min(first + most);
                let packed = match packed {
                    Some(packed) => &packed[some.start * panel_size..],
                    None => {
                        for (panel, to) in some.clone().zip(own.chunks_exact_mut(panel_size)) {
                            forward.weights_of(simd, panel, to);
                        }
                        &*own
                    }
                };
                let rows = some.start * LANES..forward.rows.min(some.end * LANES);
                self.products(Kernel::of(simd), points, packed, rows.len(), (product_size, products));
                simd.run(
                    #[inline(always)]
                    || {
                        let products = (product_size, &*products);
                        forward.outputs(simd, &self.segments, rows.clone(), room, products, staged, target);
                    },
                );
                if let Some(epilogue) = forward.epilogue {
                    forward.finish(&self.segments, rows, target, epilogue);
                }
            }
        });
    }

    /// `products[point][row][tile]`, for so many rows.
    fn products(
        &self,
        kernel: &Kernel,
        points: &[f32],
        packed: &[f32],
        rows: usize,
        (product_size, products): (usize, &mut [f32]),
    ) {
        let (channels, room) = (self.forward.channels, self.room);
        let columns = self.count.next_multiple_of(kernel.width);
        // Even parts of a panel: none lies across two.
        let step = self.panel.div_ceil(self.panel.div_ceil(kernel.nr)).next_multiple_of(kernel.width);
        for point in 0..POINTS {
            for column in (0..columns).step_by(step) {
                let (width, within) = (step.min(columns - column), column & (self.panel - 1));
                let b = &points[point * self.point_size + (column - within) * channels + within..];
                assert!(within + width <= self.panel && (channels - 1) * self.panel + kernel.nr <= b.len());
                for row in (0..rows).step_by(LANES) {
                    let lanes = LANES.min(rows - row);
                    let a = &packed[(row / LANES * POINTS + point) * channels * LANES..][..channels * LANES];
                    // Tiles of even height: a low one would wait for its own sums.
                    let height = lanes.div_ceil(lanes.div_ceil(kernel.mr));
                    for lane in (0..lanes).step_by(height) {
                        let height = height.min(lanes - lane);
                        let c = &mut products[point * product_size + (row + lane) * room + column..];
                        assert!((height - 1) * room + width <= c.len());
                        // SAFETY: the panel of A has `channels` steps of `LANES` rows; B and C hold the tile by the
                        // assertions.
                        unsafe {
                            kernel.tile(
                                (height, width, channels),
                                Factors::strided(a.as_ptr().add(lane), 1, LANES),
                                Rows::even(b.as_ptr(), self.panel),
                                (c.as_mut_ptr(), room),
                                false,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Copies a short row without calling a function for it: by vectors, the last of which lies over the one before.
#[inline(always)]
fn copy_exact(from: &[f32], to: &mut [f32]) {
    let count = to.len();
    macro_rules! by {
        ($size:expr) => {{
            let last = count - $size;
            for at in (0..last).step_by($size).chain([last]) {
                to[at..at + $size].copy_from_slice(&from[at..at + $size]);
            }
        }};
    }
    match count {
        LANES.. => by!(LANES),
        8.. => by!(8),
        TILE.. => by!(TILE),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}
