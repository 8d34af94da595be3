//! Sums of columns beside a kernel of whole rows: the gradient of a normalisation's scale and shift sums what the gradient of its
//! input reads as well. Run row by row with it, they find the row in the cache; alone, they would fetch all of it once more.

use tensor::plan::{Code, Fused, Instr, Kernel, Place, Plan, SlotId, View};

use super::Ready;

/// Joins each two steps that follow each other and are such a pair.
pub fn join(plan: &Plan, steps: &mut [Ready], threads: usize) {
    for at in 1..steps.len() {
        let [Kernel::Fused(first), Kernel::Fused(second)] = [&plan.steps[at - 1].kernel, &plan.steps[at].kernel] else {
            continue;
        };
        let (before, after) = steps.split_at_mut(at);
        let (Some(Ready::Fused(a)), Some(Ready::Fused(b))) = (before.last_mut(), after.first_mut()) else { continue };
        let fits = match (a.whole_rows(), b.whole_rows()) {
            (true, false) => {
                b.sums_columns(a, threads) && share(first, second) && stores(first).all(|slot| b.reads_by_rows(slot, a))
            }
            (false, true) => a.sums_columns(b, threads) && share(first, second) && apart(plan, first, second),
            _ => false,
        };
        if !fits {
            continue;
        }
        let [a, b] = [at - 1, at].map(|at| std::mem::replace(&mut steps[at], Ready::Done));
        let (Ready::Fused(a), Ready::Fused(b)) = (a, b) else { continue };
        let (rows, mut columns) = if a.whole_rows() { (a, b) } else { (b, a) };
        columns.by_rows(threads);
        steps[at - 1] = Ready::Beside(rows, columns);
    }
}

/// Whether two programs read the same value of every point.
fn share(a: &Fused, b: &Fused) -> bool {
    let every = |view: &&View| {
        (0..view.layout.shape.rank()).all(|axis| view.layout.shape[axis] == 1 || view.layout.strides[axis] != 0)
    };
    let reads = |slot: SlotId| b.loads.iter().filter(every).any(|view| view.slot == slot);
    a.loads.iter().filter(every).any(|view| reads(view.slot))
}

/// Whether a program reads one of these slots, random keys included.
fn reads(fused: &Fused, of: impl Fn(SlotId) -> bool) -> bool {
    let key = |instr: &Instr| if let Code::Random(_, key) = instr.code { Some(key) } else { None };
    fused.loads.iter().map(|view| view.slot).chain(fused.code.iter().filter_map(key)).any(of)
}

fn stores(fused: &Fused) -> impl Iterator<Item = SlotId> {
    fused.stores.iter().map(|store| store.slot)
}

/// Whether the sums of columns, the first step, may be made while the second runs: it reads nothing of theirs, and writes nowhere
/// where they read.
fn apart(plan: &Plan, columns: &Fused, rows: &Fused) -> bool {
    let place = |slot: SlotId| {
        let of = &plan.slots[slot];
        (of.place, of.shape.count() * of.dtype.size())
    };
    let overlap = |a: SlotId, b: SlotId| match (place(a), place(b)) {
        ((Place::Arena(a), of_a), (Place::Arena(b), of_b)) => a < b + of_b && b < a + of_a,
        _ => a == b,
    };
    let read = |fused: &Fused, slot: SlotId| reads(fused, |of| overlap(of, slot));
    !stores(columns).any(|slot| read(rows, slot)) && !stores(rows).any(|slot| read(columns, slot))
}
