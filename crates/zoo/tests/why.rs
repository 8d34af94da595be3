//! `why` on runs of recipes: it says nothing of a healthy one, and names what was planted in the data of another.

mod few;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cpu::Cpu;
use data::{read_idx, write_idx};
use few::{few_digits, folder};
use glassbox_zoo as zoo;
use train::why::Kind;
use train::{Source, fit};

const ROWS: usize = 300;

/// Trains a recipe, and moves the run to where it was not trained.
fn trained(folder: &Path, name: &str, data: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let recipe = zoo::find(name).unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in [("train.epochs", "8"), ("train.batch", "16")].iter().chain(changes) {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let mut job = recipe.job(settings, Some(data)).unwrap();
    let path = folder.join("as-trained");
    fit(&Cpu::new(1).unwrap(), &mut job, Some(&path), "test", &AtomicBool::new(false), &mut |_| ()).unwrap();
    let moved = folder.join(name);
    fs::rename(&path, &moved).unwrap();
    moved
}

#[test]
fn healthy_runs_are_unsuspicious() {
    let folder = folder("why-healthy");
    let data = folder.join("data");
    few_digits(&data, ROWS);
    for (name, changes) in [("mlp", &[][..]), ("digits", &[("model.dropout", "0.2")])] {
        let why = zoo::Run::open(trained(&folder, name, &data, changes)).unwrap().why(None).unwrap();
        assert_eq!((why.findings, why.notes), (vec![], vec![]), "{name}");
        assert!(why.steps > 100 && why.replayed.len() <= 3, "{name}: {:?}", why.replayed);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn digits_with_another_label_are_named() {
    let folder = folder("why-label");
    let data = folder.join("data");
    few_digits(&data, 1200);
    let file = data.join("train-labels-idx1-ubyte");
    let mut labels = read_idx(&file).unwrap();
    let wrong: Vec<usize> = (0..16).map(|n| 40 + 61 * n).collect();
    for &row in &wrong {
        labels.values[row] = (labels.values[row] + 5) % 10;
    }
    fs::write(&file, write_idx(&labels).unwrap()).unwrap();
    for name in ["mlp", "digits"] {
        let why = zoo::Run::open(trained(&folder, name, &data, &[])).unwrap().why(None).unwrap();
        let kinds: Vec<Kind> = why.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::MislabelledRow], "{name}: {why:?}");
        let rows = &why.findings[0].rows;
        for row in rows {
            assert!(wrong.iter().any(|wrong| row.id.ends_with(&format!("row {wrong}"))), "{name}: {row:?}");
            assert!(row.says.as_ref().is_none_or(|(says, _)| Some(says) != row.label.as_ref()), "{name}: {row:?}");
        }
        assert!(rows.len() > 1, "{name}: {rows:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}
