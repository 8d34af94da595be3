//! Copies of runs without a call: vector moves, of which the last overlaps the one before; also from the last element to the first.

/// Bytes up to which runs are copied here: those of the largest tile. Longer ones are left to the system.
const LONGEST: usize = 16 << 10;

/// Copies elements that lie side by side.
///
/// # Safety
/// There are `count` elements at `from`, and room for them at `to`, elsewhere.
#[inline(always)]
pub(crate) unsafe fn copy_run<T: Copy>(from: *const T, to: *mut T, count: usize) {
    let bytes = count * size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            4..8 => ends::<4>(from.cast(), to.cast(), bytes),
            8..16 => ends::<8>(from.cast(), to.cast(), bytes),
            16..32 => ends::<16>(from.cast(), to.cast(), bytes),
            32..64 => ends::<32>(from.cast(), to.cast(), bytes),
            64..=128 => ends::<64>(from.cast(), to.cast(), bytes),
            129..=LONGEST => {
                let (from, to): (*const [u8; 64], *mut [u8; 64]) = (from.cast(), to.cast());
                for block in 0..bytes / 64 {
                    to.add(block).write_unaligned(from.add(block).read_unaligned());
                }
                let last = bytes - 64;
                to.byte_add(last).write_unaligned(from.byte_add(last).read_unaligned());
            }
            _ => std::ptr::copy_nonoverlapping(from, to, count),
        }
    }
}

/// Copies `times` runs of `count` elements, which begin so many elements apart in each place.
///
/// # Safety
/// As for [`copy_run`], of each of them.
#[inline(always)]
pub(crate) unsafe fn copy_runs<T: Copy>(
    (from, from_step): (*const T, isize),
    (to, to_step): (*mut T, isize),
    count: usize,
    times: usize,
) {
    let bytes = count * size_of::<T>();
    macro_rules! each {
        (|$from:ident, $to:ident| $copy:expr) => {
            for i in 0..times as isize {
                let ($from, $to) = (from.wrapping_offset(i * from_step), to.wrapping_offset(i * to_step));
                // SAFETY: the caller's promise.
                unsafe { $copy }
            }
        };
    }
    // What is known of the length is found out once.
    match bytes {
        4..8 => each!(|from, to| ends::<4>(from.cast(), to.cast(), bytes)),
        8..16 => each!(|from, to| ends::<8>(from.cast(), to.cast(), bytes)),
        16..32 => each!(|from, to| ends::<16>(from.cast(), to.cast(), bytes)),
        32..64 => each!(|from, to| ends::<32>(from.cast(), to.cast(), bytes)),
        64..=128 => each!(|from, to| ends::<64>(from.cast(), to.cast(), bytes)),
        _ => each!(|from, to| copy_run(from, to, count)),
    }
}

/// Copies elements that lie side by side, the last first.
///
/// # Safety
/// There are `count` elements that end with `last`, and room for them at `to`, elsewhere.
#[inline(always)]
pub(crate) unsafe fn copy_reversed<T: Copy>(last: *const T, to: *mut T, count: usize) {
    if count == 0 {
        return;
    }
    // SAFETY: of both: the caller's promise.
    let from = unsafe { std::slice::from_raw_parts(last.sub(count - 1), count) };
    let to = unsafe { std::slice::from_raw_parts_mut(to, count) };
    // Groups of a length that the compiler knows are a load, a shuffle and a store each.
    let ((groups, rest), (from_rest, from_groups)) = (to.as_chunks_mut::<8>(), from.as_rchunks::<8>());
    for (to, from) in groups.iter_mut().zip(from_groups.iter().rev()) {
        let mut group = *from;
        group.reverse();
        *to = group;
    }
    for (to, from) in rest.iter_mut().zip(from_rest.iter().rev()) {
        *to = *from;
    }
}

/// The first elements of `from`, as many as there is room for.
#[inline(always)]
pub(crate) fn copy_short(to: &mut [f32], from: &[f32]) {
    let from = &from[..to.len()];
    // SAFETY: both are as long, and a slice that is written lies apart from all others.
    unsafe { copy_run(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}

/// The first and the last `N` of `bytes` bytes, which are at least `N`.
///
/// # Safety
/// As for [`copy_run`].
#[inline(always)]
unsafe fn ends<const N: usize>(from: *const [u8; N], to: *mut [u8; N], bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let (first, last) = (from.read_unaligned(), from.byte_add(bytes - N).read_unaligned());
        to.write_unaligned(first);
        to.byte_add(bytes - N).write_unaligned(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_any_length_are_copied_and_nothing_else_is_touched() {
        for count in 0..200 {
            let from: Vec<u8> = (0..count as u8).collect();
            let mut to = vec![255; count + 2];
            // SAFETY: there is room for all but the first and the last.
            unsafe { copy_run(from.as_ptr(), to.as_mut_ptr().add(1), count) };
            assert_eq!((to[0], &to[1..count + 1], to[count + 1]), (255, &from[..], 255));
            to.fill(255);
            let mut runs = vec![255; 3 * (count + 2)];
            // SAFETY: as above, for each third.
            unsafe {
                copy_runs((from.as_ptr(), 0), (runs.as_mut_ptr().add(1), (count + 2) as isize), count, 3);
            }
            for run in runs.chunks(count + 2) {
                assert_eq!((run[0], &run[1..count + 1], run[count + 1]), (255, &from[..], 255));
            }
            // SAFETY: as above; of no elements none is read.
            unsafe { copy_reversed(from.as_ptr().wrapping_add(count).wrapping_sub(1), to.as_mut_ptr().add(1), count) };
            let reversed: Vec<u8> = from.iter().rev().copied().collect();
            assert_eq!((to[0], &to[1..count + 1], to[count + 1]), (255, &reversed[..], 255));
            let from: Vec<f32> = (0..count + 3).map(|i| i as f32).collect();
            let mut to = vec![-1.0; count];
            copy_short(&mut to, &from);
            assert_eq!(to, from[..count]);
            // SAFETY: `from` holds more elements than are read.
            unsafe { copy_reversed(&raw const from[count + 2], to.as_mut_ptr(), 0) };
            // SAFETY: as above; there is room for as many.
            unsafe { copy_reversed(from.as_ptr().wrapping_add(count + 2), to.as_mut_ptr(), count) };
            assert!(to.iter().eq(from[3..].iter().rev()));
        }
        for count in [LONGEST - 1, LONGEST, LONGEST + 1] {
            let from: Vec<u8> = (0..count).map(|i| (i % 251) as u8).collect();
            let mut to = vec![255; count + 2];
            // SAFETY: there is room for all but the first and the last.
            unsafe { copy_run(from.as_ptr(), to.as_mut_ptr().add(1), count) };
            assert_eq!((to[0], &to[1..count + 1], to[count + 1]), (255, &from[..], 255));
        }
    }
}
