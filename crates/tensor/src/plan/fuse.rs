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
    for node in 0..trace.nodes.len() {
        planner.place(node);
    }
    planner.results();
    super::schedule::assemble(trace, planner.groups, &planner.outputs, &planner.targets)
}

/// Instructions a group may hold: enough for an optimiser step behind a normalisation.
const MOST_CODE: usize = 96;
/// Values a group may read.
const MOST_LOADS: usize = 32;
/// Instructions that wait for a user; longer chains become groups.
const MOST_FLOATING: usize = 16;
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
    constant: Vec<bool>,
    /// Instructions that a floating node brings along.
    weight: Vec<usize>,
    pub(super) users: Vec<u32>,
    /// What must lie in memory whatever is fused: requested values, and what views and ops with kernels of their own read.
    pub(super) memory: Vec<bool>,
    /// Leaves that are written in place.
    pub(super) updated: Vec<bool>,
    /// Whether a fold reads a node.
    pub(super) summed: Vec<bool>,
    outputs: Vec<usize>,
    targets: Vec<usize>,
    /// What each copy is a copy of, and the group that makes it. The copies are numbered on from the nodes.
    copied: Vec<(Seen, usize)>,
}

/// Where an input of a node that wants to join a group is found.
enum Found {
    Register(u16),
    Load(Layout),
    Float(usize),
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
            seen: Vec::with_capacity(count),
            group_of: vec![None; count],
            floating: vec![false; count],
            constant: vec![false; count],
            weight: vec![0; count],
            users,
            memory,
            updated,
            summed,
            outputs: Vec::new(),
            targets: Vec::new(),
            copied: Vec::new(),
        }
    }

    fn tensor(&self, node: usize) -> &'a Tensor {
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
        self.seen.push(Seen { base: node, layout: Layout::contiguous(*tensor.shape()) });
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
    fn materialise(&mut self, node: usize) {
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
    fn tensor_of(&self, base: usize) -> &'a Tensor {
        match base.checked_sub(self.trace.nodes.len()) {
            Some(copy) => self.tensor_of(self.copied[copy].0.base),
            None => self.tensor(base),
        }
    }

    fn group_of(&self, base: usize) -> Option<usize> {
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
                    if self.fits_space(node, group, row) && self.belongs(&inputs, group, row) {
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

    /// Whether the iteration of `group` can compute `node`, for every point or for every row.
    fn fits_space(&self, node: usize, group: usize, row: bool) -> bool {
        let (group, tensor) = (&self.groups[group], self.tensor(node));
        if group.copy_of.is_some() || group.code.len() >= MOST_CODE || group.loads.len() >= MOST_LOADS {
            return false;
        }
        if row {
            let kept = group.space.keep(group.reduced);
            let positional = matches!(tensor.op(), Op::Iota { .. } | Op::Random(_));
            !group.reduced.is_empty() && tensor.shape().count() == kept.count() && !positional
        } else {
            *tensor.shape() == group.space
        }
    }

    /// Whether all inputs can be found from `group`, and at least one is there already (a register or a shared load).
    fn belongs(&self, inputs: &[usize], group: usize, row: bool) -> bool {
        let (mut company, mut register) = (false, false);
        for &input in inputs {
            match self.find(input, group, row) {
                Some(Found::Register(_)) => register = true,
                Some(Found::Load(layout)) => {
                    let seen = Seen { base: self.seen[input].base, layout };
                    company |= self.groups[group].loads.contains(&seen);
                }
                Some(Found::Float(float)) => company |= self.shares_load(float, group),
                None => return false,
            }
        }
        // What does not use the result of a contraction has no business in its epilogue.
        register || (company && self.groups[group].op.is_none())
    }

    /// Whether a floating node reads something that `group` reads already.
    fn shares_load(&self, float: usize, group: usize) -> bool {
        self.inputs(float).iter().any(|&input| {
            let seen = self.seen[input];
            if self.floats(seen.base) || self.repeats(seen.base, &seen.layout, group) {
                self.shares_load(seen.base, group)
            } else {
                self.groups[group].loads.contains(&seen)
            }
        })
    }

    /// How `group` gets the value of `input` for a node at this level; `None` if it cannot.
    fn find(&self, input: usize, group: usize, row: bool) -> Option<Found> {
        let Seen { base, layout } = self.seen[input];
        let members = &self.groups[group];
        let kept = members.space.keep(members.reduced);
        // What is computed of numbers is repeated even if it lies in memory too: there it has one shape, here it has any.
        if self.floats(base) || self.constant.get(base).is_some_and(|&constant| constant) {
            return self.floats_into(base, group, row).then_some(Found::Float(base));
        }
        if let Some(&(_, register)) = members.registers.iter().find(|(node, _)| *node == base) {
            let is_row = members.code[register as usize].row;
            let fits = match (is_row, row) {
                (false, false) => same_walk(&layout, &Layout::contiguous(members.space)),
                (true, false) => {
                    same_walk(&layout, &Layout::contiguous(kept).expand(members.space)) && layout.shape == members.space
                }
                (true, true) => layout.shape.count() == kept.count() && layout.is_contiguous() && layout.offset == 0,
                (false, true) => false,
            };
            return fits.then_some(Found::Register(register));
        }
        if self.group_of(base).is_some_and(|other| other >= group) {
            return None;
        }
        if !row && self.repeats(base, &layout, group) {
            return Some(Found::Float(base));
        }
        if row { Some(Found::Load(layout.reshape(kept)?.expand(members.space))) } else { Some(Found::Load(layout)) }
    }

    /// Whether a floating node can be computed inside `group`.
    fn floats_into(&self, node: usize, group: usize, row: bool) -> bool {
        if self.number(node).is_some() {
            return true;
        }
        if row && matches!(self.tensor(node).op(), Op::Iota { .. } | Op::Random(_)) {
            return false;
        }
        self.inputs(node).iter().all(|&input| self.find(input, group, row).is_some())
    }

    /// Adds `node` to `group`; all its inputs can be found there.
    fn join(&mut self, node: usize, group: usize, row: bool) {
        let register = self.emit(node, group, row);
        self.groups[group].registers.push((node, register));
        self.groups[group].ops.push(node);
        self.group_of[node] = Some(group);
    }

    fn emit(&mut self, node: usize, group: usize, row: bool) -> u16 {
        let tensor = self.tensor(node);
        let (op, dtype) = (*tensor.op(), tensor.dtype());
        if let Some(op) = self.number(node) {
            return self.push(group, Instr { code: Code::Op(op), args: [0; 3], dtype, row });
        }
        if op.is_view() {
            // Only constant nodes float as views.
            return self.emit(self.inputs(node)[0], group, row);
        }
        if let Op::Random(distribution) = op {
            let key = self.inputs(node)[0];
            self.materialise(self.seen[key].base);
            let base = self.seen[key].base;
            self.groups[group].keys.push(base);
            return self.push(group, Instr { code: Code::Random(distribution, base), args: [0; 3], dtype, row });
        }
        let folds = matches!(op, Op::Reduce { .. });
        let mut args = [0; 3];
        for (arg, input) in args.iter_mut().zip(self.inputs(node)) {
            *arg = match self.find(input, group, row && !folds) {
                Some(Found::Register(register)) => register,
                Some(Found::Float(float)) => {
                    if self.number(float).is_none() {
                        self.groups[group].ops.push(float);
                    }
                    self.emit(float, group, row && !folds)
                }
                Some(Found::Load(layout)) => {
                    let base = self.seen[input].base;
                    let (row, dtype) = (row && !folds, self.tensor_of(base).dtype());
                    self.load(group, Seen { base, layout }, dtype, row)
                }
                None => unreachable!("an input that the group was found to have"),
            };
        }
        self.push(group, Instr { code: Code::Op(op), args, dtype, row })
    }

    fn load(&mut self, group: usize, seen: Seen, dtype: crate::DType, row: bool) -> u16 {
        let loads = &mut self.groups[group].loads;
        let index = loads.iter().position(|other| *other == seen).unwrap_or_else(|| {
            loads.push(seen);
            loads.len() - 1
        });
        self.push(group, Instr { code: Code::Load(index as u16), args: [0; 3], dtype, row })
    }

    /// Appends an instruction, or finds the same one.
    fn push(&mut self, group: usize, instr: Instr) -> u16 {
        let code = &mut self.groups[group].code;
        let same = |other: &Instr| {
            (other.code, other.args, other.dtype, other.row) == (instr.code, instr.args, instr.dtype, instr.row)
        };
        code.iter().position(same).unwrap_or_else(|| {
            code.push(instr);
            code.len() - 1
        }) as u16
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

/// Whether two layouts of equal shape visit the same positions.
fn same_walk(a: &Layout, b: &Layout) -> bool {
    a.shape == b.shape
        && a.offset == b.offset
        && (0..a.shape.rank()).all(|axis| a.shape[axis] == 1 || a.strides[axis] == b.strides[axis])
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
