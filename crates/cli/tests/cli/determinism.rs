//! Same seed, same bits: whatever the threads and the vector width.

use std::collections::BTreeMap;

use glassbox::cpu::simd::Simd;

use crate::support::{Folder, Outcome};

/// The final weights of a short training.
fn weights(threads: usize, simd: &str, seed: u64) -> Vec<u8> {
    let folder = Folder::new();
    let line = format!(
        "train digits --epochs 1 --set train.max_steps=5 --set data.val=0.01 --seed {seed} --threads {threads} --out mine --json"
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    Outcome::of(folder.command(&arguments).env("GLASSBOX_SIMD", simd)).ok();
    std::fs::read(folder.join("mine/checkpoints/step-000005/model.safetensors")).unwrap()
}

#[test]
fn threads_and_vector_width_change_no_bit_and_the_seed_does() {
    let mut seen: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for simd in Simd::available() {
        for threads in [1, 2, 3, 8] {
            let simd = simd.level().name();
            seen.entry(weights(threads, simd, 0)).or_default().push(format!("{simd} x {threads}"));
        }
    }
    assert_eq!(seen.len(), 1, "{:?}", seen.values().collect::<Vec<_>>());
    assert!(!seen.contains_key(&weights(2, Simd::detect().level().name(), 1)));
}
