//! Weights that were trained elsewhere: what a net says with them, and training its head alone.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use cpu::{Cpu, Run};
use data::{Image, read_picture, write_png};
use glassbox_zoo as zoo;
use nn::{Layer, Pass, Scope, safetensors};
use tensor::Tensor;
use train::fit;
use zoo::nets::{efficientnet_lite0, published};

use crate::few::folder;
use crate::job;

/// Two classes of six pictures: dark and light.
fn pictures(dir: &std::path::Path) {
    for (class, shade) in [("dark", 0.2), ("light", 0.8)] {
        std::fs::create_dir_all(dir.join(class)).unwrap();
        for number in 0..6 {
            let pixel = |c: usize, y: usize, x: usize| shade + ((7 * number + 5 * c + 3 * y + x) % 11) as f32 / 100.0;
            write_png(&dir.join(class).join(format!("{number}.png")), &Image::from_fn(3, 32, 32, pixel)).unwrap();
        }
    }
}

#[test]
fn the_head_alone_learns_and_the_backbone_stays_to_the_bit() {
    let folder = folder("transfer");
    pictures(&folder.join("data"));
    let (elsewhere, weights) = (Scope::root(5), folder.join("weights.safetensors"));
    let _net = published("mobilenet_v2", &elsewhere, [3, 32, 32], 7).unwrap();
    let state = elsewhere.state().unwrap();
    safetensors::save(&weights, &state, &safetensors::Metadata::new()).unwrap();
    let begun = |freeze: &str, from: &str| {
        let changes = [("model.name", "mobilenet_v2"), ("model.freeze", freeze), ("model.from", from)];
        let length = [("train.epochs", "3"), ("train.batch", "4"), ("data.val", "0")];
        job("images", &[&changes[..], &length].concat(), Some(&folder.join("data")))
    };
    let from = weights.display().to_string();
    let mut frozen = begun("backbone", &from).unwrap();
    let trained: Vec<String> = frozen.optimizer.parameters().iter().map(|var| var.name().to_owned()).collect();
    assert_eq!(trained, ["classifier/1/weight", "classifier/1/bias"]);
    let head = frozen.scope.find("classifier/1/weight").unwrap().value();
    fit(&Cpu::new(2).unwrap(), &mut frozen, Some(&folder.join("run")), "test", &AtomicBool::new(false), &mut |_| {})
        .unwrap();
    assert_ne!(*frozen.scope.find("classifier/1/weight").unwrap().value(), *head);
    for (name, value) in frozen.scope.state().unwrap() {
        let kept = state[&name] == value;
        assert!(kept || name.starts_with("classifier.1."), "{name} changed");
    }
    let fails = |freeze: &str, from: &str| begun(freeze, from).err().unwrap().to_string();
    std::fs::remove_file(&weights).unwrap();
    assert!(fails("", &from).contains("cannot read"), "{}", fails("", &from));
    // The run holds what it began with, and needs the file no more.
    let mut run = zoo::Run::open(folder.join("run")).unwrap();
    let began = run.at(1).unwrap().tensor("features/0/0/weight").unwrap();
    assert_eq!(began, state["features.0.0.weight"]);
    run.stand(6, &mut |_, recorded| {
        assert!(recorded);
        Ok(())
    })
    .unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_layer_and_those_in_it_or_all_from_the_first_to_it_stay_as_they_are() {
    let folder = folder("freezing");
    pictures(&folder.join("data"));
    let begun = |freeze: &str| {
        let changes = [("model.name", "mobilenet_v2"), ("model.freeze", freeze), ("data.val", "0")];
        job("images", &changes, Some(&folder.join("data")))
    };
    let learned = |freeze: &str| begun(freeze).unwrap().scope.trainable();
    let all = learned("");
    let place = |layer: &str| all.iter().position(|var| var.name().starts_with(layer)).unwrap();
    let (first, next) = (place("features/2/"), place("features/3/"));
    let names = |vars: &[tensor::Var]| vars.iter().map(|var| var.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&learned("features/2")), names(&[&all[..first], &all[next..]].concat()));
    assert_eq!(names(&learned("features.2")), names(&learned("features/2")));
    assert_eq!(names(&learned("..=features/2")), names(&all[next..]));
    assert_eq!(names(&learned("..=features/18")), ["classifier/1/weight", "classifier/1/bias"]);
    let unfrozen: usize = all[next..].iter().map(|var| var.shape().count()).sum();
    let partly = begun("..=features/2").unwrap();
    assert_eq!(partly.frozen(), partly.parameters() - unfrozen);
    let fails = |freeze: &str| begun(freeze).err().unwrap().to_string();
    assert!(fails("feature").contains("no layer \"feature\" to freeze"));
    assert!(fails("..=features/2/conv/9/9").contains("no layer \"features/2/conv/9/9\" to freeze"));
    assert!(fails("..=featurs/2/conv/2").contains("..=features/2/conv/2"), "{}", fails("..=featurs/2/conv/2"));
    let wanted = "freezes all of the net, and nothing is left to learn";
    assert!(fails("..=classifier/1").contains(wanted), "{}", fails("..=classifier/1"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn efficientnet_with_its_weights_says_what_the_reference_says() {
    let Some(data) =
        std::env::var_os("GLASSBOX_DATA").map(|root| PathBuf::from(root).join("weights")).filter(|dir| dir.is_dir())
    else {
        eprintln!("skipped: GLASSBOX_DATA holds no weights");
        return;
    };
    let reference = std::fs::read(data.join("efficientnet-lite0.reference.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_slice(&reference).unwrap();
    let at = Scope::root(0);
    let net = efficientnet_lite0(&at, 3, 1000);
    let mut state = safetensors::load(data.join("efficientnet-lite0.safetensors")).unwrap().tensors;
    for (name, value) in at.state().unwrap() {
        if name.ends_with("num_batches_tracked") {
            state.insert(name, value);
        }
    }
    at.load_state(&state, "the weights").unwrap();
    for (name, wanted) in reference.as_object().unwrap() {
        let stem = name.split('.').next().unwrap();
        let picture = data.join("reference-images").join(format!("eff_{stem}_224.png"));
        let picture = read_picture(&picture, 1 << 20).unwrap().to_image(3);
        let x = picture.pixels.iter().map(|x| (x * 255.0 - 127.0) / 128.0).collect();
        let logits = net.forward(&Tensor::from_vec(x, [1, 3, 224, 224]), &Pass::eval()).to_vec::<f32>().unwrap();
        for (found, wanted) in logits.iter().zip(wanted["logits_first8"].as_array().unwrap()) {
            let wanted = wanted.as_f64().unwrap();
            assert!((f64::from(*found) - wanted).abs() < 2e-3, "{name}: {found}, not {wanted}");
        }
        let best = (0..1000).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        assert_eq!(best as u64, wanted["top5"][0][0].as_u64().unwrap(), "{name}");
    }
}
