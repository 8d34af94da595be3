//! Any step of a run of any recipe is made again from its folder alone, and comes to what was recorded.

mod few;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cpu::Cpu;
use few::{few_digits, folder};
use glassbox_zoo as zoo;
use tensor::RandomKey;
use train::{Source, fit};

/// Recipes with whatever makes a step depend on more than its weights: augmentation, dropout, averages, running statistics.
const RUNS: [(&str, &[(&str, &str)]); 3] = [
    ("mlp", &[("train.schedule", "plateau")]),
    ("digits", &[("model.dropout", "0.2"), ("train.average", "0.98"), ("train.schedule", "one_cycle")]),
    ("fashion", &[("train.optimizer", "sgd"), ("train.lr", "0.01")]),
];

/// Trains a run of each recipe on a few digits, with a hash of every step and so many checkpoints kept, and moves it.
fn runs(folder: &Path, rows: usize, epochs: &str, keep: &str) -> Vec<PathBuf> {
    let data = folder.join("data");
    few_digits(&data, rows);
    let train = |(name, changes): &(&str, &[(&str, &str)])| {
        let recipe = zoo::find(name).unwrap();
        let mut settings = (recipe.settings)();
        let common = [
            ("train.epochs", epochs),
            ("train.batch", "8"),
            ("ledger.hash_every", "1"),
            ("ledger.norms_every", "1"),
            ("checkpoint.every", "7"),
            ("checkpoint.keep", keep),
        ];
        for (name, value) in common.iter().chain(*changes) {
            settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
        }
        let mut job = recipe.job(settings, Some(&data)).unwrap();
        let path = folder.join(format!("{name}-as-trained"));
        fit(&Cpu::new(1).unwrap(), &mut job, Some(&path), "test", &AtomicBool::new(false), &mut |_| ()).unwrap();
        let moved = folder.join(name);
        fs::rename(&path, &moved).unwrap();
        moved
    };
    RUNS.iter().map(train).collect()
}

/// Checks `count` random pairs of run and step: none may differ.
fn check_pairs(runs: &[PathBuf], count: u64) {
    let mut opened: Vec<zoo::Run> = runs.iter().map(|path| zoo::Run::open(path).unwrap()).collect();
    let key = RandomKey::new(11).stream("pairs");
    for pair in 0..count {
        let run = &mut opened[key.below(2 * pair, runs.len() as u64) as usize];
        let step = 1 + key.below(2 * pair + 1, run.last_step().unwrap());
        let checked = run.check(step..=step, &mut |_| ()).unwrap();
        assert!(checked.steps > 0 && checked.hashes == checked.steps, "{checked:?}");
        assert_eq!(checked.differences, [], "{}, step {step}", run.dir().path().display());
    }
}

#[test]
fn random_steps_of_several_recipes_come_to_what_was_recorded() {
    let folder = folder("replay");
    let runs = runs(&folder, 60, "3", "1");
    check_pairs(&runs, 40);
    let gradient = zoo::Run::open(&runs[1]).unwrap().at(9).unwrap().tensor("conv1/weight.grad").unwrap();
    assert_eq!(gradient.shape().to_vec(), [6, 1, 5, 5]);
    fs::remove_dir_all(folder).unwrap();
}

/// A minute: `cargo test --release -p glassbox-zoo --test replay -- --ignored`.
#[test]
#[ignore = "takes a minute"]
fn a_thousand_random_steps_come_to_what_was_recorded() {
    let folder = folder("thousand");
    check_pairs(&runs(&folder, 120, "8", "0"), 1000);
    fs::remove_dir_all(folder).unwrap();
}
