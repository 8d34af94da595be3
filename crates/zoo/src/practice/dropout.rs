//! Dropout, and what it says at test time: many passes with other units dropped give a mean answer (MC dropout, Gal and
//! Ghahramani 2016). Whether nets are right as often as they say, before and after, and after one temperature (Guo et al. 2017).

use std::sync::Arc;

use data::{Dataset, Loader, LoaderConfig};
use nn::{Layer, Pass};
use see::picture::{Chart, lines};
use serde_json::json;
use tensor::{RandomKey, Tensor};
use train::metric::Calibration;
use train::{Input, Result, Settings, tensors};

use super::{Bench, Experiment, Findings, line};
use crate::opened::open;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "dropout",
    about: "dropout, MC dropout and temperature: test accuracy, likelihood, and whether nets are right as often as they say",
    make,
};

/// Passes of MC dropout.
const PASSES: u32 = 50;
const BINS: usize = 10;

/// What answers are worth.
struct Worth {
    accuracy: f64,
    /// Mean negative logarithm of the probability of the right class.
    nll: f64,
    /// The expected calibration error.
    ece: f64,
    bins: Vec<[f64; 2]>,
}

/// Probabilities `[rows, classes]` and the right classes.
struct Answers {
    probabilities: Vec<Vec<f64>>,
    labels: Vec<usize>,
}

fn make(bench: &mut Bench) -> Result<Findings> {
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    let mut chart = Chart {
        title: "right as often as they say?".to_owned(),
        x: "probability that the net gives its answer".to_owned(),
        y: "share of right answers".to_owned(),
        lines: vec![line("exactly as often", vec![[0.0, 0.0], [1.0, 1.0]], 7, true)],
        ..Chart::default()
    };
    let mut learning =
        Chart { title: "loss on validation rows".to_owned(), x: "steps".to_owned(), log_y: true, ..Chart::default() };
    for (colour, (name, drop)) in [("no dropout", "0"), ("dropout 0.5", "0.5")].into_iter().enumerate() {
        // Few rows and no augmentation: where nets become too sure of themselves.
        let settings = [
            ("model.dropout", drop),
            ("model.hidden", "256"),
            ("data.shift", "0"),
            ("data.val", "0.5"),
            ("train.epochs", "40"),
        ];
        let trained = bench.train(&format!("dropout-{drop}"), "dense", &settings)?;
        learning.lines.push(line(name, trained.curve("epoch", "val_loss"), colour, false));
        let opened = open(&trained.run)?;
        let splits = (opened.recipe.splits)(&opened.settings, bench.data)?;
        let asked = |rows: &Arc<dyn Dataset>, passes: u32| {
            ask(bench, opened.model.as_ref(), Arc::clone(rows), &splits.input, &opened.settings, passes)
        };
        let plain = asked(&splits.test, 0)?;
        let temperature = match &splits.val {
            Some(rows) => best_temperature(&asked(rows, 0)?),
            None => 1.0,
        };
        let mut cases = vec![
            (name.to_owned(), plain.worth(1.0)),
            (format!("{name}, temperature {temperature:.2}"), plain.worth(temperature)),
        ];
        if drop != "0" {
            cases.push((format!("{name}, mean of {PASSES} passes"), asked(&splits.test, PASSES)?.worth(1.0)));
        }
        for (place, (name, worth)) in cases.into_iter().enumerate() {
            words.push(format!(
                "{name:36} {:.2} % right, negative log-likelihood {:.4}, calibration error {:.2} %",
                100.0 * worth.accuracy,
                worth.nll,
                100.0 * worth.ece
            ));
            numbers.push(json!({ "case": name, "accuracy": worth.accuracy, "nll": worth.nll, "ece": worth.ece, "test_rows": plain.labels.len() }));
            chart.lines.push(line(name, worth.bins, 3 * colour + place, false));
        }
    }
    let picture = lines("Dropout, and how sure a net may be", &[learning, chart]);
    Ok(Findings { words, numbers: json!(numbers), pictures: vec![("dropout.svg", picture)] })
}

/// The answers to all rows: of the net as it is used, or the mean over `passes` with dropout.
fn ask(
    bench: &Bench,
    model: &dyn Layer,
    rows: Arc<dyn Dataset>,
    input: &Input,
    settings: &Settings,
    passes: u32,
) -> Result<Answers> {
    let key = RandomKey::new(settings.get_int("train.seed")? as u64).stream("mc dropout");
    let config = LoaderConfig {
        batch: 250,
        shuffle: false,
        workers: 1,
        transforms: input.prepare(&[]),
        ..LoaderConfig::default()
    };
    let mut loader = Loader::new(rows, config)?;
    let mut answers = Answers { probabilities: Vec::new(), labels: Vec::new() };
    for batch in loader.epoch() {
        let (x, labels) = tensors(&batch?)?;
        let softmax = |pass: &Pass| -> Tensor { model.forward(&x, pass).softmax(-1) };
        let mean = match passes {
            0 => softmax(&Pass::eval()),
            _ => {
                let all = (0..passes).map(|pass| softmax(&Pass::train(key.step(pass))));
                let sum = all.reduce(|sum, more| sum + more);
                sum.map_or_else(|| softmax(&Pass::eval()), |sum| sum / f64::from(passes))
            }
        };
        let classes = input.classes.len();
        let values = bench.cpu.run(&[&mean, &labels], &[])?;
        let probabilities: &[f32] = values[0].as_slice().unwrap_or_default();
        let wide = |row: &[f32]| row.iter().map(|&p| f64::from(p)).collect();
        answers.probabilities.extend(probabilities.chunks_exact(classes).map(wide));
        answers.labels.extend(values[1].as_slice::<i64>().unwrap_or_default().iter().map(|&label| label as usize));
    }
    Ok(answers)
}

impl Answers {
    /// What the answers are worth if their logits are divided by `temperature` first.
    fn worth(&self, temperature: f64) -> Worth {
        let (mut right, mut nll) = (0.0, 0.0);
        let mut calibration = Calibration::new(BINS);
        for (probabilities, &label) in self.probabilities.iter().zip(&self.labels) {
            let warmed = warmed(probabilities, temperature);
            let answer = (0..warmed.len()).max_by(|&a, &b| warmed[a].total_cmp(&warmed[b])).unwrap_or(0);
            right += f64::from(u8::from(answer == label));
            nll -= warmed.get(label).copied().unwrap_or(0.0).max(1e-30).ln();
            calibration.add(warmed[answer], answer == label);
        }
        let count = self.labels.len().max(1) as f64;
        let bins = calibration.bins().iter().filter(|bin| bin.count >= 5);
        let bins = bins.map(|bin| [bin.confidence / bin.count as f64, bin.right as f64 / bin.count as f64]).collect();
        Worth { accuracy: right / count, nll: nll / count, ece: calibration.error(), bins }
    }
}

/// Probabilities after their logits are divided by a temperature. (Logits are known up to a constant: their logarithms.)
fn warmed(probabilities: &[f64], temperature: f64) -> Vec<f64> {
    let logits: Vec<f64> = probabilities.iter().map(|p| p.max(1e-30).ln() / temperature).collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The temperature that makes the right classes likeliest, by golden section over its logarithm.
fn best_temperature(answers: &Answers) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-3.0, 3.0);
    let nll = |log: f64| answers.worth(log.exp()).nll;
    for _ in 0..40 {
        let (one, other) = (high - ratio * (high - low), low + ratio * (high - low));
        if nll(one) < nll(other) {
            high = other;
        } else {
            low = one;
        }
    }
    f64::exp((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_that_is_too_sure_is_cooled_down() {
        // Says 0.99 and is right 8 times of 10: the best temperature makes it say 0.8.
        let probabilities = vec![vec![0.99, 0.01]; 10];
        let answers = Answers { probabilities, labels: vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 1] };
        let temperature = best_temperature(&answers);
        assert!((warmed(&[0.99, 0.01], temperature)[0] - 0.8).abs() < 1e-6, "{temperature}");
        let (before, after) = (answers.worth(1.0), answers.worth(temperature));
        assert!(before.ece > 0.18 && after.ece < 1e-6 && after.nll < before.nll && before.accuracy == after.accuracy);
    }
}
