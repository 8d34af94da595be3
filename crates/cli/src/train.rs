//! `glassbox train`: trains a network by a recipe, into the folder of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use glassbox::train::event::{End, duration, grouped};
use glassbox::train::report::number;
use glassbox::train::{Error, Event, Goal, RunDir, Settings, Source, Status, fit};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::dry_run::dry_run;
use crate::exit;
use crate::explain;
use crate::machine::Machine;
use crate::screen::{Screen, say};
use crate::shell::quoted;

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(help = format!("Name of the recipe: {}", zoo::names().join(", ")))]
    name: String,
    /// Folder or file of the data; those on digits need none
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which net, of the recipe images: small, resnet18, vgg16, mobilenet_v2, ...
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Weights (.safetensors) that the net of the recipe images begins with
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
    /// What of them is kept as it is: backbone (all but the head), a layer, or ..=LAYER, all up to it
    #[arg(long, value_name = "LAYER")]
    freeze: Option<String>,
    /// Passes over the training rows
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    epochs: Option<String>,
    /// Rows in a step
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batch: Option<String>,
    /// Greatest learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    #[command(flatten)]
    machine: Machine,
    /// Folder of the run, which must not exist [default: runs/NAME-K]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// File of settings, such as the config.toml of a run
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting; `--help-settings` lists them
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Refuse to begin if the data is not what this file of `glassbox data --manifest` says
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Write event files for TensorBoard into the run
    #[arg(long)]
    tensorboard: bool,
    /// Draw what the answers to a test picture of each class hang on, too
    #[arg(long)]
    explain: bool,
    /// List the settings of the recipe with their defaults, and stop
    #[arg(long)]
    help_settings: bool,
    /// Show settings, sizes, memory, steps and the first batch, and stop
    #[arg(long)]
    dry_run: bool,
    /// Where `--dry-run` writes the picture of the first batch [default: a temporary file]
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    picture: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Carries out `train`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let recipe = zoo::find(&arguments.name)?;
    if arguments.help_settings {
        return Ok(list_settings(&(recipe.settings)(), arguments.json));
    }
    let settings = settings((recipe.settings)(), arguments)?;
    if let Some(out) = &arguments.out {
        RunDir::check_free(out)?;
    }
    let cpu = arguments.machine.cpu()?;
    let mut job = recipe.job(settings, arguments.data.as_deref())?;
    zoo::check_manifest(&job)?;
    if arguments.explain && (job.splits.input.goal != Goal::Class || job.splits.input.shape.len() != 3) {
        let (what, help) = match job.splits.input.goal {
            _ if job.splits.input.tokens.is_some() => {
                ("learns from texts", "leave it out; afterwards glassbox explain RUN TEXT says what an answer hangs on")
            }
            Goal::Symbols => (
                "learns a text",
                "leave it out; afterwards glassbox explain RUN TEXT says what the next letter hangs on",
            ),
            _ => ("learns rows of numbers", "leave it out"),
        };
        return Err(Error::usage(
            format!("--explain draws what answers to pictures hang on, and this recipe {what}"),
            help,
        ));
    }
    if arguments.dry_run {
        return dry_run(&cpu, &mut job, arguments.picture.as_deref(), arguments.json);
    }

    let stop = stop_on_signals()?;
    let mut screen = Screen::new(arguments.json);
    let command = command_line();
    let end = fit(&cpu, &mut job, arguments.out.as_deref(), &command, &stop, &mut |event| screen.show(event));
    let explained = match &end {
        Ok(end) if arguments.explain && end.status == Status::Finished => explain::each_class(&cpu, &end.run),
        _ => Ok(Vec::new()),
    };
    // The last object is the end.
    if let (true, Ok(written)) = (arguments.json, &explained)
        && !written.is_empty()
    {
        say(json!({ "event": "explained", "written": written }));
    }
    let code = finish(screen, end, arguments.json)?;
    let written = explained?;
    if !arguments.json && !written.is_empty() {
        say(format_args!("what answers hang on: {}", written.join(", ")));
    }
    Ok(code)
}

/// The last words of a training, and its exit code.
pub fn finish(mut screen: Screen, end: Result<End, Error>, json: bool) -> Result<u8, Error> {
    screen.close();
    let end = end?;
    screen.show(&Event::End(end.clone()));
    if !json {
        closing_words(&end);
    }
    Ok(if end.status == Status::Interrupted { exit::INTERRUPTED } else { exit::OK })
}

/// This command as a shell takes it. A word that is no text is shown as nearly as text can.
pub fn command_line() -> String {
    let mut command = "glassbox".to_owned();
    for word in std::env::args_os().skip(1) {
        command.push(' ');
        command.push_str(&quoted(&word.to_string_lossy()));
    }
    command
}

/// The recipe's settings, then those of the file, then those of the flags.
fn settings(mut settings: Settings, arguments: &Arguments) -> Result<Settings, Error> {
    if let Some(path) = &arguments.config {
        read_config(&mut settings, path)?;
    }
    let flags = [
        ("--model", "model.name", &arguments.model),
        ("--from", "model.from", &arguments.from),
        ("--freeze", "model.freeze", &arguments.freeze),
        ("--epochs", "train.epochs", &arguments.epochs),
        ("--batch", "train.batch", &arguments.batch),
        ("--lr", "train.lr", &arguments.lr),
        ("--seed", "train.seed", &arguments.seed),
    ];
    for (flag, name, value) in flags {
        if let Some(value) = value {
            settings.set(name, value, Source::Flag(format!("{flag} {value}")))?;
        }
    }
    if let Some(path) = &arguments.manifest {
        let source = Source::Flag(format!("--manifest {}", path.display()));
        settings.set("data.manifest", &path.to_string_lossy(), source)?;
    }
    if arguments.tensorboard {
        settings.set("log.tensorboard", "true", Source::Flag("--tensorboard".to_owned()))?;
    }
    arguments.set.iter().try_for_each(|assignment| settings.assign(assignment))?;
    Ok(settings)
}

/// Takes the settings of a file.
pub fn read_config(settings: &mut Settings, path: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        let what = format!("cannot read the settings in {}: {source}", path.display());
        Error::usage(what, "give --config a text file of settings, such as the config.toml of a run")
    })?;
    settings.read_toml(&text, path)
}

/// The first signal asks the loop to stop after its step; the second ends the process at once.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|source| Error::io(Path::new("signals"), "listen to", source))?;
    }
    Ok(stop)
}

/// Every setting with its default, what it may be, and what it does.
fn list_settings(settings: &Settings, json: bool) -> u8 {
    if json {
        let rows: Vec<_> = settings
            .iter()
            .map(|row| json!({ "name": row.name, "default": row.value.to_string(), "kind": row.kind(), "help": row.help }))
            .collect();
        say(json!({ "event": "end", "settings": rows }));
    } else {
        say(settings.to_help().trim_end());
    }
    exit::OK
}

/// The figures, where the run lies, and what to try next.
fn closing_words(end: &End) {
    let run = end.run.display();
    if end.status == Status::Interrupted {
        let checkpoint = match end.saved {
            Some(step) => format!("the checkpoint lies in {run}/checkpoints/step-{step:06}"),
            None => "no checkpoint could be written".to_owned(),
        };
        say(format_args!("stopped after step {}; {checkpoint}\n\nto go on:", end.step));
        say(format_args!("  glassbox resume {}", quoted(&run.to_string())));
        return;
    }
    let figure = |name: &str| end.figures.get(name).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    if end.figures.contains_key("test_perplexity") {
        return text_words(end, figure);
    }
    if end.figures.contains_key("test_rmse") {
        return number_words(end, figure);
    }
    say(format_args!(
        "test accuracy {:.2} %  balanced {:.2} %  loss {:.4}  ({} rows never trained on)  in {}",
        100.0 * figure("test_accuracy"),
        100.0 * figure("test_balanced_accuracy"),
        figure("test_loss"),
        grouped(figure("test_rows") as usize),
        duration(end.seconds),
    ));
    if let Some(share) = end.ledger {
        say(format_args!("the ledger took {:.2} % of the steps' time", 100.0 * share));
    }
    say(format_args!("run {run}\n\nnext, try:"));
    let (run_path, picture) = (run.to_string(), end.run.join("pictures/test-0.png"));
    let run = quoted(&run_path);
    if picture.is_file() {
        say(format_args!("  glassbox predict {run} {}", quoted(&picture.display().to_string())));
    } else if learnt_a_table(&end.run) {
        say(format_args!("  glassbox predict {run} ROWS.csv"));
    } else if RunDir::open(&end.run).and_then(|run| run.data()).is_ok_and(|data| data.input.tokens.is_some()) {
        say(format_args!("  glassbox predict {run} --text \"...\""));
        say(format_args!("  glassbox explain {run} \"...\""));
    }
    say(format_args!("  glassbox show {run}"));
    say(format_args!("  glassbox eval {run}"));
    say(format_args!("  and open {run_path}/report.html in a browser"));
}

fn learnt_a_table(run: &Path) -> bool {
    RunDir::open(run).and_then(|run| run.data()).is_ok_and(|data| !data.input.columns.is_empty())
}

/// The same where a number is predicted.
fn number_words(end: &End, figure: impl Fn(&str) -> f64) {
    let (run, page) = (end.run.display().to_string(), end.run.join("report.html"));
    let run = quoted(&run);
    say(format_args!(
        "test R^2 {:.4}  RMSE {}  MAE {}  ({} rows never trained on)  in {}",
        figure("test_r2"),
        number(figure("test_rmse")),
        number(figure("test_mae")),
        grouped(figure("test_rows") as usize),
        duration(end.seconds),
    ));
    if let Some(share) = end.ledger {
        say(format_args!("the ledger took {:.2} % of the steps' time", 100.0 * share));
    }
    say(format_args!("run {run}\n\nnext, try:"));
    say(format_args!("  glassbox eval {run}"));
    if learnt_a_table(&end.run) {
        say(format_args!("  glassbox predict {run} ROWS.csv"));
    }
    say(format_args!("  and open {} in a browser", page.display()));
}

/// The same of a text.
fn text_words(end: &End, figure: impl Fn(&str) -> f64) {
    let (run, page) = (end.run.display().to_string(), end.run.join("report.html"));
    let run = quoted(&run);
    say(format_args!(
        "test {:.4} nats a symbol  {:.4} bits  perplexity {:.3}  ({} symbols never trained on)  in {}",
        figure("test_loss"),
        figure("test_bits"),
        figure("test_perplexity"),
        grouped(figure("test_rows") as usize),
        duration(end.seconds),
    ));
    say(format_args!(
        "a {}-gram, which only counts, comes to {:.4}",
        figure("test_ngram_order"),
        figure("test_ngram_loss")
    ));
    if let Some(share) = end.ledger {
        say(format_args!("the ledger took {:.2} % of the steps' time", 100.0 * share));
    }
    say(format_args!("run {run}\n\nnext, try:"));
    say(format_args!("  glassbox sample {run} --temperature 0.8"));
    say(format_args!("  glassbox eval {run}"));
    say(format_args!("  and open {} in a browser", page.display()));
}
