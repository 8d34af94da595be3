//! What the model of any step answers for many rows at once: confusion and the rows behind it, neighbours in the space of its
//! last features.

use std::sync::Arc;

use data::{Dataset, Loader, LoaderConfig, Position};
use serde_json::{Value, json};
use tensor::Tensor;
use tensor::math::f64::{exp, log};
use train::metric::Confusion;

use crate::bench::{Bench, Progress};
use crate::error::{Error, Result};
use crate::inputs::{class, fed, one_class_a_row, part, part_of, row, start_of, stored_uri};
use crate::network::Network;
use crate::query::Query;
use crate::tensors::finite;

/// Rows that are asked about, at most: more would keep the page waiting.
const MOST_ROWS: usize = 10_000;
/// Rows that are shown of a cell.
const MOST_SHOWN: usize = 60;
/// Neighbours that are shown.
const NEIGHBOURS: usize = 12;

/// What is taken of a pass: the logits, or what the last layer makes them of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Logits,
    Features,
}

/// The rows of `wanted` for `[N, ..]` inputs, `[N, D]`.
fn of_inputs(network: &Network, x: &Tensor, wanted: Wanted) -> Tensor {
    let pass = nn::Pass::eval().watching();
    let logits = network.model.forward(x, &pass);
    if wanted == Wanted::Logits {
        return logits;
    }
    let rows = x.dims().first().copied().unwrap_or(1);
    let width = logits.dims().last().copied().unwrap_or(1);
    // The last output that is not the classes any more.
    let before = pass.seen().into_iter().rev().map(|layer| layer.output).find(|output| output.dims() != [rows, width]);
    let features = before.unwrap_or(logits);
    let each = features.count().checked_div(rows).unwrap_or(0);
    features.reshape([rows, each])
}

/// `wanted` of the first `most` rows of a part, with the weights after step `step`; row after row.
fn of_rows(bench: &mut Bench, step: u64, name: &'static str, most: usize, wanted: Wanted) -> Result<Arc<Vec<f32>>> {
    // Another step's are none of this one's: the run must stand there first.
    bench.after(step)?;
    let key = format!("{} of {most} {name} rows", if wanted == Wanted::Logits { "logits" } else { "features" });
    if let Some(found) = bench.recall(&key) {
        return Ok(found);
    }
    let run = bench.run()?;
    let rows = part(run, name)?;
    let batch = run.job().settings.get_size("eval.batch")?.clamp(1, 256);
    let found = bench.asked(step, |network, progress| pass_rows(network, progress, rows, batch, most, wanted))?;
    Ok(bench.remember(&key, found))
}

fn pass_rows(
    network: &Network,
    progress: &Progress,
    rows: Arc<dyn Dataset>,
    batch: usize,
    most: usize,
    wanted: Wanted,
) -> Result<Vec<f32>> {
    let transforms = network.input.prepare(&[]);
    let config = LoaderConfig { batch, shuffle: false, workers: 0, transforms, ..LoaderConfig::default() };
    let count = rows.len().min(most);
    let loader = Loader::new(rows, config)?;
    let mut found = Vec::new();
    let mut width = 0;
    for number in 0..count.div_ceil(batch) {
        progress.check()?;
        progress.rows(number * batch, count);
        let batch = loader.batch_at(Position { epoch: 0, batch: number })?;
        let x = Tensor::from_vec(batch.x.clone(), &batch.shape);
        let values = network.cpu.run(&[&of_inputs(network, &x, wanted)], &[])?;
        let numbers = values[0].as_slice::<f32>().unwrap_or_default();
        width = numbers.len() / batch.len().max(1);
        found.extend_from_slice(numbers);
    }
    found.truncate(count * width);
    Ok(found)
}

/// The place of the greatest, and the probabilities.
fn judged(logits: &[f32]) -> (usize, Vec<f64>) {
    let best = train::metric::best(logits);
    let most = f64::from(logits.get(best).copied().unwrap_or(0.0));
    let weights: Vec<f64> = logits.iter().map(|&logit| exp(f64::from(logit) - most)).collect();
    let sum: f64 = weights.iter().sum();
    (best, weights.iter().map(|weight| weight / sum).collect())
}

/// `/api/confusion?run=&step=&part=`: what each class was taken for, with the weights after a step.
pub fn confusion(bench: &mut Bench, query: &Query) -> Result<Value> {
    one_class_a_row(bench.network().input)?;
    let step: u64 = query.number("step")?;
    let (name, rows) = part_of(bench.run()?, query)?;
    let most = query.number_or("most", MOST_ROWS)?.clamp(1, MOST_ROWS);
    let logits = of_rows(bench, step, name, most, Wanted::Logits)?;
    let classes = bench.network().input.classes.clone();
    let width = classes.len().max(1);
    let mut confusion = Confusion::new(width);
    let (mut right, mut loss) = (0usize, 0.0f64);
    let asked = logits.len() / width;
    for (at, logits) in logits.chunks_exact(width).enumerate() {
        let Some(label) = class(&rows.target(at)?) else { continue };
        confusion.add(logits, &[label as i64]);
        let (taken, probabilities) = judged(logits);
        right += usize::from(taken == label);
        loss -= log(probabilities.get(label).copied().unwrap_or(0.0).max(f64::MIN_POSITIVE));
    }
    let counts: Vec<Vec<usize>> =
        (0..width).map(|label| (0..width).map(|taken| confusion.count(label, taken)).collect()).collect();
    let mean = |sum: f64| finite(sum / asked.max(1) as f64);
    Ok(json!({
        "step": step, "part": name, "classes": classes, "counts": counts, "asked": asked, "rows": rows.len(),
        "accuracy": mean(right as f64), "loss": mean(loss),
    }))
}

/// `/api/cell?run=&step=&part=&label=&taken=`: the rows of a cell of the confusion matrix, the surest first.
pub fn cell(bench: &mut Bench, query: &Query) -> Result<Value> {
    one_class_a_row(bench.network().input)?;
    let step: u64 = query.number("step")?;
    let (name, rows) = part_of(bench.run()?, query)?;
    let (label, taken): (usize, usize) = (query.number("label")?, query.number("taken")?);
    let most = query.number_or("most", MOST_ROWS)?.clamp(1, MOST_ROWS);
    let logits = of_rows(bench, step, name, most, Wanted::Logits)?;
    let width = bench.network().input.classes.len().max(1);
    let mut found: Vec<(usize, f64, f64)> = Vec::new();
    for (at, logits) in logits.chunks_exact(width).enumerate() {
        let (best, probabilities) = judged(logits);
        if best == taken && class(&rows.target(at)?) == Some(label) {
            found.push((at, probabilities[best], probabilities.get(label).copied().unwrap_or(0.0)));
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let count = found.len();
    let shown = found.into_iter().take(MOST_SHOWN).map(|(at, sure, right)| -> Result<Value> {
        let picture = stored_uri(&row(rows.as_ref(), at)?);
        let words = start_of(rows.as_ref(), at);
        Ok(json!({
            "row": at, "id": rows.id(at), "probability": sure, "right": right, "picture": picture, "words": words,
        }))
    });
    let shown: Vec<Value> = shown.collect::<Result<_>>()?;
    Ok(json!({ "step": step, "part": name, "label": label, "taken": taken, "count": count, "rows": shown }))
}

/// `/api/neighbours?run=&step=&part=&row=`: the training rows whose features lie nearest to those of a row, by the angle
/// between them.
pub fn neighbours(bench: &mut Bench, query: &Query) -> Result<Value> {
    one_class_a_row(bench.network().input)?;
    let (step, at): (u64, usize) = (query.number("step")?, query.number("row")?);
    let (name, rows) = part_of(bench.run()?, query)?;
    let sample = row(rows.as_ref(), at)?;
    let features = of_rows(bench, step, "train", MOST_ROWS, Wanted::Features)?;
    let own = bench.asked(step, |network, _| {
        let x = fed(network.input, sample)?;
        Ok(network.cpu.run(&[&of_inputs(network, &x, Wanted::Features)], &[])?.swap_remove(0))
    })?;
    let own = own.as_slice::<f32>().unwrap_or_default();
    let train = part(bench.run()?, "train")?;
    let classes = bench.network().input.classes.clone();
    if own.is_empty() {
        return Err(Error::Failed("the model has no features before its classes".to_owned()));
    }
    let length = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let likeness = |row: &[f32]| {
        let product: f64 = row.iter().zip(own).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        product / (length(row) * length(own)).max(f64::MIN_POSITIVE)
    };
    let mut near: Vec<(usize, f64)> = features.chunks_exact(own.len()).map(likeness).enumerate().collect();
    near.retain(|(other, _)| name != "train" || *other != at);
    near.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let shown = near.into_iter().take(NEIGHBOURS).map(|(other, likeness)| -> Result<Value> {
        let sample = row(train.as_ref(), other)?;
        let label = class(&sample.target);
        Ok(json!({
            "row": other, "likeness": finite(likeness), "class": label, "picture": stored_uri(&sample),
            "label": label.and_then(|label| classes.get(label)), "words": start_of(train.as_ref(), other),
        }))
    });
    let shown: Vec<Value> = shown.collect::<Result<_>>()?;
    Ok(json!({
        "step": step, "features": own.len(), "compared": features.len() / own.len(), "rows": train.len(),
        "neighbours": shown,
    }))
}

/// Rows of a part with their classes, for choosing one: `/api/rows?run=&part=&from=&count=&class=`.
pub fn rows(bench: &mut Bench, query: &Query) -> Result<Value> {
    let (name, all) = part_of(bench.run()?, query)?;
    let (from, count) = (query.number_or("from", 0usize)?, query.number_or("count", 24usize)?.min(MOST_SHOWN));
    let wanted: Option<usize> = query.get("class").map(|_| query.number("class")).transpose()?;
    let mut shown = Vec::new();
    let mut at = from;
    while at < all.len() && shown.len() < count {
        bench.progress().check()?;
        if wanted.is_none() || class(&all.target(at)?) == wanted {
            let sample = row(all.as_ref(), at)?;
            shown.push(json!({ "row": at, "class": class(&sample.target), "picture": stored_uri(&sample) }));
        }
        at += 1;
    }
    Ok(json!({ "part": name, "rows": all.len(), "next": (at < all.len()).then_some(at), "shown": shown }))
}
