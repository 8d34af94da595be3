//! The adjoint of the layer, from the last step to the first.

use tensor::op::{Cell, Recurrence};
use tensor::ops::recurrent::Extent;
use tensor::ops::recurrent::reference::{self, takes};

use super::forward::{LANES, load};
use super::grid::{Block, Grid, Group};
use crate::gemm::{Panels, Strided};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// Fills `out` as [`reference::backward`] does.
pub(crate) fn backward(
    machine: &Machine,
    of: Recurrence,
    size: Extent,
    (saved, weight, g): (&[f32], &[f32], &[f32]),
    lengths: Option<&[i64]>,
    out: &mut [f32],
) {
    let Extent { steps, batch, hidden } = size;
    let (cell, plane) = (of.cell, batch * hidden);
    let all = cell.gates() * hidden;
    assert_eq!((saved.len(), weight.len()), (cell.fields() * (steps + 1) * plane, all * hidden));
    assert_eq!(
        (g.len(), out.len()),
        (cell.differentiated() * (steps + 1) * plane, (steps + 1) * plane * cell.gradients())
    );
    // The last row holds less than the others.
    out[steps * plane * cell.gradients()..].fill(0.0);
    if batch == 0 {
        return;
    }
    let grid = Grid::new(machine, size, cell.gates());
    let nr = grid.kernel.nr;
    let (panel, packed) = (all * nr, grid.packed_rows(all));
    with_scratch(grid.blocks.len() * panel + 2 * packed + 2 * plane, |room| {
        let (columns, rest) = room.split_at_mut(grid.blocks.len() * panel);
        machine.pool.chunks(columns, panel, |number, panel| {
            let Block { start, end, .. } = grid.blocks[number];
            let rows = Strided {
                data: weight,
                batch_stride: 0,
                lane_stride: 1,
                k_inner: all,
                k_inner_stride: hidden,
                k_outer_stride: all * hidden,
            };
            rows.pack(machine.simd, 0, 0..all, start..end, nr, panel);
        });
        let (even, rest) = rest.split_at_mut(packed);
        let (odd, rest) = rest.split_at_mut(packed);
        rest.fill(0.0);
        let (past, through_c) = rest.split_at_mut(plane);
        let run = Run {
            machine,
            of,
            saved,
            g,
            lengths,
            grid: &grid,
            weight: columns,
            sums: [Disjoint::new(even), Disjoint::new(odd)],
            past: Disjoint::new(past),
            through_c: Disjoint::new(through_c),
            out: Disjoint::new(out),
        };
        grid.run(machine, steps + 1, cell.gates(), |step, block, groups| run.unit(step, block, groups));
    });
}

struct Run<'a> {
    machine: &'a Machine,
    of: Recurrence,
    saved: &'a [f32],
    g: &'a [f32],
    lengths: Option<&'a [i64]>,
    grid: &'a Grid,
    weight: &'a [f32],
    /// Gradients of the sums that the state has a part in, packed: of even steps and of odd ones.
    sums: [Disjoint<'a, f32>; 2],
    /// What reaches the state before a step other than through the sums, and what reaches its c.
    past: Disjoint<'a, f32>,
    through_c: Disjoint<'a, f32>,
    out: Disjoint<'a, f32>,
}

impl Run<'_> {
    /// Back over `done` steps: the gradient of the state there, and of the sums of the step that led to it.
    fn unit(&self, done: usize, block: &Block, groups: &[Group]) {
        let Extent { steps, batch, hidden } = self.grid.size;
        let (gates, nr) = (self.of.cell.gates(), self.grid.kernel.nr);
        let (rows, all) = (groups.iter().map(Group::len).sum::<usize>(), gates * hidden);
        let samples = groups.first().map_or(0, |group| group.start);
        let (from, to) = (self.sums[done % 2], self.sums[(done + 1) % 2]);
        let step = steps - done;
        let state = if done == 0 { self.of.step(steps - 1, steps).2 } else { self.of.step(step, steps).1 };
        with_scratch(rows * nr + rows * gates * nr, |room| {
            let (dh, da) = room.split_at_mut(rows * nr);
            for (row, n) in dh.chunks_exact_mut(nr).zip(samples..) {
                let at = n * hidden + block.start;
                // SAFETY: the unit alone has this block and these samples.
                let past = unsafe { self.past.read(at, block.len()) };
                let given = &self.g[state * batch * hidden + at..][..block.len()];
                for ((dh, past), given) in row.iter_mut().zip(past).zip(given) {
                    *dh = given + past;
                }
                row[block.len()..].fill(0.0);
            }
            if done > 0 {
                // SAFETY: the units of this step write only the other one.
                let a = unsafe { from.read(0, self.grid.packed_rows(all)) };
                let panel = all * nr;
                self.grid.multiply((a, all), &self.weight[block.index * panel..][..panel], 1, block, groups, dh);
            }
            if done == steps {
                return self.first_state(state, block, samples, dh);
            }
            self.machine.simd.run(
                #[inline(always)]
                || self.cells((step - 1, state), block, samples, (dh, da)),
            );
            for group in groups {
                let rows = &da[(group.start - samples) * gates * nr..];
                for gate in 0..gates {
                    let columns = (gate * hidden + block.start, block.len(), all);
                    // SAFETY: the unit alone has this block and these samples.
                    unsafe { self.grid.pack(self.machine, &rows[gate * nr..], gates * nr, group, columns, to) };
                }
            }
        });
    }

    /// The gradients of the state before the first step.
    fn first_state(&self, state: usize, block: &Block, samples: usize, dh: &[f32]) {
        let Extent { steps, batch, hidden } = self.grid.size;
        let width = self.of.cell.gradients() * hidden;
        for (dh, n) in dh.chunks_exact(self.grid.kernel.nr).zip(samples..) {
            let to = (steps * batch + n) * width + block.start;
            // SAFETY: the unit alone has this block and these samples; the slices do not overlap.
            unsafe { self.out.slice(to, block.len()) }.copy_from_slice(&dh[..block.len()]);
            if self.of.cell == Cell::Lstm {
                let at = n * hidden + block.start;
                let given = &self.g[((steps + 1 + state) * batch) * hidden + at..][..block.len()];
                // SAFETY: as above.
                let (dc, past) =
                    unsafe { (self.out.slice(to + hidden, block.len()), self.through_c.read(at, block.len())) };
                for ((dc, past), given) in dc.iter_mut().zip(past).zip(given) {
                    *dc = given + past;
                }
            }
        }
    }

    /// The cells of a unit backwards, from the gradients `dh` of their states; the gradients of the sums that the state has
    /// a part in stay in `da`.
    #[inline(always)]
    fn cells(&self, (step, state): (usize, usize), block: &Block, samples: usize, (dh, da): (&[f32], &mut [f32])) {
        let (gates, nr) = (self.of.cell.gates(), self.grid.kernel.nr);
        let (t, before, _) = self.of.step(step, self.grid.size.steps);
        for ((dh, da), n) in dh.chunks_exact(nr).zip(da.chunks_exact_mut(gates * nr)).zip(samples..) {
            let whole = block.len() / LANES * LANES;
            for first in (0..whole).step_by(LANES) {
                self.lanes::<true>((t, before, state), n, block.start, (first, LANES), (dh, da));
            }
            if whole < block.len() {
                self.lanes::<false>((t, before, state), n, block.start, (whole, block.len() - whole), (dh, da));
            }
        }
    }

    /// Hidden units `first..first + lanes` of a block of one sample, at most [`LANES`]; `WHOLE` if that many.
    #[inline(always)]
    fn lanes<const WHOLE: bool>(
        &self,
        (t, before, state): (usize, usize, usize),
        n: usize,
        start: usize,
        (first, lanes): (usize, usize),
        (dh, da): (&[f32], &mut [f32]),
    ) {
        let Extent { steps, batch, hidden } = self.grid.size;
        let (cell, nr) = (self.of.cell, self.grid.kernel.nr);
        let (gates, width) = (cell.gates(), cell.gradients() * hidden);
        let lanes = if WHOLE { LANES } else { lanes };
        let unit = start + first;
        let at = |field: usize, row: usize| ((field * (steps + 1) + row) * batch + n) * hidden + unit;
        let kept = |field: usize, row: usize| load(&self.saved[at(field, row)..][..lanes]);
        let dh = load(&dh[first..][..lanes]);
        // SAFETY: the unit alone has this block and these samples; the slices do not overlap.
        let out = |gate: usize| unsafe { self.out.slice((t * batch + n) * width + gate * hidden + unit, lanes) };
        // SAFETY: as above.
        let (past, through_c) =
            unsafe { (self.past.slice(n * hidden + unit, lanes), self.through_c.slice(n * hidden + unit, lanes)) };
        let mut dc = load(through_c);
        if cell == Cell::Lstm {
            let given = load(&self.g[at(1, state)..][..lanes]);
            for j in 0..LANES {
                dc[j] += given[j];
            }
        }
        if !takes(self.lengths, n, t) {
            past.copy_from_slice(&dh[..lanes]);
            through_c.copy_from_slice(&dc[..lanes]);
            (0..cell.gradients()).for_each(|gate| out(gate).fill(0.0));
            da.chunks_exact_mut(nr).for_each(|da| da[first..][..lanes].fill(0.0));
            return;
        }
        let mut sums = [[0f32; LANES]; 4];
        match cell {
            Cell::Lstm => {
                let acts = [kept(2, t), kept(3, t), kept(4, t), kept(5, t)];
                let (c, next_c) = (kept(1, before), kept(1, state));
                for j in 0..LANES {
                    let one = [acts[0][j], acts[1][j], acts[2][j], acts[3][j]];
                    let (da, past) = reference::lstm_adjoint(one, c[j], next_c[j], dh[j], dc[j]);
                    (sums[0][j], sums[1][j], sums[2][j], sums[3][j]) = (da[0], da[1], da[2], da[3]);
                    dc[j] = past;
                }
                through_c.copy_from_slice(&dc[..lanes]);
                past.fill(0.0);
            }
            Cell::Gru => {
                let (r, z, new, s, h) = (kept(1, t), kept(2, t), kept(3, t), kept(4, t), kept(0, before));
                let (mut dn, mut through) = ([0f32; LANES], [0f32; LANES]);
                for j in 0..LANES {
                    let (da, past) = reference::gru_adjoint([r[j], z[j], new[j]], s[j], h[j], dh[j]);
                    (sums[0][j], sums[1][j], dn[j], sums[2][j]) = (da[0], da[1], da[2], da[3]);
                    through[j] = past;
                }
                [sums[0], sums[1], dn]
                    .iter()
                    .enumerate()
                    .for_each(|(gate, sum)| out(gate).copy_from_slice(&sum[..lanes]));
                past.copy_from_slice(&through[..lanes]);
            }
            cell => {
                let h = kept(0, state);
                for j in 0..LANES {
                    sums[0][j] = reference::plain_adjoint(cell, h[j], dh[j]);
                }
                past.fill(0.0);
            }
        }
        for (gate, sum) in sums[..gates].iter().enumerate() {
            out(cell.gradients() - gates + gate).copy_from_slice(&sum[..lanes]);
            da[gate * nr + first..][..lanes].copy_from_slice(&sum[..lanes]);
        }
    }
}
