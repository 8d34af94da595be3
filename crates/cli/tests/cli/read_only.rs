//! A run that was moved to where nobody can write: everything but training works.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::{Folder, Outcome, SHORT};

/// A user without rights.
const NOBODY: u32 = 65_534;

/// Takes the right to write from all that lies in a folder, or gives it back.
fn set_writable(dir: &Path, writable: bool) {
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if writable {
        mode(dir, 0o755);
    }
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            set_writable(&entry, writable);
        } else {
            mode(&entry, if writable { 0o644 } else { 0o444 });
        }
    }
    if !writable {
        mode(dir, 0o555);
    }
}

/// The binary as it is run by somebody who may not write into folders that are closed to all: as nobody, if we are root.
fn run(folder: &Folder, line: &str) -> Outcome {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = folder.command(&words);
    if is_root(folder) {
        // The binary may lie where only root looks.
        command = std::process::Command::new(folder.join("bin/glassbox"));
        command.args(&words).current_dir(folder.path()).env_clear().uid(NOBODY).gid(NOBODY);
    }
    Outcome::of(&mut command)
}

fn is_root(folder: &Folder) -> bool {
    fs::metadata(folder.path()).unwrap().uid() == 0
}

/// A folder in which nobody may write: only `out` is open, and `closed` holds the moved run and its data.
fn closed() -> Folder {
    let folder = Folder::new();
    folder.mnist("few", |n| (n * 4) as u8, |n| (n % 3) as u8);
    let line = "train digits --data few --epochs 2 --batch 16 --set checkpoint.every=2 --set ledger.hash_every=2";
    folder.run(&format!("{line} --out mine --json")).ok();
    folder.run(&format!("{line} --out other --seed 3 --json")).ok();
    folder.run("data few --manifest few.json").ok();
    for name in ["closed", "out", "bin"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    for name in ["mine", "other", "few", "few.json"] {
        fs::rename(folder.join(name), folder.join("closed").join(name)).unwrap();
    }
    fs::copy(env!("CARGO_BIN_EXE_glassbox"), folder.join("bin/glassbox")).unwrap();
    fs::set_permissions(folder.join("bin/glassbox"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.join("out"), fs::Permissions::from_mode(0o777)).unwrap();
    set_writable(&folder.join("closed"), false);
    folder
}

#[test]
fn everything_but_training_works_on_a_run_that_was_moved_and_cannot_be_written_to() {
    let folder = closed();
    // Otherwise the rest would prove nothing.
    let refused = run(&folder, "data closed/few --manifest closed/x.json");
    assert!(refused.code != 0 && refused.err.contains("ermission denied"), "{refused:?}");
    let data = "--data closed/few";
    for (line, said) in [
        ("show closed/mine", "conv1"),
        ("eval closed/mine --data closed/few", "test accuracy"),
        ("predict closed/mine closed/mine/pictures/test-0.png", "test-0.png: "),
        ("replay closed/mine --all --check --data closed/few", "bit for bit"),
        ("show closed/mine --step 5 conv1/relu --data closed/few", "conv1/relu at step 5"),
        ("show closed/mine --step 5 loss --explain --data closed/few", "loss"),
        ("show closed/mine --step 5 input --png out/input.png --data closed/few", "out/input.png"),
        ("why closed/mine --data closed/few", "in the ledger"),
        ("diff closed/mine closed/other --data closed/few", "train.seed"),
        ("diff closed/mine@2 closed/mine@5 --data closed/few", "conv1.weight"),
        ("report closed/mine -o out/page.html --data closed/few", "wrote out/page.html"),
        ("report closed/mine --csv out/figures.csv", "wrote out/figures.csv"),
        ("report closed/mine --tensorboard out/board", "wrote out/board"),
        ("data closed/few --manifest out/few.json", "manifest out/few.json"),
        ("data closed/few --check closed/few.json", "closed/few is as closed/few.json says: 4 files"),
        // A branch is a run of its own, and may lie anywhere.
        ("resume closed/mine --as out/branch --epochs 3 --data closed/few", "run out/branch"),
    ] {
        let outcome = run(&folder, line);
        assert!(outcome.code == 0 && outcome.out.contains(said), "{line}: {outcome:?}");
    }
    assert!(fs::read_to_string(folder.join("out/page.html")).unwrap().contains("What was taken for what"));

    let refused = run(&folder, &format!("resume closed/mine --epochs 3 {data}"));
    assert!(refused.code == 4 && refused.err.contains("ermission denied"), "{refused:?}");
    let refused = run(&folder, "report closed/mine");
    assert!(
        refused.code == 2 && refused.err.contains("choose another place for the page with --out FILE"),
        "{refused:?}"
    );
    let refused = run(&folder, &format!("{SHORT} --out closed/new"));
    assert!(refused.code == 2 && refused.err.contains("ermission denied"), "{refused:?}");
    set_writable(&folder.join("closed"), true);
}
