//! How busy the rest of the machine is: a timing beside a busy neighbour says little.

use std::time::{Duration, Instant};

/// How long one look lasts.
const LOOK: Duration = Duration::from_millis(500);
/// Ticks of `/proc/stat` in a second: what Linux shows to programs on every architecture.
const TICKS: f64 = 100.0;

/// A moment: CPU seconds used so far by all processes and by this one.
pub(crate) struct Usage {
    all: f64,
    own: f64,
    at: Instant,
}

impl Usage {
    /// Now; `None` where the system does not tell.
    pub(crate) fn now() -> Option<Usage> {
        Some(Usage { all: all()?, own: own()?, at: Instant::now() })
    }

    /// Cores that other processes have used since, and that this one has.
    pub(crate) fn cores_since(&self) -> Option<(f64, f64)> {
        let now = Usage::now()?;
        let wall = (now.at - self.at).as_secs_f64().max(1e-9);
        let own = now.own - self.own;
        Some((((now.all - self.all - own) / wall).max(0.0), own / wall))
    }
}

/// Waits until others use less than `limit` cores in two looks after one another, at most for `longest`; whether they do.
pub(crate) fn wait(limit: f64, longest: Duration) -> bool {
    let start = Instant::now();
    let mut quiet = 0;
    while start.elapsed() < longest {
        let Some(usage) = Usage::now() else { return false };
        std::thread::sleep(LOOK);
        let others = usage.cores_since().map_or(0.0, |(others, _)| others);
        quiet = if others < limit { quiet + 1 } else { 0 };
        if quiet == 2 {
            return true;
        }
    }
    false
}

/// User, nice, system, interrupts and stolen time of all cores.
fn all() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?;
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    Some([0, 1, 2, 5, 6, 7].iter().filter_map(|&i| fields.get(i)).sum::<f64>() / TICKS)
}

/// User and system time of this process.
fn own() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold blanks; user time is the 12th field behind it, system time the 13th.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / TICKS)
}
