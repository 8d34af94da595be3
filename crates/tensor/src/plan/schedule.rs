//! From groups to a plan: what must lie in memory, where, and which variables can be written in place.

use super::fuse::{Group, Seen};
use super::memory::{Lifetime, pack};
use super::trace::{NOT_A_LEAF, Trace};
use super::{Code, Fused, Kernel, Next, Place, Plan, Slot, SlotId, Step, Store, View};
use crate::dtype::DType;
use crate::ids::IdMap;
use crate::op::Op;
use crate::origin::Origin;
use crate::shape::Shape;

/// Gives every value a slot and every group a step.
pub(super) fn assemble(trace: &Trace, groups: Vec<Group>, outputs: &[usize], targets: &[usize]) -> Plan {
    let mut producer_of = IdMap::default();
    for (index, group) in groups.iter().enumerate() {
        let values = group.registers.iter().map(|(node, _)| *node).chain(group.op.as_ref().map(|op| op.node));
        values.for_each(|value| _ = producer_of.insert(value as u64, index));
    }
    let mut last_reader = IdMap::default();
    for (index, group) in groups.iter().enumerate() {
        let inputs = group.op.iter().flat_map(|op| &op.inputs).chain(&group.loads).map(|seen| seen.base);
        inputs.chain(group.keys.iter().copied()).for_each(|base| _ = last_reader.insert(base as u64, index));
    }
    let (slots, slot_of) = (Vec::new(), IdMap::default());
    let mut assembly = Assembly { trace, groups: &groups, producer_of, last_reader, slots, slot_of, fresh: 0 };
    for (index, leaf) in trace.leaves.iter().enumerate() {
        let node = trace.index.get(leaf.id()) as usize;
        assembly.add(Some(node), leaf.dtype(), *leaf.shape(), Place::Leaf(index));
    }
    let updates = assembly.updates(targets);
    for &output in outputs {
        assembly.fresh(output);
    }
    assembly.stored_values();
    let steps: Vec<Step> = (0..groups.len()).map(|group| assembly.step(group)).collect();
    let outputs = outputs.iter().map(|output| assembly.slot_of[&(*output as u64)]).collect();
    let Assembly { mut slots, fresh, .. } = assembly;
    let arena = place_in_arena(&mut slots, &steps);
    Plan { slots, steps, outputs, updates, arena, fresh }
}

struct Assembly<'a> {
    trace: &'a Trace<'a>,
    groups: &'a [Group],
    /// The group that makes a value.
    producer_of: IdMap<usize>,
    /// The last group that reads a value.
    last_reader: IdMap<usize>,
    slots: Vec<Slot>,
    /// The slot of a value, by its number in the planner.
    slot_of: IdMap<SlotId>,
    fresh: usize,
}

impl Assembly<'_> {
    fn add(&mut self, value: Option<usize>, dtype: DType, shape: Shape, place: Place) -> SlotId {
        self.slots.push(Slot { dtype, shape, place });
        let slot = self.slots.len() - 1;
        if let Some(value) = value {
            self.slot_of.insert(value as u64, slot);
        }
        slot
    }

    /// Dtype and shape of a computed value.
    fn kind(&self, value: usize) -> (DType, Shape) {
        match self.trace.nodes.get(value) {
            Some(tensor) => (tensor.dtype(), *tensor.shape()),
            None => {
                let group = &self.groups[self.producer(value)];
                let register = group.registers.iter().find(|(other, _)| *other == value).map_or(0, |(_, at)| *at);
                let instr = &group.code[register as usize];
                (instr.dtype, if instr.row { group.space.keep(group.reduced) } else { group.space })
            }
        }
    }

    fn producer(&self, value: usize) -> usize {
        self.producer_of[&(value as u64)]
    }

    fn fresh(&mut self, value: usize) -> SlotId {
        if let Some(&slot) = self.slot_of.get(&(value as u64)) {
            return slot;
        }
        let (dtype, shape) = self.kind(value);
        self.fresh += 1;
        self.add(Some(value), dtype, shape, Place::Fresh(self.fresh - 1))
    }

    fn updates(&mut self, targets: &[usize]) -> Vec<Next> {
        let last_fallible = self.last_fallible();
        let mut next = Vec::with_capacity(targets.len());
        for (update, &value) in targets.iter().enumerate() {
            let leaf = self.trace.target_leaves[update];
            let producer = self.producer(value);
            // A failing step must leave all variables as they were.
            let safe = leaf != NOT_A_LEAF && last_fallible.is_none_or(|last| last < producer);
            if safe && self.may_overwrite(leaf as usize, value, producer) {
                let slot = leaf as SlotId;
                self.slot_of.insert(value as u64, slot);
                next.push(Next::InPlace(slot));
            } else {
                next.push(Next::Replace(self.fresh(value)));
            }
        }
        next
    }

    /// The last group that can fail: one that looks at indices (or lengths) that no group before it has looked at. Indices
    /// are counted from 0 and lengths from 1, so what passed as one may fail as the other.
    fn last_fallible(&self) -> Option<usize> {
        let mut last = None;
        let mut checked: Vec<(usize, usize, usize, bool)> = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let Some(call) = &group.op else { continue };
            let size = |input: usize, axis: usize| call.inputs[input].layout.shape[axis];
            let (at, bound, lengths) = match *self.trace.nodes[call.node].op() {
                Op::Gather { axis } | Op::ScatterAdd { axis } | Op::IndexSelect { axis } => {
                    (1, size(0, axis as usize), false)
                }
                Op::IndexAdd { axis } => (0, self.trace.nodes[call.node].shape()[axis as usize], false),
                Op::Recurrent(of) => (of.cell.inputs(), size(0, 0), true),
                _ => continue,
            };
            // (Without lengths a recurrent layer cannot fail.)
            let Some(Seen { base, layout }) = call.inputs.get(at) else { continue };
            let count = layout.shape.count();
            let known = checked.iter().any(|&(of, most, least, as_lengths)| {
                of == *base && count <= most && least <= bound && as_lengths == lengths
            });
            if !known {
                last = Some(index);
                checked.push((*base, count, bound, lengths));
            }
        }
        last
    }

    /// Whether the group `producer` may write `value` over the leaf: nobody reads the leaf later, and the group itself reads
    /// just the element that it writes.
    fn may_overwrite(&self, leaf: usize, value: usize, producer: usize) -> bool {
        let node = self.trace.index.get(self.trace.leaves[leaf].id()) as usize;
        if self.last_reader.get(&(node as u64)).is_some_and(|&last| last > producer) {
            return false;
        }
        let group = &self.groups[producer];
        if group.op.as_ref().is_some_and(|op| op.node == value || op.inputs.iter().any(|seen| seen.base == node)) {
            return false;
        }
        let own =
            |seen: &Seen| seen.layout.shape == group.space && seen.layout.is_contiguous() && seen.layout.offset == 0;
        group.reduced.is_empty() && !group.keys.contains(&node)
            && group.loads.iter().filter(|seen| seen.base == node).all(own)
            // The leaf's shape is the space: the element written is the element read.
            && *self.trace.leaves[leaf].shape() == group.space
    }

    /// Slots for the values that other groups read.
    fn stored_values(&mut self) {
        for group in self.groups {
            let inputs = group.op.iter().flat_map(|op| op.inputs.iter()).chain(&group.loads).map(|seen| seen.base);
            for base in inputs.chain(group.keys.iter().copied()) {
                if !self.slot_of.contains_key(&(base as u64)) {
                    let (dtype, shape) = self.kind(base);
                    self.add(Some(base), dtype, shape, Place::Arena(0));
                }
            }
        }
    }

    fn view(&self, seen: &Seen) -> View {
        View { slot: self.slot_of[&(seen.base as u64)], layout: seen.layout }
    }

    fn step(&mut self, index: usize) -> Step {
        let group = &self.groups[index];
        let mut program = group.program();
        program.loads = group.loads.iter().map(|seen| self.view(seen)).collect();
        for instr in &mut program.code {
            if let Code::Random(distribution, key) = instr.code {
                instr.code = Code::Random(distribution, self.slot_of[&(key as u64)]);
            }
        }
        for &(value, register) in &group.registers {
            if let Some(&slot) = self.slot_of.get(&(value as u64)) {
                program.stores.push(Store { register, slot });
            }
        }
        let ops = self.names(group);
        let kernel = match &group.op {
            None => Kernel::Fused(program),
            Some(call) => {
                let inputs = call.inputs.iter().map(|seen| self.view(seen)).collect();
                let output = self.result_slot(call.node, &program);
                // The result is in its slot already.
                program
                    .stores
                    .retain(|store| store.slot != output || program.code[store.register as usize].code != Code::Result);
                let epilogue = (!program.stores.is_empty()).then_some(program);
                Kernel::Op { op: *self.trace.nodes[call.node].op(), inputs, output, epilogue }
            }
        };
        let nodes = group.ops.clone();
        Step { kernel, ops, nodes }
    }

    /// Where an op writes its result: its own slot if others read it; else one that the epilogue overwrites; else a new one.
    fn result_slot(&mut self, node: usize, epilogue: &Fused) -> SlotId {
        if let Some(&slot) = self.slot_of.get(&(node as u64)) {
            return slot;
        }
        let (dtype, shape) = self.kind(node);
        let unread = |store: &&Store| {
            self.slots[store.slot].dtype == dtype && epilogue.loads.iter().all(|load| load.slot != store.slot)
        };
        match epilogue.stores.iter().find(unread) {
            Some(store) => store.slot,
            None => self.add(None, dtype, shape, Place::Arena(0)),
        }
    }

    fn names(&self, group: &Group) -> Vec<(&'static str, Origin)> {
        let named = |&node: &usize| (self.trace.nodes[node].op().page().name, self.trace.nodes[node].origin());
        match group.copy_of.and_then(|_| group.loads.first()) {
            Some(seen) => {
                let origin = self.trace.nodes.get(seen.base).or(self.trace.nodes.first()).map(|node| node.origin());
                origin.map(|origin| ("copy", origin)).into_iter().collect()
            }
            None => group.ops.iter().map(named).collect(),
        }
    }
}

fn touched(step: &Step) -> Vec<SlotId> {
    let program = |fused: &Fused| -> Vec<SlotId> {
        let keys = fused.code.iter().filter_map(|instr| match instr.code {
            Code::Random(_, key) => Some(key),
            _ => None,
        });
        let loads = fused.loads.iter().map(|view| view.slot);
        loads.chain(fused.stores.iter().map(|store| store.slot)).chain(keys).collect()
    };
    match &step.kernel {
        Kernel::Fused(fused) => program(fused),
        Kernel::Op { inputs, output, epilogue, .. } => {
            let inputs = inputs.iter().map(|view| view.slot);
            inputs.chain([*output]).chain(epilogue.iter().flat_map(program)).collect()
        }
    }
}

fn place_in_arena(slots: &mut [Slot], steps: &[Step]) -> usize {
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; slots.len()];
    for (index, step) in steps.iter().enumerate() {
        for slot in touched(step) {
            let bytes = slots[slot].shape.count() * slots[slot].dtype.size();
            lifetimes[slot].get_or_insert(Lifetime { bytes, first: index, last: index }).last = index;
        }
    }
    let in_arena: Vec<SlotId> = (0..slots.len())
        .filter(|&slot| matches!(slots[slot].place, Place::Arena(_)) && lifetimes[slot].is_some())
        .collect();
    let (offsets, arena) = pack(&in_arena.iter().filter_map(|&slot| lifetimes[slot]).collect::<Vec<_>>());
    in_arena.iter().zip(offsets).for_each(|(&slot, offset)| slots[slot].place = Place::Arena(offset));
    arena
}
