//! What a network is seen to do: `explain` and `experiment`.

use std::fs;

use crate::support::{Folder, SHORT};
use serde_json::json;

#[test]
fn an_answer_is_explained_drawn_and_checked() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    let text = folder.run("explain mine test:3").ok().out;
    for words in ["what the score of ", "integrated: ", "completeness: it adds up to ", "wrote explanation.svg"] {
        assert!(text.contains(words), "{text}");
    }
    let svg = fs::read_to_string(folder.join("explanation.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("data:image/png;base64,") && svg.ends_with("</svg>\n"));
    let line = "explain mine mine/pictures/test-0.png --method all --class 7 --points 64 -o maps.png --json";
    let end = folder.run(line).ok().end();
    assert_eq!((&end["class"], &end["written"], &end["step"]), (&json!("7"), &json!("maps.png"), &json!(6)));
    let maps = end["maps"].as_array().unwrap();
    let names: Vec<&str> = maps.iter().map(|map| map["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["gradient", "gradient-input", "smoothgrad", "integrated", "grad-cam", "occlusion"]);
    for map in maps {
        assert_eq!((&map["shape"], map["places"].as_array().unwrap().len()), (&json!([28, 28]), 784));
        assert!(map["deletion"]["beats"].is_number() && map["randomisation"].as_array().unwrap().len() == 4, "{map}");
    }
    // (Of a network that hardly learned, the difference is too small for shares of it.)
    let complete = |name: &str| maps[3]["completeness"][name].as_f64().unwrap();
    assert!((complete("sum") - complete("difference")).abs() < 1e-3, "{}", maps[3]["completeness"]);
    assert_eq!(maps[4]["layer"], json!("conv2/relu"));
    assert!(fs::read(folder.join("maps.png")).unwrap().starts_with(b"\x89PNG"));
    // Asked again, the very same; at another step, another score.
    assert_eq!(folder.run(line).ok().end(), end);
    let before = folder.run(&format!("{line} --step 2")).ok().end();
    assert!(before["step"] == json!(2) && before["score"] != end["score"], "{before}");
    assert_eq!(folder.run("predict mine mine/pictures/test-0.png").code, 0);
}

#[test]
fn what_cannot_be_explained_is_said() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    for (line, code, words) in [
        ("explain mine test:3 --method grad-cma", 2, "did you mean grad-cam?"),
        ("explain mine test:1000", 2, "there are 1000 test rows, and none is row 1000"),
        ("explain mine test:x", 2, "write test:17"),
        ("explain mine test:3 --class eleven", 2, "no class \"eleven\""),
        ("explain mine test:3 -o map.jpg", 2, "neither .svg nor .png"),
        ("explain mine none.png", 3, "none.png"),
        ("explain mine test:3 --method grad-cam --layer conv9", 2, "did you mean conv1?"),
        ("explain mine test:3 --points 0", 2, "points cannot be 0"),
        ("explain mine test:3 --points 1000000000", 2, "give points from 1 to 16384"),
        ("explain none test:3", 2, "none does not exist"),
    ] {
        let outcome = folder.run(line);
        assert!(outcome.code == code && outcome.err.contains(words), "{line}: {outcome:?}");
    }
    assert!(!folder.join("explanation.svg").exists());
}

#[test]
fn the_experiment_writes_its_plate_and_its_numbers() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    let end = folder.run("experiment hubel-wiesel mine -o cat --json").ok().end();
    let names: Vec<&str> =
        end["populations"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["learnt", "untrained"]);
    let learnt = &end["populations"][0];
    assert_eq!((&learnt["layer"], &learnt["filters"]), (&json!("conv1/relu"), &json!([6, 1, 5, 5])));
    assert_eq!(learnt["cells"].as_array().unwrap().len(), 6);
    for file in ["plate.svg", "numbers.json", "learnt.png", "untrained.png", "filters.safetensors"] {
        assert!(folder.join("cat").join(file).is_file(), "{file}");
    }
    let numbers: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("cat/numbers.json")).unwrap()).unwrap();
    assert_eq!(numbers["populations"], end["populations"]);
    // The file of the run's model is the run; its filters alone are filters without a network; a seed is a network, too.
    let model = "experiment hubel-wiesel mine/checkpoints/step-000006/model.safetensors -o file --json";
    assert_eq!(folder.run(model).ok().end()["populations"][0], *learnt);
    let alone = folder.run("experiment hubel-wiesel cat/filters.safetensors -o alone --json").ok().end();
    assert_eq!(alone["populations"][0]["layer"], json!("filters/relu"));
    assert_eq!(alone["populations"][0]["cells"][2]["gabor"], learnt["cells"][2]["gabor"]);
    let seed = folder.run("experiment hubel-wiesel mine --untrained -o seed --json").ok().end();
    assert_eq!(seed["populations"][0], end["populations"][1]);
}

#[test]
fn filters_are_learnt_from_a_folder_of_pictures() {
    let folder = Folder::new();
    folder.pictures("pets", &["cat", "dog"], 30);
    let line = "experiment hubel-wiesel pets --filters 9 --size 7 -o out";
    let text = folder.run(line).ok().out;
    assert!(text.contains("9 filters of 7 × 7 pixels, learnt from the pictures in pets"), "{text}");
    assert!(text.contains("tolerance to place, pixels") && text.contains("\nrandom: 9 filters"), "{text}");
    let large = folder.run("experiment hubel-wiesel pets --size 13 -o out");
    assert!(large.code == 2 && large.err.contains("no patches of 13 x 13 pixels"), "{large:?}");
    let none = folder.run("experiment hubel-wiesel pets --filters 0 -o out");
    assert!(none.code == 2 && none.err.contains("0 is not in 1..=4096"), "{none:?}");
}

#[test]
fn a_network_without_filters_is_no_subject() {
    let folder = Folder::new();
    folder.run(&format!("{} --out mine", SHORT.replace("digits", "mlp"))).ok();
    let refused = folder.run("experiment hubel-wiesel mine");
    assert!(refused.code == 2 && refused.err.contains("no convolution whose filters"), "{refused:?}");
    let refused = folder.run("experiment hubel-wiesel nowhere.safetensors");
    assert!(refused.code == 2 && refused.err.contains("nowhere.safetensors does not exist"), "{refused:?}");
    assert!(!folder.join("hubel-wiesel").exists());
}

#[test]
fn a_folder_becomes_a_classifier_and_its_explanation_in_one_command() {
    let folder = Folder::new();
    folder.pictures("both", &["cat", "background"], 12);
    let line = "train images --data both --epochs 1 --set data.size=16 --set model.width=8 --explain --out run --json";
    let outcome = folder.run(line).ok();
    let objects = outcome.objects();
    let explained = objects.iter().find(|object| object["event"] == "explained").unwrap();
    assert_eq!(
        explained["written"],
        serde_json::json!(["run/pictures/explained-0.svg", "run/pictures/explained-1.svg"])
    );
    assert_eq!(outcome.end()["event"], "end");
    for class in 0..2 {
        let svg = std::fs::read_to_string(folder.join(&format!("run/pictures/explained-{class}.svg"))).unwrap();
        assert!(svg.contains("integrated") && svg.contains("occlusion"), "{svg:.300}");
    }
}
