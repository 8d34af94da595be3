//! Packing: operands are copied, piece by piece, into the order in which the micro-kernel reads them.
//!
//! Both operands look alike from here: A is k-vectors, one for each row of C, and B is k-vectors, one for each column.
//! A *lane* is one such vector; a *panel* is as many lanes as a tile has rows (of A) or columns (of B), interleaved:
//! element (lane, p) of a panel lies at `p * width + lane`.

use crate::simd::Simd;
use std::ops::Range;

/// Something that a panel can be read from: a matrix, or one that exists only as a rule (virtual im2col).
pub(crate) trait Panels: Sync {
    /// Writes steps `k` of lanes `lanes` of matrix `batch` as a panel, and zeros for the lanes up to `width`.
    ///
    /// `panel` has `k.len() * width` elements and `lanes.len() <= width`.
    fn pack(&self, simd: Simd, batch: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]);

    /// The elements in memory, if every step of k is a contiguous row of lanes: such a panel need not be packed.
    fn rows(&self, _batch: usize) -> Option<(&[f32], usize)> {
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
            };
            source.pack(simd, width, here);
            rest = after;
            step += steps;
        }
    }

    fn rows(&self, batch: usize) -> Option<(&[f32], usize)> {
        let plain = self.lane_stride == 1 && self.k_outer_stride == self.k_inner * self.k_inner_stride;
        plain.then(|| (&self.data[batch * self.batch_stride..], self.k_inner_stride))
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
        let Lines { data, stride, lanes, steps } = *self;
        Source { data, lane_stride: stride, k_stride: 1, lanes, steps }.pack(simd, width, panel);
    }
}

/// A piece of a matrix with one stride for each index.
struct Source<'a> {
    data: &'a [f32],
    lane_stride: usize,
    k_stride: usize,
    lanes: usize,
    steps: usize,
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
            self.transpose(simd, width, panel);
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

    /// Lanes lie along k in memory: transpose 8 x 8 blocks in registers where there are such.
    fn transpose(&self, simd: Simd, width: usize, panel: &mut [f32]) {
        let blocks = match simd.level() {
            #[cfg(target_arch = "x86_64")]
            crate::simd::Level::Avx2 | crate::simd::Level::Avx512 => {
                let blocks = self.steps / 8;
                for first in (0..self.lanes).step_by(8) {
                    let lanes = (self.lanes - first).min(8);
                    let source = &self.data[first * self.lane_stride..];
                    // The highest element read, and the highest written, are in bounds.
                    assert!(blocks == 0 || (lanes - 1) * self.lane_stride + blocks * 8 <= source.len());
                    assert!(blocks == 0 || (blocks * 8 - 1) * width + first + lanes <= panel.len());
                    for block in 0..blocks {
                        // SAFETY: AVX2 is there by the level; the bounds are checked above.
                        unsafe {
                            let from = source.as_ptr().add(block * 8);
                            let to = panel.as_mut_ptr().add(block * 8 * width + first);
                            transpose_8x8(from, self.lane_stride, to, width, lanes);
                        }
                    }
                }
                blocks
            }
            _ => 0,
        };
        self.gather(0..self.lanes, blocks * 8..self.steps, width, panel);
    }
}

/// `to[p * width + lane] = from[lane * stride + p]` for `lanes <= 8` lanes and 8 steps.
///
/// # Safety
/// Those elements are in bounds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn transpose_8x8(from: *const f32, stride: usize, to: *mut f32, width: usize, lanes: usize) {
    use std::arch::x86_64::*;
    // SAFETY: absent lanes are read from the last present one and not stored; the rest is the caller's promise.
    unsafe {
        let row = |lane: usize| _mm256_loadu_ps(from.add(lane.min(lanes - 1) * stride));
        let (r0, r1, r2, r3, r4, r5, r6, r7) = (row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7));
        let (a0, a1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
        let (a2, a3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
        let (a4, a5) = (_mm256_unpacklo_ps(r4, r5), _mm256_unpackhi_ps(r4, r5));
        let (a6, a7) = (_mm256_unpacklo_ps(r6, r7), _mm256_unpackhi_ps(r6, r7));
        let (b0, b1) = (_mm256_shuffle_ps::<0x44>(a0, a2), _mm256_shuffle_ps::<0xEE>(a0, a2));
        let (b2, b3) = (_mm256_shuffle_ps::<0x44>(a1, a3), _mm256_shuffle_ps::<0xEE>(a1, a3));
        let (b4, b5) = (_mm256_shuffle_ps::<0x44>(a4, a6), _mm256_shuffle_ps::<0xEE>(a4, a6));
        let (b6, b7) = (_mm256_shuffle_ps::<0x44>(a5, a7), _mm256_shuffle_ps::<0xEE>(a5, a7));
        let columns = [
            _mm256_permute2f128_ps::<0x20>(b0, b4),
            _mm256_permute2f128_ps::<0x20>(b1, b5),
            _mm256_permute2f128_ps::<0x20>(b2, b6),
            _mm256_permute2f128_ps::<0x20>(b3, b7),
            _mm256_permute2f128_ps::<0x31>(b0, b4),
            _mm256_permute2f128_ps::<0x31>(b1, b5),
            _mm256_permute2f128_ps::<0x31>(b2, b6),
            _mm256_permute2f128_ps::<0x31>(b3, b7),
        ];
        if lanes == 8 {
            for (p, column) in columns.into_iter().enumerate() {
                _mm256_storeu_ps(to.add(p * width), column);
            }
        } else {
            let index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), index);
            for (p, column) in columns.into_iter().enumerate() {
                _mm256_maskstore_ps(to.add(p * width), mask, column);
            }
        }
    }
}
