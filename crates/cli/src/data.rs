//! `glassbox data`: what a dataset holds, and what is wrong with it.

use std::path::{Path, PathBuf};

use glassbox::data::survey::manifest;
use glassbox::data::{Changes, Convention, Manifest, SurveyOptions, survey};
use glassbox::train::Error;
use glassbox::train::event::counted;
use serde_json::json;

use crate::exit;
use crate::screen::say;

/// Arguments of `data`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder or file of the dataset
    path: PathBuf,
    /// How it is laid out, if that is not clear: folders, idx, csv, npz, voc, yolo, coco, text, text-folders,
    /// wav
    #[arg(long = "as", value_name = "KIND")]
    convention: Option<String>,
    /// Target column of a table [default: one called label, target, class or y]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Write which files it is made of, with their hashes; `train --manifest FILE` holds a training to them
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Say what changed since this manifest was written, and nothing else
    #[arg(long, value_name = "MANIFEST", conflicts_with = "manifest")]
    check: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `data`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let convention = arguments.convention.as_deref().map(Convention::from_word).transpose();
    let convention = convention.map_err(|error| Error::usage(first_line(&error), help(&error)))?;
    if let Some(path) = &arguments.check {
        return check(arguments, path, convention);
    }
    let found = survey(&arguments.path, &SurveyOptions { convention, target: arguments.target.clone() })?;
    if let Some(path) = &arguments.manifest {
        found.manifest().write(path)?;
    }
    if arguments.json {
        let mut object = found.to_json();
        object["event"] = json!("end");
        object["manifest"] = json!(arguments.manifest.as_ref().map(|path| path.display().to_string()));
        say(object);
        return Ok(exit::OK);
    }
    say(found.to_text().trim_end());
    if let Some(path) = &arguments.manifest {
        say(format_args!("\nmanifest {}", path.display()));
    }
    Ok(exit::OK)
}

/// What changed since a manifest was written.
fn check(arguments: &Arguments, path: &Path, convention: Option<Convention>) -> Result<u8, Error> {
    let then = Manifest::read(path)?;
    let convention = convention.map_or_else(|| Convention::from_word(&then.convention), Ok)?;
    let now = manifest(&arguments.path, Some(convention))?;
    let changes = Changes::of(&then, &now);
    let code = if changes.is_empty() { exit::OK } else { exit::DATA };
    if arguments.json {
        say(json!({
            "event": "end", "path": arguments.path.display().to_string(), "files": now.files.len(), "added": changes.added,
            "removed": changes.removed, "changed": changes.changed, "code": code,
        }));
        return Ok(code);
    }
    match changes.words().count() {
        0 => say(format_args!(
            "{} is as {} says: {}",
            arguments.path.display(),
            path.display(),
            counted(now.files.len(), "file")
        )),
        count => say(format_args!(
            "{} is not as {} says: {}",
            arguments.path.display(),
            path.display(),
            counted(count, "file")
        )),
    }
    changes.words().for_each(|change| say(format_args!("  {change}")));
    Ok(code)
}

fn first_line(error: &glassbox::data::DataError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn help(error: &glassbox::data::DataError) -> String {
    error.to_string().split_once("help: ").map(|(_, help)| help.to_owned()).unwrap_or_default()
}
