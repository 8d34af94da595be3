//! A studio over two small runs, trained once for all tests of this file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread;

use cpu::Cpu;
use glassbox_studio::{Limits, Server, Studio};
use serde_json::Value;
use train::{Source, fit};

/// The address of the page, with its key.
pub fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| serve(runs()))
}

/// The address of a studio over a folder of runs; it serves as long as the tests run.
pub fn serve(runs: &Path) -> String {
    let studio = Arc::new(Studio::new(runs, Limits::default()).unwrap());
    let server = Server::bind("127.0.0.1:0", studio).unwrap();
    let url = server.url();
    thread::spawn(move || server.run());
    url
}

/// The folder of the runs: the shipped digits, two rates, a few dozen steps.
pub fn runs() -> &'static Path {
    static RUNS: OnceLock<PathBuf> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("studio-runs");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, rate) in [("digits-1", "0.003"), ("digits-2", "0.001")] {
            let recipe = zoo::find("digits").unwrap();
            let mut settings = (recipe.settings)();
            let changes = [
                ("train.epochs", "2"),
                ("train.max_steps", "90"),
                ("train.batch", "32"),
                ("train.lr", rate),
                ("checkpoint.every", "30"),
                ("checkpoint.keep", "0"),
                ("ledger.hash_every", "10"),
            ];
            for (setting, value) in changes {
                settings.set(setting, value, Source::Flag("test".to_owned())).unwrap();
            }
            let mut job = recipe.job(settings, None).unwrap();
            let (cpu, place) = (Cpu::new(2).unwrap(), folder.join(name));
            fit(&cpu, &mut job, Some(&place), "test", &AtomicBool::new(false), &mut |_| ()).unwrap();
        }
        folder
    })
}

/// The newest checkpoint of a run, copied away from it.
pub fn lone_model() -> PathBuf {
    let (_, place) = train::checkpoint::list(&runs().join("digits-1/checkpoints")).unwrap().pop().unwrap();
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lone-model");
    copy(&place, &to);
    to
}

/// A folder with one run whose log says that it made so many steps: those of a short one, over and over.
pub fn long_run(steps: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("long-runs");
    let _ = fs::remove_dir_all(&folder);
    copy(&runs().join("digits-1"), &folder.join("long"));
    let log = folder.join("long/log");
    for name in ["steps.bin", "rows.bin", "times.bin"] {
        let bytes = fs::read(log.join(name)).unwrap();
        let mut frames: Vec<&[u8]> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            frames.push(&bytes[at + 8..at + 8 + length]);
            at += 8 + length;
        }
        let mut written = Vec::new();
        for step in 1..=steps {
            let frame = frames[(step - 1) as usize % frames.len()];
            let payload = [&step.to_le_bytes(), &frame[8..]].concat();
            written.extend_from_slice(&(payload.len() as u32).to_le_bytes());
            written.extend_from_slice(&crc32(&payload).to_le_bytes());
            written.extend_from_slice(&payload);
        }
        fs::write(log.join(name), written).unwrap();
    }
    let lines = fs::read_to_string(log.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap();
    let mut written = String::new();
    for round in 0..steps.div_ceil(last) {
        for line in &lines {
            let mut line = line.clone();
            let step = round * last + line["step"].as_u64().unwrap();
            line["step"] = step.into();
            if step <= steps {
                written.push_str(&format!("{line}\n"));
            }
        }
    }
    fs::write(log.join("metrics.jsonl"), written).unwrap();
    folder
}

/// That of zip: the frames of a ledger carry it.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| bit(crc)))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
