//! Logistic regression: `p(y = 1) = sigmoid(x weight + bias)`.

use nn::solve::Newton;
use tensor::RandomKey;
use tensor::math::f64::{exp, log1p, sigmoid};
use train::{Error, Result};

use super::design::Design;
use super::linear::Linear;

/// The probability of class 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// The logit.
    pub logit: Linear,
    /// Steps of its search: Newton's, or passes over the rows.
    pub steps: usize,
}

impl Logistic {
    /// The probability of class 1 for a row `[d]`.
    pub fn probability(&self, row: &[f64]) -> f64 {
        sigmoid(self.logit.predict(row))
    }
}

/// The maximum of the likelihood, less `ridge / 2 |weight|^2`, by Newton's method, also called iteratively reweighted least squares.
/// Give standardised columns, for which a ridge has a meaning.
///
/// # Errors
/// If the targets are not 0 and 1, or no step helps: without a ridge, where the classes can be told apart without an error, the
/// weights grow without end.
pub fn newton(design: &Design, ridge: f64) -> Result<Logistic> {
    check(design)?;
    let (d, n) = (design.columns + 1, design.len());
    let mut f = |theta: &[f64]| {
        let logit = Linear { weight: theta[..d - 1].to_vec(), bias: theta[d - 1] };
        let weight = &logit.weight;
        let mut value = 0.5 * ridge * weight.iter().map(|w| w * w).sum::<f64>();
        let (mut gradient, mut hessian) = (vec![0.0; d], vec![0.0; d * d]);
        for row in 0..n {
            let x = |at: usize| design.row(row).get(at).copied().unwrap_or(1.0);
            let (z, y) = (logit.predict(design.row(row)), design.y[row]);
            let p = sigmoid(z);
            value += softplus(z) - y * z;
            for a in 0..d {
                gradient[a] += x(a) * (p - y);
                (0..=a).for_each(|b| hessian[a * d + b] += x(a) * x(b) * p * (1.0 - p));
            }
        }
        for at in 0..d - 1 {
            gradient[at] += ridge * weight[at];
            hessian[at * d + at] += ridge;
        }
        (value, gradient, hessian)
    };
    let found = nn::solve::newton(&vec![0.0; d], &Newton { most_steps: 50, tolerance: 1e-9 }, &mut f);
    let (weight, bias) = found.x.split_at(d - 1);
    let logit = Linear { weight: weight.to_vec(), bias: bias[0] };
    // A line between the classes can always be made steeper: what ended the search is rounding.
    let apart = ridge == 0.0 && (0..n).all(|row| (logit.predict(design.row(row)) > 0.0) == (design.y[row] == 1.0));
    if apart {
        let what = "a line tells the classes apart without an error, so the likelihood has no maximum";
        return Err(Error::usage(what, "give a ridge above 0"));
    }
    if !found.converged {
        let what = format!("{} steps of Newton's method found no maximum of the likelihood", found.steps);
        return Err(Error::usage(what, "give standardised columns, or a ridge above 0"));
    }
    Ok(Logistic { logit, steps: found.steps })
}

/// The same by stochastic gradient descent: `passes` over the rows, each in an order of its own, one row a step, at the rate
/// `rate / (1 + pass)`: the sum of the rates has no bound, that of their squares has (Robbins and Monro 1951).
///
/// # Errors
/// If the targets are not 0 and 1, or the rate was too high.
pub fn stochastic(design: &Design, ridge: f64, rate: f64, passes: usize, seed: u64) -> Result<Logistic> {
    check(design)?;
    let (n, d) = (design.len(), design.columns);
    let mut logit = Linear { weight: vec![0.0; d], bias: 0.0 };
    let key = RandomKey::new(seed);
    for pass in 0..passes {
        let rate = rate / (1.0 + pass as f64);
        for row in key.step(pass as u32).permutation(n) {
            let x = design.row(row);
            let error = sigmoid(logit.predict(x)) - design.y[row];
            let decay = 1.0 - rate * ridge / n as f64;
            logit.weight.iter_mut().zip(x).for_each(|(w, x)| *w = decay * *w - rate * error * x);
            logit.bias -= rate * error;
        }
    }
    if !logit.weight.iter().all(|w| w.is_finite()) {
        return Err(Error::usage(format!("the weights left all bounds at a rate of {rate}"), "give a lower rate"));
    }
    Ok(Logistic { logit, steps: passes })
}

fn check(design: &Design) -> Result<()> {
    design.check()?;
    if design.y.iter().all(|&y| y == 0.0 || y == 1.0) {
        return Ok(());
    }
    Err(Error::usage("logistic regression tells two classes apart, 0 and 1", "give a target column of two classes"))
}

/// ln(1 + e^z).
fn softplus(z: f64) -> f64 {
    z.max(0.0) + log1p(exp(-z.abs()))
}
