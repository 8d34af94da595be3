//! One step of the past: all values that it computed, by name.

use std::sync::Arc;

use data::Batch;
use tensor::{Array, Tensor, Update};

use super::check::{Made, refused};
use super::names::{Named, names};
use super::{Kind, Run};
use crate::begin::outputs;
use crate::error::{Error, Result};
use crate::graph;
use crate::ledger::StepRecord;
use crate::step::Traced;
use crate::suggest::nearest;

/// A step of a run, from [`Run::at`].
///
/// # Names
/// | name | value | shape |
/// |---|---|---|
/// | `input`, `target` | the batch as fed | `[N, ..]`, `[N]` |
/// | `conv1`, `conv1/relu` | the output of a layer, by its path | `[N, ..]` |
/// | `logits`, `losses`, `loss` | what the model and the loss function gave | `[N, classes]`, `[N]`, `[]` |
/// | `grad_norm`, `weight_norm`, `update_norm` | lengths of gradient, parameters and update | `[]` |
/// | `conv1/weight`, `bn1/running_mean` | a parameter or buffer before the step | its own |
/// | `exp_avg/conv1/weight`, `average/conv1/weight` | moments and averages before the step | of the parameter |
/// | `NAME.grad` | the gradient of the loss in any value above that it flows through | of the value |
/// | `NAME.update`, `NAME.next` | what the step adds to a variable, and its value after the step | of the variable |
/// | `#123` | a node by its number in `graph.json` | the node's |
///
/// A value that the fused step never stored is computed as one more output of its graph; that changes no bit.
pub struct At<'a> {
    run: &'a Run,
    batch: Batch,
    traced: Traced,
    named: Vec<Named>,
    nodes: Vec<Tensor>,
    record: StepRecord,
}

impl<'a> At<'a> {
    /// The traced step where `run` stands; an error if it does not come to what was recorded.
    pub(super) fn new(run: &'a Run, batch: Batch, traced: Traced) -> Result<At<'a>> {
        traced.losses.total.check()?;
        let figures = run.figures(&traced)?;
        let made = Made::of(&run.ledger, &figures, &batch, run.state.step + 1, None);
        if let Some(difference) = made.differences.into_iter().next() {
            return Err(refused(difference));
        }
        let named = names(&run.job, &traced);
        let order = outputs(&traced);
        let nodes = graph::nodes(&order.iter().map(|(_, tensor)| *tensor).collect::<Vec<_>>());
        Ok(At { run, batch, traced, named, nodes, record: made.record })
    }

    /// The step, from 1.
    pub fn step(&self) -> u64 {
        self.run.state.step + 1
    }

    /// The run.
    pub fn run(&self) -> &Run {
        self.run
    }

    /// The batch: its rows, and where it lies in the data.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Rate, loss and norms, without a hash: those that were recorded, bit for bit.
    pub fn record(&self) -> &StepRecord {
        &self.record
    }

    /// All values with a name of their own, in order; `.grad`, `.update` and `.next` of them have names too.
    pub fn names(&self) -> &[Named] {
        &self.named
    }

    /// The nodes of the step's graph, as `graph.json` numbers them: inputs before users.
    pub fn nodes(&self) -> &[Tensor] {
        &self.nodes
    }

    /// What the step changes: the next value of each variable.
    pub fn updates(&self) -> &[Update] {
        &self.traced.updates
    }

    /// The node of a value, not computed yet.
    ///
    /// # Errors
    /// If nothing has the name; the error says what was meant. If the loss does not depend on what `.grad` is asked of.
    pub fn node(&self, name: &str) -> Result<Tensor> {
        if let Some(found) = self.named.iter().find(|named| named.name == name) {
            return Ok(found.tensor.clone());
        }
        if let Some(number) = name.strip_prefix('#')
            && let Ok(number) = number.parse::<usize>()
        {
            return self.nodes.get(number).cloned().ok_or_else(|| {
                let last = self.nodes.len().saturating_sub(1);
                Error::usage(format!("the step has no node {name}"), format!("its nodes are #0 to #{last}"))
            });
        }
        let (base, part) = name.rsplit_once('.').unwrap_or((name, ""));
        match part {
            "grad" => self.gradient(base, name),
            "update" => self.changed(base, name).map(|(change, _)| change),
            "next" => self.changed(base, name).map(|(_, next)| next),
            _ => Err(self.missing(name)),
        }
    }

    /// A value.
    ///
    /// # Errors
    /// As for [`At::node`].
    pub fn tensor(&self, name: &str) -> Result<Arc<Array>> {
        let node = self.node(name)?;
        Ok(self.values(&[&node])?.swap_remove(0))
    }

    /// The values of nodes of this step, computed together.
    ///
    /// # Errors
    /// If a node cannot be computed.
    pub fn values(&self, nodes: &[&Tensor]) -> Result<Vec<Arc<Array>>> {
        Ok(self.run.cpu.run(nodes, &[])?)
    }

    fn gradient(&self, base: &str, name: &str) -> Result<Tensor> {
        // That of a parameter is the very node from which it was updated.
        if let Some(at) = self.traced.parameters.iter().position(|var| var.name() == base) {
            return Ok(self.traced.gradients[at].clone());
        }
        let node = self.node(base).map_err(|_| self.missing(name))?;
        let gradient = self.traced.losses.total.grad([&node]).swap_remove(0);
        match gradient.error() {
            None => Ok(gradient),
            Some(_) => Err(Error::usage(
                format!("{base} has no gradient: the loss does not follow it smoothly"),
                "ask for the gradient of a parameter, of an activation or of input",
            )),
        }
    }

    /// What the step adds to a variable, and its next value.
    fn changed(&self, base: &str, name: &str) -> Result<(Tensor, Tensor)> {
        let named = self.named.iter().find(|named| named.name == base).ok_or_else(|| self.missing(name))?;
        let var = named.tensor.variable().map(|(var, _)| var);
        let update = var.and_then(|var| self.traced.updates.iter().find(|update| update.var.is(var)));
        match (var, update) {
            (Some(var), Some(update)) => Ok((&update.value - var.tensor(), update.value.clone())),
            _ => Err(Error::usage(
                format!("{base} is not changed by the step"),
                "ask for the update of a parameter, buffer, moment or average",
            )),
        }
    }

    fn missing(&self, name: &str) -> Error {
        let suffixes = |named: &Named| match named.kind {
            Kind::Batch => vec![String::new()],
            Kind::Activation | Kind::Result => vec![String::new(), ".grad".to_owned()],
            _ => [".grad", ".update", ".next", ""].map(str::to_owned).to_vec(),
        };
        let all: Vec<String> = self
            .named
            .iter()
            .flat_map(|named| suffixes(named).into_iter().map(move |suffix| format!("{}{suffix}", named.name)))
            .collect();
        let help = match nearest(name, all.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let plain: Vec<&str> = self.named.iter().map(|named| named.name.as_str()).collect();
                format!("there are {}; and NAME.grad, NAME.update, NAME.next, #NODE", plain.join(", "))
            }
        };
        Error::usage(format!("step {} has no value {name:?}", self.step()), help)
    }
}
