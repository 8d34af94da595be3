//! Packing the lifetimes of slots into one arena.

/// One slot to place: its bytes, the step that writes it first and the last step that touches it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub bytes: usize,
    pub first: usize,
    pub last: usize,
}

/// Slots begin on a cache line.
const ALIGNMENT: usize = 64;

/// Byte offsets for the slots, and the size of the arena: best fit among the holes that earlier slots have left.
pub(super) fn pack(slots: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; slots.len()];
    let mut order: Vec<usize> = (0..slots.len()).collect();
    // Larger slots of one step first: they find holes least easily.
    order.sort_by_key(|&i| (slots[i].first, std::cmp::Reverse(slots[i].bytes)));
    let mut living: Vec<usize> = Vec::new();
    let mut end = 0;
    for &i in &order {
        let slot = slots[i];
        living.retain(|&j| slots[j].last >= slot.first);
        let mut taken: Vec<(usize, usize)> =
            living.iter().map(|&j| (offsets[j], behind(offsets[j], &slots[j]))).collect();
        taken.sort_unstable();
        let (mut best, mut at) = (None, 0);
        for (start, stop) in taken {
            if start >= behind(at, &slot) && best.is_none_or(|(room, _)| start - at < room) {
                best = Some((start - at, at));
            }
            at = at.max(stop);
        }
        offsets[i] = best.map_or(at, |(_, at)| at);
        end = end.max(behind(offsets[i], &slot));
        living.push(i);
    }
    (offsets, end)
}

/// Where the room of a slot at `start` ends. What no memory can hold saturates, so that the device refuses it.
fn behind(start: usize, slot: &Lifetime) -> usize {
    start.saturating_add(slot.bytes.next_multiple_of(ALIGNMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_live_at_the_same_time_never_overlap_and_others_share() {
        let slots: Vec<Lifetime> =
            (0..40).map(|i| Lifetime { bytes: 100 + i * 37 % 500, first: i, last: i + i % 4 }).collect();
        let (offsets, end) = pack(&slots);
        for i in 0..slots.len() {
            for j in 0..i {
                let together = slots[i].first <= slots[j].last && slots[j].first <= slots[i].last;
                let overlap = offsets[i] < offsets[j] + slots[j].bytes && offsets[j] < offsets[i] + slots[i].bytes;
                assert!(!(together && overlap), "{i} and {j}");
            }
        }
        assert!(end < slots.iter().map(|s| s.bytes).sum::<usize>() / 4);
    }
}
