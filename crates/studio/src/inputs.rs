//! The rows of a run's data: as they are stored, as a model is fed them, as pictures for the page.

use std::sync::Arc;

use data::{AugmentationKey, Dataset, Image, Sample, Target, Transform, augmentation_key};
use serde_json::{Value, json};
use tensor::Tensor;
use train::pictures::as_seen;
use train::report::embed::picture_uri;
use train::{Goal, Input};

use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::query::Query;
use crate::tensors::finite;

/// A part of a run's data by name: `train`, `val`, `test`.
///
/// # Errors
/// If the run has no such part.
pub fn part(run: &train::Run, name: &str) -> Result<Arc<dyn Dataset>> {
    let splits = &run.job().splits;
    match (name, &splits.val) {
        ("train", _) => Ok(Arc::clone(&splits.train)),
        ("test", _) => Ok(Arc::clone(&splits.test)),
        ("val", Some(val)) => Ok(Arc::clone(val)),
        ("val", None) => Err(Error::Asked("this run has no validation rows".to_owned())),
        _ => Err(Error::Asked(format!("{name:?} is no part of the data: they are train, val and test"))),
    }
}

/// The part that is asked about: `part`, or the rows that watched the training, or the test rows.
///
/// # Errors
/// As for `part`.
pub fn part_of(run: &train::Run, query: &Query) -> Result<(&'static str, Arc<dyn Dataset>)> {
    let usual = if run.job().splits.val.is_some() { "val" } else { "test" };
    let wanted = query.get("part").unwrap_or(usual);
    let rows = part(run, wanted)?;
    Ok((["train", "val", "test"].into_iter().find(|name| *name == wanted).unwrap_or(usual), rows))
}

/// An error if a row has no class of its own: because it is a text, or because a number is predicted.
///
/// # Errors
/// Then.
pub fn one_class_a_row(input: &Input) -> Result<()> {
    match input.goal {
        Goal::Class => Ok(()),
        Goal::Symbols => Err(Error::Asked("rows of this run are text, and have no class of their own".to_owned())),
        Goal::Number { .. } => Err(Error::Asked("this run predicts a number, and no class".to_owned())),
    }
}

/// A row of a part.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn row(rows: &dyn Dataset, row: usize) -> Result<Sample> {
    if row >= rows.len() {
        return Err(Error::Asked(format!("there is no row {row}: there are {}", rows.len())));
    }
    Ok(rows.get(row)?)
}

/// A row as the model sees it outside training, `[1, ..]`.
///
/// # Errors
/// If it does not fit.
pub fn fed(input: &Input, sample: Sample) -> Result<Tensor> {
    // Nothing in here is random, so any key will do.
    prepared(input, &[], sample, augmentation_key(0, 0, 0))
}

fn prepared(input: &Input, augment: &[Transform], sample: Sample, key: AugmentationKey) -> Result<Tensor> {
    let sample = input.prepare(augment).apply(sample, key)?;
    let shape: Vec<usize> = std::iter::once(1).chain(sample.shape).collect();
    Ok(Tensor::from_vec(sample.x, shape))
}

/// A stored row as a picture in the page, if it is one.
pub fn stored_uri(sample: &Sample) -> Option<String> {
    let &[channels @ (1 | 3), height, width] = sample.shape.as_slice() else { return None };
    picture_uri(Image { channels, height, width, pixels: sample.x.clone() }).ok()
}

/// What a model is fed as a picture, as it was before the normalisation.
pub fn fed_uri(x: &[f32], shape: &[usize], input: &Input) -> Option<String> {
    as_seen(x, shape, input)?.into_iter().next().and_then(|image| picture_uri(image).ok())
}

/// The beginning of a row that is a text.
pub fn start_of(rows: &dyn Dataset, row: usize) -> Option<String> {
    const LETTERS: usize = 160;
    rows.words(row).map(|text| text.chars().take(LETTERS).collect())
}

/// The class of a row, if it has one.
pub fn class(target: &Target) -> Option<usize> {
    match target {
        Target::Class(class) => Some(*class),
        _ => None,
    }
}

/// The number that is to be predicted of a row, if it is one.
pub fn value(target: &Target) -> Option<f64> {
    match target {
        Target::Values(values) if values.len() == 1 => Some(values[0].into()),
        _ => None,
    }
}

/// `/api/data?run=`: parts, sizes, classes.
pub fn parts(bench: &mut Bench, _: &Query) -> Result<Value> {
    let network = bench.network();
    let mut parts = Vec::new();
    let mut augment = Vec::new();
    // A model alone has no rows.
    if let Ok(run) = bench.run() {
        let splits = &run.job().splits;
        parts.push(json!({ "name": "train", "rows": splits.train.len() }));
        parts.extend(splits.val.as_ref().map(|val| json!({ "name": "val", "rows": val.len() })));
        parts.push(json!({ "name": "test", "rows": splits.test.len() }));
        augment.extend(splits.augment.iter().map(Transform::name));
    }
    Ok(json!({
        "parts": parts, "classes": network.input.classes, "number": network.input.goal.is_number(), "shape": network.input.shape, "augment": augment,
        "light_on_dark": is_light_on_dark(network.recipe), "tokens": network.input.tokens.is_some(),
    }))
}

pub(crate) fn is_light_on_dark(recipe: &str) -> bool {
    zoo::find(recipe).is_ok_and(|recipe| recipe.light_on_dark)
}

/// `/api/sample?run=&part=&row=`: a row as it is stored and, of the training rows, as some epochs showed it.
pub fn sample(bench: &mut Bench, query: &Query) -> Result<Value> {
    const EPOCHS: u32 = 6;
    let run = bench.run()?;
    let (part, rows) = part_of(run, query)?;
    let at = query.number("row")?;
    let sample = row(rows.as_ref(), at)?;
    let splits = &run.job().splits;
    let input = &splits.input;
    let seed = run.job().settings.get_int("train.seed")? as u64;
    let as_epoch = |epoch: Option<u32>| -> Result<Option<String>> {
        let x = match epoch {
            Some(epoch) => prepared(input, &splits.augment, sample.clone(), augmentation_key(seed, epoch, at))?,
            None => fed(input, sample.clone())?,
        };
        let value = run.cpu().run(&[&x], &[])?;
        Ok(fed_uri(value[0].as_slice().unwrap_or_default(), x.dims(), input))
    };
    let mut epochs = Vec::new();
    if part == "train" && !splits.augment.is_empty() {
        for epoch in 0..EPOCHS {
            epochs.push(json!({ "epoch": epoch + 1, "picture": as_epoch(Some(epoch))? }));
        }
    }
    let class = class(&sample.target);
    let value = value(&sample.target);
    let (least, most) = sample.x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), &x| (x.min(l), x.max(m)));
    Ok(json!({
        "part": part, "row": at, "rows": rows.len(), "id": rows.id(at), "class": class, "value": value,
        "label": class.and_then(|class| input.classes.get(class)), "shape": sample.shape,
        "min": finite(least.into()), "max": finite(most.into()), "stored": stored_uri(&sample), "words": rows.words(at),
        "fed": as_epoch(None)?, "epochs": epochs, "mean": input.mean, "std": input.std,
    }))
}

/// `/api/history?run=&step=&row=`: the loss of a training row each time that it was learned from until a step: `[step, epoch,
/// loss]`, from the log.
pub fn history(bench: &mut Bench, query: &Query) -> Result<Value> {
    let (wanted, until): (u32, u64) = (query.number("row")?, query.number("step")?);
    bench.read_on(until)?;
    let run = bench.run()?;
    if wanted as usize >= run.job().splits.train.len() {
        return Err(Error::Asked(format!("there is no training row {wanted}")));
    }
    let found: Vec<Value> = run
        .ledger()
        .all_rows()
        .take_while(|step| step.step <= until)
        .flat_map(|step| {
            let (number, epoch) = (step.step, step.epoch);
            let own = step.rows.into_iter().filter(|row| row.row == wanted);
            own.map(move |row| json!([number, epoch + 1, finite(row.loss.into())])).collect::<Vec<_>>()
        })
        .collect();
    Ok(json!({ "row": wanted, "losses": found }))
}
