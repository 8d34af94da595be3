//! Tensors of a step: which there are, and their numbers, bit for bit.

use serde_json::{Value, json};
use tensor::{Array, Shape, Values};
use train::replay::{Named, Stats};
use train::report::embed::base64;

use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::query::Query;

/// Numbers that are sent of a tensor unless told otherwise: the feature maps of a few samples.
const USUAL: usize = 1 << 16;
/// Numbers that are sent of a tensor, at most.
const MOST: usize = 1 << 20;

/// `/api/step?run=&step=`: the names of a step's values, its figures and its rows.
pub fn step(bench: &mut Bench, query: &Query) -> Result<Value> {
    let at = bench.at(query.number("step")?)?;
    let values: Vec<Value> = at.names().iter().map(Named::to_json).collect();
    let record = at.record();
    let batch = at.batch();
    Ok(json!({
        "step": at.step(), "epoch": batch.position.epoch + 1, "lr": record.lr, "loss": finite(record.loss.into()),
        "grad_norm": finite(record.grad_norm.into()), "rows": batch.rows, "labels": batch.labels, "values": values,
        "nodes": at.nodes().len(),
    }))
}

/// `/api/tensor?run=&step=&node=`: one value of a step: shape, figures, numbers (at most `most`). With `row`, that row of its
/// first axis alone.
pub fn tensor(bench: &mut Bench, query: &Query) -> Result<Value> {
    let at = bench.at(query.number("step")?)?;
    let name = query.text("node")?;
    let array = at.tensor(name)?;
    let row = query.get("row").map(|_| query.number("row")).transpose()?;
    let most = query.number_or("most", USUAL)?.min(MOST);
    let mut object = describe(&array, row, most)?;
    object["name"] = name.into();
    object["step"] = at.step().into();
    Ok(object)
}

/// An array, or one row of its first axis, as JSON: `shape`, `dtype`, `stats`, and its first `most` numbers. Those of f32 are
/// `f32`, little-endian in base 64: every bit. Others are `numbers`.
///
/// # Errors
/// If there is no such row.
pub fn describe(array: &Array, row: Option<usize>, most: usize) -> Result<Value> {
    let shape = array.shape().to_vec();
    let (shape, start) = match (row, shape.split_first()) {
        (None, _) => (shape, 0),
        (Some(row), Some((&rows, rest))) if row < rows => (rest.to_vec(), row * rest.iter().product::<usize>()),
        (Some(row), _) => return Err(Error::Asked(format!("{} has no row {row}", array.shape()))),
    };
    let count: usize = shape.iter().product();
    let shown = count.min(most);
    let whole = row.is_none();
    let mut object = json!({ "shape": shape, "dtype": array.dtype().to_string(), "cut": shown < count });
    match array.values() {
        Values::F32(values) => {
            let part = &values[start..start + count];
            object["f32"] = encoded(&part[..shown]).into();
            let part = Shape::new(&shape).filter(|_| !whole).map(|shape| Array::of(shape, part.to_vec()));
            object["stats"] = figures(&Stats::of(part.as_ref().unwrap_or(array)));
        }
        Values::I64(values) => {
            object["numbers"] = values[start..start + shown].into();
            object["stats"] = figures(&Stats::of(array));
        }
        _ => {
            object["numbers"] = (start..start + shown).map(|at| finite(array.get_f64(at))).collect();
            object["stats"] = figures(&Stats::of(array));
        }
    }
    Ok(object)
}

/// Statistics as JSON.
pub fn figures(stats: &Stats) -> Value {
    json!({
        "count": stats.count, "min": finite(stats.min), "max": finite(stats.max), "mean": finite(stats.mean),
        "std": finite(stats.std), "norm": finite(stats.norm), "zeros": stats.zeros, "nan": stats.nan,
        "infinite": stats.infinite, "histogram": stats.histogram,
    })
}

/// JSON has no NaN and no infinities: they are text.
pub fn finite(number: f64) -> Value {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}

/// The bytes of numbers, little-endian, in base 64.
pub fn encoded(numbers: &[f32]) -> String {
    base64(&numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}
