//! The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno (Nocedal 1980).

use std::collections::VecDeque;

use super::line_search::{Objective, Point, wolfe};
use super::{Found, dot, largest};

/// How [`lbfgs`] searches.
#[derive(Debug, Clone, PartialEq)]
pub struct Lbfgs {
    /// Pairs of steps and changes of the gradient that stand for the curvature.
    pub memory: usize,
    /// Steps at most.
    pub most_steps: usize,
    /// The search ends where no partial derivative is larger.
    pub tolerance: f64,
}

impl Default for Lbfgs {
    fn default() -> Lbfgs {
        Lbfgs { memory: 10, most_steps: 500, tolerance: 1e-10 }
    }
}

/// A minimum of `f`, which gives its value and gradient, found downhill from `start`.
pub fn lbfgs(start: &[f64], options: &Lbfgs, f: &mut Objective<'_>) -> Found {
    let (value, gradient) = f(start);
    let mut point = Point { x: start.to_vec(), value, gradient };
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    let mut path = Vec::new();
    let converged = loop {
        let size = largest(&point.gradient);
        if size <= options.tolerance {
            break true;
        }
        if path.len() >= options.most_steps || !size.is_finite() || !point.value.is_finite() {
            break false;
        }
        path.push(point.value);
        let direction = downhill(&point.gradient, &pairs);
        let first = if pairs.is_empty() { (1.0 / size).min(1.0) } else { 1.0 };
        let Some(next) = wolfe(f, &point, &direction, first) else {
            path.pop();
            if pairs.is_empty() {
                // Not even the gradient leads down: within rounding this is a minimum, unless the gradient is wrong.
                break size <= options.tolerance.sqrt() * (1.0 + point.value.abs());
            }
            pairs.clear();
            continue;
        };
        let step: Vec<f64> = next.x.iter().zip(&point.x).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next.gradient.iter().zip(&point.gradient).map(|(a, b)| a - b).collect();
        if dot(&step, &change) > f64::EPSILON * dot(&change, &change) {
            pairs.push_back((step, change));
            if pairs.len() > options.memory.max(1) {
                pairs.pop_front();
            }
        }
        point = next;
    };
    Found { x: point.x, value: point.value, steps: path.len(), converged, path }
}

/// Minus the gradient times the approximate inverse Hessian: the two loops of Nocedal and Wright's algorithm 7.4.
fn downhill(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(pairs.len());
    for (step, change) in pairs.iter().rev() {
        let factor = dot(step, &q) / dot(step, change);
        q.iter_mut().zip(change).for_each(|(q, y)| *q -= factor * y);
        factors.push(factor);
    }
    if let Some((step, change)) = pairs.back() {
        let scale = dot(step, change) / dot(change, change);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((step, change), factor) in pairs.iter().zip(factors.into_iter().rev()) {
        let other = dot(change, &q) / dot(step, change);
        q.iter_mut().zip(step).for_each(|(q, s)| *q += (factor - other) * s);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (x[0], x[1]);
        let value = (1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2);
        (value, vec![-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a)])
    }

    #[test]
    fn rosenbrocks_valley_takes_less_than_60_steps() {
        let found = lbfgs(&[-1.2, 1.0], &Lbfgs::default(), &mut rosenbrock);
        assert!(found.converged && found.steps < 60, "{found:?}");
        assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-9), "{found:?}");
        assert!(found.path.is_sorted_by(|a, b| a > b), "it goes down at each step: {:?}", found.path);
    }

    #[test]
    fn a_hundred_numbers_of_very_different_weight_find_their_place() {
        let weight = |at: usize| 10f64.powf(at as f64 / 33.0);
        let mut f = |x: &[f64]| {
            let value = x.iter().enumerate().map(|(at, x)| 0.5 * weight(at) * (x - at as f64).powi(2)).sum();
            (value, x.iter().enumerate().map(|(at, x)| weight(at) * (x - at as f64)).collect())
        };
        let found = lbfgs(&[0.0; 100], &Lbfgs::default(), &mut f);
        assert!(found.converged && found.x.iter().enumerate().all(|(at, x)| (x - at as f64).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn what_has_no_minimum_or_is_not_finite_is_not_found() {
        let down = lbfgs(&[0.0], &Lbfgs { most_steps: 20, ..Lbfgs::default() }, &mut |x| (-x[0], vec![-1.0]));
        assert!(!down.converged);
        let broken = lbfgs(&[1.0], &Lbfgs::default(), &mut |_| (f64::NAN, vec![f64::NAN]));
        assert!(!broken.converged && broken.steps == 0);
        // Its gradient points the wrong way.
        let wrong = lbfgs(&[1.0], &Lbfgs::default(), &mut |x| (x[0] * x[0], vec![-2.0 * x[0]]));
        assert!(!wrong.converged);
    }
}
