//! The memory of a run: the arena, and where each slot of the plan lies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tensor::plan::{Plan, SlotId};
use tensor::{Array, DType, Shape, Values};

/// One cache line, so that an arena begins on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Working memory of one run, reused by the next one.
pub struct Arena {
    lines: Vec<Line>,
    /// The start of every slot: filled in at each run, kept here so that a warm run need not make room for them.
    pub bases: Vec<*mut u8>,
}

/// Memory of a device that its runs use one after the other: fresh memory is slow, since the system fills it with zeros
/// page by page.
#[derive(Default)]
pub struct Memory {
    /// Shared by all plans: one for each run at a time.
    arenas: Mutex<Vec<Arena>>,
    /// Large results of earlier runs, oldest first. One that nobody else holds any more is used again.
    results: Mutex<Vec<Arc<Array>>>,
}

/// Results from this size on are remembered.
const LARGE: usize = 1 << 20;
/// Most bytes of remembered results: logits of 4,096 tokens over 32,000 words, and their gradient, are 500 MiB each.
const MOST_REMEMBERED: usize = 1 << 30;

impl Memory {
    /// An array for a result, of unspecified content; `None` if none of this kind is free.
    pub fn result(&self, dtype: DType, shape: &Shape) -> Option<Array> {
        if shape.count() * dtype.size() < LARGE {
            return None;
        }
        let mut results = lock(&self.results);
        // Of any shape: what is asked for as a view was handed out in another one.
        let fits = |array: &Arc<Array>| array.dtype() == dtype && array.shape().count() == shape.count();
        let at = results.iter().position(|array| Arc::strong_count(array) == 1 && fits(array))?;
        Some(Arc::try_unwrap(results.remove(at)).ok()?.reshaped(*shape))
    }

    /// Remembers a result that was handed out.
    pub fn remember(&self, result: &Arc<Array>) {
        let bytes = |array: &Arc<Array>| array.shape().count() * array.dtype().size();
        if bytes(result) < LARGE {
            return;
        }
        let mut results = lock(&self.results);
        results.push(result.clone());
        let mut sum: usize = results.iter().map(bytes).sum();
        while sum > MOST_REMEMBERED {
            sum -= bytes(&results.remove(0));
        }
    }

    /// Gives the remembered results that nobody holds back to the system.
    pub fn forget(&self) {
        lock(&self.results).retain(|array| Arc::strong_count(array) > 1);
    }

    /// An arena of at least `bytes`; `None` if there is not that much memory.
    pub fn arena(&self, bytes: usize) -> Option<Arena> {
        let free = lock(&self.arenas).pop();
        match free {
            Some(arena) if arena.lines.len() * 64 >= bytes => Some(arena),
            // Too small for this plan: it goes, so that in the end the arena of the largest plan serves all.
            _ => {
                drop(free);
                Arena::new(bytes)
            }
        }
    }

    /// For the next run.
    pub fn give_back(&self, arena: Arena) {
        lock(&self.arenas).push(arena);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is memory for `bytes` more. What is less than a gibibyte is not worth asking.
pub fn fits(bytes: usize) -> bool {
    bytes < 1 << 30 || Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

// SAFETY: the pointers are only a buffer that the next run overwrites before it reads them.
unsafe impl Send for Arena {}

impl Arena {
    fn new(bytes: usize) -> Option<Arena> {
        let count = bytes.div_ceil(64);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        advise_huge(lines.as_mut_ptr(), count * size_of::<Line>());
        lines.resize(count, Line([0; 64]));
        Some(Arena { lines, bases: Vec::new() })
    }

    /// Its first byte.
    pub fn start(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }
}

/// Memory that is at least so large is asked for in huge pages: a page fault for each 4 KiB of a fresh 256 MiB result took
/// longer than to compute it.
const HUGE: usize = 8 << 20;

/// Asks the system for huge pages under memory that has not been touched yet. A wish: nothing depends on its outcome.
pub fn advise_huge<T>(start: *mut T, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= HUGE {
        /// `MADV_HUGEPAGE` of Linux, the same on every architecture that Rust supports but PA-RISC.
        const MADV_HUGEPAGE: i32 = 14;
        const PAGE: usize = 4096;
        unsafe extern "C" {
            fn madvise(start: *mut std::ffi::c_void, length: usize, advice: i32) -> i32;
        }
        let skip = start.addr().next_multiple_of(PAGE) - start.addr();
        let length = (bytes - skip) / PAGE * PAGE;
        // SAFETY: whole pages inside of memory that is the caller's; the advice changes no content. Where it is refused (other
        // page sizes, no support), nothing happens.
        unsafe { madvise(start.cast::<u8>().wrapping_add(skip).cast(), length, MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Where the slots of a plan lie during one run.
///
/// Steps run one after the other, and the plan promises that a step never writes a slot that it also reads, but for
/// the elementwise case that [`tensor::plan::Fused`] describes. Inside a step, units of work write different elements. Two steps that
/// run row by row with each other ([`super::beside`]) have been found not to write what the other reads, but for rows that are read
/// after they are written, by the same unit.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    plan: &'a Plan,
    bases: &'a [*mut u8],
    /// Working memory of the steps, behind the slots of the arena.
    pub extra: *mut u8,
}

// SAFETY: the memory outlives the run, and units of a step write different elements, see above.
unsafe impl Sync for Slots<'_> {}

impl<'a> Slots<'a> {
    /// The slots of `plan`, slot i starting at `bases[i]`.
    ///
    /// # Safety
    /// Each base is valid for the bytes of its slot while the value lives: for writes too, except leaves that no update
    /// of the plan writes in place.
    pub unsafe fn new(plan: &'a Plan, bases: &'a [*mut u8], extra: *mut u8) -> Slots<'a> {
        Slots { plan, bases, extra }
    }

    /// The first byte of a slot.
    #[inline(always)]
    pub fn base(&self, slot: SlotId) -> *mut u8 {
        self.bases[slot]
    }

    /// The elements of a slot, to be read. `Bool` is read as bytes 0 and 1.
    pub fn read<T: Plain>(&self, slot: SlotId) -> &'a [T] {
        let info = &self.plan.slots[slot];
        assert_eq!(info.dtype.size(), size_of::<T>(), "a slot read as another type");
        // SAFETY: valid by the promise of `new`; every bit pattern is a `T`; nobody writes it during this step.
        unsafe { std::slice::from_raw_parts(self.bases[slot].cast(), info.shape.count()) }
    }

    /// The elements of a slot, to be written.
    ///
    /// # Safety
    /// The running step writes this slot, and no other slice of it lives.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn write<T: Plain>(&self, slot: SlotId) -> &'a mut [T] {
        let info = &self.plan.slots[slot];
        assert_eq!(info.dtype.size(), size_of::<T>(), "a slot written as another type");
        // SAFETY: valid by the promise of `new`, not aliased by that of the caller.
        unsafe { std::slice::from_raw_parts_mut(self.bases[slot].cast(), info.shape.count()) }
    }
}

/// Types of which every bit pattern is a value.
pub trait Plain: Copy + Send + Sync + 'static {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for i32 {}
impl Plain for i64 {}
impl Plain for u8 {}
impl Plain for u16 {}

/// The first byte of the elements, for reading.
pub fn first_byte(values: &Values) -> *mut u8 {
    match values {
        Values::F16(v) | Values::BF16(v) => v.as_ptr().cast_mut().cast(),
        Values::F32(v) => v.as_ptr().cast_mut().cast(),
        Values::F64(v) => v.as_ptr().cast_mut().cast(),
        Values::I32(v) => v.as_ptr().cast_mut().cast(),
        Values::I64(v) => v.as_ptr().cast_mut().cast(),
        Values::U8(v) => v.as_ptr().cast_mut().cast(),
        Values::Bool(v) => v.as_ptr().cast_mut().cast(),
    }
}

/// The first byte of the elements, for writing.
pub fn first_byte_mut(values: &mut Values) -> *mut u8 {
    match values {
        Values::F16(v) | Values::BF16(v) => v.as_mut_ptr().cast(),
        Values::F32(v) => v.as_mut_ptr().cast(),
        Values::F64(v) => v.as_mut_ptr().cast(),
        Values::I32(v) => v.as_mut_ptr().cast(),
        Values::I64(v) => v.as_mut_ptr().cast(),
        Values::U8(v) => v.as_mut_ptr().cast(),
        Values::Bool(v) => v.as_mut_ptr().cast(),
    }
}
