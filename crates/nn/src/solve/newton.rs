//! Newton's method.

use super::linear::Cholesky;
use super::{Found, along, dot, largest};

/// How [`newton`] searches.
#[derive(Debug, Clone, PartialEq)]
pub struct Newton {
    /// Steps at most.
    pub most_steps: usize,
    /// The search ends where no partial derivative is larger.
    pub tolerance: f64,
}

impl Default for Newton {
    fn default() -> Newton {
        Newton { most_steps: 100, tolerance: 1e-10 }
    }
}

/// A function's value, gradient `[n]` and Hessian `[n, n]` at a point.
pub type Curved<'a> = dyn FnMut(&[f64]) -> (f64, Vec<f64>, Vec<f64>) + 'a;

/// A minimum of `f`, which gives its value, its gradient `[n]` and its Hessian `[n, n]`: steps `-H^-1 g`, halved until the function
/// falls. Where the Hessian is not positive, a multiple of the identity is added to it (Levenberg's remedy).
pub fn newton(start: &[f64], options: &Newton, f: &mut Curved<'_>) -> Found {
    let n = start.len();
    let (mut x, mut path) = (start.to_vec(), Vec::new());
    let (mut value, mut gradient, mut hessian) = f(&x);
    let converged = loop {
        let size = largest(&gradient);
        if size <= options.tolerance {
            break true;
        }
        if path.len() >= options.most_steps || !size.is_finite() || !value.is_finite() {
            break false;
        }
        let Some(factor) = positive(&hessian, n) else { break false };
        let direction: Vec<f64> = factor.solve(&gradient).iter().map(|d| -d).collect();
        let slope = dot(&gradient, &direction);
        let mut step = 1.0;
        let next = loop {
            let trial = along(&x, step, &direction);
            let found = f(&trial);
            if found.0 <= value + 1e-4 * step * slope {
                break Some((trial, found));
            }
            step *= 0.5;
            if step < 1e-12 {
                break None;
            }
        };
        let Some((trial, found)) = next else {
            // Rounding hides what is left to gain.
            break size <= options.tolerance.sqrt() * (1.0 + value.abs());
        };
        path.push(value);
        x = trial;
        (value, gradient, hessian) = found;
    };
    Found { x, value, steps: path.len(), converged, path }
}

/// The factor of a Hessian, made positive.
fn positive(hessian: &[f64], n: usize) -> Option<Cholesky> {
    let diagonal = (0..n).map(|i| hessian.get(i * n + i).map_or(0.0, |d| d.abs())).fold(0.0, f64::max);
    let mut added = 0.0;
    for _ in 0..60 {
        let mut raised = hessian.to_vec();
        (0..n).for_each(|i| raised[i * n + i] += added);
        if let Some(factor) = Cholesky::of(&raised, n) {
            return Some(factor);
        }
        added = if added == 0.0 { 1e-10 * diagonal.max(1e-10) } else { 4.0 * added };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        let (a, b) = (x[0], x[1]);
        let value = (1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2);
        let gradient = vec![-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a)];
        (value, gradient, vec![2.0 - 400.0 * (b - 3.0 * a * a), -400.0 * a, -400.0 * a, 200.0])
    }

    #[test]
    fn a_quadratic_takes_one_step_and_rosenbrocks_valley_few() {
        let found = newton(&[3.0, -1.0], &Newton::default(), &mut |x| {
            let (a, b) = (x[0], x[1]);
            (2.0 * a * a + a * b + b * b - a, vec![4.0 * a + b - 1.0, a + 2.0 * b], vec![4.0, 1.0, 1.0, 2.0])
        });
        assert!(found.converged && found.steps == 1, "{found:?}");
        let found = newton(&[-1.2, 1.0], &Newton::default(), &mut rosenbrock);
        assert!(found.converged && found.steps < 30 && found.x.iter().all(|x| (x - 1.0).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn where_the_curvature_is_negative_it_still_goes_down() {
        // cos at 0.1: the Hessian is negative, the minimum at pi.
        let found = newton(&[0.1], &Newton::default(), &mut |x| (x[0].cos(), vec![-x[0].sin()], vec![-x[0].cos()]));
        assert!(found.converged && (found.value + 1.0).abs() < 1e-12, "{found:?}");
    }
}
