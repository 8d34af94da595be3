//! Sweeps: trials are ordinary runs, and what was stopped goes on.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::Folder;

const GRID: &str = "sweep digits --try train.lr=0.003,1e30 --try train.batch=32,64 --epochs 1 --set train.max_steps=4 --set data.val=0.02";

#[test]
fn a_grid_trains_every_combination_and_those_that_diverge_come_last() {
    let folder = Folder::new();
    let end = folder.run(&format!("{GRID} --out grid --json")).ok().end();
    let trials = end["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 4);
    let place = |at: usize| (trials[at]["tried"]["train.lr"].as_str().unwrap(), trials[at]["status"].as_str().unwrap());
    assert_eq!([place(0), place(1)], [("0.003", "finished"); 2]);
    assert_eq!([place(2), place(3)], [("1e30", "diverged"); 2]);
    let figure = |at: usize| trials[at]["figure"].as_f64();
    assert!(figure(0).unwrap() <= figure(1).unwrap() && figure(2).is_none());

    // A trial is what `train` makes of the same settings, bit for bit.
    let alone = "train digits --lr 0.003 --batch 64 --epochs 1 --set train.max_steps=4 --set data.val=0.02 --out alone";
    folder.run(alone).ok();
    let weights = |run: &str| fs::read(folder.join(run).join("checkpoints/step-000004/model.safetensors")).unwrap();
    assert_eq!(weights("grid/trial-01"), weights("alone"));

    let table = fs::read_to_string(folder.join("grid/table.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("trial,status,epoch,train.lr,train.batch,"), "{table}");
    assert!(rows.len() == 5 && rows[4].contains(",diverged,0,1e30,"), "{table}");
    assert!(!table.contains("test_"), "the test rows choose nothing: {table}");
    assert_eq!(fs::read_to_string(folder.join("grid/sweep.svg")).unwrap().matches("<circle").count(), 4);

    // All are done: there is nothing to go on with, and it says how they compare once more.
    let again = folder.run("resume grid").ok().out;
    assert!(again.contains("the best is trial ") && again.contains("glassbox eval grid/trial-0"), "{again}");
}

#[test]
#[cfg(unix)]
fn a_sweep_that_was_stopped_goes_on_to_the_same_table() {
    const RANDOM: &str =
        "sweep digits --try train.lr=1e-4..1e-1:log --random 4 --epochs 1 --set train.max_steps=40 --jobs 2 --json";
    let folder = Folder::new();
    folder.run(&format!("{RANDOM} --out whole")).ok();
    let words: Vec<&str> = RANDOM.split_whitespace().chain(["--out", "cut"]).collect();
    let mut child = folder.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.contains("\"event\":\"start\""), "{line}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    let end: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(end["status"], "interrupted");
    assert!(end["left"].as_u64().unwrap() >= 2, "{end}");

    folder.run("resume cut --json").ok();
    let table = |sweep: &str| fs::read_to_string(folder.join(sweep).join("table.csv")).unwrap();
    assert_eq!(table("cut"), table("whole"));
}

#[test]
fn what_makes_no_sweep_is_refused_with_what_to_do() {
    let folder = Folder::new();
    fs::create_dir(folder.join("there")).unwrap();
    for (line, expected) in [
        ("sweep digits --try train.rate=1,2", "there is no setting train.rate"),
        ("sweep digits --try train.lr=1e-3..1", "a grid needs to know how many values"),
        (
            "sweep digits --try train.lr=1e-3,1 --set data.val=0",
            "there are no rows that all trials could be compared by",
        ),
        ("sweep digits --try train.lr=1e-3,1 --by test_accuracy", "trials cannot be compared by test_accuracy"),
        ("sweep digits --try data.val=0.1,0.2", "data.val is 0 or is tried itself"),
        ("sweep digits --try train.lr=1e-3,1 --by val_acc", "trials have no figure val_acc"),
        ("sweep digits --try train.lr=1e-3,1 --out there", "there is there already"),
        ("sweep digit --try train.lr=1e-3,1", "did you mean digits?"),
    ] {
        let outcome = folder.run(line);
        assert_eq!(outcome.code, 2, "{line}: {outcome:?}");
        assert!(outcome.err.contains(expected), "{line}: {}", outcome.err);
    }
    assert!(!folder.join("sweeps").exists(), "nothing is left of what was refused");
    folder.run(&format!("{GRID} --out grid --json")).ok();
    let error = folder.run("resume grid --epochs +1").err;
    assert!(error.contains("grid is a sweep: it goes on as it was begun"), "{error}");
}
