//! Walking the graph behind the requested values: nodes in order, leaves, structural hash. Done at every step, so it is lean.

use std::hash::{Hash, Hasher};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{IdMap, NONE, Numbers};
use crate::op::Op;
use crate::tensor::{Tensor, provenance};
use crate::var::{Update, Var};

/// The graph behind some outputs and updates, inputs before the nodes that use them.
pub struct Trace<'a> {
    /// Two traces with the same hash have the same plan.
    pub hash: u128,
    /// The nodes whose values are given: data, computed earlier, or variables (each once).
    pub leaves: Vec<&'a Tensor>,
    /// The variables to be updated.
    pub updates: Vec<Var>,
    pub(crate) nodes: Vec<&'a Tensor>,
    /// Index in `nodes` of a node id.
    pub(crate) index: Numbers,
    /// For each node its leaf, or [`NOT_A_LEAF`].
    pub(crate) leaf_of: Vec<u32>,
    pub(crate) outputs: Vec<u32>,
    pub(crate) targets: Vec<u32>,
    /// For each update the leaf that reads the same variable, or [`NOT_A_LEAF`].
    pub(crate) target_leaves: Vec<u32>,
}

pub(crate) const NOT_A_LEAF: u32 = u32::MAX;

/// The index of a node that is yet to be numbered.
const SEEN: u32 = NONE - 1;

/// What is hashed between the nodes: no node begins with such a large number, so a sequence is read in one way only.
const OUTPUT: u64 = 1 << 63 | 1;
const TARGET: u64 = 1 << 63 | 2;
const TARGET_LEAF: u64 = 1 << 63 | 3;

/// Room for the nodes of a small training step: no growing on the way.
const USUAL_NODES: usize = 448;

/// Walks the graph behind `outputs` and `updates`.
///
/// # Errors
/// The error of a node that could not be built; a variable read before and after a change; an update of another shape or dtype than its variable, or two of one variable.
pub fn trace<'a>(outputs: &[&'a Tensor], updates: &'a [Update]) -> Result<Trace<'a>> {
    let ids = outputs.iter().map(|output| output.id()).chain(updates.iter().map(|update| update.value.id()));
    let newest = ids.max().unwrap_or(0);
    let mut trace = Trace {
        hash: 0,
        leaves: Vec::new(),
        updates: Vec::with_capacity(updates.len()),
        nodes: Vec::with_capacity(USUAL_NODES),
        index: Numbers::near(newest),
        leaf_of: Vec::with_capacity(USUAL_NODES),
        outputs: Vec::with_capacity(outputs.len()),
        targets: Vec::with_capacity(updates.len()),
        target_leaves: Vec::with_capacity(updates.len()),
    };
    let mut mixer = Mixer::default();
    let mut variables: IdMap<u32> = IdMap::default();
    for node in trace.behind(outputs, updates)? {
        for leaf in node.inputs().iter().filter(|input| is_leaf(input)) {
            trace.add(leaf, &mut mixer, &mut variables)?;
        }
        trace.add(node, &mut mixer, &mut variables)?;
    }
    for &output in outputs {
        trace.add(output, &mut mixer, &mut variables)?;
        let index = trace.index.get(output.id());
        trace.outputs.push(index);
        mixer.write_u64(u64::from(index) << 2 | OUTPUT);
    }
    let mut updated: IdMap<()> = IdMap::with_capacity_and_hasher(updates.len(), Default::default());
    for update in updates {
        check_update(update, updated.insert(update.var.id(), ()).is_some())?;
        trace.add(&update.value, &mut mixer, &mut variables)?;
        let index = trace.index.get(update.value.id());
        trace.targets.push(index);
        mixer.write_u64(u64::from(index) << 2 | TARGET);
        trace.updates.push(update.var.clone());
    }
    for update in updates {
        let leaf = variables.get(&update.var.id()).map_or(NOT_A_LEAF, |&index| trace.leaf_of[index as usize]);
        trace.target_leaves.push(leaf);
        mixer.write_u64(u64::from(leaf) << 2 | TARGET_LEAF);
    }
    trace.hash = mixer.finish128();
    Ok(trace)
}

fn check_update(update: &Update, again: bool) -> Result<()> {
    let (var, value) = (&update.var, &update.value);
    if var.shape() != value.shape() || var.dtype() != value.dtype() {
        let message = format!("{} is {} {}", var.name(), var.dtype(), var.shape());
        return Err(Error::new(ErrorKind::Shape, "update", message).note(provenance("its next value", value)));
    }
    if again {
        return Err(Error::new(ErrorKind::Argument, "update", format!("{} is updated twice", var.name())));
    }
    Ok(())
}

impl<'a> Trace<'a> {
    /// Its nodes, each behind its inputs.
    pub fn nodes(&self) -> &[&'a Tensor] {
        &self.nodes
    }

    /// The nodes to be computed, in the order in which they were made: the gradient of a weight comes when what it is made of
    /// does, not when the weight is updated, so that the plan can let go of it.
    fn behind(&mut self, outputs: &[&'a Tensor], updates: &'a [Update]) -> Result<Vec<&'a Tensor>> {
        let (mut nodes, mut stack, mut in_order) = (Vec::with_capacity(USUAL_NODES), Vec::with_capacity(64), true);
        for root in outputs.iter().copied().chain(updates.iter().map(|update| &update.value)) {
            root.check()?;
            stack.push((root, false));
            while let Some((node, expanded)) = stack.pop() {
                if is_leaf(node) || self.index.get(node.id()) != NONE {
                    continue;
                }
                if expanded {
                    self.index.set(node.id(), SEEN);
                    nodes.push(node);
                    continue;
                }
                stack.push((node, true));
                // Last pushed is first visited: first inputs come first.
                for input in node.inputs().iter().rev() {
                    in_order &= input.id() < node.id() || is_leaf(input);
                    stack.push((input, false));
                }
            }
        }
        // Made by several threads, a node may have a lower id than its input; then the order of the walk serves.
        if in_order {
            nodes.sort_by_key(|node| node.id());
        }
        Ok(nodes)
    }

    /// Adds a node whose inputs are here, if it is not here yet.
    fn add(&mut self, node: &'a Tensor, mixer: &mut Mixer, variables: &mut IdMap<u32>) -> Result<()> {
        if !matches!(self.index.get(node.id()), NONE | SEEN) {
            return Ok(());
        }
        let index = self.nodes.len() as u32;
        let given = node.value().is_some();
        if let (false, Some((var, version))) = (given, node.variable()) {
            // Two leaves may read one variable; they are one value, unless it changed between them.
            if let Some(&first) = variables.get(&var.id()) {
                if self.nodes[first as usize].variable().is_some_and(|(_, other)| other != version) {
                    return Err(var.stale().at(node.origin()));
                }
                self.index.set(node.id(), first);
                return Ok(());
            }
            variables.insert(var.id(), index);
        }
        self.index.set(node.id(), index);
        self.nodes.push(node);
        let op = if given { Op::Data } else { *node.op() };
        op.hash(mixer);
        mixer.write_u64(node.dtype() as u64 | (node.rank() as u64) << 8 | (node.inputs().len() as u64) << 16);
        node.dims().iter().for_each(|&dim| mixer.write_u64(dim as u64));
        if matches!(op, Op::Data | Op::Var) {
            self.leaf_of.push(self.leaves.len() as u32);
            self.leaves.push(node);
        } else {
            self.leaf_of.push(NOT_A_LEAF);
            node.inputs().iter().for_each(|input| mixer.write_u64(u64::from(self.index.get(input.id()))));
        }
        Ok(())
    }
}

/// Whether nothing is to be computed for a node.
fn is_leaf(node: &Tensor) -> bool {
    node.value().is_some() || node.inputs().is_empty()
}

/// A 128-bit hash of a sequence of words: two multiply-rotate chains with different constants.
#[derive(Default)]
struct Mixer(u64, u64);

impl Mixer {
    fn finish128(self) -> u128 {
        fn avalanche(mut x: u64) -> u64 {
            x = (x ^ x >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            x = (x ^ x >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            x ^ x >> 32
        }
        u128::from(avalanche(self.0)) << 64 | u128::from(avalanche(self.1 ^ self.0.rotate_left(17)))
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }
    fn write_u8(&mut self, x: u8) {
        self.write_u64(u64::from(x));
    }
    fn write_u32(&mut self, x: u32) {
        self.write_u64(u64::from(x));
    }
    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
    fn write_isize(&mut self, x: isize) {
        self.write_u64(x as u64);
    }
    #[inline]
    fn write_u64(&mut self, x: u64) {
        self.0 = (self.0.rotate_left(5) ^ x).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.1 = (self.1.rotate_left(23) ^ x).wrapping_mul(0xC2B2_AE3D_27D4_EB4F).wrapping_add(0x1656_67B1_9E37_79F9);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
