//! What stands out in a run, as a user asks for it.

use std::fs;

use crate::support::{Folder, SHORT};

#[test]
fn a_usual_run_is_called_one_wherever_it_lies() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out mine")).ok();
    fs::rename(folder.join("mine"), folder.join("moved")).unwrap();
    let out = folder.run("why moved").ok().out;
    assert!(out.starts_with("moved: 6 steps in the ledger; made again: 6\n"), "{out}");
    assert!(
        out.contains("note: rows are called mislabelled by their losses over 5 epochs or more, and the run made 1"),
        "{out}"
    );
    assert!(out.ends_with("\nnothing unusual found\n"), "{out}");
    let out = folder.run("why moved --step 3 --threads 1").ok().out;
    assert!(out.ends_with("made again: 3\nnothing unusual found at step 3\n"), "{out}");
    let end = folder.run("why moved --json").ok().end();
    assert_eq!((&end["event"], &end["status"], &end["steps"]), (&"end".into(), &"usual".into(), &6.into()));
    assert!(end["findings"].as_array().unwrap().is_empty());

    for (line, words) in
        [("why moved --step 7", "give a step from 1 to 6"), ("why nowhere", "does not exist"), ("why", "<RUN>")]
    {
        let outcome = folder.run(line);
        assert!(outcome.code == 2 && outcome.err.contains(words), "{line}: {outcome:?}");
    }
}

#[test]
fn a_run_that_diverged_is_explained() {
    let folder = Folder::new();
    let outcome =
        folder.run(&format!("{SHORT} --out mine --set train.optimizer=sgd --lr 1000 --set train.schedule=constant"));
    assert_eq!(outcome.code, 5, "{outcome:?}");
    assert!(outcome.out.contains("glassbox why mine looks for the cause"), "{outcome:?}");
    let page = || fs::read_to_string(folder.join("mine/report.html")).unwrap();
    assert!(page().contains("<h2>Why it stopped</h2>") && page().contains("<pre>glassbox why mine</pre>"));
    folder.run("report mine").ok();
    assert!(page().contains("<li><b>loss spike at step "), "{}", page());
    let out = folder.run("why mine").ok().out;
    for words in [
        "1. loss spike at step ",
        "what if step ",
        "at learning rate 500",
        "the rate is too large",
        "look: glassbox show mine --step ",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let end = folder.run("why mine --json").ok().end();
    let finding = &end["findings"][0];
    assert_eq!((&end["status"], &finding["kind"]), (&"unusual".into(), &"loss spike".into()), "{end}");
    assert!(finding["what_if"][0]["would"]["next"].is_number() || finding["what_if"][0]["would"]["next"].is_string());
    // Every command that it names can be given.
    for look in out.lines().filter_map(|line| line.trim().strip_prefix("look: glassbox ")) {
        folder.run(&look.replace('\'', "")).ok();
    }
}
