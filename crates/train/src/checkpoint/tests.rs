use super::*;
use crate::durable::fault::{self, Fault};
use crate::testing::Folder;

fn files(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![("model.safetensors", text.as_bytes().to_vec()), ("state.json", b"{}".to_vec())]
}

fn two() -> (Folder, PathBuf) {
    let folder = Folder::new();
    save(folder.path(), 100, &files("old")).unwrap();
    let new = save(folder.path(), 200, &files("new")).unwrap();
    (folder, new)
}

#[test]
fn the_newest_complete_checkpoint_is_found() {
    let (folder, new) = two();
    let files = files("new").into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let found = Some(Checkpoint { step: 200, place: new, files });
    assert_eq!(newest(folder.path()).unwrap(), Newest { found, torn: vec![] });
}

#[test]
fn whatever_is_torn_is_said_and_the_one_before_is_taken() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("COMMIT", |new| fs::remove_file(new.join("COMMIT")).unwrap()),
        ("MANIFEST", |new| fs::remove_file(new.join("MANIFEST")).unwrap()),
        ("MANIFEST is not the one", |new| fs::write(new.join("MANIFEST"), "").unwrap()),
        ("state.json", |new| fs::remove_file(new.join("state.json")).unwrap()),
        ("has 2 bytes, not 3", |new| fs::write(new.join("model.safetensors"), "ne").unwrap()),
        ("has other content", |new| fs::write(new.join("model.safetensors"), "nEw").unwrap()),
    ];
    for (why, damage) in damages {
        let (folder, new) = two();
        damage(&new);
        let newest = newest(folder.path()).unwrap();
        assert_eq!(newest.found.as_ref().map(|found| found.step), Some(100), "{why}");
        assert!(newest.torn.len() == 1 && newest.torn[0].1.contains(why), "{newest:?}");
        assert!(new.is_dir(), "a look changes nothing");

        let said = set_torn_aside(folder.path(), &newest);
        assert!(said.len() == 1 && said[0].contains(why) && said[0].contains("step-000200.torn-1"), "{said:?}");
        assert!(!new.exists() && folder.path().join("step-000200.torn-1").is_dir());
    }
}

#[test]
fn leftovers_of_a_crash_are_no_checkpoints() {
    let (folder, new) = two();
    fs::create_dir(folder.path().join("step-000300.tmp-77")).unwrap();
    fs::create_dir(folder.path().join(".old-step-000050")).unwrap();
    assert_eq!(newest(folder.path()).unwrap().found.map(|found| found.place), Some(new));
}

#[test]
fn a_folder_without_checkpoints_has_no_newest() {
    assert_eq!(newest(Folder::new().path()).unwrap(), Newest::default());
}

#[test]
fn a_torn_checkpoint_can_be_written_again() {
    let (folder, new) = two();
    fs::remove_file(new.join("COMMIT")).unwrap();
    save(folder.path(), 200, &files("again")).unwrap();
    assert_eq!(fs::read(new.join("model.safetensors")).unwrap(), b"again");
    assert!(read(&new).is_ok());
}

#[test]
fn what_a_killed_process_left_is_set_aside_and_a_removal_finished() {
    let (folder, _) = two();
    for name in ["step-000300.tmp-77", ".old-step-000050", "step-mine", "notes"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let said = set_torn_aside(folder.path(), &newest(folder.path()).unwrap());
    assert!(said.len() == 1 && said[0].contains("step-000300.tmp-77 was never finished: set aside as"), "{said:?}");
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["notes", "step-000100", "step-000200", "step-000300.torn-1", "step-mine"]);
}

#[test]
fn pruning_keeps_the_last_the_best_and_every_so_many() {
    let folder = Folder::new();
    (1..=9).for_each(|step| drop(save(folder.path(), step, &files("x")).unwrap()));
    fs::create_dir(folder.path().join("step-mine")).unwrap();
    let left = || list(folder.path()).unwrap().into_iter().map(|(step, _)| step).collect::<Vec<_>>();
    prune(folder.path(), Keep::default()).unwrap();
    assert_eq!(left().len(), 9);
    prune(folder.path(), Keep { last: 2, every: 4, best: Some(3), first: None }).unwrap();
    assert_eq!(left(), [3, 4, 8, 9]);
    prune(folder.path(), Keep { last: 1, ..Keep::default() }).unwrap();
    assert_eq!(left(), [9]);
    assert!(folder.path().join("step-mine").is_dir(), "what is no checkpoint is left alone");
}

#[test]
fn a_checkpoint_is_asked_for_by_its_step() {
    let (folder, new) = two();
    assert_eq!(of_step(folder.path(), 200).unwrap().place, new);
    let error = of_step(folder.path(), 150).unwrap_err().to_string();
    assert!(error.contains("no checkpoint of step 150") && error.contains("there are 100, 200"), "{error}");
}

#[test]
fn whatever_the_disk_refuses_no_torn_checkpoint_is_taken_for_a_good_one() {
    for fault in [Fault::Full, Fault::Death] {
        for after in 0.. {
            let folder = Folder::new();
            save(folder.path(), 100, &files("old")).unwrap();
            fault::plan(after, fault);
            let saved = save(folder.path(), 200, &files("new"))
                .and_then(|_| prune(folder.path(), Keep { last: 1, ..Keep::default() }));
            let all_went_well = fault::clear();
            let newest = newest(folder.path()).unwrap();
            let found = newest.found.as_ref().unwrap();
            let text = if found.step == 100 { "old" } else { "new" };
            assert_eq!(found.files["model.safetensors"], text.as_bytes(), "{fault:?} after {after}");
            assert!(saved.is_err() || found.step == 200);
            // The next process goes on.
            set_torn_aside(folder.path(), &newest);
            save(folder.path(), 200, &files("new")).unwrap();
            assert_eq!(super::newest(folder.path()).unwrap().found.unwrap().step, 200);
            if all_went_well {
                assert!(after > 15, "all of it was tried: {after}");
                break;
            }
        }
    }
}

#[test]
fn whoever_looks_while_a_run_is_trained_finds_a_checkpoint_and_disturbs_nothing() {
    let folder = Folder::new();
    let large = |step: u64| vec![("model.safetensors", vec![step as u8; 1 << 16]), ("state.json", b"{}".to_vec())];
    save(folder.path(), 1, &large(1)).unwrap();
    std::thread::scope(|scope| {
        let trained = scope.spawn(|| {
            for step in 2..150 {
                save(folder.path(), step, &large(step)).unwrap();
                prune(folder.path(), Keep { last: 1, ..Keep::default() }).unwrap();
            }
        });
        while !trained.is_finished() {
            let Newest { found, torn } = newest(folder.path()).unwrap();
            assert_eq!(torn, []);
            let found = found.unwrap();
            assert_eq!(found.files["model.safetensors"][0], found.step as u8);
        }
    });
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["step-000149"]);
}
