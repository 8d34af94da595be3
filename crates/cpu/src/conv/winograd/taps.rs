//! The weights, transformed: G w G^T of sixteen target channels side by side.

use super::transform::{self, Lanes};
use super::{LANES, PATCH, POINTS};
use crate::gemm::{Lines, SIDE_B, SIDE_COLUMNS, SIDE_STEPS};
use crate::simd::{Simd, prefetch};
use std::ops::Range;

/// Source channels at a time: what is made of them stays in the first-level cache until it is used or written, in order.
pub(super) const CHANNELS: usize = SIDE_STEPS;
/// Floats from one point to the next.
pub(super) const POINT: usize = SIDE_B;
/// Floats of the transformed weights.
pub(super) const SIZE: usize = POINTS * POINT;
/// Floats that the transform works in: lines of taps, transposed. Up to 16 of a line are read where 9 are needed.
pub(super) const ROOM: usize = CHANNELS * LINE * LANES;
/// Also the floats of a cache line.
const LINE: usize = 16;
const TAPS: usize = 9;
const _: () = assert!(SIDE_COLUMNS == LANES);

/// 3 x 3 kernels for each pair of a target and a source channel.
pub(super) struct Taps<'a> {
    pub data: &'a [f32],
    /// From one target channel's weights to the next, and from one source channel's.
    pub strides: [usize; 2],
    /// Whether the kernel is turned by 180 degrees.
    pub turned: bool,
}

impl Taps<'_> {
    /// `to[point][channel][lane]`, points [`POINT`] apart, for at most [`LANES`] target channels (the other lanes hold
    /// anything) and at most [`CHANNELS`] source channels.
    #[inline(always)]
    pub fn transform(
        &self,
        simd: Simd,
        rows: Range<usize>,
        channels: Range<usize>,
        room: &mut [f32],
        to: &mut [f32; SIZE],
    ) {
        let line = self.draw(simd, rows.clone(), channels.clone(), room);
        for (channel, drawn) in room.chunks_exact(line * LANES).take(channels.len()).enumerate() {
            let (drawn, _) = drawn.as_chunks::<LANES>();
            self.ahead(&rows, channels.end, channel);
            let mut columns: [[Lanes; PATCH]; 3] = [[[0.0; LANES]; PATCH]; 3];
            for (j, column) in columns.iter_mut().enumerate() {
                let taps = [0, 1, 2].map(|i| 3 * i + j).map(|tap| if self.turned { TAPS - 1 - tap } else { tap });
                transform::weights(&[drawn[taps[0]], drawn[taps[1]], drawn[taps[2]]], column);
            }
            let [left, middle, right] = &columns;
            for (i, ((left, middle), right)) in left.iter().zip(middle).zip(right).enumerate() {
                let mut points: [Lanes; PATCH] = [[0.0; LANES]; PATCH];
                transform::weights(&[*left, *middle, *right], &mut points);
                for (j, point) in points.iter().enumerate() {
                    to[(i * PATCH + j) * POINT + channel * LANES..][..LANES].copy_from_slice(point);
                }
            }
        }
    }

    /// Asks for one eighth of the weights of the next channels: what is in memory only comes while these are multiplied.
    #[inline(always)]
    fn ahead(&self, rows: &Range<usize>, first: usize, part: usize) {
        let [row_stride, channel_stride] = self.strides;
        let (start, count, stride, length) = if channel_stride == TAPS {
            let share = LANES / CHANNELS;
            ((rows.start + part * share) * row_stride + first * TAPS, share, row_stride, CHANNELS * TAPS)
        } else {
            (rows.start * row_stride + (first + part) * channel_stride, 1, 0, LANES * TAPS)
        };
        for line in 0..count {
            let start = self.data.as_ptr().wrapping_add(start + line * stride);
            for at in (0..length + LINE).step_by(LINE) {
                prefetch(start.wrapping_add(at).cast());
            }
        }
    }

    /// `room[channel][tap][lane]`; returns the taps from one channel to the next.
    #[inline(always)]
    fn draw(&self, simd: Simd, rows: Range<usize>, channels: Range<usize>, room: &mut [f32]) -> usize {
        let [row_stride, channel_stride] = self.strides;
        let data = &self.data[rows.start * row_stride + channels.start * channel_stride..];
        let (lanes, count) = (rows.len(), channels.len());
        if channel_stride == TAPS {
            // The taps of a row's channels follow each other.
            let lines = Lines { data, stride: row_stride, lanes, steps: count * TAPS };
            lines.pack(simd, LANES, &mut room[..count * TAPS * LANES]);
            return TAPS;
        }
        for channel in 0..count {
            let data = &data[channel * channel_stride..];
            // Whole blocks are transposed faster than nine, where there is something to read behind them.
            let steps = if (lanes - 1) * row_stride + LINE <= data.len() { LINE } else { TAPS };
            let lines = Lines { data, stride: row_stride, lanes, steps };
            lines.pack(simd, LANES, &mut room[channel * LINE * LANES..][..steps * LANES]);
        }
        LINE
    }
}
