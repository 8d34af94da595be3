use super::*;
use crate::testing::Folder;
use serde_json::json;

fn contents() -> Contents {
    let record = Record::new("digits", "glassbox train digits", 7, &[("simd", "avx2".to_owned())]);
    Contents { record, config: "[train]\n".to_owned(), data: json!({}), graph: json!({}) }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_run_that_is_there_is_never_overwritten() {
    let folder = Folder::new();
    let out = folder.path().join("mine");
    RunDir::create(Some(&out), &contents(), |_| Ok(())).unwrap();
    let error = RunDir::create(Some(&out), &contents(), |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(names(folder.path()), ["mine"]);
    assert_eq!(names(&out), ["checkpoints", "config.toml", "data.json", "graph.json", "log", "pictures", "run.toml"]);
}

#[test]
fn a_run_that_cannot_be_filled_leaves_nothing() {
    let folder = Folder::new();
    let out = folder.path().join("mine");
    let refused = RunDir::create(Some(&out), &contents(), |_| Err(Error::usage("no", "no")));
    assert!(refused.is_err());
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn what_was_written_is_read_back() {
    let folder = Folder::new();
    let out = folder.path().join("mine");
    let mut run = RunDir::create(Some(&out), &contents(), |_| Ok(())).unwrap();
    run.end(Status::Finished, &serde_json::Map::from_iter([("test_accuracy".to_owned(), json!(0.5))])).unwrap();
    let read = RunDir::open(&out).unwrap();
    assert_eq!(read.record(), run.record());
    assert_eq!((read.record().seed, read.record().status.as_str()), (7, "finished"));
}

#[test]
fn a_folder_that_is_no_run_is_said_to_be_none() {
    let folder = Folder::new();
    let error = RunDir::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is not a run: it holds no run.toml"), "{error}");
    let error = RunDir::open(&folder.path().join("x")).unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
}

#[test]
fn a_damaged_record_is_corrupt() {
    let folder = Folder::new();
    fs::write(folder.path().join("run.toml"), "seed = many\n").unwrap();
    assert!(matches!(RunDir::open(folder.path()), Err(Error::Corrupt { .. })));
}

#[test]
fn a_run_that_fails_takes_the_folders_that_it_made_with_it() {
    let folder = Folder::new();
    let refused = RunDir::create(Some(&folder.path().join("a/b/run")), &contents(), |_| Err(Error::usage("no", "no")));
    assert!(refused.is_err());
    assert_eq!(names(folder.path()), Vec::<String>::new());
    // A parent that cannot be made whole leaves none of its parts.
    fs::create_dir(folder.path().join("mine")).unwrap();
    assert!(RunDir::create(Some(&folder.path().join("mine/\0/run")), &contents(), |_| Ok(())).is_err());
    assert_eq!(names(&folder.path().join("mine")), Vec::<String>::new());
}

#[test]
fn temporary_folders_of_others_are_neither_used_nor_removed() {
    let folder = Folder::new();
    let other = folder.path().join(format!(".run-{}.tmp", std::process::id()));
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes"), "mine").unwrap();
    let run = RunDir::create(Some(&folder.path().join("run")), &contents(), |_| Ok(())).unwrap();
    assert!(RunDir::create(Some(&folder.path().join("two")), &contents(), |_| Err(Error::usage("no", "no"))).is_err());
    assert_eq!(fs::read_to_string(other.join("notes")).unwrap(), "mine");
    assert_eq!(run.leftovers(), Vec::<PathBuf>::new());

    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    fs::File::open(&other).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(run.leftovers(), [other]);
}
