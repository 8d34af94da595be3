//! How far to go in a direction.

use super::{along, dot};

/// The function has fallen by this share of what the slope promised (Armijo), and the slope to this share of its size (Wolfe).
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
const MOST_TRIALS: usize = 40;

/// A function's value and gradient at a point.
pub type Objective<'a> = dyn FnMut(&[f64]) -> (f64, Vec<f64>) + 'a;

/// A point with its value and gradient.
#[derive(Debug, Clone)]
pub struct Point {
    pub x: Vec<f64>,
    pub value: f64,
    pub gradient: Vec<f64>,
}

/// A step length in one trial: how far, the value there, the slope there.
#[derive(Clone, Copy)]
struct Trial {
    step: f64,
    value: f64,
    slope: f64,
}

/// A point along `direction` that meets the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6), the first
/// trial `step` long; `None` if the direction does not lead down or nothing lower was found.
pub fn wolfe(f: &mut Objective<'_>, from: &Point, direction: &[f64], step: f64) -> Option<Point> {
    let slope = dot(&from.gradient, direction);
    if slope >= 0.0 || slope.is_nan() {
        return None;
    }
    let start = Trial { step: 0.0, value: from.value, slope };
    let mut at = |step: f64| {
        let x = along(&from.x, step, direction);
        let (value, gradient) = f(&x);
        let slope = dot(&gradient, direction);
        (Trial { step, value, slope }, Point { x, value, gradient })
    };
    let too_high = |t: &Trial| t.value.is_nan() || t.value > start.value + DECREASE * t.step * slope;
    let (mut before, mut step) = (start, step);
    let mut best: Option<Point> = None;
    let mut keep = |point: Point| {
        if point.value < best.as_ref().map_or(from.value, |best| best.value) {
            best = Some(point);
        }
    };
    let mut bracket = None;
    let mut trials = 0;
    while trials < MOST_TRIALS {
        let (trial, point) = at(step);
        trials += 1;
        if too_high(&trial) || (trials > 1 && trial.value >= before.value) {
            bracket = Some((before, trial));
            keep(point);
            break;
        }
        if trial.slope.abs() <= -CURVATURE * slope {
            return Some(point);
        }
        keep(point);
        if trial.slope >= 0.0 {
            bracket = Some((trial, before));
            break;
        }
        (before, step) = (trial, 2.0 * step);
    }
    let (mut low, mut high) = bracket?;
    while trials < MOST_TRIALS {
        let (trial, point) = at(between(low, high));
        trials += 1;
        if too_high(&trial) || trial.value >= low.value {
            high = trial;
        } else {
            if trial.slope.abs() <= -CURVATURE * slope {
                return Some(point);
            }
            if trial.slope * (high.step - low.step) >= 0.0 {
                high = low;
            }
            low = trial;
        }
        keep(point);
        if (high.step - low.step).abs() <= f64::EPSILON * low.step.abs().max(high.step.abs()) {
            break;
        }
    }
    best
}

/// The minimum of the cubic through both ends, kept away from them; their middle if there is none.
fn between(a: Trial, b: Trial) -> f64 {
    let width = b.step - a.step;
    let middle = a.step + 0.5 * width;
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let square = d1 * d1 - a.slope * b.slope;
    if square < 0.0 || square.is_nan() {
        return middle;
    }
    let d2 = square.sqrt() * width.signum();
    let step = b.step - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    let share = (step - a.step) / width;
    if share.is_finite() { a.step + share.clamp(0.1, 0.9) * width } else { middle }
}
