//! Linear regression: `y = x weight + bias`, by three ways to the same answer.

use cpu::Cpu;
use data::Dataset;
use nn::solve::{Lbfgs, lbfgs, least_squares};
use tensor::Tensor;
use tensor::math::f64::{exp, log};
use train::metric::Errors;
use train::{Error, Result};

use super::design::{Design, Standard};

/// A linear function of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// `[d]`.
    pub weight: Vec<f64>,
    /// What is added.
    pub bias: f64,
}

impl Linear {
    /// Its value for a row `[d]`.
    pub fn predict(&self, row: &[f64]) -> f64 {
        self.bias + row.iter().zip(&self.weight).map(|(x, w)| x * w).sum::<f64>()
    }

    /// The share of the targets' variance that it explains: 1 - (sum of squared errors) / (sum of squares around the mean).
    pub fn r_squared(&self, design: &Design) -> f64 {
        let mean = design.y.iter().sum::<f64>() / design.len().max(1) as f64;
        let around = design.y.iter().map(|y| (y - mean).powi(2)).sum::<f64>();
        let errors: f64 = (0..design.len()).map(|row| (design.y[row] - self.predict(design.row(row))).powi(2)).sum();
        1.0 - errors / around
    }

    /// Its errors on all rows of `design`.
    pub fn errors(&self, design: &Design) -> Errors {
        let mut errors = Errors::default();
        (0..design.len()).for_each(|row| errors.add(self.predict(design.row(row)), design.y[row]));
        errors
    }
}

/// What the closed form comes to on the test rows, fitted to the training rows: the bar for any other model of the same columns. The
/// columns are standardised; if some follow from others, as those of words do, a ridge of a millionth of the rows chooses among the best.
///
/// # Errors
/// If a row cannot be read, or the rows cannot be used.
pub fn linear_baseline(train: &dyn Dataset, test: &dyn Dataset) -> Result<Errors> {
    let (train, test) = (Design::of(train)?, Design::of(test)?);
    let standard = Standard::of(&train);
    let (train, test) = (standard.apply(&train), standard.apply(&test));
    let model = match closed_form(&train, 0.0) {
        Ok(model) => model,
        Err(_) => closed_form(&train, 1e-6 * train.len() as f64)?,
    };
    Ok(model.errors(&test))
}

/// A linear function with noise: `y ~ N(x weight + bias, deviation^2)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    /// The mean.
    pub mean: Linear,
    /// The noise.
    pub deviation: f64,
    /// The mean log-likelihood of a row.
    pub log_likelihood: f64,
}

/// Least squares, with `ridge |weight|^2` added to the sum of squared errors (0: plain; the bias is never penalised).
///
/// # Errors
/// If columns depend on each other and there is no ridge, or the table cannot be used.
pub fn closed_form(design: &Design, ridge: f64) -> Result<Linear> {
    design.check()?;
    // Around the means the bias is 0, and so outside the penalty.
    let (n, d) = (design.len() as f64, design.columns);
    let mean: Vec<f64> = (0..d).map(|at| (0..design.len()).map(|row| design.row(row)[at]).sum::<f64>() / n).collect();
    let centre = design.y.iter().sum::<f64>() / n;
    let x: Vec<f64> = design.x.iter().enumerate().map(|(at, x)| x - mean[at % d]).collect();
    let y: Vec<f64> = design.y.iter().map(|y| y - centre).collect();
    let weight = least_squares(&x, &y, d, ridge).ok_or_else(|| {
        let help = "leave out columns that follow from others (and constant ones), or give a ridge above 0";
        Error::usage("the columns depend on each other: more than one answer is best", help)
    })?;
    let bias = centre - mean.iter().zip(&weight).map(|(m, w)| m * w).sum::<f64>();
    Ok(Linear { weight, bias })
}

/// The same by gradient descent on the mean squared error, with momentum, over standardised columns: until no partial derivative
/// is above 1e-12 of the targets' deviation, or `most_steps` are done. Returns the steps too.
///
/// # Errors
/// If the graph cannot be evaluated, or the table cannot be used.
pub fn gradient_descent(cpu: &Cpu, design: &Design, ridge: f64, most_steps: usize) -> Result<(Linear, usize)> {
    design.check()?;
    let standard = Standard::of(design);
    let scaled = standard.apply(design);
    let (n, d) = (design.len() as f64, design.columns);
    let x = Tensor::from_vec(scaled.x.clone(), [design.len(), d]);
    let y = Tensor::from_vec(design.y.clone(), [design.len(), 1]);
    let scale = Tensor::from_vec(standard.deviation().to_vec(), [d, 1]);
    // The largest curvature is at most the sum of all: d for standardised columns, 1 for the bias.
    let least = (0..d).map(|at| ridge / n / standard.deviation()[at].powi(2)).fold(0.0, f64::max);
    let rate = 1.0 / (2.0 * (d.max(1) as f64 + least));
    let centre = design.y.iter().sum::<f64>() / n;
    let variance = design.y.iter().map(|y| (y - centre).powi(2)).sum::<f64>() / n;
    let (mut weight, mut bias) = (vec![0.0; d], centre);
    let (mut before, mut before_bias) = (weight.clone(), bias);
    let mut steps = 0;
    // Nesterov's sequence, begun again whenever it turns uphill (O'Donoghue and Candes 2015).
    let mut age = 0.0;
    while steps < most_steps {
        let momentum = age / (age + 3.0);
        let ahead = |now: f64, before: f64| now + momentum * (now - before);
        let point: Vec<f64> = weight.iter().zip(&before).map(|(&now, &before)| ahead(now, before)).collect();
        let point_bias = ahead(bias, before_bias);
        let w = Tensor::from_vec(point.clone(), [d, 1]);
        let b = Tensor::from_vec(vec![point_bias], [1]);
        let error = x.matmul(&w) + &b - &y;
        let raw = &w / &scale;
        let loss = (&error * &error).mean(..) + (&raw * &raw).sum(..) * (ridge / n);
        let gradients = loss.grad([&w, &b]);
        let values = cpu.run(&[&gradients[0], &gradients[1]], &[])?;
        let slope = values[0].as_slice::<f64>().unwrap_or_default();
        let slope_bias = values[1].as_slice::<f64>().unwrap_or_default().first().copied().unwrap_or(f64::NAN);
        let next: Vec<f64> = point.iter().zip(slope).map(|(w, g)| w - rate * g).collect();
        let next_bias = point_bias - rate * slope_bias;
        let uphill: f64 =
            (0..d).map(|at| slope[at] * (next[at] - weight[at])).sum::<f64>() + slope_bias * (next_bias - bias);
        age = if uphill > 0.0 { 0.0 } else { age + 1.0 };
        (before, before_bias) = (std::mem::replace(&mut weight, next), std::mem::replace(&mut bias, next_bias));
        steps += 1;
        let largest = slope.iter().fold(slope_bias.abs(), |most, g| most.max(g.abs()));
        if !largest.is_finite() {
            return Err(Error::usage("the descent left all bounds", "give columns and targets of smaller numbers"));
        }
        if largest <= 1e-12 * variance.sqrt() {
            break;
        }
    }
    Ok((standard.raw(&Linear { weight, bias }), steps))
}

/// The same by maximum likelihood: weights, bias and the noise that make the targets likeliest, found by L-BFGS over standardised
/// columns. The noise is `|y - x weight - bias|^2 / n`.
///
/// # Errors
/// If the graph cannot be evaluated, or the table cannot be used.
pub fn maximum_likelihood(cpu: &Cpu, design: &Design) -> Result<Gaussian> {
    design.check()?;
    let standard = Standard::of(design);
    let scaled = standard.apply(design);
    let d = design.columns;
    let n = design.len() as f64;
    // The targets around their mean and in units of their deviation, so that all parameters are near 1.
    let centre = design.y.iter().sum::<f64>() / n;
    let unit = (design.y.iter().map(|y| (y - centre).powi(2)).sum::<f64>() / n).sqrt();
    if unit <= 0.0 {
        return Err(Error::usage("all targets are the same: there is no noise to find", "give another target column"));
    }
    let x = Tensor::from_vec(scaled.x.clone(), [design.len(), d]);
    let y = Tensor::from_vec(design.y.iter().map(|y| (y - centre) / unit).collect::<Vec<_>>(), [design.len(), 1]);
    let mut failure = None;
    let found = lbfgs(&vec![0.0; d + 2], &Lbfgs { tolerance: 1e-11, ..Lbfgs::default() }, &mut |theta| {
        let w = Tensor::from_vec(theta[..d].to_vec(), [d, 1]);
        let b = Tensor::from_vec(vec![theta[d]], [1]);
        let log_deviation = Tensor::from_vec(vec![theta[d + 1]], [1]);
        let error = x.matmul(&w) + &b - &y;
        // -ln p, but for the constant ln sqrt(2 pi).
        let loss = ((&error * &error).mean(..) * (&log_deviation * -2.0).exp() * 0.5 + &log_deviation).sum(..);
        let gradients = loss.grad([&w, &b, &log_deviation]);
        match cpu.run(&[&loss, &gradients[0], &gradients[1], &gradients[2]], &[]) {
            Ok(values) => {
                let numbers = |at: usize| values[at].as_slice::<f64>().unwrap_or_default();
                (numbers(0)[0], [numbers(1), numbers(2), numbers(3)].concat())
            }
            Err(error) => {
                failure = Some(Error::from(error));
                (f64::NAN, vec![f64::NAN; d + 2])
            }
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    if !found.converged {
        let what = "no maximum of the likelihood was found";
        return Err(Error::usage(what, "if the targets follow from the columns exactly, take the closed form"));
    }
    let scaled = Linear { weight: found.x[..d].iter().map(|w| w * unit).collect(), bias: centre + found.x[d] * unit };
    let constant = 0.5 * log(2.0 * std::f64::consts::PI) + log(unit);
    Ok(Gaussian {
        mean: standard.raw(&scaled),
        deviation: exp(found.x[d + 1]) * unit,
        log_likelihood: -found.value - constant,
    })
}

impl Standard {
    /// The function of plain columns that `scaled` is of standardised ones.
    fn raw(&self, scaled: &Linear) -> Linear {
        let weight: Vec<f64> = scaled.weight.iter().zip(self.deviation()).map(|(w, deviation)| w / deviation).collect();
        let bias = scaled.bias - weight.iter().zip(self.mean()).map(|(w, m)| w * m).sum::<f64>();
        Linear { weight, bias }
    }
}
