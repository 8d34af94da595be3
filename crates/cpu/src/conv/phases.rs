//! The input gradient of a strided convolution: one small convolution with stride 1 for each phase.
//!
//! An input position q looks through kernel position t at an output position only where `q + padding - t * dilation` is a
//! multiple of the stride. So the positions of one phase, `(q + padding) % stride`, share their kernel positions, and
//! neighbours of a phase look at neighbours of dy. What is not whole is not computed: stride^2 times less work.

use super::ConvGeometry;
use super::places::coordinates;
use crate::gemm::{Epilogue, Factors, Kernel, MR_MAX, NR_MAX, Rows, SMALL, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// Whether this room serves the input gradient.
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    geometry.stride != [1; 3]
}

/// Input positions of one phase.
struct Phase {
    /// Of the first position, along each axis.
    first: [usize; 3],
    /// Positions along each axis.
    count: [usize; 3],
    /// Kernel positions that they look through.
    taps: Vec<usize>,
    /// For each (output channel, kernel position) of the chain: from a position's place on the canvas.
    shifts: Vec<usize>,
    /// Place on the canvas of the first position, less what the shifts add.
    start: usize,
    /// Where its weights begin.
    weights: usize,
}

/// The planes of dy with zeros around them.
struct Frame {
    size: [usize; 3],
    before: [usize; 3],
}

impl Frame {
    fn new(geometry: &ConvGeometry) -> Frame {
        let ConvGeometry { input, kernel, output, stride, padding, dilation, .. } = *geometry;
        let before = [0, 1, 2].map(|a| (kernel[a].max(1) - 1) * dilation[a] / stride[a] + 1);
        let size = [0, 1, 2].map(|a| before[a] + output[a].max((input[a].max(1) - 1 + padding[a]) / stride[a] + 1));
        Frame { size, before }
    }

    fn plane(&self) -> usize {
        self.size.iter().product()
    }

    fn place(&self, at: [usize; 3]) -> usize {
        (at[0] * self.size[1] + at[1]) * self.size[2] + at[2]
    }

    fn draw(&self, output: [usize; 3], plane: &[f32], canvas: &mut [f32]) {
        for (row, from) in plane.chunks_exact(output[2].max(1)).enumerate() {
            let at = [row / output[1] + self.before[0], row % output[1] + self.before[1], self.before[2]];
            canvas[self.place(at)..][..output[2]].copy_from_slice(from);
        }
    }
}

fn phases(geometry: &ConvGeometry, frame: &Frame) -> Vec<Phase> {
    let ConvGeometry { input, kernel, stride, padding, dilation, .. } = *geometry;
    let mut all = Vec::new();
    let mut weights = 0;
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
        let shifts = (0..geometry.group_outputs())
            .flat_map(|o| taps.iter().map(move |&tap| o * frame.plane() + most - back(tap)))
            .collect();
        let size = taps.len() * geometry.group_outputs();
        all.push(Phase { first, count, taps, shifts, start, weights });
        weights += size;
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
    let kernel = Kernel::of(machine.simd);
    let (outputs, channels, taps) = (geometry.group_outputs(), geometry.group_channels(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let frame = Frame::new(geometry);
    let phases = phases(geometry, &frame);
    let steps: usize = phases.iter().map(|phase| phase.shifts.len()).sum();
    let panels = channels.div_ceil(kernel.mr);
    let items = geometry.batch * geometry.groups;
    let work =
        items * channels * phases.iter().map(|p| p.shifts.len() * p.count.iter().product::<usize>()).sum::<usize>();
    let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
        if work < SMALL { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
    };
    let parts = if machine.pool.threads() == 1 { 1 } else { (2 * machine.pool.threads()).div_ceil(items).min(panels) };
    let panel_size = steps * kernel.mr;
    let room = outputs * frame.plane() + NR_MAX;
    let all = Disjoint::new(dx);
    with_scratch(geometry.groups * panels * panel_size, |packed| {
        let all_packed = Disjoint::new(packed);
        each(geometry.groups * panels, &|unit| {
            let (group, first) = (unit / panels, unit % panels * kernel.mr);
            // SAFETY: the panels of different units are apart.
            let panel = unsafe { all_packed.slice(unit * panel_size, panel_size) };
            let mut rows = panel.chunks_exact_mut(kernel.mr);
            for phase in &phases {
                for output in group * outputs..(group + 1) * outputs {
                    for (tap, row) in phase.taps.iter().zip(&mut rows) {
                        row.fill(0.0);
                        let count = kernel.mr.min(channels - first);
                        for (lane, to) in row[..count].iter_mut().enumerate() {
                            *to = w[(output * channels + first + lane) * taps + tap];
                        }
                    }
                }
            }
        });
        let packed = &*packed;
        each(items * parts, &|unit| {
            let (item, part) = (unit / parts, unit % parts);
            let some = part * panels / parts..(part + 1) * panels / parts;
            let rows = some.start * kernel.mr..channels.min(some.end * kernel.mr);
            let start = (item * channels + rows.start) * plane;
            // SAFETY: units have channels of their own.
            let dx = unsafe { all.slice(start, rows.len() * plane) };
            with_scratch(room, |canvas| {
                canvas.fill(0.0);
                let planes = &dy[item * outputs * positions..][..outputs * positions];
                for (output, from) in planes.chunks_exact(positions.max(1)).enumerate() {
                    frame.draw(geometry.output, from, &mut canvas[output * frame.plane()..][..frame.plane()]);
                }
                for phase in &phases {
                    for (panel, dx) in some.clone().zip(dx.chunks_mut(kernel.mr * plane)) {
                        let weights = &packed[(item % geometry.groups * panels + panel) * panel_size..][..panel_size];
                        phase.run(kernel, geometry, &frame, weights, canvas, dx);
                    }
                }
            });
            if let Some(epilogue) = epilogue {
                let (size, columns) = (channels * plane, (0, plane));
                // SAFETY: as above, and the slice is not used any more.
                epilogue(unsafe { Tile::new(all, size, plane, item, (rows.start, rows.end), columns) });
            }
        });
    });
}

impl Phase {
    /// The positions of the phase in a few channels.
    fn run(
        &self,
        kernel: &Kernel,
        geometry: &ConvGeometry,
        frame: &Frame,
        weights: &[f32],
        canvas: &[f32],
        dx: &mut [f32],
    ) {
        let (input, stride, plane) = (geometry.input, geometry.stride, geometry.input_positions());
        let steps = self.shifts.len();
        let rows = dx.len() / plane;
        let weights = &weights[self.weights * kernel.mr..][..steps * kernel.mr];
        let last_shift = self.shifts.iter().max().copied().unwrap_or(0);
        let lanes = frame.place([self.count[0] - 1, self.count[1] - 1, self.count[2] - 1]) + 1;
        let mut aside = [0.0f32; MR_MAX * NR_MAX];
        let mut next = [0; 3];
        for first in (0..lanes).step_by(kernel.nr) {
            let end = lanes.min(first + kernel.nr);
            if frame.place(next) >= end {
                continue;
            }
            let columns = kernel.nr.min((lanes - first).next_multiple_of(kernel.width));
            if steps > 0 {
                assert!(self.start + first + last_shift + kernel.nr <= canvas.len());
                // SAFETY: the panel has `steps` steps; every row of B is inside the canvas by the assertion; the tile
                // aside has room for the largest tile.
                unsafe {
                    let start = canvas.as_ptr().add(self.start + first);
                    let b = Rows::shifted(start, &self.shifts);
                    let a = Factors::strided(weights.as_ptr(), 1, kernel.mr);
                    kernel.tile((rows, columns, steps), a, b, (aside.as_mut_ptr(), NR_MAX), false);
                }
            }
            // Which of the lanes are positions of the phase, row by row.
            while next[0] < self.count[0] && frame.place(next) < end {
                let lane = frame.place(next) - first;
                let count = (self.count[2] - next[2]).min(end - first - lane);
                let at = [0, 1, 2].map(|a| self.first[a] + next[a] * stride[a]);
                let to = (at[0] * input[1] + at[1]) * input[2] + at[2];
                for (row, sums) in aside.chunks_exact(NR_MAX).take(rows).enumerate() {
                    let dx = &mut dx[row * plane + to..(row + 1) * plane];
                    for (dx, sum) in dx.iter_mut().step_by(stride[2]).zip(&sums[lane..lane + count]) {
                        *dx = *sum;
                    }
                }
                next[2] += count;
                if next[2] == self.count[2] {
                    next = [next[0], next[1] + 1, 0];
                }
                if next[1] == self.count[1] {
                    next = [next[0] + 1, 0, 0];
                }
            }
        }
    }
}
