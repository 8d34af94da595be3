//! Filters that pieces of pictures teach by themselves: whitened patches, gathered around directions (spherical k-means; Coates
//! and Ng 2012, "Learning Feature Representations with K-means"). No labels, no network.
//!
//! A patch loses its mean and its contrast, then its correlations (ZCA: `W = E (V + epsilon)^(-1/2) E^T`): edges are what is
//! left. Every patch goes to the filter with which its product is largest in size, and every filter becomes the direction of the sum of
//! its patches, each times that product.

use cpu::Cpu;
use data::{Dataset, Image, Transform, augmentation_key};
use tensor::op::Distribution;
use tensor::ops::source::random_f64;
use tensor::{Array, RandomKey, Tensor};
use train::{Error, Result};

use crate::eigen::symmetric_eigen;
use crate::net::floats;
use crate::pca::array;

/// How filters are learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOptions {
    /// Side of a patch, in pixels.
    pub size: usize,
    /// Patches.
    pub patches: usize,
    /// Filters.
    pub filters: usize,
    /// Rounds of gathering.
    pub rounds: usize,
    /// Added to the variances before they are made equal: directions with less are left small.
    pub epsilon: f64,
    /// Seed of the choice of patches and of the filters at first.
    pub seed: u64,
}

impl Default for PatchOptions {
    fn default() -> PatchOptions {
        PatchOptions { size: 12, patches: 60_000, filters: 100, rounds: 30, epsilon: 0.1, seed: 0 }
    }
}

/// Filters that were learnt, and as many random ones of the same kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// `[K, 1, size, size]`: directions among whitened patches.
    pub filters: Array,
    /// The same with mean and whitening worked in, so that they see pictures as they are: the receptive fields.
    pub fields: Array,
    /// Random directions among whitened patches.
    pub random: Array,
    /// Their receptive fields.
    pub random_fields: Array,
    /// Patches that were used.
    pub patches: usize,
    /// The share of whitened patches' length that lies along their own filter, after each round: it rises.
    pub along: Vec<f64>,
}

/// Patches that are cut from one picture.
const PER_PICTURE: usize = 10;
/// Added to the variance of a patch, so that flat ones stay flat: 10 in levels of 0 to 255.
const FLAT: f64 = 10.0 / (255.0 * 255.0);

/// Learns filters from the pictures of a set, made grey.
///
/// # Errors
/// If a picture cannot be read, or they are smaller than a patch.
pub fn learn_filters(cpu: &Cpu, set: &dyn Dataset, options: &PatchOptions) -> Result<Learnt> {
    let (width, count) = (options.size * options.size, options.filters);
    for (name, value) in [("size", options.size), ("patches", options.patches), ("filters", count)] {
        if value == 0 {
            return Err(Error::usage(format!("{name} cannot be 0"), format!("give {name} of 1 or more")));
        }
    }
    let patches = patches(set, options)?;
    let whitening = whitening(&patches, width, options.epsilon);
    let rows = patches.len() / width.max(1);
    let x = Tensor::from_vec(patches, [rows, width]).matmul(&Tensor::from_vec(whitening.clone(), [width, width]));
    let whitened = cpu.run(&[&x], &[])?.swap_remove(0);
    let key = RandomKey::new(options.seed);
    let mut filters = directions(key.stream("first filters"), count, width);
    let mut along = Vec::new();
    for round in 0..options.rounds {
        along.push(gather(cpu, &whitened, &mut filters, width, key.stream("new filters").step(round as u32))?);
    }
    let random = directions(key.stream("random filters"), count, width);
    let shape = [count, 1, options.size, options.size];
    let fields = |filters: &[f32]| array(&shape, seen_through(filters, &whitening, width));
    Ok(Learnt {
        fields: fields(&filters)?,
        random_fields: fields(&random)?,
        filters: array(&shape, filters)?,
        random: array(&shape, random)?,
        patches: rows,
        along,
    })
}

/// Patches `[N, size * size]` without mean and contrast.
fn patches(set: &dyn Dataset, options: &PatchOptions) -> Result<Vec<f32>> {
    let (size, key) = (options.size, RandomKey::new(options.seed).stream("patches"));
    let mut all = Vec::new();
    let pictures = options.patches.div_ceil(PER_PICTURE);
    for number in 0..pictures {
        let row = key.below(number as u64, set.len().max(1) as u64) as usize;
        let sample = set.get(row)?;
        let &[channels, height, width] = &sample.shape[..] else {
            return Err(too_small(size, "rows that are no pictures"));
        };
        if size == 0 || height < size || width < size {
            return Err(too_small(size, &format!("a picture of {width} x {height} pixels")));
        }
        let image = Image { channels, height, width, pixels: sample.x };
        let grey = Transform::Grey.apply(image, augmentation_key(0, 0, 0))?;
        for patch in 0..PER_PICTURE.min(options.patches - number * PER_PICTURE) {
            let key = key.step(1 + number as u32);
            let top = key.below(2 * patch as u64, (height - size + 1) as u64) as usize;
            let left = key.below(2 * patch as u64 + 1, (width - size + 1) as u64) as usize;
            let values: Vec<f64> =
                (0..size * size).map(|at| f64::from(grey.at(0, top + at / size, left + at % size))).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64;
            all.extend(values.iter().map(|x| ((x - mean) / (variance + FLAT).sqrt()) as f32));
        }
    }
    Ok(all)
}

fn too_small(size: usize, found: &str) -> Error {
    Error::usage(
        format!("no patches of {size} x {size} pixels can be cut from {found}"),
        "give larger pictures, or choose smaller patches",
    )
}

/// `W [D, D]`, symmetric, of patches without mean.
fn whitening(patches: &[f32], width: usize, epsilon: f64) -> Vec<f32> {
    let rows = (patches.len() / width.max(1)).max(1) as f64;
    let mut covariance = vec![0.0f64; width * width];
    for patch in patches.chunks_exact(width.max(1)) {
        for a in 0..width {
            let x = f64::from(patch[a]) / rows;
            covariance[a * width..][..=a].iter_mut().zip(patch).for_each(|(sum, &y)| *sum += x * f64::from(y));
        }
    }
    let eigen = symmetric_eigen(&covariance, width);
    let mut whitening = vec![0.0f64; width * width];
    for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(width.max(1))) {
        let scale = 1.0 / (value.max(0.0) + epsilon).sqrt();
        for a in 0..width {
            let x = scale * vector[a];
            whitening[a * width..][..width].iter_mut().zip(vector).for_each(|(sum, y)| *sum += x * y);
        }
    }
    whitening.into_iter().map(|x| x as f32).collect()
}

/// Random directions `[count, width]` of length 1.
fn directions(key: RandomKey, count: usize, width: usize) -> Vec<f32> {
    let one = |number: usize| {
        let normal = |at: usize| random_f64(Distribution::Normal, key, (number * width + at) as u64);
        unit((0..width).map(normal).collect())
    };
    (0..count).flat_map(one).collect()
}

fn unit(direction: Vec<f64>) -> Vec<f32> {
    let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    direction.into_iter().map(|x| (x / length) as f32).collect()
}

/// One round. Returns the share of the patches' squared length that lay along their filters before it. A filter to which no patch
/// went begins anew at one of them.
fn gather(cpu: &Cpu, whitened: &Array, filters: &mut Vec<f32>, width: usize, key: RandomKey) -> Result<f64> {
    let count = filters.len() / width.max(1);
    let directions = Tensor::from_vec(filters.clone(), [count, width]);
    let products = Tensor::from_array(whitened.clone()).matmul(&directions.transpose(0, 1));
    let products = cpu.run(&[&products], &[])?.swap_remove(0);
    let (mut sums, mut members) = (vec![0.0f64; filters.len()], vec![0usize; count]);
    let (mut along, mut all) = (0.0, 0.0);
    for (patch, products) in floats(whitened).chunks_exact(width).zip(floats(&products).chunks_exact(count)) {
        let best = (0..count).fold(0, |best, at| if products[at].abs() > products[best].abs() { at } else { best });
        let product = f64::from(products[best]);
        sums[best * width..][..width].iter_mut().zip(patch).for_each(|(sum, &x)| *sum += product * f64::from(x));
        members[best] += usize::from(product != 0.0);
        along += product * product;
        all += patch.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    }
    let rows = floats(whitened).len() / width;
    for (filter, _) in members.iter().enumerate().filter(|(_, members)| **members == 0) {
        let row = key.below(filter as u64, rows.max(1) as u64) as usize;
        let patch = floats(whitened)[row * width..].iter().take(width);
        sums[filter * width..][..width].iter_mut().zip(patch).for_each(|(sum, &x)| *sum = f64::from(x));
    }
    *filters = sums.chunks_exact(width).flat_map(|sum| unit(sum.to_vec())).collect();
    Ok(along / f64::max(all, f64::MIN_POSITIVE))
}

/// `filters [K, D]` as pictures see them: through the whitening, and blind for the mean.
fn seen_through(filters: &[f32], whitening: &[f32], width: usize) -> Vec<f32> {
    let through = |filter: &[f32]| {
        let row = |a: usize| {
            let row = &whitening[a * width..][..width];
            row.iter().zip(filter).map(|(&w, &f)| f64::from(w) * f64::from(f)).sum::<f64>()
        };
        let field: Vec<f64> = (0..width).map(row).collect();
        let mean = field.iter().sum::<f64>() / width as f64;
        field.into_iter().map(move |x| (x - mean) as f32)
    };
    filters.chunks_exact(width.max(1)).flat_map(through).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{InMemory, Targets, Values};

    #[test]
    fn whitened_patches_are_uncorrelated() {
        let key = RandomKey::new(4);
        // Neighbours go along with each other.
        let patches: Vec<f32> = (0..4000u64)
            .flat_map(|row| {
                let noise = move |at: u64| random_f64(Distribution::Normal, key, row * 16 + at) as f32;
                (0..9u64).map(move |at| noise(at) + noise(at + 1) + noise(at + 2))
            })
            .collect();
        let w = whitening(&patches, 9, 0.0);
        let mut covariance = [0.0f64; 81];
        for patch in patches.chunks_exact(9) {
            let white: Vec<f64> =
                (0..9).map(|a| (0..9).map(|b| f64::from(w[a * 9 + b]) * f64::from(patch[b])).sum()).collect();
            (0..81).for_each(|at| covariance[at] += white[at / 9] * white[at % 9] / 4000.0);
        }
        for (at, x) in covariance.iter().enumerate() {
            assert!((x - f64::from(u8::from(at % 10 == 0))).abs() < 1e-3, "{at}: {x}");
        }
    }

    #[test]
    fn filters_become_what_the_pictures_are_made_of() {
        // Pictures of one upright edge each, at any place: filters must become upright.
        let pictures: Vec<f32> = (0..200)
            .flat_map(|n| (0..256).map(move |at| if at % 16 > 2 + n % 12 { 0.9 } else { 0.1 + 0.001 * (n % 7) as f32 }))
            .collect();
        let set = InMemory::new("edges", &[1, 16, 16], Values::Floats(pictures), Targets::None, Vec::new()).unwrap();
        let options = PatchOptions { size: 6, patches: 2000, filters: 4, rounds: 10, ..PatchOptions::default() };
        let learnt = learn_filters(&Cpu::new(1).unwrap(), &set, &options).unwrap();
        assert!(learnt.along.windows(2).all(|pair| pair[1] > pair[0] - 1e-3), "{:?}", learnt.along);
        for filter in floats(&learnt.filters).chunks_exact(36) {
            let (mut down, mut across) = (0.0, 0.0);
            for at in 0..30 {
                down += (filter[at] - filter[at + 6]).powi(2);
                across += (filter[at / 5 * 6 + at % 5] - filter[at / 5 * 6 + at % 5 + 1]).powi(2);
            }
            assert!(down < 0.05 * across, "{filter:?}");
        }
        assert_eq!(learnt, learn_filters(&Cpu::new(2).unwrap(), &set, &options).unwrap());
    }
}
