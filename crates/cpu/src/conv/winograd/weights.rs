//! The weight gradient: for each of the 36 points one product [outputs, tiles] x [tiles, channels].
//!
//! Channels lie side by side in a vector here, so that the transforms write what the product reads. Rows of tiles are
//! taken a few at a time; between them the chains rest in the sums.

use super::transform::{self, Lanes};
use super::{ConvGeometry, LANES, PATCH, POINTS, TILE};
use crate::gemm::{Epilogue, Factors, Kernel, Lines, Rows, SMALL, Tile};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Transformed numbers at a time, in floats: 6 MiB, in the second- and third-level caches.
const AT_A_TIME: usize = 3 << 19;
/// Tiles at a time, at least and at most: the sums pass through memory once for so many.
const TILES: [usize; 2] = [128, 256];

/// Units for each thread.
const UNITS_PER_THREAD: usize = 4;
/// Tiles whose points are gathered in the first-level cache before they are written, point by point.
const TILES_STAGED: usize = 16;

/// One side of the product: planes of a source, their patches transformed.
struct Side<'a> {
    source: &'a [f32],
    planes: usize,
    size: [usize; 2],
    padding: [usize; 2],
    /// Inputs of a tile along one axis: 6 of x, 4 of dy.
    patch: usize,
    /// Lanes of a panel, whole vectors.
    width: usize,
    down: usize,
    across: usize,
}

/// dw, then `epilogue`.
pub(in crate::conv) fn gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let kernel = Kernel::of(machine.simd);
    let ConvGeometry { batch, channels, outputs, input, output, padding, .. } = *geometry;
    let (down, across) = (output[1].div_ceil(TILE), output[2].div_ceil(TILE));
    let of_x = Side {
        source: x,
        planes: channels,
        size: [input[1], input[2]],
        padding: [padding[1], padding[2]],
        patch: PATCH,
        width: if kernel.nr.is_multiple_of(LANES) { kernel.nr } else { LANES },
        down,
        across,
    };
    let of_dy = Side {
        source: dy,
        planes: outputs,
        size: [output[1], output[2]],
        padding: [0, 0],
        patch: TILE,
        width: LANES,
        down,
        across,
    };
    let rows = batch * down;
    let tiles = (AT_A_TIME / (POINTS * (channels + outputs))).clamp(TILES[0], TILES[1]);
    let together = (tiles / across).clamp(1, rows.max(1));
    let columns = channels.next_multiple_of(LANES.max(kernel.width));
    let work = batch * down * across * POINTS * channels * outputs;
    let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
        if work < SMALL { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
    };
    let most = together * across;
    let (x_size, dy_size) = (of_x.panels() * of_x.panel(most), of_dy.panels() * of_dy.panel(most));
    let sums_size = outputs * columns;
    with_scratch(POINTS * (x_size + dy_size + sums_size), |scratch| {
        let (points_x, rest) = scratch.split_at_mut(POINTS * x_size);
        let (points_dy, sums) = rest.split_at_mut(POINTS * dy_size);
        if rows == 0 {
            sums.fill(0.0);
        }
        let all_sums = Disjoint::new(sums);
        for first in (0..rows).step_by(together) {
            let some = first..rows.min(first + together);
            let count = some.len() * across;
            let (all_x, all_dy) = (Disjoint::new(&mut *points_x), Disjoint::new(&mut *points_dy));
            let (vectors_x, vectors_dy) = (of_x.vectors(), of_dy.vectors());
            let parts = (machine.pool.threads() * UNITS_PER_THREAD).div_ceil(vectors_x + vectors_dy).min(some.len());
            each((vectors_x + vectors_dy) * parts, &|unit| {
                let (vector, part) = (unit / parts, unit % parts);
                let (side, all, vector) = match vector.checked_sub(vectors_x) {
                    None => (&of_x, all_x, vector),
                    Some(vector) => (&of_dy, all_dy, vector),
                };
                let (start, end) = (part * some.len() / parts, (part + 1) * some.len() / parts);
                let target = Points { all, panel: side.panel(most), tile: start * across };
                with_scratch((side.patch * side.pitch() + POINTS * TILES_STAGED) * LANES, |scratch| {
                    machine.simd.run(
                        #[inline(always)]
                        || side.transform(machine.simd, first + start..first + end, vector, &target, scratch),
                    );
                });
            });
            let (points_x, points_dy) = (&*points_x, &*points_dy);
            each(POINTS, &|point| {
                let panel = |side: &Side<'_>, panel: usize| (panel * POINTS + point) * side.panel(most);
                for (column, row) in
                    (0..of_x.panels()).flat_map(|column| (0..of_dy.panels()).map(move |row| (column, row)))
                {
                    let (a, b) = (&points_dy[panel(&of_dy, row)..], &points_x[panel(&of_x, column)..]);
                    let (a, b) = (&a[..count * of_dy.width], &b[..count * of_x.width]);
                    let (first_row, first_lane) = (row * of_dy.width, column * of_x.width);
                    let (height, width) = (of_dy.width.min(outputs - first_row), of_x.width.min(columns - first_lane));
                    // Tiles of even size.
                    let (down, across) = (height.div_ceil(kernel.mr), width.div_ceil(kernel.nr));
                    for (i, j) in (0..down).flat_map(|i| (0..across).map(move |j| (i, j))) {
                        let rows = part_of(height, down, i);
                        let lanes = j * width / across..(j + 1) * width / across;
                        let start = point * sums_size + (first_row + rows.start) * columns + first_lane + lanes.start;
                        // SAFETY: the panels have a row for every tile, by their slices; this unit alone touches the
                        // sums of its point, and they have the rows and columns of the tile.
                        unsafe {
                            let c = all_sums.slice(start, (rows.len() - 1) * columns + lanes.len());
                            kernel.tile(
                                (rows.len(), lanes.len(), count),
                                Factors::strided(a.as_ptr().add(rows.start), 1, of_dy.width),
                                Rows::even(b.as_ptr().add(lanes.start), of_x.width),
                                (c.as_mut_ptr(), columns),
                                first > 0,
                            );
                        }
                    }
                }
            });
        }
        let sums = &*sums;
        let dw = Disjoint::new(dw);
        each(outputs, &|output| {
            let length = channels * 9;
            // SAFETY: the outputs of different units are apart.
            let to = unsafe { dw.slice(output * length, length) };
            machine.simd.run(
                #[inline(always)]
                || back(sums, sums_size, output * columns, to),
            );
            if let Some(epilogue) = epilogue {
                // SAFETY: as above, and the slice is not used any more.
                epilogue(unsafe { Tile::new(dw, outputs * length, length, 0, (output, output + 1), (0, length)) });
            }
        });
    });
}

/// `to[channel][tap]` = G^T u G.
#[inline(always)]
fn back(sums: &[f32], sums_size: usize, start: usize, to: &mut [f32]) {
    for (first, to) in to.chunks_mut(9 * LANES).enumerate() {
        let mut rows: [[Lanes; PATCH]; 3] = [[[0.0; LANES]; PATCH]; 3];
        for j in 0..PATCH {
            let mut u: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            for (i, u) in u.iter_mut().enumerate() {
                u.copy_from_slice(&sums[(i * PATCH + j) * sums_size + start + first * LANES..][..LANES]);
            }
            let mut column: [Lanes; 3] = [[0.0; LANES]; 3];
            transform::weight_adjoints(&u, &mut column);
            for i in 0..3 {
                rows[i][j] = column[i];
            }
        }
        let mut taps: [[Lanes; 3]; 3] = [[[0.0; LANES]; 3]; 3];
        for (row, taps) in rows.iter().zip(&mut taps) {
            transform::weight_adjoints(row, taps);
        }
        for (lane, to) in to.chunks_exact_mut(9).enumerate() {
            for (tap, to) in to.iter_mut().enumerate() {
                *to = taps[tap / 3][tap % 3][lane];
            }
        }
    }
}

/// Where one side's points go: `[panel][point][tile][lane]`.
struct Points<'a> {
    all: Disjoint<'a, f32>,
    /// Floats of a panel of one point.
    panel: usize,
    /// First tile.
    tile: usize,
}

impl Side<'_> {
    fn panels(&self) -> usize {
        self.planes.div_ceil(self.width)
    }

    /// Vectors of planes, which are transformed side by side.
    fn vectors(&self) -> usize {
        self.planes.div_ceil(LANES)
    }

    /// Floats of a panel of one point, for so many tiles, and some more: no two points then compete for one place in a cache.
    fn panel(&self, tiles: usize) -> usize {
        tiles * self.width + LANES
    }

    fn pitch(&self) -> usize {
        TILE * self.across + self.patch + self.padding[1] + self.size[1]
    }

    /// Transforms the patches of one vector of planes in the rows of tiles `rows`.
    #[inline(always)]
    fn transform(&self, simd: Simd, rows: Range<usize>, vector: usize, target: &Points<'_>, scratch: &mut [f32]) {
        let ([height, width], pitch) = (self.size, self.pitch());
        let (staged, strip) = scratch.split_at_mut(POINTS * TILES_STAGED * LANES);
        let plane = vector * LANES;
        let count = LANES.min(self.planes - plane);
        strip.fill(0.0);
        let (mut tile, mut waiting) = (target.tile, 0);
        for row in rows {
            let (item, top) = (row / self.down, row % self.down * TILE);
            for i in 0..self.patch {
                let strip = &mut strip[(i * pitch + self.padding[1]) * LANES..][..width * LANES];
                match (top + i).checked_sub(self.padding[0]).filter(|&y| y < height) {
                    None => strip.fill(0.0),
                    Some(y) => {
                        let data = &self.source[((item * self.planes + plane) * height + y) * width..];
                        let lines = Lines { data, stride: height * width, lanes: count, steps: width };
                        lines.pack(simd, LANES, strip);
                    }
                }
            }
            for across in 0..self.across {
                let (corner, staged_here) = (&strip[TILE * across * LANES..], &mut staged[waiting * LANES..]);
                if self.patch == PATCH {
                    patch_of_x(corner, pitch * LANES, staged_here);
                } else {
                    patch_of_dy(corner, pitch * LANES, staged_here);
                }
                waiting += 1;
                if waiting == TILES_STAGED {
                    self.write(staged, plane, tile..tile + waiting, target);
                    (tile, waiting) = (tile + waiting, 0);
                }
            }
        }
        self.write(staged, plane, tile..tile + waiting, target);
    }

    /// Moves the points of some tiles to their panel.
    #[inline(always)]
    fn write(&self, staged: &[f32], plane: usize, tiles: Range<usize>, target: &Points<'_>) {
        let (panel, lane) = (plane / self.width, plane % self.width);
        for (point, staged) in staged.chunks_exact(TILES_STAGED * LANES).enumerate() {
            let start = (panel * POINTS + point) * target.panel + lane;
            for (tile, staged) in tiles.clone().zip(staged.as_chunks::<LANES>().0) {
                // SAFETY: units have planes or tiles of their own, and so other places of the panels.
                unsafe { target.all.slice(start + tile * self.width, LANES) }.copy_from_slice(staged);
            }
        }
    }
}

/// One patch of inputs, with rows `pitch` apart, to its place among the staged 6 x 6 points: columns, then rows.
macro_rules! patch {
    ($name:ident, $transform:ident, $n:expr) => {
        #[inline(always)]
        #[allow(clippy::needless_range_loop)]
        fn $name(corner: &[f32], pitch: usize, staged: &mut [f32]) {
            let mut columns: [[Lanes; $n]; PATCH] = [[[0.0; LANES]; $n]; PATCH];
            for j in 0..$n {
                let mut d: [Lanes; $n] = [[0.0; LANES]; $n];
                for i in 0..$n {
                    d[i].copy_from_slice(&corner[i * pitch + j * LANES..][..LANES]);
                }
                let mut v: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
                transform::$transform(&d, &mut v);
                for i in 0..PATCH {
                    columns[i][j] = v[i];
                }
            }
            for i in 0..PATCH {
                let mut v: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
                transform::$transform(&columns[i], &mut v);
                for j in 0..PATCH {
                    staged[(i * PATCH + j) * TILES_STAGED * LANES..][..LANES].copy_from_slice(&v[j]);
                }
            }
        }
    };
}

patch!(patch_of_x, inputs, PATCH);
patch!(patch_of_dy, output_adjoints, TILE);
