//! Linear equations and linear least squares.

use super::dot;

/// The factor `L` of a symmetric positive matrix `A = L L^T`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cholesky {
    lower: Vec<f64>,
    n: usize,
}

impl Cholesky {
    /// The factor of `a [n, n]`, of which the lower triangle is read; `None` if it is not positive, or not of that size.
    pub fn of(a: &[f64], n: usize) -> Option<Cholesky> {
        if a.len() != n * n {
            return None;
        }
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let rest = a[i * n + j] - dot(&lower[i * n..i * n + j], &lower[j * n..j * n + j]);
                if i != j {
                    lower[i * n + j] = rest / lower[j * n + j];
                } else if rest > 0.0 && rest.is_finite() {
                    lower[i * n + i] = rest.sqrt();
                } else {
                    return None;
                }
            }
        }
        Some(Cholesky { lower, n })
    }

    /// The solution of `A x = b`.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (n, lower) = (self.n, &self.lower);
        let mut x = b[..n].to_vec();
        for i in 0..n {
            x[i] = (x[i] - dot(&lower[i * n..i * n + i], &x[..i])) / lower[i * n + i];
        }
        for i in (0..n).rev() {
            let above: f64 = (i + 1..n).map(|k| lower[k * n + i] * x[k]).sum();
            x[i] = (x[i] - above) / lower[i * n + i];
        }
        x
    }
}

/// The `theta [d]` that makes `|x theta - y|^2 + ridge |theta|^2` least, for `x [n, d]`, by Householder's reflections (Golub 1965):
/// the errors of `x` are not squared, as they are in the normal equations. `None` if a column depends on those before it, there are
/// fewer rows than columns, or the sizes do not fit.
pub fn least_squares(x: &[f64], y: &[f64], columns: usize, ridge: f64) -> Option<Vec<f64>> {
    let (d, rows) = (columns, y.len());
    if d == 0 || x.len() != rows * d || ridge < 0.0 || ridge.is_nan() {
        return None;
    }
    // The penalty is `d` more rows: the root of the ridge on a diagonal.
    let n = rows + if ridge > 0.0 { d } else { 0 };
    if n < d {
        return None;
    }
    // Columns one after the other, y behind them.
    let mut a = vec![0.0; n * (d + 1)];
    for (row, (values, target)) in x.chunks_exact(d).zip(y).enumerate() {
        (0..d).for_each(|column| a[column * n + row] = values[column]);
        a[d * n + row] = *target;
    }
    if ridge > 0.0 {
        (0..d).for_each(|column| a[column * n + rows + column] = ridge.sqrt());
    }
    let scale: Vec<f64> = (0..d).map(|column| dot(&a[column * n..][..n], &a[column * n..][..n]).sqrt()).collect();
    for k in 0..d {
        let (left, right) = a.split_at_mut((k + 1) * n);
        let v = &mut left[k * n + k..];
        let norm = dot(v, v).sqrt();
        if norm <= 1e-13 * scale[k] || norm.is_nan() {
            return None;
        }
        let alpha = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= alpha;
        let square = dot(v, v);
        for column in right.chunks_exact_mut(n) {
            let factor = 2.0 * dot(v, &column[k..]) / square;
            column[k..].iter_mut().zip(&*v).for_each(|(c, v)| *c -= factor * v);
        }
        // The reflection is not needed any more; the diagonal is.
        v[0] = alpha;
    }
    let mut theta = vec![0.0; d];
    for k in (0..d).rev() {
        let above: f64 = (k + 1..d).map(|j| a[j * n + k] * theta[j]).sum();
        theta[k] = (a[d * n + k] - above) / a[k * n + k];
    }
    theta.iter().all(|x| x.is_finite()).then_some(theta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_matrix_is_solved_and_another_refused() {
        let a = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let found = Cholesky::of(&a, 3).unwrap();
        let x = found.solve(&[1.0, 2.0, 3.0]);
        let full = [[4.0, 2.0, 1.0], [2.0, 5.0, 3.0], [1.0, 3.0, 6.0]];
        for (row, b) in full.iter().zip([1.0, 2.0, 3.0]) {
            assert!((dot(row, &x) - b).abs() < 1e-14, "{x:?}");
        }
        assert_eq!(Cholesky::of(&[1.0, 0.0, 2.0, 1.0], 2), None);
        assert_eq!(Cholesky::of(&[f64::NAN], 1), None);
        assert_eq!(Cholesky::of(&[1.0], 2), None);
    }

    /// The Vandermonde matrix of 12 points and degree 7 has a condition of 1e5 or so: its square would cost ten digits.
    #[test]
    fn a_polynomial_is_found_again() {
        let wanted = [1.0, -2.0, 0.5, 3.0, -1.0, 0.25, 2.0, -0.75];
        let points: Vec<f64> = (0..12).map(|i| f64::from(i) / 11.0).collect();
        let x: Vec<f64> = points.iter().flat_map(|&p| (0..8).map(move |power| p.powi(power))).collect();
        let y: Vec<f64> = x.chunks_exact(8).map(|row| dot(row, &wanted)).collect();
        let found = least_squares(&x, &y, 8, 0.0).unwrap();
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
    }

    #[test]
    fn the_ridge_is_that_of_the_normal_equations() {
        let x = [1.0, 2.0, 3.0, 1.0, -1.0, 0.5, 2.0, 2.0];
        let y = [1.0, 2.0, 0.5, -1.0];
        let found = least_squares(&x, &y, 2, 0.7).unwrap();
        let mut normal = [0.7, 0.0, 0.0, 0.7];
        let mut right = [0.0; 2];
        for (row, y) in x.chunks_exact(2).zip(y) {
            for a in 0..2 {
                right[a] += row[a] * y;
                (0..2).for_each(|b| normal[a * 2 + b] += row[a] * row[b]);
            }
        }
        let wanted = Cholesky::of(&normal, 2).unwrap().solve(&right);
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?} {wanted:?}");
    }

    #[test]
    fn what_has_no_single_answer_has_none() {
        let twice = [1.0, 2.0, 2.0, 4.0, 3.0, 6.0];
        assert_eq!(least_squares(&twice, &[1.0, 2.0, 3.0], 2, 0.0), None);
        assert!(least_squares(&twice, &[1.0, 2.0, 3.0], 2, 0.1).is_some());
        assert_eq!(least_squares(&[1.0, 2.0], &[1.0], 2, 0.0), None);
        assert_eq!(least_squares(&[f64::NAN, 2.0], &[1.0, 1.0], 1, 0.0), None);
        assert_eq!(least_squares(&[1.0, 2.0, 3.0], &[1.0], 2, 0.0), None);
    }
}
