//! Where a number comes from: op by op, back to rows, parameters, and the lines of source that made the nodes.

use std::collections::HashMap;
use std::fs;

use tensor::{Array, Op, Tensor};

use super::at::At;
use crate::error::{Error, Result};

/// A value of a step, or one number of it, and what it was computed from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Its name, or `#123`; empty for a node that is not of the step's graph (a gradient that was asked for).
    pub name: String,
    /// Name of the op.
    pub op: &'static str,
    /// What the op computes.
    pub formula: &'static str,
    /// How it is differentiated.
    pub gradient_formula: &'static str,
    /// Shape.
    pub shape: Vec<usize>,
    /// Which of its numbers is explained, by row-major index; `None` for all of them.
    pub index: Option<usize>,
    /// Without an index, which row of the batch (by its place in it) counts; `None` for all.
    pub row: Option<usize>,
    /// That number; if there is no index, the length of the row, or of the whole.
    pub value: f64,
    /// The layer it belongs to.
    pub layer: Option<String>,
    /// `file:line` of the source that made it.
    pub at: String,
    /// The text of that line, if the file is at hand.
    pub line: Option<String>,
    /// The forward node whose gradient it serves.
    pub gradient_of: Option<String>,
    /// Where a leaf comes from: a row of the data, a variable, a number of this step.
    pub source: Option<String>,
    /// What it was computed from; empty for a leaf, and where the depth ends.
    pub inputs: Vec<Explained>,
    /// Whether its inputs are left out: because of the depth, or because they were told before.
    pub cut: bool,
}

impl At<'_> {
    /// Where a value comes from, or the number of it at `index` (row-major), `depth` ops deep. Views and elementwise ops are
    /// followed number by number; where a number is made of many (sums, products of matrices), inputs are told whole, or the row
    /// of the batch that it belongs to.
    ///
    /// # Errors
    /// As for [`At::node`]; if there is no such index.
    pub fn explain(&self, name: &str, index: Option<usize>, depth: usize) -> Result<Explained> {
        let node = self.node(name)?;
        let count = node.count();
        if let Some(index) = index.filter(|&index| index >= count) {
            return Err(Error::usage(
                format!("{name} {} has no number {index}", node.shape()),
                format!("its {count} numbers are counted from 0, row by row"),
            ));
        }
        let index = if count == 1 { Some(0) } else { index };
        let mut names: HashMap<u64, String> =
            self.nodes().iter().enumerate().map(|(number, node)| (node.id(), format!("#{number}"))).collect();
        names.extend(self.names().iter().rev().map(|named| (named.tensor.id(), named.name.clone())));
        names.insert(node.id(), name.to_owned());

        // All values at once: one plan.
        let mut wanted = Vec::new();
        gather(&node, depth, &mut wanted);
        let arrays = self.values(&wanted.iter().collect::<Vec<_>>())?;
        let values = wanted.iter().map(|node| node.id()).zip(arrays).collect();
        let mut teller = Teller { at: self, names, values, told: Vec::new() };
        Ok(teller.explain(&node, Part { index, row: None }, depth))
    }

    /// The row of the batch at `place`, for people: its number, where it comes from, and the key of its augmentation.
    pub fn row(&self, place: usize) -> Option<String> {
        let row = *self.batch().rows.get(place)?;
        let train = &self.run().job().splits.train;
        let epoch = self.batch().position.epoch;
        Some(format!("row {row} of the training rows ({}), as augmented in epoch {}", train.id(row), epoch + 1))
    }
}

/// The nodes of a tree `depth` deep.
fn gather(node: &Tensor, depth: usize, into: &mut Vec<Tensor>) {
    if into.iter().any(|known| known.id() == node.id()) {
        return;
    }
    into.push(node.clone());
    if depth > 0 {
        node.inputs().iter().for_each(|input| gather(input, depth - 1, into));
    }
}

struct Teller<'a> {
    at: &'a At<'a>,
    names: HashMap<u64, String>,
    values: HashMap<u64, std::sync::Arc<Array>>,
    /// Nodes and parts of them whose inputs were told.
    told: Vec<(u64, Part)>,
}

/// What of a node is told: one number, a row of the batch, or all.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    index: Option<usize>,
    row: Option<usize>,
}

impl Teller<'_> {
    fn explain(&mut self, node: &Tensor, part: Part, depth: usize) -> Explained {
        let (page, origin) = (node.op().page(), node.origin());
        let (file, line) = (origin.location.file(), origin.location.line());
        let repeated = self.told.contains(&(node.id(), part));
        let cut = !node.inputs().is_empty() && (depth == 0 || repeated);
        let mut inputs = Vec::new();
        if !cut && !node.inputs().is_empty() {
            self.told.push((node.id(), part));
            for (place, input) in node.inputs().iter().enumerate() {
                let part = self.part_of_input(node, place, part);
                inputs.push(self.explain(input, part, depth - 1));
            }
        }
        let Part { index, row } = part;
        Explained {
            name: self.names.get(&node.id()).cloned().unwrap_or_default(),
            op: page.name,
            formula: page.formula,
            gradient_formula: page.gradient_formula,
            shape: node.dims().to_vec(),
            index,
            row,
            value: self.values.get(&node.id()).map_or(f64::NAN, |array| self.number(array, part)),
            layer: origin.layer.map(|layer| layer.to_string()),
            at: format!("{file}:{line}"),
            line: source_line(file, line),
            gradient_of: node.forward().and_then(|id| self.names.get(&id).cloned()),
            source: self.source(node, part),
            inputs,
            cut,
        }
    }

    /// Rows of the batch.
    fn rows(&self) -> usize {
        self.at.batch().rows.len().max(1)
    }

    /// What of its input `place` a part of a node is made of.
    fn part_of_input(&self, node: &Tensor, place: usize, part: Part) -> Part {
        let Some(input) = node.inputs().get(place) else { return Part { index: None, row: None } };
        let index = part.index.and_then(|index| index_of_input(node, input, place, index));
        let index = if input.count() == 1 { Some(0) } else { index };
        let rows = self.rows();
        let batched = |tensor: &Tensor| tensor.dims().first() == Some(&rows);
        let row =
            part.row.or_else(|| part.index.filter(|_| batched(node)).map(|index| index / (node.count() / rows).max(1)));
        let row = row.filter(|_| index.is_none() && batched(node) && batched(input) && keeps_rows(node.op(), place));
        Part { index, row }
    }

    /// The number, or the length of the row or the whole.
    fn number(&self, array: &Array, part: Part) -> f64 {
        let count = array.shape().count();
        let each = count / self.rows();
        match part {
            Part { index: Some(index), .. } => array.get_f64(index),
            Part { row: Some(row), .. } => length(array, row * each..(row + 1) * each),
            _ => length(array, 0..count),
        }
    }

    fn source(&self, node: &Tensor, part: Part) -> Option<String> {
        if let Some((var, _)) = node.variable() {
            return Some(format!("the variable {}", var.name()));
        }
        let batch = ["input", "target"].iter().any(|name| self.names.get(&node.id()).is_some_and(|own| own == name));
        match (node.op(), batch) {
            (Op::Data, true) => {
                let rows = self.rows();
                let place = part.row.or_else(|| part.index.map(|index| index / (node.count() / rows).max(1)));
                place.and_then(|place| self.at.row(place)).or_else(|| Some(format!("{rows} rows of the training rows")))
            }
            (Op::Data, false) => Some("a number that the step was given (a rate, a random key)".to_owned()),
            _ => None,
        }
    }
}

/// Length of some numbers.
fn length(array: &Array, range: std::ops::Range<usize>) -> f64 {
    range.map(|at| array.get_f64(at).powi(2)).sum::<f64>().sqrt()
}

/// Whether row n of the result of an op is made of row n of its input `place` alone, if both have as many rows.
fn keeps_rows(op: &Op, place: usize) -> bool {
    match op {
        Op::Conv(_) | Op::ConvInput(_) | Op::MatMul => place == 0,
        Op::Reduce { axes, .. } => !axes.contains(0),
        Op::ArgReduce { axis, .. } | Op::CumSum { axis } | Op::ArgSort { axis, .. } | Op::Gather { axis } => *axis != 0,
        Op::MaxPool(_) | Op::MaxPoolIndex(_) | Op::MaxPoolInput(_) | Op::AvgPool(_) | Op::AvgPoolInput(_) => true,
        op => op.is_elementwise() || matches!(op, Op::Detach | Op::Reshape),
    }
}

/// Which number of its input `place` the number `index` of a node is made of, if it is one number.
pub(crate) fn index_of_input(node: &Tensor, input: &Tensor, place: usize, index: usize) -> Option<usize> {
    let (to, from) = (node.dims(), input.dims());
    let op = *node.op();
    if op.is_elementwise() || matches!(op, Op::Reshape | Op::Detach) {
        return (node.count() == input.count()).then_some(index);
    }
    let mut at = places(index, to);
    match op {
        Op::Permute { order } => {
            let mut source = vec![0; from.len()];
            at.iter().zip(order).for_each(|(&place, axis)| source[usize::from(axis)] = place);
            at = source;
        }
        Op::Expand => {
            at.drain(..to.len() - from.len());
            at.iter_mut().zip(from).filter(|(_, size)| **size == 1).for_each(|(place, _)| *place = 0);
        }
        Op::Slice { axis, start, step } => {
            let place = &mut at[usize::from(axis)];
            *place = usize::try_from(start as isize + step * *place as isize).ok()?;
        }
        Op::Pad { axis, before, .. } => {
            let (place, size) = (&mut at[usize::from(axis)], from[usize::from(axis)]);
            *place = place.checked_sub(before).filter(|&place| place < size)?;
        }
        Op::Concat { axis } => {
            let axis = usize::from(axis);
            let before: usize = node.inputs()[..place].iter().map(|part| part.dims()[axis]).sum();
            at[axis] = at[axis].checked_sub(before).filter(|&place| place < from[axis])?;
        }
        _ => return None,
    }
    Some(at.iter().zip(from).fold(0, |index, (place, size)| index * size + place))
}

/// A row-major index as a place on each axis.
fn places(mut index: usize, dims: &[usize]) -> Vec<usize> {
    let mut places = vec![0; dims.len()];
    for (place, &size) in places.iter_mut().zip(dims).rev() {
        (*place, index) = (index % size.max(1), index / size.max(1));
    }
    places
}

/// A line of a file as it is now, if the file is at hand: sources are named from the root of their workspace.
pub(crate) fn source_line(file: &str, line: u32) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().nth(line as usize - 1).map(|line| line.trim().to_owned())
}
