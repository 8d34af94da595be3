//! The recipe `text`: what fills a text up changes no answer, a cut changes no bit, and a model goes where its run does not.

mod cut;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cpu::Cpu;
use data::Tokenizer;
use glassbox_zoo as zoo;
use nn::{Layer, Pass, Scope};
use tensor::Tensor;
use train::event::End;
use train::{evaluate, predict_text};
use zoo::Run;
use zoo::text::{Bag, TextConv, TextReader};

const MODELS: [&str; 3] = ["bag", "cnn", "lstm"];

/// Texts of two classes, which a word or two tell apart, in a folder for each.
fn texts(folder: &Path) -> PathBuf {
    let data = folder.join("texts");
    let (things, good, bad) =
        (["film", "cast", "plot", "score"], ["fine", "moving", "bright"], ["dull", "weak", "stale"]);
    for (class, words) in [("good", good), ("bad", bad)] {
        fs::create_dir_all(data.join(class)).unwrap();
        for n in 0..60 {
            let (a, b) = (things[n % 4], things[n / 4 % 4]);
            let more = " and on and on".repeat(n % 3);
            let text = format!("The {a}{more} was {}, {n} times; the {b} too.", words[n % 3]);
            fs::write(data.join(class).join(format!("{n}.txt")), text).unwrap();
        }
    }
    data
}

/// A folder for one test, with the texts in it.
fn folder(name: &str) -> (PathBuf, PathBuf) {
    let path = std::env::temp_dir().join(format!("glassbox-text-classes-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    let data = texts(&path);
    (path, data)
}

fn train(model: &str, data: &Path, path: &Path, cut: u64, changes: &[(&str, &str)]) -> End {
    let small = [("model.width", "16"), ("model.features", "8"), ("data.vocabulary", "300"), ("train.batch", "16")];
    let all = [&small[..], &[("model.name", model), ("model.pairs", "97")], changes].concat();
    cut::train("text", &all, Some(data), path, cut)
}

#[test]
fn what_fills_a_text_up_changes_no_bit_of_its_answer() {
    let cpu = Cpu::new(2).unwrap();
    let at = Scope::root(3);
    let models: [Box<dyn Layer>; 4] = [
        Box::new(Bag::new(&(&at / "bag"), 50, 12, 0, 0.5, 3)),
        Box::new(Bag::new(&(&at / "pairs"), 50, 12, 31, 0.5, 3)),
        Box::new(TextConv::new(&(&at / "cnn"), 50, 12, 10, 0.5, 3)),
        Box::new(TextReader::new(&(&at / "lstm"), 50, 12, 10, 0.5, 3)),
    ];
    let text = |length: usize| (0..length).map(move |place| ((place * 7 + length) % 49 + 1) as f32);
    for model in &models {
        let logits = |rows: &[usize], places: usize| {
            let row = |&length: &usize| text(length).chain(std::iter::repeat(0.0)).take(places);
            let x = Tensor::from_vec(rows.iter().flat_map(row).collect::<Vec<f32>>(), [rows.len(), places]);
            let logits = model.forward(&x, &Pass::eval());
            cpu.run(&[&logits], &[]).unwrap()[0].as_slice::<f32>().unwrap().to_vec()
        };
        for length in [1, 2, 5, 20] {
            let alone = logits(&[length], length);
            for places in [length + 1, length + 9, 64] {
                assert_eq!(alone, logits(&[length], places), "{length} tokens in {places} places");
                // Beside others, longer and shorter, and a row without any.
                let beside = logits(&[places, length, 0, 1], places);
                assert_eq!(alone, beside[3..6], "{length} tokens of {places} beside others");
            }
        }
        assert_ne!(logits(&[5], 5), logits(&[6], 6));
    }
}

#[test]
fn each_model_learns_what_a_word_says_and_is_opened_without_its_run() {
    for model in MODELS {
        let (folder, data) = folder(model);
        let run = folder.join("run");
        let end = train(model, &data, &run, 0, &[("train.epochs", "20"), ("train.lr", "0.02")]);
        assert_eq!(end.figures["test_accuracy"], 1.0, "{model}: {:?}", end.figures);
        let weights = run.join(format!("checkpoints/step-{:06}/model.safetensors", end.step));
        let copied = folder.join("mine.safetensors");
        fs::copy(weights, &copied).unwrap();
        let cpu = Cpu::new(1).unwrap();
        let (whole, alone) = (zoo::open(&run).unwrap(), zoo::open_model(&copied).unwrap().unwrap());
        for text in ["What a DULL plot", "a bright film", "zzz \u{1F980}"] {
            let [a, b] =
                [&whole, &alone].map(|opened| predict_text(&cpu, opened.model.as_ref(), text, &opened.input).unwrap());
            assert_eq!(a, b);
            let wanted = if text.contains("DULL") { "bad" } else { "good" };
            assert!(text.starts_with("zzz") || a.classes[0].0 == wanted, "{model}: {text}: {a:?}");
        }
        assert!(predict_text(&cpu, whole.model.as_ref(), " ", &whole.input).is_err());
        // Other texts are read by the tokens of the run, whatever they would teach.
        let other = folder.join("other.csv");
        let rows = "a dull cast,bad\nfine,good\nweak,bad\nmoving score,good\n".repeat(3);
        fs::write(&other, format!("text,label\n{rows}")).unwrap();
        let splits = (whole.recipe.splits)(&whole.settings, Some(&other)).unwrap();
        assert_ne!(splits.input.tokens, whole.input.tokens);
        let scores = evaluate(&cpu, whole.model.as_ref(), Arc::clone(&splits.train), &whole.input, 4).unwrap();
        assert_eq!(scores.accuracy.value(), 1.0, "{model}");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_run_that_is_cut_ends_with_the_same_bits_and_is_replayed() {
    let changes = [("train.epochs", "2"), ("checkpoint.keep", "0")];
    for model in MODELS {
        let (folder, data) = folder(&format!("cut-{model}"));
        let whole = folder.join("whole");
        let steps = train(model, &data, &whole, 0, &changes).step;
        let outcome = |path: &Path| {
            let last = path.join(format!("checkpoints/step-{steps:06}"));
            let files = ["model.safetensors", "optim.safetensors", "state.json"].map(|name| last.join(name));
            let files = files.into_iter().chain([path.join("log/metrics.jsonl"), path.join("data.json")]);
            files.map(|file| fs::read(file).unwrap()).collect::<Vec<_>>()
        };
        for cut in [1, 5, steps - 1] {
            let path = folder.join(format!("cut-{cut}"));
            train(model, &data, &path, cut, &changes);
            train(model, &data, &path, 0, &changes);
            assert!(outcome(&path) == outcome(&whole), "{model} cut after step {cut}");
        }
        let mut run = Run::open_on(Cpu::new(1).unwrap(), &whole, None).unwrap();
        let checked = run.check(1..=steps, &mut |_| {}).unwrap();
        assert_eq!((checked.recorded, checked.differences), (steps, Vec::new()), "{model}");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn tokens_are_learnt_from_the_training_texts_alone() {
    let (folder, data) = folder("alone");
    let recipe = zoo::find("text").unwrap();
    let splits = (recipe.splits)(&(recipe.settings)(), Some(&data)).unwrap();
    let texts: Vec<String> =
        (0..splits.train.len()).map(|row| format!(" {}", splits.train.words(row).unwrap())).collect();
    let wanted = Tokenizer::learn(texts.iter().map(String::as_str), 8000, true);
    assert_eq!(splits.input.tokens.as_deref(), Some(&wanted));
    // As long as all but the longest 2 % of them.
    let longest = texts.iter().map(|text| wanted.encode(text).len()).max().unwrap();
    assert!(splits.input.shape[0] <= longest && splits.input.shape[0] > longest / 2, "{:?}", splits.input.shape);
    fs::remove_dir_all(folder).unwrap();
}
