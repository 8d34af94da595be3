//! The past of a run: made again, looked at, compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{Folder, SHORT};

/// All files below a folder, with their bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

#[test]
fn any_step_of_a_run_that_was_moved_is_made_again_and_nothing_in_it_changes() {
    let folder = Folder::new();
    let end =
        folder.run(&format!("{SHORT} --out mine --set ledger.hash_every=2 --set ledger.norms_every=1")).ok().end();
    assert!(end["ledger_share"].as_f64().is_some_and(|share| share > 0.0), "{end}");
    fs::rename(folder.join("mine"), folder.join("moved")).unwrap();
    let before = files(&folder.join("moved"));

    let out = folder.run("replay moved --step 3..4 --threads 1").ok().out;
    assert_eq!(out.lines().count(), 4, "{out}");
    assert!(out.contains("|dw|") && out.contains("4 steps made again from the seed"), "{out}");
    assert!(out.contains("all figures of 4 and all 2 hashes are those that were recorded, bit for bit"), "{out}");
    let objects = folder.run("replay moved --all --check --json").ok().objects();
    assert_eq!((objects.len(), &objects[0]["status"], &objects[0]["hashes"]), (1, &"same".into(), &3.into()));
    for line in ["show moved --step 6 fc1/relu", "show moved --step 1", "diff moved@2 moved", "eval moved --json"] {
        folder.run(line).ok();
    }
    assert!(files(&folder.join("moved")) == before);

    for (line, words) in [
        ("replay moved --step 7", "made 6 steps, and none is step 7"),
        ("replay moved --step 0", "give a step from 1 to 6"),
        ("replay moved --step x", "is no step"),
        ("replay moved --step 4..2", "holds no step"),
        ("replay moved", "--step"),
        ("replay nowhere --all", "does not exist"),
    ] {
        let outcome = folder.run(line);
        assert!(outcome.code == 2 && outcome.err.contains(words), "{line}: {outcome:?}");
        assert_eq!(outcome.out, "", "{line}");
    }
}

#[test]
fn a_changed_ledger_is_found_out() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    folder.run(&format!("{SHORT} --out other --seed 5")).ok();
    let file = folder.join("mine/log/steps.bin");
    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..good.len() - 3]).unwrap();
    let out = folder.run("replay mine --all --check").ok().out;
    assert!(out.contains("steps.bin is torn at frame 6") && out.contains("all figures of 5"), "{out}");
    fs::copy(folder.join("other/log/steps.bin"), &file).unwrap();
    let outcome = folder.run("replay mine --step 2 --check");
    assert_eq!(outcome.code, 6, "{outcome:?}");
    assert!(outcome.out.contains("step 2: the loss was recorded as "), "{outcome:?}");
    assert_eq!(folder.run("show mine --step 2 loss").code, 6);
    fs::write(&file, &good).unwrap();
    folder.run("show mine --step 2 loss").ok();
}

#[test]
fn values_are_shown_as_figures_numbers_and_pictures_and_explained() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    let names = folder.run("show mine --step 5").ok().out;
    for name in ["input ", "conv1/relu ", "losses ", "fc3/weight ", "exp_avg/fc3/weight ", "[32, 6, 28, 28]"] {
        assert!(names.contains(name), "{name}: {names}");
    }
    let listed = folder.run("show mine --step 5 --json").ok().end();
    assert_eq!(listed["values"][0]["name"], "input");

    let stats = folder.run("show mine --step 5 conv1/relu").ok().out;
    assert!(stats.starts_with("conv1/relu at step 5: f32 [32, 6, 28, 28]\n  min 0  max ") && stats.contains("zeros "));
    let bias = folder.run("show mine --step 5 fc3/bias --grad --values").ok().out;
    let numbers: Vec<f32> = bias.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(numbers.len() == 10 && numbers.iter().sum::<f32>().abs() < 1e-5, "softmax gradients add up to 0: {bias}");
    let object = folder.run("show mine --step 5 fc3/bias.grad --values --json").ok().end();
    assert_eq!((object["values"].as_array().unwrap().len(), &object["nan"]), (10, &0.into()));

    for (name, width) in [("input", 466), ("conv1/weight", 29), ("fc3/weight", 336)] {
        folder.run(&format!("show mine --step 5 {name} --png picture.png")).ok();
        let image = glassbox::data::read_picture(&folder.join("picture.png"), 1 << 22).unwrap();
        assert_eq!(image.width, width, "{name}");
    }

    let out = folder.run("show mine --step 5 conv1/relu --explain 7,1,5,5").ok().out;
    for words in
        ["conv1/relu: relu [32, 6, 28, 28], number ", "max(x, 0)", "lenet.rs:", "the variable conv1/bias", "row 7, "]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    let object = folder.run("show mine --step 5 loss --explain --depth 2 --json").ok().end();
    assert!(object["explained"]["inputs"][0]["inputs"].is_array(), "{object}");

    for (line, words) in [
        ("show mine --step 5 conv1/rel", "did you mean conv1/relu?"),
        ("show mine --step 5 '#9999'", "has no value"),
        ("show mine --step 5 #9999", "its nodes are #0 to #"),
        ("show mine --step 9 loss", "made 6 steps"),
        ("show mine loss", "--step"),
        ("show mine --step 5 conv1 --explain 99,0,0,0", "is no place in conv1 [32, 6, 28, 28]"),
        ("show mine --step 5 target --grad", "has no gradient"),
    ] {
        let outcome = folder.run(line);
        assert!(outcome.code == 2 && outcome.err.contains(words), "{line}: {outcome:?}");
    }
}

#[test]
fn runs_are_compared_down_to_the_first_value_that_differs() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out a")).ok();
    folder.run(&format!("{SHORT} --out twin --threads 1")).ok();
    folder.run(&format!("{SHORT} --out slow --lr 0.001")).ok();
    let same = folder.run("diff a twin").ok().out;
    assert!(
        same.contains("all settings are the same") && same.contains("all 6 steps that both ledgers hold are the same")
    );
    let out = folder.run("diff a slow").ok().out;
    assert!(out.contains("train.lr  0.003  0.001") && out.contains("the first step that differs is 1: lr "), "{out}");
    assert!(out.contains("the first value of it that differs is conv1/weight.next [6, 1, 5, 5]"), "{out}");
    let object = folder.run("diff a slow --json").ok().end();
    assert_eq!((&object["first"]["step"], &object["settings"][0]["name"]), (&1.into(), &"train.lr".into()));

    let moved = folder.run("diff a@2 a@6").ok().out;
    assert!(moved.contains("weights of a@2 (step 2) and a@6 (step 6)") && moved.contains("conv1.weight"), "{moved}");
    let object = folder.run("diff a@6 twin@6 --json").ok().end();
    assert!(object["tensors"].as_array().unwrap().iter().all(|tensor| tensor["differ"] == 0), "{object}");
    assert_eq!(folder.run("diff a@x a").code, 2);
    assert_eq!(folder.run("diff a nothing").code, 2);
}
