//! Under- and overfitting: nets from one hidden unit to hundreds on a few hundred digits; then what keeps the largest from learning
//! its rows by heart.

use see::picture::{Chart, lines};
use serde_json::json;
use train::Result;

use super::{Bench, Experiment, Findings, line};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "fitting",
    about: "under- and overfitting: error on learned and on other rows against the size of the net, and three remedies",
    make,
};

const WIDTHS: [&str; 7] = ["1", "2", "4", "8", "32", "128", "512"];

/// What is common to all runs: few rows, many epochs, nothing that hinders.
const COMMON: [(&str, &str); 6] = [
    ("data.val", "0.9"),
    ("data.shift", "0"),
    ("model.depth", "1"),
    ("train.batch", "32"),
    ("train.epochs", "60"),
    ("train.optimizer", "adamw"),
];

/// What keeps the largest net from learning by heart.
const REMEDIES: [(&str, (&str, &str)); 3] = [
    ("weight decay 0.3", ("train.weight_decay", "0.3")),
    ("dropout 0.5", ("model.dropout", "0.5")),
    ("pictures moved by up to 2 pixels", ("data.shift", "2")),
];

fn make(bench: &mut Bench) -> Result<Findings> {
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    let (mut learned, mut others) = (Vec::new(), Vec::new());
    let mut over_time =
        Chart { title: "loss over the training".to_owned(), x: "steps".to_owned(), log_y: true, ..Chart::default() };
    for width in WIDTHS {
        let settings = [COMMON.as_slice(), &[("model.hidden", width)]].concat();
        let trained = bench.train(&format!("width-{width}"), "dense", &settings)?;
        let units: f64 = width.parse().unwrap_or(f64::NAN);
        let [own, other] = ["train_accuracy", "val_accuracy"].map(|figure| 1.0 - trained.last(figure));
        learned.push([units, 100.0 * own]);
        others.push([units, 100.0 * other]);
        words.push(format!(
            "{width:>4} hidden units: {:.1} % wrong of the rows learned, {:.1} % of others",
            100.0 * own,
            100.0 * other
        ));
        numbers.push(
            json!({ "hidden": units, "train_error": own, "val_error": other, "val_loss": trained.last("val_loss") }),
        );
        if let Some(colour) = ["2", "512"].iter().position(|chosen| *chosen == width) {
            over_time.lines.push(line(
                format!("{width} units, rows learned"),
                trained.curve("epoch", "train_loss"),
                colour,
                false,
            ));
            over_time.lines.push(line(
                format!("{width} units, other rows"),
                trained.curve("epoch", "val_loss"),
                colour,
                true,
            ));
        }
    }
    let mut remedies = Chart {
        title: "the largest net, and what helps".to_owned(),
        x: "steps".to_owned(),
        y: "loss on other rows".to_owned(),
        log_y: true,
        ..Chart::default()
    };
    let largest = WIDTHS[WIDTHS.len() - 1];
    let plain = bench.train(
        &format!("width-{largest}"),
        "dense",
        &[COMMON.as_slice(), &[("model.hidden", largest)]].concat(),
    )?;
    remedies.lines.push(line("nothing", plain.curve("epoch", "val_loss"), 0, false));
    for (place, (name, remedy)) in REMEDIES.into_iter().enumerate() {
        let settings = [COMMON.as_slice(), &[("model.hidden", largest), remedy]].concat();
        let trained = bench.train(&format!("remedy-{}", place + 1), "dense", &settings)?;
        let error = 1.0 - trained.last("val_accuracy");
        words.push(format!(
            "{largest} units with {name}: {:.1} % of other rows wrong, loss {:.3} (without: {:.3})",
            100.0 * error,
            trained.last("val_loss"),
            plain.last("val_loss")
        ));
        numbers.push(
            json!({ "hidden": largest, "remedy": name, "val_error": error, "val_loss": trained.last("val_loss") }),
        );
        remedies.lines.push(line(name, trained.curve("epoch", "val_loss"), place + 1, false));
    }
    let sizes = Chart {
        title: "error against size".to_owned(),
        x: "hidden units".to_owned(),
        y: "wrong, %".to_owned(),
        log_x: true,
        lines: vec![line("rows learned", learned, 0, false), line("other rows", others, 1, false)],
        ..Chart::default()
    };
    let picture = lines("Underfitting and overfitting", &[sizes, over_time, remedies]);
    Ok(Findings { words, numbers: json!(numbers), pictures: vec![("fitting.svg", picture)] })
}
