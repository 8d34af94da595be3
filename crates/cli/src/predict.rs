//! `glassbox predict`: says what pictures show.

use std::path::{Path, PathBuf};

use glassbox::data::{picture::MAX_PIXELS, read_picture};
use glassbox::train::{Error, Prediction, predict};
use serde_json::json;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `predict`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run
    run: PathBuf,
    /// PNG or JPEG files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// How many of the likeliest classes to name
    #[arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true)]
    top: usize,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a picture
    #[arg(long)]
    pub json: bool,
}

/// Carries out `predict`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let (opened, cpu) = arguments.machine.open(&arguments.run, arguments.json)?;
    opened.knows_pictures()?;
    let channels = opened.input.shape.first().copied().unwrap_or(1);
    for path in &arguments.images {
        let image = read_picture(path, MAX_PIXELS)?.to_image(channels);
        let (image, inverted) = zoo::picture::prepared(image, opened.recipe.light_on_dark)?;
        let prediction = predict(&cpu, opened.model.as_ref(), image, &opened.input)?;
        show(path, &prediction, inverted, arguments);
    }
    if arguments.json {
        say(json!({ "event": "end", "run": arguments.run.display().to_string(), "pictures": arguments.images.len() }));
    }
    Ok(exit::OK)
}

fn show(path: &Path, prediction: &Prediction, inverted: bool, arguments: &Arguments) {
    let top = &prediction.classes[..arguments.top.clamp(1, prediction.classes.len().max(1))];
    if arguments.json {
        let probabilities: Vec<_> =
            top.iter().map(|(name, probability)| json!({ "label": name, "probability": probability })).collect();
        say(json!({
            "event": "prediction", "image": path.display().to_string(), "label": top[0].0,
            "probability": top[0].1, "top": probabilities, "inverted": inverted,
        }));
        return;
    }
    let others: Vec<String> =
        top[1..].iter().map(|(name, probability)| format!("{name} {:.1} %", 100.0 * probability)).collect();
    let others = if others.is_empty() { String::new() } else { format!("  (then {})", others.join(", ")) };
    say(format_args!("{}: {} {:.1} %{others}", path.display(), top[0].0, 100.0 * top[0].1));
    if inverted {
        say("  note: it looks dark on light, and this network knows light on dark: it was inverted first");
    }
}
