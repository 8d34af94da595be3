//! How training carries out a step: its plan, which nodes each kernel holds, and how long each kernel takes here and now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nn::Pass;
use tensor::Tensor;
use tensor::plan::{Fusion, Plan, build, trace as walk};

use super::Run;
use super::names::{Named, names};
use crate::begin::outputs;
use crate::error::Result;
use crate::graph;
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

impl Run {
    /// How step `step` (from 1) is planned. That depends on shapes alone, so the run stays where it stands.
    ///
    /// # Errors
    /// If there is no such step, or the next batch cannot be read.
    pub fn planned(&self, step: u64) -> Result<Planned> {
        self.check_step(step)?;
        let at = self.state.step;
        let traced = trace(&self.job, &self.batch()?, at, self.job.schedule.lr(at), |key| Pass::train(key).watching())?;
        traced.losses.total.check()?;
        let figures = Outputs::of(&traced, Wanted::of(&self.job)?);
        let plan = self.cpu.plan(&figures.tensors(), &traced.updates)?;
        let walked = figures.tensors();
        let walked = walk(&walked, &traced.updates)?;
        let order = outputs(&traced);
        let mut nodes = graph::nodes(&order.iter().map(|(_, tensor)| *tensor).collect::<Vec<_>>());
        let numbered = nodes.len();
        let mut number: HashMap<u64, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id(), at)).collect();
        for node in walked.nodes() {
            number.entry(node.id()).or_insert_with(|| {
                nodes.push((*node).clone());
                nodes.len() - 1
            });
        }
        let of = |node: &Tensor| number[&node.id()];
        let named = names(&self.job, &traced).into_iter();
        let named = named.filter_map(|named| Some((*number.get(&named.tensor.id())?, named))).collect();
        Ok(Planned {
            plan,
            alone: build(&walked, Fusion::Off),
            numbered,
            places: walked.nodes().iter().map(|node| of(node)).collect(),
            leaves: walked.leaves.iter().map(|node| of(node)).collect(),
            names: named,
            updates: traced.updates.iter().map(|next| (next.var.name().to_owned(), of(&next.value))).collect(),
            nodes,
        })
    }

    /// The median time of each kernel of [`Run::planned`] over `times` runs of a step from where the run stands; afterwards all
    /// is as before.
    ///
    /// # Errors
    /// As for [`Run::planned`].
    pub fn timed(&self, step: u64, times: usize) -> Result<Vec<Duration>> {
        self.check_step(step)?;
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

    fn kernel_times(&self, wanted: Wanted) -> Result<Vec<Duration>> {
        // A graph is stale after its updates: each run has one of its own.
        let at = self.state.step;
        let traced = trace(&self.job, &self.batch()?, at, self.job.schedule.lr(at), Pass::train)?;
        Ok(self.cpu.run_timed(&Outputs::of(&traced, wanted).tensors(), &traced.updates)?.1)
    }
}
