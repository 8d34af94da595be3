//! Convolution without packing: the kernel reads patches from a canvas, where each kernel position is a shift.
//!
//! Lanes are neighbouring elements of the canvas, across the ends of rows; what falls between rows is computed and
//! thrown away. The whole chain of a tile stays in registers.

use super::canvas::Canvas;
use crate::gemm::{Epilogue, Factors, Kernel, MR_MAX, NR_MAX, Panels, Rows, SMALL, Strided, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// At least this part of the lanes must be target positions, in percent.
const USEFUL: usize = 60;
/// A canvas of more floats than this (of all channels of a group) leaves the second-level cache.
const CANVAS_MOST: usize = 1 << 19;
/// More floats of weights than this are read too often for the third-level cache.
const WEIGHTS_MOST: usize = 1 << 20;

/// A convolution or its input gradient: chains of `channels * taps` terms.
pub(super) struct Direct<'a> {
    pub canvas: Canvas,
    pub source: &'a [f32],
    /// Samples times groups.
    pub items: usize,
    pub groups: usize,
    /// Channels of the source in a group.
    pub channels: usize,
    /// Channels of the target in a group.
    pub rows: usize,
    /// Lanes are target channels; k is (source channel, kernel position); matrix b is group b.
    pub weights: Strided<'a>,
    pub epilogue: Option<Epilogue<'a, f32>>,
}

impl Direct<'_> {
    /// Whether this is the faster way on that many threads. The bits are the same either way.
    pub fn suits(&self, threads: usize) -> bool {
        let canvas = &self.canvas;
        let positions: usize = canvas.target.iter().product();
        canvas.taps.len() > 1
            && canvas.column_step() == 1
            && self.channels > 0
            && (self.items >= threads || self.multiply_adds() < SMALL)
            && positions * 100 >= self.lanes() * USEFUL
            && self.channels * canvas.room(NR_MAX) <= CANVAS_MOST
            && self.channels * canvas.taps.len() * self.rows <= WEIGHTS_MOST
    }

    fn multiply_adds(&self) -> usize {
        let positions: usize = self.canvas.target.iter().product();
        (self.items * self.rows * positions).saturating_mul(self.channels * self.canvas.taps.len())
    }

    /// Canvas elements from the first target position to the last.
    fn lanes(&self) -> usize {
        let [depths, heights, widths] = self.canvas.target;
        if depths * heights * widths == 0 { 0 } else { self.canvas.start([depths - 1, heights - 1, widths - 1]) + 1 }
    }

    /// Computes the target.
    pub fn run(&self, machine: &Machine, target: &mut [f32]) {
        let kernel = Kernel::of(machine.simd);
        let canvas = &self.canvas;
        let k = self.channels * canvas.taps.len();
        let room = canvas.room(NR_MAX);
        let plane = self.source.len() / (self.items * self.channels).max(1);
        let shifts: Vec<usize> =
            (0..self.channels).flat_map(|c| canvas.taps.iter().map(move |t| c * room + t)).collect();
        let panels = self.rows.div_ceil(kernel.mr);
        let positions = canvas.target.iter().product::<usize>();
        let all = Disjoint::new(target);
        with_scratch(self.groups * panels * kernel.mr * k, |packed| {
            let single = self.multiply_adds() < SMALL;
            let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
                if single { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
            };
            let panel_size = kernel.mr * k;
            let all_packed = Disjoint::new(packed);
            each(self.groups * panels, &|unit| {
                let (group, first) = (unit / panels, unit % panels * kernel.mr);
                let rows = first..self.rows.min(first + kernel.mr);
                // SAFETY: the panels of different units are apart.
                let panel = unsafe { all_packed.slice(unit * panel_size, panel_size) };
                self.weights.pack(machine.simd, group, 0..k, rows, kernel.mr, panel);
            });
            let packed = &*packed;
            each(self.items, &|item| {
                let weights = &packed[item % self.groups * panels * kernel.mr * k..][..panels * kernel.mr * k];
                let start = item * self.rows * positions;
                // SAFETY: the parts of different items are apart.
                let target = unsafe { all.slice(start, self.rows * positions) };
                with_scratch(self.channels * room, |drawn| {
                    drawn.fill(0.0);
                    let planes = &self.source[item * self.channels * plane..][..self.channels * plane];
                    for (plane, canvas_plane) in planes.chunks_exact(plane.max(1)).zip(drawn.chunks_exact_mut(room)) {
                        canvas.draw(plane, canvas_plane);
                    }
                    self.item(kernel, weights, drawn, &shifts, target);
                });
                if let Some(epilogue) = self.epilogue {
                    // SAFETY: this unit alone touches its part, and the slice above is not used any more.
                    epilogue(unsafe {
                        Tile::new(all, self.rows * positions, positions, item, (0, self.rows), (0, positions))
                    });
                }
            });
        });
    }

    /// One sample and group: tile after tile of neighbouring lanes, all channels of the target.
    fn item(&self, kernel: &Kernel, weights: &[f32], drawn: &[f32], shifts: &[usize], target: &mut [f32]) {
        let k = shifts.len();
        let positions = self.canvas.target.iter().product::<usize>();
        let last_shift = shifts.iter().max().copied().unwrap_or(0);
        let mut aside = [0.0f32; MR_MAX * NR_MAX];
        let mut pieces = Vec::with_capacity(NR_MAX);
        let lanes = self.lanes();
        let mut next = [0; 3];
        for first in (0..lanes).step_by(kernel.nr) {
            self.pieces(first..lanes.min(first + kernel.nr), &mut next, &mut pieces);
            if pieces.is_empty() {
                continue;
            }
            assert!(first + last_shift + kernel.nr <= drawn.len());
            for (panel, row) in (0..self.rows).step_by(kernel.mr).enumerate() {
                let rows = kernel.mr.min(self.rows - row);
                let panel = &weights[panel * kernel.mr * k..][..kernel.mr * k];
                let columns = kernel.nr.min((lanes - first).next_multiple_of(kernel.width));
                // SAFETY: the panel has k steps; every row of B is inside `drawn` by the assertion above; the tile
                // aside has room for the largest tile.
                unsafe {
                    let b = Rows::shifted(drawn.as_ptr().add(first), shifts);
                    kernel.tile(
                        (rows, columns, k),
                        Factors::strided(panel.as_ptr(), 1, kernel.mr),
                        b,
                        (aside.as_mut_ptr(), NR_MAX),
                        false,
                    );
                }
                for (row, sums) in (row..row + rows).zip(aside.chunks_exact(NR_MAX)) {
                    for &(lane, count, to) in &pieces {
                        target[row * positions + to..][..count].copy_from_slice(&sums[lane..lane + count]);
                    }
                }
            }
        }
    }

    /// Which lanes of `lanes` are target positions: (lane, count, position). `next` is the first position not yet met.
    fn pieces(&self, lanes: std::ops::Range<usize>, next: &mut [usize; 3], pieces: &mut Vec<(usize, usize, usize)>) {
        let [depths, heights, widths] = self.canvas.target;
        pieces.clear();
        while next[0] < depths && self.canvas.start(*next) < lanes.end {
            let [depth, height, width] = *next;
            let start = self.canvas.start(*next);
            let count = (widths - width).min(lanes.end - start);
            pieces.push((start - lanes.start, count, (depth * heights + height) * widths + width));
            *next = if width + count < widths {
                [depth, height, width + count]
            } else if height + 1 < heights {
                [depth, height + 1, 0]
            } else {
                [depth + 1, 0, 0]
            };
        }
    }
}
