//! Nonlinear least squares by Levenberg's and Marquardt's method (Levenberg 1944, Marquardt 1963): Gauss-Newton steps, shortened
//! towards the gradient as long as they do not help.
//!
//! Step `d` solves `(J^T J + damping diag(J^T J)) d = -J^T r`, by Cholesky's decomposition.

use super::linear::Cholesky;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// The sum of the squared residuals there.
    pub cost: f64,
    /// Steps that were taken.
    pub steps: usize,
    /// Whether no step helped any more, within rounding.
    pub converged: bool,
}

/// Steps at most.
const MOST_STEPS: usize = 200;
/// A step that lowers the cost by less than this share of it is the last one.
const LEAST_GAIN: f64 = 1e-12;
/// The damping at first, and the one at which no step can be found that helps.
const DAMPING: f64 = 1e-3;
const MOST_DAMPING: f64 = 1e12;

/// Fills the residuals at given parameters and, if it is asked for, their Jacobian, a row a residual.
pub type Residuals<'a> = dyn Fn(&[f64], &mut [f64], Option<&mut [f64]>) + 'a;

/// Parameters near `start` that make the sum of squared residuals least, each kept within its `bounds`.
///
/// `residuals(parameters, r, jacobian)` fills `r [count]` and, if it is asked for, `jacobian [count, parameters]`: `dr / dp`.
pub fn levenberg_marquardt(start: &[f64], bounds: &[(f64, f64)], count: usize, residuals: &Residuals<'_>) -> Fit {
    let n = start.len();
    let within = |p: f64, at: usize| bounds.get(at).map_or(p, |&(least, most)| p.clamp(least, most));
    let mut parameters: Vec<f64> = start.iter().enumerate().map(|(at, &p)| within(p, at)).collect();
    let (mut r, mut jacobian) = (vec![0.0; count], vec![0.0; count * n]);
    residuals(&parameters, &mut r, Some(&mut jacobian));
    let squares = |r: &[f64]| r.iter().map(|x| x * x).sum::<f64>();
    let mut cost = squares(&r);
    let (mut damping, mut steps, mut done) = (DAMPING, 0, false);
    while steps < MOST_STEPS && !done {
        let mut normal = vec![0.0; n * n];
        let mut gradient = vec![0.0; n];
        for (row, &r) in jacobian.chunks_exact(n.max(1)).zip(&r) {
            for a in 0..n {
                gradient[a] += row[a] * r;
                (0..=a).for_each(|b| normal[a * n + b] += row[a] * row[b]);
            }
        }
        // Until a step helps.
        loop {
            let mut damped = normal.clone();
            (0..n).for_each(|a| damped[a * n + a] += damping * normal[a * n + a].max(f64::MIN_POSITIVE));
            let step = Cholesky::of(&damped, n).map(|factor| factor.solve(&gradient));
            let trial: Option<Vec<f64>> =
                step.map(|step| (0..n).map(|at| within(parameters[at] - step[at], at)).collect());
            if let Some(trial) = trial {
                let mut after = vec![0.0; count];
                residuals(&trial, &mut after, None);
                let lower = squares(&after);
                if lower < cost {
                    done = cost.is_finite() && cost - lower <= LEAST_GAIN * cost;
                    (parameters, cost, damping) = (trial, lower, (damping / 3.0).max(1e-15));
                    break;
                }
            }
            damping *= 4.0;
            if damping > MOST_DAMPING {
                done = true;
                break;
            }
        }
        steps += 1;
        residuals(&parameters, &mut r, Some(&mut jacobian));
    }
    Fit { parameters, converged: done && cost.is_finite(), cost, steps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::math::f64::exp;

    /// y = a e^(-b t) + c at 30 times.
    fn decay(p: &[f64], r: &mut [f64], jacobian: Option<&mut [f64]>) {
        let true_value = |t: f64| 2.5 * exp(-1.3 * t) + 0.5;
        let time = |at: usize| at as f64 / 10.0;
        (0..r.len()).for_each(|at| r[at] = p[0] * exp(-p[1] * time(at)) + p[2] - true_value(time(at)));
        if let Some(jacobian) = jacobian {
            for (at, row) in jacobian.chunks_exact_mut(3).enumerate() {
                let e = exp(-p[1] * time(at));
                row.copy_from_slice(&[e, -p[0] * time(at) * e, 1.0]);
            }
        }
    }

    #[test]
    fn the_parameters_of_a_decay_come_back_from_afar() {
        let fit = levenberg_marquardt(&[1.0, 0.2, 0.0], &[], 30, &decay);
        for (found, truth) in fit.parameters.iter().zip([2.5, 1.3, 0.5]) {
            assert!((found - truth).abs() < 1e-6, "{fit:?}");
        }
        assert!(fit.converged && fit.cost < 1e-12, "{fit:?}");
    }

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let valley = |p: &[f64], r: &mut [f64], jacobian: Option<&mut [f64]>| {
            r.copy_from_slice(&[10.0 * (p[1] - p[0] * p[0]), 1.0 - p[0]]);
            jacobian.into_iter().for_each(|j| j.copy_from_slice(&[-20.0 * p[0], 10.0, -1.0, 0.0]));
        };
        let fit = levenberg_marquardt(&[-1.2, 1.0], &[], 2, &valley);
        assert!((fit.parameters[0] - 1.0).abs() < 1e-6 && (fit.parameters[1] - 1.0).abs() < 1e-6, "{fit:?}");
        assert!(fit.steps < 60, "{fit:?}");
    }

    #[test]
    fn what_is_not_finite_is_not_found() {
        let nowhere = |_: &[f64], r: &mut [f64], jacobian: Option<&mut [f64]>| {
            r.fill(f64::NAN);
            jacobian.into_iter().for_each(|j| j.fill(1.0));
        };
        assert!(!levenberg_marquardt(&[1.0], &[], 2, &nowhere).converged);
    }

    #[test]
    fn a_bound_is_never_crossed() {
        let fit = levenberg_marquardt(&[1.0, 0.2, 0.0], &[(0.0, 9.0), (0.0, 1.0), (-9.0, 9.0)], 30, &decay);
        assert!(fit.parameters[1] <= 1.0 && fit.cost > 1e-4, "{fit:?}");
    }
}
