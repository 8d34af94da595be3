//! How a step is cut into units, who runs them, and the product of a unit.

use tensor::ops::recurrent::Extent;

use crate::gemm::{Factors, Kernel, Lines, Rows};
use crate::machine::Machine;
use crate::pool::Disjoint;

/// Steps of k that are multiplied at a time: a block of the weight (256 x 32 floats, 32 KiB) stays in the first-level cache
/// while the samples pass.
const KC: usize = 256;
/// Most groups of samples in a unit: its sums stay in the first-level cache.
const GROUPS: usize = 4;
/// Fewer multiply-adds in all than this are not worth a second thread.
const SMALL: usize = 1 << 21;
/// Fewer multiply-adds in a step than this are not worth handing its units out: about 4 microseconds.
const SMALL_STEP: usize = 1 << 18;
/// A weight of at most this many floats (1 MiB) stays in every core's second-level cache: threads then take samples.
const SHARED_WEIGHT: usize = 1 << 18;
/// Samples that are worth a thread of their own: fewer would not keep the multipliers busy while the weight is read.
const ROWS: usize = 7;

/// Hidden units `start..end`, computed together.
#[derive(Clone, Copy)]
pub struct Block {
    pub index: usize,
    pub start: usize,
    pub end: usize,
    /// Columns that the kernel computes: whole vectors.
    pub columns: usize,
}

impl Block {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Samples `start..end`, the rows of one tile; packed, they lie `index * mr` lanes from the first.
#[derive(Clone, Copy)]
pub struct Group {
    pub index: usize,
    pub start: usize,
    pub end: usize,
}

impl Group {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The units of a step.
pub struct Grid {
    pub kernel: &'static Kernel,
    pub size: Extent,
    pub blocks: Vec<Block>,
    /// Groups that one thread may take through all steps, apart from the others: one part, or a part a thread.
    parts: Vec<Vec<Group>>,
}

impl Grid {
    /// Cuts steps of `gates` products of the state with a matrix `[hidden, hidden]`.
    pub fn new(machine: &Machine, size: Extent, gates: usize) -> Grid {
        let kernel = Kernel::of(machine.simd);
        let Extent { batch, hidden, .. } = size;
        let blocks = (0..hidden)
            .step_by(kernel.nr)
            .zip(0..)
            .map(|(start, index)| {
                let end = hidden.min(start + kernel.nr);
                Block { index, start, end, columns: (end - start).next_multiple_of(kernel.width) }
            })
            .collect();
        let threads = machine.pool.threads();
        let weight = gates * hidden * hidden;
        let work = weight.saturating_mul(size.steps * batch);
        let apart = threads > 1 && weight <= SHARED_WEIGHT && batch >= ROWS * threads && work >= SMALL;
        let count = if apart { threads } else { 1 };
        let mut next = 0;
        let parts = (0..count)
            .map(|part| {
                let (start, end) = (part * batch / count, (part + 1) * batch / count);
                let tiles = (end - start).div_ceil(kernel.mr);
                let cut = |tile: usize| start + tile * (end - start) / tiles;
                let groups: Vec<Group> =
                    (0..tiles).map(|tile| Group { index: next + tile, start: cut(tile), end: cut(tile + 1) }).collect();
                next += groups.len();
                groups
            })
            .collect();
        Grid { kernel, size, blocks, parts }
    }

    /// Groups of all samples.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.parts.iter().flatten()
    }

    /// Floats of a packed matrix of `width` columns: the state, or the gradients of its sums.
    pub fn packed_rows(&self, width: usize) -> usize {
        self.groups().count() * self.kernel.mr * width
    }

    /// Calls `unit(step, block, groups)` for every unit of every step: the units of a step after all units of the step before
    /// that they may depend on. `gates` as in [`Grid::new`].
    pub fn run(&self, machine: &Machine, steps: usize, gates: usize, unit: impl Fn(usize, &Block, &[Group]) + Sync) {
        let Extent { batch, hidden, .. } = self.size;
        if self.parts.len() > 1 {
            machine.pool.run(self.parts.len(), |part| self.serial(steps, &self.parts[part], &unit));
            return;
        }
        let step_work = gates * hidden * hidden * batch;
        if machine.pool.threads() == 1 || step_work < SMALL_STEP || step_work.saturating_mul(steps) < SMALL {
            self.serial(steps, &self.parts[0], &unit);
            return;
        }
        let chunks: Vec<&[Group]> = self.parts[0].chunks(GROUPS).collect();
        for step in 0..steps {
            let units = chunks.len() * self.blocks.len();
            machine.pool.run(units, |number| {
                // There and back, as in `serial`.
                let number = if step % 2 == 0 { number } else { units - 1 - number };
                unit(step, &self.blocks[number / chunks.len()], chunks[number % chunks.len()]);
            });
        }
    }

    fn serial(&self, steps: usize, groups: &[Group], unit: &impl Fn(usize, &Block, &[Group])) {
        for step in 0..steps {
            // There and back: what was read last is still in cache.
            for place in 0..self.blocks.len() {
                let place = if step % 2 == 0 { place } else { self.blocks.len() - 1 - place };
                groups.chunks(GROUPS).for_each(|groups| unit(step, &self.blocks[place], groups));
            }
        }
    }

    /// `sums += A B` for the samples of `groups`: A packed with `k` columns, B the packed panels of a block, `panels` of
    /// them, whose sums stand `nr` apart in a row of `sums`.
    pub fn multiply(
        &self,
        (a, k): (&[f32], usize),
        b: &[f32],
        panels: usize,
        block: &Block,
        groups: &[Group],
        sums: &mut [f32],
    ) {
        let Kernel { mr, nr, .. } = *self.kernel;
        let stride = panels * nr;
        let rows: usize = groups.iter().map(Group::len).sum();
        assert!(b.len() >= panels * k * nr && sums.len() >= rows * stride);
        for first in (0..k).step_by(KC) {
            let steps = KC.min(k - first);
            for panel in 0..panels {
                let from = (panel * k + first) * nr;
                let b = &b[from..][..steps * nr];
                let mut row = 0;
                for group in groups {
                    let a = &a[(group.index * k + first) * mr..][..steps * mr];
                    let c = &mut sums[row * stride + panel * nr..];
                    assert!(c.len() >= (group.len() - 1) * stride + block.columns && group.len() <= mr);
                    // SAFETY: the panels hold `steps` rows of `mr` and `nr` floats, and C its rows of `columns <= nr` floats,
                    // by the slices and the assertions.
                    unsafe {
                        self.kernel.tile(
                            (group.len(), block.columns, steps),
                            Factors::strided(a.as_ptr(), 1, mr),
                            Rows::even(b.as_ptr(), nr),
                            (c.as_mut_ptr(), stride),
                            true,
                        );
                    }
                    row += group.len();
                }
            }
        }
    }

    /// Packs columns `start..start + count` (of `width`) of the rows of `group` from `rows`, `stride` apart from the group's
    /// first one on, into `packed`.
    ///
    /// # Safety
    /// Nobody else touches these columns of this group in `packed`.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn pack(
        &self,
        machine: &Machine,
        rows: &[f32],
        stride: usize,
        group: &Group,
        (start, count, width): (usize, usize, usize),
        packed: Disjoint<'_, f32>,
    ) {
        let mr = self.kernel.mr;
        // SAFETY: the caller's promise.
        let panel = unsafe { packed.slice((group.index * width + start) * mr, count * mr) };
        Lines { data: rows, stride, lanes: group.len(), steps: count }.pack(machine.simd, mr, panel);
    }
}
