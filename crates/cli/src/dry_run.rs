//! `glassbox train --dry-run`: what would be trained, and nothing else.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use glassbox::Cpu;
use glassbox::train::event::{self, grouped};
use glassbox::train::pictures::{as_seen, half_blocks, sheet, write_batch};
use glassbox::train::{Error, Job, Preview, preview};
use serde_json::json;

use crate::exit;
use crate::screen::say;

/// Shows sizes, memory, steps, every setting with where its value came from, and the first batch.
pub fn dry_run(cpu: &Cpu, job: &mut Job, picture: Option<&Path>, json: bool) -> Result<u8, Error> {
    let preview = preview(cpu, job)?;
    let rows = [job.splits.train.len(), job.splits.val.as_ref().map_or(0, |val| val.len()), job.splits.test.len()];
    let ahead = job.settings.get_size("data.workers")?;
    let seen = as_seen(&preview.batch.x, &preview.batch.shape, &job.splits.input);
    let picture = picture.map_or_else(|| temporary(&job.recipe), Path::to_owned);
    if seen.is_some() {
        write_batch(&picture, &preview.batch.x, &preview.batch.shape, &job.splits.input)?;
    }
    let picture = seen.as_ref().map(|_| picture.display().to_string());
    let Preview { parameters, frozen, memory, steps_per_epoch, steps, .. } = preview;
    if json {
        let origins: serde_json::Map<String, serde_json::Value> =
            job.settings.iter().map(|row| (row.name.to_owned(), row.source.to_string().into())).collect();
        say(json!({
            "event": "end", "recipe": job.recipe, "parameters": parameters, "frozen": frozen, "train_rows": rows[0],
            "val_rows": rows[1], "test_rows": rows[2], "steps": steps, "steps_per_epoch": steps_per_epoch, "picture": picture,
            "memory": {
                "total": memory.total(ahead), "arena": memory.arena, "model": memory.model, "moments": memory.moments,
                "batch": memory.batch,
            },
            "settings": job.settings.to_json(), "origins": origins, "notes": job.splits.notes,
        }));
        return Ok(exit::OK);
    }
    let [train, val, test] = rows.map(grouped);
    say(format_args!("{}: {}", job.recipe, event::parameters(parameters, frozen)));
    say(format_args!("rows: {train} to train, {val} to validate, {test} to test"));
    say(format_args!("steps: {} an epoch, {} in all", grouped(steps_per_epoch as usize), grouped(steps as usize)));
    say(format_args!(
        "memory of a step: {}: activations and gradients {}, parameters {}, moments {}, batches {}",
        mebibytes(memory.total(ahead)),
        mebibytes(memory.arena),
        mebibytes(memory.model),
        mebibytes(memory.moments),
        mebibytes((1 + ahead) * memory.batch),
    ));
    job.splits.notes.iter().for_each(|note| say(format_args!("note: {note}")));
    if let (Some(picture), Some(seen)) = (picture, seen) {
        say(format_args!("first batch: {picture}"));
        if std::io::stdout().is_terminal() {
            say(half_blocks(&sheet(&seen[..seen.len().min(8)]), 78).trim_end());
        }
    }
    say("");
    say(job.settings.to_toml().trim_end());
    Ok(exit::OK)
}

/// A file that nobody else writes.
fn temporary(recipe: &str) -> PathBuf {
    std::env::temp_dir().join(format!("glassbox-{recipe}-first-batch-{}.png", std::process::id()))
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
