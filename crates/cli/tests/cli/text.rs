//! A text from training to writing on.

use crate::support::Folder;
use serde_json::json;

fn rhymes(folder: &Folder) {
    let line = |i: usize| {
        format!("{} little {}, sitting on a wall;\n", ["Ten", "Nine", "Six"][i % 3], ["cats", "hens"][i % 2])
    };
    std::fs::create_dir_all(folder.join("rhymes")).unwrap();
    std::fs::write(folder.join("rhymes/a.txt"), (0..20).map(line).collect::<String>()).unwrap();
    std::fs::write(folder.join("rhymes/notes.md"), "not read").unwrap();
}

const SMALL: &str = "--data rhymes --epochs 2 --batch 4 --set data.length=10 --set data.val=0.1 --set model.layers=1";

#[test]
fn a_text_is_learnt_measured_beside_n_grams_and_written_on() {
    let folder = Folder::new();
    rhymes(&folder);
    for recipe in ["char-rnn --set model.hidden=8", "lstm-text --set model.hidden=8", "gpt --set model.width=16"] {
        let name = recipe.split(' ').next().unwrap();
        let words = folder.run(&format!("train {recipe} {SMALL} --out {name}")).ok().out;
        assert!(words.contains(" nats a symbol  ") && words.contains("glassbox sample"), "{words}");
        let eval = folder.run(&format!("eval {name} --json")).ok().end();
        let end = std::fs::read_to_string(folder.join(&format!("{name}/run.toml"))).unwrap();
        assert!(end.contains(&format!("test_loss = {}", eval["test_loss"])), "{end} {eval}");
        assert_eq!(eval["ngram_losses"].as_array().unwrap().len(), 6);
        let text = folder.run(&format!("eval {name}")).ok().out;
        assert!(text.contains("test symbols, each asked for once") && text.contains("the bar"), "{text}");
        let sample = |more: &str| folder.run(&format!("sample {name} --prompt Ten --length 30 {more}")).ok().out;
        let (first, again) = (sample("--seed 4 --threads 1"), sample("--seed 4 --threads 2"));
        assert!(first.starts_with("Ten") && first.chars().count() == 34 && first == again, "{first}");
        let object = folder.run(&format!("sample {name} --prompt Ten --length 30 --seed 4 --json")).ok().end();
        assert_eq!(object["text"], json!(first["Ten".len()..first.len() - 1]));
        let page = std::fs::read_to_string(folder.join(&format!("{name}/report.html"))).unwrap();
        assert!(page.contains("bits a symbol") && page.contains("-gram, which only counts"), "{name}");
        folder.run(&format!("report {name} --out page.html")).ok();
        folder.run(&format!("replay {name} --all --check")).ok();
        folder.run(&format!("show {name} --step 2 losses")).ok();
        folder.run(&format!("why {name}")).ok();
        let line = format!("explain {name} hens, --method all --points 64 -o {name}.svg --json");
        let explained = folder.run(&line).ok().end();
        let maps = explained["maps"].as_array().unwrap();
        assert!(maps.len() == 5 && maps.iter().all(|map| map["shape"] == json!([5])), "{explained}");
        let residual = maps.iter().find_map(|map| map["completeness"]["residual"].as_f64()).unwrap();
        assert!(residual.is_finite(), "{explained}");
        let heads = explained["attention"].as_array().unwrap();
        assert_eq!(heads.len(), usize::from(name == "gpt"), "one attention in one block, and none in an LSTM");
        assert!(std::fs::read_to_string(folder.join(&format!("{name}.svg"))).unwrap().contains("what follows: "));
    }
}

#[test]
fn what_does_not_apply_to_a_text_is_said() {
    let folder = Folder::new();
    rhymes(&folder);
    folder.run(&format!("train gpt --set model.width=16 {SMALL} --out mine")).ok();
    let refused = [
        ("predict mine picture.png", "knows text and no pictures"),
        ("explain mine Ünder", "has no 'Ü'"),
        ("explain mine Ten --method grad-cam", "a text has none"),
        ("explain mine sittingonawall", "the network reads 10 at once"),
        ("sample mine --prompt Ünder", "has no 'Ü'"),
        ("sample mine --temperature -1", "must be 0 or more"),
        ("train gpt --data rhymes --set model.width=9", "cannot be shared by 4 heads"),
        ("train lstm-text", "needs a text"),
        ("train lstm-text --data rhymes --batch 64", "is too short"),
    ];
    for (line, wanted) in refused {
        let outcome = folder.run(line);
        assert!(outcome.code != 0 && outcome.err.contains(wanted), "{line}: {outcome:?}");
    }
    folder.run("train digits --epochs 1 --set train.max_steps=2 --out digits").ok();
    let outcome = folder.run("sample digits");
    assert!(outcome.err.contains("writes no text"), "{outcome:?}");
}
