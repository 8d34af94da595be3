//! `glassbox report`, dry runs and lists of settings.

use crate::support::{Folder, SHORT};

#[test]
fn a_run_ends_with_a_page_and_it_can_be_written_again_elsewhere() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --tensorboard --out mine")).ok();
    let page = std::fs::read_to_string(folder.join("mine/report.html")).unwrap();
    assert!(page.contains("<h1>mine</h1>") && page.contains("What was taken for what"));
    assert_eq!(std::fs::read_dir(folder.join("mine/tensorboard")).unwrap().count(), 1);

    std::fs::rename(folder.join("mine"), folder.join("elsewhere")).unwrap();
    let out = folder.run("report elsewhere -o page.html --csv figures.csv --tensorboard board").ok().out;
    assert_eq!(out, "wrote figures.csv\nwrote board\nwrote page.html\n");
    let again = std::fs::read_to_string(folder.join("page.html")).unwrap();
    // But for the place, it is the page that the training wrote.
    assert_eq!(again.replace("elsewhere", "mine"), page);
    let table = std::fs::read_to_string(folder.join("figures.csv")).unwrap();
    assert!(table.starts_with("event,epoch,epochs,step,steps,"), "{table}");
    assert_eq!(table.lines().count(), 1 + 6 + 1);
}

#[test]
fn a_page_that_has_no_place_is_refused_with_advice_and_one_without_data_says_so() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 20);
    folder.run("train images --data pets --epochs 1 --batch 8 --set model.width=4 --out mine --json").ok();
    std::fs::remove_file(folder.join("mine/report.html")).unwrap();
    std::fs::create_dir_all(folder.join("mine/report.html/x")).unwrap();
    let refused = folder.run("report mine");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("choose another place for the page with --out FILE"), "{}", refused.err);
    std::fs::rename(folder.join("pets"), folder.join("elsewhere")).unwrap();
    let out = folder.run("report mine -o a.html").ok().out;
    assert!(out.starts_with("note: there are no answers on this page: cannot use folder "), "{out}");
    let out = folder.run("report mine -o b.html --data elsewhere").ok().out;
    assert_eq!(out, "wrote b.html\n");
    assert!(std::fs::read_to_string(folder.join("b.html")).unwrap().contains("What was taken for what"));
}

#[test]
fn a_dry_run_shows_sizes_memory_settings_and_the_first_batch_and_leaves_nothing() {
    let folder = Folder::new();
    std::fs::write(folder.join("my.toml"), "[train]\nlr = 0.5\nbatch = 32\n").unwrap();
    let line = "train digits --config my.toml --batch 16 --dry-run --picture batch.png";
    let text = folder.run(line).ok().out;
    for said in [
        "digits: 61,706 parameters\n",
        "steps: 225 an epoch, 2,700 in all\n",
        "memory of a step: ",
        "first batch: batch.png\n",
        "batch = 16                         # --batch 16; rows in a step\n",
        "lr = 0.5                           # my.toml:2; greatest learning rate\n",
        "epochs = 12                        # default; ",
    ] {
        assert!(text.contains(said), "{said:?} in\n{text}");
    }
    let object = folder.run(&format!("{line} --json")).ok().end();
    assert_eq!((&object["steps_per_epoch"], &object["origins"]["train.lr"]), (&225.into(), &"my.toml:2".into()));
    assert!(object["memory"]["arena"].as_u64().unwrap() > 100_000, "{object}");
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["batch.png", "my.toml"]);
}

#[test]
fn settings_are_listed_with_default_kind_and_help() {
    let folder = Folder::new();
    let text = folder.run("train images --help-settings").ok().out;
    assert!(text.lines().all(|line| line.contains(';')), "{text}");
    let of = |name: &str| {
        text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("train.batch"), "train.batch 64 rows in a step; a whole number from 1 to 65536");
    assert_eq!(of("data.flip"), "data.flip true mirror half of the training pictures; true or false");
    let object = folder.run("train images --help-settings --json").ok().end();
    assert_eq!(object["settings"][0]["name"], "train.epochs");
    let wrong = folder.run("train images --set train.btach=3 --dry-run");
    assert!(wrong.err.contains("did you mean train.batch?"), "{}", wrong.err);
}

#[test]
fn a_page_says_when_its_answers_are_not_those_of_the_run() {
    let folder = Folder::new();
    folder.run("train mlp --epochs 1 --set train.max_steps=4 --set checkpoint.every=2 --out mine").ok();
    assert_eq!(folder.run("report mine").ok().out, "wrote mine/report.html\n");
    std::fs::remove_file(folder.join("mine/checkpoints/step-000004/COMMIT")).unwrap();
    let told = folder.run("report mine").ok().out;
    assert!(told.contains("step-000004") && told.contains("the answers on this page are those of step 2"), "{told}");
    let page = std::fs::read_to_string(folder.join("mine/report.html")).unwrap();
    assert!(page.contains("the answers on this page are those of step 2"));
    let record = std::fs::read_to_string(folder.join("mine/data.json")).unwrap();
    // The first hash is that of the rows to test.
    let end = record.find("\"sha256\": \"").unwrap() + 11;
    std::fs::write(folder.join("mine/data.json"), format!("{}0000{}", &record[..end], &record[end + 4..])).unwrap();
    let told = folder.run("report mine --json").ok().out;
    assert!(told.contains("some of these rows may have been trained on"), "{told}");
}

#[test]
fn pages_that_are_written_at_once_are_whole() {
    let folder = Folder::new();
    folder.run("train mlp --epochs 1 --set train.max_steps=2 --out mine").ok();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(|| folder.run("report mine").ok().out)).collect();
        writers.into_iter().for_each(|writer| assert_eq!(writer.join().unwrap(), "wrote mine/report.html\n"));
    });
    assert!(std::fs::read_to_string(folder.join("mine/report.html")).unwrap().trim_end().ends_with("</html>"));
    let names = std::fs::read_dir(folder.join("mine")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains(".new")));
}
