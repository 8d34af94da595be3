//! `glassbox data`, manifests, and trainings that are held to them.

use crate::support::Folder;

/// A folder of two classes.
fn pets() -> Folder {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 10);
    folder
}

#[test]
fn a_dataset_is_shown_with_its_counts_and_its_faults() {
    let folder = pets();
    std::fs::copy(folder.join("pets/cat/3.png"), folder.join("pets/background/same.png")).unwrap();
    std::fs::write(folder.join("pets/cat/broken.jpg"), [0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3]).unwrap();
    let text = folder.run("data pets").ok().out;
    assert!(text.starts_with("pets: pictures in class folders, 22 files, "), "{text}");
    for said in [
        "background         11  ██████████████████████████████\n",
        "size: 12 x 12 pixels\n",
        "broken: 1\n  cat/broken.jpg: JPEG: ",
        "same content, other class: 1\n  background/same.png = cat/3.png\n",
    ] {
        assert!(text.contains(said), "{said:?} in\n{text}");
    }
    let object = folder.run("data pets --json").ok().end();
    assert_eq!((&object["convention"], &object["broken_count"]), (&"folders".into(), &1.into()));
    assert_eq!(object["contradictions"][0]["rows"][1]["id"], "cat/3.png");
}

#[test]
fn what_is_not_clear_is_asked() {
    let folder = pets();
    std::fs::write(folder.join("pets/names.csv"), "a,label\n1,2\n").unwrap();
    let refused = folder.run("data pets");
    assert_eq!(refused.code, 3);
    assert!(refused.err.ends_with("help: say which is meant: --as csv or --as folders\n"), "{}", refused.err);
    assert!(folder.run("data pets --as csv").ok().out.contains("target: column label"));
    let wrong = folder.run("data pets --as tables");
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.contains("there is no convention \"tables\"") && wrong.err.contains("there are folders, idx, csv"),
        "{}",
        wrong.err
    );
}

#[test]
fn a_manifest_says_what_changed_and_no_training_begins_or_goes_on_then() {
    let folder = pets();
    folder.run("data pets --manifest pets.json").ok();
    let same = folder.run("data pets --check pets.json").ok().out;
    assert_eq!(same, "pets is as pets.json says: 20 files\n");
    let train = "train images --data pets --epochs 1 --batch 8 --set model.width=4 --set train.max_steps=1 --json";
    folder.run(&format!("{train} --manifest pets.json --out mine")).ok();
    let record = std::fs::read_to_string(folder.join("mine/data.json")).unwrap();
    assert!(record.contains("\"class\": \"cat\""), "{record}");

    folder.pictures("more", &["x", "y"], 21);
    std::fs::remove_file(folder.join("pets/cat/7.png")).unwrap();
    std::fs::copy(folder.join("more/y/20.png"), folder.join("pets/cat/new.png")).unwrap();
    std::fs::copy(folder.join("more/x/20.png"), folder.join("pets/background/2.png")).unwrap();
    let changes = "cat/7.png is gone, background/2.png changed, cat/new.png is new";
    let check = folder.run("data pets --check pets.json");
    assert_eq!((check.code, check.out.lines().count()), (3, 4));
    assert_eq!(check.out.lines().skip(1).map(str::trim).collect::<Vec<_>>().join(", "), changes);
    let refused = folder.run(&format!("{train} --manifest pets.json"));
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.contains(&format!("is not what {} says: {changes}", folder.join("pets.json").display())),
        "{}",
        refused.err
    );
    assert!(!folder.join("runs").exists());
    let resumed = folder.run("resume mine --set train.max_steps=2");
    assert_eq!(resumed.code, 3);
    assert!(resumed.err.contains(&format!("it is not what mine was trained on: {changes}")), "{}", resumed.err);
}

#[test]
fn a_manifest_that_a_file_of_settings_names_lies_beside_that_file() {
    let folder = pets();
    std::fs::create_dir(folder.join("plans")).unwrap();
    folder.run("data pets --manifest plans/pets.json").ok();
    std::fs::write(folder.join("plans/my.toml"), "[data]\nmanifest = \"pets.json\"\n[model]\nwidth = 4\n").unwrap();
    let train = "train images --data pets --epochs 1 --batch 8 --set train.max_steps=1 --config plans/my.toml";
    folder.run(&format!("{train} --out mine")).ok();
    let config = std::fs::read_to_string(folder.join("mine/config.toml")).unwrap();
    assert!(config.contains(&format!("manifest = \"{}\"", folder.join("plans/pets.json").display())), "{config}");
    std::fs::remove_file(folder.join("pets/cat/7.png")).unwrap();
    let refused = folder.run(train);
    assert!(refused.code == 3 && refused.err.contains("cat/7.png is gone"), "{}", refused.err);
}

#[test]
fn a_broken_file_that_is_skipped_must_be_as_the_manifest_says_too() {
    let folder = pets();
    folder.run("data pets --manifest whole.json").ok();
    let picture = std::fs::read(folder.join("pets/cat/7.png")).unwrap();
    std::fs::write(folder.join("pets/cat/7.png"), &picture[..40]).unwrap();
    folder.run("data pets --manifest broken.json").ok();
    let train = "train images --data pets --epochs 1 --batch 8 --set model.width=4 --set train.max_steps=1 \
                 --set data.on_broken=skip";
    let refused = folder.run(&format!("{train} --manifest whole.json"));
    assert!(refused.code == 3 && refused.err.contains("says: cat/7.png changed"), "{}", refused.err);
    folder.run(&format!("{train} --manifest broken.json")).ok();
}

#[test]
fn a_damaged_manifest_is_none() {
    let folder = pets();
    folder.run("data pets --manifest pets.json").ok();
    let text = std::fs::read_to_string(folder.join("pets.json")).unwrap();
    std::fs::write(folder.join("pets.json"), text.replace("cat/7.png", "cat/8.png")).unwrap();
    let refused = folder.run("data pets --check pets.json");
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.starts_with("error: broken manifest file pets.json: its files are not those"),
        "{}",
        refused.err
    );
}
