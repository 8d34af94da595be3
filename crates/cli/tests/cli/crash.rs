//! kill -9 at any moment, then, with other threads and another vector width, `glassbox resume`: no run is lost, and no bit differs.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use crate::support::{Folder, Outcome};

/// A short training that is busy with checkpoints.
fn line(recipe: &str, out: &str, steps: u64) -> String {
    format!(
        "train {recipe} --data few --out {out} --batch 16 --epochs 1000 --set train.max_steps={steps} --set data.val=0.1 \
         --set checkpoint.every=2 --set checkpoint.keep=2 --set train.average=0.9 --set ledger.hash_every=3 --threads 1 --json"
    )
}

/// The final weights and averages, the figures of all steps and epochs, and the ledger.
fn outcome(run: &Path, steps: u64) -> [Vec<u8>; 5] {
    let last = run.join(format!("checkpoints/step-{steps:06}"));
    let log = ["metrics.jsonl", "steps.bin", "rows.bin"].map(|name| run.join("log").join(name));
    let [metrics, figures, rows] = log;
    let files = [last.join("model.safetensors"), last.join("average.safetensors"), metrics, figures, rows];
    files.map(|file| fs::read(file).unwrap())
}

/// Kills and resumes until at least `kills` were made, over as many runs as that takes.
fn kill_and_resume(kills: u64, steps: u64) {
    let folder = Folder::new();
    folder.mnist("few", |n| (n * 4) as u8, |n| (n % 3) as u8);
    let (mut made, mut number, mut random) = (0, 0, 12345u64);
    let mut wanted = Vec::new();
    let started = Instant::now();
    for recipe in ["digits", "mlp"] {
        folder.run(&line(recipe, recipe, steps)).ok();
        wanted.push((recipe, outcome(&folder.join(recipe), steps)));
    }
    let usual = started.elapsed() / 2;
    while made < kills {
        let (recipe, wanted) = &wanted[number % wanted.len()];
        let out = format!("run-{number}");
        number += 1;
        for attempt in 0.. {
            let command = if folder.join(&out).exists() {
                format!("resume {out} --threads {} --json", 1 + attempt % 2)
            } else {
                line(recipe, &out, steps)
            };
            let words: Vec<&str> = command.split_whitespace().collect();
            let mut process = folder.command(&words);
            if attempt % 3 == 2 {
                process.env("GLASSBOX_SIMD", "scalar");
            }
            if made >= kills || attempt == 40 {
                let outcome = Outcome::of(&mut process);
                assert!(outcome.code == 0 || outcome.err.contains("is finished"), "{outcome:?}");
                break;
            }
            let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(usual.mul_f64((random >> 40) as f64 / f64::from(1 << 24)));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            made += 1;
        }
        assert!(outcome(&folder.join(&out), steps) == *wanted, "{out} ({recipe}) ended with other bits");
    }
}

#[test]
fn killed_at_any_moment_a_run_is_resumed_to_the_same_bits() {
    kill_and_resume(6, 60);
}

/// Minutes: `cargo test --release -p glassbox-cli --test cli crash -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn killed_300_times_no_run_is_lost() {
    kill_and_resume(300, 200);
}
