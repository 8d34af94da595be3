//! `glassbox explain`: what an answer hangs on, with certificates.

use std::path::{Path, PathBuf};

use glassbox::data::{
    AugmentationKey, Dataset, Target, augmentation_key, picture::MAX_PIXELS, read_picture, write_png,
};
use glassbox::see::picture::{Explained, Explanation, write_svg};
use glassbox::see::{
    Method, Net, Options, TEXT_METHODS, TextExplanation, black, explain, explain_text, explain_tokens,
};
use glassbox::tensor::Shape;
use glassbox::train::suggest::did_you_mean;
use glassbox::train::{Error, Goal, load_weights, text_tokens};
use glassbox::{Array, Cpu};
use serde_json::{Value, json};
use zoo::Opened;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// A PNG or JPEG file, or a row of the run's data: test:17, val:3, train:0; of a model of text, any text
    input: String,
    /// gradient, gradient-input, smoothgrad, integrated, grad-cam, occlusion, or all [default: integrated; of the class of a text,
    /// occlusion]
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The class whose score is explained, by name or number [default: the likeliest]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The weights after this step of the run, computed again if need be [default: the newest]
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    /// The layer whose feature maps grad-cam reads [default: those of the last convolution]
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// What absence looks like: the mean of the training pictures, or black [default: black where pictures are light on dark]
    #[arg(long, value_parser = ["mean", "black"])]
    baseline: Option<String>,
    /// Points of integrated gradients
    #[arg(long, value_name = "N", default_value_t = 256)]
    points: usize,
    /// The picture to write, .svg with words or .png without [default: explanation.svg]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the data of the run lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `explain`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let methods = methods(arguments.method.as_deref().unwrap_or(Method::Integrated.name()))?;
    let out = arguments.out.clone().unwrap_or_else(|| "explanation.svg".into());
    let is_svg = is_svg(&out)?;
    let (opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    let mut step = opened.step;
    if let Some(asked) = arguments.step {
        let mut run = zoo::Run::open_on(arguments.machine.cpu()?, &arguments.run, arguments.data.as_deref())?;
        load_weights(&opened.scope, &run.checkpoint(asked)?)?;
        step = asked;
    }
    if opened.input.goal == Goal::Symbols {
        return of_text(arguments, &opened, &cpu, &methods, step);
    }
    if opened.input.tokens.is_some() {
        return of_tokens(arguments, &opened, &cpu, step);
    }
    opened.knows_pictures()?;
    let (x, truth, inverted) = input(arguments, &opened)?;
    let class = arguments.class.as_deref().map(|class| class_of(class, &opened.input.classes)).transpose()?;
    let is_black = arguments.baseline.as_deref().map_or(opened.recipe.light_on_dark, |word| word == "black");
    let options = Options {
        baseline: if is_black { black(&opened.input) } else { vec![0.0] },
        steps: arguments.points,
        layer: arguments.layer.clone(),
        ..Options::default()
    };
    let about = format!("{} · {}, step {step}", arguments.input, arguments.run.display());
    let found = told(&cpu, &opened, &x, class, &methods, &options, &about)?;
    if is_svg {
        write_svg(&out, &found.to_svg()?)?;
    } else {
        write_png(&out, &found.to_image())?;
    }
    if arguments.json {
        say(json!({
            "event": "end", "run": arguments.run.display().to_string(), "input": arguments.input, "step": step,
            "label": truth, "inverted": inverted, "class": found.class, "score": found.maps[0].map.score,
            "top": found.answers.iter().map(|(name, p)| json!({ "label": name, "probability": p })).collect::<Vec<_>>(),
            "maps": found.maps.iter().map(to_json).collect::<Vec<_>>(), "written": out.display().to_string(),
        }));
        return Ok(exit::OK);
    }
    show(&found, truth.as_deref());
    if inverted {
        say("note: it looks dark on light, and this network knows light on dark: it was inverted first");
    }
    say(format_args!("wrote {}", out.display()));
    Ok(exit::OK)
}

/// What the letter that follows a text hangs on.
fn of_text(arguments: &Arguments, opened: &Opened, cpu: &Cpu, methods: &[Method], step: u64) -> Result<u8, Error> {
    let letters = &opened.input.classes;
    let symbols = zoo::symbols(&arguments.input, letters)?;
    let most = opened.input.shape.first().copied().unwrap_or(0);
    if symbols.len() > most {
        return Err(Error::usage(
            format!("a text of {} letters, and the network reads {most} at once", symbols.len()),
            "give the end of it",
        ));
    }
    let out = drawing(arguments)?;
    let class = arguments.class.as_deref().map(|class| class_of(class, letters)).transpose()?;
    let is_all = arguments.method.as_deref() == Some("all");
    let methods = if is_all { TEXT_METHODS.to_vec() } else { methods.to_vec() };
    let net = Net { cpu, model: opened.model.as_ref(), scope: &opened.scope };
    let options = Options { steps: arguments.points, ..Options::default() };
    let about = format!("{}, step {step}", arguments.run.display());
    let found = explain_text(&net, letters, &symbols, class, &methods, &options, &about)?;
    tell_text(arguments, &found, None, step, &out)
}

/// What the class of a text hangs on: of a text of the data, or any.
fn of_tokens(arguments: &Arguments, opened: &Opened, cpu: &Cpu, step: u64) -> Result<u8, Error> {
    if arguments.method.as_deref().is_some_and(|method| !["occlusion", "all"].contains(&method)) {
        return Err(Error::usage(
            "only occlusion can be asked of the class of a text",
            "leave --method out: it says how far the score falls without each token",
        ));
    }
    let out = drawing(arguments)?;
    let classes = &opened.input.classes;
    let class = arguments.class.as_deref().map(|class| class_of(class, classes)).transpose()?;
    let (x, truth) = match row(&arguments.input)? {
        Some((part, number)) => {
            let (x, truth) = data_row(arguments, opened, part, number)?;
            (x.as_slice().unwrap_or_default().to_vec(), truth)
        }
        None => (text_tokens(&arguments.input, &opened.input)?, None),
    };
    let net = Net { cpu, model: opened.model.as_ref(), scope: &opened.scope };
    let about = format!("{}, step {step}", arguments.run.display());
    let found = explain_tokens(&net, &opened.input, &x, class, &Options::default(), &about)?;
    tell_text(arguments, &found, truth, step, &out)
}

/// The file that the explanation of a text is drawn into.
fn drawing(arguments: &Arguments) -> Result<PathBuf, Error> {
    if arguments.baseline.is_some() || arguments.layer.is_some() {
        return Err(Error::usage(
            "--baseline and --layer are for pictures",
            "leave them out: absence is the mean letter or no token, and a text has no feature maps",
        ));
    }
    let out = arguments.out.clone().unwrap_or_else(|| "explanation.svg".into());
    match is_svg(&out)? {
        true => Ok(out),
        false => Err(Error::usage(
            format!("{}: a text is drawn with words", out.display()),
            "name a file that ends with .svg",
        )),
    }
}

/// Draws and says what was found of a text.
fn tell_text(
    arguments: &Arguments,
    found: &TextExplanation,
    truth: Option<String>,
    step: u64,
    out: &Path,
) -> Result<u8, Error> {
    write_svg(out, &found.to_svg())?;
    if arguments.json {
        say(json!({
            "event": "end", "run": arguments.run.display().to_string(), "input": arguments.input, "step": step,
            "label": truth, "class": found.class, "score": found.maps[0].map.score, "places": found.letters,
            "top": found.answers.iter().map(|(name, p)| json!({ "label": name, "probability": p })).collect::<Vec<_>>(),
            "maps": found.maps.iter().map(to_json).collect::<Vec<_>>(),
            "attention": found.attention.iter().map(|map| json!({ "number": map.number, "shape": map.weights.shape().to_vec(), "weights": map.weights.to_f64() })).collect::<Vec<_>>(),
            "written": out.display().to_string(),
        }));
        return Ok(exit::OK);
    }
    let quote = |name: &String| if found.is_class { name.clone() } else { format!("{name:?}") };
    let next: Vec<String> =
        found.answers.iter().take(5).map(|(name, p)| format!("{} {:.1} %", quote(name), 100.0 * p)).collect();
    let truth = truth.map_or(String::new(), |truth| format!("; its label is {truth}"));
    say(format_args!("{}: {}{truth}", if found.is_class { "its class" } else { "what follows" }, next.join(", ")));
    if found.is_class {
        let values = found.maps.iter().flat_map(|explained| explained.map.values());
        let mut words: Vec<(&String, f32)> = found.letters.iter().zip(values.copied()).collect();
        words.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let words: Vec<String> =
            words.iter().take(8).map(|(word, fall)| format!("{} {fall:+.2}", word.trim())).collect();
        say(format_args!("what the score of {} hangs on: {}", found.class, words.join(", ")));
    }
    show_maps(&found.maps);
    say(format_args!("wrote {}", out.display()));
    Ok(exit::OK)
}

/// Classes that are explained after a training, of the many that there may be.
const MOST_CLASSES: usize = 6;

/// Draws what the answers to the first test row of each class hang on, into the pictures of a run, and names the files.
pub fn each_class(cpu: &Cpu, run: &Path) -> Result<Vec<String>, Error> {
    let opened = zoo::open(run)?;
    let test = (opened.recipe.splits)(&opened.settings, opened.data_dir(None)?)?.test;
    let is_black = opened.recipe.light_on_dark;
    let baseline = if is_black { black(&opened.input) } else { vec![0.0] };
    let options = Options { baseline, ..Options::default() };
    let mut written = Vec::new();
    for class in 0..opened.input.classes.len().min(MOST_CLASSES) {
        let is_of_class = |row: &usize| test.target(*row).is_ok_and(|target| target == Target::Class(class));
        let Some(row) = (0..test.len()).find(is_of_class) else { continue };
        let (x, _) = row_input(&opened, test.as_ref(), row)?;
        let about = format!("{} · {}, step {}", test.id(row), run.display(), opened.step);
        // The likeliest class is what is explained, right or wrong.
        let found = told(cpu, &opened, &x, None, &[Method::Integrated, Method::Occlusion], &options, &about)?;
        let path = run.join("pictures").join(format!("explained-{class}.svg"));
        write_svg(&path, &found.to_svg()?)?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

fn told(
    cpu: &Cpu,
    opened: &Opened,
    x: &Array,
    class: Option<usize>,
    methods: &[Method],
    options: &Options,
    about: &str,
) -> Result<Explanation, Error> {
    let net = Net { cpu, model: opened.model.as_ref(), scope: &opened.scope };
    explain(&net, &opened.input, x, class, methods, options, about)
}

fn methods(word: &str) -> Result<Vec<Method>, Error> {
    if word == "all" {
        return Ok(Method::ALL.to_vec());
    }
    let names = || Method::ALL.iter().map(|method| method.name()).chain(["all"]);
    match Method::ALL.into_iter().find(|method| method.name() == word) {
        Some(method) => Ok(vec![method]),
        None => Err(Error::usage(format!("there is no method {word:?}"), did_you_mean(word, names()))),
    }
}

fn is_svg(out: &Path) -> Result<bool, Error> {
    match out.extension().and_then(|end| end.to_str()) {
        Some("svg") => Ok(true),
        Some("png") => Ok(false),
        _ => Err(Error::usage(
            format!("{} is neither .svg nor .png", out.display()),
            "name the picture with one of these endings",
        )),
    }
}

/// The class called `word`, or with this number.
fn class_of(word: &str, classes: &[String]) -> Result<usize, Error> {
    let named = classes.iter().position(|name| name == word);
    let numbered = || word.parse().ok().filter(|&number: &usize| number < classes.len());
    named.or_else(numbered).ok_or_else(|| {
        Error::usage(format!("there is no class {word:?}"), did_you_mean(word, classes.iter().map(String::as_str)))
    })
}

/// The input `[1, ..]`, the name of its class if that is known, and whether it had to be inverted.
fn input(arguments: &Arguments, opened: &Opened) -> Result<(Array, Option<String>, bool), Error> {
    match row(&arguments.input)? {
        Some((part, number)) => {
            let (x, truth) = data_row(arguments, opened, part, number)?;
            Ok((x, truth, false))
        }
        None => {
            let channels = opened.input.shape.first().copied().unwrap_or(1);
            let image = read_picture(Path::new(&arguments.input), MAX_PIXELS)?.to_image(channels);
            let (image, inverted) = zoo::picture::prepared(image, opened.recipe.light_on_dark)?;
            let image = opened.input.prepare(&[]).apply_image(image, unused_key())?;
            Ok((of_shape(image.pixels.clone(), &image.shape())?, None, inverted))
        }
    }
}

/// A row of the run's data as the model sees it, and the name of its class.
fn data_row(
    arguments: &Arguments,
    opened: &Opened,
    part: &str,
    number: usize,
) -> Result<(Array, Option<String>), Error> {
    let splits = (opened.recipe.splits)(&opened.settings, opened.data_dir(arguments.data.as_deref())?)?;
    let set = match part {
        "train" => Some(splits.train),
        "val" => splits.val,
        _ => Some(splits.test),
    };
    let set = set.ok_or_else(|| Error::usage("the run has no rows to validate", "ask for test:N or train:N"))?;
    if number >= set.len() {
        return Err(Error::usage(
            format!("there are {} {part} rows, and none is row {number}", set.len()),
            format!("give a row from {part}:0 to {part}:{}", set.len().saturating_sub(1)),
        ));
    }
    row_input(opened, set.as_ref(), number)
}

/// Row `number` of `set` as the model sees it, `[1, ..]`, and the name of its class if it has one.
fn row_input(opened: &Opened, set: &dyn Dataset, number: usize) -> Result<(Array, Option<String>), Error> {
    let sample = opened.input.prepare(&[]).apply(set.get(number)?, unused_key())?;
    let truth = match sample.target {
        Target::Class(class) => set.class_names().get(class).cloned(),
        _ => None,
    };
    Ok((of_shape(sample.x, &sample.shape)?, truth))
}

/// No transform of an input is random, so any key will do.
fn unused_key() -> AugmentationKey {
    augmentation_key(0, 0, 0)
}

fn of_shape(x: Vec<f32>, shape: &[usize]) -> Result<Array, Error> {
    let dims: Vec<usize> = std::iter::once(1).chain(shape.iter().copied()).collect();
    let shape = Shape::new(&dims).filter(|shape| shape.count() == x.len());
    let shape = shape.ok_or_else(|| Error::usage("the input has no shape", "give a picture, or a row of the data"))?;
    Ok(Array::of(shape, x))
}

/// `test:17` as part and number; `None` for a file.
fn row(text: &str) -> Result<Option<(&str, usize)>, Error> {
    match text.split_once(':') {
        Some((part @ ("train" | "val" | "test"), number)) if !Path::new(text).exists() => {
            let number = number.parse().map_err(|_| {
                Error::usage(format!("{text}: {number} is no row"), "write test:17; rows are counted from 0")
            })?;
            Ok(Some((part, number)))
        }
        _ => Ok(None),
    }
}

fn show(found: &Explanation, truth: Option<&str>) {
    let (name, probability) = found.answers.first().cloned().unwrap_or_default();
    let truth = truth.map_or(String::new(), |truth| format!("; its label is {truth}"));
    say(format_args!("{name} {:.1} %{truth}", 100.0 * probability));
    let score = found.maps.first().map_or(f64::NAN, |explained| explained.map.score);
    say(format_args!("what the score of {} hangs on: {score:.4}", found.class));
    show_maps(&found.maps);
}

fn show_maps(maps: &[Explained]) {
    for Explained { map, checks } in maps {
        let layer = map.layer.as_ref().map_or(String::new(), |layer| format!(" at {layer}"));
        say(format_args!("\n{}{layer}: {}", map.method.name(), map.method.about()));
        let deletion = &checks.deletion;
        say(format_args!(
            "  deletion: without its top {:.0} % of the places the score falls by {:.4}, at random by {:.4}; it beats {:.0} % of the random ones",
            100.0 * deletion.removed,
            deletion.fall(),
            deletion.random_fall(),
            100.0 * deletion.beats,
        ));
        let stages: Vec<String> = checks
            .randomisation
            .stages
            .iter()
            .map(|stage| format!("{} {:.2} ({:.2})", stage.down_to, stage.rank_correlation, stage.similarity))
            .collect();
        say(format_args!("  weights shuffled down to, rank correlation (SSIM): {}", stages.join(", ")));
        if let Some(complete) = &checks.completeness {
            say(format_args!(
                "  completeness: it adds up to {:.5} of {:.5}, off by {:.3} %",
                complete.sum,
                complete.difference,
                100.0 * complete.residual
            ));
        }
    }
}

fn to_json(explained: &Explained) -> Value {
    let Explained { map, checks } = explained;
    let mut object = checks.to_json();
    object["method"] = map.method.name().into();
    object["layer"] = map.layer.clone().into();
    object["shape"] = map.places.shape().to_vec().into();
    object["places"] = map.values().into();
    object
}
