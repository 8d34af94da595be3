//! Large values that wait for the gradient: made a second time shortly before they are read again, instead of being kept.
//!
//! The output of a normalisation with its activation is read by the next layer, and much later by the gradient of that
//! layer's weight; the input of the normalisation lies in memory all that time, for its own gradient. So the output is made
//! of it again: one more pass, and one array less for each layer at the peak of a training step.

use super::again::cost;
use super::fuse::{Group, Planner, Seen};
use super::{Code, Instr};
use crate::ids::IdMap;
use crate::layout::Layout;
use crate::op::Op;

/// Bytes from which a value is worth a second pass: less stays in the caches.
const LARGE: usize = 1 << 20;
/// Kernels between two readers from which a value waits.
const LONG_WAIT: usize = 8;
/// Instructions of a second pass.
const MOST_CODE: usize = 12;
/// An input with so many times fewer numbers than the value costs nothing to keep and to read.
const SMALL: usize = 8;

/// For each value, the groups that read it, in order.
type Readers = IdMap<Vec<usize>>;

/// The making of one value, a second time.
struct Recipe {
    /// What makes it the first time.
    home: usize,
    /// The group that it must be made before.
    before: usize,
    /// The large value that it is made of: two would have to be read.
    array: Option<usize>,
    loads: Vec<Seen>,
    code: Vec<Instr>,
    /// For each register of `home` that was needed, the register that has its value here.
    known: Vec<(u16, u16)>,
    /// Row registers of `home` that are read here: they become values.
    rows: Vec<(usize, u16)>,
}

impl Planner<'_> {
    /// Makes large values that wait a second time, each in a group of its own.
    pub(super) fn remake(&mut self) {
        let mut readers = readers(&self.groups);
        let mut values = self.trace.nodes.len() + self.copied.len();
        let mut second: Vec<(usize, Group)> = Vec::new();
        for home in 0..self.groups.len() {
            for (value, register) in self.groups[home].registers.clone() {
                let Some(wait) = self.waits(home, value, register, &readers) else { continue };
                let before = readers[&(value as u64)][wait];
                let mut recipe = Recipe {
                    home,
                    before,
                    array: None,
                    loads: Vec::new(),
                    code: Vec::new(),
                    known: Vec::new(),
                    rows: Vec::new(),
                };
                let mut next = values + 1;
                if self.make(register, true, &mut recipe, &readers, &mut next).is_none() {
                    continue;
                }
                let late = readers.get_mut(&(value as u64)).map(|all| all.split_off(wait)).unwrap_or_default();
                late.iter().for_each(|&reader| replace(&mut self.groups[reader], value, values));
                for seen in &recipe.loads {
                    insert(readers.entry(seen.base as u64).or_default(), before);
                }
                readers.insert(values as u64, late);
                self.groups[home].registers.extend(&recipe.rows);
                second.push((before, self.second_pass(value, values, recipe)));
                values = next;
            }
        }
        // In the order of the groups they come before; those behind first, so that places stay what they were.
        second.sort_by_key(|(before, _)| *before);
        for (before, group) in second.into_iter().rev() {
            self.groups.insert(before, group);
        }
    }

    /// Which reader of a value is the first after a long wait; `None` if it is small, a copy, a result, or
    /// never waits.
    fn waits(&self, home: usize, value: usize, register: u16, readers: &Readers) -> Option<usize> {
        let group = &self.groups[home];
        let instr = &group.code[register as usize];
        let large = value < self.trace.nodes.len() && !instr.row && group.space.count() * instr.dtype.size() >= LARGE;
        if !large || self.outputs.contains(&value) || self.targets.contains(&value) {
            return None;
        }
        let all = readers.get(&(value as u64))?;
        let wait = |at: usize| all[at] - if at == 0 { home } else { all[at - 1] };
        (0..all.len()).max_by_key(|&at| (wait(at), at)).filter(|&at| wait(at) >= LONG_WAIT)
    }

    /// The register of `recipe` that has the value of this register of its home; `None` if it cannot be had.
    fn make(&self, register: u16, root: bool, recipe: &mut Recipe, readers: &Readers, next: &mut usize) -> Option<u16> {
        if let Some(&(_, here)) = recipe.known.iter().find(|(there, _)| *there == register) {
            return Some(here);
        }
        let group = &self.groups[recipe.home];
        let instr = group.code[register as usize];
        let stored = group.registers.iter().chain(&recipe.rows).find(|(_, other)| *other == register);
        let before = recipe.before;
        let there = |value: usize| readers.get(&(value as u64)).is_some_and(|all| all.last() >= Some(&before));
        let made = if matches!(instr.code, Code::Op(Op::Full(_))) {
            Instr { row: false, ..instr }
        } else if let Code::Load(index) = instr.code {
            let seen = group.loads[index as usize];
            if !self.is_small(seen.base, group.space.count()) {
                let stays = self.is_leaf(seen.base) && !self.updated[seen.base];
                recipe.array(seen.base).filter(|_| stays || there(seen.base))?;
            }
            recipe.load(seen, instr)
        } else if instr.row {
            let value = stored.map_or(*next, |(value, _)| *value);
            if stored.is_none() {
                recipe.rows.push((value, register));
                *next += 1;
            }
            let layout = Layout::contiguous(group.space.keep(group.reduced)).expand(group.space);
            recipe.load(Seen { base: value, layout }, instr)
        } else if let Some(&(value, _)) = stored.filter(|(value, _)| !root && there(*value)) {
            recipe.array(value)?;
            recipe.load(Seen { base: value, layout: Layout::contiguous(group.space) }, instr)
        } else {
            let Code::Op(op) = instr.code else { return None };
            cost(&op)?;
            let mut args = [0; 3];
            for (arg, &input) in args.iter_mut().zip(instr.inputs()) {
                *arg = self.make(input, false, recipe, readers, next)?;
            }
            Instr { args, ..instr }
        };
        recipe.code.push(made);
        let here = recipe.code.len() as u16 - 1;
        recipe.known.push((register, here));
        (recipe.code.len() <= MOST_CODE).then_some(here)
    }

    /// Whether a value may be kept for as long as one wants.
    fn is_small(&self, base: usize, count: usize) -> bool {
        self.trace.nodes.get(base).is_some_and(|tensor| tensor.count() * SMALL <= count)
    }

    fn second_pass(&self, value: usize, made: usize, recipe: Recipe) -> Group {
        let register = recipe.code.len() as u16 - 1;
        Group {
            op: None,
            space: self.groups[recipe.home].space,
            reduced: Default::default(),
            loads: recipe.loads,
            code: recipe.code,
            registers: vec![(made, register)],
            keys: Vec::new(),
            ops: vec![value],
            copy_of: None,
        }
    }
}

impl Recipe {
    /// Takes this array to read; `None` if there is another one.
    fn array(&mut self, base: usize) -> Option<()> {
        (*self.array.get_or_insert(base) == base).then_some(())
    }

    fn load(&mut self, seen: Seen, instr: Instr) -> Instr {
        self.loads.push(seen);
        Instr { code: Code::Load(self.loads.len() as u16 - 1), args: [0; 3], dtype: instr.dtype, row: false }
    }
}

fn readers(groups: &[Group]) -> Readers {
    let mut readers = Readers::default();
    for (index, group) in groups.iter().enumerate() {
        let inputs = group.op.iter().flat_map(|op| &op.inputs).chain(&group.loads).map(|seen| seen.base);
        for base in inputs {
            insert(readers.entry(base as u64).or_default(), index);
        }
    }
    readers
}

fn insert(all: &mut Vec<usize>, reader: usize) {
    if let Err(at) = all.binary_search(&reader) {
        all.insert(at, reader);
    }
}

/// Makes `group` read another value.
fn replace(group: &mut Group, value: usize, other: usize) {
    let inputs = group.op.iter_mut().flat_map(|op| &mut op.inputs).chain(&mut group.loads);
    inputs.filter(|seen| seen.base == value).for_each(|seen| seen.base = other);
}
