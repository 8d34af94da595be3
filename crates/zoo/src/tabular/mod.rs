//! Models of tables, in f64: what a course begins with. Their answers are exact, or found to the last digit.

mod cross_validation;
mod design;
mod linear;
mod logistic;
mod neighbours;

pub use cross_validation::folds;
pub use design::{Design, Standard};
pub use linear::{Gaussian, Linear, closed_form, gradient_descent, linear_baseline, maximum_likelihood};
pub use logistic::{Logistic, newton, stochastic};
pub use neighbours::Neighbours;
