//! Curves of any length in as many points as a screen has columns: of each column the least, the greatest and the last smoothed value.

use serde_json::{Value, json};

use crate::Studio;
use crate::error::Result;
use crate::query::Query;
use crate::tensors::finite;

/// Columns, at most.
const MOST_COLUMNS: usize = 4000;

/// `/api/curve?run=&name=`: a figure of a run, of steps `from` to `to`, in `width` columns, smoothed over `smooth` steps (an
/// exponential mean whose weights have fallen to half by then).
pub fn curve(studio: &Studio, query: &Query) -> Result<Value> {
    let path = studio.runs().find(query.text("run")?)?;
    let name = query.get("name").unwrap_or("loss");
    let width = query.number_or("width", 800usize)?.clamp(1, MOST_COLUMNS);
    let (from, to) = (query.number_or("from", 0.0f64)?, query.number_or("to", f64::INFINITY)?);
    let half = query.number_or("smooth", 0.0f64)?;
    studio.logs().figures(&path, |figures| {
        let all = figures.curve(name);
        let last = all.last().copied();
        let smoothed = smooth(&all, half);
        let shown: Vec<Point> = all
            .iter()
            .zip(smoothed)
            .map(|(&(step, value), smooth)| Point { step, value, smooth })
            .filter(|point| point.step >= from && point.step <= to)
            .collect();
        let buckets = buckets(&shown, width);
        let column =
            |of: fn(&Bucket) -> f64| -> Vec<Value> { buckets.iter().map(|bucket| finite(of(bucket))).collect() };
        let (steps, epochs) = figures.names();
        json!({
            "run": query.get("run"), "name": name, "count": shown.len(), "steps": column(|b| b.step),
            "min": column(|b| b.min), "max": column(|b| b.max), "smooth": column(|b| b.smooth),
            "bad": buckets.iter().map(|b| b.bad).sum::<usize>(),
            "last": last.map(|(step, value)| json!([step, finite(value)])),
            "names": { "steps": steps, "epochs": epochs },
        })
    })
}

struct Point {
    step: f64,
    value: f64,
    smooth: f64,
}

/// The points of a column.
#[derive(Debug, PartialEq)]
struct Bucket {
    /// The last step in it.
    step: f64,
    min: f64,
    max: f64,
    smooth: f64,
    /// Points that are no numbers.
    bad: usize,
}

/// At most `width` columns of equal numbers of steps, those without points left out.
fn buckets(points: &[Point], width: usize) -> Vec<Bucket> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let span = (last.step - first.step).max(1.0);
    let place = |point: &Point| (((point.step - first.step) / span * width as f64) as usize).min(width - 1);
    let few = points.len() <= width;
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut open = None;
    for (at, point) in points.iter().enumerate() {
        let place = if few { at } else { place(point) };
        if open != Some(place) {
            open = Some(place);
            buckets.push(Bucket { step: point.step, min: f64::NAN, max: f64::NAN, smooth: f64::NAN, bad: 0 });
        }
        let Some(bucket) = buckets.last_mut() else { continue };
        bucket.step = point.step;
        bucket.smooth = point.smooth;
        if point.value.is_finite() {
            bucket.min = point.value.min(bucket.min);
            bucket.max = point.value.max(bucket.max);
        } else {
            bucket.bad += 1;
        }
    }
    buckets
}

/// An exponential mean of the values before and at each point; `half` steps back a value weighs half. What is no number is left out.
fn smooth(points: &[(f64, f64)], half: f64) -> Vec<f64> {
    if half.is_nan() || half <= 0.0 {
        return points.iter().map(|(_, value)| *value).collect();
    }
    let (mut sum, mut weight, mut before) = (0.0, 0.0, f64::NAN);
    let mut mean = f64::NAN;
    let mut one = |&(step, value): &(f64, f64)| {
        if value.is_finite() {
            let kept = if before.is_nan() { 0.0 } else { (0.5f64).powf((step - before).max(0.0) / half) };
            (sum, weight, before) = (sum * kept + value, weight * kept + 1.0, step);
            mean = sum / weight;
        }
        mean
    };
    points.iter().map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        values.iter().enumerate().map(|(at, &value)| Point { step: at as f64 + 1.0, value, smooth: value }).collect()
    }

    #[test]
    fn no_peak_is_lost_however_narrow_the_screen() {
        let mut values: Vec<f64> = (0..100_000).map(|n| f64::from(n % 7)).collect();
        (values[50_001], values[77_777], values[3]) = (1e6, -1e6, f64::NAN);
        let buckets = buckets(&points(&values), 500);
        assert_eq!(buckets.len(), 500);
        assert!(buckets.windows(2).all(|pair| pair[0].step < pair[1].step));
        assert_eq!(buckets.iter().map(|b| b.max).fold(0.0, f64::max), 1e6);
        assert_eq!(buckets.iter().map(|b| b.min).fold(0.0, f64::min), -1e6);
        assert_eq!((buckets.iter().map(|b| b.bad).sum::<usize>(), buckets[499].step), (1, 100_000.0));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let buckets = buckets(&points(&[3.0, 1.0, 2.0]), 500);
        assert_eq!(buckets.iter().map(|b| (b.min, b.max)).collect::<Vec<_>>(), [(3.0, 3.0), (1.0, 1.0), (2.0, 2.0)]);
        assert!(super::buckets(&[], 500).is_empty());
    }

    #[test]
    fn a_smoothed_constant_is_that_constant_and_a_step_is_half_way_after_the_half_time() {
        let flat: Vec<(f64, f64)> = (0..50).map(|n| (f64::from(n), 2.0)).collect();
        assert!(smooth(&flat, 10.0).iter().all(|value| (value - 2.0).abs() < 1e-12));
        let mut jump: Vec<(f64, f64)> = (0..1000).map(|n| (f64::from(n), 0.0)).collect();
        jump.extend((1000..1010).map(|n| (f64::from(n), 1.0)));
        assert!((smooth(&jump, 10.0)[1009] - 0.5).abs() < 0.01);
        assert_eq!(smooth(&[(1.0, 5.0), (2.0, f64::NAN)], 3.0), [5.0, 5.0]);
    }
}
