//! The inputs of the forward pass, transformed: B^T d B of each tile.

use super::forward::{Forward, Segment};
use super::taps;
use super::transform::{self, Lanes, Starts};
use super::{LANES, PATCH, POINTS, TILE};
use crate::pool::Disjoint;
use crate::simd::{Simd, prefetch};
use std::ops::Range;

/// Where the points of the tiles go.
#[derive(Clone, Copy)]
pub(super) enum Points<'a> {
    /// `[point][panel of tiles][channel][tile]`, `size` floats for a point, a power of two of tiles in a panel.
    Tiles { all: Disjoint<'a, f32>, size: usize, channels: usize, panel: usize },
    /// `[chunk of channels][part of the tiles][point][channel][tile]`, of `count` tiles, `together` in a part.
    Few { all: Disjoint<'a, f32>, count: usize, together: usize },
}

impl Points<'_> {
    /// The tiles from `first` on of one point and channel.
    #[inline(always)]
    fn put(&self, point: usize, channel: usize, first: usize, v: &Lanes) {
        match *self {
            Points::Tiles { all, size, channels, panel } => {
                let within = first & (panel - 1);
                let at = point * size + (first - within) * channels + channel * panel + within;
                // SAFETY: the channels of different units are apart.
                unsafe { all.slice(at, LANES) }.copy_from_slice(v);
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
    /// Floats that [`Forward::inputs`] works in.
    pub(super) fn input_room(&self, segments: &[Segment]) -> usize {
        PATCH * pitch(segments)
    }

    /// The points of some channels, with room for whole vectors of tiles. Nobody else touches those of the channels.
    #[inline(always)]
    pub(super) fn inputs(
        &self,
        simd: Simd,
        segments: &[Segment],
        channels: Range<usize>,
        points: Points<'_>,
        scratch: &mut [f32],
    ) {
        let pitch = pitch(segments);
        let rows = &mut scratch[..PATCH * pitch];
        let tiles: usize = segments.iter().map(|segment| segment.count).sum();
        let mut end = 0;
        let starts = Starts::of(segments.iter().flat_map(|segment| {
            let start = end;
            end += span(segment.count);
            (0..segment.count).map(move |tile| start + TILE * tile)
        }));
        for channel in channels.clone() {
            let mut start = 0;
            for segment in segments {
                let plane = segment.item * self.channels + channel;
                if channel + 1 < channels.end {
                    self.ask(plane + 1, segment);
                }
                self.columns(plane, segment, &mut rows[start..], pitch);
                start += span(segment.count);
            }
            for first in (0..tiles).step_by(LANES) {
                for i in 0..PATCH {
                    let mut d = [[0.0; LANES]; PATCH];
                    transform::patches(simd, &rows[i * pitch..][..pitch], &starts, first, &mut d);
                    let mut v = [[0.0; LANES]; PATCH];
                    transform::inputs(&d, &mut v);
                    for (j, v) in v.iter().enumerate() {
                        points.put(i * PATCH + j, channel, first, v);
                    }
                }
            }
        }
    }

    /// `to[i * pitch + x]` = (B^T d)[i] for every x that the tiles of a segment see.
    #[inline(always)]
    fn columns(&self, plane: usize, segment: &Segment, to: &mut [f32], pitch: usize) {
        let [height, width] = self.size;
        for at in (0..span(segment.count)).step_by(LANES) {
            // Coordinates of the source, beside which is nothing.
            let left = (TILE * segment.across + at) as isize - self.padding[1] as isize;
            let inside = (width as isize - left).clamp(0, LANES as isize) as usize;
            let outside = (-left).clamp(0, LANES as isize) as usize;
            let mut d: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            for (i, d) in d.iter_mut().enumerate() {
                let y = (TILE * segment.down + i).wrapping_sub(self.padding[0]);
                if y >= height || outside >= inside {
                    continue;
                }
                let start = ((plane * height + y) * width) as isize + left;
                let from =
                    usize::try_from(start).ok().and_then(|start| self.source.get(start..)?.first_chunk::<LANES>());
                match from {
                    Some(from) if inside - outside == LANES => *d = *from,
                    Some(from) => lanes_between(from, outside, inside, d),
                    // At the ends of the source.
                    None => {
                        let first = (start + outside as isize) as usize;
                        d[outside..inside].copy_from_slice(&self.source[first..][..inside - outside]);
                    }
                }
            }
            let mut v: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
            transform::inputs(&d, &mut v);
            for (i, v) in v.iter().enumerate() {
                to[i * pitch + at..][..LANES].copy_from_slice(v);
            }
        }
    }

    /// Asks for the rows of a plane that the tiles of a segment begin with.
    #[inline(always)]
    fn ask(&self, plane: usize, segment: &Segment) {
        let [height, width] = self.size;
        for y in TILE * segment.down..TILE * (segment.down + 1) {
            let start = (plane * height + y) * width + TILE * segment.across;
            for place in (0..TILE * segment.count).step_by(LANES) {
                prefetch(self.source.as_ptr().wrapping_add(start + place).cast());
            }
        }
    }
}

/// Columns that so many neighbouring tiles see, in whole vectors.
fn span(tiles: usize) -> usize {
    (TILE * (tiles + 1)).next_multiple_of(LANES)
}

/// Columns that all tiles see.
fn pitch(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| span(segment.count)).sum()
}

/// Nothing, then ones, then nothing: from a place on, which lanes are meant. (A mask that the compiler sees made is made anew, in a
/// roundabout way, wherever it is used.)
static MASKS: [u32; 3 * LANES] = {
    let mut masks = [0; 3 * LANES];
    let mut lane = LANES;
    while lane < 2 * LANES {
        masks[lane] = u32::MAX;
        lane += 1;
    }
    masks
};

/// `to` = the lanes `first..end`, and zeros around them.
#[inline(always)]
fn lanes_between(from: &Lanes, first: usize, end: usize, to: &mut Lanes) {
    let after = MASKS[LANES - first..].first_chunk::<LANES>();
    let before = MASKS[2 * LANES - end..].first_chunk::<LANES>();
    let (Some(after), Some(before)) = (after, before) else { return };
    for lane in 0..LANES {
        to[lane] = f32::from_bits(from[lane].to_bits() & after[lane] & before[lane]);
    }
}
