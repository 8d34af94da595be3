//! Depthwise convolution: one input channel for each group, so there is nothing for a matrix product to share.
//!
//! Each plane is copied once onto a canvas; then every kernel position is a plain shift. The chains are those of the specification.

use super::ConvGeometry;
use super::canvas::{Canvas, Grid};
use super::phases::{Frame, phases, spread};
use super::weave::copy_short;
use crate::gemm::Lines;
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// With more output channels than this for one input channel, the matrix product is as good.
const OUTPUTS_MOST: usize = 4;
/// Positions that are summed at a time, in registers: for rows that long, and for shorter ones.
const WIDE: usize = 32;
const NARROW: usize = 16;
/// Sums at a time, of several rows: enough chains of multiply-adds that none waits for itself (5 x 5 over 14 x 14, twice as fast).
const SUMS: usize = 64;
/// Numbers that a unit of work computes, if a channel has fewer: to begin one costs as much as a hundred.
const UNIT: usize = 4096;
/// Channels that the weight gradient takes at a time, one for each lane of a vector.
const CHANNELS: usize = 16;
/// Kernel positions whose sums the weight gradient keeps in registers: a 3 x 3 kernel.
const TAPS: usize = 9;

/// Whether this room serves the convolution. A function of the shape alone (and the bits are the same either way).
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    geometry.group_channels() == 1 && (1..=OUTPUTS_MOST).contains(&geometry.group_outputs()) && geometry.taps() > 0
}

pub(super) fn forward(machine: &Machine, geometry: &ConvGeometry, x: &[f32], w: &[f32], y: &mut [f32]) {
    let canvas = Canvas::forward(geometry, true);
    let (outputs, taps) = (geometry.group_outputs(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let size = (outputs * positions).max(1);
    let together = together(machine, geometry, size);
    machine.pool.chunks(y, together * size, |unit, y| {
        with_scratch(canvas.room(WIDE), |room| {
            room.fill(0.0);
            for (channel, y) in (unit * together..).zip(y.chunks_exact_mut(size)) {
                let w = &w[channel % geometry.groups * outputs * taps..];
                canvas.draw(&x[channel * plane..][..plane], room);
                for (y, w) in y.chunks_exact_mut(positions).zip(w.chunks_exact(taps)) {
                    machine.simd.run(
                        #[inline(always)]
                        || correlate(canvas.grid(), room, w, &canvas.taps, y),
                    );
                }
            }
        });
    });
}

/// Channels of samples that a unit of work computes, of `size` numbers each.
fn together(machine: &Machine, geometry: &ConvGeometry, size: usize) -> usize {
    let each = (geometry.batch * geometry.groups).div_ceil(4 * machine.pool.threads());
    (UNIT / size).min(each).max(1)
}

pub(super) fn input_gradient(machine: &Machine, geometry: &ConvGeometry, w: &[f32], dy: &[f32], dx: &mut [f32]) {
    let canvas = Canvas::backward(geometry);
    let (outputs, taps) = (geometry.group_outputs(), geometry.taps());
    let positions = geometry.output_positions();
    // The chain runs over the outputs too: their canvases lie one after the other.
    let starts = (0..outputs).map(|output| output * canvas.room(WIDE));
    let all_taps: Vec<usize> = starts.flat_map(|start| canvas.taps.iter().map(move |tap| start + tap)).collect();
    let plane = geometry.input_positions().max(1);
    let together = together(machine, geometry, plane);
    machine.pool.chunks(dx, together * plane, |unit, dx| {
        with_scratch(outputs * canvas.room(WIDE), |room| {
            room.fill(0.0);
            for (channel, dx) in (unit * together..).zip(dx.chunks_exact_mut(plane)) {
                let w = &w[channel % geometry.groups * outputs * taps..][..outputs * taps];
                for (output, room) in room.chunks_exact_mut(canvas.room(WIDE)).enumerate() {
                    canvas.draw(&dy[(channel * outputs + output) * positions..][..positions], room);
                }
                machine.simd.run(
                    #[inline(always)]
                    || correlate(canvas.grid(), room, w, &all_taps, dx),
                );
            }
        });
    });
}

/// The same where the stride is above 1: phase by phase.
pub(super) fn strided_input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    let (outputs, taps) = (geometry.group_outputs(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let frame = Frame::new(geometry);
    let phases = phases(geometry, &frame);
    let together = together(machine, geometry, plane.max(1));
    machine.pool.chunks(dx, together * plane, |unit, dx| {
        with_scratch(outputs * frame.plane() + WIDE + plane + outputs * taps, |room| {
            let (room, rest) = room.split_at_mut(outputs * frame.plane() + WIDE);
            let (found, factors) = rest.split_at_mut(plane);
            room.fill(0.0);
            for (channel, dx) in (unit * together..).zip(dx.chunks_exact_mut(plane)) {
                let w = &w[channel % geometry.groups * outputs * taps..][..outputs * taps];
                for (output, room) in room.chunks_exact_mut(frame.plane()).take(outputs).enumerate() {
                    frame.draw(geometry.output, &dy[(channel * outputs + output) * positions..][..positions], room);
                }
                for phase in &phases {
                    let grid = phase.grid(&frame);
                    let factors = &mut factors[..phase.shifts.len()];
                    for (w, factors) in w.chunks_exact(taps).zip(factors.chunks_mut(phase.taps.len().max(1))) {
                        factors.iter_mut().zip(&phase.taps).for_each(|(factor, tap)| *factor = w[*tap]);
                    }
                    let found = &mut found[phase.positions_before..][..grid.size.iter().product()];
                    machine.simd.run(
                        #[inline(always)]
                        || correlate(grid, room, factors, &phase.shifts, found),
                    );
                }
                machine.simd.run(
                    #[inline(always)]
                    || spread(geometry, &phases, |phase| &found[phase.positions_before..], dx),
                );
            }
        });
    });
}

pub(super) fn weight_gradient(machine: &Machine, geometry: &ConvGeometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let canvas = Canvas::forward(geometry, false);
    let (outputs, taps, groups) = (geometry.group_outputs(), geometry.taps(), geometry.groups);
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let all = Disjoint::new(dw);
    machine.pool.run(groups.div_ceil(CHANNELS), |unit| {
        let first = unit * CHANNELS;
        let channels = CHANNELS.min(groups - first);
        // SAFETY: the channels of different units are apart.
        let dw = unsafe { all.slice(first * outputs * taps, channels * outputs * taps) };
        // Everything is interleaved: element i of channel c lies at i * CHANNELS + c.
        let sums = outputs * taps * CHANNELS;
        with_scratch(CHANNELS * (canvas.room(WIDE) + positions) + sums, |room| {
            let (sums, room) = room.split_at_mut(sums);
            let (drawn, slopes) = room.split_at_mut(CHANNELS * canvas.room(WIDE));
            sums.fill(0.0);
            drawn.fill(0.0);
            for sample in 0..geometry.batch {
                let x = &x[(sample * groups + first) * plane..];
                canvas.draw_planes(machine.simd, x, plane, channels, CHANNELS, drawn);
                for output in 0..outputs {
                    let dy = &dy[((sample * groups + first) * outputs + output) * positions..];
                    let lines = Lines { data: dy, stride: outputs * positions, lanes: channels, steps: positions };
                    lines.pack(machine.simd, CHANNELS, slopes);
                    let sums = &mut sums[output * taps * CHANNELS..][..taps * CHANNELS];
                    machine.simd.run(
                        #[inline(always)]
                        || canvas.correlate_channels(drawn, slopes, sums),
                    );
                }
            }
            for (c, dw) in dw.chunks_exact_mut(outputs * taps).enumerate() {
                dw.iter_mut().enumerate().for_each(|(i, dw)| *dw = sums[i * CHANNELS + c]);
            }
        });
    });
}

/// y[p] = chain of w[i] * canvas[start(p) + taps[i]], where neighbours are neighbours on the canvas.
#[inline(always)]
fn correlate(grid: Grid, canvas: &[f32], w: &[f32], taps: &[usize], y: &mut [f32]) {
    if grid.size[2] < WIDE {
        correlate_rows::<NARROW, { SUMS / NARROW }>(grid, canvas, w, taps, y);
    } else {
        correlate_rows::<WIDE, { SUMS / WIDE }>(grid, canvas, w, taps, y);
    }
}

#[inline(always)]
fn correlate_rows<const LANES: usize, const ROWS: usize>(
    grid: Grid,
    canvas: &[f32],
    w: &[f32],
    taps: &[usize],
    y: &mut [f32],
) {
    let [depths, heights, width] = grid.size;
    for depth in 0..depths {
        let from = &canvas[grid.start + depth * grid.steps[0]..];
        let y = &mut y[depth * heights * width..][..heights * width];
        let together = heights / ROWS * ROWS;
        for height in (0..together).step_by(ROWS) {
            let (from, y) = (&from[height * grid.steps[1]..], &mut y[height * width..]);
            correlate_strip::<LANES, ROWS>((from, grid.steps[1]), w, taps, width, y);
        }
        for height in together..heights {
            let (from, y) = (&from[height * grid.steps[1]..], &mut y[height * width..]);
            correlate_strip::<LANES, 1>((from, grid.steps[1]), w, taps, width, y);
        }
    }
}

/// Some rows of `width`, which begin `step` apart on the canvas.
#[inline(always)]
fn correlate_strip<const LANES: usize, const ROWS: usize>(
    (from, step): (&[f32], usize),
    w: &[f32],
    taps: &[usize],
    width: usize,
    y: &mut [f32],
) {
    let mut start = 0;
    while start < width {
        // The last lanes of a long row are computed where they still fit, some of them twice.
        let first = if width < LANES { 0 } else { start.min(width - LANES) };
        let mut sums = [[0.0; LANES]; ROWS];
        for (&w, &tap) in w.iter().zip(taps) {
            let values = &from[first + tap..];
            for row in 0..ROWS {
                // (As an array: slices of a length known only to us keep the sums out of registers, ten times slower.)
                let values = &values[row * step..].as_chunks::<LANES>().0[0];
                for lane in 0..LANES {
                    sums[row][lane] = w.mul_add(values[lane], sums[row][lane]);
                }
            }
        }
        for row in 0..ROWS {
            let done = sums[row];
            copy_short(&mut y[row * width + first..][..LANES.min(width - first)], &done);
        }
        start = first + LANES;
    }
}

impl Canvas {
    /// sums[tap] = fma(slopes[p], canvas[start(p) + tap], sums[tap]), p after p, for `CHANNELS` channels side by side.
    #[inline(always)]
    fn correlate_channels(&self, canvas: &[f32], slopes: &[f32], sums: &mut [f32]) {
        let (canvas, slopes) = (canvas.as_chunks().0, slopes.as_chunks().0);
        let sums = sums.as_chunks_mut().0.chunks_mut(TAPS);
        for (taps, sums) in self.taps.chunks(TAPS).zip(sums) {
            match (taps.first_chunk::<TAPS>(), sums.first_chunk_mut::<TAPS>()) {
                (Some(taps), Some(sums)) => self.correlate_taps(canvas, slopes, taps, sums),
                _ => {
                    for (tap, sums) in taps.iter().zip(sums) {
                        self.correlate_taps(canvas, slopes, &[*tap], std::array::from_mut(sums));
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn correlate_taps<const N: usize>(
        &self,
        canvas: &[[f32; CHANNELS]],
        slopes: &[[f32; CHANNELS]],
        taps: &[usize; N],
        sums: &mut [[f32; CHANNELS]; N],
    ) {
        let [depths, heights, width] = self.target;
        let mut local = *sums;
        for depth in 0..depths {
            for height in 0..heights {
                let row = &canvas[self.start([depth, height, 0])..];
                let slopes = &slopes[(depth * heights + height) * width..][..width];
                for (p, slope) in slopes.iter().enumerate() {
                    let row = &row[p * self.column_step()..];
                    for t in 0..N {
                        let values = &row[taps[t]];
                        for c in 0..CHANNELS {
                            local[t][c] = slope[c].mul_add(values[c], local[t][c]);
                        }
                    }
                }
            }
        }
        *sums = local;
    }
}
