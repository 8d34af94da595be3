//! Each way to fail: its exit code, what is said, and that nothing is left behind.

use std::fs;
use std::path::Path;

use crate::support::{Folder, SHORT};

/// Runs a line that must fail with `code` and say `words`, and leave no run behind.
fn fails(folder: &Folder, line: &str, code: i32, words: &[&str]) {
    let outcome = folder.run(line);
    assert_eq!(outcome.code, code, "{line}: {outcome:?}");
    assert!(outcome.err.starts_with("error: ") && !outcome.err.contains("panicked"), "{line}: {outcome:?}");
    for word in words {
        assert!(outcome.err.contains(word), "{line} does not say {word:?}: {}", outcome.err);
    }
    assert!(!folder.join("runs").exists(), "{line} left a run behind");
}

#[test]
fn mistyped_names_get_their_neighbours() {
    let folder = Folder::new();
    fails(&folder, "train digit", 2, &["no recipe digit", "did you mean digits?"]);
    fails(&folder, "train digits --set train.epoch=3", 2, &["no setting train.epoch", "did you mean train.epochs?"]);
    fails(&folder, "train digits --set epochs", 2, &["has no value"]);
    fails(&folder, "train digits --epochs 0", 2, &["train.epochs cannot be \"0\"", "a whole number from 1"]);
    fails(&folder, "train digits --lr fast", 2, &["train.lr cannot be \"fast\""]);
    fails(&folder, "train digits --config none.toml", 6, &["cannot read none.toml"]);
    fails(&folder, "train fashion", 2, &["needs Fashion-MNIST", "--data DIR"]);
    fails(&folder, "train images", 2, &["--data DIR"]);
    assert_eq!(folder.run("train").code, 2);
    assert_eq!(folder.run("trian digits").code, 2);
}

#[test]
fn an_unknown_vector_width_is_a_matter_of_usage() {
    let folder = Folder::new();
    let outcome = crate::support::Outcome::of(folder.command(&["doctor"]).env("GLASSBOX_SIMD", "sse"));
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.err.contains("GLASSBOX_SIMD takes"), "{outcome:?}");
}

#[test]
fn folders_that_are_no_datasets_are_said_to_be_none() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("empty")).unwrap();
    folder.pictures("one", &["cat"], 3);
    fs::create_dir_all(folder.join("hollow/cat")).unwrap();
    folder.pictures("hollow", &["dog"], 3);
    fails(&folder, "train digits --data empty", 3, &["train-images-idx3-ubyte"]);
    fails(&folder, "train digits --data missing", 3, &["missing"]);
    fails(&folder, "train images --data empty", 3, &["holds no folders"]);
    fails(&folder, "train images --data one", 3, &["one folder only (cat)", "two classes"]);
    fails(&folder, "train images --data hollow", 3, &["the class cat holds no picture"]);
}

#[test]
fn a_corrupt_picture_is_named() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 5);
    fs::write(folder.join("pets/cat/bad.jpg"), [0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3]).unwrap();
    fails(&folder, "train images --data pets", 3, &["broken JPEG file", "bad.jpg"]);
}

#[test]
fn a_truncated_idx_file_is_named() {
    let folder = Folder::new();
    let idx =
        |shape: Vec<usize>, values: Vec<u8>| glassbox::data::write_idx(&glassbox::data::Idx { shape, values }).unwrap();
    fs::create_dir_all(folder.join("mnist")).unwrap();
    for part in ["train", "t10k"] {
        let images = idx(vec![20, 28, 28], vec![7; 20 * 784]);
        fs::write(folder.join("mnist").join(format!("{part}-images-idx3-ubyte")), &images[..5000]).unwrap();
        fs::write(folder.join("mnist").join(format!("{part}-labels-idx1-ubyte")), idx(vec![20], vec![1; 20])).unwrap();
    }
    fails(&folder, "train digits --data mnist", 3, &["broken IDX file", "train-images-idx3-ubyte"]);
}

#[test]
fn a_run_is_never_overwritten() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("mine")).unwrap();
    fails(&folder, "train digits --out mine", 2, &["mine is there already"]);
    assert_eq!(fs::read_dir(folder.join("mine")).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let folder = Folder::new();
    fs::write(folder.join("file"), "").unwrap();
    fails(&folder, "train digits --out file/run", 2, &["cannot create file"]);
    fails(&folder, "train digits --out /proc/run", 2, &["cannot create /proc"]);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let folder = Folder::new();
    let line = "train digits --epochs 1 --set train.optimizer=sgd --lr 1e30 --set train.schedule=constant --out mine";
    fails(&folder, line, 5, &["the loss became", "--lr"]);
    let record = fs::read_to_string(folder.join("mine/run.toml")).unwrap();
    assert!(record.contains("status = \"diverged\""), "{record}");
}

#[test]
fn what_is_no_run_cannot_be_asked() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("empty")).unwrap();
    for command in ["eval empty", "predict empty x.png", "show empty"] {
        fails(&folder, command, 2, &["empty is not a run: it holds no run.toml"]);
    }
    fails(&folder, "eval nowhere", 2, &["nowhere does not exist"]);
}

#[test]
fn damaged_runs_are_told_from_sound_ones() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine --set checkpoint.every=3")).ok();
    let mine = |name: &str| folder.join("mine").join(name);

    // A picture that is none.
    fs::write(folder.join("no.png"), "text").unwrap();
    fails(&folder, "predict mine no.png", 3, &["neither PNG nor JPEG"]);
    fails(&folder, "predict mine gone.png", 3, &["cannot read gone.png"]);

    // The newest checkpoint is torn: the one before serves, and it is said.
    fs::write(mine("checkpoints/step-000006/model.safetensors"), "x").unwrap();
    let outcome = folder.run("eval mine").ok();
    assert!(outcome.out.contains("step-000006 is torn") && outcome.out.contains("after step 3"), "{outcome:?}");

    // A checkpoint of another model.
    folder.run("train mlp --epochs 1 --set train.max_steps=2 --out other --json").ok();
    fs::remove_dir_all(mine("checkpoints")).unwrap();
    copy(&folder.join("other/checkpoints"), &mine("checkpoints"));
    fails(&folder, "eval mine", 6, &["another model"]);

    // No checkpoint at all.
    fs::remove_dir_all(mine("checkpoints")).unwrap();
    fs::create_dir(mine("checkpoints")).unwrap();
    fails(&folder, "eval mine", 6, &["no complete checkpoint"]);

    fs::write(mine("data.json"), "{").unwrap();
    fails(&folder, "eval mine", 6, &["data.json"]);
    fs::write(mine("run.toml"), "nothing").unwrap();
    fails(&folder, "eval mine", 6, &["run.toml"]);
}

#[test]
fn data_of_other_classes_is_refused() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 30);
    folder.pictures("cars", &["bus", "van"], 30);
    folder.run("train images --data pets --epochs 1 --batch 8 --set model.width=4 --out mine --json").ok();
    fails(&folder, "eval mine --data cars", 3, &["bus, van", "background, cat"]);
}

#[test]
fn with_json_an_error_is_an_object_too() {
    let outcome = Folder::new().run("train digit --json");
    let end = outcome.end();
    assert_eq!((&end["event"], &end["code"]), (&"error".into(), &2.into()));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
