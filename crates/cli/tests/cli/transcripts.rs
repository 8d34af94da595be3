//! What the commands print.

use crate::support::{Folder, SHORT};
use serde_json::json;

#[test]
fn a_training_prints_objects_and_the_last_one_is_the_end() {
    let folder = Folder::new();
    let outcome = folder.run(&format!("{SHORT} --out mine")).ok();
    let events: Vec<String> =
        outcome.objects().iter().map(|object| object["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!((events.first().map(String::as_str), events.last().map(String::as_str)), (Some("start"), Some("end")));
    assert!(events.contains(&"epoch".to_owned()) && events.contains(&"checkpoint".to_owned()), "{events:?}");
    let (start, end) = (&outcome.objects()[0], outcome.end());
    assert_eq!((&start["parameters"], &start["test_rows"]), (&json!(61_706), &json!(1000)));
    assert_eq!((&end["run"], &end["status"], &end["step"]), (&json!("mine"), &json!("finished"), &json!(6)));
    for figure in ["test_accuracy", "test_loss", "test_balanced_accuracy", "test_top5"] {
        assert!(end[figure].as_f64().is_some_and(f64::is_finite), "{end}");
    }
    let run = folder.join("mine");
    for file in [
        "run.toml",
        "config.toml",
        "data.json",
        "graph.json",
        "log/metrics.jsonl",
        "log/events.jsonl",
        "pictures/first-batch.png",
        "pictures/test-0.png",
        "checkpoints/step-000006/model.safetensors",
        "checkpoints/step-000006/optim.safetensors",
        "checkpoints/step-000006/state.json",
        "checkpoints/step-000006/MANIFEST",
        "checkpoints/step-000006/COMMIT",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let steps = std::fs::read_to_string(run.join("log/metrics.jsonl")).unwrap();
    assert_eq!(steps.lines().filter(|line| line.contains("\"event\":\"step\"")).count(), 6);
}

#[test]
fn a_run_can_be_measured_shown_and_asked() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();

    let eval = folder.run("eval mine --json").ok().end();
    let end = std::fs::read_to_string(folder.join("mine/run.toml")).unwrap();
    assert!(end.contains(&format!("test_accuracy = {}", eval["test_accuracy"])), "{end}");
    assert_eq!(eval["confusion"].as_array().unwrap().len(), 10);
    let text = folder.run("eval mine").ok().out;
    assert!(text.starts_with("mine after step 6, on 1,000 test rows\ntest accuracy "), "{text}");

    let predict = folder.run("predict mine mine/pictures/test-0.png mine/pictures/test-1.png").ok().out;
    assert_eq!(predict.lines().count(), 2, "{predict}");
    assert!(predict.starts_with("mine/pictures/test-0.png: ") && predict.contains(" %  (then "), "{predict}");
    let objects = folder.run("predict mine mine/pictures/test-0.png --json --top 10").ok().objects();
    let all: f64 = objects[0]["top"].as_array().unwrap().iter().map(|one| one["probability"].as_f64().unwrap()).sum();
    assert!((all - 1.0).abs() < 1e-5, "{objects:?}");

    let show = folder.run("show mine").ok().out;
    for layer in ["conv1", "conv2", "fc1", "fc2", "fc3", "61,706"] {
        assert!(show.contains(layer), "{show}");
    }
}

#[test]
fn a_picture_that_is_dark_on_light_is_inverted_and_said() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    let original = glassbox::data::read_picture(&folder.join("mine/pictures/test-0.png"), 1 << 20).unwrap();
    let mut paper = original.to_image(1);
    paper.pixels.iter_mut().for_each(|x| *x = 1.0 - *x);
    glassbox::data::write_png(&folder.join("paper.png"), &paper).unwrap();
    let objects = folder.run("predict mine mine/pictures/test-0.png paper.png --json").ok().objects();
    assert_eq!((&objects[0]["inverted"], &objects[1]["inverted"]), (&json!(false), &json!(true)));
    assert_eq!(objects[0]["top"], objects[1]["top"]);
    let text = folder.run("predict mine paper.png").ok().out;
    assert!(text.contains("dark on light"), "{text}");
}

#[test]
fn runs_are_numbered() {
    let folder = Folder::new();
    let ends = [folder.run(SHORT).ok().end(), folder.run(SHORT).ok().end()];
    assert_eq!([&ends[0]["run"], &ends[1]["run"]], [&json!("runs/digits-1"), &json!("runs/digits-2")]);
}

#[test]
fn a_pipe_gets_plain_lines_and_the_next_commands() {
    let folder = Folder::new();
    let out = folder.run(&SHORT.replace(" --json", "")).ok().out;
    assert!(!out.contains('\r') && !out.contains('\x1b'), "{out:?}");
    assert!(out.starts_with("digits: 61,706 parameters, cpu "), "{out}");
    assert!(out.contains("epoch 1/1  step 6  train loss "), "{out}");
    for next in ["predict", "show", "eval"] {
        assert!(out.contains(&format!("  glassbox {next} runs/digits-1")), "{out}");
    }
}

#[test]
fn any_folder_of_class_folders_can_be_learned() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 40);
    let end = folder
        .run(
            "train images --data pets --epochs 1 --batch 8 --set model.width=4 --set data.crop=false --out mine --json",
        )
        .ok()
        .end();
    assert_eq!(end["status"], "finished");
    let predict = folder.run("predict mine pets/cat/1.png").ok().out;
    assert!(predict.contains("cat") && predict.contains("background"), "{predict}");

    // Pictures are asked both ways after training; each layer is listed once all the same.
    let dry = folder.run("train images --data pets --set model.width=4 --dry-run --json").ok().end();
    let shown = folder.run("show mine --json").ok().end();
    assert_eq!(shown["parameters"], dry["parameters"]);
    let rows = shown["layers"].as_array().unwrap();
    let sum: u64 = rows.iter().map(|row| row["parameters"].as_u64().unwrap()).sum();
    assert_eq!(sum, shown["parameters"].as_u64().unwrap());

    // Where there are other pictures by now, others may be tested on.
    assert!(!folder.run("eval mine").ok().out.contains("note:"));
    folder.pictures("more", &["other", "dog"], 40);
    for number in 0..40 {
        let name = format!("{number}.png");
        std::fs::rename(folder.join("more/dog").join(&name), folder.join("pets/cat").join(format!("m{name}"))).unwrap();
    }
    let eval = folder.run("eval mine").ok().out;
    assert!(eval.contains("note: the data is not what it was"), "{eval}");
}

#[test]
fn broken_pictures_are_skipped_and_counted_if_asked() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 30);
    std::fs::write(folder.join("pets/cat/broken.jpg"), [0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3]).unwrap();
    let line =
        "train images --data pets --epochs 1 --batch 8 --set model.width=4 --set data.on_broken=skip --out mine --json";
    let objects = folder.run(line).ok().objects();
    let notes: Vec<&serde_json::Value> = objects.iter().filter(|object| object["event"] == "note").collect();
    assert_eq!(notes.len(), 1, "{objects:?}");
    assert!(notes[0]["text"].as_str().unwrap().contains("broken.jpg"), "{notes:?}");
    let skipped = |run: &str| {
        let data: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join(run).join("data.json")).unwrap()).unwrap();
        data["skipped"].as_array().unwrap().len()
    };
    assert_eq!(skipped("mine"), 1);

    // One in each part of its own.
    for part in ["train", "val", "test"] {
        folder.pictures(&format!("parts/{part}"), &["background", "cat"], 10);
        std::fs::copy(folder.join("pets/cat/broken.jpg"), folder.join("parts").join(part).join("cat/x.jpg")).unwrap();
    }
    let objects = folder.run(&line.replace("pets", "parts").replace("mine", "yours")).ok().objects();
    assert_eq!(objects.iter().filter(|object| object["event"] == "note").count(), 3, "{objects:?}");
    assert_eq!(skipped("yours"), 3);
}

#[test]
fn a_dry_run_shows_every_setting_and_leaves_nothing() {
    let folder = Folder::new();
    let out = folder.run("train digits --dry-run --lr 0.5").ok().out;
    assert!(out.contains("lr = 0.5                           # --lr 0.5; greatest learning rate"), "{out}");
    assert!(out.contains("61,706 parameters"), "{out}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_config_of_a_run_can_be_used_again() {
    let folder = Folder::new();
    let first = folder.run(&format!("{SHORT} --out one")).ok().end();
    let second = folder.run("train digits --config one/config.toml --out two --json").ok().end();
    assert_eq!(first["test_loss"], second["test_loss"]);
}

#[test]
fn doctor_finds_the_machine_in_order() {
    let folder = Folder::new();
    let report = folder.run("doctor --json").ok().end();
    assert_eq!(report["self_test"], true, "{report}");
    assert!(report["simd_found"].as_array().unwrap().contains(&report["simd"]), "{report}");
    let text = folder.run("doctor").ok().out;
    assert!(text.contains("self-test  passed"), "{text}");
}

#[test]
fn show_needs_no_run() {
    let out = Folder::new().run("show digits").ok().out;
    assert!(out.contains("conv1") && out.contains("61,706"), "{out}");
}

#[test]
fn a_rare_class_is_trained_on_and_what_is_not_tested_is_said() {
    let folder = Folder::new();
    folder.pictures("zoo", &["cat", "dog", "owl"], 30);
    for number in 1..30 {
        std::fs::remove_file(folder.join("zoo/owl").join(format!("{number}.png"))).unwrap();
    }
    let line = "train images --data zoo --epochs 1 --batch 8 --set model.width=4 --seed 1";
    let objects = folder.run(&format!("{line} --out mine --json")).ok().objects();
    let data: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("mine/data.json")).unwrap()).unwrap();
    assert_eq!(data["parts"]["train"]["class_rows"][2], 1);
    let note = objects.iter().find(|object| object["event"] == "note").unwrap();
    assert!(note["text"].as_str().unwrap().starts_with("owl: no row to test on"), "{note}");
    let dry = folder.run(&format!("{line} --dry-run")).ok().out;
    assert!(dry.contains("note: owl: no row to test on"), "{dry}");
}

#[test]
fn the_loss_does_not_depend_on_how_many_rows_are_evaluated_at_once() {
    let folder = Folder::new();
    let loss = |batch: usize| folder.run(&format!("{SHORT} --set eval.batch={batch}")).ok().end()["test_loss"].clone();
    assert_eq!(loss(250), loss(7));
}

#[test]
fn commands_are_quoted_for_the_shell() {
    let folder = Folder::new();
    let mut words: Vec<&str> = SHORT.trim_end_matches(" --json").split(' ').collect();
    words.extend(["--out", "my run"]);
    let out = crate::support::Outcome::of(&mut folder.command(&words)).ok().out;
    assert!(out.contains("  glassbox predict 'my run' 'my run/pictures/test-0.png'"), "{out}");
    let record = std::fs::read_to_string(folder.join("my run/run.toml")).unwrap();
    assert!(record.contains("--out 'my run'\""), "{record}");
}

#[test]
fn whoever_looks_at_a_run_changes_nothing() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    let checkpoint = folder.join("mine/checkpoints/step-000006");
    std::fs::write(checkpoint.join("COMMIT"), "").unwrap();
    assert_eq!(folder.run("eval mine").code, 6);
    assert!(checkpoint.is_dir());
}

#[test]
fn doctor_names_the_variable_only_if_it_is_set() {
    let folder = Folder::new();
    let text = folder.run("doctor").ok().out;
    assert!(text.contains("no GLASSBOX_ variable is set") && !text.contains("(GLASSBOX_SIMD)"), "{text}");
    let text = crate::support::Outcome::of(folder.command(&["doctor"]).env("GLASSBOX_SIMD", "scalar")).ok().out;
    assert!(text.contains("scalar used (GLASSBOX_SIMD)"), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_one_line_no_wider_than_itself_that_ends_before_other_words() {
    let folder = Folder::new();
    let on_terminal = |line: &str, term: &str| {
        let mut command = folder.command(&[]);
        let program = command.get_program().to_string_lossy().into_owned();
        command = std::process::Command::new("script");
        command.args(["-qec", &format!("stty cols 40; exec {program} {line}"), "/dev/null"]).env("TERM", term);
        let output = command.current_dir(folder.path()).stdin(std::process::Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let line = "train mlp --epochs 1 --set train.max_steps=2 --out";
    let Ok(out) = on_terminal(&format!("{line} mine"), "xterm") else {
        eprintln!("skipped: there is no command script");
        return;
    };
    let step = out.lines().find(|line| line.contains("step 2/2")).unwrap_or_else(|| panic!("{out:?}"));
    assert!(step.contains("\x1b[?7lepoch 1/1  step 2/2") && step.contains("left\x1b[?7h"), "{out:?}");
    let diverged = on_terminal(&format!("{line} far --lr 1e30"), "xterm").unwrap();
    assert!(diverged.contains("\nerror: "), "{diverged:?}");
    assert!(!on_terminal(&format!("{line} dumb"), "dumb").unwrap().contains('\x1b'));
}
