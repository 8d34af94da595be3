//! How training carries out a step: its plan, which nodes each kernel holds, and how long each kernel takes here and now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cpu::Cpu;
use nn::{Layer, Pass, Scope};
use tensor::plan::{Fusion, Plan, build, trace as walk};
use tensor::{Tensor, Update};

use super::Run;
use super::names::{Named, names, names_of_pass};
use crate::begin::outputs;
use crate::error::Result;
use crate::graph;
use crate::splits::Input;
use crate::step::{Outputs, Wanted, trace};

/// A step of a run as it is planned. Nothing of it is computed: it is there to be looked at.
pub struct Planned {
    /// Forward, backward and optimiser as training runs them.
    pub plan: Arc<Plan>,
    /// The same with each op in a kernel of its own: what it costs by itself.
    pub alone: Plan,
    /// The nodes of the step as `graph.json` numbers them; behind them those that only the figures of the ledger need.
    pub nodes: Vec<Tensor>,
    /// How many of them `graph.json` has.
    pub numbered: usize,
    /// The number of each node that the kernels speak of.
    pub places: Vec<usize>,
    /// The number of each leaf of the plans.
    pub leaves: Vec<usize>,
    /// The names of nodes, by number.
    pub names: Vec<(usize, Named)>,
    /// The variables that the step changes, and the numbers of their next values.
    pub updates: Vec<(String, usize)>,
}

impl Planned {
    /// How a model answers one input: its pass outside training, of which nothing is computed.
    ///
    /// # Errors
    /// If the model does not take such an input.
    pub fn pass(cpu: &Cpu, model: &dyn Layer, scope: &Scope, input: &Input) -> Result<Planned> {
        let shape: Vec<usize> = std::iter::once(1).chain(input.shape.iter().copied()).collect();
        let x = Tensor::from_vec(vec![0.0f32; shape.iter().product()], shape);
        let pass = Pass::eval().watching();
        let logits = model.forward(&x, &pass);
        logits.check()?;
        Planned::new(cpu, &[&logits], &[&logits], &[], names_of_pass(scope, &x, &pass, &logits))
    }

    /// `order` says how nodes are numbered; what only `wanted` and `updates` need comes behind.
    fn new(cpu: &Cpu, order: &[&Tensor], wanted: &[&Tensor], updates: &[Update], named: Vec<Named>) -> Result<Planned> {
        let plan = cpu.plan(wanted, updates)?;
        let walked = walk(wanted, updates)?;
        let mut nodes = graph::nodes(order);
        let numbered = nodes.len();
        let mut number: HashMap<u64, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id(), at)).collect();
        for node in walked.nodes() {
            number.entry(node.id()).or_insert_with(|| {
                nodes.push((*node).clone());
                nodes.len() - 1
            });
        }
        let of = |node: &Tensor| number[&node.id()];
        let named = named.into_iter().filter_map(|named| Some((*number.get(&named.tensor.id())?, named))).collect();
        Ok(Planned {
            plan,
            alone: build(&walked, Fusion::Off),
            numbered,
            places: walked.nodes().iter().map(|node| of(node)).collect(),
            leaves: walked.leaves.iter().map(|node| of(node)).collect(),
            names: named,
            updates: updates.iter().map(|next| (next.var.name().to_owned(), of(&next.value))).collect(),
            nodes,
        })
    }
}

impl Run {
    /// How step `step` (from 1) is planned; of a run that made none yet, its first. That depends on shapes alone, so the run stays
    /// where it stands.
    ///
    /// # Errors
    /// If there is no such step, or the next batch cannot be read.
    pub fn planned(&self, step: u64) -> Result<Planned> {
        self.check_plan(step)?;
        let at = self.state.step;
        let traced = trace(&self.job, &self.batch()?, at, self.job.schedule.lr(at), |key| Pass::train(key).watching())?;
        traced.losses.total.check()?;
        let figures = Outputs::of(&traced, Wanted::of(&self.job)?);
        let order = outputs(&traced);
        let order: Vec<&Tensor> = order.iter().map(|(_, tensor)| *tensor).collect();
        Planned::new(&self.cpu, &order, &figures.tensors(), &traced.updates, names(&self.job, &traced))
    }

    /// The median time of each kernel of [`Run::planned`] over `times` runs of a step from where the run stands; afterwards all
    /// is as before.
    ///
    /// # Errors
    /// As for [`Run::planned`].
    pub fn timed(&self, step: u64, times: usize) -> Result<Vec<Duration>> {
        self.check_plan(step)?;
        let wanted = Wanted::of(&self.job)?;
        let runs =
            self.and_back(|| (0..=times.max(1)).map(|_| self.kernel_times(wanted)).collect::<Result<Vec<_>>>())?;
        let kernels = runs.first().map_or(0, Vec::len);
        // The first one makes the plan and touches the memory.
        let median = |kernel: usize| {
            let mut all: Vec<Duration> = runs[1..].iter().map(|run| run[kernel]).collect();
            all.sort();
            all[all.len() / 2]
        };
        Ok((0..kernels).map(median).collect())
    }

    fn check_plan(&self, step: u64) -> Result<()> {
        if step == 1 && self.last_step()? == 0 { Ok(()) } else { self.check_step(step) }
    }

    fn kernel_times(&self, wanted: Wanted) -> Result<Vec<Duration>> {
        // A graph is stale after its updates: each run has one of its own.
        let at = self.state.step;
        let traced = trace(&self.job, &self.batch()?, at, self.job.schedule.lr(at), Pass::train)?;
        Ok(self.cpu.run_timed(&Outputs::of(&traced, wanted).tensors(), &traced.updates)?.1)
    }
}
