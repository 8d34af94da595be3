//! Pictures that are others moved by a pixel or two. What lies two pixels within the edges of one is then what lies as far from
//! there in the other, pixel for pixel: so a hash of it, taken at every such place, finds it.

use std::collections::HashMap;

use super::twins::{Look, hash_of};
use crate::parallel;

/// Pixels that a picture may be moved by, in each direction.
pub const MOST_MOVED: usize = 2;
/// Of the 64 bits of the hashes so many may differ.
const NEAR_BITS: u32 = 1;
/// How well what both show must correlate: pixels of small pictures, ...
const SMALL_CORRELATION: f64 = 0.99;
/// ... and the thumbnails of large ones, of which one is moved by parts of a cell.
const LARGE_CORRELATION: f64 = 0.98;
/// Pictures up to this side are compared by their pixels.
const SMALL: usize = 32;
/// For smaller pictures two pixels are much, for larger ones nothing.
const SIDES: std::ops::RangeInclusive<usize> = 16..=1024;
/// Half of all moves: either of two pictures may be the one that was moved.
const MOVES: [(isize, isize); 12] =
    [(0, 1), (0, 2), (1, -2), (1, -1), (1, 0), (1, 1), (1, 2), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2)];
/// Pairs that are compared at most.
const MOST_PAIRS: usize = 400_000_000;

/// What a picture shows within its edges.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inner {
    size: (usize, usize),
    /// The hash of what lies in the middle, and at each of [`MOVES`] from there.
    hashes: [u64; 1 + MOVES.len()],
    /// All pixels, if there are few.
    pixels: Vec<u8>,
}

impl Inner {
    /// Of a grey plane `[height, width]`; `None` if it is too small or too large.
    pub fn of(plane: &[u8], (height, width): (usize, usize)) -> Option<Inner> {
        if !SIDES.contains(&height) || !SIDES.contains(&width) || plane.len() != height * width {
            return None;
        }
        // Sums over all rectangles from the upper left corner.
        let line = width + 1;
        let mut sums = vec![0u32; (height + 1) * line];
        for y in 0..height {
            let mut row = 0;
            for x in 0..width {
                row += u32::from(plane[y * width + x]);
                sums[(y + 1) * line + x + 1] = sums[y * line + x + 1] + row;
            }
        }
        let (inner_height, inner_width) = (height - 2 * MOST_MOVED, width - 2 * MOST_MOVED);
        let hash = |(down, right): (isize, isize)| {
            let (top, left) = (MOST_MOVED.saturating_add_signed(down), MOST_MOVED.saturating_add_signed(right));
            hash_of(|y, x| {
                let (y0, y1) = (top + y * inner_height / 8, top + (y + 1) * inner_height / 8);
                let (x0, x1) = (left + x * inner_width / 9, left + (x + 1) * inner_width / 9);
                let sum = sums[y1 * line + x1] + sums[y0 * line + x0] - sums[y0 * line + x1] - sums[y1 * line + x0];
                sum / ((y1 - y0) * (x1 - x0)) as u32
            })
        };
        let mut hashes = [hash((0, 0)); 1 + MOVES.len()];
        hashes[1..].iter_mut().zip(MOVES).for_each(|(to, by)| *to = hash(by));
        let pixels = if height.max(width) <= SMALL { plane.to_vec() } else { Vec::new() };
        Some(Inner { size: (height, width), hashes, pixels })
    }
}

/// Pairs of pictures of one size that show the same, moved, with their correlation; and whether some could not be compared.
pub(super) fn moved(looks: &[(usize, &Look)]) -> (Vec<(usize, usize, f64)>, bool) {
    let inner: Vec<(usize, &Look, &Inner)> =
        looks.iter().filter_map(|&(row, look)| Some((row, look, look.inner.as_ref()?))).collect();
    let (mut candidates, mut compared, mut cut_short) = (Vec::new(), 0usize, false);
    // Of two hashes that differ in one bit, one half is equal.
    for half in 0..2 {
        let key = |hash: u64| (hash >> (32 * half)) as u32;
        let each = |(at, (.., inner)): (usize, &(usize, &Look, &Inner))| {
            let hashes = inner.hashes;
            (0..hashes.len()).map(move |by| (key(hashes[by]), by, at))
        };
        let mut entries: Vec<(u32, usize, usize)> = inner.iter().enumerate().flat_map(each).collect();
        entries.sort_unstable();
        for bucket in entries.chunk_by(|a, b| a.0 == b.0) {
            // Those that were not moved come first.
            let (still, others) = bucket.split_at(bucket.partition_point(|(_, by, _)| *by == 0));
            compared = compared.saturating_add(still.len().saturating_mul(others.len()));
            if compared > MOST_PAIRS {
                cut_short = true;
                break;
            }
            for &(_, by, a) in others {
                let (.., moved) = inner[a];
                candidates.extend(still.iter().filter_map(|&(_, _, b)| {
                    let (.., other) = inner[b];
                    let differing = moved.hashes[by] ^ other.hashes[0];
                    let seen = half == 1 && differing as u32 == 0;
                    let near = a != b && moved.size == other.size && differing.count_ones() <= NEAR_BITS && !seen;
                    near.then_some((a, b, MOVES[by - 1]))
                }));
            }
        }
    }
    let found = parallel::map(&candidates, |&(a, b, by)| {
        let ((first, look, _), (second, other, _)) = (inner[a], inner[b]);
        let correlation = correlation(look, other, by)?;
        Some(((first.min(second), first.max(second)), correlation))
    });
    let mut best: HashMap<(usize, usize), f64> = HashMap::new();
    for (pair, correlation) in found.into_iter().flatten() {
        let known = best.entry(pair).or_insert(correlation);
        *known = known.max(correlation);
    }
    let mut pairs: Vec<(usize, usize, f64)> = best.into_iter().map(|((a, b), c)| (a, b, c)).collect();
    pairs.sort_by_key(|&(a, b, _)| (a, b));
    (pairs, cut_short)
}

/// How well what `look` shows at `by` from the middle correlates with the middle of `other`, if it does.
fn correlation(look: &Look, other: &Look, (down, right): (isize, isize)) -> Option<f64> {
    let (inner, others) = (look.inner.as_ref()?, other.inner.as_ref()?);
    let (height, width) = inner.size;
    if inner.pixels.is_empty() {
        // A few cells from the edges, two pixels are at most two cells.
        const CELLS: std::ops::Range<usize> = 2..29;
        let (a, b) = (look.thumbnail(), other.thumbnail());
        let side = 32;
        let (dy, dx) = ((down * side) as f64 / height as f64, (right * side) as f64 / width as f64);
        let moved = |y: usize, x: usize| {
            let (y, x) = (y as f64 + dy, x as f64 + dx);
            let (top, left, below, beside) = (y.floor(), x.floor(), y - y.floor(), x - x.floor());
            let at = |y: f64, x: f64| f64::from(a[y as usize * side as usize + x as usize]);
            (1.0 - below) * ((1.0 - beside) * at(top, left) + beside * at(top, left + 1.0))
                + below * ((1.0 - beside) * at(top + 1.0, left) + beside * at(top + 1.0, left + 1.0))
        };
        let pairs = CELLS.flat_map(|y| CELLS.map(move |x| (y, x)));
        let found = pearson(pairs.map(|(y, x)| (moved(y, x), f64::from(b[y * side as usize + x]))));
        return (found >= LARGE_CORRELATION).then_some(found);
    }
    let (top, left) = (MOST_MOVED.saturating_add_signed(down), MOST_MOVED.saturating_add_signed(right));
    let places = (0..height - 2 * MOST_MOVED).flat_map(|y| (0..width - 2 * MOST_MOVED).map(move |x| (y, x)));
    let found = pearson(places.map(|(y, x)| {
        let (a, b) = ((top + y) * width + left + x, (MOST_MOVED + y) * width + MOST_MOVED + x);
        (f64::from(inner.pixels[a]), f64::from(others.pixels[b]))
    }));
    (found >= SMALL_CORRELATION).then_some(found)
}

/// The correlation of pairs; 0 if one side does not vary.
fn pearson(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let [mut n, mut x, mut y, mut xx, mut yy, mut xy] = [0.0; 6];
    for (a, b) in pairs {
        (n, x, y, xx, yy, xy) = (n + 1.0, x + a, y + b, xx + a * a, yy + b * b, xy + a * b);
    }
    let spread = ((n * xx - x * x).max(0.0) * (n * yy - y * y).max(0.0)).sqrt();
    if spread > 0.0 { (n * xy - x * y) / spread } else { 0.0 }
}
