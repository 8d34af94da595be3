//! How the cost of a sample changes with the sizes of a step.

use cpu::Cpu;
use tensor::Result;

use crate::case::{Case, Kind, Sizes};
use crate::measure::{Effort, measure};

/// A size that is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Samples of a step, 1 to 256.
    Batch,
    /// Symbols of a sequence, 64 to 2048, at a batch of 1.
    Context,
}

/// A measured size.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Batch or context.
    pub size: usize,
    /// Milliseconds of a step, the median.
    pub step_ms: f64,
    /// Microseconds for each sample or symbol.
    pub each_us: f64,
}

impl Axis {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Batch => "batch",
            Axis::Context => "context",
        }
    }

    /// The sizes that are measured.
    pub fn values(self) -> &'static [usize] {
        match self {
            Axis::Batch => &[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256],
            Axis::Context => &[64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048],
        }
    }
}

/// The sizes of `case` that make sense to vary.
pub fn axes(case: &Case) -> Vec<Axis> {
    match case.kind {
        Kind::Training if case.name == "gpt-mini" => vec![Axis::Batch, Axis::Context],
        _ => vec![Axis::Batch],
    }
}

/// Measures `case` at one size.
///
/// # Errors
/// Those of a step.
pub fn scale(cpu: &Cpu, case: &Case, axis: Axis, size: usize, budget: f64) -> Result<Point> {
    let sizes = match axis {
        Axis::Batch => Sizes { batch: size, ..case.sizes },
        Axis::Context => Sizes { batch: 1, length: size },
    };
    let mut work = (case.make)(cpu, sizes)?;
    let effort = Effort { warm_up: 3, steps: 5, series: 1, patience: 0.0, budget };
    let timing = measure(cpu, &mut work, &effort)?;
    Ok(Point { size, step_ms: timing.median_ms, each_us: timing.median_ms * 1e3 / size as f64 })
}
