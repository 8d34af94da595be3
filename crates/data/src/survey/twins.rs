//! Rows that are the same, or look the same: exact by hash; near by what is left of pictures when they are made very small.

use std::collections::HashMap;

use super::look::{Look, View};
use crate::parallel;

/// Two pictures are near if what they look like agrees at least so well.
pub const NEAR: f64 = 0.985;
/// Drawings, which are much alike (of MNIST, hundreds of pairs of the same digit agree to .985), and pictures of datasets in which all
/// are, if they agree so well.
pub const NEAR_ALIKE: f64 = 0.995;
/// Only pairs whose hashes differ in so few of 64 bits are compared: of photographs of 32 x 32 that are moved by one pixel both ways
/// more than 96 in a hundred differ in no more from themselves, ...
const BITS: u32 = 18;
/// ... and drawings, which are brought to the middle, in a few.
const BITS_DRAWN: u32 = 5;
/// Bands of a hash by which pairs are found, at most.
const MOST_BANDS: u32 = 8;
/// Pairs of photographs that are compared by more than their hashes, at most: about so many take 5 s of a core.
const MOST: u64 = 2_000_000;
/// Pairs of drawings; few of them agree from afar.
const MOST_DRAWN: u64 = 6_000_000;

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
    let (drawn, mut photographs): (Vec<_>, Vec<_>) = looks.into_iter().partition(|(_, look)| look.drawn().is_some());
    let centred: Vec<(usize, &View)> = drawn.iter().filter_map(|&(row, look)| Some((row, look.drawn()?))).collect();
    let first = photographs.len();
    // What is taken for a drawing here may be none in a lighter copy.
    photographs.extend(drawn);
    let photographs: Vec<(usize, &View)> = photographs.into_iter().map(|(row, look)| (row, look.whole())).collect();
    let bits = affordable(&photographs, first, BITS, MOST);
    let least = if bits < BITS { NEAR_ALIKE } else { NEAR };
    let (mut near, cut_short) = agreeing(&photographs, first, (bits, MOST), |a, b| a.agrees(b, least));
    let bits_drawn = affordable(&centred, centred.len(), BITS_DRAWN, MOST_DRAWN);
    let (more, cut_short_too) =
        agreeing(&centred, centred.len(), (bits_drawn, MOST_DRAWN), |a, b| a.agrees_as_drawn(b, NEAR_ALIKE));
    near.extend(more);
    let cut_short = cut_short || cut_short_too || bits < BITS || bits_drawn < BITS_DRAWN;
    near.sort_by_key(|&(a, b, _)| (a, b));
    Twins { exact, near, cut_short }
}

/// Pairs of the first `first` views with any later one whose hashes differ in at most `bits` and that agree; and whether some were
/// not compared.
fn agreeing(
    views: &[(usize, &View)],
    first: usize,
    (bits, most): (u32, u64),
    agree: impl Fn(&View, &View) -> Option<f64> + Sync,
) -> (Vec<(usize, usize, f64)>, bool) {
    /// Hashes that are looked through in one go.
    const RUN: usize = 64;
    // Of two hashes that differ in fewer bits than there are bands, one band is equal. Narrow bands tell nothing.
    let bands = if bits < MOST_BANDS { bits + 1 } else { 1 };
    let key = |hash: u64, band: u32| {
        if bits == 0 {
            hash
        } else if bands == 1 {
            0
        } else {
            (hash >> (64 / bands * band)) & ((1 << (64 / bands)) - 1)
        }
    };
    // Some are alike at any rate; if all were, no number of bits would do.
    let most = 64 + (16 * most) as usize / views.len().max(1);
    let (mut pairs, mut cut_short) = (Vec::new(), false);
    for band in 0..bands {
        let mut order: Vec<usize> = (0..views.len()).collect();
        order.sort_by_key(|&at| (key(views[at].1.hash, band), at));
        let hashes: Vec<u64> = order.iter().map(|&at| views[at].1.hash).collect();
        let mut work: Vec<(usize, usize)> = Vec::with_capacity(first);
        let mut end = 0;
        for bucket in hashes.chunk_by(|&a, &b| key(a, band) == key(b, band)) {
            end += bucket.len();
            work.extend((end - bucket.len()..end).filter(|&place| order[place] < first).map(|place| (place, end)));
        }
        let found = parallel::map(&work, |&(place, end)| {
            let (row, view) = views[order[place]];
            let differing = |hash: u64| (hash ^ view.hash).count_ones();
            let (mut pairs, mut compared) = (Vec::new(), 0);
            for (run, some) in hashes[place + 1..end].chunks(RUN).enumerate() {
                if some.iter().fold(u32::MAX, |least, &hash| least.min(differing(hash))) > bits {
                    continue;
                }
                for (at, &hash) in some.iter().enumerate() {
                    // A pair that an earlier band found is not found again.
                    let seen = (0..band).any(|earlier| key(hash ^ view.hash, earlier) == 0);
                    if differing(hash) > bits || seen {
                        continue;
                    }
                    if compared == most {
                        return (pairs, true);
                    }
                    compared += 1;
                    let (other, its) = views[order[place + 1 + run * RUN + at]];
                    pairs.extend(agree(view, its).map(|agreement| (row.min(other), row.max(other), agreement)));
                }
            }
            (pairs, false)
        });
        cut_short |= found.iter().any(|(_, cut_short)| *cut_short);
        pairs.extend(found.into_iter().flat_map(|(pairs, _)| pairs));
    }
    (pairs, cut_short)
}

/// As many bits up to `bits` as leave few enough pairs: where all rows are much alike, as clothes on black are, only those are
/// compared whose hashes are nearer. Judged by some rows.
fn affordable(views: &[(usize, &View)], first: usize, bits: u32, most: u64) -> u32 {
    const SOME: usize = 512;
    let hashes: Vec<u64> = views.iter().map(|(_, view)| view.hash).collect();
    let every = first.div_ceil(SOME).max(1);
    let some: Vec<usize> = (0..first).step_by(every).collect();
    let counts = parallel::map(&some, |&at| {
        let mut counts = [0u64; 65];
        hashes[at + 1..].iter().for_each(|hash| counts[(hash ^ hashes[at]).count_ones() as usize] += 1);
        counts
    });
    let within = |bits: u32| counts.iter().flat_map(|of| &of[..=bits as usize]).sum::<u64>() * every as u64;
    (0..=bits).rev().find(|&bits| within(bits) <= most).unwrap_or(0)
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

    /// Pictures of `side` from larger ones, each as it lies and moved by a pixel both ways; the pairs that are near.
    fn near_of_moved(whole: impl Fn(usize, usize) -> Vec<u8>, side: usize) -> Vec<(usize, usize)> {
        let wide = side + 2;
        let cut = |plane: &[u8], by: usize| -> Vec<u8> {
            (0..side * side).map(|at| plane[(at / side + by) * wide + at % side + by]).collect()
        };
        let wholes: Vec<Vec<u8>> = (1..12).map(|seed| whole(seed, wide)).collect();
        let planes: Vec<Vec<u8>> =
            [0, 1].iter().flat_map(|&by| wholes.iter().map(move |plane| cut(plane, by))).collect();
        let hashes: Vec<[u8; 32]> = planes.iter().map(|plane| hmac_sha256::Hash::hash(plane)).collect();
        let looks: Vec<_> = planes.iter().map(|plane| Look::of_plane(plane, side, side)).collect();
        twins(&hashes, &looks).near.iter().map(|&(a, b, _)| (a, b)).collect()
    }

    /// A picture of a few slow waves of its own, as a photograph mostly is.
    fn hills(seed: usize, side: usize) -> Vec<u8> {
        let part = |k: usize| ((seed * 7919 + k * 104_729 + seed * k * 31) % 1000) as f64 / 1000.0;
        let value = |y: usize, x: usize| {
            let (y, x) = (y as f64 / side as f64, x as f64 / side as f64);
            let wave =
                |k: usize| ((part(k) - 0.5) * 24.0 * x + (part(k + 10) - 0.5) * 24.0 * y + 6.0 * part(k + 20)).sin();
            (128.0 + 25.0 * (1..5).map(wave).sum::<f64>()) as u8
        };
        (0..side * side).map(|i| value(i / side, i % side)).collect()
    }

    #[test]
    fn copies_that_are_moved_by_a_pixel_are_near_photographs_and_drawings_alike() {
        let pairs: Vec<(usize, usize)> = (0..11).map(|at| (at, at + 11)).collect();
        for side in [28, 32, 45, 64] {
            assert_eq!(near_of_moved(hills, side), pairs, "photographs of {side}");
            // A stroke of its own direction and bend on black.
            let stroke = |seed: usize, side: usize| -> Vec<u8> {
                let mut plane = vec![0; side * side];
                for step in 0..400 {
                    let t = f64::from(step) / 400.0 - 0.5;
                    let angle = seed as f64 * 0.55 + t * (seed % 4) as f64;
                    let (y, x) = (0.5 + 0.6 * t * angle.sin(), 0.5 + 0.6 * t * angle.cos());
                    let (y, x) = ((y * side as f64) as usize, (x * side as f64) as usize);
                    (0..4).for_each(|k| plane[(y + k / 2) * side + x + k % 2] = 250);
                }
                plane
            };
            assert_eq!(near_of_moved(stroke, side), pairs, "drawings of {side}");
        }
    }

    #[test]
    fn equal_rows_are_one_group_and_not_near_too() {
        let planes = vec![blobs(3, 40), blobs(5, 40), blobs(3, 40), blobs(3, 40)];
        let hashes: Vec<[u8; 32]> = planes.iter().map(|plane| hmac_sha256::Hash::hash(plane)).collect();
        let twins = twins(&hashes, &looks(&planes));
        assert_eq!((twins.exact, twins.near), (vec![vec![0, 2, 3]], vec![]));
    }
}
