use std::fs;
use std::sync::atomic::AtomicBool;

use nn::state::torch_name;
use tensor::{Op, Tensor, Update};

use super::*;
use crate::branch::branch_from;
use crate::job::Losses;
use crate::ledger::StepRecord;
use crate::testing::Folder;
use crate::testing::job::{Kind, job};
use crate::trainer::{fit, resume};

const STEPS: u64 = 21;

/// Trains a run to its end.
fn trained(kind: Kind, changes: &[(&str, &str)], path: &Path) {
    let (cpu, stop) = (Cpu::new(1).unwrap(), AtomicBool::new(false));
    let mut job = job(kind, changes);
    match RunDir::open(path) {
        Ok(run) => resume(&cpu, &mut job, run, "test", &stop, &mut |_| ()),
        Err(_) => fit(&cpu, &mut job, Some(path), "test", &stop, &mut |_| ()),
    }
    .unwrap();
}

/// Two threads, where it was trained with one.
fn open(kind: Kind, changes: &[(&str, &str)], path: &Path) -> Run {
    Run::on(Cpu::new(2).unwrap(), RunDir::open(path).unwrap(), job(kind, changes)).unwrap()
}

fn said<T>(outcome: Result<T>) -> String {
    outcome.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_step_in_any_order_comes_to_what_was_recorded() {
    for kind in [Kind::Conv, Kind::Recurrent, Kind::Attention] {
        let folder = Folder::new();
        let changes = [("ledger.hash_every", "1"), ("checkpoint.keep", "1"), ("checkpoint.every", "5")];
        trained(kind, &changes, &folder.path().join("run"));
        // Elsewhere, and never written to.
        let path = folder.path().join("moved");
        fs::rename(folder.path().join("run"), &path).unwrap();
        let mut run = open(kind, &changes, &path);
        let checked = run.check(1..=STEPS, &mut |_| ()).unwrap();
        assert_eq!((checked.from, checked.steps, checked.recorded, checked.hashes), (0, STEPS, STEPS, STEPS));
        assert_eq!(checked.differences, []);
        for step in [STEPS, 1, 14, 15, 2, 20, 8, 8, 7] {
            assert_eq!(run.check(step..=step, &mut |_| ()).unwrap().differences, [], "{kind:?}, step {step}");
            let at = run.at(step).unwrap();
            assert_eq!((at.step(), at.batch().len()), (step, 8));
            let recorded = *at.run().ledger().step(step).unwrap();
            assert_eq!((recorded.weight_norm.is_some(), recorded.hash.is_some()), (step % 3 == 0, true));
            let (weight_norm, update_norm) = (at.record().weight_norm, at.record().update_norm);
            assert_eq!(*at.record(), StepRecord { hash: None, weight_norm, update_norm, ..recorded });
        }
        assert_eq!(run.ledger().all_rows().count() as u64, STEPS);
        assert_eq!(run.ledger().times().count() as u64, STEPS);
    }
}

#[test]
fn a_run_has_the_same_bits_with_a_ledger_and_without_and_can_be_replayed_without_too() {
    let folder = Folder::new();
    for kind in [Kind::Conv, Kind::Recurrent, Kind::Attention] {
        let (with, without) =
            (folder.path().join(format!("{kind:?}")), folder.path().join(format!("{kind:?}-without")));
        trained(kind, &[], &with);
        trained(kind, &[("ledger.on", "false")], &without);
        let last = |path: &Path| {
            let mut files = checkpoint::of_step(&path.join("checkpoints"), STEPS).unwrap().files;
            files.remove("state.json").map(|state| (files, state))
        };
        assert!(last(&with) == last(&without), "{kind:?}");
        assert_eq!(
            fs::read(with.join("log/metrics.jsonl")).unwrap(),
            fs::read(without.join("log/metrics.jsonl")).unwrap()
        );
        assert!(Ledger::read(&without).unwrap().steps().is_empty());

        let (mut with, mut without) = (open(kind, &[], &with), open(kind, &[("ledger.on", "false")], &without));
        for step in [20, 3, 16] {
            let values = |run: &mut Run| run.at(step).unwrap().tensor("head/weight.next").unwrap();
            assert_eq!(values(&mut with), values(&mut without), "{kind:?}, step {step}");
        }
    }
}

#[test]
fn every_value_is_that_of_the_fused_step_and_of_the_unfused_one() {
    for kind in [Kind::Conv, Kind::Recurrent, Kind::Attention] {
        let folder = Folder::new();
        let path = folder.path().join("run");
        trained(kind, &[], &path);
        let mut run = open(kind, &[], &path);
        let at = run.at(12).unwrap();
        let mut names: Vec<String> = at.names().iter().map(|named| named.name.clone()).collect();
        names.extend(
            ["head/weight.grad", "head/weight.update", "head/weight.next", "head.grad", "input.grad"]
                .map(str::to_owned),
        );
        names.extend((0..at.nodes().len()).map(|number| format!("#{number}")));
        let alone: Vec<_> = names.iter().map(|name| at.tensor(name).unwrap()).collect();

        // Another trace of the same step: nothing of it was computed before.
        let mut other = open(kind, &[], &path);
        let at = other.at(12).unwrap();
        let nodes: Vec<_> = names.iter().map(|name| at.node(name).unwrap()).collect();
        let unfused = Cpu::new(1).unwrap().run_unfused(&nodes.iter().collect::<Vec<_>>(), &[]).unwrap();
        names.iter().zip(alone.iter().zip(&unfused)).for_each(|(name, (a, b))| assert!(same_bits(a, b), "{name}"));

        // The whole step with its updates, and these as outputs of its plan.
        let mut third = open(kind, &[], &path);
        let at = third.at(12).unwrap();
        let (nodes, updates): (Vec<_>, Vec<Update>) =
            (names.iter().map(|name| at.node(name).unwrap()).collect(), at.updates().to_vec());
        let whole = Cpu::new(1).unwrap().run(&nodes.iter().collect::<Vec<_>>(), &updates).unwrap();
        names.iter().zip(alone.iter().zip(&whole)).for_each(|(name, (a, b))| assert!(same_bits(a, b), "{name}"));
    }
}

fn same_bits(a: &Array, b: &Array) -> bool {
    crate::ledger::StateHash::of_array(a) == crate::ledger::StateHash::of_array(b)
}

#[test]
fn values_follow_from_each_other_and_meet_the_checkpoints() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    let changes = [("checkpoint.keep", "0"), ("checkpoint.every", "1")];
    trained(Kind::Conv, &changes, &path);
    let mut run = open(Kind::Conv, &changes, &path);
    let saved = |step: u64| {
        let files = checkpoint::of_step(&path.join("checkpoints"), step).unwrap().files;
        nn::safetensors::from_bytes(&files["model.safetensors"]).unwrap().tensors
    };
    for step in [2, 9, 21] {
        let at = run.at(step).unwrap();
        let (before, after) = (saved(step - 1), saved(step));
        for name in ["conv/weight", "bn/running_mean", "head/bias"] {
            assert_eq!(at.tensor(name).unwrap(), before[&torch_name(name)], "{name} before step {step}");
            assert_eq!(
                at.tensor(&format!("{name}.next")).unwrap(),
                after[&torch_name(name)],
                "{name} after step {step}"
            );
        }
        let number = |name: &str| at.tensor(name).unwrap().get_f64(0);
        let mean = (0..8).map(|row| at.tensor("losses").unwrap().get_f64(row)).sum::<f64>() / 8.0;
        assert!((mean - number("loss")).abs() < 1e-6);
        assert_eq!(Some(number("update_norm") as f32), at.record().update_norm);
        assert_eq!(at.tensor("input").unwrap().shape().to_vec(), [8, 1, 8, 8]);
        assert_eq!(at.tensor("bn/relu.grad").unwrap().shape().to_vec(), [8, 4, 8, 8]);
    }
}

#[test]
fn a_checkpoint_that_is_gone_comes_back_whole() {
    for kind in [Kind::Conv, Kind::Recurrent, Kind::Attention] {
        let folder = Folder::new();
        let (all, few) = (folder.path().join("all"), folder.path().join("few"));
        trained(kind, &[("checkpoint.keep", "0"), ("checkpoint.every", "1")], &all);
        let changes = [("checkpoint.keep", "1"), ("checkpoint.keep_best", "false")];
        trained(kind, &changes, &few);
        let mut run = open(kind, &changes, &few);
        for step in [17, 3, 14, 21] {
            let wanted = checkpoint::of_step(&all.join("checkpoints"), step).unwrap();
            assert!(run.checkpoint(step).unwrap().files == wanted.files, "{kind:?}, step {step}");
        }
        // A branch from there ends as the run did.
        let found = run.checkpoint(10).unwrap();
        let twin = folder.path().join("twin");
        branch_from(&mut job(kind, &changes), run.dir(), &found, &twin, "test").unwrap();
        trained(kind, &changes, &twin);
        let last = |path: &Path| checkpoint::of_step(&path.join("checkpoints"), STEPS).unwrap().files;
        assert!(last(&twin) == last(&few));
        assert_eq!(fs::read(twin.join("log/steps.bin")).unwrap(), fs::read(few.join("log/steps.bin")).unwrap());
        // It keeps what it began with, and answers for its own steps only.
        let mut run = open(kind, &changes, &twin);
        assert_eq!(run.check(11..=STEPS, &mut |_| ()).unwrap().differences, []);
        let error = said(run.at(10));
        assert!(
            error.contains("was made by the run that it branched from") && error.contains("few, step 10"),
            "{error}"
        );
    }
}

#[test]
fn an_extended_run_is_replayed_at_the_rates_that_it_had() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    trained(Kind::Conv, &[("train.epochs", "2")], &path);
    trained(Kind::Conv, &[], &path);
    let checked = open(Kind::Conv, &[], &path).check(1..=STEPS, &mut |_| ()).unwrap();
    assert_eq!((checked.steps, checked.differences), (STEPS, vec![]));
}

#[test]
fn what_does_not_exist_is_said_with_what_does() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    trained(Kind::Conv, &[], &path);
    let mut run = open(Kind::Conv, &[], &path);
    for step in [0, STEPS + 1] {
        let error = said(run.at(step));
        assert!(error.contains("made 21 steps") && error.contains("from 1 to 21"), "{error}");
    }
    assert!(said(run.check(RangeInclusive::new(5, 4), &mut |_| ())).contains("holds no step"));
    let at = run.at(4).unwrap();
    for (name, meant) in [
        ("conv/weigth", "did you mean conv/weight?"),
        ("conv/weigt.grad", "did you mean conv/weight.grad?"),
        ("#9999", "its nodes are #0 to #"),
        ("elephant", "there are input, target, conv"),
        ("target.grad", "has no gradient"),
        ("conv.update", "is not changed by the step"),
        ("conv/weight.momentum", "has no value"),
    ] {
        let error = said(at.tensor(name));
        assert!(error.contains(meant), "{name}: {error}");
    }
}

#[test]
fn a_ledger_that_says_something_else_is_found_out() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    trained(Kind::Conv, &[], &path);
    let (good, file) = (fs::read(path.join("log/steps.bin")).unwrap(), path.join("log/steps.bin"));
    // A torn frame: the steps before it are still proven, those behind it are not there.
    let mut torn = good.clone();
    torn[good.len() / 2] ^= 1;
    fs::write(&file, &torn).unwrap();
    let mut run = open(Kind::Conv, &[], &path);
    let whole = run.ledger().steps().len() as u64;
    assert!(whole > 5 && whole < STEPS && run.ledger().torn()[0].contains("steps.bin is torn at frame"));
    let checked = run.check(1..=STEPS, &mut |_| ()).unwrap();
    assert_eq!((checked.recorded, checked.differences), (whole, vec![]));
    assert!(run.at(STEPS).is_ok());

    // The ledger of another seed, with sound frames.
    trained(Kind::Conv, &[("train.seed", "6")], &folder.path().join("other"));
    fs::copy(folder.path().join("other/log/steps.bin"), &file).unwrap();
    let mut run = open(Kind::Conv, &[], &path);
    let differences = run.check(2..=2, &mut |_| ()).unwrap().differences;
    assert!(differences.iter().any(|d| d.what == "the loss") && differences.iter().any(|d| d.what.contains("hash")));
    assert!(said(run.at(2)).contains("was recorded as"));
}

#[test]
fn a_job_that_is_not_the_runs_is_refused() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    trained(Kind::Conv, &[], &path);
    assert!(said(Run::of(&path, job(Kind::Conv, &[("train.lr", "0.5")]))).contains("was begun with train.lr"));
    assert!(said(Run::of(&path, job(Kind::Recurrent, &[]))).contains("was begun with train.optimizer"));
    assert!(said(Run::of(folder.path().join("none"), job(Kind::Conv, &[]))).contains("does not exist"));
}

#[test]
fn a_number_is_explained_back_to_rows_and_parameters() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    trained(Kind::Conv, &[], &path);
    let mut run = open(Kind::Conv, &[], &path);
    let at = run.at(6).unwrap();
    // Picture 3, channel 1, row 5, column 2 of [8, 4, 8, 8].
    let index = ((3 * 4 + 1) * 8 + 5) * 8 + 2;
    let explained = at.explain("bn/relu", Some(index), 9).unwrap();
    assert_eq!((explained.op, explained.layer.as_deref(), explained.shape.len()), ("relu", Some("bn/relu"), 4));
    assert_eq!(explained.value, at.tensor("bn/relu").unwrap().get_f64(index));
    assert!(explained.formula.contains("max(x, 0)") && explained.at.contains("testing/job.rs:"), "{explained:?}");

    let mut all = vec![explained];
    let mut at_node = 0;
    while at_node < all.len() {
        let inputs = all[at_node].inputs.clone();
        all.extend(inputs);
        at_node += 1;
    }
    let named = |name: &str| all.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no {name}"));
    // What is one number is followed as one, through views too; a bias of the channel is the channel's.
    assert_eq!(named("bn").index, Some(index));
    assert_eq!(named("bn/bias").index, Some(1));
    assert_eq!(named("bn/bias").value, at.tensor("bn/bias").unwrap().get_f64(1));
    assert_eq!(named("bn/bias").source.as_deref(), Some("the variable bn/bias"));
    // A convolution is made of a whole row of its input.
    assert_eq!((named("conv").index, named("input").index, named("input").row), (Some(index), None, Some(3)));
    let row = at.batch().rows[3];
    assert!(named("input").source.as_deref().unwrap().starts_with(&format!("row {row} of the training rows")));

    let gradient = at.explain("conv/weight.grad", None, 1).unwrap();
    assert_eq!((gradient.name.as_str(), gradient.op, gradient.inputs.len()), ("conv/weight.grad", "conv_weight", 2));
    assert!(gradient.inputs.iter().all(|input| input.cut || input.source.is_some()), "{gradient:?}");
    assert!(said(at.explain("loss", Some(1), 2)).contains("has no number 1"));
    assert_eq!(at.explain("loss", None, 0).unwrap().value, f64::from(at.record().loss));
}

#[test]
fn runs_and_checkpoints_are_told_apart() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name);
    let smaller = [("train.lr", "0.01")];
    trained(Kind::Conv, &[], &path("a"));
    trained(Kind::Conv, &[("data.workers", "0")], &path("twin"));
    trained(Kind::Conv, &smaller, &path("slow"));
    let (mut a, mut twin) =
        (open(Kind::Conv, &[], &path("a")), open(Kind::Conv, &[("data.workers", "0")], &path("twin")));
    let found = diff::runs(&mut a, &mut twin).unwrap();
    assert_eq!((found.settings.len(), found.common, found.first.is_none()), (1, STEPS, true));
    assert!(
        found.curve.iter().all(|point| point.loss[0] == point.loss[1]) && found.curve.last().unwrap().step == STEPS
    );

    let mut slow = open(Kind::Conv, &smaller, &path("slow"));
    let found = diff::runs(&mut a, &mut slow).unwrap();
    assert_eq!((found.settings[0].name.as_str(), found.settings[0].b.as_deref()), ("train.lr", Some("0.01")));
    let first = found.first.unwrap();
    let tensor = first.tensor.unwrap();
    // The first step begins and goes the same way; what it leaves is another thing.
    assert_eq!((first.step, tensor.name.as_str(), tensor.differ), (1, "conv/weight.next", 36));
    assert!(first.recorded[0].starts_with("lr ") && first.others > 3);

    // A branch is its parent up to where it left it.
    let found = a.checkpoint(8).unwrap();
    let other = [("train.average", "0.5")];
    branch_from(&mut job(Kind::Conv, &other), a.dir(), &found, &path("branch"), "test").unwrap();
    trained(Kind::Conv, &other, &path("branch"));
    let first = diff::runs(&mut a, &mut open(Kind::Conv, &other, &path("branch"))).unwrap().first.unwrap();
    assert!(
        first.recorded[0].contains("hash")
            && first.tensor.as_ref().is_some_and(|tensor| tensor.name == "average/conv/weight.next"),
        "{first:?}"
    );

    let (tensors, single) = diff::checkpoints(&a.checkpoint(8).unwrap(), &a.checkpoint(8).unwrap()).unwrap();
    assert!(single.is_empty() && tensors.iter().all(|tensor| tensor.differ == 0 && tensor.distance == 0.0));
    let (tensors, _) = diff::checkpoints(&a.checkpoint(8).unwrap(), &a.checkpoint(20).unwrap()).unwrap();
    let weight = tensors.iter().find(|tensor| tensor.name == "head.weight").unwrap();
    assert!(weight.distance > 0.0 && weight.largest <= weight.distance && weight.count == 192);
}

#[test]
fn the_step_that_diverged_is_recorded_and_can_be_looked_at() {
    let folder = Folder::new();
    let path = folder.path().join("run");
    // The logarithm of a number that training pushes below 0.
    let planted = || {
        let mut job = job(Kind::Recurrent, &[("train.schedule", "constant"), ("ledger.norms_every", "1")]);
        let rows = |logits: &Tensor| (logits.max(1) * -1.0 + 0.9).log();
        job.loss = Box::new(move |logits: &Tensor, _: &Tensor| Losses::mean_of(rows(logits)));
        job
    };
    let (cpu, stop) = (Cpu::new(1).unwrap(), AtomicBool::new(false));
    let error = fit(&cpu, &mut planted(), Some(&path), "test", &stop, &mut |_| ()).unwrap_err();
    let Error::Diverged { step, .. } = error else { panic!("{error}") };
    let mut run = Run::of(&path, planted()).unwrap();
    assert!(step > 1 && run.last_step().unwrap() == step);
    assert_eq!(run.check(1..=step, &mut |_| ()).unwrap().differences, []);
    let at = run.at(step).unwrap();
    let nan = |name: &str| Stats::of(&at.tensor(name).unwrap()).nan;
    assert!(at.record().loss.is_nan() && nan("losses") > 0 && nan("logits") == 0);
    let bad = at.run().ledger().rows(step).unwrap().rows.iter().filter(|row| row.loss.is_nan()).count();
    assert_eq!(bad, nan("losses"));
}

#[test]
fn a_planned_step_is_the_one_that_training_runs_and_timing_it_leaves_the_run_as_it_was() {
    for kind in [Kind::Conv, Kind::Recurrent] {
        let folder = Folder::new();
        let path = folder.path().join("run");
        trained(kind, &[], &path);
        let mut run = open(kind, &[], &path);
        let planned = run.planned(1).unwrap();
        let trains = crate::step::plan(&Cpu::new(1).unwrap(), &mut job(kind, &[])).unwrap();
        assert_eq!(planned.plan.to_string(), trains.to_string(), "{kind:?}");
        // What is computed lies in a kernel, unless it is seen through a view or repeated where it is used.
        let held: Vec<usize> =
            planned.plan.steps.iter().flat_map(|step| &step.nodes).map(|&at| planned.places[at]).collect();
        for (at, node) in planned.nodes.iter().enumerate() {
            // (Parts that lie as they were cut are joined by looking at them.)
            let seen = node.op().is_view() || matches!(node.op(), Op::Concat { .. });
            let heavy = !seen && !node.op().is_elementwise() && !node.inputs().is_empty();
            assert!(!heavy || held.contains(&at), "{kind:?}: no kernel holds #{at} {node:?}");
        }
        for step in &planned.plan.steps {
            let told: Vec<&str> =
                step.nodes.iter().map(|&at| planned.nodes[planned.places[at]].op().page().name).collect();
            let ops: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
            assert!(told == ops || ops == ["copy"], "{told:?} {ops:?}");
        }
        // The same numbers as those of a step that is looked at.
        let at = run.at(8).unwrap();
        let names = |nodes: &[Tensor]| nodes.iter().map(|node| node.op().page().name).collect::<Vec<_>>();
        assert_eq!(names(at.nodes()), names(&planned.nodes[..planned.numbered]));
        assert_eq!(run.timed(8, 2).unwrap().len(), run.planned(8).unwrap().plan.steps.len());
        assert_eq!(run.check(8..=9, &mut |_| ()).unwrap().differences, [], "{kind:?}");
        assert_eq!(said(run.planned(STEPS + 1)), said(run.at(STEPS + 1)));
    }
}
