//! Fusion: which nodes share a kernel.
//!
//! Groups are made in execution order, and a node joins a group only if all its other inputs come from groups before it. So
//! the list of groups is always a valid schedule, and no cycle can arise. Three kinds of node never get a kernel of their
//! own unless they must: views (a layout over the value they show), numbers and what is computed of numbers alone (repeated
//! where they are used), and *floating* nodes, elementwise ones with a single user whose inputs are leaves: they wait for
//! their user and join its group.

use super::trace::{NOT_A_LEAF, Trace};
use super::{Code, Fused, Instr, Plan};
use crate::layout::Layout;
use crate::op::{Binary, Op};
use crate::ops::view::through;
use crate::shape::{AxisSet, Shape};
use crate::tensor::Tensor;

/// Whether nodes share kernels. The values are the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fusion {
    /// Chains, reductions with their neighbours, epilogues.
    On,
    /// One kernel for each op.
    Off,
}

/// Plans a traced graph.
pub fn build(trace: &Trace, fusion: Fusion) -> Plan {
    let mut planner = Planner::new(trace, fusion);
    let early = early(trace);
    for first in [true, false] {
        (0..trace.nodes.len()).filter(|&node| early[node] == first).for_each(|node| planner.place(node));
    }
    planner.results();
    if fusion == Fusion::On {
        planner.remake();
    }
    super::schedule::assemble(trace, planner.groups, &planner.outputs, &planner.targets)
}

/// Instructions a group may hold: enough for an optimiser step behind a normalisation.
pub(super) const MOST_CODE: usize = 96;
/// Values a group may read.
pub(super) const MOST_LOADS: usize = 32;
/// Instructions that wait for a user; longer chains become groups.
const MOST_FLOATING: usize = 16;
/// Numbers of a value that may be computed long before it is used.
const MOST_EARLY: usize = 1 << 14;
/// How many groups back a node looks for company.
const LOOK_BACK: usize = 16;

/// What becomes one kernel.
pub(super) struct Group {
    /// The op with a kernel of its own, if the group is one or is its epilogue.
    pub op: Option<OpCall>,
    pub space: Shape,
    pub reduced: AxisSet,
    pub loads: Vec<Seen>,
    pub code: Vec<Instr>,
    /// Register and whether it is a row, for each node the group computes (floating nodes excepted).
    pub registers: Vec<(usize, u16)>,
    /// Nodes whose random key a [`Code::Random`] names (in place of a slot, until slots exist).
    pub keys: Vec<usize>,
    /// The nodes it holds, the main one first.
    pub ops: Vec<usize>,
    /// A copy of this view, row-major, is what the group makes for this node.
    pub copy_of: Option<usize>,
}

pub(super) struct OpCall {
    pub node: usize,
    pub inputs: Vec<Seen>,
}

/// A computed node or a leaf, seen through a layout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub base: usize,
    pub layout: Layout,
}

impl Seen {
    fn whole(node: usize, tensor: &Tensor) -> Seen {
        Seen { base: node, layout: Layout::contiguous(*tensor.shape()) }
    }
}

pub(super) struct Planner<'a> {
    pub(super) trace: &'a Trace<'a>,
    fusion: Fusion,
    pub(super) groups: Vec<Group>,
    /// How each node is seen: itself, or what it is a view of.
    pub(super) seen: Vec<Seen>,
    /// The group that computes a node.
    pub(super) group_of: Vec<Option<usize>>,
    floating: Vec<bool>,
    /// Whether a floating node is computed of numbers alone: one number at every point, in every shape it is seen in.
    pub(super) constant: Vec<bool>,
    /// Instructions that a floating node brings along.
    weight: Vec<usize>,
    pub(super) users: Vec<u32>,
    /// What must lie in memory whatever is fused: requested values, and what views and ops with kernels of their own read.
    pub(super) memory: Vec<bool>,
    /// Whether a node, or what elementwise nodes make of it before anything is summed or contracted, must lie in memory.
    pub(super) flows_to_memory: Vec<bool>,
    /// What a group other than its own reads.
    pub(super) stored: Vec<bool>,
    /// Leaves that are written in place.
    pub(super) updated: Vec<bool>,
    /// Whether a fold reads a node.
    pub(super) summed: Vec<bool>,
    pub(super) outputs: Vec<usize>,
    pub(super) targets: Vec<usize>,
    /// What each copy is a copy of, and the group that makes it. The copies are numbered on from the nodes.
    pub(super) copied: Vec<(Seen, usize)>,
}

impl<'a> Planner<'a> {
    fn new(trace: &'a Trace<'a>, fusion: Fusion) -> Planner<'a> {
        let count = trace.nodes.len();
        let (mut users, mut memory, mut summed) = (vec![0; count], vec![false; count], vec![false; count]);
        for (node, tensor) in trace.nodes.iter().enumerate() {
            if trace.leaf_of[node] == NOT_A_LEAF {
                let folds = matches!(tensor.op(), Op::Reduce { .. });
                for input in tensor.inputs() {
                    let input = trace.index.get(input.id()) as usize;
                    users[input] += 1;
                    summed[input] |= folds;
                    memory[input] |= !folds && !tensor.op().is_elementwise();
                }
            }
        }
        for &node in trace.outputs.iter().chain(&trace.targets) {
            users[node as usize] += 1;
            memory[node as usize] = true;
        }
        let mut updated = vec![false; count];
        for &leaf in trace.target_leaves.iter().filter(|&&leaf| leaf != NOT_A_LEAF) {
            updated[trace.index.get(trace.leaves[leaf as usize].id()) as usize] = true;
        }
        Planner {
            trace,
            fusion,
            groups: Vec::new(),
            seen: trace.nodes.iter().enumerate().map(|(node, tensor)| Seen::whole(node, tensor)).collect(),
            group_of: vec![None; count],
            floating: vec![false; count],
            constant: vec![false; count],
            weight: vec![0; count],
            users,
            flows_to_memory: flows_to_memory(trace, &memory),
            memory,
            stored: vec![false; count],
            updated,
            summed,
            outputs: Vec::new(),
            targets: Vec::new(),
            copied: Vec::new(),
        }
    }

    pub(super) fn tensor(&self, node: usize) -> &'a Tensor {
        self.trace.nodes[node]
    }

    pub(super) fn is_leaf(&self, node: usize) -> bool {
        self.trace.leaf_of.get(node).is_some_and(|&leaf| leaf != NOT_A_LEAF)
    }

    /// Whether `base` is a floating node (a copy never is).
    pub(super) fn floats(&self, base: usize) -> bool {
        self.floating.get(base).is_some_and(|&floating| floating)
    }

    pub(super) fn inputs(&self, node: usize) -> Vec<usize> {
        self.tensor(node).inputs().iter().map(|input| self.trace.index.get(input.id()) as usize).collect()
    }

    /// Decides where `node` is computed.
    fn place(&mut self, node: usize) {
        let tensor = self.tensor(node);
        if self.is_leaf(node) {
            return;
        }
        let op = *tensor.op();
        if op.is_view() {
            self.place_view(node);
        } else if let Op::Full(_) = op {
            (self.floating[node], self.constant[node]) = (true, true);
        } else if let Some(other) = self.times_one(node) {
            self.seen[node] = self.seen[other];
        } else if op.is_elementwise() {
            let inputs = self.inputs(node);
            let constant = !inputs.is_empty() && inputs.iter().all(|&input| self.constant[input]);
            let once = self.users[node] == 1 || constant;
            if self.fusion == Fusion::On && once && self.inputs_float(node) {
                (self.floating[node], self.constant[node]) = (true, constant);
                self.weight[node] = 1 + self.inputs(node).iter().map(|&input| self.weight[input]).sum::<usize>();
            } else {
                self.place_elementwise(node);
            }
        } else if let Op::Reduce { axes, .. } = op {
            self.place_reduction(node, axes);
        } else if let Some(seen) = self.rejoined(node) {
            self.seen[node] = seen;
        } else {
            self.place_call(node);
        }
    }

    /// What a node multiplies by one: the start of every gradient.
    fn times_one(&self, node: usize) -> Option<usize> {
        if self.fusion == Fusion::Off || *self.tensor(node).op() != Op::Binary(Binary::Mul) {
            return None;
        }
        let [a, b] = self.inputs(node)[..] else { return None };
        let one = |input: usize| match self.number(input) {
            Some(Op::Full(value)) => value.f64() == 1.0,
            _ => false,
        };
        let other = if one(a) { b } else { a };
        ((one(a) || one(b)) && !self.floats(self.seen[other].base)).then_some(other)
    }

    /// Whether all inputs are leaves or float themselves, seen as they are, and are few.
    fn inputs_float(&self, node: usize) -> bool {
        let inputs = self.inputs(node);
        let weight: usize = inputs.iter().map(|&input| self.weight[input]).sum();
        weight < MOST_FLOATING
            && inputs.iter().all(|&input| {
                let seen = self.seen[input];
                self.is_leaf(seen.base) || (seen.base == input && self.floats(input))
            })
    }

    fn place_view(&mut self, node: usize) {
        let tensor = self.tensor(node);
        let input = self.inputs(node)[0];
        let under = self.seen[input];
        if self.floats(input) && self.constant[input] {
            // A number seen in another shape is the same number.
            (self.floating[node], self.constant[node]) = (true, true);
            self.weight[node] = self.weight[input];
            return;
        }
        // A group cannot see a floating node through a view, so it gets a place now: later it would come between its user
        // and what its user could join.
        self.materialise(under.base);
        match through(tensor, &under.layout) {
            Some(layout) => self.seen[node] = Seen { base: under.base, layout },
            None => {
                let base = self.copy(under);
                let layout = Layout::contiguous(*tensor.shape());
                self.seen[node] = Seen { base, layout };
            }
        }
    }

    /// Parts of one value, joined as they lie: a view of it.
    fn rejoined(&self, node: usize) -> Option<Seen> {
        let Op::Concat { axis } = *self.tensor(node).op() else { return None };
        let (axis, parts) = (axis as usize, self.inputs(node));
        let [first, second, ..] = parts[..] else { return None };
        let Seen { base, layout: whole } = self.seen[first];
        let step = (self.seen[second].layout.offset as isize).checked_sub(whole.offset as isize)?;
        let length = whole.shape[axis] as isize;
        if length == 0 || step % length != 0 || self.floats(base) || self.tensor(node).count() == 0 {
            return None;
        }
        let mut joined = Layout { shape: *self.tensor(node).shape(), ..whole };
        joined.strides[axis] = step / length;
        let mut offset = whole.offset as isize;
        for part in parts {
            let Seen { base: other, layout } = self.seen[part];
            let along = |at: usize| layout.shape[at] == 1 || layout.strides[at] == joined.strides[at];
            let same = (0..joined.shape.rank()).all(|at| along(at) || joined.shape[at] == 1);
            if other != base || !same || layout.offset as isize != offset {
                return None;
            }
            offset += joined.strides[axis] * layout.shape[axis] as isize;
        }
        Some(Seen { base, layout: joined })
    }

    /// The number behind a floating node that is one.
    pub(super) fn number(&self, node: usize) -> Option<Op> {
        let mut tensor = self.tensor(node);
        while tensor.op().is_view() {
            tensor = &tensor.inputs()[0];
        }
        matches!(tensor.op(), Op::Full(_)).then_some(*tensor.op())
    }

    /// A value that must lie in memory: a floating node gets its own group now.
    pub(super) fn materialise(&mut self, node: usize) {
        if self.floats(node) {
            self.floating[node] = false;
            let space = *self.tensor(node).shape();
            self.new_group(space);
            self.join(node, self.groups.len() - 1, false);
        }
    }

    /// A contiguous copy of `seen`; the same one for the same view.
    fn copy(&mut self, seen: Seen) -> usize {
        match self.copied.iter().position(|(other, _)| *other == seen) {
            Some(index) => self.trace.nodes.len() + index,
            None => self.new_copy(seen),
        }
    }

    /// One more contiguous copy of `seen`: a value without a node, made by a group of its own.
    fn new_copy(&mut self, seen: Seen) -> usize {
        self.materialise(seen.base);
        let copy = self.trace.nodes.len() + self.copied.len();
        let group = self.new_group(seen.layout.shape);
        self.copied.push((seen, group));
        let dtype = self.tensor_of(seen.base).dtype();
        let group = &mut self.groups[group];
        group.loads.push(seen);
        group.code.push(Instr { code: Code::Load(0), args: [0; 3], dtype, row: false });
        group.copy_of = Some(copy);
        group.registers.push((copy, 0));
        copy
    }

    /// The tensor whose dtype a base has; of a copy, that of what is copied.
    pub(super) fn tensor_of(&self, base: usize) -> &'a Tensor {
        match base.checked_sub(self.trace.nodes.len()) {
            Some(copy) => self.tensor_of(self.copied[copy].0.base),
            None => self.tensor(base),
        }
    }

    pub(super) fn group_of(&self, base: usize) -> Option<usize> {
        match base.checked_sub(self.trace.nodes.len()) {
            Some(copy) => Some(self.copied[copy].1),
            None => self.group_of[base],
        }
    }

    fn new_group(&mut self, space: Shape) -> usize {
        self.groups.push(Group {
            op: None,
            space,
            reduced: AxisSet::default(),
            loads: Vec::new(),
            code: Vec::new(),
            registers: Vec::new(),
            keys: Vec::new(),
            ops: Vec::new(),
            copy_of: None,
        });
        self.groups.len() - 1
    }

    fn place_elementwise(&mut self, node: usize) {
        let inputs = self.inputs(node);
        let shape = *self.tensor(node).shape();
        if self.fusion == Fusion::On {
            let latest = inputs.iter().filter_map(|&input| self.group_of(self.seen[input].base)).max();
            for group in self.candidates(latest) {
                for row in [false, true] {
                    let fits = self.fits_space(node, group, row) && self.belongs(&inputs, group, row);
                    if fits && self.spares_a_pass(node, &inputs, group) {
                        self.join(node, group, row);
                        return;
                    }
                }
            }
        }
        let group = self.new_group(shape);
        self.join(node, group, false);
    }

    fn candidates(&self, latest: Option<usize>) -> impl Iterator<Item = usize> + use<> {
        let end = self.groups.len();
        let first = latest.unwrap_or(0);
        latest.into_iter().chain((first.max(end.saturating_sub(LOOK_BACK))..end).filter(move |&g| Some(g) != latest))
    }

    fn place_reduction(&mut self, node: usize, axes: AxisSet) {
        let inputs = self.inputs(node);
        let space = *self.tensor(inputs[0]).shape();
        if self.fusion == Fusion::On {
            let latest = self.group_of(self.seen[inputs[0]].base);
            for group in self.candidates(latest) {
                let members = &self.groups[group];
                let agrees = members.reduced.is_empty() || members.reduced == axes;
                // Several folds of one program share its reduced axes; the epilogue of an op folds nothing.
                let open = agrees && members.op.is_none() && members.copy_of.is_none() && members.space == space;
                let room = members.code.len() < MOST_CODE && members.loads.len() < MOST_LOADS;
                if open && room && !axes.is_empty() && self.belongs(&inputs, group, false) {
                    self.groups[group].reduced = axes;
                    self.join(node, group, true);
                    return;
                }
            }
        }
        let group = self.new_group(space);
        self.groups[group].reduced = axes;
        self.join(node, group, true);
    }

    /// A kernel of its own. It may become the head of an epilogue.
    fn place_call(&mut self, node: usize) {
        let tensor = self.tensor(node);
        let mut seen_inputs = Vec::new();
        for input in self.inputs(node) {
            self.materialise_view(input);
            let mut seen = self.seen[input];
            let strided = matches!(tensor.op(), Op::MatMul | Op::AttentionPass(_) | Op::AttentionGrad(_));
            let free_strides = strided && seen.layout.strides().iter().all(|&stride| stride >= 0);
            let in_order = seen.layout.is_contiguous() && seen.layout.offset == 0;
            if !free_strides && !in_order {
                let base = self.copy(seen);
                seen = Seen { base, layout: Layout::contiguous(seen.layout.shape) };
            }
            seen_inputs.push(seen);
        }
        let group = self.new_group(*tensor.shape());
        let contraction = matches!(tensor.op(), Op::MatMul | Op::Conv(_) | Op::ConvInput(_) | Op::ConvWeight(_));
        let members = &mut self.groups[group];
        members.op = Some(OpCall { node, inputs: seen_inputs });
        members.ops.push(node);
        self.group_of[node] = Some(group);
        if contraction && self.fusion == Fusion::On {
            let register =
                self.push(group, Instr { code: Code::Result, args: [0; 3], dtype: tensor.dtype(), row: false });
            self.groups[group].registers.push((node, register));
        }
    }

    /// Makes the value behind `node` lie in memory, also when it is a number seen in another shape.
    fn materialise_view(&mut self, node: usize) {
        self.materialise(self.seen[node].base);
    }

    /// Makes every requested value a contiguous value of its own.
    fn results(&mut self) {
        for i in 0..self.trace.outputs.len() {
            let base = self.whole(self.trace.outputs[i] as usize);
            self.outputs.push(base);
        }
        for i in 0..self.trace.targets.len() {
            let mut base = self.whole(self.trace.targets[i] as usize);
            if self.outputs.contains(&base) || self.targets.contains(&base) {
                // Each variable needs an array of its own.
                let layout = Layout::contiguous(*self.trace.nodes[self.trace.targets[i] as usize].shape());
                base = self.new_copy(Seen { base, layout });
            }
            self.targets.push(base);
        }
    }

    /// The computed value that is exactly `node`, row-major; leaves and views are copied.
    fn whole(&mut self, node: usize) -> usize {
        self.materialise_view(node);
        let seen = self.seen[node];
        let count = match seen.base.checked_sub(self.trace.nodes.len()) {
            Some(copy) => self.copied[copy].0.layout.shape.count(),
            None => self.tensor(seen.base).count(),
        };
        let exact = seen.layout.is_contiguous() && seen.layout.offset == 0 && seen.layout.shape.count() == count;
        if exact && !self.is_leaf(seen.base) { seen.base } else { self.copy(seen) }
    }
}

/// For each node whether it is placed before all others: small values made of leaves alone that are seen through a view, such as
/// the scales of a normalisation by running statistics. What is behind a convolution can then join it.
fn early(trace: &Trace) -> Vec<bool> {
    let inputs = |node: usize| trace.nodes[node].inputs().iter().map(|input| trace.index.get(input.id()) as usize);
    let leaf = |node: usize| trace.leaf_of[node] != NOT_A_LEAF;
    let mut of_leaves = vec![false; trace.nodes.len()];
    let mut early = vec![false; trace.nodes.len()];
    for (node, tensor) in trace.nodes.iter().enumerate() {
        let op = tensor.op();
        let passes = op.is_elementwise() || op.is_view();
        let small = op.is_view() || tensor.count() <= MOST_EARLY;
        of_leaves[node] = leaf(node) || (passes && small && inputs(node).all(|input| of_leaves[input]));
        let computed = |input: usize| !leaf(input) && trace.nodes[input].op().is_elementwise();
        early[node] = !leaf(node) && of_leaves[node] && op.is_view() && inputs(node).any(computed);
    }
    for node in (0..early.len()).rev().filter(|&node| !leaf(node)) {
        if early[node] {
            inputs(node).filter(|&input| !leaf(input)).for_each(|input| early[input] = true);
        }
    }
    early
}

/// For each node whether it must lie in memory, or elementwise nodes make something of it that must, and can do so as soon as
/// it is there: without waiting for a sum or a product of it.
fn flows_to_memory(trace: &Trace, memory: &[bool]) -> Vec<bool> {
    let inputs = |node: usize| trace.nodes[node].inputs().iter().map(|input| trace.index.get(input.id()) as usize);
    let passes = |node: usize| trace.nodes[node].op().is_elementwise() || trace.nodes[node].op().is_view();
    let inner = |node: usize| trace.leaf_of[node] == NOT_A_LEAF;
    let mut depth = vec![0; trace.nodes.len()];
    for node in (0..depth.len()).filter(|&node| inner(node)) {
        depth[node] = inputs(node).map(|input| depth[input]).max().unwrap_or(0) + usize::from(!passes(node));
    }
    let mut flows = memory.to_vec();
    for node in (0..depth.len()).rev().filter(|&node| inner(node) && passes(node)) {
        if flows[node] {
            inputs(node).filter(|&input| depth[input] == depth[node]).for_each(|input| flows[input] = true);
        }
    }
    flows
}

impl Group {
    /// The program of the group, its loads and stores still to be given slots.
    pub fn program(&self) -> Fused {
        Fused {
            space: self.space,
            reduced: self.reduced,
            loads: Vec::new(),
            code: self.code.clone(),
            stores: Vec::new(),
        }
    }
}
