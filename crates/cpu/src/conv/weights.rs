//! The weight gradient without im2col: the product is computed transposed, (channel, tap) x output channel.
//!
//! Then the image supplies single factors, which the kernel reads where they lie on a canvas, and only dy, the smaller
//! operand, is packed. Samples are taken a few at a time; between them the chains rest in the sums.

use super::ConvGeometry;
use super::canvas::Canvas;
use crate::gemm::{Factors, Kernel, Lines, Rows, SMALL};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;

/// Canvases and packed dy of the samples taken at a time, for two threads: about this many floats, 512 KiB, which second-level caches
/// hold. More for more threads, which would meet too often.
const AT_A_TIME: usize = 1 << 17;
/// Steps of k in a block: 512 x 32 floats of dy, 64 KiB, are read again for every 14 rows of the sums.
const KC: usize = 512;
/// Units for each thread.
const UNITS_PER_THREAD: usize = 4;

/// Tiles of a unit, if there are enough for all threads.
const TILES: usize = 3;

/// With more output channels than this, packing the patches pays: 71 against 86 GFLOP/s at 64, 74 against 31 at 16.
const OUTPUTS_MOST: usize = 32;
/// A 1 x 1 kernel has no patches: with more input channels than this, x is packed once and read by all outputs.
const CHANNELS_MOST: usize = 32;

/// Whether this is the faster way. The bits are the same either way.
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    let patches = !geometry.is_pointwise() || geometry.group_channels() <= CHANNELS_MOST;
    geometry.group_outputs() <= OUTPUTS_MOST
        && patches
        && geometry.batch * geometry.output_positions() * geometry.group_channels() * geometry.taps() > 0
        && geometry.group_outputs() > 0
}

pub(super) fn gradient(machine: &Machine, geometry: &ConvGeometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let kernel = Kernel::of(machine.simd);
    let canvas = Canvas::forward(geometry, false);
    let (outputs, channels, groups) = (geometry.group_outputs(), geometry.group_channels(), geometry.groups);
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let room = canvas.room(0);
    let rows: Vec<usize> = (0..channels).flat_map(|c| canvas.taps.iter().map(move |tap| c * room + tap)).collect();
    let panels = outputs.div_ceil(kernel.nr);
    let columns = outputs.next_multiple_of(kernel.width);
    let work = (dw.len() * geometry.batch).saturating_mul(positions);
    let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
        if work < SMALL { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
    };

    let drawn_size = geometry.channels * room;
    let slopes_size = groups * columns * positions;
    let threads = machine.pool.threads();
    let samples = (AT_A_TIME * threads.max(2) / 2 / (drawn_size + slopes_size)).clamp(1, geometry.batch);
    let places = (0..positions).map(|p| canvas.start(super::places::coordinates(p, geometry.output)));
    let places: Vec<usize> = places.collect();
    let steps: Vec<usize> = (0..samples).flat_map(|s| places.iter().map(move |place| s * drawn_size + place)).collect();
    // Rows of the sums in a tile: as even as can be, since a short tile waits for its own sums as long as a full one. Where there
    // are few tiles, as many for each thread.
    let most = kernel.rows(columns.min(kernel.nr));
    let tiles = rows.len().div_ceil(most);
    let wanted = (threads * UNITS_PER_THREAD).div_ceil(groups * panels);
    let tiles = if tiles < wanted { tiles.next_multiple_of(threads).min(rows.len()) } else { tiles };
    let tile = |number: usize| part_of(rows.len(), tiles, number);
    // A unit fetches all of dy: for several tiles, as long as there are units for each thread, and as many.
    let several = (tiles / TILES).max(1).next_multiple_of(threads.div_ceil(groups * panels));
    let down = wanted.min(several).min(tiles);

    let sums_size = groups * rows.len() * columns;
    with_scratch(sums_size + samples * (drawn_size + slopes_size), |scratch| {
        let (drawn, rest) = scratch.split_at_mut(samples * drawn_size);
        let (slopes, sums) = rest.split_at_mut(samples * slopes_size);
        drawn.fill(0.0);
        let all_sums = Disjoint::new(sums);
        for first in (0..geometry.batch).step_by(samples) {
            let count = samples.min(geometry.batch - first);
            let k = count * positions;
            let (all_drawn, all_slopes) = (Disjoint::new(&mut *drawn), Disjoint::new(&mut *slopes));
            let draws = count * geometry.channels;
            each(draws + groups * panels * count, &|unit| {
                if let Some(unit) = unit.checked_sub(draws) {
                    let (panel, sample) = (unit / count, unit % count);
                    let (group, lane) = (panel / panels, panel % panels * kernel.nr);
                    let width = kernel.nr.min(columns - lane);
                    let start = (group * columns + lane) * k + sample * positions * width;
                    // SAFETY: the panels of different units are apart.
                    let panel = unsafe { all_slopes.slice(start, positions * width) };
                    let from = ((first + sample) * geometry.outputs + group * outputs + lane) * positions;
                    let lanes = kernel.nr.min(outputs - lane);
                    let lines = Lines { data: &dy[from..], stride: positions, lanes, steps: positions };
                    // (Sums of lanes that are not there are not read.)
                    lines.pack_whole(machine.simd, width, panel);
                } else {
                    // SAFETY: the canvases of different units are apart.
                    let to = unsafe { all_drawn.slice(unit * room, room) };
                    canvas.draw(machine.simd, &x[(first * geometry.channels + unit) * plane..][..plane], to);
                }
            });
            let (drawn, slopes) = (&*drawn, &*slopes);
            each(groups * panels * down, &|unit| {
                let (panel, part) = (unit / down, unit % down);
                let (group, column) = (panel / panels, panel % panels * kernel.nr);
                let all_rows = rows.len();
                let tiles = part_of(tiles, down, part);
                let width = kernel.nr.min(columns - column);
                let slopes = &slopes[(group * columns + column) * k..][..width * k];
                let image = &drawn[group * channels * room..];
                let last = |places: &[usize]| places.iter().max().copied().unwrap_or(0);
                assert!(last(&rows) + last(&steps[..k]) < image.len());
                for k0 in (0..k).step_by(KC) {
                    let steps = &steps[k0..k.min(k0 + KC)];
                    for tile in tiles.clone().map(tile) {
                        let (row, rows) = (tile.start, &rows[tile]);
                        // SAFETY: every factor is in the image by the assertion above; the panel has a row for every
                        // step; this unit alone touches its rows and columns of the sums.
                        unsafe {
                            let c = all_sums.slice((group * all_rows + row) * columns + column, width);
                            let a = Factors::scattered(image.as_ptr(), rows, steps);
                            let b = Rows::even(slopes.as_ptr().add(k0 * width), width);
                            let size = (rows.len(), width, steps.len());
                            kernel.tile(size, a, b, (c.as_mut_ptr(), columns), first + k0 > 0);
                        }
                    }
                }
            });
        }
        let sums = &*sums;
        let dw = Disjoint::new(dw);
        let outputs_at_a_time = 8;
        let parts = outputs.div_ceil(outputs_at_a_time);
        each(groups * parts, &|unit| {
            let (group, output) = (unit / parts, unit % parts * outputs_at_a_time);
            let count = outputs_at_a_time.min(outputs - output);
            let start = (group * outputs + output) * rows.len();
            // SAFETY: the outputs of different units are apart.
            let to = unsafe { dw.slice(start, count * rows.len()) };
            let sums = &sums[group * rows.len() * columns + output..];
            let lines = Lines { data: sums, stride: columns, lanes: rows.len(), steps: count };
            lines.pack(machine.simd, rows.len(), to);
        });
    });
}
