//! One run of a plan: leaves and variables bound to slots, results handed out, variables brought to their next value.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tensor::plan::{Next, Place, Trace};
use tensor::var::State;
use tensor::{Array, Error, ErrorKind, Result, Shape, Tensor, Values, Var};

use super::Prepared;
use super::memory::{Memory, Slots, advise_huge, first_byte, first_byte_mut, fits};
use crate::machine::Machine;

/// The variables of a run, locked in one order for all runs, so that no two wait for each other.
struct Locked<'a> {
    vars: Vec<&'a Var>,
    states: Vec<MutexGuard<'a, State>>,
}

impl<'a> Locked<'a> {
    fn new(trace: &'a Trace<'_>) -> Locked<'a> {
        let leaves = trace.leaves.iter().filter(|leaf| leaf.value().is_none());
        let mut vars: Vec<&Var> = Vec::with_capacity(trace.updates.len() + trace.leaves.len());
        vars.extend(leaves.filter_map(|leaf| leaf.variable().map(|(var, _)| var)));
        vars.extend(&trace.updates);
        vars.sort_unstable_by_key(|var| var.id());
        vars.dedup_by_key(|var| var.id());
        let states = vars.iter().map(|var| var.state()).collect();
        Locked { vars, states }
    }

    fn state(&mut self, var: &Var) -> &mut State {
        // Every variable of the trace was put in.
        let index = self.vars.partition_point(|other| other.id() < var.id());
        &mut self.states[index]
    }
}

/// Runs a prepared plan for a trace that it was made for.
///
/// # Errors
/// A stale variable; a value of the wrong size; too little memory; a value that an op does not allow. No variable has changed then.
pub fn run(
    machine: &Machine,
    memory: &Memory,
    prepared: &Prepared,
    trace: &Trace<'_>,
    outputs: &[&Tensor],
    times: Option<&mut Vec<Duration>>,
) -> Result<Vec<Arc<Array>>> {
    let plan = &*prepared.plan;
    let mut locked = Locked::new(trace);
    let mut leaves: Vec<*mut u8> = Vec::with_capacity(trace.leaves.len());
    for leaf in &trace.leaves {
        leaves.push(match (leaf.value(), leaf.variable()) {
            (Some(value), _) => {
                check(leaf, value)?;
                first_byte(value.values())
            }
            (None, Some((var, version))) => {
                let state = locked.state(var);
                if state.version != version {
                    return Err(var.stale().at(leaf.origin()));
                }
                check(leaf, &state.value)?;
                first_byte(state.value.values())
            }
            (None, None) => std::ptr::dangling_mut(),
        });
    }
    for (var, next) in trace.updates.iter().zip(&plan.updates) {
        if let Next::InPlace(slot) = *next
            && let Place::Leaf(leaf) = plan.slots[slot].place
        {
            // A copy if somebody holds a snapshot of the old value.
            leaves[leaf] = first_byte_mut(Arc::make_mut(&mut locked.state(var).value).values_mut());
        }
    }
    let kept = plan.slots.iter().filter(|slot| matches!(slot.place, Place::Fresh(_)));
    let kept = kept.map(|slot| slot.shape.count().saturating_mul(slot.dtype.size())).fold(0, usize::saturating_add);
    let room = || if fits(kept) { memory.arena(prepared.bytes()) } else { None };
    let arena = room().or_else(|| {
        memory.forget();
        room()
    });
    let Some(mut arena) = arena else {
        let message = format!("the plan needs {} bytes for its results and {} beside", kept, prepared.bytes());
        return Err(Error::new(ErrorKind::Device, "cpu", message).help("make the batch or the tensors smaller"));
    };
    let mut fresh: Vec<Array> = Vec::with_capacity(plan.fresh);
    let start = arena.start();
    let mut bases = std::mem::take(&mut arena.bases);
    bases.clear();
    for slot in &plan.slots {
        bases.push(match slot.place {
            Place::Leaf(leaf) => leaves[leaf],
            Place::Arena(offset) => start.wrapping_add(offset),
            Place::Fresh(_) => {
                fresh.push(memory.result(slot.dtype, &slot.shape).unwrap_or_else(|| {
                    let mut values = Values::zeros(slot.dtype, slot.shape.count());
                    advise_huge(first_byte_mut(&mut values), slot.shape.count() * slot.dtype.size());
                    Array::new(slot.shape, values)
                }));
                fresh.last_mut().map_or(std::ptr::null_mut(), |array| first_byte_mut(array.values_mut()))
            }
        });
    }
    let extra = start.wrapping_add(plan.arena.next_multiple_of(64));
    // SAFETY: leaves live in the trace, variables are locked, the arena and the fresh arrays are ours; only variables that
    // an update writes in place are written among the leaves, and those are not shared. The elements of a fresh array do
    // not move with the array.
    let slots = unsafe { Slots::new(plan, &bases, extra) };
    let done = prepared.steps(machine, slots, times);
    arena.bases = bases;
    memory.give_back(arena);
    done?;
    let values = deliver(prepared, trace, outputs, fresh, &mut locked);
    // Held by the caller and by the node, that is: not by a variable, which must be able to write in place.
    values.iter().filter(|value| Arc::strong_count(value) <= 2).for_each(|value| memory.remember(value));
    Ok(values)
}

/// Kernels trust sizes. The value of a node or a variable is one that somebody else may have put there.
fn check(leaf: &Tensor, value: &Array) -> Result<()> {
    let (shape, dtype, count) = (value.shape(), value.dtype(), value.values().len());
    if (shape, dtype, count) == (leaf.shape(), leaf.dtype(), leaf.count()) {
        return Ok(());
    }
    let message =
        format!("a value of {dtype} {shape} and {count} elements in place of {} {}", leaf.dtype(), leaf.shape());
    Err(Error::new(ErrorKind::Value, leaf.op().page().name, message).at(leaf.origin()))
}

/// Hands the fresh arrays to outputs and variables.
fn deliver(
    prepared: &Prepared,
    trace: &Trace<'_>,
    outputs: &[&Tensor],
    fresh: Vec<Array>,
    locked: &mut Locked<'_>,
) -> Vec<Arc<Array>> {
    let plan = &*prepared.plan;
    let mut numbers = vec![usize::MAX; plan.fresh];
    let in_order = plan.slots.iter().filter_map(|slot| match slot.place {
        Place::Fresh(number) => Some(number),
        _ => None,
    });
    in_order.enumerate().for_each(|(at, number)| numbers[number] = at);
    let mut fresh: Vec<Option<Arc<Array>>> = fresh.into_iter().map(|array| Some(Arc::new(array))).collect();
    // A slot may be asked for under several shapes; only a second shape costs a copy.
    let mut of = |slot: usize, shape: &Shape| {
        let Place::Fresh(number) = plan.slots[slot].place else { return None };
        let kept = &mut fresh[numbers[number]];
        let value = kept.take()?;
        let value = if value.shape() == shape { value } else { Arc::new(Arc::unwrap_or_clone(value).reshaped(*shape)) };
        *kept = Some(value.clone());
        Some(value)
    };
    for (var, next) in trace.updates.iter().zip(&plan.updates) {
        let state = locked.state(var);
        if let Next::Replace(slot) = *next
            && let Some(value) = of(slot, var.shape())
        {
            state.value = value;
        }
        state.changed();
    }
    let values = outputs.iter().zip(&plan.outputs).filter_map(|(output, &slot)| {
        let value = output.value().cloned().or_else(|| of(slot, output.shape()))?;
        output.realise(value.clone());
        Some(value)
    });
    values.collect()
}
