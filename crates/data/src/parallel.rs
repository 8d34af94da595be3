//! Doing the same to many things, on all cores; the outcome is that of doing it one by one.

use std::sync::atomic::{AtomicUsize, Ordering};

/// `work` of each item, in the order of the items.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Items taken at once, so that small ones do not wait for the counter.
    const CHUNK: usize = 16;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done: Vec<(usize, Vec<R>)> = Vec::new();
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            let Some(rest) = items.get(start..).filter(|rest| !rest.is_empty()) else {
                return done;
            };
            done.push((start, rest.iter().take(CHUNK).map(&work).collect()));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let wanted = threads.min(items.len().div_ceil(CHUNK));
        let others: Vec<_> = (1..wanted).map(|_| scope.spawn(share)).collect();
        let mut done = share();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(start, _)| *start);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(super::map(&items, |n| n * n), items.iter().map(|n| n * n).collect::<Vec<_>>());
        assert!(super::map(&[], |n: &usize| *n).is_empty());
    }
}
