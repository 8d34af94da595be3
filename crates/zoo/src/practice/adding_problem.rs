//! The adding problem over 200 steps: an LSTM learns it, a plain recurrent network does no better than who always says 1.

use see::picture::{Chart, lines};
use serde_json::json;
use train::{Result, RunDir};

use super::{Bench, Experiment, Findings, line, smooth};
use crate::adding::BAR;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "adding-problem",
    about: "two marked numbers of a sequence of 200 are added at its end: an LSTM beside a plain recurrent network",
    make,
};

/// Name of a run, and its cell.
const CELLS: [(&str, &str); 2] = [("LSTM", "lstm"), ("plain recurrent network", "rnn")];

fn make(bench: &mut Bench) -> Result<Findings> {
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    let chart = |title: &str| Chart {
        title: title.to_owned(),
        x: "steps".to_owned(),
        y: "mean squared error".to_owned(),
        log_y: true,
        ..Chart::default()
    };
    let mut charts = [chart("sequences learnt from, means of 20 steps"), chart("others")];
    let mut last = 1.0;
    for (colour, (name, cell)) in CELLS.into_iter().enumerate() {
        let trained = bench.train(cell, "adding", &[("model.cell", cell)])?;
        charts[0].lines.push(line(name, smooth(&trained.curve("step", "loss"), 20), colour, false));
        let watched = trained.curve("epoch", "val_loss");
        last = watched.last().map_or(last, |point| point[0].max(last));
        charts[1].lines.push(line(name, watched, colour, false));
        let figures = RunDir::open(&trained.run)?.record().figures.clone();
        let figure = |name: &str| figures.iter().find(|(own, _)| own == name).and_then(|(_, text)| text.parse().ok());
        let tested: f64 = figure("test_loss").unwrap_or(f64::NAN);
        words.push(match &trained.diverged {
            Some(why) => format!("{name}: diverged: {why}"),
            None => format!("{name}: mean squared error {tested:.5} on test rows (who always says 1: {BAR:.4})"),
        });
        numbers.push(json!({ "cell": cell, "test_mse": tested, "val_mse": trained.last("val_loss"), "bar": BAR }));
    }
    for chart in &mut charts {
        chart.lines.push(line("who always says 1", vec![[1.0, BAR], [last, BAR]], CELLS.len(), true));
    }
    let picture = lines("The adding problem", &charts);
    Ok(Findings { words, numbers: json!(numbers), pictures: vec![("adding-problem.svg", picture)] })
}
