use super::*;
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
    assert_eq!(newest(folder.path()).unwrap(), Newest { found: Some((200, new)), torn: vec![] });
}

#[test]
fn whatever_is_torn_is_set_aside_and_the_one_before_is_taken() {
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
        let Newest { found, torn } = newest(folder.path()).unwrap();
        assert_eq!(found, Some((100, folder.path().join("step-000100"))), "{why}");
        assert!(torn.len() == 1 && torn[0].contains(why) && torn[0].contains("step-000200.torn-1"), "{torn:?}");
        assert!(!new.exists() && folder.path().join("step-000200.torn-1").is_dir());
    }
}

#[test]
fn leftovers_of_a_crash_are_no_checkpoints() {
    let (folder, new) = two();
    fs::create_dir(folder.path().join("step-000300.tmp-77")).unwrap();
    assert_eq!(newest(folder.path()).unwrap().found, Some((200, new)));
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
    assert_eq!(verify(&new), Ok(()));
}

#[test]
fn pruning_keeps_the_newest() {
    let (folder, new) = two();
    prune(folder.path(), 0).unwrap();
    assert_eq!(list(folder.path()).unwrap().len(), 2);
    prune(folder.path(), 1).unwrap();
    assert_eq!(list(folder.path()).unwrap(), [(200, new)]);
}
