//! The graph on the page is the graph of the step: its nodes, values, kernels, and no file but those that it names.

mod tiny;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tensor::RandomKey;
use tiny::{ask, place, studio};
use train::replay::Stats;

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[test]
fn every_node_is_in_one_box_at_every_zoom_and_every_kernel_too() {
    let place = place("zooms");
    let studio = studio(&place);
    let text = fs::read_to_string(place.0.join("runs/tiny/graph.json")).unwrap();
    let stored: Value = serde_json::from_str(&text).unwrap();
    let stored = list(&stored["nodes"]);
    for zoom in ["layers", "ops"] {
        let target = format!("/api/graph?run=tiny&zoom={zoom}&phases=forward,backward,update&numbers=1");
        let (status, drawing) = ask(&studio, &target);
        assert_eq!(status, 200, "{drawing}");
        let nodes = |one: &Value| -> Vec<u64> { list(&one["n"]).iter().map(|node| node.as_u64().unwrap()).collect() };
        let mut held: Vec<u64> = list(&drawing["boxes"]).iter().flat_map(nodes).collect();
        held.sort_unstable();
        let all = drawing["nodes"].as_u64().unwrap();
        assert_eq!(held, (0..all).collect::<Vec<_>>(), "{zoom}");
        // Those of the ledger's figures come behind the ones of graph.json.
        assert!(all as usize >= stored.len(), "{all}");
        let mut kernels: Vec<u64> = Vec::new();
        let of = |one: &Value| list(&one["m"]).iter().map(|kernel| kernel.as_u64().unwrap()).collect::<Vec<_>>();
        list(&drawing["boxes"]).iter().for_each(|one| kernels.extend(of(one)));
        let once: BTreeSet<u64> = kernels.iter().copied().collect();
        assert_eq!(once.len(), kernels.len(), "{zoom}: a kernel belongs to two boxes");
        for arrow in list(&drawing["arrows"]) {
            assert_ne!(arrow[0], arrow[1], "{zoom}");
        }
    }
    let (_, drawing) = ask(&studio, "/api/graph?run=tiny&zoom=kernels&phases=forward,backward,update");
    assert_eq!(list(&drawing["boxes"]).len() as u64, drawing["kernels"].as_u64().unwrap());
    // Layers as they are called in the model.
    let (_, drawing) = ask(&studio, "/api/graph?run=tiny&phases=forward");
    let titles: BTreeSet<&str> = list(&drawing["boxes"]).iter().map(|one| one["t"].as_str().unwrap()).collect();
    assert_eq!(titles, BTreeSet::from(["input", "conv1", "conv2", "fc1", "fc2", "dropout", "fc3", "loss"]));
    // An opened layer shows its ops, and only its own.
    let (_, opened) = ask(&studio, "/api/graph?run=tiny&phases=forward&toggled=conv1");
    let ops = list(&opened["boxes"]).iter().filter(|one| one["k"] == "op" && one["l"] == "conv1").count();
    assert!(ops >= 2 && list(&opened["boxes"]).len() > titles.len(), "{opened}");
    assert!(list(&opened["boxes"]).iter().any(|one| one["id"] == "g:forward:conv1/relu"));
}

#[test]
fn what_is_behind_a_node_is_what_the_replay_computes() {
    let place = place("behind");
    let studio = studio(&place);
    let mut run = zoo::Run::open(place.0.join("runs/tiny")).unwrap();
    let last = run.last_step().unwrap();
    let key = RandomKey::new(9).stream("nodes");
    let mut gradients = 0;
    for draw in 0..30 {
        let step = 1 + key.below(2 * draw, last);
        let at = run.at(step).unwrap();
        let number = key.below(2 * draw + 1, at.nodes().len() as u64) as usize;
        let node = &at.nodes()[number];
        let (status, facts) = ask(&studio, &format!("/api/graph/box?run=tiny&step={step}&id=n{number}"));
        assert_eq!(status, 200, "{facts}");
        let page = node.op().page();
        assert_eq!((&facts["op"], &facts["formula"]), (&page.name.into(), &page.formula.into()));
        assert_eq!(facts["shape"], Value::from(node.dims().to_vec()));
        assert_eq!(facts["line"], node.origin().location.line());
        assert_eq!(list(&facts["inputs"]).len(), node.inputs().len());
        let same = |told: &Value, name: &str| {
            let stats = Stats::of(&at.tensor(name).unwrap());
            let met = |told: &Value, x: f64| match told.as_f64() {
                Some(told) => told == x,
                None => told == &x.to_string(),
            };
            assert!(
                met(&told["min"], stats.min) && met(&told["norm"], stats.norm),
                "{name} of {step}: {told} {stats:?}"
            );
        };
        same(&facts["value"], &format!("#{number}"));
        if !facts["gradient"]["norm"].is_null() {
            same(&facts["gradient"], &format!("#{number}.grad"));
            gradients += 1;
        }
        assert_eq!(facts["proof"]["verified"], true);
    }
    assert!(gradients > 3, "{gradients}");
}

#[test]
fn only_files_that_the_graph_names_are_shown() {
    let place = place("sources");
    let studio = studio(&place);
    let (_, drawing) = ask(&studio, "/api/graph?run=tiny");
    let named: Vec<&str> = list(&drawing["files"]).iter().map(|file| file[0].as_str().unwrap()).collect();
    let lenet = named.iter().find(|file| file.ends_with("zoo/src/lenet.rs")).unwrap();
    let (status, source) = ask(&studio, &format!("/api/graph/source?run=tiny&file={lenet}"));
    assert_eq!(status, 200, "{source}");
    let lines = list(&source["lines"]);
    let line_of = |text: &str| 1 + lines.iter().position(|line| line.as_str().unwrap().contains(text)).unwrap() as u64;
    let conv1 = line_of("at / \"conv1\"");
    let made = list(&source["nodes"]).iter().find(|entry| entry[0] == conv1).expect("the line of conv1 made nodes");
    assert!(list(&made[1]).len() > 5, "{made}");
    // Anything else is refused, whether it is there or not.
    let secret = place.0.join("secret.txt");
    let up = format!("{lenet}/../lenet.rs");
    let others = [
        secret.to_str().unwrap(),
        "/etc/passwd",
        "../secret.txt",
        "run.toml",
        "Cargo.toml",
        "crates/zoo/src/lib.rs",
        &up,
        "",
        "crates/zoo/src/LENET.rs",
        "./crates/zoo/src/lenet.rs",
        "crates//zoo/src/lenet.rs",
    ];
    for other in others {
        let (status, answer) = ask(&studio, &format!("/api/graph/source?run=tiny&file={}", other.replace('/', "%2F")));
        assert_eq!(status, 404, "{other}: {answer}");
        assert!(answer["lines"].is_null() && !answer.to_string().contains(tiny::SECRET), "{other}: {answer}");
    }
}

#[test]
fn timing_the_kernels_changes_nothing() {
    let place = place("times");
    let studio = studio(&place);
    let before = ask(&studio, "/api/tensor?run=tiny&step=5&node=conv1/weight.grad").1;
    let (status, times) = ask(&studio, "/api/graph/times?run=tiny&times=2");
    assert_eq!(status, 200, "{times}");
    let (_, drawing) = ask(&studio, "/api/graph?run=tiny&zoom=kernels");
    assert_eq!(list(&times["kernels"]).len() as u64, drawing["kernels"].as_u64().unwrap());
    assert!(times["all"].as_f64().unwrap() > 0.0);
    // (Another question, for the first one's answer is kept.)
    let after = ask(&studio, "/api/tensor?run=tiny&step=5&node=conv1/weight.grad&most=100000").1;
    assert_eq!((&before["f32"], &after["proof"]["verified"]), (&after["f32"], &true.into()));
}

#[test]
fn what_is_no_box_or_zoom_is_refused_with_a_reason() {
    let place = place("refusals");
    let studio = studio(&place);
    for (rest, expected) in [
        ("/api/graph?run=tiny&zoom=near", 400),
        ("/api/graph?run=none", 404),
        ("/api/graph/box?run=tiny&id=x1", 400),
        ("/api/graph/box?run=tiny&id=n99999999999999999999", 400),
        ("/api/graph/box?run=tiny&id=n100000", 404),
        ("/api/graph/box?run=tiny&id=k100000", 404),
        ("/api/graph/box?run=tiny&id=g:forward:nothing", 404),
        ("/api/graph/box?run=tiny&id=g:sideways:conv1", 400),
        ("/api/graph?run=tiny&step=0", 422),
        ("/api/teach?example=none", 404),
        ("/api/teach?set=q:1", 400),
    ] {
        let (status, answer) = ask(&studio, rest);
        assert_eq!(status, expected, "{rest}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|text| text.len() > 10), "{rest}: {answer}");
    }
}
