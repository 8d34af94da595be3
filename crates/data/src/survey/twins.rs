//! Rows that are the same, or look the same: exact by hash; near by what is left of pictures when they are made very small.

use std::collections::HashMap;

use crate::parallel;
use crate::picture::{Depth, Picture};

/// Two pictures are near if at most so many of the 64 bits of their difference hashes differ, ...
pub const NEAR_BITS: u32 = 3;
/// ... and their grey thumbnails of 32 x 32 correlate at least so well. With smaller
/// thumbnails, a third of the digits of MNIST would be near some other.
pub const NEAR_CORRELATION: f64 = 0.98;

/// Side of the thumbnail.
const SIDE: usize = 32;
/// Side of the coarse thumbnail.
const COARSE: usize = 8;
/// Pictures whose thumbnails vary less (standard deviation, of 255) are too flat to be told from each other.
const FLAT: f64 = 2.0;
/// Bands of the hash: of two hashes that differ in fewer bits than there are bands, one band is equal.
const BANDS: [(u32, u32); NEAR_BITS as usize + 1] = [(0, 16), (16, 16), (32, 16), (48, 16)];
/// Pairs that are compared at most in one band.
const MOST_PAIRS: u64 = 1_000_000_000;

/// What a picture looks like from afar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    /// Bit (y, x) says whether cell x + 1 of row y of an 8 x 9 thumbnail is lighter than cell x (a difference hash).
    bits: u64,
    fine: Thumbnail<{ SIDE * SIDE }>,
    /// A few cells tell most pictures apart, sixteen times as fast.
    coarse: Thumbnail<{ COARSE * COARSE }>,
}

/// A small grey picture with its mean and standard deviation.
#[derive(Debug, Clone, PartialEq)]
struct Thumbnail<const CELLS: usize> {
    cells: [u8; CELLS],
    mean: f64,
    spread: f64,
}

impl<const CELLS: usize> Thumbnail<CELLS> {
    fn of(plane: &[u8], size: (usize, usize), side: usize) -> Option<Self> {
        let mut cells = [0; CELLS];
        shrink(plane, size, (side, side), &mut cells)?;
        let count = CELLS as f64;
        let sum: u64 = cells.iter().map(|&x| u64::from(x)).sum();
        let squares: u64 = cells.iter().map(|&x| u64::from(x) * u64::from(x)).sum();
        let mean = sum as f64 / count;
        Some(Thumbnail { cells, mean, spread: (squares as f64 / count - mean * mean).max(0.0).sqrt() })
    }

    fn correlation(&self, other: &Self) -> f64 {
        let products: u32 = self.cells.iter().zip(&other.cells).map(|(&a, &b)| u32::from(a) * u32::from(b)).sum();
        (f64::from(products) / CELLS as f64 - self.mean * other.mean) / (self.spread * other.spread)
    }
}

impl Look {
    /// Of a picture; `None` if it is too flat to look like anything.
    pub fn of(picture: &Picture) -> Option<Box<Look>> {
        let grey = |p: &[u32]| if let [r, g, b] = p { (299 * r + 587 * g + 114 * b) / 1000 } else { p[0] };
        let plane: Vec<u8> = match &picture.depth {
            Depth::Eight(v) if picture.channels == 1 => v.clone(),
            Depth::Eight(v) => v
                .chunks_exact(picture.channels)
                .map(|p| grey(&[u32::from(p[0]), u32::from(p[1]), u32::from(p[2])]) as u8)
                .collect(),
            Depth::Sixteen(v) => v
                .chunks_exact(picture.channels)
                .map(|p| (grey(&p.iter().map(|&x| u32::from(x)).collect::<Vec<_>>()) >> 8) as u8)
                .collect(),
        };
        Look::of_plane(&plane, picture.height, picture.width)
    }

    /// Of a grey plane `[height, width]`.
    pub fn of_plane(plane: &[u8], height: usize, width: usize) -> Option<Box<Look>> {
        let fine = Thumbnail::of(plane, (height, width), SIDE).filter(|thumbnail| thumbnail.spread >= FLAT)?;
        let coarse = Thumbnail::of(plane, (height, width), COARSE).filter(|thumbnail| thumbnail.spread >= FLAT)?;
        let mut cells = [0; 8 * 9];
        shrink(plane, (height, width), (8, 9), &mut cells)?;
        let mut bits = 0;
        for (y, row) in cells.chunks_exact(9).enumerate() {
            for x in 0..8 {
                bits |= u64::from(row[x + 1] > row[x]) << (8 * y + x);
            }
        }
        Some(Box::new(Look { bits, fine, coarse }))
    }

    /// Correlation with another picture, if it is near.
    fn near(&self, other: &Look) -> Option<f64> {
        let coarse = self.coarse.correlation(&other.coarse) >= NEAR_CORRELATION;
        coarse.then(|| self.fine.correlation(&other.fine)).filter(|&correlation| correlation >= NEAR_CORRELATION)
    }
}

/// The mean of each cell of a grid laid over a plane; small planes give a pixel to several cells. `None` if the plane has no pixel.
fn shrink(plane: &[u8], (height, width): (usize, usize), (rows, columns): (usize, usize), to: &mut [u8]) -> Option<()> {
    if height == 0 || width == 0 || plane.len() != height * width {
        return None;
    }
    for (cell, value) in to.iter_mut().enumerate() {
        let (y, x) = (cell / columns, cell % columns);
        let (top, left) = (y * height / rows, x * width / columns);
        let bottom = ((y + 1) * height / rows).max(top + 1);
        let right = ((x + 1) * width / columns).max(left + 1);
        let lines = plane[top * width..bottom * width].chunks_exact(width);
        let sum: u64 = lines.map(|line| line[left..right].iter().map(|&p| u64::from(p)).sum::<u64>()).sum();
        *value = (sum / ((bottom - top) * (right - left)) as u64) as u8;
    }
    Some(())
}

/// Rows that are the same or look the same.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Twins {
    /// Rows of equal content, each group in ascending order, groups by their first row.
    pub exact: Vec<Vec<usize>>,
    /// Pairs of rows that look the same without being equal, with their correlation.
    pub near: Vec<(usize, usize, f64)>,
    /// Whether the search for near ones left some out, because too many rows look alike.
    pub cut_short: bool,
}

/// The twins among rows with these hashes and looks.
pub(crate) fn twins(hashes: &[[u8; 32]], looks: &[Option<Box<Look>>]) -> Twins {
    let mut groups: HashMap<&[u8; 32], Vec<usize>> = HashMap::with_capacity(hashes.len());
    for (row, hash) in hashes.iter().enumerate() {
        groups.entry(hash).or_default().push(row);
    }
    // Of equal rows, the first stands for all.
    let mut rows: Vec<usize> = groups.values().map(|group| group[0]).filter(|&row| looks[row].is_some()).collect();
    rows.sort_unstable();
    let mut exact: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    exact.sort();
    let looks: Vec<(usize, &Look)> = rows.iter().filter_map(|&row| Some((row, looks[row].as_deref()?))).collect();
    let (near, cut_short) = near(&looks);
    Twins { exact, near, cut_short }
}

fn near(looks: &[(usize, &Look)]) -> (Vec<(usize, usize, f64)>, bool) {
    let mut found = Vec::new();
    let mut cut_short = false;
    for band in 0..BANDS.len() {
        let key = |bits: u64, band: usize| (bits >> BANDS[band].0) & ((1 << BANDS[band].1) - 1);
        let mut order: Vec<usize> = (0..looks.len()).collect();
        order.sort_by_key(|&i| (key(looks[i].1.bits, band), i));
        let mut buckets: Vec<&[usize]> =
            order.chunk_by(|&a, &b| key(looks[a].1.bits, band) == key(looks[b].1.bits, band)).collect();
        // The smallest first: if not all pairs can be compared, those of the largest are left out.
        buckets.sort_by_key(|bucket| bucket.len());
        let mut pairs = 0u64;
        let within = |bucket: &&&[usize]| {
            pairs = pairs.saturating_add(bucket.len() as u64 * bucket.len() as u64 / 2);
            pairs <= MOST_PAIRS
        };
        let affordable = buckets.iter().take_while(within).count();
        cut_short |= affordable < buckets.len();
        let work: Vec<(&[usize], usize)> =
            buckets[..affordable].iter().flat_map(|&bucket| (0..bucket.len()).map(move |at| (bucket, at))).collect();
        let pairs = parallel::map(&work, |&(bucket, at)| {
            let (first, look) = looks[bucket[at]];
            let mut pairs = Vec::new();
            for &(second, other) in bucket[at + 1..].iter().map(|&i| &looks[i]) {
                let differing = look.bits ^ other.bits;
                // A pair that an earlier band found is not found again.
                if differing.count_ones() <= NEAR_BITS && (0..band).all(|earlier| key(differing, earlier) != 0) {
                    pairs.extend(look.near(other).map(|correlation| (first, second, correlation)));
                }
            }
            pairs
        });
        found.extend(pairs.into_iter().flatten());
    }
    found.sort_by_key(|&(a, b, _)| (a, b));
    (found, cut_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of smooth blobs.
    fn blobs(seed: usize, side: usize) -> Vec<u8> {
        let value = |y: usize, x: usize| {
            let (y, x) = (y as f64 / side as f64, x as f64 / side as f64);
            let wave = |k: usize| ((k as f64 + 1.0) * (x * (seed + k) as f64 + y * (2 * seed + 3 * k) as f64)).sin();
            (128.0 + 40.0 * (wave(1) + wave(2) + wave(3))).clamp(0.0, 255.0) as u8
        };
        (0..side * side).map(|i| value(i / side, i % side)).collect()
    }

    fn looks(planes: &[Vec<u8>]) -> Vec<Option<Box<Look>>> {
        planes.iter().map(|plane| Look::of_plane(plane, 40, 40)).collect()
    }

    #[test]
    fn lighter_and_noisier_copies_are_near_and_others_are_not() {
        let mut planes: Vec<Vec<u8>> = (1..20).map(|seed| blobs(seed, 40)).collect();
        planes.push(planes[4].iter().map(|&x| x.saturating_add(20)).collect());
        planes.push(planes[7].iter().enumerate().map(|(i, &x)| x.saturating_sub((i * 7 % 5) as u8)).collect());
        let hashes: Vec<[u8; 32]> = planes.iter().map(|plane| hmac_sha256::Hash::hash(plane)).collect();
        let twins = twins(&hashes, &looks(&planes));
        let pairs: Vec<(usize, usize)> = twins.near.iter().map(|&(a, b, _)| (a, b)).collect();
        assert_eq!((pairs, twins.exact.len()), (vec![(4, 19), (7, 20)], 0));
    }

    #[test]
    fn equal_rows_are_one_group_and_not_near_too() {
        let planes = vec![blobs(3, 40), blobs(5, 40), blobs(3, 40), blobs(3, 40)];
        let hashes: Vec<[u8; 32]> = planes.iter().map(|plane| hmac_sha256::Hash::hash(plane)).collect();
        let twins = twins(&hashes, &looks(&planes));
        assert_eq!((twins.exact, twins.near), (vec![vec![0, 2, 3]], vec![]));
    }

    #[test]
    fn flat_pictures_look_like_nothing_and_small_ones_like_themselves() {
        assert!(Look::of_plane(&[7; 100], 10, 10).is_none() && Look::of_plane(&[], 0, 0).is_none());
        assert!(Look::of_plane(&[0, 255], 1, 2).is_some());
    }
}
