//! `glassbox predict`: says what pictures show, or what belongs to rows of a table.

use std::path::PathBuf;

use glassbox::Cpu;
use glassbox::data::{Dataset, picture::MAX_PIXELS, read_picture};
use glassbox::train::report::number;
use glassbox::train::{Error, Prediction, predict, predict_number, predict_row};
use serde_json::{Value, json};
use zoo::Opened;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `predict`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// PNG or JPEG files; of a run on a table CSV files with its columns, of which the target may be missing
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many of the likeliest classes to name
    #[arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true)]
    top: usize,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a picture or row
    #[arg(long)]
    pub json: bool,
}

/// Carries out `predict`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    if opened.knows_tables() {
        return tables(arguments, &opened, &cpu);
    }
    opened.knows_pictures()?;
    let channels = opened.input.shape.first().copied().unwrap_or(1);
    for path in &arguments.files {
        let image = read_picture(path, MAX_PIXELS)?.to_image(channels);
        let (image, inverted) = zoo::picture::prepared(image, opened.recipe.light_on_dark)?;
        let prediction = predict(&cpu, opened.model.as_ref(), image, &opened.input)?;
        let place = json!({ "image": path.display().to_string(), "inverted": inverted });
        show(&path.display().to_string(), place, &prediction, arguments);
        if inverted && !arguments.json {
            say("  note: it looks dark on light, and this network knows light on dark: it was inverted first");
        }
    }
    if arguments.json {
        say(json!({ "event": "end", "run": arguments.run.display().to_string(), "pictures": arguments.files.len() }));
    }
    Ok(exit::OK)
}

/// What belongs to each row of tables.
fn tables(arguments: &Arguments, opened: &Opened, cpu: &Cpu) -> Result<u8, Error> {
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
    if arguments.json {
        say(json!({ "event": "end", "run": arguments.run.display().to_string(), "rows": count }));
    }
    Ok(exit::OK)
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
