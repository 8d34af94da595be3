//! `glassbox doctor`: what this machine has, and whether it computes right.

use std::time::Instant;

use glassbox::cpu::simd::Simd;
use glassbox::train::{Error, self_test};
use glassbox::{Cpu, DType, RandomKey, Tensor};
use serde_json::{Value, json};

use crate::exit;
use crate::machine::{Machine, cores};
use crate::screen::say;

/// Rows and columns of the matrices that are multiplied to measure speed.
const SIDE: usize = 512;
/// The best of so many multiplications is shown.
const ROUNDS: usize = 5;

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `doctor`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let cpu = arguments.machine.cpu()?;
    let cores = cores();
    let found: Vec<String> = Simd::available().into_iter().map(|simd| simd.level().to_string()).collect();
    let (used, threads) = (cpu.machine().simd.level().to_string(), cpu.machine().pool.threads());
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    let variables: Vec<(String, String)> = variables.filter(|(name, _)| name.starts_with("GLASSBOX_")).collect();
    let memory = memory();
    let test = self_test(&cpu)?;
    let speed = multiplication(&cpu)?;

    if arguments.json {
        let variables: serde_json::Map<String, Value> =
            variables.into_iter().map(|(name, value)| (name, json!(value))).collect();
        say(json!({
            "event": "end", "version": env!("CARGO_PKG_VERSION"), "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH, "cores": cores, "threads": threads, "simd": used, "simd_found": found,
            "variables": variables, "memory_mib": memory.map(|(all, _)| all),
            "free_memory_mib": memory.map(|(_, free)| free), "self_test": test.passed(), "hash": test.hash,
            "gemm_gflops": speed,
        }));
    } else {
        say(format_args!(
            "glassbox {} on {} {}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH
        ));
        let chosen = if arguments.machine.threads > 0 { " (--threads)" } else { "" };
        say(format_args!("threads    {threads} on {cores} cores{chosen}"));
        let chosen = if variables.iter().any(|(name, _)| name == "GLASSBOX_SIMD") { " (GLASSBOX_SIMD)" } else { "" };
        say(format_args!("simd       {} found, {used} used{chosen}", found.join(", ")));
        match memory {
            Some((all, free)) => say(format_args!("memory     {all} MiB, {free} MiB free")),
            None => say("memory     unknown"),
        }
        match &variables[..] {
            [] => say("variables  no GLASSBOX_ variable is set"),
            set => set.iter().for_each(|(name, value)| say(format_args!("variables  {name}={value}"))),
        }
        let verdict = if test.passed() { "passed" } else { "FAILED: this binary does not compute right here" };
        say(format_args!("self-test  {verdict} (hash {})", &test.hash[..16]));
        say(format_args!("speed      {speed:.1} GFLOP/s, {SIDE} x {SIDE} matrices"));
    }
    Ok(if test.passed() { exit::OK } else { exit::CORRUPT })
}

/// Billions of operations a second in the product of two matrices.
fn multiplication(cpu: &Cpu) -> Result<f64, Error> {
    let key = RandomKey::new(0);
    let [a, b] = ["a", "b"].map(|name| Tensor::uniform([SIDE, SIDE], key.stream(name), DType::F32));
    cpu.run(&[&a, &b], &[])?;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let product = a.matmul(&b);
        let start = Instant::now();
        cpu.run(&[&product], &[])?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (SIDE as f64).powi(3) / best / 1e9)
}

/// All memory and what is free of it, in MiB, where the system tells.
fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
    };
    Some((field("MemTotal:")?, field("MemAvailable:")?))
}
