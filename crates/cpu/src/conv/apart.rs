//! Input gradients (transposed convolutions) whose windows do not overlap, kernel and stride being the same: one product
//! for all kernel positions, whose rows are then woven together.
//!
//! Of a sample and group: found[(c, tap), p] = chain over o of w[o, (c, tap)] dy[o, p]; dx[c, p * stride + tap] is that.

use super::canvas::each;
use super::places::coordinates;
use super::shifted::samples_at_a_time;
use super::{ConvGeometry, weave};
use crate::gemm::{Epilogue, Job, Strided, Tile, run};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// Whether this room serves the input gradient: every input position is in one window. (A single position is a product as it is.)
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    let ConvGeometry { input, kernel, output, stride, padding, dilation, .. } = *geometry;
    let covered = (0..3).all(|a| output[a].checked_mul(stride[a]) == Some(input[a]));
    kernel != [1; 3]
        && kernel == stride
        && padding == [0; 3]
        && dilation == [1; 3]
        && covered
        && geometry.group_channels() > 1
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
    let (outputs, channels, groups) = (geometry.group_outputs(), geometry.group_channels(), geometry.groups);
    let (plane, positions, taps) = (geometry.input_positions(), geometry.output_positions(), geometry.taps());
    let weights = Strided {
        data: w,
        batch_stride: outputs * channels * taps,
        lane_stride: 1,
        k_inner: outputs.max(1),
        k_inner_stride: channels * taps,
        k_outer_stride: outputs.max(1) * channels * taps,
    };
    let samples = samples_at_a_time(groups * channels * plane, geometry.batch);
    let dx = Disjoint::new(dx);
    with_scratch(samples * groups * channels * plane, |found| {
        for first in (0..geometry.batch).step_by(samples) {
            let items = samples.min(geometry.batch - first) * groups;
            let slopes = Strided {
                data: &dy[first * groups * outputs * positions..],
                batch_stride: outputs * positions,
                lane_stride: 1,
                k_inner: outputs.max(1),
                k_inner_stride: positions,
                k_outer_stride: outputs.max(1) * positions,
            };
            let job = Job {
                batch: items,
                m: channels * taps,
                n: positions,
                k: outputs,
                a: &weights,
                a_period: groups,
                b: &slopes,
                c: Disjoint::new(&mut *found),
                c_row_stride: positions,
                c_batch_stride: channels * taps * positions,
                accumulate: false,
                epilogue: None,
            };
            run(machine, &job);
            let found = &*found;
            each(machine, items * channels, plane, |number| {
                let at = first * groups * channels + number;
                // SAFETY: the planes of different units are apart.
                let target = unsafe { dx.slice(at * plane, plane) };
                machine.simd.run(
                    #[inline(always)]
                    || spread(geometry, &found[number * plane..][..plane], target),
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

/// Brings what was found for one channel, kernel position after kernel position, to its places.
#[inline(always)]
fn spread(geometry: &ConvGeometry, found: &[f32], dx: &mut [f32]) {
    let ConvGeometry { input, output, kernel, .. } = *geometry;
    let (positions, across) = (geometry.output_positions(), kernel[2]);
    for (number, row) in dx.chunks_exact_mut(input[2]).enumerate() {
        let [_, depth, height] = coordinates(number, [1, input[0], input[1]]);
        let tap = (depth % kernel[0] * kernel[1] + height % kernel[1]) * across;
        let start = (depth / kernel[0] * output[1] + height / kernel[1]) * output[2];
        let from = |tap: usize| &found[tap * positions + start..][..output[2]];
        if across == 2 {
            weave::both(row, from(tap), from(tap + 1));
        } else {
            (0..across).for_each(|t| weave::one(row, t, across, from(tap + t)));
        }
    }
}
