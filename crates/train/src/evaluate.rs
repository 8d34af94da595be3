//! Measuring a model on rows that it does not learn from, and asking it about single pictures.

use std::sync::Arc;

use cpu::Cpu;
use data::{Batch, DataError, Dataset, Image, Loader, LoaderConfig, augmentation_key};
use nn::losses::{CrossEntropy, Reduction};
use nn::{Layer, Pass};
use tensor::Tensor;

use crate::error::{Error, Result};
use crate::metric::Scores;
use crate::splits::Input;

/// The scores of a model on all rows of a set. The loss is the plain cross-entropy, whatever the model was trained by.
/// No figure depends on `batch`, the rows that are evaluated at once.
///
/// # Errors
/// If a row or the model cannot be evaluated, or a logit is not finite.
pub fn evaluate(cpu: &Cpu, model: &dyn Layer, rows: Arc<dyn Dataset>, input: &Input, batch: usize) -> Result<Scores> {
    evaluate_each(cpu, model, rows, input, batch, &mut |_, _, _| {})
}

/// As `evaluate`; `each` hears the number, the class and the logits of every row.
pub(crate) fn evaluate_each(
    cpu: &Cpu,
    model: &dyn Layer,
    rows: Arc<dyn Dataset>,
    input: &Input,
    batch: usize,
    each: &mut dyn FnMut(usize, i64, &[f32]),
) -> Result<Scores> {
    let mut scores = Scores::new(input.classes.len());
    let transforms = input.prepare(&[]);
    let config = LoaderConfig { batch, shuffle: false, workers: 1, transforms, ..LoaderConfig::default() };
    let mut loader = Loader::new(Arc::clone(&rows), config)?;
    for batch in loader.epoch() {
        let batch = batch?;
        let (x, labels) = tensors(&batch)?;
        let logits = model.forward(&x, &Pass::eval());
        let losses = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() }.loss(&logits, &labels);
        let values = cpu.run(&[&losses, &logits], &[])?;
        let logits = floats(&values[1]);
        let classes = logits.len().checked_div(batch.len()).unwrap_or(0).max(1);
        check_finite(logits, |at| batch.rows.get(at / classes).map_or_else(String::new, |&row| rows.id(row)))?;
        scores.add(floats(&values[0]), logits, &batch.labels);
        for ((&row, &label), logits) in batch.rows.iter().zip(&batch.labels).zip(logits.chunks_exact(classes)) {
            each(row, label, logits);
        }
    }
    Ok(scores)
}

/// What a model says of a picture.
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
    let logits = model.forward(&x, &Pass::eval());
    let probabilities = (&logits - logits.logsumexp_keep(-1)).exp();
    let values = cpu.run(&[&probabilities, &logits], &[])?;
    check_finite(floats(&values[1]), |_| "this picture".to_owned())?;
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
            help: "train again with a smaller learning rate (--lr), or check the picture and data.json".to_owned(),
        }),
    }
}

/// Inputs and labels of a batch.
///
/// # Errors
/// If the rows have no classes.
pub fn tensors(batch: &Batch) -> Result<(Tensor, Tensor)> {
    if batch.labels.len() != batch.len() {
        return Err(Error::Data(DataError::Argument {
            what: "targets",
            why: "the rows have no classes".to_owned(),
            help: "give data with a class for each row".to_owned(),
        }));
    }
    let x = Tensor::from_vec(batch.x.clone(), &batch.shape);
    Ok((x, Tensor::from_vec(batch.labels.clone(), [batch.len()])))
}

pub(crate) fn floats(value: &tensor::Array) -> &[f32] {
    value.as_slice().unwrap_or_default()
}

pub(crate) fn number(value: &tensor::Array) -> f32 {
    floats(value).first().copied().unwrap_or(f32::NAN)
}
