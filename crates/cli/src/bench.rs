//! `glassbox bench`: times the cases of the benchmark, the machine's two ceilings, and how costs grow with sizes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ::bench::{self as cases, Axis, CASES, Case, Effort, Kind, Line, Plot, Timing};
use glassbox::Cpu;
use glassbox::cpu::ceiling;
use glassbox::train::Error;
use serde_json::{Value, json};

use crate::screen::say;
use crate::{exit, machine};

/// Bytes of each array of the bandwidth measurement: more than any cache.
const ARRAY: usize = 256 << 20;
/// Seconds for each figure of a ceiling.
const LOOK: f64 = 0.5;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// A case, `list` for their names, or `all`: each in a process of its own
    #[arg(long, value_name = "NAME", default_value = "all", global = true)]
    case: String,
    /// Threads [default: one for each core]
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        global = true,
        allow_negative_numbers = true
    )]
    threads: usize,
    /// Seconds of a series of steps
    #[arg(long, value_name = "S", default_value_t = 4.0, global = true, allow_negative_numbers = true)]
    budget: f64,
    /// Print where the time of the case goes: each kernel of its plan
    #[arg(long)]
    profile: bool,
    /// Print JSON objects, one for each case
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Measure the machine: multiply-adds and bytes a second, on 1 and on all threads
    Peak,
    /// Measure the cost of a sample at batch sizes from 1 to 256, and of a symbol at contexts from 64 to 2048
    Scale {
        /// Write the picture here
        #[arg(long, value_name = "FILE.svg")]
        plot: Option<PathBuf>,
        /// The largest size
        #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
        most: usize,
    },
}

/// Carries out `bench`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    if !(arguments.budget >= 0.0 && arguments.budget <= 3600.0) {
        let what = format!("--budget {} is no time to measure", arguments.budget);
        return Err(Error::usage(what, "give seconds, 0 to 3600"));
    }
    match &arguments.action {
        Some(Action::Peak) => peak(arguments),
        Some(Action::Scale { plot, most }) => scale(arguments, plot.as_deref(), *most),
        None => match arguments.case.as_str() {
            "list" => list(arguments),
            "all" => all(arguments),
            name => one(arguments, &cases::find(name)?),
        },
    }
}

fn list(arguments: &Arguments) -> Result<u8, Error> {
    for case in CASES {
        match arguments.json {
            true => say(json!({ "case": case.name, "about": case.about, "kind": kind(&case) })),
            false => say(format_args!("{:18} {}", case.name, case.about)),
        }
    }
    Ok(exit::OK)
}

fn kind(case: &Case) -> &'static str {
    match case.kind {
        Kind::Training => "training",
        Kind::Inference => "inference",
        Kind::Op => "op",
    }
}

/// One case in this process.
fn one(arguments: &Arguments, case: &Case) -> Result<u8, Error> {
    let cpu = machine::cpu(arguments.threads)?;
    let mut work = (case.make)(&cpu, case.sizes)?;
    if arguments.profile {
        return profile(arguments, &cpu, &mut work);
    }
    let traced = (work.trace)();
    let plan = cpu.plan(&traced.outputs.iter().collect::<Vec<_>>(), &traced.updates)?;
    drop(traced);
    let flops: usize = plan.steps.iter().map(|step| plan.product_flops(step)).sum();
    let timing = cases::measure(&cpu, &mut work, &Effort::of(arguments.budget))?;
    let object = object(&cpu, case, &work, flops, plan.arena, &timing);
    drop(work);
    if arguments.json {
        say(object);
    } else {
        let ceilings = Ceilings::measured(&cpu);
        say(header());
        say(row(&object, &ceilings));
        say(ceilings);
    }
    Ok(exit::OK)
}

fn object(cpu: &Cpu, case: &Case, work: &cases::Work, flops: usize, arena: usize, timing: &Timing) -> Value {
    let seconds = timing.median_ms / 1e3;
    let rounded = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
    let cores = |cores: Option<f64>| cores.map(|cores| rounded(cores, 3));
    json!({
        "case": case.name, "kind": kind(case), "threads": cpu.machine().pool.threads(),
        "simd": cpu.machine().simd.level().name(), "median_ms": timing.median_ms, "min_ms": timing.min_ms,
        "p10_ms": timing.p10_ms, "p90_ms": timing.p90_ms, "steps": timing.steps,
        "peak_rss_mib": cases::peak_rss_mib().map(|mib| rounded(mib, 1)),
        "arena_mib": rounded(arena as f64 / f64::from(1 << 20), 1),
        "other_cores": cores(timing.other_cores), "own_cores": cores(timing.own_cores), "params": work.parameters,
        "flops": flops, "gflops": (flops > 0).then(|| rounded(flops as f64 / seconds / 1e9, 2)),
        "bytes": work.bytes, "gb_s": work.bytes.map(|bytes| rounded(bytes as f64 / seconds / 1e9, 2)),
        "value": timing.value,
    })
}

/// All cases, each in a process of its own, so that the peak of its memory is its own.
fn all(arguments: &Arguments) -> Result<u8, Error> {
    if arguments.profile {
        return Err(Error::usage("a profile of all cases would be long", "--case NAME --profile"));
    }
    let ceilings = if arguments.json { None } else { Some(Ceilings::measured(&machine::cpu(arguments.threads)?)) };
    ceilings.iter().for_each(|_| say(header()));
    let mut code = exit::OK;
    for case in CASES {
        match apart(arguments, &case) {
            Ok(object) => match &ceilings {
                Some(ceilings) => say(row(&object, ceilings)),
                None => say(object),
            },
            Err(why) => {
                crate::screen::error(&Error::usage(format!("{}: {why}", case.name), "--case NAME"), arguments.json);
                code = exit::CORRUPT;
            }
        }
    }
    ceilings.iter().for_each(say);
    Ok(code)
}

fn apart(arguments: &Arguments, case: &Case) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let (threads, budget) = (arguments.threads.to_string(), arguments.budget.to_string());
    let words = ["bench", "--json", "--case", case.name, "--threads", &threads, "--budget", &budget];
    let output = Command::new(program).args(words).output().map_err(|error| error.to_string())?;
    let failed = || format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    if !output.status.success() {
        return Err(failed());
    }
    serde_json::from_slice(&output.stdout).map_err(|_| failed())
}

fn header() -> String {
    format!(
        "{:18} {:>10} {:>10} {:>10} {:>9} {:>8} {:>7} {:>9} {:>6}",
        "case", "median ms", "min ms", "p90 ms", "GFLOP/s", "GB/s", "of peak", "peak MiB", "others"
    )
}

fn row(object: &Value, ceilings: &Ceilings) -> String {
    let number = |name: &str| object[name].as_f64();
    let shown = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    // Products are limited by arithmetic, ops by memory.
    let share = match (number("gb_s"), number("gflops")) {
        (Some(rate), _) => Some(rate * 1e9 / ceilings.bandwidth.best()),
        (None, Some(rate)) => Some(rate * 1e9 / ceilings.flops),
        (None, None) => None,
    };
    format!(
        "{:18} {:>10} {:>10} {:>10} {:>9} {:>8} {:>7} {:>9} {:>6}",
        object["case"].as_str().unwrap_or_default(),
        shown(number("median_ms"), 3),
        shown(number("min_ms"), 3),
        shown(number("p90_ms"), 3),
        shown(number("gflops"), 1),
        shown(number("gb_s"), 1),
        share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        shown(number("peak_rss_mib"), 0),
        shown(number("other_cores"), 2),
    )
}

/// What a machine can do at most on some threads.
struct Ceilings {
    threads: usize,
    flops: f64,
    bandwidth: ceiling::Bandwidth,
}

impl Ceilings {
    fn measured(cpu: &Cpu) -> Ceilings {
        let machine = cpu.machine();
        Ceilings {
            threads: machine.pool.threads(),
            flops: ceiling::flops(machine, LOOK),
            bandwidth: ceiling::bandwidth(machine, ARRAY, LOOK),
        }
    }
}

impl std::fmt::Display for Ceilings {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let plural = if self.threads == 1 { "" } else { "s" };
        let ceiling::Bandwidth { read, copy, triad } = self.bandwidth;
        write!(
            f,
            "peak on {} thread{plural}: {:.1} GFLOP/s; memory {:.1} GB/s read, {:.1} copied, {:.1} triad",
            self.threads,
            self.flops / 1e9,
            read / 1e9,
            copy / 1e9,
            triad / 1e9
        )
    }
}

fn peak(arguments: &Arguments) -> Result<u8, Error> {
    let most = machine::cpu(arguments.threads)?;
    let single = if most.machine().pool.threads() > 1 { Some(Cpu::new(1)?) } else { None };
    for cpu in single.iter().chain([&most]) {
        let ceilings = Ceilings::measured(cpu);
        if arguments.json {
            say(json!({
                "threads": ceilings.threads, "simd": cpu.machine().simd.level().name(),
                "gflops": ceilings.flops / 1e9, "read_gb_s": ceilings.bandwidth.read / 1e9,
                "copy_gb_s": ceilings.bandwidth.copy / 1e9, "triad_gb_s": ceilings.bandwidth.triad / 1e9,
                "gb_s": ceilings.bandwidth.best() / 1e9,
            }));
        } else {
            say(format_args!("{ceilings} ({})", cpu.machine().simd.level()));
        }
    }
    Ok(exit::OK)
}

fn profile(arguments: &Arguments, cpu: &Cpu, work: &mut cases::Work) -> Result<u8, Error> {
    let (kernels, whole, outside) = cases::profile(cpu, work, arguments.budget)?;
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let rate = |amount: usize, time: Duration| amount as f64 / time.as_secs_f64().max(1e-9) / 1e9;
    if arguments.json {
        for kernel in &kernels {
            say(json!({
                "kernel": kernel.index, "us": us(kernel.time), "flops": kernel.flops, "bytes": kernel.bytes,
                "what": kernel.what,
            }));
        }
        say(json!({ "event": "end", "us": us(whole), "outside_us": us(outside) }));
        return Ok(exit::OK);
    }
    say(format_args!("{:>5} {:>10} {:>6} {:>9} {:>7}  what", "step", "us", "share", "GFLOP/s", "GB/s"));
    let mut sorted: Vec<_> = kernels.iter().collect();
    sorted.sort_by_key(|kernel| std::cmp::Reverse(kernel.time));
    for kernel in sorted {
        let flops = match kernel.flops {
            0 => "-".to_owned(),
            flops => format!("{:.1}", rate(flops, kernel.time)),
        };
        say(format_args!(
            "{:5} {:10.1} {:4.1} % {flops:>9} {:7.1}  {}",
            kernel.index,
            us(kernel.time),
            100.0 * us(kernel.time) / us(whole).max(1e-9),
            rate(kernel.bytes, kernel.time),
            kernel.what
        ));
    }
    say(format_args!(
        "{:>5} {:10.1} {:4.1} %  outside of kernels: graph, gradient, plan look-up, binding",
        "",
        us(outside),
        100.0 * us(outside) / us(whole).max(1e-9)
    ));
    say(format_args!("{:>5} {:10.1}  in all", "", us(whole)));
    Ok(exit::OK)
}

fn scale(arguments: &Arguments, plot: Option<&std::path::Path>, most: usize) -> Result<u8, Error> {
    let cases: Vec<Case> = match arguments.case.as_str() {
        "all" => ["mlp", "resnet18", "gpt-mini", "charlstm"].into_iter().map(cases::find).collect::<Result<_, _>>()?,
        name => vec![cases::find(name)?],
    };
    // Before minutes of measuring.
    let folder = plot.and_then(std::path::Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Error::usage(format!("{} is no folder to write a plot into", folder.display()), "make it first"));
    }
    let cpu = machine::cpu(arguments.threads)?;
    let mut lines = Vec::new();
    if !arguments.json {
        say(format_args!("{:18} {:8} {:>6} {:>12} {:>14}", "case", "axis", "size", "ms a step", "us a sample"));
    }
    for case in &cases {
        for axis in cases::axes(case) {
            let mut points = Vec::new();
            for &size in axis.values().iter().filter(|&&size| size <= most) {
                let point = cases::scale(&cpu, case, axis, size, arguments.budget)?;
                points.push((size as f64, point.each_us));
                let (name, axis) = (case.name, axis.name());
                match arguments.json {
                    true => say(json!({
                        "case": name, "axis": axis, "size": size, "step_ms": point.step_ms, "each_us": point.each_us,
                    })),
                    false => {
                        say(format_args!("{name:18} {axis:8} {size:6} {:12.3} {:14.2}", point.step_ms, point.each_us))
                    }
                }
            }
            let name = match axis {
                Axis::Batch => case.name.to_owned(),
                Axis::Context => format!("{}, context", case.name),
            };
            lines.push(Line { name, points });
        }
    }
    if let Some(path) = plot {
        let title = format!("Cost of a sample (or symbol) on {} threads", cpu.machine().pool.threads());
        let (x, y) = ("samples of a step, or symbols of a sequence", "microseconds for each");
        let svg = Plot { title, x: x.to_owned(), y: y.to_owned(), lines }.svg();
        std::fs::write(path, svg).map_err(|source| Error::io(path, "create", source))?;
    }
    Ok(exit::OK)
}
