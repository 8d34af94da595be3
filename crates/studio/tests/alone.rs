//! A model without its run, and a run without steps: what there is can be looked at, and of the rest is said why not.

mod tiny;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use glassbox_studio::{Limits, Studio};
use serde_json::Value;
use tiny::{ask, place, post, studio};

fn open(path: &Path) -> Arc<Studio> {
    Arc::new(Studio::new(path, Limits::default()).unwrap())
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A picture of a stroke.
fn stroke() -> Vec<u8> {
    let bytes: Vec<u8> = (0..28 * 28).map(|at| if (12..16).contains(&(at % 28)) { 255 } else { 0 }).collect();
    data::encode_png(1, 28, 28, &bytes).unwrap()
}

fn last_checkpoint(run: &Path) -> (u64, std::path::PathBuf) {
    train::checkpoint::list(&run.join("checkpoints")).unwrap().pop().unwrap()
}

#[test]
fn a_checkpoint_away_from_its_run_answers_as_the_run_does() {
    let place = place("alone");
    let (step, checkpoint) = last_checkpoint(&place.0.join("runs/tiny"));
    copy(&checkpoint, &place.0.join("copied"));
    let (run, model) = (studio(&place), open(&place.0.join("copied")));
    fs::rename(place.0.join("data"), place.0.join("elsewhere")).unwrap();
    let (_, listed) = ask(&model, "/api/runs");
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed}");
    let about = &listed["runs"][0];
    assert_eq!((&about["id"], &about["alone"], &about["step"]), (&"copied".into(), &true.into(), &step.into()));
    assert_eq!((&about["recipe"], &about["parameters"]), (&"digits".into(), &61_706.into()));
    let (_, data) = ask(&model, "/api/data?run=copied");
    assert_eq!((&data["parts"], &data["classes"][7]), (&Value::Array(vec![]), &"7".into()), "{data}");
    fs::rename(place.0.join("elsewhere"), place.0.join("data")).unwrap();
    // (The weights themselves are not the averaged ones, with which it answers.)
    let (_, tried) = post(&model, &format!("/api/try?run=copied&step={step}"), stroke());
    let (_, expected) = post(&run, &format!("/api/try?run=tiny&step={step}"), stroke());
    assert!(tried["logits"].is_array(), "{tried}");
    assert_eq!((&tried["logits"], &tried["proof"]), (&expected["logits"], &Value::Null));
    for asked in ["answer?angle=30&shift=2&unit=1&layer=conv1/relu", "tuning?layer=conv1/relu"] {
        let target = |run: &str| format!("/api/cells/{asked}&run={run}&step={step}");
        let (status, answer) = ask(&model, &target("copied"));
        assert_eq!(status, 200, "{answer}");
        let (_, expected) = ask(&run, &target("tiny"));
        assert_eq!((&answer["answers"], &answer["units"]), (&expected["answers"], &expected["units"]));
    }
    let (_, weights) = ask(&model, &format!("/api/weights?run=copied&step={step}"));
    assert_eq!(weights["weight"]["name"], "conv1/weight");
}

#[test]
fn a_model_file_alone_shows_its_graph_and_says_what_it_has_not() {
    let place = place("file");
    let (step, checkpoint) = last_checkpoint(&place.0.join("runs/tiny"));
    let file = place.0.join("mine.safetensors");
    fs::copy(checkpoint.join(train::MODEL), &file).unwrap();
    fs::remove_dir_all(place.0.join("runs")).unwrap();
    let model = open(&file);
    let (status, graph) = ask(&model, "/api/graph?run=mine.safetensors&zoom=ops&phases=forward,backward,update");
    assert_eq!((status, &graph["alone"], &graph["step"]), (200, &true.into(), &step.into()), "{graph}");
    let boxes = graph["boxes"].as_array().unwrap();
    assert!(boxes.iter().all(|one| one["p"] == "forward"), "{graph}");
    for layer in ["conv1", "conv2", "fc3", "input"] {
        assert!(boxes.iter().any(|one| one["l"].as_str().unwrap().split('/').next() == Some(layer)), "{layer}");
    }
    let behind = |kind: &str, title: &str| {
        let fits = |one: &&Value| one["k"] == kind && one["t"].as_str().unwrap().starts_with(title);
        let found = boxes.iter().find(fits).unwrap();
        ask(&model, &format!("/api/graph/box?run=mine.safetensors&id={}", found["id"].as_str().unwrap())).1
    };
    assert_eq!(behind("leaf", "conv1/weight")["value"]["count"], 150);
    assert!(behind("op", "conv")["value"]["error"].as_str().unwrap().contains("a model without its run"));
    for target in [
        "/api/curve?run=R&name=loss",
        "/api/step?run=R&step=S",
        "/api/tensor?run=R&step=S&node=loss",
        "/api/flow?run=R&step=S",
        "/api/layers?run=R&step=S&row=0",
        "/api/rows?run=R",
        "/api/sample?run=R&row=0",
        "/api/history?run=R&step=S&row=0",
        "/api/attribution?run=R&step=S&row=0",
        "/api/neighbours?run=R&step=S&row=0",
        "/api/confusion?run=R&step=S",
        "/api/cell?run=R&step=S&label=0&taken=0",
        "/api/graph/times?run=R",
    ] {
        let target = target.replace("=R", "=mine.safetensors").replace("=S", &format!("={step}"));
        let (status, answer) = ask(&model, &target);
        assert!(
            status == 422 && answer["error"].as_str().unwrap().contains("a model without its run"),
            "{target}: {answer}"
        );
    }
    let (status, other) = ask(&model, "/api/weights?run=mine.safetensors&step=1");
    assert!(status == 400 && other["error"].as_str().unwrap().contains("there is no step 1"), "{other}");
    assert_eq!(ask(&model, "/api/run?run=other").0, 404);
}

#[test]
fn what_is_no_model_of_ours_is_refused_when_it_is_opened() {
    let place = place("strange");
    let (_, checkpoint) = last_checkpoint(&place.0.join("runs/tiny"));
    let refusal = |path: &Path| Studio::new(path, Limits::default()).err().unwrap().to_string();
    assert!(refusal(&place.0.join("secret.txt")).contains("no safetensors file"));
    assert!(refusal(&place.0.join("nowhere")).contains("does not exist"));
    // Moments are of no network, and a torn checkpoint is none.
    let moments = place.0.join("moments.safetensors");
    fs::copy(checkpoint.join("optim.safetensors"), &moments).unwrap();
    assert!(refusal(&moments).contains("does not say of which network"));
    copy(&checkpoint, &place.0.join("torn"));
    fs::remove_file(place.0.join("torn/COMMIT")).unwrap();
    assert!(refusal(&place.0.join("torn")).contains("no complete checkpoint"));
}

#[test]
fn a_run_can_be_looked_at_before_its_first_step_is_over() {
    let place = place("young");
    let run = place.0.join("runs/tiny");
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    fs::create_dir(run.join("checkpoints")).unwrap();
    for log in ["steps.bin", "rows.bin", "times.bin", "metrics.jsonl"] {
        fs::write(run.join("log").join(log), "").unwrap();
    }
    let studio = studio(&place);
    for target in [
        "/api/runs",
        "/api/run?run=tiny",
        "/api/curve?run=tiny&name=loss",
        "/api/data?run=tiny",
        "/api/weights?run=tiny&step=0",
        "/api/layers?run=tiny&step=0&part=test&row=1",
        "/api/confusion?run=tiny&step=0&part=test",
        "/api/cells?run=tiny&step=0",
        "/api/sample?run=tiny&part=train&row=0",
        "/api/history?run=tiny&step=0&row=0",
        "/api/graph?run=tiny&zoom=ops",
        "/api/graph/times?run=tiny&times=1",
        "/api/graph/box?run=tiny&id=n0",
    ] {
        let (status, answer) = ask(&studio, target);
        assert_eq!(status, 200, "{target}: {answer}");
    }
    assert_eq!(ask(&studio, "/api/graph?run=tiny").1["step"], 1);
    let (_, about) = ask(&studio, "/api/graph/box?run=tiny&id=n0");
    assert_eq!(about["value"]["error"], "the step is not over yet");
    for target in ["/api/graph?run=tiny&step=2", "/api/flow?run=tiny&step=1", "/api/weights?run=tiny&step=1"] {
        let (status, answer) = ask(&studio, target);
        assert!(status == 422 && answer["error"].as_str().unwrap().contains("made 0 steps"), "{target}: {answer}");
    }
}
