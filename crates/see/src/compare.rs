//! How alike two maps are.

/// Spearman's rank correlation; equal numbers share the mean of their ranks. 0 if either is the same everywhere.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    correlation(&ranks(a), &ranks(b))
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let same = order[start..].iter().take_while(|&&at| values[at] == values[order[start]]).count().max(1);
        let rank = start as f64 + (same - 1) as f64 / 2.0;
        order[start..start + same].iter().for_each(|&at| ranks[at] = rank);
        start += same;
    }
    ranks
}

/// Pearson's correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len().max(1) as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / count, b.iter().sum::<f64>() / count);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
    }
    let length = (aa * bb).sqrt();
    if length > 0.0 { ab / length } else { 0.0 }
}

/// Side of the windows in which structures are compared.
const WINDOW: usize = 7;

/// Structural similarity (Wang et al. 2004) of two maps `[height, width]`, each scaled to a largest size of 1: the mean over all
/// square windows of the map. 1 for the same map; 0 if they are no maps of this size.
pub fn similarity(a: &[f64], b: &[f64], height: usize, width: usize) -> f64 {
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    if a.len() != height * width || b.len() != a.len() || a.is_empty() {
        return 0.0;
    }
    let scaled = |map: &[f64]| {
        let most = map.iter().copied().map(f64::abs).fold(0.0f64, f64::max);
        map.iter().map(|x| if most > 0.0 { x / most } else { 0.0 }).collect::<Vec<f64>>()
    };
    let (a, b) = (scaled(a), scaled(b));
    let (tall, wide) = (WINDOW.min(height), WINDOW.min(width));
    let count = (tall * wide).max(1) as f64;
    let (mut sum, mut windows) = (0.0, 0.0);
    for top in 0..=height - tall {
        for left in 0..=width - wide {
            let [mut x, mut y, mut xx, mut yy, mut xy] = [0.0; 5];
            for at in (top..top + tall).flat_map(|row| row * width + left..row * width + left + wide) {
                let (p, q) = (a[at], b[at]);
                (x, y, xx, yy, xy) = (x + p, y + q, xx + p * p, yy + q * q, xy + p * q);
            }
            let (x, y) = (x / count, y / count);
            let (vx, vy, vxy) = (xx / count - x * x, yy / count - y * y, xy / count - x * y);
            sum += (2.0 * x * y + C1) * (2.0 * vxy + C2) / ((x * x + y * y + C1) * (vx + vy + C2));
            windows += 1.0;
        }
    }
    sum / windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::RandomKey;

    #[test]
    fn ranks_know_order_and_ties() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert!((rank_correlation(&a, &[10.0, 20.0, 21.0, 900.0]) - 1.0).abs() < 1e-15);
        assert!((rank_correlation(&a, &[4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-15);
        assert_eq!(rank_correlation(&a, &[7.0; 4]), 0.0);
        // By hand: ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3.
        assert!((rank_correlation(&[1.0, 2.0, 2.0, 3.0], &a) - 0.948_683_298_050_513_8).abs() < 1e-12);
    }

    #[test]
    fn only_the_same_map_is_as_similar_as_can_be() {
        let random = |seed: u64| (0..400).map(|at| f64::from(RandomKey::new(seed).uniform(at))).collect::<Vec<f64>>();
        let (a, b) = (random(1), random(2));
        assert!((similarity(&a, &a, 20, 20) - 1.0).abs() < 1e-12);
        assert!(similarity(&a, &b, 20, 20).abs() < 0.2);
        let brighter: Vec<f64> = a.iter().map(|x| 2.0 * x).collect();
        assert!((similarity(&a, &brighter, 20, 20) - 1.0).abs() < 1e-12);
        assert!(similarity(&[1.0], &[0.0], 1, 1) < 0.01);
    }
}
