//! `glassbox predict`: says what pictures show, or of which class texts are.

use std::path::PathBuf;

use glassbox::data::{picture::MAX_PIXELS, read_picture, read_utf8};
use glassbox::train::{Error, Prediction, predict, predict_text};
use serde_json::json;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `predict`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// PNG or JPEG files; of a run that knows texts, .txt files
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
    /// Print one JSON object a picture or text
    #[arg(long)]
    pub json: bool,
}

/// Carries out `predict`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    let mut counts = json!({ "event": "end", "run": arguments.run.display().to_string() });
    if opened.input.tokens.is_some() {
        let read = |path: &PathBuf| Ok((path.display().to_string(), read_utf8(path)?));
        let files = arguments.files.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
        let given = arguments.text.iter().map(|text| (start(text), text.clone()));
        let texts: Vec<(String, String)> = files.into_iter().chain(given).collect();
        for (name, text) in &texts {
            let prediction = predict_text(&cpu, opened.model.as_ref(), text, &opened.input)?;
            show("text", name, &prediction, None, arguments);
        }
        counts["texts"] = texts.len().into();
    } else {
        opened.knows_pictures()?;
        if !arguments.text.is_empty() {
            return Err(Error::usage("--text: this run knows no texts", "give it pictures"));
        }
        let channels = opened.input.shape.first().copied().unwrap_or(1);
        for path in &arguments.files {
            let image = read_picture(path, MAX_PIXELS)?.to_image(channels);
            let (image, inverted) = zoo::picture::prepared(image, opened.recipe.light_on_dark)?;
            let prediction = predict(&cpu, opened.model.as_ref(), image, &opened.input)?;
            show("image", &path.display().to_string(), &prediction, Some(inverted), arguments);
        }
        counts["pictures"] = arguments.files.len().into();
    }
    if arguments.json {
        say(counts);
    }
    Ok(exit::OK)
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

fn show(kind: &str, name: &str, prediction: &Prediction, inverted: Option<bool>, arguments: &Arguments) {
    let top = &prediction.classes[..arguments.top.clamp(1, prediction.classes.len().max(1))];
    if arguments.json {
        let probabilities: Vec<_> =
            top.iter().map(|(name, probability)| json!({ "label": name, "probability": probability })).collect();
        let mut object =
            json!({ "event": "prediction", "label": top[0].0, "probability": top[0].1, "top": probabilities });
        object[kind] = name.into();
        if let Some(inverted) = inverted {
            object["inverted"] = inverted.into();
        }
        say(object);
        return;
    }
    let others: Vec<String> =
        top[1..].iter().map(|(name, probability)| format!("{name} {:.1} %", 100.0 * probability)).collect();
    let others = if others.is_empty() { String::new() } else { format!("  (then {})", others.join(", ")) };
    say(format_args!("{name}: {} {:.1} %{others}", top[0].0, 100.0 * top[0].1));
    if inverted == Some(true) {
        say("  note: it looks dark on light, and this network knows light on dark: it was inverted first");
    }
}
