//! Depthwise convolution: one input channel for each group, so there is nothing for a matrix product to share.
//!
//! Each plane is copied once onto a canvas; then every kernel position is a plain shift: along rows here, over 16 planes abreast where
//! they are small. The chains are those of the specification.

use super::ConvGeometry;
use super::abreast::{self, ABREAST, Drawn};
use super::canvas::Canvas;
use super::correlate::{SLACK, correlate};
use super::phases::{self, Frame, phases, spread};
use crate::gemm::{Epilogue, Lines, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// With more output channels than this for one input channel, the matrix product is as good.
const OUTPUTS_MOST: usize = 4;
/// Numbers that a unit of work computes, if a channel has fewer: to begin one costs as much as a hundred.
const UNIT: usize = 4096;
/// Numbers of the canvases of a unit, which are drawn before any of them is read, since a vector made of two that have just been
/// stored has to wait for them: 64 KiB.
const DRAWN: usize = 1 << 14;
/// Kernel positions whose sums the weight gradient keeps in registers: a 3 x 3 kernel.
const TAPS: usize = 9;

/// Whether this room serves the convolution. A function of the shape alone (and the bits are the same either way).
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    geometry.group_channels() == 1 && (1..=OUTPUTS_MOST).contains(&geometry.group_outputs()) && geometry.taps() > 0
}

/// Tiles of the epilogue: rows are the planes of several groups that follow each other.
pub(super) fn forward(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    if abreast::suits(geometry) {
        return abreast::forward(machine, geometry, x, w, y, epilogue);
    }
    let canvas = Canvas::forward(geometry, true);
    let (outputs, taps) = (geometry.group_outputs(), geometry.taps());
    let (plane, positions, room) = (geometry.input_positions(), geometry.output_positions(), canvas.room(SLACK));
    units(machine, geometry, y, (outputs, positions), room, epilogue, |first, y| {
        let size = outputs * positions;
        with_scratch(y.len() / size * room, |drawn| {
            drawn.fill(0.0);
            for (x, drawn) in x[first * plane..].chunks_exact(plane.max(1)).zip(drawn.chunks_exact_mut(room)) {
                canvas.draw(machine.simd, x, drawn);
            }
            for ((channel, drawn), y) in (first..).zip(drawn.chunks_exact(room)).zip(y.chunks_exact_mut(size)) {
                let w = &w[channel % geometry.groups * outputs * taps..];
                for (y, w) in y.chunks_exact_mut(positions).zip(w.chunks_exact(taps)) {
                    correlate(machine.simd, canvas.grid(), drawn, w, &canvas.taps, y);
                }
            }
        });
    });
}

/// Calls `unit(first, part)` for parts of `target`, from the group `first` of all samples on, which has `rows` planes, and then
/// `epilogue`. A unit draws `drawn` numbers for each of its groups.
fn units(
    machine: &Machine,
    geometry: &ConvGeometry,
    target: &mut [f32],
    (rows, plane): (usize, usize),
    drawn: usize,
    epilogue: Option<Epilogue<'_, f32>>,
    unit: impl Fn(usize, &mut [f32]) + Sync,
) {
    let (groups, size) = (geometry.batch * geometry.groups, rows * plane);
    if size == 0 {
        return;
    }
    let together = (UNIT / size).min(DRAWN / drawn.max(1)).min(groups.div_ceil(4 * machine.pool.threads())).max(1);
    let all = Disjoint::new(target);
    machine.pool.run(groups.div_ceil(together), |number| {
        let first = number * together;
        let count = together.min(groups - first);
        // SAFETY: the groups of different units are apart.
        unit(first, unsafe { all.slice(first * size, count * size) });
        if let Some(epilogue) = epilogue {
            // SAFETY: this unit alone touches its groups, and the slice above is not used any more.
            epilogue(unsafe { Tile::new(all, size, plane, first, (0, count * rows), (0, plane)) });
        }
    });
}

pub(super) fn input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    if abreast::suits_input_gradient(geometry) {
        return abreast::input_gradient(machine, geometry, w, dy, dx, epilogue);
    }
    if phases::suits(geometry) {
        return strided_input_gradient(machine, geometry, w, dy, dx, epilogue);
    }
    let canvas = Canvas::backward(geometry);
    let (outputs, taps) = (geometry.group_outputs(), geometry.taps());
    let positions = geometry.output_positions();
    // The chain runs over the outputs too: their canvases lie one after the other.
    let starts = (0..outputs).map(|output| output * canvas.room(SLACK));
    let all_taps: Vec<usize> = starts.flat_map(|start| canvas.taps.iter().map(move |tap| start + tap)).collect();
    let (plane, room) = (geometry.input_positions(), canvas.room(SLACK));
    units(machine, geometry, dx, (1, plane), outputs * room, epilogue, |first, dx| {
        with_scratch(dx.len() / plane * outputs * room, |drawn| {
            drawn.fill(0.0);
            let dy = dy[first * outputs * positions..].chunks_exact(positions.max(1));
            for (dy, drawn) in dy.zip(drawn.chunks_exact_mut(room)) {
                canvas.draw(machine.simd, dy, drawn);
            }
            let drawn = drawn.chunks_exact(outputs * room);
            for ((channel, drawn), dx) in (first..).zip(drawn).zip(dx.chunks_exact_mut(plane)) {
                let w = &w[channel % geometry.groups * outputs * taps..][..outputs * taps];
                correlate(machine.simd, canvas.grid(), drawn, w, &all_taps, dx);
            }
        });
    });
}

/// The same where the stride is above 1: phase by phase.
fn strided_input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let (outputs, taps) = (geometry.group_outputs(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let frame = Frame::new(geometry);
    let phases = phases(geometry, &frame);
    units(machine, geometry, dx, (1, plane), 0, epilogue, |first, dx| {
        with_scratch(outputs * frame.plane() + SLACK + plane + outputs * taps, |room| {
            let (room, rest) = room.split_at_mut(outputs * frame.plane() + SLACK);
            let (found, factors) = rest.split_at_mut(plane);
            room.fill(0.0);
            for (channel, dx) in (first..).zip(dx.chunks_exact_mut(plane)) {
                let w = &w[channel % geometry.groups * outputs * taps..][..outputs * taps];
                for (output, room) in room.chunks_exact_mut(frame.plane()).take(outputs).enumerate() {
                    frame.draw(
                        machine.simd,
                        geometry.output,
                        &dy[(channel * outputs + output) * positions..][..positions],
                        room,
                    );
                }
                for phase in &phases {
                    let grid = phase.grid(&frame);
                    let factors = &mut factors[..phase.shifts.len()];
                    for (w, factors) in w.chunks_exact(taps).zip(factors.chunks_mut(phase.taps.len().max(1))) {
                        factors.iter_mut().zip(&phase.taps).for_each(|(factor, tap)| *factor = w[*tap]);
                    }
                    let found = &mut found[phase.positions_before..][..grid.size.iter().product()];
                    correlate(machine.simd, grid, room, factors, &phase.shifts, found);
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
    let planes = Drawn { positions: plane, size: canvas.room(0), runs: canvas.runs().collect() };
    let all = Disjoint::new(dw);
    machine.pool.run(groups.div_ceil(ABREAST), |unit| {
        let first = unit * ABREAST;
        let channels = ABREAST.min(groups - first);
        // SAFETY: the channels of different units are apart.
        let dw = unsafe { all.slice(first * outputs * taps, channels * outputs * taps) };
        // Everything is interleaved: element i of channel c lies at i * ABREAST + c.
        let sums = outputs * taps * ABREAST;
        with_scratch(ABREAST * (canvas.room(0) + positions) + planes.turned() + sums, |room| {
            let (sums, room) = room.split_at_mut(sums);
            let (drawn, room) = room.split_at_mut(ABREAST * canvas.room(0));
            let (slopes, turned) = room.split_at_mut(ABREAST * positions);
            sums.fill(0.0);
            drawn.fill(0.0);
            for sample in 0..geometry.batch {
                let x = &x[(sample * groups + first) * plane..];
                planes.draw(machine.simd, x, channels, turned, drawn);
                for output in 0..outputs {
                    let dy = &dy[((sample * groups + first) * outputs + output) * positions..];
                    let lines = Lines { data: dy, stride: outputs * positions, lanes: channels, steps: positions };
                    lines.pack(machine.simd, ABREAST, slopes);
                    let sums = &mut sums[output * taps * ABREAST..][..taps * ABREAST];
                    machine.simd.run(
                        #[inline(always)]
                        || canvas.correlate_channels(drawn, slopes, sums),
                    );
                }
            }
            for (c, dw) in dw.chunks_exact_mut(outputs * taps).enumerate() {
                dw.iter_mut().enumerate().for_each(|(i, dw)| *dw = sums[i * ABREAST + c]);
            }
        });
    });
}

impl Canvas {
    /// sums[tap] = fma(slopes[p], canvas[start(p) + tap], sums[tap]), p after p, for `ABREAST` channels side by side.
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
        canvas: &[[f32; ABREAST]],
        slopes: &[[f32; ABREAST]],
        taps: &[usize; N],
        sums: &mut [[f32; ABREAST]; N],
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
                        for c in 0..ABREAST {
                            local[t][c] = slope[c].mul_add(values[c], local[t][c]);
                        }
                    }
                }
            }
        }
        *sums = local;
    }
}
