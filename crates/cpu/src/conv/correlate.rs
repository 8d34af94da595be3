//! Chains of few factors over the positions of a plane on a canvas: what a depthwise convolution is made of.
//!
//! Some rows at a time, each by vectors along it, so that there are enough chains of multiply-adds for none to wait for itself.

use super::canvas::Grid;
use crate::copy::copy_short;
use crate::simd::Simd;

/// Elements that are read beyond the last position of a canvas, but for the shifts.
pub(super) const SLACK: usize = 32;

/// y[p] = chain of w[i] * canvas[start(p) + taps[i]], where neighbours of a row are neighbours on the canvas.
pub(super) fn correlate(simd: Simd, grid: Grid, canvas: &[f32], w: &[f32], taps: &[usize], y: &mut [f32]) {
    let [depths, heights, width] = grid.size;
    if y.is_empty() {
        return;
    }
    assert!(y.len() == depths * heights * width && w.len() == taps.len());
    let last = (0..3).map(|a| (grid.size[a] - 1) * grid.steps[a]).sum::<usize>();
    let shift = taps.iter().max().copied().unwrap_or(0);
    assert!(grid.start + last + shift + SLACK <= canvas.len() && grid.steps[2] == 1);
    simd.run(
        #[inline(always)]
        || {
            // The widest vectors that waste no more of the last of a row than the narrowest do; else 8 numbers, or 4 for rows so short.
            let least = width.next_multiple_of(4);
            for depth in 0..depths {
                let plane = Plane {
                    from: &canvas[grid.start + depth * grid.steps[0]..],
                    pitch: grid.steps[1],
                    size: (heights, width),
                    factors: (w, taps),
                };
                let y = &mut y[depth * heights * width..][..heights * width];
                // SAFETY: by the assertions above, `from` holds 32 elements from each position under each tap on.
                unsafe {
                    if width.next_multiple_of(32) == least {
                        plane.correlate::<32, 2>(y);
                    } else if width.next_multiple_of(16) == least {
                        plane.correlate::<16, 4>(y);
                    } else if width > 4 {
                        plane.correlate::<8, 8>(y);
                    } else {
                        plane.correlate::<4, 8>(y);
                    }
                }
            }
        },
    );
}

/// Rows of positions.
#[derive(Clone, Copy)]
struct Plane<'a> {
    /// The canvas from the first position on, and from one row to the next.
    from: &'a [f32],
    pitch: usize,
    /// Rows, and positions of each.
    size: (usize, usize),
    /// Factors, and the shift of each.
    factors: (&'a [f32], &'a [usize]),
}

impl Plane<'_> {
    /// `ROWS` rows at a time, at most 8, and at last those that are left.
    ///
    /// # Safety
    /// From each position under each tap on, `from` has `LANES` elements.
    #[inline(always)]
    unsafe fn correlate<const LANES: usize, const ROWS: usize>(self, y: &mut [f32]) {
        let whole = self.size.0 / ROWS * ROWS;
        // SAFETY: the caller's promise.
        unsafe {
            for row in (0..whole).step_by(ROWS) {
                self.strip::<LANES, ROWS>(row, y);
            }
            match self.size.0 - whole {
                0 => {}
                1 => self.strip::<LANES, 1>(whole, y),
                2 => self.strip::<LANES, 2>(whole, y),
                3 => self.strip::<LANES, 3>(whole, y),
                4 => self.strip::<LANES, 4>(whole, y),
                5 => self.strip::<LANES, 5>(whole, y),
                6 => self.strip::<LANES, 6>(whole, y),
                _ => self.strip::<LANES, 7>(whole, y),
            }
        }
    }

    /// `ROWS` rows from `row` on.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn strip<const LANES: usize, const ROWS: usize>(self, row: usize, y: &mut [f32]) {
        let (width, (w, taps)) = (self.size.1, self.factors);
        let mut start = 0;
        while start < width {
            // The last lanes of a long row are computed where they still fit, some of them twice.
            let first = if width < LANES { 0 } else { start.min(width - LANES) };
            let from = self.from.as_ptr().wrapping_add(row * self.pitch + first);
            let mut sums = [[0.0; LANES]; ROWS];
            for (&w, &tap) in w.iter().zip(taps) {
                for (i, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    let values = unsafe { from.add(i * self.pitch + tap).cast::<[f32; LANES]>().read_unaligned() };
                    for lane in 0..LANES {
                        sums[lane] = w.mul_add(values[lane], sums[lane]);
                    }
                }
            }
            for (i, done) in sums.into_iter().enumerate() {
                // What is too much of a short row lies where the next one is written.
                let y = &mut y[(row + i) * width + first..];
                match y.first_chunk_mut::<LANES>() {
                    Some(y) => *y = done,
                    None => copy_short(&mut y[..LANES.min(width - first)], &done),
                }
            }
            start = first + LANES;
        }
    }
}
