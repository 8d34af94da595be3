//! Measuring a model on rows that it does not learn from, and asking it about single pictures.

use std::sync::Arc;

use cpu::Cpu;
use data::{Batch, DataError, Dataset, Image, Loader, LoaderConfig, Sample, Target, augmentation_key};
use nn::losses::{CrossEntropy, Reduction};
use nn::{Layer, Pass};
use tensor::Tensor;

use crate::error::{Error, Result};
use crate::metric::Scores;
use crate::splits::Input;

/// The label of places that do not count.
const NOT_COUNTED: i64 = -1;

/// The scores of a model on all rows of a set, or on all their places that count. The loss is the plain cross-entropy, or of numbers
/// the squared error, whatever the model was trained by. No figure depends on `batch`, the rows that are evaluated at once.
///
/// # Errors
/// If a row or the model cannot be evaluated, or a logit is not finite.
pub fn evaluate(cpu: &Cpu, model: &dyn Layer, rows: Arc<dyn Dataset>, input: &Input, batch: usize) -> Result<Scores> {
    if input.goal.is_number() {
        return evaluate_numbers(cpu, model, rows, input, batch, &mut |_, _, _| {});
    }
    evaluate_each(cpu, model, rows, input, batch, &mut |_, _, _| {})
}

/// The batches of all rows in their order, as a model is fed them.
fn in_order(rows: &Arc<dyn Dataset>, input: &Input, batch: usize) -> Result<Loader> {
    let transforms = input.prepare(&[]);
    let config = LoaderConfig { batch, shuffle: false, workers: 1, transforms, ..LoaderConfig::default() };
    Ok(Loader::new(Arc::clone(rows), config)?)
}

/// As `evaluate`, where a number is predicted; `each` hears the number of every row, its target, and the outputs.
pub(crate) fn evaluate_numbers(
    cpu: &Cpu,
    model: &dyn Layer,
    rows: Arc<dyn Dataset>,
    input: &Input,
    batch: usize,
    each: &mut dyn FnMut(usize, f32, &[f32]),
) -> Result<Scores> {
    let mut scores = Scores::of(input);
    let mut loader = in_order(&rows, input, batch)?;
    for batch in loader.epoch() {
        let batch = batch?;
        let (x, _) = tensors(&batch)?;
        let values = cpu.run(&[&model.forward(&x, &Pass::eval())], &[])?;
        let outputs = floats(&values[0]);
        let width = (outputs.len() / batch.len().max(1)).max(1);
        check_finite(outputs, |at| batch.rows.get(at / width).map_or_else(String::new, |&row| rows.id(row)))?;
        for ((&row, &target), outputs) in batch.rows.iter().zip(&batch.values).zip(outputs.chunks_exact(width)) {
            scores.add_number(outputs[0], target);
            each(row, target, outputs);
        }
    }
    Ok(scores)
}

/// As `evaluate`; `each` hears the number, the class and the logits of every row, or of its every place that counts.
pub(crate) fn evaluate_each(
    cpu: &Cpu,
    model: &dyn Layer,
    rows: Arc<dyn Dataset>,
    input: &Input,
    batch: usize,
    each: &mut dyn FnMut(usize, i64, &[f32]),
) -> Result<Scores> {
    let mut scores = Scores::of(input);
    let mut loader = in_order(&rows, input, batch)?;
    for batch in loader.epoch() {
        let batch = batch?;
        let (x, labels) = tensors(&batch)?;
        let logits = model.forward(&x, &Pass::eval());
        // Places of sequences one below the other.
        let (classes, places) = (logits.dims().last().copied().unwrap_or(1).max(1), labels.count());
        let logits = logits.reshape([places, classes]);
        let counts: Vec<bool> = batch.labels.iter().map(|&label| label >= 0).collect();
        let ignore_index = counts.contains(&false).then_some(NOT_COUNTED);
        let rule = CrossEntropy { ignore_index, reduction: Reduction::None, ..CrossEntropy::default() };
        let losses = rule.loss(&logits, &labels.reshape([places]));
        let values = cpu.run(&[&losses, &logits], &[])?;
        let (losses, logits) = (floats(&values[0]), floats(&values[1]));
        let each_row = (places / batch.len().max(1)).max(1);
        check_finite(logits, |at| {
            batch.rows.get(at / classes / each_row).map_or_else(String::new, |&row| rows.id(row))
        })?;
        for (place, &label) in batch.labels.iter().enumerate().filter(|(place, _)| counts[*place]) {
            let logits = &logits[place * classes..(place + 1) * classes];
            scores.add(&losses[place..=place], logits, &[label]);
            each(batch.rows[place / each_row], label, logits);
        }
    }
    Ok(scores)
}

/// What a model says of a picture, a row or a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Every class with its probability, the likeliest first.
    pub classes: Vec<(String, f32)>,
}

/// What a model says of a picture, which is brought to the model's size first.
///
/// # Errors
/// If the picture or the model cannot be evaluated, or a logit is not finite.
pub fn predict(cpu: &Cpu, model: &dyn Layer, picture: Image, input: &Input) -> Result<Prediction> {
    // No transform of an input is random, so any key will do.
    let picture = input.prepare(&[]).apply_image(picture, augmentation_key(0, 0, 0))?;
    let x = Tensor::from_vec(picture.pixels, [1, picture.channels, picture.height, picture.width]);
    answer(cpu, model, &x, input, "this picture")
}

/// What a model that tells classes apart says of a row of a table.
///
/// # Errors
/// As for [`predict`].
pub fn predict_row(cpu: &Cpu, model: &dyn Layer, row: Sample, input: &Input) -> Result<Prediction> {
    answer(cpu, model, &fed(row, input)?, input, "this row")
}

/// The outputs of a model that predicts a number for a row of a table: the number, and its deviation if the model says one.
///
/// # Errors
/// As for [`predict`].
pub fn predict_number(cpu: &Cpu, model: &dyn Layer, row: Sample, input: &Input) -> Result<Vec<f32>> {
    let values = cpu.run(&[&model.forward(&fed(row, input)?, &Pass::eval())], &[])?;
    let outputs = floats(&values[0]);
    check_finite(outputs, |_| "this row".to_owned())?;
    Ok(outputs.to_vec())
}

/// A row as a model is fed it, `[1, ..]`.
fn fed(row: Sample, input: &Input) -> Result<Tensor> {
    let row = input.prepare(&[]).apply(row, augmentation_key(0, 0, 0))?;
    let shape: Vec<usize> = std::iter::once(1).chain(row.shape).collect();
    Ok(Tensor::from_vec(row.x, shape))
}

/// What a model that reads texts in tokens says of one.
///
/// # Errors
/// If the text is empty, the model cannot be evaluated, or a logit is not finite.
pub fn predict_text(cpu: &Cpu, model: &dyn Layer, text: &str, input: &Input) -> Result<Prediction> {
    let x = text_tokens(text, input)?;
    let x = Tensor::from_vec(x, [&[1], &input.shape[..]].concat());
    answer(cpu, model, &x, input, "this text")
}

/// A text as a model is fed it, without the axis of rows.
///
/// # Errors
/// If it is empty, or the model reads no tokens.
pub fn text_tokens(text: &str, input: &Input) -> Result<Vec<f32>> {
    let text = text.trim();
    if text.is_empty() || input.tokens.is_none() {
        let what = if text.is_empty() { "an empty text has no class" } else { "this network reads no texts" };
        return Err(Error::usage(what, "give a text to a run of the recipe text"));
    }
    let x: Vec<f32> = text.bytes().map(f32::from).collect();
    let sample = Sample { shape: vec![x.len()], x, target: Target::None };
    Ok(input.prepare(&[]).apply(sample, augmentation_key(0, 0, 0))?.x)
}

fn answer(cpu: &Cpu, model: &dyn Layer, x: &Tensor, input: &Input, what: &str) -> Result<Prediction> {
    let logits = model.forward(x, &Pass::eval());
    let probabilities = (&logits - logits.logsumexp_keep(-1)).exp();
    let values = cpu.run(&[&probabilities, &logits], &[])?;
    check_finite(floats(&values[1]), |_| what.to_owned())?;
    let mut classes: Vec<(String, f32)> =
        input.classes.iter().cloned().zip(floats(&values[0]).iter().copied()).collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Prediction { classes })
}

/// An error that names the row of the first logit that is NaN or infinite.
fn check_finite(logits: &[f32], row: impl Fn(usize) -> String) -> Result<()> {
    match logits.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::NotFinite {
            number: logits[at],
            row: row(at),
            help: "train again with a smaller learning rate (--lr), or check what it was given and data.json"
                .to_owned(),
        }),
    }
}

/// Inputs and targets of a batch: labels `[N]`, or `[N, T]` of sequences; or numbers `[N, K]`.
///
/// # Errors
/// If the rows have no targets.
pub fn tensors(batch: &Batch) -> Result<(Tensor, Tensor)> {
    let x = Tensor::from_vec(batch.x.clone(), &batch.shape);
    if batch.labels.is_empty() && !batch.values.is_empty() {
        return Ok((x, Tensor::from_vec(batch.values.clone(), batch.values_shape())));
    }
    if batch.labels.is_empty() || !batch.labels.len().is_multiple_of(batch.len()) {
        return Err(Error::Data(DataError::Argument {
            what: "targets",
            why: "the rows have no targets".to_owned(),
            help: "give data with a class or a number for each row".to_owned(),
        }));
    }
    Ok((x, Tensor::from_vec(batch.labels.clone(), batch.labels_shape())))
}

pub(crate) fn floats(value: &tensor::Array) -> &[f32] {
    value.as_slice().unwrap_or_default()
}

pub(crate) fn number(value: &tensor::Array) -> f32 {
    floats(value).first().copied().unwrap_or(f32::NAN)
}
