//! Few patches, drawn: a small matrix of patches is written once and then read like any other matrix in memory, which
//! the product need not pack again for each of its units.

use super::ConvGeometry;
use super::im2col::Patches;
use crate::gemm::{Epilogue, Factors, Kernel, Panels, Rows, SMALL, Strided, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// Most floats of a matrix with several kernel positions: a few, well inside the third-level cache.
const MOST: usize = 1 << 18;
/// Most floats where there is one kernel position, so that the matrix is smaller than the source: 16 MiB.
const MOST_OF_ONE: usize = 1 << 22;
/// Columns are made whole vectors.
const VECTOR: usize = 16;
/// Steps of k in a unit of work, about.
const STEPS: usize = 64;

/// Most columns that [`few`] computes, and most items.
const FEW: [usize; 2] = [64, 2];
/// With fewer columns, vectors along the weights do better.
const FEWEST: usize = 4;
/// Steps of k at a time there: 64 columns of them, and six rows of weights, stay in the caches.
const KC: usize = 512;
/// Units for each thread.
const UNITS_PER_THREAD: usize = 4;

/// Whether [`few`] computes the forward pass.
pub(super) fn are_few(geometry: &ConvGeometry) -> bool {
    let (k, positions) = (geometry.group_channels() * geometry.taps(), geometry.output_positions());
    (FEWEST..=FEW[0]).contains(&positions) && geometry.batch * geometry.groups <= FEW[1] && k > 0
}

/// Whether this room draws the patches of the forward pass. (The bits are the same either way.)
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    let (k, positions) = (geometry.group_channels() * geometry.taps(), geometry.output_positions());
    let plain = geometry.kernel == [1; 3] && geometry.stride == [1; 3];
    let size = (geometry.batch * geometry.groups * k).saturating_mul(positions.next_multiple_of(VECTOR));
    let most = if geometry.taps() == 1 { MOST_OF_ONE } else { MOST };
    !plain && size > 0 && size <= most
}

/// Whether the product is too little work for a second thread.
pub(super) fn is_small(geometry: &ConvGeometry) -> bool {
    let results = geometry.batch * geometry.outputs * geometry.output_positions();
    results.saturating_mul(geometry.group_channels() * geometry.taps()) < SMALL
}

/// Lends the drawn matrices, `[k, columns]` each, for the time of `task`.
pub(super) fn with_drawn(
    machine: &Machine,
    patches: &Patches<'_>,
    (items, k, columns): (usize, usize, usize),
    single: bool,
    task: impl FnOnce(Strided<'_>),
) {
    let width = columns.next_multiple_of(VECTOR);
    with_scratch(items * k * width, |drawn| {
        let parts = k.div_ceil(STEPS);
        let all = Disjoint::new(&mut *drawn);
        let unit = |unit: usize| {
            let (item, part) = (unit / parts, unit % parts);
            let steps = part * k / parts..(part + 1) * k / parts;
            // SAFETY: the steps of different units are apart.
            let to = unsafe { all.slice((item * k + steps.start) * width, steps.len() * width) };
            patches.pack(machine.simd, item, steps, 0..columns, width, to);
        };
        if single {
            (0..items * parts).for_each(unit)
        } else {
            machine.pool.run(items * parts, unit)
        }
        task(Strided {
            data: drawn,
            batch_stride: k * width,
            lane_stride: 1,
            k_inner: k,
            k_inner_stride: width,
            k_outer_stride: k * width,
        });
    });
}

/// Few positions: the weights, most of the memory, are read once, where they lie. `weights` are rows of `k`, one matrix for
/// each group.
pub(super) fn few(
    machine: &Machine,
    geometry: &ConvGeometry,
    weights: &[f32],
    drawn: &Strided<'_>,
    target: Disjoint<'_, f32>,
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let kernel = Kernel::of(machine.simd);
    let (rows, columns) = (geometry.group_outputs(), geometry.output_positions());
    let (k, width, items) = (drawn.k_inner, drawn.k_inner_stride, geometry.batch * geometry.groups);
    let single = is_small(geometry);
    let strips = rows.div_ceil(kernel.mr);
    let parts = if single { 1 } else { strips.min(machine.pool.threads() * UNITS_PER_THREAD) };
    let unit = |unit: usize| {
        let (item, part) = (unit / parts, unit % parts);
        let strips = part * strips / parts..(part + 1) * strips / parts;
        let rows_here = strips.start * kernel.mr..rows.min(strips.end * kernel.mr);
        let weights = &weights[item % geometry.groups * rows * k..][..rows * k];
        let patches = &drawn.data[item * k * width..][..k * width];
        for k0 in (0..k).step_by(KC) {
            let steps = KC.min(k - k0);
            for row in rows_here.clone().step_by(kernel.mr) {
                let height = kernel.mr.min(rows - row);
                for column in (0..columns).step_by(kernel.nr) {
                    let count = kernel.nr.min(columns - column);
                    assert!((row + height - 1) * k + k0 + steps <= weights.len());
                    assert!((k0 + steps - 1) * width + column + count <= patches.len());
                    let start = (item * rows + row) * columns + column;
                    // SAFETY: the last elements of A and B are in bounds by the assertions; the rows of C are this
                    // unit's own.
                    unsafe {
                        let c = target.slice(start, (height - 1) * columns + count);
                        kernel.tile(
                            (height, count, steps),
                            Factors::strided(weights.as_ptr().add(row * k + k0), k, 1),
                            Rows::even(patches.as_ptr().add(k0 * width + column), width),
                            (c.as_mut_ptr(), columns),
                            k0 > 0,
                        );
                    }
                }
            }
        }
        if let (Some(epilogue), false) = (epilogue, rows_here.is_empty()) {
            // SAFETY: as above, and the kernels have ended.
            epilogue(unsafe {
                Tile::new(target, rows * columns, columns, item, (rows_here.start, rows_here.end), (0, columns))
            });
        }
    };
    if single { (0..items * parts).for_each(unit) } else { machine.pool.run(items * parts, unit) }
}
