//! A run of a recipe that was cut after any step and resumed is the run without a cut, bit for bit.

mod few;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cpu::Cpu;
use few::{few_digits, folder};
use glassbox_zoo as zoo;
use train::{Event, RunDir, Source, fit, resume};

/// Augmentation, dropout, averages, a schedule, workers: whatever could be forgotten.
const CHANGES: [(&str, &str); 3] =
    [("model.dropout", "0.2"), ("train.average", "0.98"), ("train.schedule", "one_cycle")];

/// Trains digits at `path` until after step `cut` (0: to the end): begins the run, or resumes it.
fn train(changes: &[(&str, &str)], data: Option<&Path>, path: &Path, cut: u64) {
    let (cpu, stop) = (Cpu::new(2).unwrap(), AtomicBool::new(false));
    let mut listen = |event: &Event| {
        if matches!(event, Event::Step(step) if step.step == cut) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    if let Ok(run) = RunDir::open(path) {
        let mut job = zoo::reopen(&run, data, |_| Ok(())).unwrap();
        resume(&cpu, &mut job, run, "test", &stop, &mut listen).unwrap();
        return;
    }
    let recipe = zoo::find("digits").unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in CHANGES.iter().chain(changes) {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let mut job = recipe.job(settings, data).unwrap();
    fit(&cpu, &mut job, Some(path), "test", &stop, &mut listen).unwrap();
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
