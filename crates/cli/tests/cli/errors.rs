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
    fails(&folder, "train digit", 2, &["no recipe \"digit\"", "did you mean digits?"]);
    let far = folder.run("train transformer").err;
    assert_eq!(far.matches(&zoo::names().join(", ")).count(), 1, "{far}");
    fails(&folder, "train digits --set train.epoch=3", 2, &["no setting train.epoch", "did you mean train.epochs?"]);
    fails(&folder, "train digits --set epochs", 2, &["has no value"]);
    fails(&folder, "train digits --epochs 0", 2, &["train.epochs cannot be \"0\"", "a whole number from 1"]);
    fails(&folder, "train digits --lr fast", 2, &["train.lr cannot be \"fast\""]);
    fails(&folder, "train digits --config none.toml", 2, &["cannot read the settings in none.toml"]);
    fails(&folder, "train fashion", 2, &["needs Fashion-MNIST", "--data DIR"]);
    fails(&folder, "train images", 2, &["--data DIR"]);
    fails(&folder, "train cifar", 2, &["--data DIR"]);
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
fn with_json_an_error_is_an_object_and_the_end_comes_last() {
    let outcome = Folder::new().run("train digit --json");
    let objects = outcome.objects();
    assert_eq!((&objects[0]["event"], &objects[0]["code"]), (&"error".into(), &2.into()));
    let end = outcome.end();
    assert_eq!(
        (objects.len(), &end["event"], &end["status"], &end["code"]),
        (2, &"end".into(), &"failed".into(), &2.into())
    );
    // A command line that is not understood as well.
    assert_eq!(Folder::new().run("train --json --nonsense").end()["event"], "end");
    let line = "train mlp --epochs 1 --set train.max_steps=1 --lr 1e30 --set train.optimizer=sgd --json";
    assert_eq!(Folder::new().run(line).end()["status"], "diverged");
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

#[test]
fn a_divergence_after_the_last_loss_is_said_and_leaves_no_checkpoint() {
    let folder = Folder::new();
    let line = "train mlp --epochs 1 --set train.max_steps=1 --set train.optimizer=sgd --set train.schedule=constant";
    // Without rows to validate by, the weights are the first to tell.
    for (out, more) in [("one", ""), ("two", "--set data.val=0")] {
        fails(&folder, &format!("{line} --lr 1e30 {more} --out {out}"), 5, &["at step 1 (epoch 1)", "--lr"]);
        let record = fs::read_to_string(folder.join(out).join("run.toml")).unwrap();
        assert!(record.contains("status = \"diverged\""), "{record}");
    }
    // Finite, but a loss of 1e16 is none.
    fails(&folder, &format!("{line} --lr 1e10 --out three"), 5, &["the validation loss became", "at first"]);
}

#[test]
fn weights_that_give_no_numbers_are_refused() {
    let folder = Folder::new();
    folder.run("train mlp --epochs 1 --set train.max_steps=2 --out mine --json").ok();
    let data = fs::read_to_string(folder.join("mine/data.json")).unwrap();
    let from = data.find("\"std\"").unwrap();
    let end = from + data[from..].find(']').unwrap();
    // So small a deviation makes the inputs, and then the logits, infinite.
    fs::write(folder.join("mine/data.json"), format!("{}\"std\": [1e-39{}", &data[..from], &data[end..])).unwrap();
    fails(&folder, "predict mine mine/pictures/test-0.png", 5, &["the network gives"]);
    fails(&folder, "eval mine", 5, &["the network gives"]);
}

#[test]
fn an_input_that_no_network_could_take_is_damage() {
    let folder = Folder::new();
    folder.run("train mlp --epochs 1 --set train.max_steps=2 --out mine --json").ok();
    let data: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("mine/data.json")).unwrap()).unwrap();
    for shape in ["[]", "[3, 1000000, 1000000]", "[1, 0, 28]", "[3, 28]", "[10]"] {
        let mut data = data.clone();
        data["input"]["shape"] = serde_json::from_str(shape).unwrap();
        fs::write(folder.join("mine/data.json"), data.to_string()).unwrap();
        for line in ["eval mine", "predict mine mine/pictures/test-0.png", "show mine"] {
            let outcome = folder.run(line);
            assert_eq!(outcome.code, 6, "{shape} {line}: {outcome:?}");
            assert!(outcome.err.starts_with("error: mine/") && !outcome.err.contains("panicked"), "{outcome:?}");
        }
    }
}

#[test]
#[cfg(unix)]
fn words_that_are_no_text_are_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let mut command = folder.command(&["train", "mlp", "--epochs", "1", "--set", "train.max_steps=1", "--out"]);
    command.arg(std::ffi::OsStr::from_bytes(b"bad\xff"));
    crate::support::Outcome::of(&mut command).ok();
    fs::write(folder.join("latin.toml"), b"# \xe4\n").unwrap();
    fails(&folder, "train mlp --config latin.toml", 2, &["cannot read the settings in latin.toml"]);
}

#[test]
fn an_output_that_takes_nothing_is_an_error() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let folder = Folder::new();
    for line in [&["show", "digits"][..], &["--help"], &["train", "digits", "--dry-run", "--json"]] {
        let mut command = folder.command(line);
        let status = command.stdout(full.try_clone().unwrap()).stderr(std::process::Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(4), "{line:?}");
    }
}

#[test]
fn numbers_below_their_limits_are_values_not_flags() {
    let folder = Folder::new();
    fails(&folder, "train digits --seed -1", 2, &["train.seed cannot be \"-1\"", "a whole number from 0"]);
    fails(&folder, "train digits --lr -1.5", 2, &["train.lr cannot be \"-1.5\""]);
    fails(&folder, "predict mine 1.png --top -1", 2, &["invalid value '-1' for '--top <N>'"]);
    fails(&folder, "bench --budget -1", 2, &["--budget -1 is no time to measure"]);
}

#[test]
fn more_threads_than_cores_do_not_go_unsaid() {
    let folder = Folder::new();
    fails(&folder, "train digits --threads 100000", 2, &["at most 1024 threads"]);
    let threads = 1 + std::thread::available_parallelism().map_or(1, usize::from);
    let outcome = folder.run(&format!("doctor --threads {threads}")).ok();
    assert!(outcome.err.starts_with(&format!("note: {threads} threads on ")), "{outcome:?}");
}

#[test]
fn pictures_that_are_too_small_are_said_to_be() {
    let folder = Folder::new();
    for class in ["cat", "dog"] {
        fs::create_dir_all(folder.join("dots").join(class)).unwrap();
        for number in 0..30u8 {
            let level = f32::from(number) / 64.0 + if class == "cat" { 0.5 } else { 0.0 };
            let image = glassbox::data::Image::filled(1, 1, 1, level);
            let path = folder.join("dots").join(class).join(format!("{number}.png"));
            glassbox::data::write_png(&path, &image).unwrap();
        }
    }
    fails(&folder, "train images --data dots", 3, &["1 x 1 pixels are too small", "at least 8 x 8", "data.size=8"]);
    fails(&folder, "train images --data dots --set data.size=7", 2, &["data.size cannot be 7", "at least 8 x 8"]);
}

#[test]
fn pictures_that_are_all_the_same_are_said_to_be() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 1);
    for class in ["background", "cat"] {
        for number in 1..40 {
            let first = folder.join("pets").join(class).join("0.png");
            fs::copy(&first, first.with_file_name(format!("{number}.png"))).unwrap();
        }
    }
    fails(&folder, "train images --data pets", 3, &["too few different pictures", "80 pictures, 2 of them different"]);
}

#[test]
fn labels_that_make_no_classes_are_refused() {
    let folder = Folder::new();
    let refused = |name: &str, level: fn(usize) -> u8, label: fn(usize) -> u8, words: &[&str]| {
        folder.mnist(name, level, label);
        fails(&folder, &format!("train mlp --data {name} --epochs 1"), 3, words);
    };
    refused("one", |n| n as u8, |_| 0, &["fewer than two classes", "nothing to tell apart"]);
    refused("black", |_| 0, |n| (n % 10) as u8, &["the 60 rows to train on are all the same"]);
    let stray = |n: usize| if n == 30 { 255 } else { (n % 10) as u8 };
    refused("stray", |n| n as u8, stray, &["245 of 256 classes have no row", "255 (1 to train)"]);
}

#[test]
fn a_long_picture_is_no_abort() {
    let folder = Folder::new();
    folder.run("train mlp --epochs 1 --set train.max_steps=1 --out mine --json").ok();
    let line = glassbox::data::encode_png(1, 1, 1_000_000, &vec![0; 1_000_000]).unwrap();
    fs::write(folder.join("line.png"), line).unwrap();
    folder.run("predict mine line.png").ok();
}

#[test]
fn a_share_that_leaves_nothing_to_train_on_is_said_to() {
    let folder = Folder::new();
    folder.pictures("pets", &["cat", "dog"], 20);
    fails(&folder, "train images --data pets --set data.val=0.9", 2, &["data.val cannot be 0.9", "below 0.85"]);
}

#[test]
fn data_that_moved_is_asked_for() {
    let folder = Folder::new();
    folder.pictures("pets", &["cat", "dog"], 20);
    let line = "train images --data pets --batch 8 --set train.max_steps=1 --set model.width=4 --out mine --json";
    let objects = folder.run(line).ok().objects();
    assert_eq!((&objects[0]["event"], &objects[0]["epochs"]), (&"start".into(), &1.into()));
    fs::rename(folder.join("pets"), folder.join("moved")).unwrap();
    for line in ["eval mine", "show mine --plan"] {
        fails(&folder, line, 3, &["it is not there any more", "say where it is now with --data DIR"]);
    }
    folder.run("eval mine --data moved").ok();
    folder.run("show mine").ok();
}
