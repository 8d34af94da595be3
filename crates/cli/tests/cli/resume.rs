//! Going on with a run, extending it, branching from it, and what is refused.

use std::fs;

use crate::support::{Folder, SHORT};

#[test]
fn a_run_is_extended_and_its_old_settings_are_kept() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    let refused = folder.run("resume mine");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.err.contains("mine is finished, after step 6") && refused.err.contains("--epochs +10"),
        "{refused:?}"
    );

    let end = folder.run("resume mine --epochs +1 --set train.max_steps=9 --json").ok().end();
    assert_eq!((&end["status"], &end["step"]), (&"finished".into(), &9.into()));
    let config = fs::read_to_string(folder.join("mine/config.toml")).unwrap();
    assert!(config.contains("epochs = 2 ") && config.contains("# --epochs +1;"), "{config}");
    assert!(fs::read_to_string(folder.join("mine/config-until-000006.toml")).unwrap().contains("epochs = 1 "));
    let record = fs::read_to_string(folder.join("mine/run.toml")).unwrap();
    assert!(
        record.contains("[resumed]\n1 = \"from step 6 at ") && record.contains("by glassbox resume mine"),
        "{record}"
    );
    let steps = fs::read_to_string(folder.join("mine/log/metrics.jsonl")).unwrap();
    assert_eq!(steps.lines().filter(|line| line.contains("\"event\":\"step\"")).count(), 9);
}

#[test]
fn a_branch_goes_another_way_and_leaves_its_parent_alone() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out runs/mine --set checkpoint.every=2 --set checkpoint.keep=0")).ok();
    let before = fs::read(folder.join("runs/mine/run.toml")).unwrap();
    let out = folder.run("resume runs/mine --from 2 --as slow --set train.lr=0.0001").ok().out;
    assert!(out.contains("run runs/slow") && out.contains("going on after step 2"), "{out}");
    assert_eq!(fs::read(folder.join("runs/mine/run.toml")).unwrap(), before);
    let record = fs::read_to_string(folder.join("runs/slow/run.toml")).unwrap();
    assert!(record.contains("parent = \"runs/mine, step 2\""), "{record}");
    folder.run("resume runs/mine --from 4 --as twin --json").ok();
    // Of a step without a checkpoint too.
    folder.run("resume runs/mine --from 3 --as third --json").ok();
    let last = |run: &str| fs::read(folder.join(run).join("checkpoints/step-000006/model.safetensors")).unwrap();
    assert!(last("runs/twin") == last("runs/mine") && last("runs/slow") != last("runs/mine"));
    assert!(last("runs/third") == last("runs/mine"));

    let refused = |line: &str, word: &str| {
        let outcome = folder.run(line);
        assert!(outcome.code == 2 && outcome.err.contains(word), "{line}: {outcome:?}");
    };
    refused("resume runs/mine --from 7 --as x", "give a step from 1 to 6");
    refused("resume runs/mine --as twin", "twin is there already");
    refused("resume runs/mine --from 2", "--as");
    refused("resume runs/mine --set train.lr=1", "was begun with train.lr = 0.003, and not 1");
    refused("resume runs/mine --epochs many", "train.epochs cannot be \"many\"");
    refused("resume nowhere", "does not exist");
    refused("resume runs/mine --from 2 --as x --set train.optimizer=sgd", "was written with train.optimizer");
    assert!(!folder.join("runs/x").exists());
}

#[test]
fn a_run_is_not_resumed_on_data_that_changed() {
    let folder = Folder::new();
    folder.mnist("few", |n| (n * 4) as u8, |n| (n % 3) as u8);
    let line = "train mlp --data few --batch 16 --epochs 2 --set train.max_steps=4 --out mine --json";
    folder.run(line).ok();
    folder.mnist("few", |n| (n * 4) as u8, |n| ((n + n / 30) % 3) as u8);
    let outcome = folder.run("resume mine --set train.max_steps=6");
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(
        outcome.err.contains("train-labels-idx1-ubyte changed") && outcome.err.contains("restore it"),
        "{outcome:?}"
    );

    // The same data elsewhere will do.
    fs::remove_dir_all(folder.join("few")).unwrap();
    folder.mnist("moved", |n| (n * 4) as u8, |n| (n % 3) as u8);
    assert!(folder.run("resume mine --set train.max_steps=6").err.contains("--data DIR"));
    let end = folder.run("resume mine --set train.max_steps=6 --data moved --json").ok().end();
    assert_eq!((&end["step"], &end["checkpoint"]), (&6.into(), &6.into()));
    folder.run("eval mine --json").ok();
    folder.run("resume mine --epochs +1 --set train.max_steps=7 --json").ok();
}

#[test]
fn averaged_weights_are_what_is_measured_and_used() {
    let folder = Folder::new();
    let end = folder.run(&format!("{SHORT} --out mine --set train.average=0.9")).ok().end();
    assert!(folder.join("mine/checkpoints/step-000006/average.safetensors").is_file());
    let eval = folder.run("eval mine --json").ok().end();
    assert_eq!((&eval["test_loss"], &eval["test_accuracy"]), (&end["test_loss"], &end["test_accuracy"]));
    let plain = folder.run(&format!("{SHORT} --out plain")).ok().end();
    assert_ne!(plain["test_loss"], end["test_loss"]);
    let last = |run: &str| fs::read(folder.join(run).join("checkpoints/step-000006/model.safetensors")).unwrap();
    assert!(last("plain") == last("mine"), "averages change no step");
}
