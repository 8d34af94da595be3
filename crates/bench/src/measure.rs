//! The stopwatch: many steps after a warm-up, on a machine that is as quiet as it gets.

use std::time::{Duration, Instant};

use cpu::Cpu;
use tensor::Result;

use crate::case::Work;
use crate::quiet::{self, Usage};

/// How much time a measurement may take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Steps before the first that counts.
    pub warm_up: usize,
    /// Least steps that count, unless they would take four times the budget.
    pub steps: usize,
    /// Seconds of a series of steps.
    pub budget: f64,
    /// Series; the one least disturbed by others counts.
    pub series: usize,
    /// Seconds to wait for a quiet machine before each series.
    pub patience: f64,
}

impl Effort {
    /// Series of about `budget` seconds.
    pub fn of(budget: f64) -> Effort {
        Effort { warm_up: 10, steps: 20, budget, series: 3, patience: (2.0 * budget).min(5.0) }
    }
}

/// Times of one series.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The middle one, in milliseconds.
    pub median_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// A tenth is shorter.
    pub p10_ms: f64,
    /// A tenth is longer.
    pub p90_ms: f64,
    /// How many steps.
    pub steps: usize,
    /// Cores that other processes used meanwhile, where the system tells.
    pub other_cores: Option<f64>,
    /// Cores that this process used.
    pub own_cores: Option<f64>,
    /// The last loss, or the first number of the last result.
    pub value: f64,
}

/// Most steps of a series.
const MOST_STEPS: usize = 2000;
/// A warm-up longer than this, in seconds, is cut short.
const LONGEST_WARM_UP: f64 = 15.0;
/// A series disturbed by less than so many cores is accepted at once.
const CLEAN: f64 = 0.1;

/// Times steps of `work`.
///
/// # Errors
/// Those of a step.
pub fn measure(cpu: &Cpu, work: &mut Work, effort: &Effort) -> Result<Timing> {
    let start = Instant::now();
    for done in 0..effort.warm_up {
        work.step(cpu)?;
        // Plans are made in the first step and memory is touched; the second is warm.
        let longest = LONGEST_WARM_UP.min(effort.budget);
        if done > 0 && start.elapsed().as_secs_f64() > longest {
            break;
        }
    }
    let mut best: Option<Timing> = None;
    for _ in 0..effort.series.max(1) {
        quiet::wait(0.12, Duration::from_secs_f64(effort.patience));
        let timing = series(cpu, work, effort)?;
        let disturbed = |timing: &Timing| timing.other_cores.unwrap_or(0.0);
        if best.as_ref().is_none_or(|best| disturbed(&timing) < disturbed(best)) {
            best = Some(timing);
        }
        if disturbed(&timing) < CLEAN {
            break;
        }
    }
    match best {
        Some(timing) => Ok(timing),
        None => series(cpu, work, effort),
    }
}

fn series(cpu: &Cpu, work: &mut Work, effort: &Effort) -> Result<Timing> {
    let usage = Usage::now();
    let start = Instant::now();
    let mut times = Vec::new();
    let value = loop {
        let from = Instant::now();
        let value = work.step(cpu)?;
        times.push(from.elapsed().as_secs_f64() * 1e3);
        let seconds = start.elapsed().as_secs_f64();
        let enough = times.len() >= effort.steps && seconds > effort.budget;
        let late = times.len() >= 3 && seconds > 4.0 * effort.budget;
        if enough || late || times.len() >= MOST_STEPS {
            break value;
        }
    };
    let cores = usage.and_then(|usage| usage.cores_since());
    times.sort_by(f64::total_cmp);
    let count = times.len();
    Ok(Timing {
        median_ms: (times[(count - 1) / 2] + times[count / 2]) / 2.0,
        min_ms: times[0],
        p10_ms: times[count / 10],
        p90_ms: times[(9 * count / 10).min(count - 1)],
        steps: count,
        other_cores: cores.map(|(others, _)| others),
        own_cores: cores.map(|(_, own)| own),
        value,
    })
}

/// The most memory that this process has had at a time, in MiB, where the system tells.
pub fn peak_rss_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
