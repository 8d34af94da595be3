//! How a node joins a group: whether it can and should, where its inputs are found, and the instructions it becomes.

use super::fuse::{MOST_CODE, MOST_LOADS, Planner, Seen};
use super::{Code, Instr};
use crate::layout::Layout;
use crate::op::Op;

/// Where an input of a node that wants to join a group is found.
enum Found {
    Register(u16),
    Load(Layout),
    Float(usize),
}

impl Planner<'_> {
    /// Whether the iteration of `group` can compute `node`, for every point or for every row.
    pub(super) fn fits_space(&self, node: usize, group: usize, row: bool) -> bool {
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
    pub(super) fn belongs(&self, inputs: &[usize], group: usize, row: bool) -> bool {
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

    /// Whether `node` in an epilogue saves a pass over memory: because it is written anyway, or in place of its input. What is
    /// made only to be summed is better made where it is summed, of the result that lies in memory for others.
    pub(super) fn spares_a_pass(&self, node: usize, inputs: &[usize], group: usize) -> bool {
        let members = &self.groups[group];
        let last_of = |input: &usize| {
            let base = self.seen[*input].base;
            let read = |&other: &usize| self.inputs(other).into_iter().filter(|&of| of == base).count() as u32;
            members.registers.iter().any(|(value, _)| *value == base)
                && self.users.get(base).is_some_and(|&users| users <= 1 + members.ops.iter().map(read).sum::<u32>())
        };
        members.op.is_none() || self.flows_to_memory[node] || inputs.iter().any(last_of)
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
    pub(super) fn join(&mut self, node: usize, group: usize, row: bool) {
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
        if let Some(stored) = self.stored.get_mut(seen.base) {
            *stored = true;
        }
        let loads = &mut self.groups[group].loads;
        let index = loads.iter().position(|other| *other == seen).unwrap_or_else(|| {
            loads.push(seen);
            loads.len() - 1
        });
        self.push(group, Instr { code: Code::Load(index as u16), args: [0; 3], dtype, row })
    }

    /// Appends an instruction, or finds the same one.
    pub(super) fn push(&mut self, group: usize, instr: Instr) -> u16 {
        let code = &mut self.groups[group].code;
        let same = |other: &Instr| {
            (other.code, other.args, other.dtype, other.row) == (instr.code, instr.args, instr.dtype, instr.row)
        };
        code.iter().position(same).unwrap_or_else(|| {
            code.push(instr);
            code.len() - 1
        }) as u16
    }
}

/// Whether two layouts of equal shape visit the same positions.
fn same_walk(a: &Layout, b: &Layout) -> bool {
    a.shape == b.shape
        && a.offset == b.offset
        && (0..a.shape.rank()).all(|axis| a.shape[axis] == 1 || a.strides[axis] == b.strides[axis])
}
