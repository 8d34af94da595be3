//! Virtual im2col: the matrix of image patches, packed panel by panel where the product needs it and never stored.

use super::places::{OUTSIDE, Places, coordinates};
use crate::gemm::{Panels, transpose_panel};
use crate::scratch::with_scratch;
use crate::simd::{Level, Simd};
use std::ops::Range;

/// The matrix with k = (channel, kernel position) and one lane for each target position.
///
/// Matrix `b` of the batch begins at channel `b * channels` of the source: samples times groups.
pub(super) struct Patches<'a> {
    pub places: Places,
    pub source: &'a [f32],
    /// Channels of a group.
    pub channels: usize,
}

impl Panels for Patches<'_> {
    fn pack(&self, simd: Simd, batch: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]) {
        let (taps, plane) = (self.places.taps(), self.places.source_positions());
        let planes = &self.source[batch * self.channels * plane..][..self.channels * plane];
        // With few channels in the block, only those kernel positions that occur.
        let table = TapTable::new(&self.places, lanes, width, simd);
        simd.run(
            #[inline(always)]
            || {
                let (mut channel, mut tap) = (k.start / taps, k.start % taps);
                for row in panel.chunks_exact_mut(width) {
                    table.read(tap, &planes[channel * plane..][..plane], row);
                    tap += 1;
                    if tap == taps {
                        (channel, tap) = (channel + 1, 0);
                    }
                }
            },
        );
    }
}

/// For one panel: where each lane lies in a plane of the source, for each kernel position.
struct TapTable {
    width: usize,
    /// `places[tap * width + lane]`: position in the plane, or `OUTSIDE`.
    places: Vec<i32>,
    /// The same as runs of neighbouring lanes, vector by vector, where the level has masked loads.
    #[cfg(target_arch = "x86_64")]
    runs: Option<Runs>,
}

impl TapTable {
    fn new(places: &Places, lanes: Range<usize>, width: usize, simd: Simd) -> TapTable {
        let mut table = vec![OUTSIDE; places.taps() * width];
        let mut first = 0;
        while first < lanes.len() {
            let [depth, height, start] = coordinates(lanes.start + first, places.target);
            let count = (places.target[2] - start).min(lanes.len() - first);
            let mut tap = 0;
            for kd in 0..places.kernel[0] {
                for kh in 0..places.kernel[1] {
                    let Some(row) = places.row([depth, height], [kd, kh]) else {
                        tap += places.kernel[2];
                        continue;
                    };
                    for kw in 0..places.kernel[2] {
                        let along = &places.along(2, kw)[start..start + count];
                        for (to, &at) in table[tap * width + first..].iter_mut().zip(along) {
                            *to = if at == OUTSIDE { OUTSIDE } else { row as i32 + at };
                        }
                        tap += 1;
                    }
                }
            }
            first += count;
        }
        TapTable {
            #[cfg(target_arch = "x86_64")]
            runs: (simd.level() == Level::Avx512).then(|| Runs::new(&table, width)).flatten(),
            width,
            places: table,
        }
    }

    /// Reads one row of the panel: kernel position `tap` in `plane`.
    #[inline(always)]
    fn read(&self, tap: usize, plane: &[f32], row: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(runs) = &self.runs {
            // SAFETY: there are runs only at the AVX-512 level; `plane` and `row` have the sizes of the table.
            return unsafe { runs.read(tap, plane, row) };
        }
        for (to, &at) in row.iter_mut().zip(&self.places[tap * self.width..][..self.width]) {
            *to = if at == OUTSIDE { 0.0 } else { plane[at as usize] };
        }
    }
}

/// The lanes of a panel as runs that are contiguous in the source: one masked load each, sixteen lanes at a time.
#[cfg(target_arch = "x86_64")]
struct Runs {
    /// Vectors in a row of the panel.
    vectors: usize,
    /// `ends[tap * vectors + vector]`: one past its last run; its first is where the one before ends.
    ends: Vec<u32>,
    /// (position in the plane of lane 0 of the vector, lanes of the run as bits).
    runs: Vec<(i32, u16)>,
}

#[cfg(target_arch = "x86_64")]
impl Runs {
    /// `None` where a row is not whole vectors.
    fn new(table: &[i32], width: usize) -> Option<Runs> {
        if !width.is_multiple_of(16) {
            return None;
        }
        let mut all = Runs { vectors: width / 16, ends: Vec::new(), runs: Vec::new() };
        for lanes in table.chunks_exact(16) {
            let mut open: Option<(i32, u16)> = None;
            for (lane, &at) in lanes.iter().enumerate() {
                if at == OUTSIDE {
                    continue;
                }
                let start = at - lane as i32;
                match &mut open {
                    Some((from, mask)) if *from == start => *mask |= 1 << lane,
                    _ => {
                        all.runs.extend(open);
                        open = Some((start, 1 << lane));
                    }
                }
            }
            all.runs.extend(open);
            all.ends.push(all.runs.len() as u32);
        }
        Some(all)
    }

    /// # Safety
    /// The processor has AVX-512, and the runs were made for planes of this size and rows of this width.
    #[inline(always)]
    unsafe fn read(&self, tap: usize, plane: &[f32], row: &mut [f32]) {
        use std::arch::x86_64::*;
        let first = tap * self.vectors;
        let mut run = if first == 0 { 0 } else { self.ends[first - 1] as usize };
        for (vector, to) in row.chunks_exact_mut(16).enumerate() {
            let end = self.ends[first + vector] as usize;
            // SAFETY: only the lanes of the mask are read, and those are in the plane by the making of the table.
            unsafe {
                let mut value = _mm512_setzero_ps();
                for &(start, mask) in &self.runs[run..end] {
                    value = _mm512_mask_loadu_ps(value, mask, plane.as_ptr().wrapping_offset(start as isize));
                }
                _mm512_storeu_ps(to.as_mut_ptr(), value);
            }
            run = end;
        }
    }
}

/// The transpose for weight gradients: k = (sample, target position) and one lane for each (channel, kernel position).
///
/// Matrix `b` of the batch is group `b`.
pub(super) struct PatchesAcross<'a> {
    pub places: Places,
    pub source: &'a [f32],
    /// Channels of a group.
    pub channels: usize,
    /// Channels of a sample.
    pub all_channels: usize,
}

impl Panels for PatchesAcross<'_> {
    fn pack(&self, simd: Simd, batch: usize, k: Range<usize>, lanes: Range<usize>, width: usize, panel: &mut [f32]) {
        let (taps, plane) = (self.places.taps(), self.places.source_positions());
        let steps = k.len();
        // Each lane is first written along k, where the source is contiguous, and then the block is transposed.
        with_scratch(lanes.len() * steps, |staged| {
            for (lane, line) in lanes.clone().zip(staged.chunks_exact_mut(steps)) {
                let (channel, tap) = (batch * self.channels + lane / taps, lane % taps);
                simd.run(
                    #[inline(always)]
                    || self.line(channel * plane, coordinates(tap, self.places.kernel), k.clone(), line),
                );
            }
            transpose_panel(simd, staged, steps, lanes.len(), width, panel);
        });
    }
}

impl PatchesAcross<'_> {
    /// Steps `k` of one lane.
    #[inline(always)]
    fn line(&self, channel: usize, tap: [usize; 3], k: Range<usize>, line: &mut [f32]) {
        let places = &self.places;
        let along = places.along(2, tap[2]);
        let (width, positions) = (places.target[2], places.target.iter().product::<usize>());
        let sample_size = self.all_channels * places.source_positions();
        let mut step = k.start;
        let mut rest = line;
        while step < k.end {
            let (sample, position) = (step / positions, step % positions);
            let [depth, height, start] = coordinates(position, places.target);
            let count = (width - start).min(k.end - step);
            let (here, after) = rest.split_at_mut(count);
            match places.row([depth, height], [tap[0], tap[1]]) {
                Some(row) => {
                    let source = &self.source[sample * sample_size + channel + row..][..places.source[2]];
                    for (to, &at) in here.iter_mut().zip(&along[start..]) {
                        *to = if at == OUTSIDE { 0.0 } else { source[at as usize] };
                    }
                }
                None => here.fill(0.0),
            }
            rest = after;
            step += count;
        }
    }
}
