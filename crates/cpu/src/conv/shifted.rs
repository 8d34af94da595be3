//! Convolution as a product whose right operand is read from canvases: under each kernel position, neighbouring target
//! positions see neighbouring elements, so a panel is packed by whole vectors.

use super::Chain;
use super::canvas::{Canvas, Grid};
use super::few::{self, Drawn};
use crate::gemm::{Epilogue, Job, NR_MAX, Panels, Tile, run as product};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// Columns of a matrix that is written out are made whole vectors.
const VECTOR: usize = 16;
/// Most lanes of a panel: those of a tile, or all positions where they are few.
const LANES_MOST: usize = if few::POSITIONS > NR_MAX { few::POSITIONS } else { NR_MAX };
/// Steps of k that one unit writes out, about.
const STEPS: usize = 64;
/// Canvases that are drawn at a time: about this many floats, 4 MiB.
const AT_A_TIME: usize = 1 << 20;

/// Computes the target of a chain whose canvas this is.
pub(super) fn run(
    chain: &Chain<'_>,
    canvas: &Canvas,
    machine: &Machine,
    source: &[f32],
    target: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let Chain { items, groups, channels, rows, .. } = *chain;
    let positions = canvas.target.iter().product::<usize>();
    let item_size = channels * canvas.room(0);
    let together = samples_at_a_time(item_size * groups, items / groups) * groups;
    let shifts = canvas.shifts(channels);
    with_scratch(together * item_size + NR_MAX, |drawn| {
        drawn.fill(0.0);
        for first in (0..items).step_by(together) {
            let count = together.min(items - first);
            canvas.draw_all(machine, source, first * channels..(first + count) * channels, drawn);
            let patches = Patches { grid: canvas.grid(), drawn, item_size, shifts: &shifts };
            let epilogue = epilogue.map(|epilogue| {
                move |mut tile: Tile<'_, f32>| {
                    tile.batch += first;
                    epilogue(tile);
                }
            });
            let size = rows * positions;
            let job = Job {
                batch: count,
                m: rows,
                n: positions,
                k: shifts.len(),
                a: &chain.weights,
                a_period: groups,
                b: &patches,
                c: Disjoint::new(&mut target[first * size..(first + count) * size]),
                c_row_stride: positions,
                c_batch_stride: size,
                accumulate: false,
                epilogue: epilogue.as_ref().map(|epilogue| epilogue as Epilogue<'_, f32>),
            };
            product(machine, &job);
        }
    });
}

/// Lends the matrices of patches of all items, written out: few of them, of few positions.
pub(super) fn with_drawn(
    chain: &Chain<'_>,
    canvas: &Canvas,
    machine: &Machine,
    source: &[f32],
    task: impl FnOnce(&Drawn<'_>),
) {
    let positions = canvas.target.iter().product::<usize>();
    let item_size = chain.channels * canvas.room(0);
    let shifts = canvas.shifts(chain.channels);
    let width = positions.next_multiple_of(VECTOR);
    with_scratch(chain.items * (item_size + shifts.len() * width) + NR_MAX, |scratch| {
        let (written, drawn) = scratch.split_at_mut(chain.items * shifts.len() * width);
        drawn.fill(0.0);
        canvas.draw_all(machine, source, 0..chain.items * chain.channels, drawn);
        let patches = Patches { grid: canvas.grid(), drawn, item_size, shifts: &shifts };
        let parts = shifts.len().div_ceil(STEPS);
        let all = Disjoint::new(&mut *written);
        machine.pool.run(chain.items * parts, |unit| {
            let (item, part) = (unit / parts, unit % parts);
            let steps = part_of(shifts.len(), parts, part);
            let start = (item * shifts.len() + steps.start) * width;
            // SAFETY: the steps of different units are apart.
            let to = unsafe { all.slice(start, steps.len() * width) };
            patches.pack(machine.simd, item, steps, 0..positions, width, to);
        });
        task(&Drawn { data: written, item_size: shifts.len() * width, width });
    });
}

/// Samples whose canvases, of `size` floats each, are drawn at a time.
pub(super) fn samples_at_a_time(size: usize, samples: usize) -> usize {
    let parts = samples.div_ceil((AT_A_TIME / size.max(1)).clamp(1, samples.max(1)));
    samples.div_ceil(parts.max(1)).max(1)
}

/// The matrix of patches: k = (channel, kernel position), one lane for each target position, matrix b is item b.
pub(super) struct Patches<'a> {
    pub grid: Grid,
    /// The canvases of all items, and at least [`NR_MAX`] elements more.
    pub drawn: &'a [f32],
    /// Elements of an item.
    pub item_size: usize,
    /// For each k: where it lies, from the start of the item.
    pub shifts: &'a [usize],
}

impl Panels for Patches<'_> {
    fn pack(&self, simd: Simd, item: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]) {
        // Neighbours on the canvas: the first lane, and where it lies.
        let mut pieces = [(0, 0); LANES_MOST];
        let (mut count, mut lane) = (0, 0);
        while lane < lanes.len() {
            let (start, row) = self.grid.neighbours(lanes.start + lane);
            pieces[count] = (lane, item * self.item_size + start);
            (count, lane) = (count + 1, lane + row);
        }
        let pieces = &pieces[..count];
        let shifts = &self.shifts[k];
        simd.run(
            #[inline(always)]
            || match (lanes.len() == width, width) {
                (true, 16) => self.whole::<16>(pieces, shifts, panel),
                (true, 32) => self.whole::<32>(pieces, shifts, panel),
                _ => self.part(pieces, shifts, lanes.len(), width, panel),
            },
        );
    }
}

impl Patches<'_> {
    /// Each piece is copied as if it were a whole row: what is too much is overwritten by the next piece or row.
    #[inline(always)]
    fn whole<const WIDTH: usize>(&self, pieces: &[(usize, usize)], shifts: &[usize], panel: &mut [f32]) {
        let Some((last, shifts)) = shifts.split_last() else { return };
        let (panel, end) = panel.split_at_mut(shifts.len() * WIDTH);
        // The last row has nothing after it to overwrite.
        self.part(pieces, std::slice::from_ref(last), WIDTH, WIDTH, end);
        if let [(0, start)] = *pieces {
            for (row, shift) in panel.chunks_exact_mut(WIDTH).zip(shifts) {
                row.copy_from_slice(&self.drawn[start + shift..][..WIDTH]);
            }
            return;
        }
        for (step, shift) in shifts.iter().enumerate() {
            for &(lane, start) in pieces {
                let to = step * WIDTH + lane;
                let from = &self.drawn[start + shift..][..WIDTH];
                match panel.get_mut(to..to + WIDTH) {
                    Some(to) => to.copy_from_slice(from),
                    None => panel[to..].copy_from_slice(&from[..WIDTH - lane]),
                }
            }
        }
    }

    /// Exactly `count` lanes, and zeros after them.
    fn part(&self, pieces: &[(usize, usize)], shifts: &[usize], count: usize, width: usize, panel: &mut [f32]) {
        for (row, shift) in panel.chunks_exact_mut(width).zip(shifts) {
            row[count..].fill(0.0);
            for (number, &(lane, start)) in pieces.iter().enumerate() {
                let end = pieces.get(number + 1).map_or(count, |next| next.0);
                row[lane..end].copy_from_slice(&self.drawn[start + shift..][..end - lane]);
            }
        }
    }
}
