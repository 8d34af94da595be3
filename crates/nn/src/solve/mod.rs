//! Small problems solved to the last digit, in f64: linear equations, least squares, and minima by methods of second order. For a
//! function of a few thousand numbers at most; nets are trained by [`crate::optim`].

mod conjugate;
mod lbfgs;
mod levenberg_marquardt;
mod line_search;
mod linear;
mod newton;

pub use conjugate::conjugate_gradients;
pub use lbfgs::{Lbfgs, lbfgs};
pub use levenberg_marquardt::{Fit, Residuals, levenberg_marquardt};
pub use line_search::Objective;
pub use linear::{Cholesky, least_squares};
pub use newton::{Curved, Newton, newton};

/// What a search ended with.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The parameters.
    pub x: Vec<f64>,
    /// The function there.
    pub value: f64,
    /// Steps that were taken.
    pub steps: usize,
    /// Whether the gradient vanished within the tolerance, or no step helped any more.
    pub converged: bool,
    /// The function before each step.
    pub path: Vec<f64>,
}

/// The sum of products, in order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The largest magnitude; NaN if any is NaN.
pub(crate) fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| if x.is_nan() || x.abs() > most { x.abs() } else { most })
}

/// `x + step * direction`.
pub(crate) fn along(x: &[f64], step: f64, direction: &[f64]) -> Vec<f64> {
    x.iter().zip(direction).map(|(x, d)| x + step * d).collect()
}
