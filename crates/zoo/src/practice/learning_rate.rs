//! The learning-rate range test (Smith 2017): the rate rises from step to step in equal ratios, and the loss says where it is too
//! small, where it works, and where it is too large.

use see::picture::{Chart, lines};
use serde_json::json;
use train::Result;

use super::{Bench, Experiment, Findings, line};

pub(super) const EXPERIMENT: Experiment =
    Experiment { name: "learning-rate", about: "the range test: which learning rate a net takes", make };

/// Share of the last loss that the smoothed one keeps.
const KEPT: f64 = 0.95;
/// The test is over where the smoothed loss is so many times its least.
const TOO_MUCH: f64 = 4.0;

fn make(bench: &mut Bench) -> Result<Findings> {
    let settings = [("train.schedule", "range"), ("train.lr", "10"), ("train.epochs", "6"), ("data.val", "0")];
    let trained = bench.train("range", "dense", &settings)?;
    let rates = trained.curve("step", "lr");
    let losses = trained.curve("step", "loss");
    let raw: Vec<[f64; 2]> = rates.iter().zip(&losses).map(|(rate, loss)| [rate[1], loss[1]]).collect();
    let smoothed = smooth(&raw);
    let found = suggest(&smoothed);
    let shown = found.as_ref().map_or(smoothed.len(), |found| found.end);
    let chart = Chart {
        title: "loss while the rate rises".to_owned(),
        x: "learning rate".to_owned(),
        y: "loss of a batch".to_owned(),
        log_x: true,
        lines: vec![
            line("each batch", raw[..shown].to_vec(), 4, true),
            line(format!("smoothed ({KEPT} of the one before)"), smoothed[..shown].to_vec(), 1, false),
        ],
        ..Chart::default()
    };
    let words = match &found {
        Some(found) => vec![
            format!("the loss falls fastest at a rate of {:.2e} and is least at {:.2e}", found.steepest, found.least),
            format!("a good greatest rate: {:.1e}, a tenth of where the loss is least", found.least / 10.0),
        ],
        None => vec!["too few steps to tell: give more data or --set train.epochs=N".to_owned()],
    };
    let numbers = json!({
        "steepest": found.as_ref().map(|found| found.steepest),
        "least": found.as_ref().map(|found| found.least),
        "suggested": found.as_ref().map(|found| found.least / 10.0),
        "diverged": trained.diverged.is_some(),
    });
    Ok(Findings { words, numbers, pictures: vec![("learning-rate.svg", lines("Learning-rate range test", &[chart]))] })
}

/// The exponential mean of the losses, without the pull of its beginning.
fn smooth(raw: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let (mut mean, mut weight) = (0.0, 0.0);
    let step = |&[rate, loss]: &[f64; 2]| {
        mean = KEPT * mean + (1.0 - KEPT) * loss;
        weight = KEPT * weight + (1.0 - KEPT);
        [rate, mean / weight]
    };
    raw.iter().map(step).collect()
}

/// What a range test says.
struct Suggestion {
    steepest: f64,
    least: f64,
    /// Points before the loss ran away.
    end: usize,
}

fn suggest(smoothed: &[[f64; 2]]) -> Option<Suggestion> {
    let (mut end, mut least) = (smoothed.len(), f64::INFINITY);
    for (at, &[_, loss]) in smoothed.iter().enumerate() {
        least = least.min(loss);
        if loss > TOO_MUCH * least || !loss.is_finite() {
            end = at;
            break;
        }
    }
    let before = &smoothed[..end];
    let lowest = (0..before.len()).min_by(|&a, &b| before[a][1].total_cmp(&before[b][1]))?;
    // Over a tenth of the way, so that noise is not taken for slope.
    let window = (before.len() / 10).max(2);
    let fall = |at: usize| before[at][1] - before[at + window][1];
    let steepest = (0..lowest.checked_sub(window)? + 1).max_by(|&a, &b| fall(a).total_cmp(&fall(b)))?;
    Some(Suggestion { steepest: before[steepest + window / 2][0], least: before[lowest][0], end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_steepest_are_found_and_what_ran_away_is_cut() {
        // Falls around 1e-3, is least at 1e-1, and then runs away.
        let rate = |at: usize| 10f64.powf(-6.0 + 7.0 * at as f64 / 700.0);
        let loss = |lr: f64| 2.3 / (1.0 + lr / 1e-3) + 0.1 + 50.0 * lr * lr * lr;
        let points: Vec<[f64; 2]> = (0..700).map(|at| [rate(at), loss(rate(at))]).collect();
        let found = suggest(&points).unwrap();
        assert!((3e-4..3e-3).contains(&found.steepest), "{}", found.steepest);
        assert!((5e-2..2e-1).contains(&found.least), "{}", found.least);
        assert!(found.end < 700 && points[found.end][0] > found.least);
        assert!(suggest(&points[..2]).is_none());
    }
}
