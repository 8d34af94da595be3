//! Few positions of few items: the weights, most of the memory, are read once, where they lie.

use super::Chain;
use crate::gemm::{Epilogue, Factors, Kernel, Rows, SMALL, Tile};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};

/// Most positions, and most items.
pub(super) const POSITIONS: usize = 64;
const ITEMS: usize = 2;
/// With fewer positions, vectors along the weights do better.
const POSITIONS_LEAST: usize = 4;
/// Steps of k at a time: so many columns of them, and a tile's rows of weights, stay in the caches.
const KC: usize = 512;
/// Units for each thread.
const UNITS_PER_THREAD: usize = 4;

/// Whether this is the faster way. The bits are the same either way.
pub(super) fn suits(chain: &Chain<'_>, (k, positions): (usize, usize)) -> bool {
    let along_k = chain.weights.k_inner >= k && chain.weights.k_inner_stride == 1;
    along_k && k > 0 && (POSITIONS_LEAST..=POSITIONS).contains(&positions) && chain.items <= ITEMS
}

/// The matrix of patches of each item: `k` rows of `positions` columns, rows `width` apart.
pub(super) struct Drawn<'a> {
    pub data: &'a [f32],
    pub item_size: usize,
    pub width: usize,
}

/// Computes the target.
pub(super) fn run(
    chain: &Chain<'_>,
    machine: &Machine,
    patches: &Drawn<'_>,
    (k, columns): (usize, usize),
    target: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let kernel = Kernel::of(machine.simd);
    let (rows, width) = (chain.rows, patches.width);
    let target = Disjoint::new(target);
    let single = (chain.items * rows * columns).saturating_mul(k) < SMALL;
    let strips = rows.div_ceil(kernel.mr);
    let parts = if single { 1 } else { strips.min(machine.pool.threads() * UNITS_PER_THREAD) };
    let unit = |unit: usize| {
        let (item, part) = (unit / parts, unit % parts);
        let strips = part_of(strips, parts, part);
        let rows_here = strips.start * kernel.mr..rows.min(strips.end * kernel.mr);
        let start = item % chain.groups * chain.weights.batch_stride;
        let (weights, stride) = (&chain.weights.data[start..], chain.weights.lane_stride);
        let patches = &patches.data[item * patches.item_size..];
        for k0 in (0..k).step_by(KC) {
            let steps = KC.min(k - k0);
            for row in rows_here.clone().step_by(kernel.mr) {
                let height = kernel.mr.min(rows - row);
                for column in (0..columns).step_by(kernel.nr) {
                    let count = kernel.nr.min(columns - column);
                    assert!((row + height - 1) * stride + k0 + steps <= weights.len());
                    assert!((k0 + steps - 1) * width + column + count <= patches.len());
                    let start = (item * rows + row) * columns + column;
                    // SAFETY: the last elements of A and B are in bounds by the assertions; the rows of C are this
                    // unit's own.
                    unsafe {
                        let c = target.slice(start, (height - 1) * columns + count);
                        kernel.tile(
                            (height, count, steps),
                            Factors::strided(weights.as_ptr().add(row * stride + k0), stride, 1),
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
    if single { (0..chain.items * parts).for_each(unit) } else { machine.pool.run(chain.items * parts, unit) }
}
