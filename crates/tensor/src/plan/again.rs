//! What is computed again instead of being kept: a value of an earlier kernel that is cheaply made of one array that lies in
//! memory anyway, and of rows. Then the earlier kernel does not write it.
//!
//! A normalisation's gradient so reads its input, not the centred and the scaled input, and the forward pass writes its
//! result alone.

use super::fuse::{Planner, Seen};
use super::trace::NOT_A_LEAF;
use crate::layout::Layout;
use crate::op::{Binary, Op, Unary};

/// Cost in additions up to which a value is computed again: to write a number and to read it back costs about ten.
const MOST_COST: usize = 8;
/// An input with so many times fewer numbers than the value costs nothing to read.
const SMALL: usize = 8;

/// What a repeated value would be made of.
#[derive(Default)]
struct Recipe {
    cost: usize,
    arrays: Vec<usize>,
}

impl Planner<'_> {
    /// Whether `group` computes the value of `base`, which an earlier group computes too, again.
    pub(super) fn repeats(&self, base: usize, layout: &Layout, group: usize) -> bool {
        if self.trace.nodes.get(base).is_none_or(|tensor| !tensor.op().is_elementwise())
            || self.group_of[base].is_none()
        {
            return false;
        }
        let shape = *self.trace.nodes[base].shape();
        let same = shape == self.groups[group].space && *layout == Layout::contiguous(shape);
        let mut recipe = Recipe::default();
        // What is made only to be summed over other axes is read once: two arrays in its place cost no more.
        let arrays = if self.users[base] == 1 && self.summed[base] { 2 } else { 1 };
        same && self.recipe(base, group, &mut recipe) && recipe.arrays.len() <= arrays
    }

    /// Adds what the elementwise node `base` is made of to `recipe`; whether that lies in memory or can be computed.
    fn recipe(&self, base: usize, group: usize, recipe: &mut Recipe) -> bool {
        let Some(cost) = cost(self.trace.nodes[base].op()) else { return false };
        recipe.cost += cost;
        if self.memory[base] || recipe.cost > MOST_COST {
            return false;
        }
        self.inputs(base).into_iter().all(|input| self.ingredient(base, input, group, recipe))
    }

    fn ingredient(&self, of: usize, input: usize, group: usize, recipe: &mut Recipe) -> bool {
        if self.number(input).is_some() {
            return true;
        }
        let Seen { base, layout } = self.seen[input];
        let Some(tensor) = self.trace.nodes.get(base) else { return false };
        let whole = *tensor.shape() == layout.shape && layout == Layout::contiguous(layout.shape);
        let earlier = self.group_of[base].is_some_and(|other| other < group);
        if tensor.count() * SMALL <= self.trace.nodes[of].count() {
            return earlier || self.is_leaf(base);
        }
        if recipe.arrays.contains(&base) {
            return true;
        }
        let (before, arrays) = (recipe.cost, recipe.arrays.len());
        let computed = self.trace.leaf_of[base] == NOT_A_LEAF;
        if whole && computed && tensor.op().is_elementwise() && !self.stored[base] && (earlier || self.floats(base)) {
            if self.recipe(base, group, recipe) {
                return true;
            }
            recipe.cost = before;
            recipe.arrays.truncate(arrays);
        }
        // What the value's own group computes may not lie in memory.
        let apart = self.group_of[base] != self.group_of[of] || self.memory[base] || self.stored[base];
        recipe.arrays.push(base);
        // A variable written in between would need a second array.
        if self.is_leaf(base) { !self.updated[base] } else { earlier && apart && !self.floats(base) }
    }
}

/// Cost of a cheap op in additions.
pub(super) fn cost(op: &Op) -> Option<usize> {
    match op {
        Op::Unary(Unary::Neg | Unary::Abs | Unary::Relu | Unary::Not) => Some(1),
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Max | Binary::Min) => Some(1),
        Op::Binary(Binary::And | Binary::Or | Binary::Xor) => Some(1),
        Op::Binary(op) if op.compares() => Some(1),
        _ => None,
    }
}
