//! A source image with its zeros written out: padding, and for the input gradient the zeros between strided positions.
//!
//! On a canvas, a kernel position is a plain shift: what target position p sees under tap t lies at
//! `start(p) + taps[t]`. A canvas can be *phased*: for stride s, columns 0, s, 2s, ... come first, then 1, s + 1, ...,
//! and rows likewise, so that neighbouring target positions are neighbours on the canvas too.

use super::places::coordinates;
use super::{ConvGeometry, weave};
use crate::copy::copy_short;
use crate::gemm::SMALL;
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::simd::Simd;
use std::ops::Range;

/// Elements of planes that one unit works on: enough to be worth handing out.
const TOGETHER: usize = 1 << 14;

/// The layout of a canvas.
pub(super) struct Canvas {
    /// Spatial size of the target.
    pub target: [usize; 3],
    /// For each tap, in row-major order: its shift.
    pub taps: Vec<usize>,
    /// Spatial size of the source.
    source: [usize; 3],
    /// From one target position to the next, along each axis.
    steps: [usize; 3],
    /// Elements of the canvas.
    size: usize,
    /// Runs of the source that lie evenly spaced on the canvas.
    runs: Vec<Run>,
    /// From one element of a run to the next: on the canvas, and in the source.
    to_step: usize,
    from_step: usize,
}

struct Run {
    to: usize,
    from: usize,
    count: usize,
}

impl Canvas {
    /// Target y, source x. Phased, neighbours of the target are neighbours on the canvas at any stride.
    pub fn forward(geometry: &ConvGeometry, phased: bool) -> Canvas {
        let ConvGeometry { input, kernel, output, stride, padding, dilation, .. } = *geometry;
        let size = [0, 1, 2].map(|a| (output[a].max(1) - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1);
        let phases = if phased { stride } else { [1; 3] };
        let layout = Layout { phases, size: [0, 1, 2].map(|a| size[a].div_ceil(phases[a])) };
        let place = |a: usize, i: usize| i.checked_sub(padding[a]).filter(|&at| at < input[a]);
        Canvas {
            target: output,
            source: input,
            taps: layout.taps(kernel, |a, t| t * dilation[a]),
            steps: layout.steps([0, 1, 2].map(|a| stride[a] / phases[a])),
            size: layout.len(),
            runs: layout.runs(size, input, 1, place),
            to_step: 1,
            from_step: phases[2],
        }
    }

    /// Target x, source y, and zeros between the positions where the stride is above 1.
    pub fn backward(geometry: &ConvGeometry) -> Canvas {
        let ConvGeometry { input, kernel, output, stride, padding, dilation, .. } = *geometry;
        let size = [0, 1, 2].map(|a| input[a] + (kernel[a] - 1) * dilation[a]);
        let layout = Layout { phases: [1; 3], size };
        let place = |a: usize, i: usize| {
            let moved = (i + padding[a]).checked_sub((kernel[a] - 1) * dilation[a])?;
            (moved.is_multiple_of(stride[a]) && moved / stride[a] < output[a]).then_some(moved / stride[a])
        };
        Canvas {
            target: input,
            source: output,
            taps: layout.taps(kernel, |a, t| (kernel[a] - 1 - t) * dilation[a]),
            steps: layout.steps([1; 3]),
            size: layout.len(),
            runs: layout.runs(size, output, stride[2], place),
            to_step: stride[2],
            from_step: 1,
        }
    }

    /// Elements of the canvas, and `slack` more that a vector may read beyond it.
    pub fn room(&self, slack: usize) -> usize {
        self.size + slack
    }

    /// Where a target position begins.
    #[inline(always)]
    pub fn start(&self, [depth, height, width]: [usize; 3]) -> usize {
        depth * self.steps[0] + height * self.steps[1] + width * self.steps[2]
    }

    /// From one target column to the next.
    #[inline(always)]
    pub fn column_step(&self) -> usize {
        self.steps[2]
    }

    /// Where the target positions begin.
    pub fn grid(&self) -> Grid {
        Grid { size: self.target, steps: self.steps, start: 0 }
    }

    /// For each run of a source that lies side by side on the canvas: where it goes, where it comes from and its length. The canvas must
    /// not be phased.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.runs.iter().map(|run| (run.to, run.from, run.count))
    }

    /// For each (channel, tap): where it lies on canvases that follow each other without slack.
    pub fn shifts(&self, channels: usize) -> Vec<usize> {
        (0..channels).flat_map(|channel| self.taps.iter().map(move |tap| channel * self.size + tap)).collect()
    }

    /// Draws planes `planes` of `source` on canvases that follow each other without slack, on all threads.
    pub fn draw_all(&self, machine: &Machine, source: &[f32], planes: Range<usize>, canvases: &mut [f32]) {
        let plane: usize = self.source.iter().product();
        let all = Disjoint::new(canvases);
        each(machine, planes.len(), self.size, |number| {
            // SAFETY: the canvases of different planes are apart.
            let canvas = unsafe { all.slice(number * self.size, self.size) };
            self.draw(machine.simd, &source[(planes.start + number) * plane..][..plane], canvas);
        });
    }

    /// Copies a plane onto a canvas of zeros.
    pub fn draw(&self, simd: Simd, plane: &[f32], canvas: &mut [f32]) {
        simd.run(
            #[inline(always)]
            || self.draw_runs(plane, canvas),
        );
    }

    #[inline(always)]
    fn draw_runs(&self, plane: &[f32], canvas: &mut [f32]) {
        let mut runs = &self.runs[..];
        while let [run, rest @ ..] = runs {
            runs = rest;
            let from = &plane[run.from..];
            if self.to_step == 1 && self.from_step == 1 {
                copy_short(&mut canvas[run.to..][..run.count], from);
                continue;
            }
            // Even and odd elements of the same row.
            if let [other, after @ ..] = rest
                && (self.to_step, self.from_step) == (1, 2)
                && other.from == run.from + 1
                && run.count - other.count <= 1
                && let Ok([even, odd]) =
                    canvas.get_disjoint_mut([run.to..run.to + run.count, other.to..other.to + other.count])
            {
                weave::apart(&from[..run.count + other.count], even, odd);
                runs = after;
                continue;
            }
            let to = &mut canvas[run.to..];
            for i in 0..run.count {
                to[i * self.to_step] = from[i * self.from_step];
            }
        }
    }
}

/// Positions of a space, where neighbours of a row are neighbours on the canvas.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub size: [usize; 3],
    /// From one position to the next, along each axis.
    pub steps: [usize; 3],
    /// Where the first position begins.
    pub start: usize,
}

impl Grid {
    /// Where position `index` begins, and how many neighbours of its row, itself included, follow it.
    #[inline(always)]
    pub fn neighbours(&self, index: usize) -> (usize, usize) {
        let at = coordinates(index, self.size);
        (self.start + (0..3).map(|a| at[a] * self.steps[a]).sum::<usize>(), self.size[2] - at[2])
    }
}

/// Calls `task` for every plane of `size` elements, on all threads if that is worth it.
pub(super) fn each(machine: &Machine, planes: usize, size: usize, task: impl Fn(usize) + Sync) {
    let together = (TOGETHER / size.max(1)).max(1);
    let unit = |unit: usize| (unit * together..planes.min((unit + 1) * together)).for_each(&task);
    let units = planes.div_ceil(together);
    if planes * size < SMALL / 8 { (0..units).for_each(unit) } else { machine.pool.run(units, unit) }
}

/// Coordinates to canvas: axis a has `phases[a]` phases of `size[a]` coordinates each.
struct Layout {
    phases: [usize; 3],
    size: [usize; 3],
}

impl Layout {
    fn len(&self) -> usize {
        self.phases.iter().chain(&self.size).product()
    }

    fn index(&self, at: [usize; 3]) -> usize {
        let phase = (0..3).fold(0, |index, a| index * self.phases[a] + at[a] % self.phases[a]);
        (0..3).fold(phase, |index, a| index * self.size[a] + at[a] / self.phases[a])
    }

    fn steps(&self, step: [usize; 3]) -> [usize; 3] {
        [step[0] * self.size[1] * self.size[2], step[1] * self.size[2], step[2]]
    }

    fn taps(&self, kernel: [usize; 3], along: impl Fn(usize, usize) -> usize) -> Vec<usize> {
        let mut taps = Vec::new();
        for d in 0..kernel[0] {
            for h in 0..kernel[1] {
                for w in 0..kernel[2] {
                    taps.push(self.index([along(0, d), along(1, h), along(2, w)]));
                }
            }
        }
        taps
    }

    /// `place(axis, i)`: the source coordinate at canvas coordinate i; along the width they are `spacing` apart.
    fn runs(
        &self,
        size: [usize; 3],
        source: [usize; 3],
        spacing: usize,
        place: impl Fn(usize, usize) -> Option<usize> + Copy,
    ) -> Vec<Run> {
        let inside = |a: usize| (0..size[a]).filter_map(move |i| place(a, i).map(|at| (i, at)));
        let columns: Vec<(usize, usize)> = inside(2).collect();
        let mut runs = Vec::new();
        for (d, depth) in inside(0) {
            for (h, height) in inside(1) {
                let row = (depth * source[1] + height) * source[2];
                for (first, &(w, width)) in columns.iter().take(self.phases[2]).enumerate() {
                    let count = (columns.len() - first).div_ceil(self.phases[2]);
                    runs.push(Run { to: self.index([d, h, w]), from: row + width, count });
                }
            }
        }
        debug_assert!(columns.windows(2).all(|pair| pair[1].0 - pair[0].0 == spacing));
        runs
    }
}
