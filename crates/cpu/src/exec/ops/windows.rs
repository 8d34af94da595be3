//! The largest values of whole rows of windows at once: for each place in the window, all windows of the row side by side.

use tensor::op::Pool;

use super::pool::{Planes, beats};
use crate::simd::Simd;

/// A number with a least value, from which every maximum starts.
pub(super) trait Least: PartialOrd + Copy {
    /// Minus infinity.
    const LEAST: Self;
}

impl Least for f32 {
    const LEAST: f32 = f32::NEG_INFINITY;
}

impl Least for f64 {
    const LEAST: f64 = f64::NEG_INFINITY;
}

/// Calls `row(first window, largest values, their positions)` for each row of windows of the plane `x`. The two buffers
/// hold a row.
pub(super) fn largest_of_rows<T: Least>(
    simd: Simd,
    pool: &Pool,
    planes: &Planes,
    x: &[T],
    (best, at): (&mut Vec<T>, &mut Vec<u32>),
    mut row: impl FnMut(usize, &[T], &[u32]),
) {
    // The spatial axes stand first; the last of them runs along a row.
    let inner = (pool.spatial as usize).clamp(1, 3) - 1;
    let (size, count) = (planes.size[inner], planes.windows[inner]);
    let outer = |number: usize| match inner {
        0 => [0, 0],
        1 => [number, 0],
        _ => [number / planes.windows[1], number % planes.windows[1]],
    };
    let taps = |axis: usize, window: usize| {
        let (_, end, _) = pool.window(axis, window, planes.size[axis]);
        (pool.first_tap(axis, window)..end).step_by(pool.dilation[axis] as usize)
    };
    for number in 0..planes.windows[..inner].iter().product() {
        let window = outer(number);
        best.clear();
        best.resize(count, T::LEAST);
        at.clear();
        let mut add = |line: usize| {
            if at.is_empty() {
                // Where nothing beats minus infinity, the first place counts.
                at.extend((0..count).map(|w| (line * size + pool.first_tap(inner, w)) as u32));
            }
            for tap in 0..pool.kernel[inner] as usize {
                line_of(simd, pool, inner, tap, (&x[line * size..][..size], line * size), best, at);
            }
        };
        match inner {
            0 => add(0),
            1 => taps(0, window[0]).for_each(add),
            _ => taps(0, window[0]).for_each(|d| taps(1, window[1]).for_each(|h| add(d * planes.size[1] + h))),
        }
        if at.is_empty() {
            at.resize(count, 0);
        }
        row(number * count, best, at);
    }
}

/// Compares what all windows of a row see at place `tap` of the line `x`, which begins at `first`.
#[allow(clippy::too_many_arguments)]
fn line_of<T: Least>(
    simd: Simd,
    pool: &Pool,
    axis: usize,
    tap: usize,
    (x, first): (&[T], usize),
    best: &mut [T],
    at: &mut [u32],
) {
    let (stride, padding) = (pool.stride[axis] as usize, pool.padding[axis] as usize);
    let offset = tap * pool.dilation[axis] as usize;
    // Windows `from .. to` see a place inside the line.
    let from = padding.saturating_sub(offset).div_ceil(stride);
    let to = best.len().min((x.len() + padding).saturating_sub(offset).div_ceil(stride));
    if from >= to {
        return;
    }
    let start = from * stride + offset - padding;
    let (x, best, at) = (&x[start..], &mut best[from..to], &mut at[from..to]);
    let place = (first + start) as u32;
    simd.run(
        #[inline(always)]
        || match stride {
            1 => compare(x.iter().copied(), 1, place, best, at),
            2 => {
                // The last window may look at the last element, which has no neighbour.
                let (pairs, last) = (x.as_chunks::<2>().0, best.len() - 1);
                let (near, end) = best.split_at_mut(last);
                let (near_at, end_at) = at.split_at_mut(last);
                compare_pairs(pairs, place, near, near_at);
                compare(x[2 * last..].iter().copied(), 2, place + 2 * last as u32, end, end_at);
            }
            _ => compare(x.iter().step_by(stride).copied(), stride as u32, place, best, at),
        },
    );
}

#[inline(always)]
fn compare<T: Least>(x: impl Iterator<Item = T>, step: u32, place: u32, best: &mut [T], at: &mut [u32]) {
    let mut here = place;
    for (x, (best, at)) in x.zip(best.iter_mut().zip(at)) {
        let wins = beats(x, *best);
        *best = if wins { x } else { *best };
        *at = if wins { here } else { *at };
        here += step;
    }
}

#[inline(always)]
fn compare_pairs<T: Least>(x: &[[T; 2]], place: u32, best: &mut [T], at: &mut [u32]) {
    let mut here = place;
    for (x, (best, at)) in x.iter().zip(best.iter_mut().zip(at)) {
        let wins = beats(x[0], *best);
        *best = if wins { x[0] } else { *best };
        *at = if wins { here } else { *at };
        here += 2;
    }
}
