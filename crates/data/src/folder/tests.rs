use super::*;
use crate::encode_png;
use std::fs;

/// A folder that disappears with its owner.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("glassbox-folder-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Temp(dir)
    }

    fn file(self, path: &str, bytes: &[u8]) -> Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// A grey 2 x 2 picture of one value.
    fn grey(self, path: &str, value: u8) -> Self {
        self.file(path, &encode_png(1, 2, 2, &[value; 4]).unwrap())
    }

    fn open(&self, options: &FolderOptions) -> Result<FolderSplits, String> {
        let shown = |e: DataError| e.to_string().replace(&self.0.display().to_string(), "DIR");
        FolderSplits::open(&self.0, options).map_err(shown)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn skip() -> FolderOptions {
    FolderOptions { on_broken: OnBroken::Skip, ..FolderOptions::default() }
}

fn names(set: &ImageFolder, dir: &Temp) -> Vec<String> {
    let name = |f: &ImageFile| f.path.strip_prefix(&dir.0).unwrap().to_string_lossy().replace('\\', "/");
    set.files().iter().map(name).collect()
}

#[test]
fn classes_are_sorted_nested_folders_flattened_and_hidden_files_ignored() {
    let dir = Temp::new("plain")
        .grey("dog/b.png", 1)
        .grey("dog/a/z.PNG", 2)
        .grey("Zebra/1.png", 3)
        .grey("cat/.hidden.png", 4)
        .grey("cat/9.jpeg", 51)
        .grey(".git/objects/1.png", 6)
        .file("cat/notes.txt", b"not a picture")
        .file("readme.md", b"beside the classes");
    let set = dir.open(&FolderOptions::default()).unwrap().train;
    assert_eq!(set.class_names(), ["Zebra", "cat", "dog"]);
    assert_eq!(names(&set, &dir), ["Zebra/1.png", "cat/9.jpeg", "dog/a/z.PNG", "dog/b.png"]);
    let sample = set.get(1).unwrap();
    assert_eq!(sample, Sample { x: vec![0.2; 4], shape: vec![1, 2, 2], target: Target::Class(1) });
    assert_eq!((set.channels(), set.common_size()), (1, Some((2, 2))));
}

#[test]
fn parts_share_the_class_numbers_of_the_training_part() {
    let dir = Temp::new("parts")
        .grey("train/a/1.png", 1)
        .grey("train/b/1.png", 2)
        .grey("train/c/1.png", 3)
        .grey("valid/c/1.png", 4)
        .file("test/b/1.png", &encode_png(3, 1, 1, &[9, 9, 9]).unwrap());
    let parts = dir.open(&FolderOptions::default()).unwrap();
    let (val, test) = (parts.val.unwrap(), parts.test.unwrap());
    assert_eq!(val.target(0).unwrap(), Target::Class(2));
    assert_eq!((val.class_names(), val.len(), parts.train.len()), (parts.train.class_names(), 1, 3));
    // Channels are the training part's as well: a colour picture becomes grey.
    assert_eq!(test.get(0).unwrap().shape, [1, 1, 1]);
}

#[test]
fn a_layout_that_is_no_dataset_is_an_error_that_lists_what_was_found() {
    let error = Temp::new("empty").open(&skip()).unwrap_err();
    assert_eq!(
        error,
        "cannot use folder DIR: it holds no folders, and there must be one for each class\n  found: nothing\n  \
         help: put the pictures into DIR/CLASS/, such as DIR/cat/1.png and DIR/dog/1.png"
    );
    let error = Temp::new("one").grey("cat/1.png", 1).open(&skip()).unwrap_err();
    assert!(error.contains("it holds one folder only (cat), and two classes or more are needed"), "{error}");
    let error = Temp::new("lack").grey("cat/1.png", 1).file("dog/1.txt", b"").open(&skip()).unwrap_err();
    assert!(error.contains("the class dog holds no picture\n  found: cat (1 pictures), dog (0 pictures)"), "{error}");
    let error = Temp::new("both").grey("train/a/1.png", 1).grey("train/b/1.png", 1);
    let error = error.grey("val/a/1.png", 1).grey("valid/a/1.png", 1).open(&skip()).unwrap_err();
    assert!(error.contains("it holds both val and valid"), "{error}");
    let error = Temp::new("new").grey("train/a/1.png", 1).grey("train/b/1.png", 1).grey("test/c/1.png", 1);
    let error = error.open(&skip()).unwrap_err();
    assert!(error.contains("the training part does not know c"), "{error}");
    assert!(error.contains("help: the training part has the classes a, b"), "{error}");
    let error = FolderSplits::open(Path::new("/no/such/folder"), &skip()).unwrap_err().to_string();
    assert!(error.starts_with("cannot list /no/such/folder: "), "{error}");
}

#[test]
fn a_class_named_train_is_a_class() {
    let dir = Temp::new("train").grey("train/1.png", 1).grey("bus/1.png", 2);
    assert_eq!(dir.open(&skip()).unwrap().train.class_names(), ["bus", "train"]);
}

#[test]
fn a_broken_file_is_an_error_or_skipped_and_listed() {
    let whole = encode_png(1, 2, 2, &[1; 4]).unwrap();
    let dir = Temp::new("broken")
        .grey("a/1.png", 1)
        .file("a/2.png", &whole[..whole.len() - 20])
        .file("a/3.jpg", b"nonsense")
        .grey("b/1.png", 2);
    let error = dir.open(&FolderOptions::default()).unwrap_err();
    assert!(error.starts_with("broken PNG file DIR/a/2.png: "), "{error}");
    assert!(error.ends_with("help: fetch it again, remove it, or have broken files skipped"), "{error}");
    let set = dir.open(&skip()).unwrap().train;
    assert_eq!(names(&set, &dir), ["a/1.png", "b/1.png"]);
    assert_eq!(set.skipped().len(), 2);
    assert!(set.skipped()[1].path.ends_with("a/3.jpg") && set.skipped()[1].why.contains("neither PNG nor JPEG"));
}

#[test]
fn threads_and_cache_change_nothing() {
    let mut dir = Temp::new("threads");
    for i in 0..60u8 {
        dir = dir.grey(&format!("{}/{i}.png", i % 3), i);
    }
    let dir = dir.file("1/zz.png", b"broken");
    let read = |threads, cache_bytes| {
        let set = dir.open(&FolderOptions { threads, cache_bytes, ..skip() }).unwrap().train;
        let samples: Vec<Sample> = (0..set.len()).map(|row| set.get(row).unwrap()).collect();
        let hashes: Vec<_> = set.files().iter().map(|f| f.hash).collect();
        (names(&set, &dir), samples, hashes, set.skipped().to_vec())
    };
    let expected = read(1, 0);
    assert_eq!(expected.1.len(), 60);
    for (threads, cache) in [(4, 0), (4, 1 << 20), (1, 100), (7, 100)] {
        assert!(read(threads, cache) == expected, "{threads} threads, {cache} bytes");
    }
}

#[cfg(unix)]
#[test]
fn a_link_back_is_an_error_and_not_an_endless_walk() {
    let dir = Temp::new("link").grey("a/1.png", 1).grey("b/1.png", 1);
    std::os::unix::fs::symlink(dir.0.join("a"), dir.0.join("a/again")).unwrap();
    let error = dir.open(&skip()).unwrap_err();
    assert!(error.contains("it is a link to a folder that contains it"), "{error}");
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_broken_and_never_waited_for() {
    let dir = Temp::new("pipe").grey("a/1.png", 1).grey("b/1.png", 2);
    let pipe = dir.0.join("a/pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = dir.open(&FolderOptions::default()).unwrap_err();
    assert!(error.starts_with("broken picture file DIR/a/pipe.png: it is no regular file"), "{error}");
    assert_eq!(dir.open(&skip()).unwrap().train.skipped().len(), 1);
}
