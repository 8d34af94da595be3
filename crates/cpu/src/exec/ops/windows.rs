//! The largest values of whole rows of windows at once: for each place in the window, all windows of the row side by side.

use tensor::op::Pool;

use super::pool::{Planes, beats};

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

/// Windows compared side by side: one AVX-512 register.
const SIDE: usize = 16;

/// Calls `row(first window, largest values, their positions)` for windows side by side, all over the plane `x`.
///
/// The plane is laid out anew in `room` first, minus infinity around it, and each line cut into the phases of the stride: what
/// neighbouring windows see at one place of theirs then lies side by side.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
pub(super) fn largest<T: Least>(
    pool: &Pool,
    planes: &Planes,
    x: &[T],
    room: &mut Vec<T>,
    mut row: impl FnMut(usize, &[T], &[u32]),
) {
    // The spatial axes stand first; the last of them runs along a row.
    let inner = (pool.spatial as usize).clamp(1, 3) - 1;
    let (size, count) = (planes.size[inner], planes.windows[inner]);
    let [kernel, stride, padding, dilation] =
        [pool.kernel, pool.stride, pool.padding, pool.dilation].map(|of| of[inner] as usize);
    let span = (kernel - 1) * dilation + 1;
    let (phases, length) = (stride.min(span), count.next_multiple_of(SIDE) + (span - 1) / stride);
    let lines = x.len() / size.max(1);
    room.clear();
    room.resize(lines * phases * length, T::LEAST);
    for (line, to) in x.chunks_exact(size.max(1)).zip(room.chunks_exact_mut((phases * length).max(1))) {
        for (phase, to) in to.chunks_exact_mut(length).enumerate() {
            // Place i of a phase is number `phase + i stride` of the padded line.
            let skipped = padding.saturating_sub(phase).div_ceil(stride);
            let from = line.get(phase + skipped * stride - padding..).unwrap_or_default();
            let to = to.get_mut(skipped..).unwrap_or_default();
            if stride == 2 {
                let (pairs, last) = from.as_chunks::<2>();
                to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
                to.iter_mut().skip(pairs.len()).zip(last).for_each(|(to, last)| *to = *last);
            } else {
                to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, x)| *to = *x);
            }
        }
    }
    let outer = |number: usize| match inner {
        0 => [0, 0],
        1 => [number, 0],
        _ => [number / planes.windows[1], number % planes.windows[1]],
    };
    let taps = |axis: usize, window: usize| {
        let (_, end, _) = pool.window(axis, window, planes.size[axis]);
        (pool.first_tap(axis, window)..end).step_by(pool.dilation[axis] as usize)
    };
    let mut seen: Vec<usize> = Vec::new();
    for number in 0..planes.windows[..inner].iter().product() {
        let window = outer(number);
        seen.clear();
        match inner {
            0 => seen.push(0),
            1 => seen.extend(taps(0, window[0])),
            _ => taps(0, window[0]).for_each(|d| seen.extend(taps(1, window[1]).map(|h| d * planes.size[1] + h))),
        }
        for first in (0..count).step_by(SIDE) {
            let mut best = [T::LEAST; SIDE];
            // Where nothing beats minus infinity, the first place counts.
            let corner = seen.first().map_or(0, |line| line * size);
            let mut at: [u32; SIDE] = std::array::from_fn(|w| (corner + pool.first_tap(inner, first + w)) as u32);
            for &line in &seen {
                for tap in 0..kernel {
                    let offset = tap * dilation;
                    let start = (line * phases + offset % stride) * length + first + offset / stride;
                    let Some(values) = room[start..].first_chunk::<SIDE>() else { continue };
                    // (Wraps where a place lies in the padding: it never wins.)
                    let place = (line * size + first * stride + offset).wrapping_sub(padding) as u32;
                    for w in 0..SIDE {
                        let wins = beats(values[w], best[w]);
                        best[w] = if wins { values[w] } else { best[w] };
                        at[w] = if wins { place.wrapping_add((w * stride) as u32) } else { at[w] };
                    }
                }
            }
            let here = SIDE.min(count - first);
            row(number * count + first, &best[..here], &at[..here]);
        }
    }
}
