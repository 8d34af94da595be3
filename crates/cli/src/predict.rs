//! `glassbox predict`: says what pictures show, what belongs to rows of a table, or of which class texts are.

use std::path::PathBuf;

use glassbox::Cpu;
use glassbox::data::{Dataset, picture::MAX_PIXELS, read_picture, read_utf8};
use glassbox::train::report::number;
use glassbox::train::{Error, Prediction, predict, predict_number, predict_row, predict_text};
use serde_json::{Value, json};
use zoo::Opened;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `glassbox predict`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// PNG or JPEG files; of a run on a table CSV files with its columns, of which the target may be missing; of one on texts .txt files
    #[arg(required_unless_present = "text", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A text, of a run that knows texts; may be given several times
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// How many of the likeliest classes to name
    #[arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true)]
    top: usize,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a picture, row or text
    #[arg(long)]
    pub json: bool,
}

/// Carries out `predict`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    if opened.input.tokens.is_none() && !arguments.text.is_empty() {
        return Err(Error::usage("--text: this run knows no texts", "give it files"));
    }
    let (what, count) = if opened.knows_tables() {
        ("rows", tables(arguments, &opened, &cpu)?)
    } else if opened.input.tokens.is_some() {
        ("texts", texts(arguments, &opened, &cpu)?)
    } else {
        ("pictures", pictures(arguments, &opened, &cpu)?)
    };
    if arguments.json {
        let end = json!({ "event": "end", "run": arguments.run.display().to_string() });
        say(joined(end, json!({ what: count })));
    }
    Ok(exit::OK)
}

/// What pictures show; their number.
fn pictures(arguments: &Arguments, opened: &Opened, cpu: &Cpu) -> Result<usize, Error> {
    opened.knows_pictures()?;
    let channels = opened.input.shape.first().copied().unwrap_or(1);
    for path in &arguments.files {
        let image = read_picture(path, MAX_PIXELS)?.to_image(channels);
        let (image, inverted) = zoo::picture::prepared(image, opened.recipe.light_on_dark)?;
        let prediction = predict(cpu, opened.model.as_ref(), image, &opened.input)?;
        let place = json!({ "image": path.display().to_string(), "inverted": inverted });
        show(&path.display().to_string(), place, &prediction, arguments);
        if inverted && !arguments.json {
            say("  note: it looks dark on light, and this network knows light on dark: it was inverted first");
        }
    }
    Ok(arguments.files.len())
}

/// Of which class texts are; their number.
fn texts(arguments: &Arguments, opened: &Opened, cpu: &Cpu) -> Result<usize, Error> {
    let read = |path: &PathBuf| Ok((path.display().to_string(), read_utf8(path)?));
    let files = arguments.files.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    let given = arguments.text.iter().map(|text| (start(text), text.clone()));
    let texts: Vec<(String, String)> = files.into_iter().chain(given).collect();
    for (name, text) in &texts {
        let prediction = predict_text(cpu, opened.model.as_ref(), text, &opened.input)?;
        show(name, json!({ "text": name }), &prediction, arguments);
    }
    Ok(texts.len())
}

/// The first words of a text.
fn start(text: &str) -> String {
    const LETTERS: usize = 48;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

/// What belongs to each row of tables; their number.
fn tables(arguments: &Arguments, opened: &Opened, cpu: &Cpu) -> Result<usize, Error> {
    let (model, input) = (opened.model.as_ref(), &opened.input);
    let mut count = 0;
    for path in &arguments.files {
        let rows = opened.rows_of_table(path)?;
        count += rows.len();
        for row in 0..rows.len() {
            let place = json!({ "row": rows.id(row) });
            if !input.goal.is_number() {
                show(&rows.id(row), place, &predict_row(cpu, model, rows.get(row)?, input)?, arguments);
                continue;
            }
            let said = predict_number(cpu, model, rows.get(row)?, input)?;
            if arguments.json {
                let values: serde_json::Map<String, Value> =
                    input.classes.iter().zip(&said).map(|(name, value)| (name.clone(), json!(value))).collect();
                say(joined(json!({ "event": "prediction", "values": values }), place));
                continue;
            }
            let deviation = said.get(1).map_or(String::new(), |&value| format!(" +- {}", number(value.into())));
            say(format_args!("{}: {} {}{deviation}", rows.id(row), input.classes[0], said[0]));
        }
    }
    Ok(count)
}

/// The classes, the likeliest first; `place` says of what, as an object.
fn show(name: &str, place: Value, prediction: &Prediction, arguments: &Arguments) {
    let top = &prediction.classes[..arguments.top.clamp(1, prediction.classes.len().max(1))];
    if arguments.json {
        let probabilities: Vec<_> =
            top.iter().map(|(name, probability)| json!({ "label": name, "probability": probability })).collect();
        let said = json!({
            "event": "prediction", "label": top[0].0, "probability": top[0].1, "top": probabilities,
        });
        say(joined(said, place));
        return;
    }
    let others: Vec<String> =
        top[1..].iter().map(|(name, probability)| format!("{name} {:.1} %", 100.0 * probability)).collect();
    let others = if others.is_empty() { String::new() } else { format!("  (then {})", others.join(", ")) };
    say(format_args!("{name}: {} {:.1} %{others}", top[0].0, 100.0 * top[0].1));
}

/// Two objects as one.
fn joined(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
