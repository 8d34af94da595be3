//! Batch norm takes ten times the learning rate (Ioffe and Szegedy 2015): one net, with it and without, at a rate and at ten times that.

use see::picture::{Chart, lines};
use serde_json::json;
use train::Result;

use super::{Bench, Experiment, Findings, line, smooth};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "batch-norm",
    about: "a deep net with batch norm and without, at a learning rate and at ten times it",
    make,
};

/// The rate, and ten times it.
const RATES: [&str; 2] = ["0.01", "0.1"];

fn make(bench: &mut Bench) -> Result<Findings> {
    let mut charts = [chart("loss of training", true), chart("accuracy on validation rows", false)];
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    for (norm, normed) in [("false", "without"), ("true", "with batch norm")] {
        for (place, rate) in RATES.into_iter().enumerate() {
            let name = format!("{}-{rate}", if norm == "true" { "norm" } else { "plain" });
            let settings = [
                ("model.depth", "8"),
                ("model.hidden", "100"),
                ("model.init", "kaiming"),
                ("model.batch_norm", norm),
                ("train.optimizer", "sgd"),
                ("train.schedule", "constant"),
                ("train.lr", rate),
                ("train.epochs", "12"),
            ];
            let trained = bench.train(&name, "dense", &settings)?;
            let label = format!("{normed}, rate {rate}");
            let colour = usize::from(norm == "true");
            let losses = trained.curve("step", "loss");
            charts[0].lines.push(line(&label, smooth(&losses, losses.len() / 120), colour, place == 1));
            charts[1].lines.push(line(&label, trained.curve("epoch", "val_accuracy"), colour, place == 1));
            words.push(format!("{label}: validation accuracy {}", trained.said("val_accuracy")));
            numbers.push(json!({
                "batch_norm": norm == "true", "rate": rate, "val_accuracy": trained.last("val_accuracy"),
                "train_loss": trained.last("train_loss"), "diverged": trained.diverged.is_some(),
            }));
        }
    }
    let title = "Eight hidden layers, with batch norm and without";
    Ok(Findings { words, numbers: json!(numbers), pictures: vec![("batch-norm.svg", lines(title, &charts))] })
}

fn chart(title: &str, log_y: bool) -> Chart {
    Chart { title: title.to_owned(), x: "steps".to_owned(), log_y, ..Chart::default() }
}
