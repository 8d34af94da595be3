//! A run of a recipe that was cut after any step and resumed is the run without a cut, bit for bit.

mod cut;
mod few;

use std::fs;
use std::path::Path;

use few::{few_digits, folder};

/// Augmentation, dropout, averages, a schedule, workers: whatever could be forgotten.
const CHANGES: [(&str, &str); 3] =
    [("model.dropout", "0.2"), ("train.average", "0.98"), ("train.schedule", "one_cycle")];

fn train(changes: &[(&str, &str)], data: Option<&Path>, path: &Path, cut: u64) {
    cut::train("digits", &[&CHANGES[..], changes].concat(), data, path, cut);
}

/// Weights, averages, moments and state at the end, and the figures of all steps and epochs.
fn outcome(path: &Path, steps: u64) -> Vec<Vec<u8>> {
    let last = path.join(format!("checkpoints/step-{steps:06}"));
    let files =
        ["model.safetensors", "average.safetensors", "optim.safetensors", "state.json"].map(|name| last.join(name));
    files.iter().chain([&path.join("log/metrics.jsonl")]).map(|file| fs::read(file).unwrap()).collect()
}

/// How many of the cuts end with other bits.
fn failed_cuts(changes: &[(&str, &str)], data: Option<&Path>, folder: &Path, steps: u64) -> Vec<u64> {
    let whole = folder.join("whole");
    train(changes, data, &whole, 0);
    let wanted = outcome(&whole, steps);
    let fails = |&cut: &u64| {
        let path = folder.join("cut");
        train(changes, data, &path, cut);
        train(changes, data, &path, 0);
        let differs = outcome(&path, steps) != wanted;
        fs::remove_dir_all(&path).unwrap();
        differs
    };
    (1..steps).filter(fails).collect()
}

#[test]
fn digits_cut_after_any_step_end_with_the_same_bits() {
    let folder = folder("few");
    few_digits(&folder.join("data"), 100);
    let changes = [("train.epochs", "3"), ("train.batch", "16")];
    assert_eq!(failed_cuts(&changes, Some(&folder.join("data")), &folder, 15), [0u64; 0]);
    fs::remove_dir_all(folder).unwrap();
}

/// Minutes: `cargo test --release -p glassbox-zoo --test resume -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn digits_of_200_steps_cut_after_each_of_them_end_with_the_same_bits() {
    let folder = folder("200");
    assert_eq!(failed_cuts(&[("train.max_steps", "200")], None, &folder, 200), [0u64; 0]);
    fs::remove_dir_all(folder).unwrap();
}
