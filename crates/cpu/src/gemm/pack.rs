//! Packing: operands are copied, piece by piece, into the order in which the micro-kernel reads them.
//!
//! Both operands look alike from here: A is k-vectors, one for each row of C, and B is k-vectors, one for each column.
//! A *lane* is one such vector; a *panel* is as many lanes as a tile has rows (of A) or columns (of B), interleaved:
//! element (lane, p) of a panel lies at `p * width + lane`.

use super::kernel::Kernel;
use super::lines::RawLines;
use crate::simd::{Simd, prefetch};
use std::ops::Range;

/// Something that a panel can be read from: a matrix, or one that exists only as a rule (virtual im2col).
pub(crate) trait Panels: Sync {
    /// Writes steps `k` of lanes `lanes` of matrix `batch` as a panel, and zeros for the lanes up to `width`.
    ///
    /// `panel` has `k.len() * width` elements and `lanes.len() <= width`.
    fn pack(&self, simd: Simd, batch: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]);

    /// The elements in memory, if they lie there with one stride for each index: then they need not be packed.
    fn plain(&self, _batch: usize) -> Option<Plain<'_>> {
        None
    }
}

/// A matrix in memory, whose index k may be made of two: k = outer * `k_inner` + inner.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub data: &'a [f32],
    pub batch_stride: usize,
    pub lane_stride: usize,
    pub k_inner: usize,
    pub k_inner_stride: usize,
    pub k_outer_stride: usize,
}

impl Panels for Strided<'_> {
    fn pack(&self, simd: Simd, batch: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]) {
        let mut step = k.start;
        let mut rest = panel;
        while step < k.end {
            let (outer, inner) = (step / self.k_inner, step % self.k_inner);
            let steps = (self.k_inner - inner).min(k.end - step);
            let start = batch * self.batch_stride
                + lanes.start * self.lane_stride
                + outer * self.k_outer_stride
                + inner * self.k_inner_stride;
            let (here, after) = rest.split_at_mut(steps * width);
            let source = Source {
                data: &self.data[start..],
                lane_stride: self.lane_stride,
                k_stride: self.k_inner_stride,
                lanes: lanes.len(),
                steps,
                more: false,
            };
            source.pack(simd, width, here);
            rest = after;
            step += steps;
        }
    }

    fn plain(&self, batch: usize) -> Option<Plain<'_>> {
        let step = if self.k_inner == 1 { self.k_outer_stride } else { self.k_inner_stride };
        let plain = self.k_outer_stride == self.k_inner * step;
        let data = self.data.get(batch * self.batch_stride..).filter(|_| plain)?;
        Some(Plain { data, lane_stride: self.lane_stride, step })
    }
}

/// One matrix in memory: step p of a lane lies at `lane * lane_stride + p * step`.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a> {
    pub data: &'a [f32],
    pub lane_stride: usize,
    pub step: usize,
}

impl Plain<'_> {
    /// Writes steps `k` of lanes `lanes` as a panel, and zeros for the lanes up to `width`.
    pub fn pack(&self, simd: Simd, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]) {
        let data = &self.data[k.start * self.step + lanes.start * self.lane_stride..];
        let (lane_stride, k_stride) = (self.lane_stride, self.step);
        let more = false;
        Source { data, lane_stride, k_stride, lanes: lanes.len(), steps: k.len(), more }.pack(simd, width, panel);
    }
}

/// Lanes that are read together where they lie side by side in memory: eight cache lines.
const SIDE_BY_SIDE: usize = 128;
/// Steps that such lanes are asked for ahead: they are often memory pages apart, where no hardware looks ahead.
const LINES_AHEAD: usize = 8;

impl Plain<'_> {
    /// Writes steps `k` of lanes `lanes` as panels of `width` lanes, one after the other.
    ///
    /// Lanes that lie side by side are read across panels: a panel of a few lanes reads a part of each cache line, and by
    /// the time that the next panel comes, a line that lies a power of two from the others has left the cache.
    pub fn pack_all(&self, simd: Simd, k: Range<usize>, lanes: Range<usize>, width: usize, panels: &mut [f32]) {
        let size = width * k.len();
        if size == 0 {
            return;
        }
        let whole = if self.lane_stride == 1 { lanes.len() / width * width } else { 0 };
        let (together, rest) = panels.split_at_mut(whole * k.len());
        let group = (SIDE_BY_SIDE / width).max(1);
        for (number, panels) in together.chunks_mut(group * size).enumerate() {
            let first = lanes.start + number * group * width;
            simd.run(
                #[inline(always)]
                || match width {
                    6 => self.side_by_side::<6>(k.clone(), first, panels),
                    14 => self.side_by_side::<14>(k.clone(), first, panels),
                    16 => self.side_by_side::<16>(k.clone(), first, panels),
                    32 => self.side_by_side::<32>(k.clone(), first, panels),
                    _ => panels.chunks_exact_mut(size).enumerate().for_each(|(panel, to)| {
                        let first = first + panel * width;
                        self.pack(simd, k.clone(), first..first + width, width, to);
                    }),
                },
            );
        }
        for (panel, to) in rest.chunks_exact_mut(size).enumerate() {
            let here = lanes.start + whole + panel * width..lanes.end.min(lanes.start + whole + (panel + 1) * width);
            if here.is_empty() {
                continue;
            }
            let data = &self.data[k.start * self.step + here.start * self.lane_stride..];
            let (lane_stride, k_stride, more) = (self.lane_stride, self.step, here.end < lanes.end);
            Source { data, lane_stride, k_stride, lanes: here.len(), steps: k.len(), more }.pack(simd, width, to);
        }
    }

    #[inline(always)]
    fn side_by_side<const WIDTH: usize>(&self, k: Range<usize>, first: usize, panels: &mut [f32]) {
        let count = panels.len() / k.len();
        let size = WIDTH * k.len();
        for (step, p) in k.enumerate() {
            let from = &self.data[p * self.step + first..][..count];
            for line in (0..count).step_by(16) {
                prefetch(from.as_ptr().wrapping_add(LINES_AHEAD * self.step + line).cast());
            }
            for (from, panel) in from.chunks_exact(WIDTH).zip(panels.chunks_exact_mut(size)) {
                panel[step * WIDTH..][..WIDTH].copy_from_slice(from);
            }
        }
    }
}

/// Lanes that lie along k in memory, `stride` apart.
pub(crate) struct Lines<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub lanes: usize,
    pub steps: usize,
}

impl Lines<'_> {
    /// Writes them as a panel.
    pub fn pack(&self, simd: Simd, width: usize, panel: &mut [f32]) {
        self.source().pack(simd, width, panel);
    }

    /// Writes them at the start of each `stride` elements of `to`, and nothing else: element (lane, p) to `p * stride + lane`.
    pub fn spread(&self, simd: Simd, stride: usize, to: &mut [f32]) {
        self.source().transpose(simd, stride, to, false);
    }

    /// Writes them as a panel, but that the lanes up to the next whole vector, which `width` has room for, hold something.
    pub fn pack_whole(&self, simd: Simd, width: usize, panel: &mut [f32]) {
        self.source().transpose(simd, width, panel, true);
    }

    fn source(&self) -> Source<'_> {
        let Lines { data, stride, lanes, steps } = *self;
        Source { data, lane_stride: stride, k_stride: 1, lanes, steps, more: false }
    }
}

/// A piece of a matrix with one stride for each index.
struct Source<'a> {
    data: &'a [f32],
    lane_stride: usize,
    k_stride: usize,
    lanes: usize,
    steps: usize,
    /// Whether as many lanes follow, which are packed next.
    more: bool,
}

impl Source<'_> {
    fn pack(&self, simd: Simd, width: usize, panel: &mut [f32]) {
        if self.lanes < width {
            panel.fill(0.0);
        }
        if self.lane_stride == 1 {
            simd.run(
                #[inline(always)]
                || self.copy_rows(width, panel),
            );
        } else if self.k_stride == 1 {
            self.transpose(simd, width, panel, false);
        } else {
            self.gather(0..self.lanes, 0..self.steps, width, panel);
        }
    }

    #[inline(always)]
    fn copy_rows(&self, width: usize, panel: &mut [f32]) {
        match (self.lanes == width, width) {
            (true, 32) => self.copy_full::<32>(panel),
            (true, 16) => self.copy_full::<16>(panel),
            (true, 14) => self.copy_full::<14>(panel),
            (true, 6) => self.copy_full::<6>(panel),
            _ => {
                for (step, row) in panel.chunks_exact_mut(width).enumerate() {
                    row[..self.lanes].copy_from_slice(&self.data[step * self.k_stride..][..self.lanes]);
                }
            }
        }
    }

    /// Full rows of a width known to the compiler: a few vector moves each.
    #[inline(always)]
    fn copy_full<const WIDTH: usize>(&self, panel: &mut [f32]) {
        for (step, row) in panel.chunks_exact_mut(WIDTH).enumerate() {
            row.copy_from_slice(&self.data[step * self.k_stride..][..WIDTH]);
        }
    }

    /// Element by element.
    fn gather(&self, lanes: Range<usize>, steps: Range<usize>, width: usize, panel: &mut [f32]) {
        for lane in lanes {
            for step in steps.clone() {
                panel[step * width + lane] = self.data[lane * self.lane_stride + step * self.k_stride];
            }
        }
    }

    /// Lanes lie along k in memory: blocks are transposed in registers, and stored as `whole` vectors if that is asked for.
    fn transpose(&self, simd: Simd, width: usize, panel: &mut [f32], whole: bool) {
        let (lanes, steps) = (self.lanes, self.steps);
        if lanes == 0 || steps == 0 {
            return;
        }
        assert!((lanes - 1) * self.lane_stride + steps <= self.data.len());
        let kernel = Kernel::of(simd);
        let written = if whole { lanes.next_multiple_of(kernel.width) } else { lanes };
        assert!(written <= width && (steps - 1) * width + written <= panel.len());
        let lines =
            RawLines { start: self.data.as_ptr(), stride: self.lane_stride, count: lanes, more: self.more, whole };
        // SAFETY: the last element read and the last one written are in bounds, by the assertions.
        unsafe { kernel.transpose(lines, steps, panel.as_mut_ptr(), width) };
    }
}
