//! Convolution over a canvas, where each kernel position is a shift: a panel of patches is a row of whole copies for each
//! step of k.
//!
//! Lanes are neighbouring elements of the canvas, across the ends of rows; what falls between rows is computed and
//! thrown away.

use super::canvas::Canvas;
use super::winograd::copy_exact;
use crate::gemm::{Epilogue, Factors, Kernel, NR_MAX, Panels, Rows, SMALL, Strided, Tile, finish};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

/// At least this part of the lanes must be target positions, in percent.
const USEFUL: usize = 60;
/// A canvas of more floats than this (of all channels of a group) leaves the second-level cache.
const CANVAS_MOST: usize = 1 << 19;
/// More floats of weights than this are read too often for the third-level cache.
const WEIGHTS_MOST: usize = 1 << 20;
/// Steps of k in a panel of patches: 16 KiB with AVX2, half of the first-level cache.
const KC: usize = 256;
/// Panels of rows that pay for a copied panel of patches; fewer read the canvas (grouped, 4 rows: 0.65 ms, copied 0.95).
const PANELS_LEAST: usize = 4;
/// Units for each thread, where an item is cut.
const UNITS_PER_THREAD: usize = 4;

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
    /// Whether this is the faster way on that machine. The bits are the same either way.
    pub fn suits(&self, machine: &Machine) -> bool {
        let canvas = &self.canvas;
        let positions: usize = canvas.target.iter().product();
        let threads = machine.pool.threads();
        let tiles = self.lanes() / Kernel::of(machine.simd).nr;
        canvas.taps.len() > 1
            && canvas.column_step() == 1
            && self.channels > 0
            && (self.items >= threads
                || self.items * tiles >= threads * UNITS_PER_THREAD
                || self.multiply_adds() < SMALL)
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
        let single = self.multiply_adds() < SMALL;
        let cut = self.items < machine.pool.threads() && !single;
        let all = Disjoint::new(&mut *target);
        with_scratch(self.groups * panels * kernel.mr * k, |packed| {
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
            let weights = |item: usize| &packed[item % self.groups * panels * panel_size..][..panels * panel_size];
            let tiles = self.lanes().div_ceil(kernel.nr);
            let draw = |item: usize, channels: Range<usize>, to: &mut [f32]| {
                to.fill(0.0);
                for (channel, to) in channels.zip(to.chunks_exact_mut(room)) {
                    canvas.draw(&self.source[(item * self.channels + channel) * plane..][..plane], to);
                }
            };
            if !cut {
                each(self.items, &|item| {
                    with_scratch(self.channels * room, |drawn| {
                        draw(item, 0..self.channels, drawn);
                        self.tiles(machine.simd, weights(item), drawn, &shifts, item, 0..tiles, all);
                    });
                    if let Some(epilogue) = self.epilogue {
                        // SAFETY: this unit alone touches its item, and nothing else does now.
                        epilogue(unsafe {
                            Tile::new(all, self.rows * positions, positions, item, (0, self.rows), (0, positions))
                        });
                    }
                });
                return;
            }
            // Fewer items than threads: each is cut.
            with_scratch(self.items * self.channels * room, |drawn| {
                let all_drawn = Disjoint::new(&mut *drawn);
                let parts = (machine.pool.threads() * UNITS_PER_THREAD).min(self.channels);
                each(self.items * parts, &|unit| {
                    let (item, part) = (unit / parts, unit % parts);
                    let channels = part * self.channels / parts..(part + 1) * self.channels / parts;
                    let start = (item * self.channels + channels.start) * room;
                    // SAFETY: the channels of different units are apart.
                    draw(item, channels.clone(), unsafe { all_drawn.slice(start, channels.len() * room) });
                });
                let drawn = &*drawn;
                let parts = (machine.pool.threads() * UNITS_PER_THREAD).min(tiles);
                each(self.items * parts, &|unit| {
                    let (item, part) = (unit / parts, unit % parts);
                    let drawn = &drawn[item * self.channels * room..][..self.channels * room];
                    let some = part * tiles / parts..(part + 1) * tiles / parts;
                    self.tiles(machine.simd, weights(item), drawn, &shifts, item, some, all);
                });
            });
        });
        if let (Some(epilogue), true) = (self.epilogue, cut) {
            finish(machine, target, self.rows, positions, epilogue);
        }
    }

    /// Some tiles of neighbouring lanes of one sample and group, all channels of the target. Nobody else touches theirs.
    #[allow(clippy::too_many_arguments)]
    fn tiles(
        &self,
        simd: Simd,
        weights: &[f32],
        drawn: &[f32],
        shifts: &[usize],
        item: usize,
        tiles: Range<usize>,
        target: Disjoint<'_, f32>,
    ) {
        let kernel = Kernel::of(simd);
        let (k, mr, nr) = (shifts.len(), kernel.mr, kernel.nr);
        let positions = self.canvas.target.iter().product::<usize>();
        let mut pieces = Vec::with_capacity(NR_MAX);
        let lanes = self.lanes();
        let copied = self.rows >= PANELS_LEAST * mr;
        let last_shift = shifts.iter().max().copied().unwrap_or(0);
        let mut next = self.first_position(tiles.start * nr);
        with_scratch(KC.min(k) * nr + self.rows.next_multiple_of(mr) * nr, |scratch| {
            let (panel, sums) = scratch.split_at_mut(KC.min(k) * nr);
            for first in tiles.map(|tile| tile * nr) {
                self.pieces(first..lanes.min(first + nr), &mut next, &mut pieces);
                if pieces.is_empty() {
                    continue;
                }
                let columns = nr.min((lanes - first).next_multiple_of(kernel.width));
                assert!(first + last_shift + nr <= drawn.len());
                for (k0, shifts) in (0..k).step_by(KC).zip(shifts.chunks(KC)) {
                    let b = if copied {
                        simd.run(
                            #[inline(always)]
                            || copy_panel(&drawn[first..], shifts, nr, panel),
                        );
                        Rows::even(panel.as_ptr(), nr)
                    } else {
                        Rows::shifted(drawn[first..].as_ptr(), shifts)
                    };
                    for (row, weights) in (0..self.rows).step_by(mr).zip(weights.chunks_exact(mr * k)) {
                        let rows = mr.min(self.rows - row);
                        let a = &weights[k0 * mr..][..shifts.len() * mr];
                        let c = &mut sums[row * nr..][..rows * nr];
                        // SAFETY: A has a row for each step, B one in the panel or, by the assertion, on the canvas; C has
                        // the rows of the tile.
                        unsafe {
                            kernel.tile(
                                (rows, columns, shifts.len()),
                                Factors::strided(a.as_ptr(), 1, mr),
                                b,
                                (c.as_mut_ptr(), nr),
                                k0 > 0,
                            );
                        }
                    }
                }
                for (row, sums) in sums.chunks_exact(nr).take(self.rows).enumerate() {
                    for &(lane, count, to) in &pieces {
                        // SAFETY: the lanes of this unit are its own.
                        let to = unsafe { target.slice((item * self.rows + row) * positions + to, count) };
                        copy_exact(&sums[lane..lane + count], to);
                    }
                }
            }
        });
    }

    /// The first target position at lane `lane` or behind it.
    fn first_position(&self, lane: usize) -> [usize; 3] {
        let [depths, heights, widths] = self.canvas.target;
        for depth in 0..depths {
            for height in 0..heights {
                let start = self.canvas.start([depth, height, 0]);
                if lane < start + widths {
                    return [depth, height, lane.saturating_sub(start)];
                }
            }
        }
        [depths, 0, 0]
    }

    /// Which lanes of `lanes` are target positions: (lane, count, position). `next` is the first position not yet met.
    fn pieces(&self, lanes: Range<usize>, next: &mut [usize; 3], pieces: &mut Vec<(usize, usize, usize)>) {
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

/// `panel[step][lane] = drawn[shifts[step] + lane]`.
#[inline(always)]
fn copy_panel(drawn: &[f32], shifts: &[usize], nr: usize, panel: &mut [f32]) {
    match nr {
        16 => copy_rows::<16>(drawn, shifts, panel),
        32 => copy_rows::<32>(drawn, shifts, panel),
        _ => {
            for (to, &shift) in panel.chunks_exact_mut(nr).zip(shifts) {
                to.copy_from_slice(&drawn[shift..shift + nr]);
            }
        }
    }
}

/// Rows of a width known to the compiler: a few vector moves each.
#[inline(always)]
fn copy_rows<const WIDTH: usize>(drawn: &[f32], shifts: &[usize], panel: &mut [f32]) {
    for (to, &shift) in panel.as_chunks_mut::<WIDTH>().0.iter_mut().zip(shifts) {
        to.copy_from_slice(&drawn[shift..shift + WIDTH]);
    }
}
