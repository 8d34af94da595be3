//! `glassbox eval`: measures a run on its test rows, or on other data of the same classes.

use std::path::PathBuf;
use std::sync::Arc;

use glassbox::train::baseline::{Counted, baseline};
use glassbox::train::event::grouped;
use glassbox::train::metric::{Errors, Roc, Scores};
use glassbox::train::report::number;
use glassbox::train::{Error, Goal, evaluate, rows_hash};
use serde_json::json;
use zoo::tabular::linear_baseline;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `eval`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// Other data, laid out as for the training; of a table all rows are test rows [default: the data of the run]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is said of test rows that are not those of the run.
pub const OTHER_ROWS: &str =
    "the data is not what it was when the run was trained, so some of these rows may have been trained on";

/// Carries out `eval`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (mut opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    let splits = opened.splits(arguments.data.as_deref())?;
    if arguments.data.is_none() && rows_hash(splits.test.as_ref())? != opened.test_hash {
        if !arguments.json {
            say(format_args!("note: {OTHER_ROWS}"));
        }
        opened.notes.push(OTHER_ROWS.to_owned());
    }
    let batch = opened.settings.get_size("eval.batch")?;
    let scores = evaluate(&cpu, opened.model.as_ref(), Arc::clone(&splits.test), &opened.input, batch)?;
    let goal = opened.input.goal;
    let counted = if goal == Goal::Symbols { baseline(&splits) } else { None };
    // Of another table, no rows are there to fit it to.
    let linear = if goal.is_number() && arguments.data.is_none() {
        linear_baseline(splits.train.as_ref(), splits.test.as_ref()).ok()
    } else {
        None
    };
    if arguments.json {
        let mut object = scores.to_json("test_");
        object.insert("event".to_owned(), json!("end"));
        object.insert("run".to_owned(), json!(arguments.run.display().to_string()));
        object.insert("step".to_owned(), json!(opened.step));
        object.insert("classes".to_owned(), json!(opened.input.classes));
        match (counted, goal) {
            (Some(counted), _) => {
                object.insert("ngram_order".to_owned(), json!(counted.order));
                object.insert("ngram_losses".to_owned(), json!(counted.nats))
            }
            (None, Goal::Number { .. }) => object.insert(
                "linear".to_owned(),
                json!(linear.map(|of| json!({ "r2": of.r_squared(), "rmse": of.rmse(), "mae": of.mae() }))),
            ),
            (None, _) => {
                let areas: Vec<_> =
                    scores.against_rest.curves().iter().map(|curve| curve.as_ref().map(Roc::auc)).collect();
                object.insert("auc".to_owned(), json!(areas));
                object.insert("confusion".to_owned(), json!(scores.confusion.table()))
            }
        };
        object.insert("notes".to_owned(), json!(opened.notes));
        say(serde_json::Value::Object(object));
        return Ok(exit::OK);
    }
    match goal {
        Goal::Class => {}
        Goal::Symbols => {
            text_figures(arguments, opened.step, &scores, counted);
            return Ok(exit::OK);
        }
        Goal::Number { .. } => {
            number_figures(arguments, opened.step, &opened.input.classes[0], &scores, linear);
            return Ok(exit::OK);
        }
    }
    say(format_args!(
        "{} after step {}, on {} test rows",
        arguments.run.display(),
        opened.step,
        grouped(scores.loss.count())
    ));
    say(format_args!(
        "test accuracy {:.2} %  balanced {:.2} %  top {} {:.2} %  loss {:.4}\n",
        100.0 * scores.accuracy.value(),
        100.0 * scores.confusion.balanced_accuracy(),
        scores.top_k.k(),
        100.0 * scores.top_k.value(),
        scores.loss.value(),
    ));
    say("what each class (row) was taken for (column):");
    say(scores.confusion.to_text(&opened.input.classes));
    areas(&opened.input.classes, &scores);
    Ok(exit::OK)
}

/// How well each class is told from the rest. Of two classes, one says all.
fn areas(classes: &[String], scores: &Scores) {
    let curves = scores.against_rest.curves();
    let told: Vec<String> = classes
        .iter()
        .zip(&curves)
        .skip(usize::from(classes.len() == 2))
        .filter_map(|(class, curve)| {
            let curve = curve.as_ref()?;
            let (low, high) = curve.interval();
            Some(format!("{class:<14}  {:.4}  (95 %: {low:.4} to {high:.4})", curve.auc()))
        })
        .collect();
    if !told.is_empty() {
        say("area under the ROC curve, each class against the rest:");
        told.iter().for_each(say);
    }
}

/// The figures of a text, and what counting alone comes to on it.
fn text_figures(arguments: &Arguments, step: u64, scores: &Scores, counted: Option<Counted>) {
    let symbols = grouped(scores.loss.count());
    say(format_args!("{} after step {step}, on {symbols} test symbols, each asked for once", arguments.run.display()));
    say(format_args!(
        "{:.4} nats a symbol  {:.4} bits  perplexity {:.3}  right {:.2} %  top {} {:.2} %",
        scores.loss.value(),
        scores.bits(),
        scores.perplexity(),
        100.0 * scores.accuracy.value(),
        scores.top_k.k(),
        100.0 * scores.top_k.value(),
    ));
    let Some(counted) = counted else { return };
    say("\nn-grams counted on the training text (Witten and Bell), nats a symbol:");
    for (at, loss) in counted.nats.iter().enumerate() {
        let mark = if counted.order == at + 1 { "  the bar: the best on rows to watch by" } else { "" };
        say(format_args!("{:>4}  {loss:.4}{mark}", at + 1));
    }
}

/// The figures of a number, and what linear regression comes to on the same rows and columns.
fn number_figures(arguments: &Arguments, step: u64, name: &str, scores: &Scores, linear: Option<Errors>) {
    let rows = grouped(scores.errors.count());
    say(format_args!("{} after step {step}, {name} of {rows} test rows", arguments.run.display()));
    let line = |what: &str, errors: &Errors| {
        let explained = errors.r_squared().map_or("none: all are the same".to_owned(), |share| format!("{share:.4}"));
        say(format_args!("{what:18}  R^2 {explained}  RMSE {}  MAE {}", number(errors.rmse()), number(errors.mae())));
    };
    line("this model", &scores.errors);
    linear.iter().for_each(|errors| line("linear regression", errors));
}
