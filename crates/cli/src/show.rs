//! `glassbox show`: the layers of a run or a recipe, the plan of its training step, and any value of a past step.

use std::path::{Path, PathBuf};

use glassbox::nn::{Layer, Summary};
use glassbox::train::event::grouped;
use glassbox::train::{Error, Input, plan as train_plan};
use glassbox::{DType, Tensor};
use serde_json::json;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;
use crate::step;

/// Arguments of `show`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a run, or name of a recipe
    target: String,
    #[command(flatten)]
    step: step::Arguments,
    /// Folder of the data, for a recipe that needs one, or for a run whose data was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print the plan of a training step too: all its kernels
    #[arg(long, conflicts_with = "step")]
    plan: bool,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `show`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (path, given) = (Path::new(&arguments.target), arguments.data.as_deref());
    if let Some(step) = arguments.step.step {
        return step::run(path, given, step, &arguments.step, &arguments.machine, arguments.json);
    }
    let (shown, recipe, settings) = if path.exists() {
        let opened = zoo::open(path)?;
        opened.notes.iter().filter(|_| !arguments.json).for_each(|note| say(format_args!("note: {note}")));
        let title = format!("{} ({}), trained for {} steps", arguments.target, opened.recipe.name, opened.step);
        let dir = if arguments.plan { opened.data_dir(given)?.map(Path::to_owned) } else { None };
        let shown = Shown { title, dir, input: opened.input, model: opened.model };
        (shown, opened.recipe, opened.settings)
    } else {
        let recipe = zoo::find(&arguments.target)?;
        let job = recipe.job((recipe.settings)(), given)?;
        let title = format!("{}: {}", recipe.name, recipe.about);
        let shown = Shown { title, dir: given.map(Path::to_owned), input: job.splits.input, model: job.model };
        (shown, recipe, job.settings)
    };
    let plan = if arguments.plan {
        let mut job = recipe.job(settings, shown.dir.as_deref())?;
        Some(train_plan(&arguments.machine.cpu()?, &mut job)?.to_string())
    } else {
        None
    };
    let summary = summary(&shown)?;
    if arguments.json {
        let layers: Vec<_> = summary
            .rows
            .iter()
            .map(
                |row| json!({ "path": row.path, "kind": row.kind, "output": row.output, "parameters": row.parameters }),
            )
            .collect();
        say(
            json!({ "event": "end", "title": shown.title, "layers": layers, "parameters": summary.parameters, "plan": plan }),
        );
    } else {
        say(&shown.title);
        say("");
        table(&summary, &shown.input);
        if let Some(plan) = plan {
            say(format_args!("\nthe plan of a training step:\n{}", plan.trim_end()));
        }
    }
    Ok(exit::OK)
}

/// What is shown.
struct Shown {
    title: String,
    /// The folder of the data, if a plan needs it.
    dir: Option<PathBuf>,
    input: Input,
    model: Box<dyn Layer>,
}

/// The layers in the order in which a picture passes them.
fn summary(shown: &Shown) -> Result<Summary, Error> {
    let shape: Vec<usize> = std::iter::once(1).chain(shown.input.shape.iter().copied()).collect();
    Ok(Summary::of(shown.model.as_ref(), &Tensor::zeros(&shape, DType::F32))?)
}

fn table(Summary { rows, parameters }: &Summary, input: &Input) {
    let shape = |dims: &[usize]| {
        let sizes: Vec<String> = dims.iter().map(usize::to_string).collect();
        format!("[N, {}]", sizes.join(", "))
    };
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let path = width(&mut rows.iter().map(|row| row.path.len())).max("input".len());
    let kind = width(&mut rows.iter().map(|row| row.kind.len())).max("kind".len());
    let line = |a: &str, b: &str, c: &str, d: &str| say(format!("{a:path$}  {b:kind$}  {c:18}  {d:>11}").trim_end());
    line("layer", "kind", "output", "parameters");
    line("input", "", &shape(&input.shape), "");
    for row in rows {
        let count = if row.parameters > 0 { grouped(row.parameters) } else { String::new() };
        line(&row.path, row.kind, &shape(&row.output[1..]), &count);
    }
    line("", "", "in all", &grouped(*parameters));
}
