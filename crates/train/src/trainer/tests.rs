use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;

use cpu::simd::Simd;

use super::*;
use crate::branch::branch;
use crate::durable::fault::{self, Fault};
use crate::testing::Folder;
use crate::testing::job::{Kind, job, splits};

const STEPS: u64 = 21;

type Changes<'a> = &'a [(&'a str, &'a str)];

/// Trains at `path` until after step `cut` (0: to the end): begins the run, or resumes it.
fn train(kind: Kind, changes: Changes, path: &Path, cut: u64) -> Result<End> {
    train_with(&Cpu::new(1).unwrap(), &mut job(kind, changes), path, cut)
}

fn train_with(cpu: &Cpu, job: &mut Job, path: &Path, cut: u64) -> Result<End> {
    let stop = AtomicBool::new(false);
    let mut listen = |event: &Event| {
        if matches!(event, Event::Step(step) if step.step == cut) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    match RunDir::open(path) {
        Ok(run) => resume(cpu, job, run, "test", &stop, &mut listen),
        Err(_) => fit(cpu, job, Some(path), "test", &stop, &mut listen),
    }
}

/// The files of a run's newest checkpoint and its ledger, its figures of every step and epoch, and those of the end.
type Outcome = (BTreeMap<String, Vec<u8>>, String, Vec<(String, String)>);

/// What a run has come to.
fn outcome(path: &Path) -> Outcome {
    let newest = checkpoint::newest(&path.join("checkpoints")).unwrap();
    assert_eq!(newest.torn, []);
    let metrics = fs::read_to_string(path.join("log/metrics.jsonl")).unwrap();
    let mut files = newest.found.unwrap().files;
    for name in ["steps.bin", "rows.bin"] {
        files.insert(name.to_owned(), fs::read(path.join("log").join(name)).unwrap());
    }
    (files, metrics, RunDir::open(path).unwrap().record().figures.clone())
}

#[test]
fn a_run_cut_after_any_step_and_resumed_is_the_run_without_a_cut() {
    for kind in [Kind::Conv, Kind::Recurrent, Kind::Attention] {
        let folder = Folder::new();
        let whole = folder.path().join("whole");
        assert_eq!(train(kind, &[], &whole, 0).unwrap().step, STEPS);
        let wanted = outcome(&whole);
        for cut in 1..STEPS {
            let path = folder.path().join(format!("cut-{cut}"));
            let end = train(kind, &[], &path, cut).unwrap();
            assert_eq!((end.status, end.step, end.saved), (Status::Interrupted, cut, Some(cut)));
            // Neither workers nor threads nor the vector width nor the rows that are evaluated at once show.
            let changes = [("data.workers", "0"), ("eval.batch", "20")];
            let widths = Simd::available();
            let width = widths[cut as usize % widths.len()].level();
            train_with(&Cpu::with(2, width).unwrap(), &mut job(kind, &changes), &path, 0).unwrap();
            assert!(outcome(&path) == wanted, "{kind:?}, cut after step {cut}");
        }
        let path = folder.path().join("often");
        (1..=STEPS).for_each(|cut| drop(train(kind, &[], &path, cut).unwrap()));
        assert!(outcome(&path) == wanted, "cut after every step");
    }
}

#[test]
fn whatever_the_disk_refuses_the_run_can_be_resumed_to_the_same_bits() {
    let changes = [("checkpoint.every", "3"), ("train.epochs", "1")];
    let folder = Folder::new();
    let whole = folder.path().join("whole");
    train(Kind::Conv, &changes, &whole, 0).unwrap();
    let wanted = outcome(&whole);
    for fault in [Fault::Full, Fault::Death] {
        for after in 0.. {
            let path = folder.path().join(format!("{fault:?}-{after}"));
            fault::plan(after, fault);
            let first = train(Kind::Conv, &changes, &path, 0);
            let all_went_well = fault::clear();
            // A run that ended before the disk refused is not to be resumed.
            if RunDir::open(&path).is_ok_and(|run| run.record().status != "finished") || !path.exists() {
                train(Kind::Conv, &changes, &path, 0).unwrap();
            }
            assert!(outcome(&path) == wanted, "{fault:?} after {after} requests: {first:?}");
            fs::remove_dir_all(&path).unwrap();
            if all_went_well {
                assert!(after > 60, "all of it was tried: {after}");
                break;
            }
        }
    }
}

#[test]
fn training_goes_on_without_what_the_disk_refuses_if_it_is_told_to() {
    let changes = [("checkpoint.on_error", "skip"), ("checkpoint.every", "3"), ("train.epochs", "1")];
    let folder = Folder::new();
    train(Kind::Conv, &changes, &folder.path().join("whole"), 0).unwrap();
    let wanted = outcome(&folder.path().join("whole"));
    let mut notes = Vec::new();
    for after in 40..70 {
        let path = folder.path().join(format!("{after}"));
        let mut listen = |event: &Event| match event {
            Event::Start(_) => fault::plan(after, Fault::Full),
            Event::Note(note) => notes.push(note.clone()),
            _ => {}
        };
        let stop = AtomicBool::new(false);
        let cpu = Cpu::new(1).unwrap();
        fit(&cpu, &mut job(Kind::Conv, &changes), Some(&path), "test", &stop, &mut listen).unwrap();
        fault::clear();
        let found = checkpoint::newest(&path.join("checkpoints")).unwrap().found.unwrap();
        assert!(found.step < 7 || found.files.iter().all(|(name, bytes)| *bytes == wanted.0[name]));
    }
    assert!(notes.iter().any(|note| note.contains("goes on without this checkpoint")), "{notes:?}");
}

#[test]
fn a_torn_checkpoint_and_a_torn_log_are_said_and_made_again() {
    let folder = Folder::new();
    let (whole, path) = (folder.path().join("whole"), folder.path().join("torn"));
    train(Kind::Conv, &[], &whole, 0).unwrap();
    train(Kind::Conv, &[], &path, 10).unwrap();
    fs::write(path.join("checkpoints/step-000010/COMMIT"), "").unwrap();
    let log = path.join("log/metrics.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, &text[..text.len() - 20]).unwrap();
    let mut notes = Vec::new();
    let mut listen = |event: &Event| {
        if let Event::Note(note) = event {
            notes.push(note.clone());
        }
    };
    let (cpu, stop) = (Cpu::new(1).unwrap(), AtomicBool::new(false));
    let run = RunDir::open(&path).unwrap();
    resume(&cpu, &mut job(Kind::Conv, &[]), run, "test", &stop, &mut listen).unwrap();
    assert!(notes.len() == 1 && notes[0].contains("step-000010 is torn"), "{notes:?}");
    assert!(outcome(&path) == outcome(&whole));
    assert!(path.join("checkpoints/step-000010.torn-1").is_dir());
}

#[test]
fn an_extended_run_is_the_longer_run() {
    let folder = Folder::new();
    let (long, short) = (folder.path().join("long"), folder.path().join("short"));
    let constant = ("train.schedule", "constant");
    train(Kind::Conv, &[constant], &long, 0).unwrap();
    // Two whole epochs; then one that is cut in its middle.
    train(Kind::Conv, &[constant, ("train.epochs", "2")], &short, 0).unwrap();
    let error = train(Kind::Conv, &[constant, ("train.epochs", "2")], &short, 0).unwrap_err().to_string();
    assert!(error.contains("is finished, after step 14") && error.contains("--epochs +10"), "{error}");
    train(Kind::Conv, &[constant, ("train.max_steps", "17")], &short, 0).unwrap();
    train(Kind::Conv, &[constant], &short, 0).unwrap();
    let ((files, metrics, figures), wanted) = (outcome(&short), outcome(&long));
    assert!((&files["model.safetensors"], &figures) == (&wanted.0["model.safetensors"], &wanted.2));
    assert!(files["average.safetensors"] == wanted.0["average.safetensors"]);
    // The last epoch's figures are those of all its steps.
    assert_eq!(metrics.lines().last().unwrap(), wanted.1.lines().last().unwrap());
    let kept = fs::read_to_string(short.join("config-until-000014.toml")).unwrap();
    assert!(kept.contains("epochs = 2") && short.join("config-until-000017.toml").is_file());
    assert_eq!(RunDir::open(&short).unwrap().record().resumed.len(), 2);
}

#[test]
fn a_run_on_a_plateau_that_is_extended_by_epochs_is_the_longer_run() {
    let folder = Folder::new();
    let (long, short) = (folder.path().join("long"), folder.path().join("short"));
    train(Kind::Recurrent, &[], &long, 0).unwrap();
    train(Kind::Recurrent, &[("train.epochs", "2")], &short, 0).unwrap();
    train(Kind::Recurrent, &[], &short, 0).unwrap();
    let ((files, _, figures), (wanted, _, wanted_figures)) = (outcome(&short), outcome(&long));
    // All of it: weights, moments, state, ledger.
    assert!(files == wanted && figures == wanted_figures);
}

#[test]
fn an_extended_run_says_if_its_rates_follow_its_length() {
    let folder = Folder::new();
    let notes = |kind: Kind, changes: Changes| {
        let path = folder.path().join(format!("{kind:?}-{}", changes.len()));
        let mut notes = Vec::new();
        train(kind, &[&[("train.epochs", "2")], changes].concat(), &path, 0).unwrap();
        let mut listen = |event: &Event| {
            if let Event::Note(note) = event {
                notes.push(note.clone());
            }
        };
        let (cpu, stop, run) = (Cpu::new(1).unwrap(), AtomicBool::new(false), RunDir::open(&path).unwrap());
        resume(&cpu, &mut job(kind, changes), run, "test", &stop, &mut listen).unwrap();
        notes
    };
    for kind in [Kind::Conv, Kind::Attention] {
        let said = notes(kind, &[]);
        assert!(said.len() == 1 && said[0].starts_with("step 15 is made at learning rate "), "{kind:?}: {said:?}");
        assert!(said[0].contains("now reaches to step 21"), "{said:?}");
    }
    assert_eq!(notes(Kind::Recurrent, &[]), [""; 0]);
    assert_eq!(notes(Kind::Conv, &[("train.schedule", "constant")]), [""; 0]);
}

#[test]
fn a_branch_leaves_its_parent_alone_and_ends_with_the_same_bits() {
    let folder = Folder::new();
    let (whole, twin, other) = (folder.path().join("whole"), folder.path().join("twin"), folder.path().join("other"));
    train(Kind::Conv, &[("checkpoint.keep", "0")], &whole, 0).unwrap();
    let (wanted, run) = (outcome(&whole), RunDir::open(&whole).unwrap());
    let kept = ("checkpoint.keep", "0");
    branch(&mut job(Kind::Conv, &[kept]), &run, Some(7), &twin, "test").unwrap();
    train(Kind::Conv, &[kept], &twin, 0).unwrap();
    assert!(outcome(&twin) == wanted && outcome(&whole) == wanted);
    assert!(RunDir::open(&twin).unwrap().record().parent.ends_with("whole, step 7"));

    let changes = [kept, ("train.lr", "0.001")];
    branch(&mut job(Kind::Conv, &changes), &run, Some(7), &other, "test").unwrap();
    train(Kind::Conv, &changes, &other, 0).unwrap();
    let metrics = outcome(&other).1;
    assert!(metrics != wanted.1 && metrics.lines().take(8).eq(wanted.1.lines().take(8)));

    let error = branch(&mut job(Kind::Conv, &[kept]), &run, Some(8), &folder.path().join("x"), "test").unwrap_err();
    assert!(error.to_string().contains("there are 7, 14, 21"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_changed() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    train(Kind::Conv, &[], &path, 3).unwrap();
    let said = |job: &mut Job| train_with(&Cpu::new(1).unwrap(), job, &path, 0).unwrap_err().to_string();

    let error = said(&mut job(Kind::Conv, &[("train.lr", "0.5")]));
    assert!(error.contains("was begun with train.lr = 0.02, and not 0.5") && error.contains("--as NAME"), "{error}");
    let mut other_rows = job(Kind::Conv, &[]);
    other_rows.splits = splits(1);
    let error = said(&mut other_rows);
    assert!(error.contains("is not what") && error.contains("rows of train have other content"), "{error}");
    let mut other_step = job(Kind::Conv, &[]);
    other_step.loss = Box::new(|logits, labels| (logits.cross_entropy(labels) * 2.0).into());
    let error = said(&mut other_step);
    assert!(error.contains("was begun by another program: node"), "{error}");

    let log = Log::open(&path).unwrap();
    assert!(said(&mut job(Kind::Conv, &[])).contains("is being trained by another process"));
    drop(log);
    assert_eq!(train(Kind::Conv, &[], &path, 0).unwrap().step, STEPS);
}

#[test]
fn patience_ends_a_training_that_gets_no_better() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    // No rate, no change: the first epoch stays the best.
    let changes = [("train.lr", "0.0"), ("train.patience", "2"), ("train.epochs", "9"), ("checkpoint.keep", "1")];
    let changes = [&changes[..], &[("train.schedule", "constant"), ("train.average", "0")]].concat();
    let end = train(Kind::Recurrent, &changes, &path, 10).unwrap();
    assert_eq!((end.status, end.step), (Status::Interrupted, 10));
    let end = train(Kind::Recurrent, &changes, &path, 0).unwrap();
    assert_eq!((end.status, end.step), (Status::Finished, 21));
    let steps: Vec<u64> = checkpoint::list(&path.join("checkpoints")).unwrap().iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [7, 21], "the best and the last");
}
