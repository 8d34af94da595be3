//! Running the binary in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use glassbox::data::{Idx, Image, write_idx, write_png};

/// A folder for one test, removed when it ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("glassbox-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The binary with `arguments`, to be run in this folder, without the `GLASSBOX_` variables of the tests' own caller.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glassbox"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GLASSBOX_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs the binary with the words of `line`.
    pub fn run(&self, line: &str) -> Outcome {
        Outcome::of(&mut self.command(&line.split_whitespace().collect::<Vec<_>>()))
    }

    /// The four IDX files of 60 pictures each in `DIR`: picture n is of one level, with a label.
    pub fn mnist(&self, dir: &str, level: fn(usize) -> u8, label: fn(usize) -> u8) {
        const ROWS: usize = 60;
        let write = |name: &str, shape: Vec<usize>, values: Vec<u8>| {
            std::fs::write(self.join(dir).join(name), write_idx(&Idx { shape, values }).unwrap()).unwrap();
        };
        std::fs::create_dir_all(self.join(dir)).unwrap();
        for part in ["train", "t10k"] {
            let pixels = (0..ROWS).flat_map(|n| [level(n); 28 * 28]).collect();
            write(&format!("{part}-images-idx3-ubyte"), vec![ROWS, 28, 28], pixels);
            write(&format!("{part}-labels-idx1-ubyte"), vec![ROWS], (0..ROWS).map(label).collect());
        }
    }

    /// Pictures of `classes` in `DIR/CLASS/N.png`: each class has another brightness.
    pub fn pictures(&self, dir: &str, classes: &[&str], each: usize) {
        for (class, name) in classes.iter().enumerate() {
            std::fs::create_dir_all(self.join(dir).join(name)).unwrap();
            for number in 0..each {
                let level = class as f32 / classes.len() as f32;
                let image = Image::from_fn(1, 12, 12, |_, y, x| level + ((x * 7 + y * 3 + number) % 11) as f32 / 50.0);
                write_png(&self.join(dir).join(name).join(format!("{number}.png")), &image).unwrap();
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    pub fn of(command: &mut Command) -> Outcome {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Panics unless the run ended well.
    pub fn ok(self) -> Outcome {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Every line of the output as an object.
    pub fn objects(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// The last object of the output.
    pub fn end(&self) -> serde_json::Value {
        self.objects().pop().unwrap()
    }
}

/// A short training on the shipped digits.
pub const SHORT: &str = "train digits --epochs 1 --batch 32 --set train.max_steps=6 --set data.val=0.01 --json";
