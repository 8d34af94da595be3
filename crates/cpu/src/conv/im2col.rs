//! Virtual im2col for weight gradients: the matrix of image patches, packed panel by panel where the product needs it and
//! never stored.

use super::places::{Places, coordinates};
use crate::gemm::{Lines, Panels};
use crate::scratch::with_scratch;
use crate::simd::Simd;
use std::ops::Range;

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
            staged.fill(0.0);
            for (lane, line) in lanes.clone().zip(staged.chunks_exact_mut(steps)) {
                let (channel, tap) = (batch * self.channels + lane / taps, lane % taps);
                let tap = coordinates(tap, self.places.kernel);
                simd.run(
                    #[inline(always)]
                    || self.line(channel * plane, tap, k.clone(), line),
                );
            }
            Lines { data: staged, stride: steps, lanes: lanes.len(), steps }.pack(simd, width, panel);
        });
    }
}

impl PatchesAcross<'_> {
    /// Steps `k` of one lane, over zeros.
    #[inline(always)]
    fn line(&self, channel: usize, tap: [usize; 3], k: Range<usize>, line: &mut [f32]) {
        let places = &self.places;
        let (width, positions) = (places.target[2], places.target.iter().product::<usize>());
        let sample_size = self.all_channels * places.source_positions();
        let (mut sample, position) = (k.start / positions, k.start % positions);
        let [mut depth, mut height, mut start] = coordinates(position, places.target);
        let mut rest = line;
        while !rest.is_empty() {
            let count = (width - start).min(rest.len());
            let (here, after) = rest.split_at_mut(count);
            if let Some(row) = places.row([depth, height], [tap[0], tap[1]]) {
                let line = places.line(tap[2], start, start + count);
                let source = &self.source[sample * sample_size + channel + row..][..places.source[2]];
                copy_line(places.source_step, &source[line.from..], here, line.first, line.count);
            }
            rest = after;
            (start, height) = (0, height + 1);
            if height == places.target[1] {
                (height, depth) = (0, depth + 1);
            }
            if depth == places.target[0] {
                (depth, sample) = (0, sample + 1);
            }
        }
    }
}

/// Copies `count` elements, `step` apart in `from`, to the ones from `first` on.
#[inline(always)]
fn copy_line(step: usize, from: &[f32], to: &mut [f32], first: usize, count: usize) {
    if count == 0 {
        return;
    }
    let to = &mut to[first..first + count];
    if step == 1 {
        to.copy_from_slice(&from[..count]);
    } else {
        for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
            *to = *from;
        }
    }
}
