//! The input gradient of a strided convolution: one small convolution with stride 1 for each phase.
//!
//! An input position q looks through kernel position t at an output position only where `q + padding - t * dilation` is a
//! multiple of the stride. So the positions of one phase, `(q + padding) % stride`, share their kernel positions, and
//! neighbours of a phase look at neighbours of dy. What is not whole is not computed: stride^2 times less work.

use super::canvas::{Grid, each};
use super::places::coordinates;
use super::shifted::{Patches, samples_at_a_time};
use super::{ConvGeometry, direct, weave};
use crate::copy::copy_short;
use crate::gemm::{Epilogue, Job, Kernel, Lines, NR_MAX, Panels, Strided, Tile, run};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::Simd;

/// Whether this room serves the input gradient.
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    geometry.stride != [1; 3]
}

/// Input positions of one phase.
pub(super) struct Phase {
    /// Of the first position, along each axis.
    first: [usize; 3],
    /// Positions along each axis.
    count: [usize; 3],
    /// Kernel positions that they look through.
    pub taps: Vec<usize>,
    /// For each (output channel, kernel position) of the chain: from a position's place on the canvas.
    pub shifts: Vec<usize>,
    /// Place on the canvas of the first position, less what the shifts add.
    start: usize,
    /// Chains of the phases before it, all their steps.
    steps_before: usize,
    /// Positions of the phases before it.
    pub positions_before: usize,
}

/// The planes of dy with zeros around them.
pub(super) struct Frame {
    size: [usize; 3],
    before: [usize; 3],
}

impl Frame {
    pub fn new(geometry: &ConvGeometry) -> Frame {
        let ConvGeometry { input, kernel, output, stride, padding, dilation, .. } = *geometry;
        let before = [0, 1, 2].map(|a| (kernel[a].max(1) - 1) * dilation[a] / stride[a]);
        let size = [0, 1, 2].map(|a| before[a] + output[a].max((input[a].max(1) - 1 + padding[a]) / stride[a] + 1));
        Frame { size, before }
    }

    pub fn plane(&self) -> usize {
        self.size.iter().product()
    }

    fn place(&self, at: [usize; 3]) -> usize {
        (at[0] * self.size[1] + at[1]) * self.size[2] + at[2]
    }

    /// For each row of a plane of dy: where it goes, where it comes from and its length.
    #[inline(always)]
    pub fn rows(&self, output: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..output[0] * output[1]).map(move |row| {
            let at = [row / output[1] + self.before[0], row % output[1] + self.before[1], self.before[2]];
            (self.place(at), row * output[2], output[2])
        })
    }

    pub fn draw(&self, simd: Simd, output: [usize; 3], plane: &[f32], canvas: &mut [f32]) {
        simd.run(
            #[inline(always)]
            || {
                for (to, from, count) in self.rows(output) {
                    copy_short(&mut canvas[to..][..count], &plane[from..]);
                }
            },
        );
    }
}

pub(super) fn phases(geometry: &ConvGeometry, frame: &Frame) -> Vec<Phase> {
    let ConvGeometry { input, kernel, stride, padding, dilation, .. } = *geometry;
    let mut all = Vec::new();
    let (mut steps_before, mut positions_before) = (0, 0);
    for residue in 0..stride.iter().product() {
        let residue = coordinates(residue, stride);
        let first = [0, 1, 2].map(|a| (residue[a] + stride[a] - padding[a] % stride[a]) % stride[a]);
        let count = [0, 1, 2].map(|a| input[a].saturating_sub(first[a]).div_ceil(stride[a]));
        if count.contains(&0) {
            continue;
        }
        let whole = |tap: &usize| {
            let tap = coordinates(*tap, kernel);
            (0..3).all(|a| tap[a] * dilation[a] % stride[a] == residue[a])
        };
        let taps: Vec<usize> = (0..geometry.taps()).filter(whole).collect();
        // Place of the first position under the last tap: shifts count from there.
        let back = |tap: usize| {
            let tap = coordinates(tap, kernel);
            frame.place([0, 1, 2].map(|a| tap[a] * dilation[a] / stride[a]))
        };
        let most = taps.iter().map(|&tap| back(tap)).max().unwrap_or(0);
        let start = frame.place([0, 1, 2].map(|a| (first[a] + padding[a]) / stride[a] + frame.before[a])) - most;
        let shifts: Vec<usize> = (0..geometry.group_outputs())
            .flat_map(|o| taps.iter().map(move |&tap| o * frame.plane() + most - back(tap)))
            .collect();
        let (steps, positions) = (shifts.len(), count.iter().product::<usize>());
        all.push(Phase { first, count, taps, shifts, start, steps_before, positions_before });
        steps_before += steps;
        positions_before += positions;
    }
    all
}

/// dx, then `epilogue` on the channels of each sample and group.
pub(super) fn input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    if dx.is_empty() {
        return;
    }
    let (outputs, channels) = (geometry.group_outputs(), geometry.group_channels());
    let (plane, positions, groups) = (geometry.input_positions(), geometry.output_positions(), geometry.groups);
    let frame = Frame::new(geometry);
    let phases = phases(geometry, &frame);
    let steps: usize = phases.iter().map(|phase| phase.shifts.len()).sum();
    let drawn_size = outputs * frame.plane();
    let samples = samples_at_a_time(groups * (drawn_size + channels * plane), geometry.batch);
    let items = samples * groups;
    with_scratch(items * drawn_size + NR_MAX + items * channels * plane + groups * steps * channels, |scratch| {
        let (weights, rest) = scratch.split_at_mut(groups * steps * channels);
        let (found, drawn) = rest.split_at_mut(items * channels * plane);
        rearrange(machine, geometry, &phases, w, weights);
        drawn.fill(0.0);
        let dx = Disjoint::new(dx);
        for first in (0..geometry.batch * groups).step_by(items) {
            let count = items.min(geometry.batch * groups - first);
            let canvases = Disjoint::new(&mut *drawn);
            each(machine, count * outputs, frame.plane(), |output| {
                // SAFETY: the canvases of different planes are apart.
                let canvas = unsafe { canvases.slice(output * frame.plane(), frame.plane()) };
                frame.draw(
                    machine.simd,
                    geometry.output,
                    &dy[(first * outputs + output) * positions..][..positions],
                    canvas,
                );
            });
            for phase in &phases {
                phase.run(machine, geometry, &frame, (weights, drawn), (count, found));
            }
            each(machine, count * channels, plane, |number| {
                let at = first * channels + number;
                // SAFETY: the planes of different units are apart.
                let target = unsafe { dx.slice(at * plane, plane) };
                machine.simd.run(
                    #[inline(always)]
                    || {
                        let start = |phase: &Phase| {
                            items * channels * phase.positions_before + number * phase.count.iter().product::<usize>()
                        };
                        spread(geometry, &phases, |phase| &found[start(phase)..], target)
                    },
                );
                if let Some(epilogue) = epilogue {
                    let (item, row) = (at / channels, at % channels);
                    // SAFETY: this unit alone touches the plane, and the slice above is not used any more.
                    epilogue(unsafe { Tile::new(dx, channels * plane, plane, item, (row, row + 1), (0, plane)) });
                }
            });
        }
    });
}

/// For each group, each phase and each step of its chains, the factors of all channels.
fn rearrange(machine: &Machine, geometry: &ConvGeometry, phases: &[Phase], w: &[f32], to: &mut [f32]) {
    let (outputs, channels, taps) = (geometry.group_outputs(), geometry.group_channels(), geometry.taps());
    let size = channels * taps;
    let steps = to.len() / (geometry.groups * channels).max(1);
    let all = Disjoint::new(to);
    each(machine, geometry.outputs, size, |output| {
        with_scratch(size, |turned| {
            let lines = Lines { data: &w[output * size..][..size], stride: taps, lanes: channels, steps: taps };
            lines.pack(machine.simd, channels, turned);
            let (group, output) = (output / outputs, output % outputs);
            for phase in phases {
                for (number, tap) in phase.taps.iter().enumerate() {
                    let step = group * steps + phase.steps_before + output * phase.taps.len() + number;
                    // SAFETY: every output has steps of its own.
                    let to = unsafe { all.slice(step * channels, channels) };
                    to.copy_from_slice(&turned[tap * channels..][..channels]);
                }
            }
        });
    });
}

impl Phase {
    /// The positions of the phase, of `count` items: their part of `found` is a matrix for each item.
    fn run(
        &self,
        machine: &Machine,
        geometry: &ConvGeometry,
        frame: &Frame,
        (weights, drawn): (&[f32], &[f32]),
        (count, found): (usize, &mut [f32]),
    ) {
        let (channels, groups) = (geometry.group_channels(), geometry.groups);
        let (k, positions) = (self.shifts.len(), self.count.iter().product::<usize>());
        let items = found.len() / (channels * geometry.input_positions());
        let grid = self.grid(frame);
        let item_size = geometry.group_outputs() * frame.plane();
        let weights = Strided {
            data: &weights[self.steps_before * channels..],
            batch_stride: weights.len() / groups,
            lane_stride: 1,
            k_inner: k.max(1),
            k_inner_stride: channels,
            k_outer_stride: k.max(1) * channels,
        };
        let found = &mut found[items * channels * self.positions_before..][..count * channels * positions];
        if k > 0 && count >= machine.pool.threads() && direct::suits_grid(&grid, channels) {
            // Few channels are not worth packing patches for.
            let kernel = Kernel::of(machine.simd);
            let panels = channels.div_ceil(kernel.mr);
            machine.pool.chunks(found, channels * positions, |item, found| {
                with_scratch(panels * kernel.mr * k, |packed| {
                    for (panel, packed) in packed.chunks_exact_mut(kernel.mr * k).enumerate() {
                        let lanes = panel * kernel.mr..channels.min((panel + 1) * kernel.mr);
                        weights.pack(machine.simd, item % groups, 0..k, lanes, kernel.mr, packed);
                    }
                    let drawn = &drawn[item * item_size..];
                    direct::tiles(&grid, channels, kernel, packed, drawn, &self.shifts, found);
                });
            });
            return;
        }
        let job = Job {
            batch: count,
            m: channels,
            n: positions,
            k,
            a: &weights,
            a_period: groups,
            b: &Patches { grid, drawn, item_size, shifts: &self.shifts },
            c: Disjoint::new(found),
            c_row_stride: positions,
            c_batch_stride: channels * positions,
            accumulate: false,
            epilogue: None,
        };
        run(machine, &job);
    }

    /// Where each position starts on the canvas, and its number in the input.
    pub fn places(&self, geometry: &ConvGeometry, frame: &Frame) -> impl Iterator<Item = (usize, usize)> {
        let (grid, ConvGeometry { input, stride, .. }) = (self.grid(frame), *geometry);
        (0..self.count.iter().product()).map(move |number| {
            let at = coordinates(number, self.count);
            let [depth, height, width] = [0, 1, 2].map(|a| self.first[a] + at[a] * stride[a]);
            (grid.neighbours(number).0, (depth * input[1] + height) * input[2] + width)
        })
    }

    /// Where the positions lie on the canvas.
    pub fn grid(&self, frame: &Frame) -> Grid {
        Grid { size: self.count, steps: [frame.place([1, 0, 0]), frame.place([0, 1, 0]), 1], start: self.start }
    }
}

/// Brings what was found for one channel, which begins at `found(phase)`, to its places.
#[inline(always)]
pub(super) fn spread<'a>(
    geometry: &ConvGeometry,
    mut phases: &[Phase],
    found: impl Fn(&Phase) -> &'a [f32],
    dx: &mut [f32],
) {
    let (input, stride) = (geometry.input, geometry.stride);
    while let [phase, rest @ ..] = phases {
        let [depths, heights, width] = phase.count;
        let from = found(phase);
        // Even and odd columns of the same rows.
        let other = rest.first().filter(|other| stride[2] == 2 && other.first[..2] == phase.first[..2]);
        let other = other.map(|other| (other, found(other)));
        for number in 0..depths * heights {
            let at = [number / heights, number % heights];
            let at = [0, 1].map(|a| phase.first[a] + at[a] * stride[a]);
            let row = &mut dx[(at[0] * input[1] + at[1]) * input[2]..][..input[2]];
            let from = &from[number * width..][..width];
            match other {
                Some((other, of_other)) => {
                    let of_other = &of_other[number * other.count[2]..][..other.count[2]];
                    let (even, odd) = if phase.first[2] == 0 { (from, of_other) } else { (of_other, from) };
                    weave::both(row, even, odd);
                }
                None => weave::one(row, phase.first[2], stride[2], from),
            }
        }
        phases = if other.is_some() { &rest[1..] } else { rest };
    }
}
