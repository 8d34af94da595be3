//! A table from training to predictions for new rows.

use std::fs;

use crate::support::Folder;
use serde_json::json;

fn flowers(folder: &Folder) {
    let mut text = "length,colour,kind,weight\n".to_owned();
    for row in 0..150 {
        let (length, colour) = (f64::from(row % 17), ["red", "blue"][row as usize % 2]);
        let kind = if length > 8.0 { "rose" } else { "daisy" };
        text.push_str(&format!("{length},{colour},{kind},{}\n", 10.0 + 3.0 * length + f64::from(row % 2)));
    }
    fs::write(folder.join("flowers.csv"), text).unwrap();
    fs::write(folder.join("new.csv"), "colour,length,kind\nred,3,daisy\nblue,12,rose\n").unwrap();
}

const FEW: &str = "--data flowers.csv --epochs 30 --batch 16";

#[test]
fn a_number_is_learnt_measured_and_predicted() {
    let folder = Folder::new();
    flowers(&folder);
    let words = folder.run(&format!("train table {FEW} --out mine")).ok().out;
    for said in ["weight is the last column", "test R^2 0.9", "glassbox predict mine ROWS.csv"] {
        assert!(words.contains(said), "{said}: {words}");
    }
    let eval = folder.run("eval mine --json").ok().end();
    let end = fs::read_to_string(folder.join("mine/run.toml")).unwrap();
    assert!(end.contains(&format!("test_rmse = {}", eval["test_rmse"])), "{end} {eval}");
    assert!(eval["linear"]["r2"].as_f64().unwrap() > 0.999, "{eval}");
    let text = folder.run("eval mine").ok().out;
    assert!(text.contains("weight of 30 test rows") && text.contains("linear regression   R^2 1.0000"), "{text}");
    assert!(folder.run("eval mine --data flowers.csv").ok().out.contains("of 150 test rows"));
    let said = folder.run("predict mine new.csv").ok().out;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("new.csv:2: weight "), "{said}");
    let said: f32 = lines[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((said - 19.0).abs() < 6.0, "{said}");
    let objects = folder.run("predict mine new.csv --json").ok().objects();
    assert_eq!((objects.len(), &objects[0]["row"], &objects[2]["rows"]), (3, &json!("new.csv:2"), &json!(2)));
    assert!((objects[0]["values"]["weight"].as_f64().unwrap() - f64::from(said)).abs() < 1e-3);
    for line in [
        "report mine --out page.html",
        "show mine",
        "show mine --step 3 losses",
        "why mine",
        "replay mine --all --check",
    ] {
        folder.run(line).ok();
    }
    for page in ["page.html", "mine/report.html"] {
        let page = fs::read_to_string(folder.join(page)).unwrap();
        for said in ["Predicted and true", "<h3>R²</h3><svg", "flowers.csv:", "mean size of an error"] {
            assert!(page.contains(said), "{said}");
        }
        assert!(!page.contains("What was taken for what") && !page.contains("NaN"));
        assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
    }
    let picture = fs::read_to_string(folder.join("mine/pictures/predictions.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.matches("<circle").count() == 30, "{picture}");
}

#[test]
fn classes_of_a_table_are_learnt_and_what_does_not_apply_is_said() {
    let folder = Folder::new();
    flowers(&folder);
    let words = folder.run(&format!("train table {FEW} --set data.target=kind --out mine")).ok().out;
    assert!(words.contains("one of 2 classes") && words.contains("glassbox predict mine ROWS.csv"), "{words}");
    fs::write(folder.join("new.csv"), "colour,length,weight\nred,3,19\n").unwrap();
    let said = folder.run("predict mine new.csv").ok().out;
    assert!(said.starts_with("new.csv:2: daisy "), "{said}");
    let told = folder.run("eval mine").ok().out;
    assert!(
        told.contains("what each class (row) was taken for") && told.contains("area under the ROC curve"),
        "{told}"
    );
    folder.run("report mine --out page.html").ok();
    fs::write(folder.join("odd.csv"), "colour,length,weight\ngreen,3,19\n").unwrap();
    fs::write(folder.join("less.csv"), "colour,weight\nred,19\n").unwrap();
    for (line, wanted) in [
        ("predict mine odd.csv", "odd.csv:2: column 'colour': 'green' is none of blue, red"),
        ("predict mine less.csv", "there is no column 'length'"),
        ("explain mine test:0", "knows rows of numbers and no pictures"),
        ("train table", "needs a table"),
        ("train table --data flowers.csv --explain", "learns rows of numbers"),
        ("train table --data flowers.csv --set data.goal=number --set data.target=kind", "'daisy' is not a number"),
        ("sample mine", "writes no text"),
    ] {
        let outcome = folder.run(line);
        assert!(outcome.code != 0 && outcome.err.contains(wanted), "{line}: {outcome:?}");
    }
}
