//! `glassbox experiment`: experiments of history and of practice, made on networks.

use std::fs;
use std::path::{Path, PathBuf};

use glassbox::data::write_png;
use glassbox::nn::safetensors;
use glassbox::see::picture::{filter_sheet, plate, write_svg};
use glassbox::see::{HubelWiesel, PatchOptions, Population};
use glassbox::train::Error;
use serde_json::json;
use zoo::{Asked, hubel_wiesel};

use crate::exit;
use crate::machine::Machine;
use crate::practice;
use crate::screen::say;

/// Arguments of `experiment`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(clap::Subcommand)]
enum Experiment {
    /// Show gratings and bars, and listen to units: what each is tuned to, alone and pooled (1959, 1962)
    HubelWiesel(HubelWieselArguments),
    /// One of training in practice
    #[command(flatten)]
    Practice(practice::Practice),
}

/// Arguments of `experiment hubel-wiesel`.
#[derive(clap::Args)]
struct HubelWieselArguments {
    /// Folder of a run, a .safetensors file, or a folder of class folders of pictures, from which filters are learnt first
    target: PathBuf,
    /// The network of the run as it was before its first step, instead of beside the learnt one
    #[arg(long)]
    untrained: bool,
    /// The weights after this step of the run, computed again if need be [default: the newest]
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    /// The layer that is listened to [default: the first convolution with its norm and activation]
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// Where to write plate.svg, numbers.json and the filters
    #[arg(short, long, value_name = "DIR", default_value = "hubel-wiesel")]
    out: PathBuf,
    /// Where the data of the run lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Filters that are learnt from a folder of pictures
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=4096))]
    filters: u16,
    /// Side of those filters, in pixels
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=64))]
    size: u16,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Whether objects are asked for.
    pub fn json(&self) -> bool {
        match &self.experiment {
            Experiment::HubelWiesel(arguments) => arguments.json,
            Experiment::Practice(practice) => practice.arguments.json,
        }
    }
}

/// Carries out `experiment`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    match &arguments.experiment {
        Experiment::HubelWiesel(arguments) => hubel_wiesel_of(arguments),
        Experiment::Practice(practice) => practice::run(practice),
    }
}

fn hubel_wiesel_of(arguments: &HubelWieselArguments) -> Result<u8, Error> {
    let cpu = arguments.machine.cpu()?;
    let asked = Asked {
        untrained: arguments.untrained,
        step: arguments.step,
        layer: arguments.layer.clone(),
        data: arguments.data.clone(),
        patches: PatchOptions {
            filters: arguments.filters.into(),
            size: arguments.size.into(),
            ..PatchOptions::default()
        },
    };
    let found = hubel_wiesel(&cpu, &arguments.target, &asked)?;
    let written = write(&arguments.out, &found)?;
    if arguments.json {
        let mut object = found.to_json();
        object["event"] = json!("end");
        object["written"] = json!(written);
        say(object);
        return Ok(exit::OK);
    }
    say(&found.subject);
    found.notes.iter().for_each(|note| say(format_args!("note: {note}")));
    found.populations.iter().for_each(tell);
    say(format_args!("\nwrote {}", written.join(", ")));
    Ok(exit::OK)
}

/// The plate, the numbers and the filters of each population.
fn write(dir: &Path, found: &HubelWiesel) -> Result<Vec<String>, Error> {
    fs::create_dir_all(dir).map_err(|source| Error::io(dir, "create", source))?;
    let mut written = Vec::new();
    let mut named = |name: &str| {
        let path = dir.join(name);
        written.push(path.display().to_string());
        path
    };
    write_svg(&named("plate.svg"), &plate(found)?)?;
    let numbers = named("numbers.json");
    fs::write(&numbers, format!("{:#}\n", found.to_json())).map_err(|source| Error::io(&numbers, "write", source))?;
    for population in &found.populations {
        let all: Vec<usize> = (0..population.cells.len()).collect();
        write_png(&named(&format!("{}.png", population.name)), &filter_sheet(&population.filters, &all, 10, 5))?;
    }
    if let Some(learnt) = found.populations.first() {
        let state = [("filters.weight".to_owned(), learnt.filters.clone().into())].into_iter().collect();
        safetensors::save(named("filters.safetensors"), &state, &safetensors::Metadata::new())?;
    }
    Ok(written)
}

fn tell(of: &Population) {
    let summary = of.summary();
    say(format_args!(
        "\n{}: {} filters, of which {} answer gratings; units of {}",
        of.name, summary.cells, summary.responding, of.layer
    ));
    say(format_args!(
        "  a Gabor function explains 70 % or more of {:.0} % of the filters (median {:.2})",
        100.0 * summary.gabor_like,
        summary.gabor_r2
    ));
    say(format_args!(
        "  {:.0} % of them have an orientation selectivity index of 0.6 or more",
        100.0 * summary.oriented
    ));
    say("  medians, alone and pooled over n x n neighbours:");
    let line = |name: &str, values: &[f64], digits: usize| {
        let values: Vec<String> = values.iter().map(|value| format!("{value:>7.digits$}")).collect();
        say(format_args!("    {name:28}{}", values.join("")));
    };
    let windows: Vec<f64> = of.windows.iter().map(|&window| window as f64).collect();
    line("n", &windows, 0);
    line("orientation selectivity", &summary.osi, 2);
    line("circular variance", &summary.circular_variance, 2);
    line("F1/F0", &summary.modulation, 2);
    line("tolerance to place, pixels", &summary.tolerance, 2);
    line("drift of orientation, deg", &summary.drift, 2);
}
