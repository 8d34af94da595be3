//! Conjugate gradients.

use super::dot;

/// The solution of `A x = b` for a symmetric positive `A` that is known by its products alone (Hestenes and Stiefel 1952), and the
/// steps that it took: at most as many as there are numbers but for rounding. It ends when the residual is `tolerance` of `b`, or
/// after `most_steps`.
pub fn conjugate_gradients(
    product: &mut dyn FnMut(&[f64]) -> Vec<f64>,
    b: &[f64],
    tolerance: f64,
    most_steps: usize,
) -> (Vec<f64>, usize) {
    let mut x = vec![0.0; b.len()];
    let (mut r, mut p) = (b.to_vec(), b.to_vec());
    let mut square = dot(&r, &r);
    let wanted = tolerance * tolerance * square;
    let mut steps = 0;
    while square > wanted && steps < most_steps {
        let ap = product(&p);
        let curvature = dot(&p, &ap);
        if curvature <= 0.0 || curvature.is_nan() {
            break;
        }
        let alpha = square / curvature;
        for at in 0..x.len() {
            x[at] += alpha * p[at];
            r[at] -= alpha * ap[at];
        }
        let next = dot(&r, &r);
        let beta = next / square;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + beta * *p);
        (square, steps) = (next, steps + 1);
    }
    (x, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_takes_as_many_steps_as_numbers() {
        // Positive: a diagonal of 1 to 8, and a matrix of rank 1.
        let n = 8;
        let mut product = |x: &[f64]| -> Vec<f64> {
            let sum: f64 = x.iter().sum();
            x.iter().enumerate().map(|(at, x)| (at + 1) as f64 * x + 0.25 * sum).collect()
        };
        let wanted: Vec<f64> = (0..n).map(|at| (at as f64 - 3.0) / 2.0).collect();
        let b = product(&wanted);
        let (x, steps) = conjugate_gradients(&mut product, &b, 1e-12, 100);
        assert!(steps <= n + 1, "{steps} steps");
        assert!(x.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-10), "{x:?}");
        assert_eq!(conjugate_gradients(&mut product, &[0.0; 8], 1e-12, 100).1, 0);
    }
}
