//! The inputs of the forward pass, transformed: B^T d B of each tile.

use super::forward::{Forward, Segment};
use super::taps;
use super::transform::{self, Lanes, deinterleave};
use super::{LANES, PATCH, POINTS, TILE};
use crate::pool::Disjoint;
use crate::simd::Simd;
use std::ops::Range;

/// Where the points of the tiles go.
#[derive(Clone, Copy)]
pub(super) enum Points<'a> {
    /// `[point][channel][tile]`, `size` floats for a point.
    Tiles { all: Disjoint<'a, f32>, size: usize },
    /// `[chunk of channels][part of the tiles][point][channel][tile]`, of `count` tiles, `together` in a part.
    Few { all: Disjoint<'a, f32>, count: usize, together: usize },
}

impl Points<'_> {
    /// The tiles from `first` on of one point and channel.
    #[inline(always)]
    fn put(&self, point: usize, channel: usize, (first, room): (usize, usize), v: &Lanes) {
        match *self {
            Points::Tiles { all, size } => {
                // SAFETY: the channels of different units are apart.
                unsafe { all.slice(point * size + channel * room + first, LANES) }.copy_from_slice(v);
            }
            Points::Few { all, count, together } => {
                let parts = count.div_ceil(together);
                let (chunk, channel) = (channel / taps::CHANNELS, channel % taps::CHANNELS);
                for (part, v) in v.chunks_exact(together).take(parts).enumerate() {
                    let at = ((chunk * parts + part) * POINTS + point) * taps::CHANNELS + channel;
                    // SAFETY: as above.
                    let to = unsafe { all.slice(at * together, together) };
                    for (to, v) in to.iter_mut().zip(v) {
                        *to = *v;
                    }
                }
            }
        }
    }
}

impl Forward<'_> {
    /// Floats in a row of patches, and what a vector may write beyond it.
    fn pitch(&self, segments: &[Segment]) -> usize {
        TILE * segments.iter().map(|segment| segment.count).max().unwrap_or(0) + PATCH + 2 * LANES
    }

    /// Floats that [`Forward::inputs`] works in.
    pub(super) fn input_room(&self, segments: &[Segment], room: usize) -> usize {
        PATCH * (self.pitch(segments) + 2 * (TILE * room + LANES))
    }

    /// The points of some channels, with room for `room` tiles. Nobody else touches those of the channels.
    #[inline(always)]
    pub(super) fn inputs(
        &self,
        simd: Simd,
        segments: &[Segment],
        room: usize,
        channels: Range<usize>,
        points: Points<'_>,
        scratch: &mut [f32],
    ) {
        let [height, width] = self.size;
        let (pitch, line) = (self.pitch(segments), TILE * room + LANES);
        let (row, staged) = scratch.split_at_mut(PATCH * pitch);
        staged.fill(0.0);
        let (here, next) = staged.split_at_mut(PATCH * line);
        for channel in channels {
            let mut tile = 0;
            for segment in segments {
                // (And what follows it: whole vectors are read.)
                let plane = &self.source[(segment.item * self.channels + channel) * height * width..];
                self.columns(plane, segment, pitch, row);
                for i in 0..PATCH {
                    let from = &row[i * pitch..][..pitch];
                    let at = i * line + TILE * tile;
                    copy(from, &mut here[at..], TILE * segment.count);
                    copy(&from[TILE..], &mut next[at..], TILE * segment.count);
                }
                tile += segment.count;
            }
            for first in (0..room).step_by(LANES) {
                for i in 0..PATCH {
                    let at = i * line + TILE * first;
                    let mut d = [[0.0; LANES]; PATCH];
                    if let (Some(here), Some(next)) = (here[at..].first_chunk(), next[at..].first_chunk()) {
                        let (mut inside, mut beyond) = ([[0.0; LANES]; TILE], [[0.0; LANES]; TILE]);
                        deinterleave(simd, here, &mut inside);
                        deinterleave(simd, next, &mut beyond);
                        d = [inside[0], inside[1], inside[2], inside[3], beyond[0], beyond[1]];
                    }
                    let mut v = [[0.0; LANES]; PATCH];
                    transform::inputs(&d, &mut v);
                    for (j, v) in v.iter().enumerate() {
                        points.put(i * PATCH + j, channel, (first, room), v);
                    }
                }
            }
        }
    }

    /// `row[i][x]` = (B^T d)[i] for every x that the tiles of a segment see.
    #[inline(always)]
    fn columns(&self, plane: &[f32], segment: &Segment, pitch: usize, row: &mut [f32]) {
        let [height, width] = self.size;
        let left = TILE * segment.across;
        // Coordinates inside the source: from `start` on, at place `skip` of the row.
        let (start, skip) = (left.saturating_sub(self.padding[1]), self.padding[1].saturating_sub(left));
        let end = width.min((left + TILE * segment.count + 2).saturating_sub(self.padding[1]));
        let source: [Option<&[f32]>; PATCH] = std::array::from_fn(|i| {
            let y = (TILE * segment.down + i).checked_sub(self.padding[0]).filter(|&y| y < height)?;
            Some(&plane[y * width..])
        });
        for i in 0..PATCH {
            row[i * pitch..i * pitch + skip].fill(0.0);
        }
        let mut at = skip;
        for x in (start..end).step_by(LANES) {
            let mut d: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            let count = LANES.min(end - x);
            for (d, source) in d.iter_mut().zip(source) {
                let Some(source) = source else { continue };
                match source[x..].first_chunk() {
                    Some(from) if count == LANES => *d = *from,
                    Some(from) => first_lanes(from, count, d),
                    None => d[..count].copy_from_slice(&source[x..x + count]),
                }
            }
            let mut v: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            transform::inputs(&d, &mut v);
            for (i, v) in v.iter().enumerate() {
                row[i * pitch + at..][..LANES].copy_from_slice(v);
            }
            at += LANES;
        }
        let used = TILE * segment.count + PATCH;
        if at < used {
            for i in 0..PATCH {
                row[i * pitch + at..i * pitch + used].fill(0.0);
            }
        }
    }
}

/// `to` = the first `count` lanes, then zeros: a copy of a length that the compiler does not know would be a call.
#[inline(always)]
fn first_lanes(from: &Lanes, count: usize, to: &mut Lanes) {
    for lane in 0..LANES {
        let mask = if lane < count { u32::MAX } else { 0 };
        to[lane] = f32::from_bits(from[lane].to_bits() & mask);
    }
}

/// Copies `count` floats, and what follows them up to a whole vector.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32], count: usize) {
    for first in (0..count).step_by(LANES) {
        to[first..first + LANES].copy_from_slice(&from[first..first + LANES]);
    }
}
