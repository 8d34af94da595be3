//! Recipes on text: a cut and a replay change no bit of a state that is carried, a cache changes no bit of an answer.

mod cut;

use std::fs;
use std::path::{Path, PathBuf};

use cpu::Cpu;
use glassbox_zoo as zoo;
use nn::{Layer, Pass, Scope};
use tensor::Tensor;
use train::replay::Change;
use train::{Source, Status};
use zoo::char_rnn::{self, TextLstm};
use zoo::gpt::{self, Cache, Gpt};
use zoo::{Run, Sampling, Writer};

const SMALL: [(&str, &str); 7] = [
    ("train.batch", "4"),
    ("train.epochs", "2"),
    ("data.length", "12"),
    ("data.val", "0.1"),
    ("model.layers", "2"),
    ("model.dropout", "0.2"),
    ("checkpoint.keep", "0"),
];

/// A folder for one test.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("glassbox-text-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

/// A little text, which repeats itself.
fn text(folder: &Path) -> PathBuf {
    let path = folder.join("rhyme.txt");
    let line = |i: usize| {
        format!("{} little {}, sitting on a wall;\n", ["Ten", "Nine", "Six", "Two"][i % 4], ["cats", "hens"][i % 2])
    };
    fs::write(&path, (0..18).map(line).collect::<String>()).unwrap();
    path
}

fn train(recipe: &str, data: &Path, path: &Path, cut: u64) -> train::event::End {
    let sizes = if recipe == "gpt" {
        [("model.width", "16"), ("train.max_steps", "12")]
    } else {
        [("model.hidden", "10"), ("train.max_steps", "0")]
    };
    cut::train(recipe, &[&SMALL[..], &sizes].concat(), Some(data), path, cut)
}

fn outcome(path: &Path, steps: u64) -> Vec<Vec<u8>> {
    let last = path.join(format!("checkpoints/step-{steps:06}"));
    let files = ["model.safetensors", "optim.safetensors", "state.json"].map(|name| last.join(name));
    files.iter().chain([&path.join("log/metrics.jsonl")]).map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn a_run_on_text_cut_after_any_step_ends_with_the_same_bits_and_is_replayed() {
    for recipe in ["char-rnn", "lstm-text", "gpt"] {
        let folder = folder(recipe);
        let data = text(&folder);
        let end = train(recipe, &data, &folder.join("whole"), 0);
        assert_eq!(end.status, Status::Finished);
        for figure in ["test_loss", "test_bits", "test_perplexity", "test_ngram_loss"] {
            assert!(end.figures[figure].as_f64().is_some_and(f64::is_finite), "{recipe} {figure}");
        }
        let wanted = outcome(&folder.join("whole"), end.step);
        for cut in 1..end.step {
            let path = folder.join("cut");
            train(recipe, &data, &path, cut);
            train(recipe, &data, &path, 0);
            assert!(outcome(&path, end.step) == wanted, "{recipe} cut after step {cut}");
            fs::remove_dir_all(&path).unwrap();
        }
        let mut run = Run::open_on(Cpu::new(1).unwrap(), &folder.join("whole"), None).unwrap();
        let checked = run.check(1..=end.step, &mut |_| {}).unwrap();
        assert_eq!((checked.recorded, checked.differences), (end.step, Vec::new()), "{recipe}");
        // A step that changes no weight leaves its own batch as it was, also where a state is carried on.
        let still = run.what_if(4, &Change::Rate(0.0)).unwrap().would;
        assert_eq!(still.after.to_bits(), still.loss.to_bits(), "{recipe}");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_run_on_text_writes_on_as_its_seed_says() {
    let folder = folder("write");
    let data = text(&folder);
    for recipe in ["char-rnn", "gpt"] {
        let path = folder.join(recipe);
        train(recipe, &data, &path, 0);
        let write_of = |opened: &zoo::Opened, threads: usize, how: Sampling| {
            let mut writer = Writer::of(opened, Cpu::new(threads).unwrap()).unwrap();
            writer.read("Ten little").unwrap();
            let mut all = String::new();
            let mut hear = |letter: &str| {
                all.push_str(letter);
                true
            };
            writer.write(40, &how, &mut hear).unwrap();
            all
        };
        let write = |threads: usize, how: Sampling| write_of(&zoo::open(&path).unwrap(), threads, how);
        let how = Sampling { temperature: 0.8, ..Sampling::default() };
        assert_eq!(write(1, how), write(2, how));
        assert_ne!(write(1, how), write(1, Sampling { seed: 1, ..how }));
        // The model without its run, whatever rows a batch had.
        let mut checkpoints: Vec<PathBuf> =
            fs::read_dir(path.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
        checkpoints.sort();
        let alone = folder.join(format!("{recipe}.safetensors"));
        fs::copy(checkpoints.last().unwrap().join("model.safetensors"), &alone).unwrap();
        assert_eq!(write_of(&zoo::open_model(&alone).unwrap().unwrap(), 1, how), write(1, how), "{recipe}");
        let mut writer = Writer::of(&zoo::open(&path).unwrap(), Cpu::new(1).unwrap()).unwrap();
        let error = writer.read("Ten €").unwrap_err().to_string();
        assert!(error.contains("has no '€'"), "{error}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_letter_read_into_the_cache_gives_the_logits_of_the_whole_text_to_the_bit() {
    let cpu = Cpu::shared().unwrap();
    for (context, tied) in [(7, true), (96, false)] {
        let scope = Scope::root(3);
        let sizes = gpt::Sizes { symbols: 11, layers: 2, heads: 2, width: 24, context, drop: 0.1, tied };
        let model = Gpt::new(&scope, sizes);
        let symbols: Vec<usize> = (0..context).map(|i| (i * i + 3) % 11).collect();
        let x = Tensor::from_vec(symbols.iter().map(|&symbol| symbol as f32).collect(), [1, context]);
        let whole = cpu.run(&[&model.forward(&x, &Pass::eval())], &[]).unwrap().remove(0);
        let whole = whole.as_slice::<f32>().unwrap();
        let mut cache = Cache::new(&model);
        for (at, &symbol) in symbols.iter().enumerate() {
            let (logits, updates) = cache.read(&model, symbol);
            let own = cpu.run(&[&logits], &updates).unwrap().remove(0);
            let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(own.as_slice().unwrap()), bits(&whole[at * 11..(at + 1) * 11]), "place {at} of {context}");
        }
    }
}

#[test]
fn the_lstm_of_2015_has_the_parameters_that_were_published() {
    for (hidden, layers, wanted) in [(128, 2, 240_321), (512, 2, 3_320_385), (512, 3, 5_421_633)] {
        let scope = Scope::root(0);
        let sizes = char_rnn::Sizes { symbols: 65, layers, hidden, drop: 0.0, rows: 50 };
        let _model = TextLstm::new(&scope, sizes, None);
        let count: usize = scope.parameters().iter().map(|var| var.shape().count()).sum();
        assert_eq!(count, wanted);
    }
}

/// Card of the system: interpolated Witten-Bell on nanoGPT's split and on that of char-rnn.
#[test]
fn counted_letters_come_to_the_figures_that_others_got() {
    let path = std::env::var_os("GLASSBOX_DATA").map(|root| PathBuf::from(root).join("tinyshakespeare/input.txt"));
    let Some(path) = path.filter(|path| path.is_file()) else {
        eprintln!("skipped: GLASSBOX_DATA holds no tinyshakespeare");
        return;
    };
    let text = data::read_text(&path).unwrap();
    assert_eq!((text.symbols.len(), text.alphabet.len()), (1_115_394, 65));
    for (share, wanted) in
        [(0.9, [3.347, 2.486, 2.049, 1.774, 1.669, 1.698]), (0.95, [3.361, 2.487, 2.082, 1.832, 1.742, 1.775])]
    {
        let cut = (text.symbols.len() as f64 * share) as usize;
        let nats = data::NGram::of(&text.symbols[..cut], 6, 65).nats(&text.symbols[cut..]);
        for (own, wanted) in nats.iter().zip(wanted) {
            assert!((own - wanted).abs() < 6e-4, "{nats:?}");
        }
    }
}

#[test]
fn sizes_that_make_no_sense_are_errors_and_no_panic() {
    let sizes = |heads: usize, width: usize| gpt::Sizes {
        symbols: 5,
        layers: 1,
        heads,
        width,
        context: 4,
        drop: 0.0,
        tied: true,
    };
    let x = Tensor::from_vec(vec![1.0f32, 2.0], [1, 2]);
    for (heads, width) in [(0, 8), (3, 8), (0, 0)] {
        let model = Gpt::new(&Scope::root(0), sizes(heads, width));
        assert!(model.forward(&x, &Pass::eval()).error().is_some(), "{heads} {width}");
        assert!(Cache::new(&model).read(&model, 1).0.error().is_some(), "{heads} {width}");
    }
    assert!(Gpt::new(&Scope::root(0), sizes(2, 8)).forward(&x, &Pass::eval()).error().is_none());
}

#[test]
fn the_order_of_n_grams_is_chosen_without_the_test_text() {
    let folder = folder("order");
    // What is learnt from and watched by repeats pairs; the test part is one letter, of which single letters say most.
    let path = folder.join("text.txt");
    fs::write(&path, "abab".repeat(200) + &"b".repeat(60)).unwrap();
    let recipe = zoo::find("lstm-text").unwrap();
    for (val, share) in [("data.val", "0.1"), ("data.val", "0")] {
        let mut settings = (recipe.settings)();
        for (name, value) in [(val, share), ("data.test", "0.07"), ("data.length", "8"), ("train.batch", "2")] {
            settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
        }
        let counted = train::baseline::baseline(&(recipe.splits)(&settings, Some(&path)).unwrap()).unwrap();
        assert!(counted.order > 1 && counted.nats[0] < counted.chosen(), "{counted:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_optimiser_without_weight_decay_says_so() {
    let recipe = zoo::find("mlp").unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in [("train.optimizer", "levenberg"), ("train.weight_decay", "0.1")] {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let error = recipe.job(settings, None).err().unwrap().to_string();
    assert!(error.contains("levenberg knows no weight decay"), "{error}");
}
