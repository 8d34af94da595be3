//! The graph of a training step as plain data: nodes with phase, layer, line of source and cost, and the kernels of its plan.

use std::collections::HashMap;

use tensor::plan::Plan;
use tensor::{DType, Op, Tensor};
use train::replay::{Kind, Planned};

use super::kernel::{KernelCall, kernels};

/// The step's graph. The same for all steps of a run that are planned the same way.
pub struct StepGraph {
    /// The nodes, inputs before users: numbered as in `graph.json`.
    pub nodes: Vec<Node>,
    /// How many of them `graph.json` has; those behind it serve the figures of the ledger.
    pub numbered: usize,
    /// The kernels of the plan, in the order in which they run.
    pub kernels: Vec<KernelCall>,
    /// Bytes of the arena in which the plan keeps what lives for a while.
    pub arena: usize,
}

/// A node.
pub struct Node {
    /// Its op: name and formulas are on the op's page.
    pub op: Op,
    /// What it is computed from.
    pub inputs: Vec<usize>,
    /// What is computed from it.
    pub users: Vec<usize>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its element type.
    pub dtype: DType,
    /// Which part of the step it belongs to.
    pub phase: Phase,
    /// The layer it belongs to, or `input`, `loss`, `optimiser`, `ledger`.
    pub layer: String,
    /// The source that made it, as the compiler named it.
    pub file: &'static str,
    /// Its line.
    pub line: u32,
    /// The node whose gradient rule made it.
    pub serves: Option<usize>,
    /// Its name: that of a parameter, of a layer's output, of a result.
    pub name: Option<String>,
    /// The number that it is everywhere, if it is one.
    pub number: Option<f64>,
    /// The kernels that compute it. None: it is a view or a number; several: it is cheaper made again than kept.
    pub kernels: Vec<usize>,
    /// Floating-point operations.
    pub flops: usize,
    /// Bytes that it would read and write in a kernel of its own.
    pub bytes: usize,
}

/// The parts of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// From input to loss.
    Forward,
    /// The gradients.
    Backward,
    /// Optimiser, running statistics, averages.
    Update,
}

impl Phase {
    /// All, in the order of the step.
    pub const ALL: [Phase; 3] = [Phase::Forward, Phase::Backward, Phase::Update];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Update => "update",
        }
    }
}

impl StepGraph {
    /// The graph of a planned step.
    pub fn of(planned: &Planned) -> StepGraph {
        let numbers: HashMap<u64, usize> = planned.nodes.iter().enumerate().map(|(at, node)| (node.id(), at)).collect();
        let mut nodes: Vec<Node> = planned.nodes.iter().map(|tensor| node(tensor, &numbers)).collect();
        for at in 0..nodes.len() {
            for input in nodes[at].inputs.clone() {
                nodes[input].users.push(at);
            }
        }
        for at in 0..nodes.len() {
            nodes[at].number = number(&nodes, at);
        }
        for (at, named) in &planned.names {
            let name = &mut nodes[*at].name;
            name.get_or_insert_with(|| named.name.clone());
        }
        let mut graph =
            StepGraph { nodes, numbered: planned.numbered, kernels: kernels(planned), arena: planned.plan.arena };
        graph.set_costs(&planned.alone, &planned.places);
        graph.set_phases(planned);
        graph.set_layers(planned);
        for kernel in 0..graph.kernels.len() {
            for node in graph.kernels[kernel].nodes.clone() {
                graph.nodes[node].kernels.push(kernel);
            }
        }
        graph
    }

    /// The part and layer of a kernel: those of its main op, or of what it copies.
    pub fn home(&self, kernel: &KernelCall) -> (Phase, &str) {
        let main = kernel.nodes.first().or(kernel.reads.iter().find_map(|read| read.node.as_ref()));
        main.map_or((Phase::Update, "copy"), |&node| (self.nodes[node].phase, self.nodes[node].layer.as_str()))
    }

    /// What an op costs in a plan in which each has a kernel of its own.
    fn set_costs(&mut self, alone: &Plan, places: &[usize]) {
        for step in &alone.steps {
            if let Some(&node) = step.nodes.first() {
                let node = &mut self.nodes[places[node]];
                (node.flops, node.bytes) = (alone.flops(step), alone.bytes(step));
            }
        }
    }

    fn set_phases(&mut self, planned: &Planned) {
        for node in &mut self.nodes {
            node.phase = if node.serves.is_some() { Phase::Backward } else { Phase::Update };
        }
        let results = planned.names.iter().filter(|(_, named)| {
            matches!(named.kind, Kind::Batch | Kind::Activation)
                || matches!(named.name.as_str(), "logits" | "losses" | "loss")
        });
        let mut stack: Vec<usize> = results.map(|(at, _)| *at).collect();
        while let Some(at) = stack.pop() {
            if self.nodes[at].phase == Phase::Update {
                self.nodes[at].phase = Phase::Forward;
                stack.extend(&self.nodes[at].inputs);
            }
        }
        // A number or a random key belongs where it is used first.
        for at in (0..self.nodes.len()).rev() {
            let used = self.nodes[at].users.iter().map(|&user| self.nodes[user].phase).min();
            let node = &mut self.nodes[at];
            if let (Some(used), Phase::Update, None, true) = (used, node.phase, &node.name, node.inputs.is_empty()) {
                node.phase = used;
            }
        }
    }

    fn set_layers(&mut self, planned: &Planned) {
        let named = |kinds: &[Kind]| -> Vec<&str> {
            let of = planned.names.iter().filter(|(_, named)| kinds.contains(&named.kind));
            of.map(|(_, named)| named.name.as_str()).collect()
        };
        let variables = named(&[Kind::Parameter, Kind::Buffer]);
        // Variables belong to the layer in their name: `exp_avg/conv1/weight` to conv1.
        for (at, named) in &planned.names {
            let layer = match named.kind {
                Kind::Batch => Some("input".to_owned()),
                Kind::Parameter | Kind::Buffer | Kind::Memory => Some(layer_of(&named.name, &variables)),
                Kind::Activation | Kind::Result => None,
            };
            if let Some(layer) = layer {
                self.nodes[*at].layer = layer;
            }
        }
        self.set_layers_of_updates(planned, &variables);
        // What is left is of no layer: what the logits are made of is the model's own, all else is the loss.
        let mut in_model = vec![false; self.nodes.len()];
        let logits = planned.names.iter().filter(|(_, named)| named.name == "logits");
        let mut stack: Vec<usize> = logits.map(|(at, _)| *at).collect();
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut in_model[at], true) {
                stack.extend(&self.nodes[at].inputs);
            }
        }
        for (at, in_model) in in_model.into_iter().enumerate() {
            if !self.nodes[at].layer.is_empty() {
                continue;
            }
            // The sum behind a block stands with the block: with what it was made of last.
            let last = self.nodes[at].inputs.iter().max().map_or("input", |&input| self.nodes[input].layer.as_str());
            let block = last.split('/').next().filter(|&top| top != "input").unwrap_or("model").to_owned();
            let served = self.nodes[at].serves.map(|of| self.nodes[of].layer.clone());
            let node = &mut self.nodes[at];
            node.layer = match node.phase {
                Phase::Update if at >= self.numbered => "ledger".to_owned(),
                Phase::Update => "optimiser".to_owned(),
                Phase::Backward => served.unwrap_or_else(|| "loss".to_owned()),
                Phase::Forward if in_model => block,
                Phase::Forward => "loss".to_owned(),
            };
        }
    }

    /// What the update of a variable is made of belongs to the layer of the variable; what serves several layers, to none.
    fn set_layers_of_updates(&mut self, planned: &Planned, variables: &[&str]) {
        const SHARED: &str = "optimiser";
        for (variable, next) in &planned.updates {
            let layer = layer_of(variable, variables);
            let mut stack = vec![*next];
            while let Some(at) = stack.pop() {
                let node = &mut self.nodes[at];
                let is_leaf = node.inputs.is_empty() && node.name.is_some();
                if node.phase != Phase::Update || is_leaf || node.layer == layer || node.layer == SHARED {
                    continue;
                }
                node.layer = if node.layer.is_empty() { layer.clone() } else { SHARED.to_owned() };
                stack.extend(&node.inputs);
            }
        }
    }
}

fn node(tensor: &Tensor, numbers: &HashMap<u64, usize>) -> Node {
    let origin = tensor.origin();
    Node {
        op: *tensor.op(),
        inputs: tensor.inputs().iter().filter_map(|input| numbers.get(&input.id()).copied()).collect(),
        users: Vec::new(),
        shape: tensor.dims().to_vec(),
        dtype: tensor.dtype(),
        phase: Phase::Update,
        layer: origin.layer.map_or(String::new(), |layer| layer.to_string()),
        file: origin.location.file(),
        line: origin.location.line(),
        serves: tensor.forward().and_then(|id| numbers.get(&id).copied()),
        name: tensor.variable().map(|(var, _)| var.name().to_owned()),
        number: None,
        kernels: Vec::new(),
        flops: 0,
        bytes: 0,
    }
}

/// The number that a node is everywhere, if it is one: written in the source, or a view of such.
fn number(nodes: &[Node], at: usize) -> Option<f64> {
    match (nodes[at].op, &nodes[at].inputs[..]) {
        (Op::Full(number), _) => Some(number.f64()),
        // (Inputs come first, so theirs is known.)
        (op, [input]) if op.is_view() => nodes[*input].number,
        _ => None,
    }
}

/// `conv1` of `conv1/weight`, and of `exp_avg/conv1/weight` where that names no variable of the model.
fn layer_of(variable: &str, variables: &[&str]) -> String {
    let mut name = variable;
    while !variables.contains(&name) {
        match name.split_once('/') {
            Some((_, rest)) => name = rest,
            None => {
                name = variable;
                break;
            }
        }
    }
    name.rsplit_once('/').map_or("model", |(layer, _)| layer).to_owned()
}
