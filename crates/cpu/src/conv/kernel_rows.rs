//! The weight gradient of few outputs: the sums of a row of the kernel lie side by side in a vector, and dy supplies single factors.
//!
//! Where outputs are fewer than a vector is wide, to lay them side by side (as `weights` does) leaves lanes idle, and dy has to be
//! written out with zeros for them. Here dy is read where it lies. Samples are taken a few at a time; between them the chains rest in
//! the sums.

use super::ConvGeometry;
use super::canvas::Canvas;
use crate::gemm::{Kernel, SMALL};
use crate::machine::Machine;
use crate::pool::{Disjoint, part_of};
use crate::scratch::with_scratch;

/// Lanes of a sum, and the longest row of a kernel.
const LANES: usize = 8;
/// A row of the kernel is one vector whatever it holds: shorter ones waste too much of it.
const ROW_LEAST: usize = 3;
/// With more outputs for two numbers of a row of the kernel, vectors of outputs do better.
const OUTPUTS_FOR_TWO: usize = 3;
/// Most outputs and most rows of a tile: 12 sums, 3 factors and a vector are what 16 registers hold.
const OUTPUTS: usize = 3;
const ROWS: usize = 4;
/// Numbers of the canvases and of dy that are taken at a time, about: 1 MiB.
const AT_A_TIME: usize = 1 << 18;
/// With fewer units for each thread, as many for each.
const UNITS_PER_THREAD: usize = 4;
/// Depthwise layers of more groups have kernels of their own.
const GROUPS_MOST: usize = 4;

/// Whether this is the faster way. The bits are the same either way.
pub(super) fn suits(machine: &Machine, geometry: &ConvGeometry) -> bool {
    let (outputs, row) = (geometry.group_outputs(), geometry.kernel[2]);
    Kernel::of(machine.simd).width >= LANES
        && (ROW_LEAST..=LANES).contains(&row)
        && geometry.dilation[2] == 1
        && (1..=LANES.min(OUTPUTS_FOR_TWO * row / 2)).contains(&outputs)
        && (geometry.group_channels() > 1 || geometry.groups <= GROUPS_MOST)
        && geometry.batch * geometry.output_positions() * geometry.group_channels() * geometry.taps() > 0
}

pub(super) fn gradient(machine: &Machine, geometry: &ConvGeometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let canvas = Canvas::forward(geometry, false);
    let (outputs, channels, groups) = (geometry.group_outputs(), geometry.group_channels(), geometry.groups);
    let (positions, row) = (geometry.output_positions(), geometry.kernel[2]);
    let room = canvas.room(0);
    // Where each row of the kernel begins, on the canvases of a group.
    let rows = (0..channels).flat_map(|c| canvas.taps.iter().step_by(row).map(move |tap| c * room + tap));
    let rows: Vec<usize> = rows.collect();
    let (threads, down) = (machine.pool.threads(), outputs.div_ceil(OUTPUTS));
    let mut across = rows.len().div_ceil(ROWS);
    if groups * down * across < threads * UNITS_PER_THREAD {
        across = across.next_multiple_of(threads.div_ceil(groups * down)).min(rows.len());
    }
    let units = groups * down * across;
    let parallel = (dw.len() * geometry.batch).saturating_mul(positions) >= SMALL;

    let (image_size, slopes_size) = (geometry.channels * room, geometry.outputs * positions);
    let samples = (AT_A_TIME / (image_size + slopes_size)).clamp(1, geometry.batch);
    let mut sums = vec![Sums::default(); units];
    let (all_sums, dw) = (Disjoint::new(&mut sums), Disjoint::new(dw));
    with_scratch(samples * image_size + LANES, |drawn| {
        drawn.fill(0.0);
        for first in (0..geometry.batch).step_by(samples) {
            let count = samples.min(geometry.batch - first);
            canvas.draw_all(machine, x, first * geometry.channels..(first + count) * geometry.channels, drawn);
            let drawn = &*drawn;
            let unit = |unit: usize| {
                let (group, part) = (unit / (down * across), unit % (down * across));
                let outputs_here = part_of(outputs, down, part / across);
                let rows_here = part_of(rows.len(), across, part % across);
                // SAFETY: each unit has sums of its own.
                let sums = &mut unsafe { all_sums.slice(unit, 1) }[0];
                let tile = Tile {
                    canvas: &canvas,
                    images: &drawn[group * channels * room..],
                    image_size,
                    rows: &rows[rows_here.clone()],
                    slopes: &dy[first * slopes_size + (group * outputs + outputs_here.start) * positions..],
                    slopes_size,
                    samples: count,
                };
                machine.simd.run(
                    #[inline(always)]
                    || match outputs_here.len() {
                        1 => tile.add_rows::<1>(sums),
                        2 => tile.add_rows::<2>(sums),
                        _ => tile.add_rows::<OUTPUTS>(sums),
                    },
                );
                if first + count == geometry.batch {
                    for (output, sums) in outputs_here.zip(&*sums) {
                        let start = ((group * outputs + output) * rows.len() + rows_here.start) * row;
                        // SAFETY: the rows of different units are apart.
                        let to = unsafe { dw.slice(start, rows_here.len() * row) };
                        to.chunks_exact_mut(row).zip(sums).for_each(|(to, sums)| to.copy_from_slice(&sums[..row]));
                    }
                }
            };
            if parallel { machine.pool.run(units, unit) } else { (0..units).for_each(unit) }
        }
    });
}

/// For each output and each row of the kernel, the sums of that row.
type Sums = [[[f32; LANES]; ROWS]; OUTPUTS];

/// Some outputs and some rows of the kernel, over some samples.
struct Tile<'a> {
    canvas: &'a Canvas,
    /// The canvases of each sample, `image_size` apart, and at least [`LANES`] numbers more.
    images: &'a [f32],
    image_size: usize,
    /// Where each row of the kernel begins, at most [`ROWS`].
    rows: &'a [usize],
    /// dy of the first output, the next one behind it; samples are `slopes_size` apart.
    slopes: &'a [f32],
    slopes_size: usize,
    samples: usize,
}

impl Tile<'_> {
    #[inline(always)]
    fn add_rows<const O: usize>(&self, sums: &mut Sums) {
        match self.rows {
            [a] => self.add::<O, 1>(&[*a], sums),
            [a, b] => self.add::<O, 2>(&[*a, *b], sums),
            [a, b, c] => self.add::<O, 3>(&[*a, *b, *c], sums),
            [a, b, c, d] => self.add::<O, ROWS>(&[*a, *b, *c, *d], sums),
            _ => {}
        }
    }

    /// `sums[o][r][lane] = fma(dy[o][p], image[start(p) + rows[r] + lane], sums[o][r][lane])`, p after p, sample after sample.
    #[inline(always)]
    fn add<const O: usize, const R: usize>(&self, rows: &[usize; R], sums: &mut Sums) {
        let [depths, heights, width] = self.canvas.target;
        let positions = depths * heights * width;
        let last = self.canvas.start([depths - 1, heights - 1, width - 1]);
        let reach = rows.iter().fold(0, |most, row| most.max(*row)) + last + LANES;
        assert!((self.samples - 1) * self.image_size + reach <= self.images.len());
        assert!((self.samples - 1) * self.slopes_size + O * positions <= self.slopes.len());
        let mut local = [[[0.0; LANES]; R]; O];
        for (local, sums) in local.iter_mut().zip(&*sums) {
            local.copy_from_slice(&sums[..R]);
        }
        for sample in 0..self.samples {
            let image = self.images[sample * self.image_size..].as_ptr();
            let slopes = self.slopes[sample * self.slopes_size..].as_ptr();
            for depth in 0..depths {
                for height in 0..heights {
                    let start = self.canvas.start([depth, height, 0]);
                    let first = (depth * heights + height) * width;
                    for p in 0..width {
                        // SAFETY: the last numbers that are read, of the last sample, are in bounds by the assertions.
                        unsafe {
                            let at = image.add(start + p * self.canvas.column_step());
                            let factors: [f32; O] = std::array::from_fn(|o| *slopes.add(o * positions + first + p));
                            for r in 0..R {
                                let values = at.add(rows[r]).cast::<[f32; LANES]>().read_unaligned();
                                for o in 0..O {
                                    for lane in 0..LANES {
                                        local[o][r][lane] = factors[o].mul_add(values[lane], local[o][r][lane]);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        for (local, sums) in local.iter().zip(sums) {
            sums[..R].copy_from_slice(local);
        }
    }
}
