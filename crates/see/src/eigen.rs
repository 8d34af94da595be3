//! Eigenvalues and eigenvectors of symmetric matrices: Householder's reduction to a tridiagonal matrix, then QL steps with
//! implicit shifts (Bowdler, Martin, Reinsch, Wilkinson 1968; EISPACK's tred2 and tql2).
//!
//! In f64 with square roots alone, so the bits are the same everywhere.

/// What a symmetric matrix is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// Eigenvalues, the largest first.
    pub values: Vec<f64>,
    /// Eigenvector i is `vectors[i * n..(i + 1) * n]`; of length 1.
    pub vectors: Vec<f64>,
}

/// Steps for one eigenvalue: it is found in a handful.
const MOST_STEPS: usize = 60;

/// The eigenvalues and eigenvectors of `matrix [n, n]`, of which the lower triangle is read.
pub fn symmetric_eigen(matrix: &[f64], n: usize) -> Eigen {
    if n == 0 {
        return Eigen { values: Vec::new(), vectors: Vec::new() };
    }
    // Column j of the matrix, later eigenvector j, is v[j * n..][..n].
    let mut v: Vec<f64> = (0..n * n).map(|at| matrix[(at % n).max(at / n) * n + (at % n).min(at / n)]).collect();
    let (mut d, mut e) = (vec![0.0; n], vec![0.0; n]);
    tridiagonal(&mut v, &mut d, &mut e, n);
    diagonal(&mut v, &mut d, &mut e, n);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| d[b].total_cmp(&d[a]));
    Eigen {
        values: order.iter().map(|&i| d[i]).collect(),
        vectors: order.iter().flat_map(|&i| v[i * n..(i + 1) * n].iter().copied()).collect(),
    }
}

/// To tridiagonal form by reflections: diagonal `d`, below it `e[1..]`; `v` becomes the product of the reflections.
fn tridiagonal(v: &mut [f64], d: &mut [f64], e: &mut [f64], n: usize) {
    (0..n).for_each(|j| d[j] = v[j * n + n - 1]);
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|x| x.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[j * n + i - 1];
                v[j * n + i] = 0.0;
                v[i * n + j] = 0.0;
            }
        } else {
            for x in &mut d[..i] {
                *x /= scale;
                h += *x * *x;
            }
            let f = d[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            e[i] = scale * g;
            h -= f * g;
            d[i - 1] = f - g;
            e[..i].fill(0.0);
            for j in 0..i {
                let f = d[j];
                v[i * n + j] = f;
                let mut g = e[j] + v[j * n + j] * f;
                for k in j + 1..i {
                    g += v[j * n + k] * d[k];
                    e[k] += v[j * n + k] * f;
                }
                e[j] = g;
            }
            let mut f = 0.0;
            for j in 0..i {
                e[j] /= h;
                f += e[j] * d[j];
            }
            let half = f / (h + h);
            (0..i).for_each(|j| e[j] -= half * d[j]);
            for j in 0..i {
                let (f, g) = (d[j], e[j]);
                for k in j..i {
                    v[j * n + k] -= f * e[k] + g * d[k];
                }
                d[j] = v[j * n + i - 1];
                v[j * n + i] = 0.0;
            }
        }
        d[i] = h;
    }
    for i in 0..n - 1 {
        v[i * n + n - 1] = v[i * n + i];
        v[i * n + i] = 1.0;
        let h = d[i + 1];
        if h != 0.0 {
            for k in 0..=i {
                d[k] = v[(i + 1) * n + k] / h;
            }
            for j in 0..=i {
                let g: f64 = (0..=i).map(|k| v[(i + 1) * n + k] * v[j * n + k]).sum();
                (0..=i).for_each(|k| v[j * n + k] -= g * d[k]);
            }
        }
        v[(i + 1) * n..][..=i].fill(0.0);
    }
    for j in 0..n {
        d[j] = v[j * n + n - 1];
        v[j * n + n - 1] = 0.0;
    }
    v[n * n - 1] = 1.0;
    e[0] = 0.0;
}

/// The tridiagonal matrix to a diagonal one, and the rotations into `v`.
fn diagonal(v: &mut [f64], d: &mut [f64], e: &mut [f64], n: usize) {
    e.copy_within(1.., 0);
    e[n - 1] = 0.0;
    let (mut shift, mut largest) = (0.0, 0.0f64);
    for l in 0..n {
        largest = largest.max(d[l].abs() + e[l].abs());
        let small = f64::EPSILON * largest;
        let m = (l..n).find(|&m| e[m].abs() <= small).unwrap_or(n - 1);
        for _ in 0..if m > l { MOST_STEPS } else { 0 } {
            let g = d[l];
            let p = (d[l + 1] - g) / (2.0 * e[l]);
            let r = if p < 0.0 { -(p * p + 1.0).sqrt() } else { (p * p + 1.0).sqrt() };
            d[l] = e[l] / (p + r);
            d[l + 1] = e[l] * (p + r);
            let next = d[l + 1];
            let h = g - d[l];
            d[l + 2..].iter_mut().for_each(|x| *x -= h);
            shift += h;
            let mut p = d[m];
            let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
            let (mut s, mut s2) = (0.0, 0.0);
            let below = e[l + 1];
            for i in (l..m).rev() {
                (c3, c2, s2) = (c2, c, s);
                let (g, h) = (c * e[i], c * p);
                let r = (p * p + e[i] * e[i]).sqrt();
                e[i + 1] = s * r;
                (s, c) = (e[i] / r, p / r);
                p = c * d[i] - s * g;
                d[i + 1] = h + s * (c * g + s * d[i]);
                let (low, high) = v[i * n..(i + 2) * n].split_at_mut(n);
                for (a, b) in low.iter_mut().zip(high) {
                    (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
                }
            }
            p = -s * s2 * c3 * below * e[l] / next;
            e[l] = s * p;
            d[l] = c * p;
            if e[l].abs() <= small {
                break;
            }
        }
        d[l] += shift;
        e[l] = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::RandomKey;

    #[test]
    fn vectors_are_orthonormal_and_give_the_matrix_back() {
        for n in [1, 2, 3, 10, 40] {
            let random = |at: usize| f64::from(RandomKey::new(3).uniform(at as u64)) - 0.5;
            let matrix: Vec<f64> =
                (0..n * n).map(|at| random((at / n).max(at % n) * n + (at / n).min(at % n))).collect();
            let Eigen { values, vectors } = symmetric_eigen(&matrix, n);
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            for i in 0..n {
                for j in 0..n {
                    let dot: f64 = (0..n).map(|k| vectors[i * n + k] * vectors[j * n + k]).sum();
                    assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12, "{n}: {i} . {j} = {dot}");
                    let back: f64 = (0..n).map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j]).sum();
                    assert!((back - matrix[i * n + j]).abs() < 1e-12, "{n}: [{i}, {j}] {back}");
                }
            }
        }
    }

    #[test]
    fn equal_eigenvalues_and_zeros_are_no_trouble() {
        let identity: Vec<f64> = (0..25).map(|at| f64::from(u8::from(at % 6 == 0))).collect();
        assert!(symmetric_eigen(&identity, 5).values.iter().all(|x| (x - 1.0).abs() < 1e-15));
        assert_eq!(symmetric_eigen(&[0.0; 9], 3).values, [0.0; 3]);
    }
}
