//! A fault is planted in a run, and `why` must name it; where there is none, it must say nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cpu::Cpu;
use data::{Dataset, InMemory, Targets, Values};
use nn::losses::{CrossEntropy, Reduction};
use nn::{Adam, Group, Optimiser, Relu, Schedule, Scope, Sequential, Sgd, Sigmoid, linear};
use tensor::{Array, RandomKey, Shape, Tensor};

use super::*;
use crate::config::Source;
use crate::error::Error;
use crate::job::{Job, Losses};
use crate::replay::Change;
use crate::run_dir::RunDir;
use crate::splits::{Goal, Input, Splits};
use crate::testing::Folder;
use crate::testing::job::{Kind as Which, settings};
use crate::trainer::fit;

const WIDTH: usize = 16;
const CLASSES: usize = 3;
const ROWS: usize = 240;
const BATCH: usize = 16;
const STEPS: u64 = 8 * (ROWS / BATCH) as u64;

/// What is wrong with a run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The label of a row.
    Label(usize),
    /// The numbers of a row are 10,000 times as large.
    Values(usize),
    /// The learning rate of the step behind so many is 100 times as high.
    Rate(u64),
    /// The loss takes the logarithm of a number that training pushes below 0.
    Log,
    /// A bias of -100 before a ReLU.
    Bias,
    /// The learning rate is far too high all the time.
    Fast,
    /// The learning rate is far too low.
    Slow,
    /// Many layers of sigmoids.
    Deep,
    /// Steps go up, not down.
    Up,
}

/// Two hidden layers on rows of noise with a bright number for each class.
fn planted(fault: Fault, optimizer: &str) -> Job {
    let mut settings = settings(Which::Conv);
    for (name, value) in [
        ("train.epochs", "8"),
        ("train.batch", "16"),
        ("train.optimizer", optimizer),
        ("train.schedule", "constant"),
        ("train.average", "0"),
        ("ledger.norms_every", "1"),
    ] {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let at = Scope::root(3);
    let model = if fault == Fault::Deep { deep(&at) } else { shallow(&at) };
    if fault == Fault::Bias {
        let bias = at.parameters().into_iter().find(|var| var.name() == "fc2/bias").unwrap();
        bias.set(Array::of(Shape::new(&[12]).unwrap(), vec![-100.0f32; 12])).unwrap();
    }
    let groups = vec![Group::new(at.trainable())];
    let (optimizer, lr): (Box<dyn Optimiser>, f64) = match optimizer {
        // (A label is only known to be wrong once the others are learnt well.)
        "sgd" => (Box::new(Sgd::new(groups, 0.9)), if matches!(fault, Fault::Label(_)) { 0.05 } else { 0.02 }),
        _ => (Box::new(Adam::w(groups)), 0.005),
    };
    let constant = |lr: f64| Schedule::Constant { lr };
    let schedule = match fault {
        Fault::Rate(step) => Schedule::Sequence {
            schedules: vec![constant(lr), constant(100.0 * lr), constant(lr)],
            milestones: vec![step - 1, step],
        },
        Fault::Fast => constant(3e3 * lr),
        Fault::Slow => constant(1e-7 * lr),
        Fault::Up => constant(-lr),
        _ => constant(lr),
    };
    let rows = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() };
    let loss: crate::job::Loss = match fault {
        Fault::Log => Box::new(move |logits: &Tensor, labels: &Tensor| {
            Losses::mean_of(rows.loss(logits, labels) + (logits.max(1) * -1.0 + 3.0).log() * 0.01)
        }),
        _ => Box::new(move |logits: &Tensor, labels: &Tensor| Losses::mean_of(rows.loss(logits, labels))),
    };
    let (splits, model) = (splits(fault), Box::new(model));
    Job {
        recipe: "planted".to_owned(),
        settings,
        splits,
        scope: at,
        model,
        loss,
        optimizer,
        schedule,
        average: None,
        begun: false,
    }
}

#[rustfmt::skip]
fn shallow(at: &Scope) -> Sequential {
    Sequential::new()
        .then(linear(at / "fc1", WIDTH, 12)).then(Relu) // [N, 12]
        .then(linear(at / "fc2", 12, 12)).then(Relu)    // [N, 12]
        .then(linear(at / "head", 12, CLASSES))         // logits
}

fn deep(at: &Scope) -> Sequential {
    let layer = |model: Sequential, n: usize| model.then(linear(at / format!("deep{n}"), 12, 12)).then(Sigmoid);
    let first = Sequential::new().then(linear(at / "first", WIDTH, 12)).then(Sigmoid);
    (0..10).fold(first, layer).then(linear(at / "last", 12, CLASSES))
}

fn splits(fault: Fault) -> Splits {
    let part = |name: &str, rows: usize, fault: Fault| -> Arc<dyn Dataset> {
        let noise = RandomKey::new(1).stream(name).permutation(rows * WIDTH);
        let mut values: Vec<f32> = noise.iter().map(|&n| n as f32 / (rows * WIDTH) as f32 - 0.5).collect();
        let mut labels: Vec<usize> = (0..rows).map(|row| row % CLASSES).collect();
        for (row, class) in labels.iter().enumerate() {
            values[row * WIDTH + class] += 1.5;
        }
        match fault {
            Fault::Label(row) => labels[row] = (labels[row] + 1) % CLASSES,
            Fault::Values(row) => values[row * WIDTH..(row + 1) * WIDTH].iter_mut().for_each(|x| *x *= -1e4),
            _ => {}
        }
        let names = (0..CLASSES).map(|class| format!("class {class}")).collect();
        Arc::new(InMemory::new(name, &[WIDTH], Values::Floats(values), Targets::Classes(labels), names).unwrap())
    };
    let classes = (0..CLASSES).map(|class| format!("class {class}")).collect();
    Splits {
        train: part("train", ROWS, fault),
        val: None,
        test: part("test", 30, Fault::None),
        input: Input {
            goal: Goal::Class,
            shape: vec![WIDTH],
            mean: vec![0.0],
            std: vec![1.0],
            classes,
            columns: Vec::new(),
            tokens: None,
        },
        augment: Vec::new(),
        source: None,
        files: Vec::new(),
        notes: Vec::new(),
    }
}

/// Trains a run; the step at which it diverged, if it did.
fn trained(fault: Fault, optimizer: &str, path: &Path) -> Option<u64> {
    let (cpu, stop) = (Cpu::new(1).unwrap(), AtomicBool::new(false));
    match fit(&cpu, &mut planted(fault, optimizer), Some(path), "test", &stop, &mut |_| ()) {
        Ok(_) => None,
        Err(Error::Diverged { step, .. }) => Some(step),
        Err(error) => panic!("{error}"),
    }
}

fn opened(fault: Fault, optimizer: &str, path: &Path) -> Run {
    Run::on(Cpu::new(1).unwrap(), RunDir::open(path).unwrap(), planted(fault, optimizer)).unwrap()
}

/// What is found in a run with a fault.
fn found(fault: Fault, optimizer: &str) -> (Why, Option<u64>) {
    let folder = Folder::new();
    let path = folder.path().join("run");
    let diverged = trained(fault, optimizer, &path);
    (opened(fault, optimizer, &path).why(None).unwrap(), diverged)
}

fn kinds(why: &Why) -> Vec<Kind> {
    why.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    for optimizer in ["adamw", "sgd"] {
        let (why, _) = found(Fault::None, optimizer);
        assert_eq!((why.findings, why.notes, why.steps), (vec![], vec![], STEPS), "{optimizer}");
    }
}

#[test]
fn a_mislabelled_row_is_named() {
    for optimizer in ["adamw", "sgd"] {
        let (why, _) = found(Fault::Label(77), optimizer);
        assert_eq!(kinds(&why), [Kind::MislabelledRow], "{optimizer}: {why:?}");
        let finding = &why.findings[0];
        let row = &finding.rows[0];
        assert_eq!((finding.rows.len(), row.row, row.label.as_deref()), (1, 77, Some("class 0")));
        // It looks like what it was before the label was changed.
        let (says, sure) = row.says.clone().unwrap();
        assert!(says == "class 2" && sure > 0.9, "{row:?}");
        assert_eq!(row.losses.len(), 8);
        assert!(finding.because.contains("row 77") && finding.because.contains("looks mislabelled"));
        assert!(matches!(&finding.what_if[0].change, Change::Without(places) if *places == [row.place.unwrap()]));
    }
}

#[test]
fn a_corrupt_row_is_named_with_the_first_step_that_it_spoilt() {
    for optimizer in ["adamw", "sgd"] {
        let folder = Folder::new();
        let path = folder.path().join("run");
        let diverged = trained(Fault::Values(77), optimizer, &path);
        let mut run = opened(Fault::Values(77), optimizer, &path);
        let why = run.why(None).unwrap();
        let first = run.ledger().all_rows().find(|fed| fed.rows.iter().any(|row| row.row == 77)).unwrap().step;
        let finding = &why.findings[0];
        assert_eq!((finding.kind, finding.step, finding.rows[0].row), (Kind::CorruptRow, first, 77), "{why:?}");
        assert!(finding.rows.len() == 1 && finding.rows[0].share.is_none_or(|share| share > 0.5), "{finding:?}");
        assert!(finding.rows[0].largest > 1e3 && finding.because.contains("looks corrupt"), "{finding:?}");
        let tested = &finding.what_if[0];
        assert!(tested.would.loss < tested.was.loss && tested.would.loss < 3.0, "{tested:?}");
        // The same if that step is asked about.
        let why = run.why(Some(first)).unwrap();
        assert_eq!((why.findings[0].kind, why.findings[0].rows[0].row), (Kind::CorruptRow, 77), "{diverged:?}");
    }
}

#[test]
fn a_jump_of_the_learning_rate_is_named() {
    for optimizer in ["adamw", "sgd"] {
        let (why, _) = found(Fault::Rate(60), optimizer);
        let finding = &why.findings[0];
        assert_eq!((finding.kind, finding.step), (Kind::RateJump, 60), "{why:?}");
        assert!(finding.followed.contains(&61), "{finding:?}");
        let rate = &finding.evidence[0];
        assert!((rate.value / rate.usual.unwrap() - 100.0).abs() < 1e-6);
        // With the usual rate the next loss is what it was before.
        let usual = &finding.what_if[0];
        assert!(
            matches!(usual.change, Change::Rate(rate) if (rate / finding.evidence[0].usual.unwrap() - 1.0).abs() < 1e-9)
        );
        assert!(usual.would.next < 0.5 * usual.was.next, "{usual:?}");
    }
}

#[test]
fn the_op_that_made_nan_is_named_with_its_line_and_its_rows() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    let step = trained(Fault::Log, "sgd", &path).unwrap();
    let mut run = opened(Fault::Log, "sgd", &path);
    for asked in [None, Some(step)] {
        let why = run.why(asked).unwrap();
        let finding = why.findings.iter().find(|finding| finding.kind == Kind::NotFinite).unwrap();
        let op = finding.op.as_ref().unwrap();
        assert_eq!((finding.step, op.name, op.layer.as_deref(), op.backward), (step, "log", None, false), "{why:?}");
        assert!(op.at.contains("why/tests.rs:"), "{op:?}");
        let element = &op.elements[0];
        assert!(element.value.is_nan() && element.inputs[0].unwrap() < 0.0 && element.in_f64.unwrap().is_nan());
        assert!(op.inputs[0].least < 0.0 && op.odd >= 1 && op.odd < BATCH, "{op:?}");
        // The rows are those whose losses the ledger holds as NaN.
        let fed = run.ledger().rows(step).unwrap().rows;
        let bad: Vec<u32> = fed.iter().filter(|row| row.loss.is_nan()).map(|row| row.row).take(4).collect();
        assert_eq!(finding.rows.iter().map(|row| row.row).collect::<Vec<_>>(), bad);
        assert!(finding.what_if[0].would.loss.is_finite(), "{finding:?}");
    }
}

#[test]
fn a_dead_layer_is_named() {
    let (why, _) = found(Fault::Bias, "sgd");
    let finding = &why.findings[0];
    assert_eq!((finding.kind, finding.layer.as_deref()), (Kind::DeadUnits, Some("fc2/relu")), "{why:?}");
    assert!(finding.because.starts_with("12 of the 12 units of fc2/relu are 0"), "{finding:?}");
    assert!(finding.evidence.iter().any(|one| one.what.contains("fc1/weight, fc2/weight")), "{finding:?}");
    assert!(kinds(&why).iter().all(|kind| [Kind::DeadUnits, Kind::Plateau].contains(kind)), "{why:?}");
}

#[test]
fn rates_that_are_too_high_or_too_low_are_named() {
    let (why, _) = found(Fault::Fast, "sgd");
    let finding = &why.findings[0];
    assert!(finding.kind == Kind::LossSpike && finding.step <= 5, "{why:?}");
    let tested = finding.what_if.last().unwrap();
    assert!(tested.would.next < tested.was.next, "{finding:?}");
    let (why, _) = found(Fault::Slow, "sgd");
    assert_eq!(kinds(&why), [Kind::Plateau], "{why:?}");
    assert!(why.findings[0].because.contains("too small"), "{why:?}");
}

#[test]
fn gradients_that_vanish_or_explode_are_named_with_their_layer() {
    let (why, _) = found(Fault::Deep, "sgd");
    let finding = &why.findings[0];
    assert_eq!((finding.kind, finding.layer.as_deref()), (Kind::VanishingGradient, Some("first")), "{why:?}");
    let (why, _) = found(Fault::Up, "sgd");
    let finding = why.findings.iter().find(|finding| finding.kind == Kind::ExplodingGradient);
    assert!(finding.is_some_and(|finding| finding.layer.is_some()), "{why:?}");
}

#[test]
fn a_step_that_was_not_made_is_refused() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    trained(Fault::None, "sgd", &path);
    let mut run = opened(Fault::None, "sgd", &path);
    assert!(run.why(Some(STEPS + 1)).unwrap_err().to_string().contains("made 120 steps"));
    assert_eq!(run.why(Some(7)).unwrap().findings, []);
    let left_out = run.what_if(7, &Change::Without((0..BATCH).collect()));
    assert!(left_out.unwrap_err().to_string().contains("no row of the batch would be left"));
    // What was tried leaves no trace.
    run.what_if(7, &Change::Rate(5.0)).unwrap();
    assert_eq!(run.check(1..=STEPS, &mut |_| ()).unwrap().differences, []);
}
