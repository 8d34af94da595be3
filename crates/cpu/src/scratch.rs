//! Working memory of a thread, kept from call to call: kernels allocate nothing once they are warm.

use std::cell::RefCell;

/// Buffers begin on a cache line: a vector load that straddles two lines costs twice.
const ALIGNMENT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `length` floats of unspecified content, on a cache-line boundary, for the time of `task`. Calls may nest.
pub(crate) fn with_scratch<R>(length: usize, task: impl FnOnce(&mut [f32]) -> R) -> R {
    // (At the end of a thread nothing is kept.)
    let kept = FREE.try_with(|free| {
        let free = &mut *free.borrow_mut();
        let fit = (0..free.len()).filter(|&i| free[i].len() >= length + ALIGNMENT / 4).min_by_key(|&i| free[i].len());
        match fit {
            Some(index) => free.swap_remove(index),
            None => free.pop().unwrap_or_default(),
        }
    });
    let mut buffer = kept.unwrap_or_default();
    if buffer.len() < length + ALIGNMENT / 4 {
        buffer = vec![0.0; length + ALIGNMENT / 4];
    }
    let skip = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT / 4);
    let result = task(&mut buffer[skip..skip + length]);
    let _ = FREE.try_with(|free| free.borrow_mut().push(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_loans_are_aligned_and_apart() {
        with_scratch(100, |outer| {
            outer.fill(1.0);
            with_scratch(50, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|&x| x == 1.0));
            assert_eq!(outer.as_ptr() as usize % ALIGNMENT, 0);
        });
    }
}
