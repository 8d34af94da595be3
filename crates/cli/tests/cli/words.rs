//! Texts into classes, from a folder or a table to predictions and what they hang on.

use crate::support::Folder;
use serde_json::json;

const SMALL: &str = "--set model.width=16 --set model.features=8 --set model.dropout=0.1 --set data.vocabulary=300 --batch 8 --epochs 40 --lr 0.02";

/// Reviews as files of two classes, or as the rows of a table.
fn reviews(folder: &Folder) {
    let (things, good, bad) = (["film", "cast", "plot"], ["fine", "moving"], ["dull", "weak"]);
    let mut table = "stars,Review,label\n".to_owned();
    for (class, words) in [("good", good), ("bad", bad)] {
        std::fs::create_dir_all(folder.join("reviews").join(class)).unwrap();
        for n in 0..40 {
            let text = format!("The {} was {}, \"they\" say,\n{n} times.", things[n % 3], words[n % 2]);
            std::fs::write(folder.join("reviews").join(class).join(format!("{n}.txt")), &text).unwrap();
            table.push_str(&format!("{n},\"{}\",{class}\n", text.replace('"', "\"\"")));
        }
    }
    std::fs::write(folder.join("reviews.csv"), table).unwrap();
}

#[test]
fn texts_are_looked_at_learnt_from_predicted_and_explained() {
    let folder = Folder::new();
    reviews(&folder);
    let seen = folder.run("data reviews").ok().out;
    assert!(
        seen.starts_with("reviews: texts in class folders, 80 files") && seen.contains("words of a text: 8"),
        "{seen}"
    );
    let dry = folder.run(&format!("train text --data reviews --dry-run {SMALL}")).ok().out;
    assert!(dry.contains("rows: 60 to train, 8 to validate, 12 to test") && dry.contains("tokens learnt"), "{dry}");
    for model in ["bag", "cnn", "lstm"] {
        let words = folder.run(&format!("train text --model {model} --data reviews --out {model} {SMALL}")).ok().out;
        assert!(words.contains("test accuracy 100.00 %"), "{words}");
        assert!(
            words.contains(&format!("glassbox predict {model} --text")) && !words.contains("test-0.png"),
            "{words}"
        );
        let eval = folder.run(&format!("eval {model} --json")).ok().end();
        assert_eq!((&eval["test_accuracy"], &eval["confusion"]), (&json!(1.0), &json!([[6, 0], [0, 6]])));
        let args = ["predict", model, "reviews/bad/3.txt", "--text", "What a FINE\n plot", "--text", "dull", "--json"];
        let outcome = crate::support::Outcome::of(&mut folder.command(&args)).ok().objects();
        let labels: Vec<_> = outcome.iter().map(|object| object["label"].as_str().unwrap_or_default()).collect();
        assert_eq!(labels, ["bad", "good", "bad", ""], "{outcome:?}");
        assert_eq!((&outcome[1]["text"], &outcome[3]["texts"]), (&json!("What a FINE plot"), &json!(3)));
        let explained = folder.run(&format!("explain {model} test:0 -o {model}.svg --json")).ok().end();
        let (places, map) =
            (explained["places"].as_array().unwrap(), explained["maps"][0]["places"].as_array().unwrap());
        let most =
            (0..map.len()).max_by(|&a, &b| map[a].as_f64().unwrap().total_cmp(&map[b].as_f64().unwrap())).unwrap();
        let word = places[most].as_str().unwrap().trim();
        assert!(["fine", "moving", "dull", "weak"].contains(&word), "{model}: {word} {explained}");
        assert!(std::fs::read_to_string(folder.join(&format!("{model}.svg"))).unwrap().contains("its class: "));
        let said = crate::support::Outcome::of(&mut folder.command(&["explain", model, "a dull plot"])).ok().out;
        assert!(
            said.starts_with("its class: bad") && said.contains("what the score of bad hangs on: dull +"),
            "{said}"
        );
    }
    let page = std::fs::read_to_string(folder.join("cnn/report.html")).unwrap();
    assert!(page.contains("<p class=\"words\">The ") && page.contains("see the texts behind it"));
    folder.run("report cnn --out page.html").ok();
    folder.run("replay cnn --all --check").ok();
    folder.run("why cnn").ok();
    folder.run("show cnn --step 2 conv3").ok();
    folder.run("resume cnn --epochs +1").ok();
    folder.run("sweep text --try model.name=bag,cnn --data reviews --set train.max_steps=3 --out tried").ok();
}

#[test]
fn a_table_is_learnt_from_and_what_is_not_clear_is_asked() {
    let folder = Folder::new();
    reviews(&folder);
    let words = folder.run(&format!("train text --data reviews.csv --model bag --out mine {SMALL}")).ok().out;
    assert!(words.contains("test accuracy 100.00 %"), "{words}");
    std::fs::copy(folder.join("reviews.csv"), folder.join("train.csv")).unwrap();
    std::fs::write(folder.join("test.csv"), "stars,Review,label\n1,weak,bad\n5,fine,good\n").unwrap();
    std::fs::create_dir_all(folder.join("parts")).unwrap();
    for name in ["train.csv", "test.csv"] {
        std::fs::copy(folder.join(name), folder.join("parts").join(name)).unwrap();
    }
    for data in ["--data train.csv --set data.test_file=test.csv", "--data parts"] {
        let end = folder.run(&format!("train text {data} --model bag --json {SMALL}")).ok().end();
        assert_eq!((&end["test_rows"], &end["test_accuracy"]), (&json!(2), &json!(1.0)), "{data}");
    }
    std::fs::write(folder.join("two.csv"), "text,review,label\na,b,c\nd,e,f\n").unwrap();
    let refused = [
        ("train text", "needs texts to learn from"),
        ("train text --data two.csv", "which column holds the text: text or review?"),
        ("train text --data two.csv --set data.text=words", "there is no column 'words'"),
        ("train text --data reviews --explain", "this recipe learns from texts"),
        ("predict mine --text", "a value is required"),
        ("predict mine", "not provided"),
        ("explain mine fine --method integrated", "only occlusion can be asked"),
        ("explain mine test:99", "none is row 99"),
        ("sample mine", "writes no text"),
    ];
    for (line, wanted) in refused {
        let outcome = folder.run(line);
        assert!(outcome.code != 0 && outcome.err.contains(wanted), "{line}: {outcome:?}");
    }
    folder.run("train digits --epochs 1 --set train.max_steps=2 --out digits").ok();
    assert!(folder.run("predict digits --text seven").err.contains("this run knows no texts"));
}
