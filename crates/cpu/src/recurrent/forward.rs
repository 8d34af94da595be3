//! The layer forwards.

use tensor::op::{Cell, Recurrence};
use tensor::ops::recurrent::Extent;
use tensor::ops::recurrent::reference::{self, Given, takes};

use super::grid::{Block, Grid, Group};
use crate::gemm::Lines;
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// Units of a cell that are computed together: a constant number, so that the loop over them becomes vector code.
pub(super) const LANES: usize = 16;

/// Fills `saved` as [`reference::forward`] does.
pub(crate) fn forward(machine: &Machine, of: Recurrence, size: Extent, given: Given<'_, f32>, saved: &mut [f32]) {
    let Extent { steps, batch, hidden } = size;
    let (cell, gates) = (of.cell, of.cell.gates());
    let plane = batch * hidden;
    assert_eq!(saved.len(), cell.fields() * (steps + 1) * plane);
    assert_eq!((given.gates.len(), given.weight.len()), (steps * gates * plane, gates * hidden * hidden));
    assert_eq!(given.h.len(), plane);
    assert!(
        given.other.len()
            == if cell == Cell::Lstm {
                plane
            } else if cell == Cell::Gru {
                hidden
            } else {
                0
            }
    );
    let (_, start, _) = of.step(0, steps);
    let row = |field: usize, row: usize| (field * (steps + 1) + row) * plane;
    saved[row(0, start)..][..plane].copy_from_slice(given.h);
    if cell == Cell::Lstm {
        saved[row(1, start)..][..plane].copy_from_slice(given.other);
    }
    for field in cell.differentiated()..cell.fields() {
        saved[row(field, steps)..][..plane].fill(0.0);
    }
    if batch == 0 {
        return;
    }
    let grid = Grid::new(machine, size, gates);
    let nr = grid.kernel.nr;
    let (panel, state) = (hidden * nr, grid.packed_rows(hidden));
    with_scratch(grid.blocks.len() * gates * panel + 2 * state, |room| {
        let (weight, states) = room.split_at_mut(grid.blocks.len() * gates * panel);
        machine.pool.chunks(weight, panel, |number, panel| {
            let (block, gate) = (&grid.blocks[number / gates], number % gates);
            let rows = &given.weight[(gate * hidden + block.start) * hidden..];
            Lines { data: rows, stride: hidden, lanes: block.len(), steps: hidden }.pack(machine.simd, nr, panel);
        });
        let (even, odd) = states.split_at_mut(state);
        let states = [Disjoint::new(even), Disjoint::new(odd)];
        for group in grid.groups() {
            // SAFETY: nothing else runs yet.
            unsafe {
                grid.pack(machine, &given.h[group.start * hidden..], hidden, group, (0, hidden, hidden), states[0])
            };
        }
        let run = Run { machine, of, given, grid: &grid, weight, states, saved: Disjoint::new(saved) };
        grid.run(machine, steps, gates, |step, block, groups| run.unit(step, block, groups));
    });
}

struct Run<'a> {
    machine: &'a Machine,
    of: Recurrence,
    given: Given<'a, f32>,
    grid: &'a Grid,
    weight: &'a [f32],
    /// h, packed: of even steps and of odd ones.
    states: [Disjoint<'a, f32>; 2],
    saved: Disjoint<'a, f32>,
}

impl Run<'_> {
    fn unit(&self, step: usize, block: &Block, groups: &[Group]) {
        let (hidden, gates, nr) = (self.grid.size.hidden, self.of.cell.gates(), self.grid.kernel.nr);
        let rows: usize = groups.iter().map(Group::len).sum();
        let samples = groups.first().map_or(0, |group| group.start);
        let (from, to) = (self.states[step % 2], self.states[(step + 1) % 2]);
        with_scratch(rows * gates * nr, |sums| {
            self.begin(step, block, samples, sums);
            // SAFETY: the units of this step write only the other state.
            let a = unsafe { from.read(0, self.grid.packed_rows(hidden)) };
            let panels = gates * hidden * nr;
            self.grid.multiply((a, hidden), &self.weight[block.index * panels..][..panels], gates, block, groups, sums);
            self.machine.simd.run(
                #[inline(always)]
                || self.cells(step, block, samples, sums),
            );
            for group in groups {
                let rows = &sums[(group.start - samples) * gates * nr..];
                // SAFETY: the unit alone has this block and these samples.
                unsafe {
                    self.grid.pack(self.machine, rows, gates * nr, group, (block.start, block.len(), hidden), to)
                };
            }
        });
    }

    /// The sums before the product: what the input gives.
    fn begin(&self, step: usize, block: &Block, samples: usize, sums: &mut [f32]) {
        let Extent { steps, batch, hidden } = self.grid.size;
        let (gates, nr) = (self.of.cell.gates(), self.grid.kernel.nr);
        let (t, ..) = self.of.step(step, steps);
        for (row, n) in sums.chunks_exact_mut(gates * nr).zip(samples..) {
            for (gate, sums) in row.chunks_exact_mut(nr).enumerate() {
                let from = match self.of.cell {
                    Cell::Gru if gate == 2 => &self.given.other[block.start..block.end],
                    _ => &self.given.gates[((t * batch + n) * gates + gate) * hidden + block.start..][..block.len()],
                };
                sums[..block.len()].copy_from_slice(from);
                sums[block.len()..].fill(0.0);
            }
        }
    }

    /// The cells of a unit, from their sums. h takes the place of the first gate's sums.
    #[inline(always)]
    fn cells(&self, step: usize, block: &Block, samples: usize, sums: &mut [f32]) {
        let (gates, nr) = (self.of.cell.gates(), self.grid.kernel.nr);
        let (t, before, after) = self.of.step(step, self.grid.size.steps);
        for (row, n) in sums.chunks_exact_mut(gates * nr).zip(samples..) {
            let whole = block.len() / LANES * LANES;
            for first in (0..whole).step_by(LANES) {
                self.lanes::<true>((t, before, after), n, block.start, (first, LANES), row);
            }
            if whole < block.len() {
                self.lanes::<false>((t, before, after), n, block.start, (whole, block.len() - whole), row);
            }
        }
    }

    /// Hidden units `first..first + lanes` of a block of one sample, at most [`LANES`]; `WHOLE` if that many.
    #[inline(always)]
    fn lanes<const WHOLE: bool>(
        &self,
        (t, before, after): (usize, usize, usize),
        n: usize,
        start: usize,
        (first, lanes): (usize, usize),
        row: &mut [f32],
    ) {
        let Extent { steps, batch, hidden } = self.grid.size;
        let (cell, nr) = (self.of.cell, self.grid.kernel.nr);
        let lanes = if WHOLE { LANES } else { lanes };
        let at = |field: usize, row: usize| ((field * (steps + 1) + row) * batch + n) * hidden + start + first;
        // SAFETY: the unit alone touches these hidden units of this sample, and none of its slices overlap.
        let part = |field: usize, row: usize| unsafe { self.saved.slice(at(field, row), lanes) };
        // SAFETY: as above: the row before was written by an earlier step.
        let past = |field: usize| unsafe { self.saved.read(at(field, before), lanes) };
        if !takes(self.given.lengths, n, t) {
            for field in 0..cell.differentiated() {
                part(field, after).copy_from_slice(past(field));
            }
            for field in cell.differentiated()..cell.fields() {
                part(field, t).fill(0.0);
            }
            row[first..][..lanes].copy_from_slice(past(0));
            return;
        }
        let sum = |gate: usize| load(&row[gate * nr + first..][..lanes]);
        let mut h = [0f32; LANES];
        match cell {
            Cell::Lstm => {
                let (mut acts, mut c) = ([sum(0), sum(1), sum(2), sum(3)], load(past(1)));
                for j in 0..LANES {
                    let one = [acts[0][j], acts[1][j], acts[2][j], acts[3][j]];
                    let (next_h, next_c, one) = reference::lstm(one, c[j]);
                    (h[j], c[j]) = (next_h, next_c);
                    (acts[0][j], acts[1][j], acts[2][j], acts[3][j]) = (one[0], one[1], one[2], one[3]);
                }
                part(1, after).copy_from_slice(&c[..lanes]);
                for (gate, acts) in acts.iter().enumerate() {
                    part(2 + gate, t).copy_from_slice(&acts[..lanes]);
                }
            }
            Cell::Gru => {
                let (mut r, mut z, s) = (sum(0), sum(1), sum(2));
                let from = ((t * batch + n) * 3 + 2) * hidden + start + first;
                let mut new = load(&self.given.gates[from..][..lanes]);
                let before = load(past(0));
                for j in 0..LANES {
                    let (next, one) = reference::gru([r[j], z[j], new[j]], s[j], before[j]);
                    (h[j], r[j], z[j], new[j]) = (next, one[0], one[1], one[2]);
                }
                for (field, values) in [r, z, new, s].iter().enumerate() {
                    part(1 + field, t).copy_from_slice(&values[..lanes]);
                }
            }
            cell => {
                let a = sum(0);
                for j in 0..LANES {
                    h[j] = reference::plain(cell, a[j]);
                }
            }
        }
        part(0, after).copy_from_slice(&h[..lanes]);
        row[first..][..lanes].copy_from_slice(&h[..lanes]);
    }
}

/// Up to `LANES` numbers, zeros behind them.
#[inline(always)]
pub(super) fn load(from: &[f32]) -> [f32; LANES] {
    match from.try_into() {
        Ok(lanes) => lanes,
        Err(_) => {
            let mut lanes = [0.0; LANES];
            lanes[..from.len()].copy_from_slice(from);
            lanes
        }
    }
}
