//! Weight gradients as products with matrices of patches, which are transposed panel by panel from canvases and never
//! stored.
//!
//! dw[o, (c, tap)] = chain over k = (sample, position) of dy[o, k] x[k, (c, tap)]. Samples are taken a few at a time; between them
//! the chains rest in dw.

use super::ConvGeometry;
use super::canvas::{Canvas, Grid};
use super::shifted::samples_at_a_time;
use crate::gemm::{Epilogue, Job, Kernel, NR_MAX, Panels, Strided, run};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// dw, then `epilogue` on its tiles.
pub(super) fn gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let (outputs, channels) = (geometry.group_outputs(), geometry.group_channels());
    let (columns, positions) = (channels * geometry.taps(), geometry.output_positions());
    let canvas = Canvas::forward(geometry, true);
    let sample_size = geometry.channels * canvas.room(0);
    let together = samples_at_a_time(sample_size, geometry.batch);
    let shifts = canvas.shifts(channels);
    with_scratch(together * sample_size + NR_MAX, |drawn| {
        drawn.fill(0.0);
        let mut first = 0;
        // An empty batch is an empty sum.
        loop {
            let count = together.min(geometry.batch - first);
            canvas.draw_all(machine, x, first * geometry.channels..(first + count) * geometry.channels, drawn);
            let slopes = Strided {
                data: &dy[first * geometry.outputs * positions..],
                batch_stride: outputs * positions,
                lane_stride: positions,
                k_inner: positions.max(1),
                k_inner_stride: 1,
                k_outer_stride: geometry.outputs * positions,
            };
            let group_size = channels * canvas.room(0);
            let patches = PatchesAcross { grid: canvas.grid(), drawn, sample_size, group_size, shifts: &shifts };
            let last = first + count == geometry.batch;
            let job = Job {
                batch: geometry.groups,
                m: outputs,
                n: columns,
                k: count * positions,
                a: &slopes,
                a_period: geometry.groups,
                b: &patches,
                c: Disjoint::new(&mut *dw),
                c_row_stride: columns,
                c_batch_stride: outputs * columns,
                accumulate: first > 0,
                epilogue: epilogue.filter(|_| last),
            };
            run(machine, &job);
            first += count;
            if last {
                break;
            }
        }
    });
}

/// The matrix of patches across: k = (sample, position), one lane for each (channel, kernel position), matrix b is group b.
struct PatchesAcross<'a> {
    grid: Grid,
    /// The canvases of some samples, and at least [`NR_MAX`] elements more.
    drawn: &'a [f32],
    /// Elements of a sample, and of a group in it.
    sample_size: usize,
    group_size: usize,
    /// For each lane: where it lies, from the start of the group.
    shifts: &'a [usize],
}

impl Panels for PatchesAcross<'_> {
    fn pack(&self, simd: Simd, group: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]) {
        if lanes.len() < width {
            panel.fill(0.0);
        }
        let positions = self.grid.size.iter().product::<usize>();
        let (kernel, shifts) = (Kernel::of(simd), &self.shifts[lanes]);
        let mut step = k.start;
        while step < k.end {
            let (sample, position) = (step / positions, step % positions);
            let (start, row) = self.grid.neighbours(position);
            let count = row.min(k.end - step);
            let from = &self.drawn[sample * self.sample_size + group * self.group_size + start..];
            kernel.transpose_shifted(from, shifts, count, &mut panel[(step - k.start) * width..], width);
            step += count;
        }
    }
}
