//! Convolution without packing: the kernel reads patches from a canvas, where each kernel position is a shift.
//!
//! Lanes are neighbouring elements of a row, or of the canvas across the ends of rows; what falls between rows is computed and
//! thrown away. The whole chain of a tile stays in registers.

use super::canvas::{Canvas, Grid};
use super::{Chain, turned};
use crate::copy::copy_short;
use crate::gemm::{Epilogue, Factors, Kernel, MR_MAX, NR_MAX, Panels, Rows, SMALL, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// At least this part of the lanes must be target positions, in percent.
const USEFUL: usize = 60;
/// A canvas of more floats than this (of all channels of a group) leaves the second-level cache.
const CANVAS_MOST: usize = 1 << 19;

/// More target channels than this are worth packing the patches for.
const PANELS_MOST: usize = 2;

/// Whether this is the faster way on that many threads. The bits are the same either way.
pub(super) fn suits(chain: &Chain<'_>, canvas: &Canvas, threads: usize) -> bool {
    let positions: usize = canvas.target.iter().product();
    canvas.taps.len() > 1
        && canvas.column_step() == 1
        && (chain.items >= threads || multiply_adds(chain, canvas) < SMALL)
        && positions * 100 >= lanes(&canvas.grid()) * USEFUL
        && chain.channels * canvas.room(NR_MAX) <= CANVAS_MOST
        && chain.rows <= PANELS_MOST * MR_MAX
}

fn multiply_adds(chain: &Chain<'_>, canvas: &Canvas) -> usize {
    let positions: usize = canvas.target.iter().product();
    (chain.items * chain.rows * positions).saturating_mul(chain.channels * canvas.taps.len())
}

/// Whether [`tiles`] is the faster way for `rows` channels, where there are items enough for all threads.
pub(super) fn suits_grid(grid: &Grid, rows: usize) -> bool {
    let positions: usize = grid.size.iter().product();
    positions > 0 && positions * 100 >= lanes(grid) * USEFUL && rows <= PANELS_MOST * MR_MAX
}

/// Canvas elements from the first target position to the last.
fn lanes(grid: &Grid) -> usize {
    let [depths, heights, widths] = grid.size;
    if depths * heights * widths == 0 { 0 } else { place(grid, [depths - 1, heights - 1, widths - 1]) + 1 }
}

/// Where a position lies, from the first one.
fn place(grid: &Grid, at: [usize; 3]) -> usize {
    (0..3).map(|a| at[a] * grid.steps[a]).sum()
}

/// Computes the target of a chain whose canvas this is.
pub(super) fn run(
    chain: &Chain<'_>,
    canvas: &Canvas,
    machine: &Machine,
    source: &[f32],
    target: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let kernel = Kernel::of(machine.simd);
    let Chain { items, groups, channels, rows, weights } = *chain;
    let k = channels * canvas.taps.len();
    let positions = canvas.target.iter().product::<usize>();
    let along_rows = by_rows(&canvas.grid(), kernel).min(by_canvas(&canvas.grid(), kernel));
    let turned = turned::suits(positions, rows, kernel, rows * along_rows);
    let width = if turned { kernel.nr } else { kernel.mr };
    let room = canvas.room(NR_MAX);
    let plane = source.len() / (items * channels).max(1);
    let shifts: Vec<usize> = (0..channels).flat_map(|c| canvas.taps.iter().map(move |t| c * room + t)).collect();
    let panels = rows.div_ceil(width);
    let starts: Vec<usize> = match turned {
        true => (0..positions).map(|position| canvas.grid().neighbours(position).0).collect(),
        false => Vec::new(),
    };
    let all = Disjoint::new(target);
    with_scratch(groups * panels * width * k, |packed| {
        let single = multiply_adds(chain, canvas) < SMALL;
        let each = |units: usize, unit: &(dyn Fn(usize) + Sync)| {
            if single { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
        };
        let panel_size = width * k;
        let all_packed = Disjoint::new(packed);
        each(groups * panels, &|unit| {
            let (group, first) = (unit / panels, unit % panels * width);
            // SAFETY: the panels of different units are apart.
            let panel = unsafe { all_packed.slice(unit * panel_size, panel_size) };
            weights.pack(machine.simd, group, 0..k, first..rows.min(first + width), width, panel);
        });
        let packed = &*packed;
        each(items, &|item| {
            let weights = &packed[item % groups * panels * panel_size..][..panels * panel_size];
            let start = item * rows * positions;
            // SAFETY: the parts of different items are apart.
            let target = unsafe { all.slice(start, rows * positions) };
            with_scratch(channels * room, |drawn| {
                drawn.fill(0.0);
                let planes = &source[item * channels * plane..][..channels * plane];
                for (plane, canvas_plane) in planes.chunks_exact(plane.max(1)).zip(drawn.chunks_exact_mut(room)) {
                    canvas.draw(machine.simd, plane, canvas_plane);
                }
                if turned {
                    turned::tiles(machine.simd, rows, weights, drawn, (&starts, &shifts), target);
                } else {
                    tiles(&canvas.grid(), rows, kernel, weights, drawn, &shifts, target);
                }
            });
            if let Some(epilogue) = epilogue {
                // SAFETY: this unit alone touches its part, and the slice above is not used any more.
                epilogue(unsafe { Tile::new(all, rows * positions, positions, item, (0, rows), (0, positions)) });
            }
        });
    });
}

/// One sample and group, all channels of the target. The weights are packed panels; `drawn` has [`NR_MAX`] elements more than
/// the canvases.
pub(super) fn tiles(
    grid: &Grid,
    all_rows: usize,
    kernel: &Kernel,
    weights: &[f32],
    drawn: &[f32],
    shifts: &[usize],
    target: &mut [f32],
) {
    if by_rows(grid, kernel) <= by_canvas(grid, kernel) {
        row_tiles(grid, all_rows, kernel, weights, drawn, shifts, target);
    } else {
        canvas_tiles(grid, all_rows, kernel, weights, drawn, shifts, target);
    }
}

/// What [`row_tiles`] and [`canvas_tiles`] cost, in eighths of a vector for each channel and step: a tile aside is an eighth more.
fn by_rows(grid: &Grid, kernel: &Kernel) -> usize {
    let [depths, heights, width] = grid.size;
    // A row of one vector would wait for its own sums.
    if width <= kernel.nr - kernel.width { usize::MAX } else { depths * heights * width.div_ceil(kernel.width) * 8 }
}

fn by_canvas(grid: &Grid, kernel: &Kernel) -> usize {
    lanes(grid).div_ceil(kernel.width) * 9
}

/// Row after row of the target, where its last vectors are nearly full: whole vectors are written where they belong, and what
/// they write beyond the end of a row is written again by the next.
fn row_tiles(
    grid: &Grid,
    all_rows: usize,
    kernel: &Kernel,
    weights: &[f32],
    drawn: &[f32],
    shifts: &[usize],
    target: &mut [f32],
) {
    let k = shifts.len();
    let [depths, heights, width] = grid.size;
    let positions = depths * heights * width;
    assert!(target.len() >= all_rows * positions && weights.len() >= all_rows.next_multiple_of(kernel.mr) * k);
    let last_shift = shifts.iter().max().copied().unwrap_or(0);
    for row in 0..depths * heights {
        let start = grid.start + place(grid, [row / heights, row % heights, 0]);
        for column in (0..width).step_by(kernel.nr) {
            let (to, here) = (row * width + column, kernel.nr.min(width - column));
            let whole = here.next_multiple_of(kernel.width);
            let columns = if to + whole <= positions { whole } else { here };
            assert!(start + column + last_shift + columns <= drawn.len() && to + columns <= positions);
            for (panel, channel) in (0..all_rows).step_by(kernel.mr).enumerate() {
                let rows = kernel.mr.min(all_rows - channel);
                // SAFETY: the panels have k steps, every row of B is inside `drawn`, and the tile inside the planes of its
                // channels, all by the assertions above.
                unsafe {
                    let panel = weights.as_ptr().add(panel * kernel.mr * k);
                    let c = target.as_mut_ptr().add(channel * positions + to);
                    let b =
                        Rows::shifted(drawn.as_ptr().add(start + column), shifts).next_tile(c.wrapping_add(columns));
                    kernel.tile((rows, columns, k), Factors::strided(panel, 1, kernel.mr), b, (c, positions), false);
                }
            }
        }
    }
}

/// Tile after tile of neighbouring lanes, from which the target positions are picked.
fn canvas_tiles(
    grid: &Grid,
    all_rows: usize,
    kernel: &Kernel,
    weights: &[f32],
    drawn: &[f32],
    shifts: &[usize],
    target: &mut [f32],
) {
    let k = shifts.len();
    let positions = grid.size.iter().product::<usize>();
    let last_shift = shifts.iter().max().copied().unwrap_or(0);
    let mut aside = [0.0f32; MR_MAX * NR_MAX];
    let mut pieces = Vec::with_capacity(NR_MAX);
    let lanes = lanes(grid);
    let mut next = [0; 3];
    for first in (0..lanes).step_by(kernel.nr) {
        pieces_of(grid, first..lanes.min(first + kernel.nr), &mut next, &mut pieces);
        if pieces.is_empty() {
            continue;
        }
        assert!(grid.start + first + last_shift + kernel.nr <= drawn.len());
        for (panel, row) in (0..all_rows).step_by(kernel.mr).enumerate() {
            let rows = kernel.mr.min(all_rows - row);
            let panel = &weights[panel * kernel.mr * k..][..kernel.mr * k];
            let columns = kernel.nr.min((lanes - first).next_multiple_of(kernel.width));
            // SAFETY: the panel has k steps; every row of B is inside `drawn` by the assertion above; the tile
            // aside has room for the largest tile.
            unsafe {
                let b = Rows::shifted(drawn.as_ptr().add(grid.start + first), shifts);
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
                    copy_short(&mut target[row * positions + to..][..count], &sums[lane..]);
                }
            }
        }
    }
}

/// Which lanes of `lanes` are target positions: (lane, count, position). `next` is the first position not yet met.
fn pieces_of(
    grid: &Grid,
    lanes: std::ops::Range<usize>,
    next: &mut [usize; 3],
    pieces: &mut Vec<(usize, usize, usize)>,
) {
    let [depths, heights, widths] = grid.size;
    pieces.clear();
    while next[0] < depths && place(grid, *next) < lanes.end {
        let [depth, height, width] = *next;
        let start = place(grid, *next);
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
