//! Splits that depend on content: they are functions of the rows and a seed, whatever the order of the rows.

use crate::dataset::{Dataset, Subset};
use crate::{DataError, Target};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Splits by SHA-256 of each row's content: duplicates stay together, and rows keep their part when others are added.
///
/// `fractions` say how large the parts should be (they add up to 1); the parts come near them as the law of large numbers
/// has it. Another `seed` gives another split.
///
/// # Errors
/// If the fractions do not add up to 1 or a row cannot be read.
pub fn split_by_content(dataset: &Arc<dyn Dataset>, fractions: &[f64], seed: u64) -> Result<Vec<Subset>, DataError> {
    split(dataset, fractions, seed, |row| dataset.content_hash(row).map(|hash| hash.to_vec()))
}

/// Splits each class on its own, so that every part has its share of each: rows of equal content stay together, and the
/// rest of a class is dealt out in the order of the SHA-256 of seed and content.
///
/// `fractions` say how large the parts should be (they add up to 1). A class of n different rows misses them by less than a
/// row, so a rare class may lack rows in a small part, but never in one of more than half of the rows. The same content under
/// several classes counts as the first of them. When rows are added, a row changes its part only if it is near a cut. Rows
/// without a class are one class.
///
/// # Errors
/// If the fractions do not add up to 1 or a row cannot be read.
pub fn split_by_class(dataset: &Arc<dyn Dataset>, fractions: &[f64], seed: u64) -> Result<Vec<Subset>, DataError> {
    check_fractions(fractions)?;
    let mut contents: BTreeMap<[u8; 32], Content> = BTreeMap::new();
    for row in 0..dataset.len() {
        let class = if let Target::Class(class) = dataset.target(row)? { class } else { 0 };
        let hash = dataset.content_hash(row)?;
        let new = || Content { class, place: unit(seed, &hash), rows: Vec::new() };
        let content = contents.entry(hash).or_insert_with(new);
        content.class = content.class.min(class);
        content.rows.push(row);
    }
    // A stable sort: equal places stay in the order of the hashes.
    let mut contents: Vec<Content> = contents.into_values().collect();
    contents.sort_by(|a, b| a.class.cmp(&b.class).then(a.place.total_cmp(&b.place)));
    let mut parts = vec![Vec::new(); fractions.len()];
    for class in contents.chunk_by(|a, b| a.class == b.class) {
        let all: usize = class.iter().map(|content| content.rows.len()).sum();
        let mut before = 0;
        for Content { rows, .. } in class {
            // The part in which the middle of these rows lies.
            let middle = (before as f64 + 0.5 * rows.len() as f64) / all as f64;
            before += rows.len();
            parts[part_at(middle, fractions)].extend(rows);
        }
    }
    parts.iter_mut().for_each(|rows| rows.sort_unstable());
    parts.into_iter().map(|rows| Subset::new(Arc::clone(dataset), rows)).collect()
}

/// All rows of one content.
struct Content {
    class: usize,
    /// In [0, 1), by seed and content.
    place: f64,
    rows: Vec<usize>,
}

/// Splits by a name of the group that each row belongs to (a speaker, a patient, a video): groups stay together.
///
/// # Errors
/// If the fractions do not add up to 1.
pub fn split_by_group(
    dataset: &Arc<dyn Dataset>,
    fractions: &[f64],
    seed: u64,
    group: impl Fn(usize) -> String,
) -> Result<Vec<Subset>, DataError> {
    split(dataset, fractions, seed, |row| Ok(group(row).into_bytes()))
}

fn split(
    dataset: &Arc<dyn Dataset>,
    fractions: &[f64],
    seed: u64,
    key: impl Fn(usize) -> Result<Vec<u8>, DataError>,
) -> Result<Vec<Subset>, DataError> {
    check_fractions(fractions)?;
    let mut parts = vec![Vec::new(); fractions.len()];
    for row in 0..dataset.len() {
        parts[part_at(unit(seed, &key(row)?), fractions)].push(row);
    }
    parts.into_iter().map(|rows| Subset::new(Arc::clone(dataset), rows)).collect()
}

fn check_fractions(fractions: &[f64]) -> Result<(), DataError> {
    /// Decimal fractions such as 0.8 + 0.1 + 0.1 miss 1 by less than this.
    const ROUNDING: f64 = 1e-9;
    let sum: f64 = fractions.iter().sum();
    if fractions.iter().any(|f| !(0.0..=1.0).contains(f)) || (sum - 1.0).abs() > ROUNDING {
        return Err(DataError::argument(
            "fractions",
            format!("{fractions:?} add up to {sum}"),
            "give each part its share of the whole, such as 0.8, 0.1, 0.1",
        ));
    }
    Ok(())
}

/// The part that holds the place in [0, 1) if the parts lie side by side.
fn part_at(place: f64, fractions: &[f64]) -> usize {
    let mut end = 0.0;
    for (part, fraction) in fractions.iter().enumerate() {
        end += fraction;
        if place < end {
            return part;
        }
    }
    // The last part with a share takes what rounding leaves.
    fractions.iter().rposition(|&f| f > 0.0).unwrap_or(0)
}

/// A number in [0, 1) that depends on seed and key alone.
fn unit(seed: u64, key: &[u8]) -> f64 {
    let mut hash = hmac_sha256::Hash::new();
    hash.update(seed.to_le_bytes());
    hash.update(key);
    let [a, b, c, d, e, f, g, ..] = hash.finalize();
    // 53 bits: all that an f64 holds, so that the quotient stays below 1.
    (u64::from_le_bytes([a, b, c, d, e, f, g, 0]) >> 3) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InMemory, Targets, Values};
    use std::collections::HashMap;

    /// Rows of one number.
    fn rows(numbers: impl Iterator<Item = usize>) -> Arc<dyn Dataset> {
        let values = Values::Floats(numbers.map(|n| n as f32).collect());
        Arc::new(InMemory::new("rows", &[1], values, Targets::None, vec![]).unwrap())
    }

    fn by_content(dataset: &Arc<dyn Dataset>, seed: u64) -> Vec<Vec<usize>> {
        let parts = split_by_content(dataset, &[0.8, 0.1, 0.1], seed).unwrap();
        parts.iter().map(|part| part.rows().to_vec()).collect()
    }

    #[test]
    fn every_row_is_in_one_part_and_parts_are_as_large_as_asked() {
        let parts = by_content(&rows(0..10_000), 0);
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
        // Standard deviation 30 to 40 rows.
        assert!(parts[0].len().abs_diff(8000) < 160 && parts[1].len().abs_diff(1000) < 120, "{}", parts[1].len());
        assert_ne!(parts, by_content(&rows(0..10_000), 1));
    }

    #[test]
    fn rows_keep_their_part_when_others_are_added() {
        let (few, many) = (by_content(&rows(0..500), 3), by_content(&rows((0..500).chain(1000..3000)), 3));
        for (few, many) in few.iter().zip(&many) {
            assert_eq!(*few, many.iter().copied().filter(|&row| row < 500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn duplicates_and_groups_never_straddle_parts() {
        let dataset = rows((0..3000).map(|n| n % 100));
        let by_group = split_by_group(&dataset, &[0.5, 0.5], 0, |row| format!("speaker {}", row % 100)).unwrap();
        for parts in [split_by_content(&dataset, &[0.5, 0.5], 0).unwrap(), by_group] {
            let mut part_of = HashMap::new();
            for (part, subset) in parts.iter().enumerate() {
                assert!(!subset.is_empty());
                subset.rows().iter().for_each(|row| assert_eq!(*part_of.entry(row % 100).or_insert(part), part));
            }
        }
    }

    /// Rows of one number, each with its class.
    fn classed(rows: &[(usize, usize)]) -> Arc<dyn Dataset> {
        let values = Values::Floats(rows.iter().map(|&(n, _)| n as f32).collect());
        let classes = rows.iter().map(|&(_, class)| class).collect();
        let names = (0..3).map(|class| class.to_string()).collect();
        Arc::new(InMemory::new("rows", &[1], values, Targets::Classes(classes), names).unwrap())
    }

    /// How many rows of each class each part has.
    fn counts(rows: &[(usize, usize)], seed: u64) -> Vec<Vec<usize>> {
        let parts = split_by_class(&classed(rows), &[0.75, 0.15, 0.1], seed).unwrap();
        parts.iter().map(|part| crate::class_counts(part).unwrap()).collect()
    }

    #[test]
    fn every_class_has_its_share_of_every_part_and_a_rare_one_is_trained_on() {
        let rows: Vec<(usize, usize)> = (0..1000).map(|n| (n, usize::from(n >= 900))).chain([(1000, 2)]).collect();
        for seed in 0..50 {
            assert_eq!(counts(&rows, seed), [[675, 75, 1], [135, 15, 0], [90, 10, 0]], "{seed}");
        }
        // Any order of the rows gives the same split; another seed gives another.
        let train = |rows: &[(usize, usize)], seed| -> Vec<usize> {
            let parts = split_by_class(&classed(rows), &[0.5, 0.5], seed).unwrap();
            let mut numbers: Vec<usize> = parts[0].rows().iter().map(|&row| rows[row].0).collect();
            numbers.sort_unstable();
            numbers
        };
        let backwards: Vec<(usize, usize)> = rows.iter().rev().copied().collect();
        assert_eq!(train(&rows, 1), train(&backwards, 1));
        assert_ne!(train(&rows, 1), train(&rows, 2));
    }

    #[test]
    fn rows_of_equal_content_stay_together_whatever_their_class() {
        for seed in 0..50 {
            assert_eq!(counts(&[[(0, 0); 40], [(1, 1); 40]].concat(), seed)[0], [40, 40, 0]);
            let rows: Vec<(usize, usize)> = (0..300).map(|n| (n % 100, n % 3)).collect();
            let mut part_of = HashMap::new();
            for (part, subset) in split_by_class(&classed(&rows), &[0.5, 0.5], seed).unwrap().iter().enumerate() {
                subset.rows().iter().for_each(|row| assert_eq!(*part_of.entry(row % 100).or_insert(part), part));
            }
        }
    }

    #[test]
    fn fractions_must_add_up_to_one() {
        let message = |f: &[f64]| split_by_content(&rows(0..3), f, 0).err().unwrap().to_string();
        assert_eq!(
            message(&[0.8, 0.1]),
            "fractions: [0.8, 0.1] add up to 0.9\n  help: give each part its share of the whole, such as 0.8, 0.1, 0.1"
        );
        assert!(message(&[1.5, -0.5]).starts_with("fractions: "));
        assert!(message(&[f64::NAN, 1.0]).starts_with("fractions: "));
        assert!(message(&[]).starts_with("fractions: [] add up to"));
    }
}
