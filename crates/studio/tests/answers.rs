//! What the page is told is what the library says.

mod tiny;

use glassbox_studio::tensors::encoded;
use serde_json::Value;
use tensor::{RandomKey, Values};
use tiny::{ask, place, post, studio};

#[test]
fn fifty_random_values_of_random_steps_are_those_of_the_librarys_replay() {
    let place = place("values");
    let studio = studio(&place);
    let mut run = zoo::Run::open(place.0.join("runs/tiny")).unwrap();
    let last = run.last_step().unwrap();
    let key = RandomKey::new(5).stream("values");
    let mut compared = 0;
    for draw in 0..50 {
        let step = 1 + key.below(3 * draw, last);
        let at = run.at(step).unwrap();
        // A name, or the number of a node of the graph.
        let name = if key.below(3 * draw + 1, 2) == 0 {
            let named = &at.names()[key.below(3 * draw + 2, at.names().len() as u64) as usize].name;
            let ends = ["", ".grad", ".update", ".next"].map(|end| format!("{named}{end}"));
            ends.into_iter().rev().find(|name| at.node(name).is_ok()).unwrap()
        } else {
            format!("#{}", key.below(3 * draw + 2, at.nodes().len() as u64))
        };
        let value = at.tensor(&name).unwrap();
        let target = format!("/api/tensor?run=tiny&step={step}&node={}&most=1000000", name.replace('#', "%23"));
        let (status, answer) = ask(&studio, &target);
        assert_eq!(status, 200, "{target}: {answer}");
        assert_eq!(answer["shape"], Value::from(value.shape().to_vec()), "{target}");
        match value.values() {
            Values::F32(numbers) => assert_eq!(answer["f32"], encoded(numbers), "{target}"),
            Values::I64(numbers) => assert_eq!(answer["numbers"], Value::from(numbers.clone()), "{target}"),
            _ => assert_eq!(answer["numbers"].as_array().map(Vec::len), Some(value.shape().count()), "{target}"),
        }
        assert_eq!(answer["proof"]["verified"], true, "{target}: {}", answer["proof"]);
        compared += 1;
    }
    assert_eq!(compared, 50);
}

#[test]
fn every_view_has_its_answers_and_says_how_they_were_verified() {
    let place = place("views");
    let studio = studio(&place);
    let (_, runs) = ask(&studio, "/api/runs");
    let tiny = &runs["runs"][0];
    assert_eq!((&tiny["id"], &tiny["step"], &tiny["live"]), (&"tiny".into(), &tiny["steps"], &false.into()), "{tiny}");
    let last = tiny["step"].as_u64().unwrap();
    let (_, facts) = ask(&studio, "/api/run?run=tiny");
    assert_eq!(facts["checkpoints"].as_array().unwrap().last(), Some(&last.into()));

    let (_, curve) = ask(&studio, "/api/curve?run=tiny&name=loss&width=10&smooth=3");
    assert_eq!((curve["count"].as_u64(), curve["steps"].as_array().unwrap().len()), (Some(last), 10));
    let (_, curve) = ask(&studio, "/api/curve?run=tiny&name=val_accuracy");
    assert!(curve["last"][1].is_number() || curve["names"]["epochs"].as_array().unwrap().len() > 1, "{curve}");

    for step in [0, 1, 20, last] {
        let (status, weights) = ask(&studio, &format!("/api/weights?run=tiny&step={step}"));
        assert_eq!((status, &weights["weight"]["name"]), (200, &"conv1/weight".into()), "{weights}");
        assert_eq!(weights["proof"]["verified"], step > 0, "{}", weights["proof"]);
        let (_, layers) = ask(&studio, &format!("/api/layers?run=tiny&step={step}&part=test&row=3"));
        let sum: f64 = layers["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5 && layers["layers"].as_array().unwrap().len() > 8);
    }
    let (_, flow) = ask(&studio, "/api/flow?run=tiny&step=7");
    assert!(flow["parameters"].as_array().unwrap().iter().all(|p| p["ratio"].as_f64().unwrap() > 0.0), "{flow}");

    let (_, confusion) = ask(&studio, &format!("/api/confusion?run=tiny&step={last}&part=test"));
    let counts = confusion["counts"].as_array().unwrap();
    let total: u64 = counts.iter().flat_map(|row| row.as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((total, confusion["asked"].as_u64()), (60, Some(60)));
    let mut shown = 0;
    for (label, taken) in (0..100).map(|cell| (cell / 10, cell % 10)) {
        let target = format!("/api/cell?run=tiny&step={last}&part=test&label={label}&taken={taken}");
        let (_, cell) = ask(&studio, &target);
        assert_eq!(cell["count"], counts[label][taken], "{target}");
        shown += cell["rows"].as_array().unwrap().len();
    }
    assert_eq!(shown, 60);

    let (_, near) = ask(&studio, &format!("/api/neighbours?run=tiny&step={last}&part=train&row=0"));
    let near = near["neighbours"].as_array().unwrap();
    assert!(near.len() == 12 && near.iter().all(|one| one["row"] != 0), "{near:?}");
    let (_, sample) = ask(&studio, "/api/sample?run=tiny&part=train&row=0");
    assert!(sample["stored"].as_str().unwrap().starts_with("data:image/png;base64,"), "{sample}");
    let (_, history) = ask(&studio, &format!("/api/history?run=tiny&step={last}&row=0"));
    let losses = history["losses"].as_array().unwrap();
    assert!(!losses.is_empty() && losses.iter().all(|one| one[2].as_f64().unwrap() > 0.0), "{history}");
}

#[test]
fn the_accuracy_on_the_page_is_that_of_an_evaluation() {
    let place = place("accuracy");
    let studio = studio(&place);
    let opened = zoo::open(&place.0.join("runs/tiny")).unwrap();
    let splits = (opened.recipe.splits)(&opened.settings, opened.data_dir(None).unwrap()).unwrap();
    let cpu = cpu::Cpu::new(1).unwrap();
    let scores = train::evaluate(&cpu, opened.model.as_ref(), splits.test, &opened.input, 64).unwrap();
    let (_, answer) = ask(&studio, &format!("/api/confusion?run=tiny&step={}&part=test", opened.step));
    assert_eq!(answer["accuracy"].as_f64(), Some(scores.accuracy.value()));
    assert!((answer["loss"].as_f64().unwrap() - scores.loss.value()).abs() < 1e-5);
    for (label, taken) in (0..100).map(|cell| (cell / 10, cell % 10)) {
        assert_eq!(answer["counts"][label][taken], scores.confusion.count(label, taken));
    }
}

#[test]
fn a_picture_of_ones_own_is_answered_as_predict_answers_it() {
    let place = place("try");
    let studio = studio(&place);
    let opened = zoo::open(&place.0.join("runs/tiny")).unwrap();
    let image = data::Image::from_fn(1, 40, 40, |_, y, x| f32::from(u8::from((15..25).contains(&x) && y > 5)));
    let bytes: Vec<u8> = image.pixels.iter().map(|&x| (255.0 * x) as u8).collect();
    let png = data::encode_png(1, 40, 40, &bytes).unwrap();
    let target = format!("/api/try?run=tiny&step={}", opened.step);
    let (_, answer) = post(&studio, &target, png);
    let (image, _) = zoo::picture::prepared(image, opened.recipe.light_on_dark).unwrap();
    let cpu = cpu::Cpu::new(1).unwrap();
    let prediction = train::predict(&cpu, opened.model.as_ref(), image, &opened.input).unwrap();
    for (name, probability) in prediction.classes {
        let class = opened.input.classes.iter().position(|class| *class == name).unwrap();
        assert_eq!(answer["probabilities"][class].as_f64(), Some(f64::from(probability)), "{name}");
    }
    for body in [vec![], b"no picture".to_vec()] {
        assert_eq!(post(&studio, &target, body).0, 422);
    }
}

#[test]
fn a_map_comes_with_its_certificates_and_leaves_the_weights_as_they_were() {
    let place = place("maps");
    let studio = studio(&place);
    let (_, methods) = ask(&studio, "/api/methods");
    let before = ask(&studio, "/api/layers?run=tiny&step=40&part=test&row=2").1;
    for method in methods["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        let target = format!("/api/attribution?run=tiny&step=40&part=test&row=2&method={name}");
        let (status, answer) = ask(&studio, &target);
        assert_eq!((status, &answer["map"]["shape"]), (200, &Value::from(vec![28, 28])), "{answer}");
        assert!(answer["certificates"]["deletion"]["beats"].is_number(), "{answer}");
        if name == "integrated" {
            let residual = answer["certificates"]["completeness"]["residual"].as_f64().unwrap();
            assert!(residual < 0.01, "{residual}");
        }
    }
    // Another question, so that it is not the same answer.
    let after = ask(&studio, "/api/layers?run=tiny&step=40&part=test&row=2&again").1;
    assert_eq!(before["logits"], after["logits"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_words() {
    let place = place("senseless");
    let studio = studio(&place);
    for (target, status) in [
        ("/api/none", 404),
        ("/api/tensor?run=tiny", 400),
        ("/api/tensor?run=tiny&step=x&node=loss", 400),
        ("/api/tensor?run=tiny&step=0&node=loss", 422),
        ("/api/tensor?run=tiny&step=99999999&node=loss", 422),
        ("/api/tensor?run=tiny&step=18446744073709551615&node=loss", 422),
        ("/api/tensor?run=tiny&step=3&node=los", 422),
        ("/api/tensor?run=tiny&step=3&node=loss&row=7", 400),
        ("/api/layers?run=tiny&step=3&part=test&row=60", 400),
        ("/api/layers?run=tiny&step=3&part=none&row=0", 400),
        ("/api/attribution?run=tiny&step=3&part=test&row=0&method=guess", 400),
        ("/api/attribution?run=tiny&step=3&part=test&row=0&class=10", 422),
        ("/api/run?run=other", 404),
        ("/api/run?run=..", 404),
        ("/api/run?run=../runs/tiny", 404),
        ("/api/run?run=tiny/..", 404),
        ("/api/run?run=tiny/log", 404),
        ("/api/run?run=/etc", 404),
        ("/api/run?run=", 404),
        ("/api/run?run=./tiny", 404),
    ] {
        let (found, answer) = ask(&studio, target);
        assert_eq!(found, status, "{target}: {answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty(), "{target}");
    }
}
