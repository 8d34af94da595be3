//! A few rows to train on, in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};

use data::{Dataset, Idx, Target, digits, write_idx};

/// A folder for one test.
pub fn folder(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let path = parent.join(format!("glassbox-zoo-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

/// The first rows of the shipped digits as IDX files.
pub fn few_digits(dir: &Path, rows: usize) {
    fs::create_dir_all(dir).unwrap();
    let (train, test) = digits().unwrap();
    for (part, set) in [("train", train), ("t10k", test)] {
        let samples: Vec<_> = (0..rows).map(|row| set.get(row * set.len() / rows).unwrap()).collect();
        let pixels = samples.iter().flat_map(|sample| sample.x.iter().map(|x| (x * 255.0).round() as u8)).collect();
        let label = |target: &Target| if let Target::Class(class) = target { *class as u8 } else { 0 };
        let labels = samples.iter().map(|sample| label(&sample.target)).collect();
        let write = |name: String, shape: Vec<usize>, values: Vec<u8>| {
            fs::write(dir.join(name), write_idx(&Idx { shape, values }).unwrap()).unwrap();
        };
        write(format!("{part}-images-idx3-ubyte"), vec![rows, 28, 28], pixels);
        write(format!("{part}-labels-idx1-ubyte"), vec![rows], labels);
    }
}
