//! The question that residual networks answer (He et al. 2016, figures 1 and 6): plain nets get worse with depth on the very rows that
//! they learn from; with shortcuts the deep one is the better one. Four channels at first, not 16: a quarter of the published width.

use see::picture::{Chart, lines};
use serde_json::json;
use train::Result;

use super::{Bench, Experiment, Findings, line};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "degradation",
    about: "plain nets of 20 and 56 layers and a residual one of 56: is the deeper one better? Needs --data",
    make,
};

/// Name, net of the recipe `images`, and blocks of two layers in each of its three stages.
const NETS: [(&str, &str, &str); 3] =
    [("plain-20", "plain", "3"), ("plain-56", "plain", "9"), ("residual-56", "residual", "9")];

fn make(bench: &mut Bench) -> Result<Findings> {
    let mut charts = ["on the rows that are learnt", "on rows set aside"].map(|title| Chart {
        title: title.to_owned(),
        x: "steps".to_owned(),
        y: "error, per cent".to_owned(),
        ..Chart::default()
    });
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    for (colour, (name, net, blocks)) in NETS.into_iter().enumerate() {
        // The paper's, but for its length and the rate, which rises and falls once.
        let settings = [
            ("model.name", net),
            ("model.blocks", blocks),
            ("model.width", "4"),
            ("train.epochs", "10"),
            ("train.batch", "128"),
            ("train.optimizer", "sgd"),
            ("train.lr", "0.1"),
            ("train.weight_decay", "0.0001"),
            ("train.schedule", "triangle"),
            ("train.smoothing", "0"),
            ("train.balance", "false"),
        ];
        let trained = bench.train(name, "images", &settings)?;
        let figures = ["train_accuracy", "val_accuracy"];
        for (chart, figure) in charts.iter_mut().zip(figures) {
            let error = |[step, accuracy]: [f64; 2]| [step, 100.0 * (1.0 - accuracy)];
            let errors = trained.curve("epoch", figure).into_iter().map(error).collect();
            chart.lines.push(line(name, errors, colour, false));
        }
        let [learnt, aside] = figures.map(|figure| 1.0 - trained.last(figure));
        words.push(match &trained.diverged {
            Some(why) => format!("{name} diverged: {why}"),
            None => format!(
                "{name}: error {:.2} % on the rows that are learnt, {:.2} % on rows set aside",
                100.0 * learnt,
                100.0 * aside
            ),
        });
        numbers.push(json!({
            "net": name, "train_error": learnt, "val_error": aside, "diverged": trained.diverged,
        }));
    }
    let title = "Plain nets and a residual one, by depth";
    Ok(Findings { words, numbers: json!(numbers), pictures: vec![("degradation.svg", lines(title, &charts))] })
}
