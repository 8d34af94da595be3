//! The recipes that predict numbers: what they learn, that a cut changes no bit of it, and what is refused.

mod cut;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cpu::Cpu;
use data::Dataset;
use glassbox_zoo as zoo;
use train::{Goal, Source, Status, evaluate, fit};
use zoo::tabular::linear_baseline;

/// A folder for one test.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("glassbox-table-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

/// Houses: the price bends with the rooms and jumps at the sea.
fn houses(dir: &Path, name: &str, rows: usize, from: usize) -> PathBuf {
    let path = dir.join(name);
    let mut text = "rooms,sea,age,price\n".to_owned();
    for row in from..from + rows {
        let (rooms, age) = ((row * 7 % 23) as f64 / 4.0, (row * 13 % 101) as f64);
        let sea = ["near", "far", "inland"][row % 3];
        let price = 100_000.0 + 9_000.0 * rooms * rooms - 300.0 * age + if sea == "near" { 60_000.0 } else { 0.0 };
        let age = if row % 50 == 7 { String::new() } else { age.to_string() };
        text.push_str(&format!("{rooms},{sea},{age},{price}\n"));
    }
    fs::write(&path, text).unwrap();
    path
}

type Changes<'a> = &'a [(&'a str, &'a str)];

fn job_of(recipe: &str, data: Option<&Path>, changes: Changes) -> train::Result<train::Job> {
    let recipe = zoo::find(recipe).unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in changes {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    recipe.job(settings, data)
}

fn job(data: &Path, changes: Changes) -> train::Result<train::Job> {
    job_of("table", Some(data), changes)
}

const GAPS: (&str, &str) = ("data.missing", "median");

#[test]
fn a_bent_price_is_learnt_better_than_a_line_can() {
    let folder = folder("bent");
    let data = houses(&folder, "houses.csv", 600, 0);
    for (loss, epochs) in [("squared", "40"), ("gaussian", "60")] {
        let path = folder.join(loss);
        let settings = [GAPS, ("train.loss", loss), ("train.epochs", epochs), ("model.hidden", "64")];
        let end = cut::train("table", &settings, Some(&data), &path, 0);
        let explained = end.figures["test_r2"].as_f64().unwrap();
        let opened = zoo::open(&path).unwrap();
        let splits = opened.splits(None).unwrap();
        let line = linear_baseline(splits.train.as_ref(), splits.test.as_ref()).unwrap().r_squared().unwrap();
        assert!(explained > 0.98 && explained > line + 0.01 && line > 0.8, "{loss}: {explained}, a line {line}");
        // What is measured again is the same, and so is another table that holds the same rows.
        let measured = |rows: std::sync::Arc<dyn Dataset>| {
            evaluate(&Cpu::new(1).unwrap(), opened.model.as_ref(), rows, &opened.input, 17).unwrap()
        };
        assert_eq!(measured(splits.test).errors.r_squared(), Some(explained));
        let other = houses(&folder, "other.csv", 90, 5000);
        assert!(measured(opened.splits(Some(&other)).unwrap().test).errors.r_squared().unwrap() > 0.97);
        if loss == "gaussian" {
            assert_eq!(opened.input.classes, ["price", "deviation of price"]);
            let row = opened.rows_of_table(&other).unwrap().get(0).unwrap();
            let said = train::predict_number(&Cpu::new(1).unwrap(), opened.model.as_ref(), row, &opened.input).unwrap();
            assert!(said.len() == 2 && said[1] > 0.0 && said[1] < 60_000.0, "{said:?}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_run_on_a_table_cut_after_any_step_ends_with_the_same_bits_and_is_replayed() {
    let folder = folder("cut");
    let data = houses(&folder, "houses.csv", 120, 0);
    let small: Changes = &[
        GAPS,
        ("train.epochs", "2"),
        ("train.batch", "16"),
        ("model.hidden", "8"),
        ("model.dropout", "0.2"),
        ("train.loss", "gaussian"),
        ("train.average", "0.9"),
    ];
    let outcome = |path: &Path, steps: u64| -> Vec<Vec<u8>> {
        let last = path.join(format!("checkpoints/step-{steps:06}"));
        let files = ["model.safetensors", "optim.safetensors", "state.json"].map(|name| last.join(name));
        files.iter().chain([&path.join("log/metrics.jsonl")]).map(|file| fs::read(file).unwrap()).collect()
    };
    let whole = folder.join("whole");
    let end = cut::train("table", small, Some(&data), &whole, 0);
    assert_eq!(end.status, Status::Finished);
    for cut in 1..end.step {
        let path = folder.join("part");
        cut::train("table", small, Some(&data), &path, cut);
        cut::train("table", small, Some(&data), &path, 0);
        assert!(outcome(&path, end.step) == outcome(&whole, end.step), "cut after step {cut}");
        fs::remove_dir_all(&path).unwrap();
    }
    let mut run = zoo::Run::open_on(Cpu::new(1).unwrap(), &whole, None).unwrap();
    let checked = run.check(1..=end.step, &mut |_| {}).unwrap();
    assert_eq!((checked.recorded, checked.differences), (end.step, Vec::new()));
    run.why(None).unwrap();
    // The model alone knows its columns.
    let alone = zoo::open_model(&whole.join(format!("checkpoints/step-{:06}/model.safetensors", end.step))).unwrap();
    assert_eq!(alone.unwrap().input, zoo::open(&whole).unwrap().input);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn scales_are_those_of_the_training_rows_alone() {
    let folder = folder("scales");
    let data = houses(&folder, "houses.csv", 300, 0);
    let splits = job(&data, &[GAPS]).unwrap().splits;
    let targets: Vec<f64> = (0..splits.train.len())
        .map(|row| match splits.train.target(row).unwrap() {
            data::Target::Values(values) => f64::from(values[0]),
            other => panic!("{other:?}"),
        })
        .collect();
    let mean = targets.iter().sum::<f64>() / targets.len() as f64;
    let Goal::Number { mean: found, std } = splits.input.goal else { panic!("no number") };
    assert!((f64::from(found) / mean - 1.0).abs() < 1e-6 && std > 0.0);
    let ages: f64 = (0..splits.train.len()).map(|row| f64::from(splits.train.get(row).unwrap().x[4])).sum::<f64>();
    assert!((f64::from(splits.input.mean[4]) / (ages / targets.len() as f64) - 1.0).abs() < 1e-6);
    // Words stay 0 and 1.
    assert_eq!((&splits.input.mean[1..4], &splits.input.std[1..4]), (&[0.0; 3][..], &[1.0; 3][..]));
    // A file of its own to test on takes no row away.
    let other = houses(&folder, "test.csv", 40, 900).display().to_string();
    let splits = job(&data, &[GAPS, ("data.test_file", &other), ("data.val", "0")]).unwrap().splits;
    assert_eq!((splits.train.len(), splits.val.is_none(), splits.test.len()), (300, true, 40));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn classes_are_learnt_from_a_table_and_what_cannot_be_used_is_named() {
    let folder = folder("classes");
    let data = houses(&folder, "houses.csv", 300, 0);
    let price = [("data.target", "sea"), ("data.missing", "skip"), ("train.epochs", "40")];
    let end = cut::train("table", &price, Some(&data), &folder.join("sea"), 0);
    // (Those inland and far from the sea cost the same: 2 of 3 can be told.)
    assert!(end.figures["test_accuracy"].as_f64().unwrap() > 0.45, "{:?}", end.figures);
    let said = |changes: Changes| job(&data, changes).err().map_or(String::new(), |error| error.to_string());
    assert!(said(&[]).contains("houses.csv:9: column 'age': the cell is empty"), "{}", said(&[]));
    assert!(said(&[]).contains("data.missing=median"));
    assert!(said(&[("data.target", "prize")]).contains("there is no column 'prize'"));
    assert!(said(&[("data.skip", "aeg")]).contains("did you mean age?"));
    assert!(said(&[GAPS, ("data.test", "0.8"), ("data.val", "0.2")]).contains("leave nothing to learn from"));
    assert!(said(&[("data.skip", "rooms,sea,age")]).contains("no column besides the target 'price'"));
    assert!(job(&folder, &[]).err().unwrap().to_string().contains("is a folder"));
    let skipped = job(&data, &[("data.missing", "skip")]).unwrap().splits;
    assert!(skipped.notes.iter().any(|note| note.contains("6 of 300 rows have gaps, and are left out")));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn marked_numbers_of_a_short_sequence_are_added() {
    let folder = folder("adding");
    let changes = [
        ("data.length", "8"),
        ("data.rows", "3200"),
        ("train.epochs", "10"),
        ("train.lr", "0.01"),
        ("model.hidden", "16"),
    ];
    let (cpu, stop) = (Cpu::new(2).unwrap(), AtomicBool::new(false));
    let mut job = job_of("adding", None, &changes).unwrap();
    let path = folder.join("run");
    let end = fit(&cpu, &mut job, Some(&path), "test", &stop, &mut |_| {}).unwrap();
    let (loss, rmse) = (end.figures["test_loss"].as_f64().unwrap(), end.figures["test_rmse"].as_f64().unwrap());
    assert!(loss < 0.01 && (loss - rmse * rmse).abs() < 1e-9 * loss.max(1.0), "{loss} {rmse}");
    let mut run = zoo::Run::open_on(Cpu::new(1).unwrap(), &path, None).unwrap();
    assert_eq!(run.check(40..=44, &mut |_| {}).unwrap().differences, Vec::new());
    assert!(job_of("adding", Some(&folder), &[]).err().unwrap().to_string().contains("reads none"));
    fs::remove_dir_all(folder).unwrap();
}
