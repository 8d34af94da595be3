//! Where NaN and infinities of a step begin: the first op that makes them of numbers.

use std::collections::HashSet;
use std::sync::Arc;

use tensor::{Array, Op, Tensor};

use super::{Element, Operand, Operation};
use crate::error::Result;
use crate::graph;
use crate::replay::{At, index_of_input, source_line};

/// Elements that are told.
const SHOWN: usize = 4;

/// The op of a step that first made what is no number, in the order in which the step computes; `None` if loss and gradient are
/// numbers.
pub(super) fn origin(at: &At) -> Result<Option<(Operation, Vec<usize>)>> {
    let mut roots = vec![at.node("loss")?];
    roots.push(at.node("grad_norm")?);
    for root in roots {
        if let Some(found) = of_root(at, &root)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn of_root(at: &At, root: &Tensor) -> Result<Option<(Operation, Vec<usize>)>> {
    if !root.dtype().is_float() || at.values(&[root])?[0].get_f64(0).is_finite() {
        return Ok(None);
    }
    let nodes = graph::nodes(&[root]);
    let floats: Vec<&Tensor> = nodes.iter().filter(|node| node.dtype().is_float() && node.count() > 0).collect();
    // Zero times what is no number is none.
    let sums: Vec<Tensor> = floats.iter().map(|node| (*node * 0.0).sum(..)).collect();
    let sums = at.values(&sums.iter().collect::<Vec<_>>())?;
    let constant = |node: &Tensor| matches!(node.op(), Op::Full(_));
    let bad: HashSet<u64> = floats
        .iter()
        .zip(&sums)
        .filter(|(node, sum)| !sum.get_f64(0).is_finite() && !constant(node))
        .map(|(node, _)| node.id())
        .collect();
    let begins =
        |node: &&Tensor| bad.contains(&node.id()) && node.inputs().iter().all(|input| !bad.contains(&input.id()));
    let first: Vec<&Tensor> = floats.into_iter().filter(begins).collect();
    // An infinity may be meant (a mask); NaN never is.
    let values = at.values(&first)?;
    let has_nan = |array: &Array| (0..array.shape().count()).any(|index| array.get_f64(index).is_nan());
    let masks = |node: &Tensor| matches!(node.op(), Op::Where | Op::Pad { .. } | Op::Expand | Op::Concat { .. });
    let place = (0..first.len())
        .find(|&n| has_nan(&values[n]))
        .or_else(|| (0..first.len()).find(|&n| !masks(first[n])))
        .or(if first.is_empty() { None } else { Some(0) });
    place.map(|place| operation(at, first[place], &values[place])).transpose()
}

/// What an op made of what, and the places of the batch whose rows it was.
fn operation(at: &At, node: &Tensor, value: &Array) -> Result<(Operation, Vec<usize>)> {
    let count = value.shape().count();
    let odd: Vec<usize> = (0..count).filter(|&index| !value.get_f64(index).is_finite()).collect();
    let inputs = at.values(&node.inputs().iter().collect::<Vec<_>>())?;
    // What it would have come to in f64, if it can be computed there.
    let wide = node.in_f64();
    let wide = if wide.error().is_none() { at.values(&[&wide]).ok() } else { None };
    let element = |&index: &usize| Element {
        index,
        value: value.get_f64(index),
        in_f64: wide.as_ref().map(|wide| wide[0].get_f64(index)),
        inputs: node.inputs().iter().enumerate().map(|(n, input)| number(node, n, index, input, &inputs[n])).collect(),
    };
    let rows = at.batch().len();
    let mut places: Vec<usize> = match node.dims().first() {
        Some(&first) if first == rows && rows > 0 => odd.iter().map(|index| index / (count / rows).max(1)).collect(),
        _ => Vec::new(),
    };
    places.dedup();
    let origin = node.origin();
    let (file, line) = (origin.location.file(), origin.location.line());
    let page = node.op().page();
    let operand = |(input, array): (&Tensor, &Arc<Array>)| Operand {
        name: name(at, input),
        least: (0..array.shape().count()).map(|index| array.get_f64(index)).fold(f64::INFINITY, f64::min),
        most: (0..array.shape().count()).map(|index| array.get_f64(index)).fold(f64::NEG_INFINITY, f64::max),
    };
    let operation = Operation {
        name: page.name,
        formula: page.formula,
        value: name(at, node),
        layer: origin.layer.map(|layer| layer.to_string()),
        at: format!("{file}:{line}"),
        line: source_line(file, line),
        backward: node.forward().is_some(),
        odd: odd.len(),
        count,
        elements: odd.iter().take(SHOWN).map(element).collect(),
        inputs: node.inputs().iter().zip(&inputs).map(operand).collect(),
    };
    Ok((operation, places))
}

/// The number of an input that an element was made of, if it is one.
fn number(node: &Tensor, place: usize, index: usize, input: &Tensor, array: &Array) -> Option<f64> {
    let index = if input.count() == 1 { Some(0) } else { index_of_input(node, input, place, index) };
    index.map(|index| array.get_f64(index))
}

/// What a value of a step is called.
pub(super) fn name(at: &At, node: &Tensor) -> String {
    let named = at.names().iter().find(|named| named.tensor.id() == node.id()).map(|named| named.name.clone());
    let number = || at.nodes().iter().position(|other| other.id() == node.id()).map(|number| format!("#{number}"));
    named.or_else(number).unwrap_or_default()
}
