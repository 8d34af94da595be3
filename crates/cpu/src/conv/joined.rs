//! 1 x 1 kernels over small planes: those of many samples, side by side, are the columns of one product. Few columns of its tiles are
//! idle, and the weights are packed once.

use super::Chain;
use super::canvas::each;
use crate::copy::copy_short;
use crate::gemm::{Epilogue, Job, Kernel, Strided, Tile, run as multiply};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// What a number costs that is brought side by side with others, or back, in multiply-adds of a vector.
const COPY: usize = 3;
/// Full tiles of fewer rows than this wait for their own sums, and cost the same with one vector of columns as with two.
const HIGH: usize = 8;
/// Numbers that are copied of the samples taken at a time: 4 MiB.
const AT_A_TIME: usize = 1 << 20;
/// Numbers of a part of the sums that is brought back: 32 KiB.
const PART: usize = 1 << 13;

/// Whether this is the faster way. The bits are the same either way.
pub(super) fn suits(chain: &Chain<'_>, machine: &Machine, (k, positions): (usize, usize)) -> bool {
    let (kernel, samples) = (Kernel::of(machine.simd), chain.items / chain.groups);
    let step = if kernel.mr < HIGH { kernel.nr } else { kernel.width };
    let idle = samples * positions.next_multiple_of(step) - (samples * positions).next_multiple_of(step);
    (idle * chain.rows).saturating_mul(k) > COPY * kernel.width * (chain.rows + k) * samples * positions
}

/// Computes the target.
pub(super) fn run(
    chain: &Chain<'_>,
    machine: &Machine,
    source: &[f32],
    (k, positions): (usize, usize),
    target: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let Chain { groups, rows, .. } = *chain;
    let samples = chain.items / groups;
    let most = (AT_A_TIME / (groups * (k + rows) * positions)).clamp(1, samples);
    let together = samples.div_ceil(samples.div_ceil(most));
    let target = Disjoint::new(target);
    for first in (0..samples).step_by(together) {
        let columns = together.min(samples - first) * positions;
        with_scratch(groups * (k + rows) * columns, |room| {
            let (seen, sums) = room.split_at_mut(groups * k * columns);
            let all = Disjoint::new(&mut *seen);
            each(machine, groups * k, columns, |plane| {
                // SAFETY: the planes of different units are apart.
                let seen = unsafe { all.slice(plane * columns, columns) };
                for (sample, seen) in (first..).zip(seen.chunks_exact_mut(positions)) {
                    copy_short(seen, &source[(sample * groups * k + plane) * positions..]);
                }
            });
            let pixels = Strided {
                data: seen,
                batch_stride: k * columns,
                lane_stride: 1,
                k_inner: k,
                k_inner_stride: columns,
                k_outer_stride: k * columns,
            };
            let job = Job {
                batch: groups,
                m: rows,
                n: columns,
                k,
                a: &chain.weights,
                a_period: groups,
                b: &pixels,
                c: Disjoint::new(&mut *sums),
                c_row_stride: columns,
                c_batch_stride: rows * columns,
                accumulate: false,
                epilogue: None,
            };
            multiply(machine, &job);
            let sums = &*sums;
            let part = (PART / columns).clamp(1, rows);
            let parts = rows.div_ceil(part);
            each(machine, groups * parts, part * columns, |unit| {
                let (group, row) = (unit / parts, unit % parts * part);
                let end = rows.min(row + part);
                for sample in 0..columns / positions {
                    let item = (first + sample) * groups + group;
                    // SAFETY: each unit has rows of its own, in bounds.
                    let to = unsafe { target.slice((item * rows + row) * positions, (end - row) * positions) };
                    for (row, to) in (group * rows + row..).zip(to.chunks_exact_mut(positions)) {
                        copy_short(to, &sums[row * columns + sample * positions..]);
                    }
                    if let Some(epilogue) = epilogue {
                        // SAFETY: this unit alone touches its rows, and the slice above is not used any more.
                        epilogue(unsafe {
                            Tile::new(target, rows * positions, positions, item, (row, end), (0, positions))
                        });
                    }
                }
            });
        });
    }
}
