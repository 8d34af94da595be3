//! Micro-kernels: one tile of C held in registers while k runs, for each instruction set and tile shape.

use super::lane::{self, Lane, WIDTH_MAX};
use crate::simd::{Level, Simd};
use std::sync::atomic::{Ordering, compiler_fence};

/// C[rows, cols] (+)= A[rows, k] B[k, cols] for a tile shape fixed in the function.
///
/// A and B: see [`Factors`] and [`Rows`]. C: row-major with `c_stride`. Of the last vector of each row of B and C, the
/// first `last` floats are read and written (in a kernel for full tiles, all).
type TileFn = unsafe fn(k: usize, a: Factors, b: Rows, c: *mut f32, c_stride: usize, last: usize, accumulate: bool);

/// Where element (row, p) of A lies: at `start + row * row_stride + p * step`; or, if `rows` is not null, at
/// `start + rows[row] + steps[p]`.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    start: *const f32,
    row_stride: usize,
    step: usize,
    rows: *const usize,
    steps: *const usize,
}

impl Factors {
    /// Rows `row_stride` apart, steps `step` apart. A packed panel has rows 1 apart, which is fastest.
    #[inline(always)]
    pub fn strided(start: *const f32, row_stride: usize, step: usize) -> Factors {
        Factors { start, row_stride, step, rows: std::ptr::null(), steps: std::ptr::null() }
    }

    /// Elements at `start + rows[row] + steps[p]`.
    #[inline(always)]
    pub fn scattered(start: *const f32, rows: &[usize], steps: &[usize]) -> Factors {
        Factors { start, row_stride: 0, step: 0, rows: rows.as_ptr(), steps: steps.as_ptr() }
    }
}

/// Where row p of B begins: at `start + p * step`, or, if `shifts` is not null, at `start + shifts[p]`. Not both A and B
/// are scattered.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    start: *const f32,
    step: usize,
    shifts: *const usize,
    next: *const f32,
}

impl Rows {
    /// Rows `step` apart.
    #[inline(always)]
    pub fn even(start: *const f32, step: usize) -> Rows {
        Rows { start, step, shifts: std::ptr::null(), next: std::ptr::null() }
    }

    /// Rows that begin at `start + shifts[p]`.
    #[inline(always)]
    pub fn shifted(start: *const f32, shifts: &[usize]) -> Rows {
        Rows { start, step: 0, shifts: shifts.as_ptr(), next: std::ptr::null() }
    }

    /// The tile of C that comes next begins at `next`: its lines are asked for while the sums run. Unless told, it is the one below.
    #[inline(always)]
    pub fn next_tile(self, next: *const f32) -> Rows {
        Rows { next, ..self }
    }
}

/// Steps of k from one request for memory to the next: many at a time would stand in the way of the loads.
const BEAT: usize = 16;
/// Steps of k that a panel of B is asked for ahead: 2 to 3 % at 1024^3 on Zen 3, where panels come from the second-level cache.
const AHEAD: usize = 32;
/// Floats in a cache line.
const LINE: usize = 16;

/// How a kernel finds its operands.
const EVEN: u8 = 0;
const STRIDED_A: u8 = 1;
const SHIFTED_B: u8 = 2;
const SCATTERED_A: u8 = 3;

/// Tile functions: `[rows - 1][vectors - 1]` computes `rows` rows of `vectors` vectors.
type Tiles = &'static [&'static [TileFn]];

/// The kernels of one instruction set, and the sizes that fit them.
pub(crate) struct Kernel {
    /// Rows of a full tile.
    pub mr: usize,
    /// Columns of a full tile.
    pub nr: usize,
    /// Vectors in a row of a full tile.
    full: usize,
    /// Floats in a vector; `nr` is a multiple.
    pub width: usize,
    /// For each way to find the operands, the tiles of full vectors and those whose last vector is a partial one.
    tiles: [[Tiles; 2]; 4],
    /// For the first two ways, tiles of one and two rows and more vectors: few rows have too few sums to keep the
    /// multipliers busy.
    wide: [[Tiles; 2]; 2],
    /// See [`Kernel::transpose`].
    transpose: TransposeFn,
    /// See [`Kernel::transpose_shifted`].
    transpose_shifted: TransposeShiftedFn,
    /// See [`Kernel::dots`]: for 1, 2, ... rows of A.
    dots: &'static [DotsFn],
    /// See [`Kernel::side_by_side`]: for 1, 2, ... rows of A.
    side: [SideFn; SIDE_ROWS],
}

type TransposeShiftedFn = unsafe fn(from: *const f32, shifts: &[usize], steps: usize, to: *mut f32, to_stride: usize);

type TransposeFn = unsafe fn(lines: RawLines, steps: usize, to: *mut f32, to_stride: usize);

type SideFn = unsafe fn(size: (usize, usize), a: *const f32, b: *const f32, c: *mut f32, accumulate: bool);

type DotsFn = unsafe fn(k: usize, a: Factors, b: RawLines, c: *mut f32, c_stride: usize, accumulate: bool);

/// Vectors along k in memory: element p of line i lies at `start + i * stride + p`.
#[derive(Clone, Copy)]
pub(crate) struct RawLines {
    pub start: *const f32,
    pub stride: usize,
    pub count: usize,
}

impl RawLines {
    /// Where lines `first`, `first + 1`, ... begin; in the place of lines that are not there, the last one.
    #[inline(always)]
    fn starts(&self, first: usize) -> [*const f32; WIDTH_MAX] {
        let mut starts = [self.start; WIDTH_MAX];
        for (i, start) in starts.iter_mut().enumerate() {
            *start = self.start.wrapping_add((first + i).min(self.count - 1) * self.stride);
        }
        starts
    }
}

/// Most columns of any full tile, and most rows.
pub(crate) const NR_MAX: usize = 32;
pub(crate) const MR_MAX: usize = 14;
/// Vectors in a wide tile of 1 and of 2 rows: eight sums cover the latency of a multiply-add on two ports.
const WIDE: [usize; 2] = [8, 4];
/// Most rows of A in a call of [`Kernel::dots`].
pub(crate) const DOT_ROWS: usize = 8;
/// Vectors of lines in a call of [`Kernel::dots`]: the chains of one overlap with the transpose of another.
pub(crate) const DOT_VECTORS: usize = 2;

/// Most rows of A in a call of [`Kernel::side_by_side`].
pub(crate) const SIDE_ROWS: usize = 4;
/// Sums of such a product in registers, beside a column of B and a factor.
const SIDE_SUMS: usize = 12;
/// Most steps of k, and the columns.
pub(crate) const SIDE_STEPS: usize = 8;
pub(crate) const SIDE_COLUMNS: usize = 16;
/// Floats of one B, a cache line more than it needs: no two then compete for one place in the cache.
pub(crate) const SIDE_B: usize = SIDE_STEPS * SIDE_COLUMNS + 16;

impl Kernel {
    /// The kernels for `simd`.
    pub fn of(simd: Simd) -> &'static Kernel {
        match simd.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &AVX512,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &AVX2,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => &NEON,
            _ => &SCALAR,
        }
    }

    /// Columns of a full tile of `rows` rows, where A is not scattered and B not shifted.
    #[inline(always)]
    pub fn columns(&self, rows: usize) -> usize {
        self.nr.max(self.width * WIDE.get(rows - 1).copied().unwrap_or(0))
    }

    /// C[rows, cols] (+)= A B for one tile, `rows <= mr` and `cols <= nr` (or `columns(rows)`).
    ///
    /// # Safety
    /// Every element of A that `a` names is readable; `b` has `k` rows, each readable for `cols` floats; `c` has `rows`
    /// rows `c_stride` apart, each valid for `cols` floats and touched by nobody else.
    #[inline(always)]
    pub unsafe fn tile(
        &self,
        (rows, cols, k): (usize, usize, usize),
        a: Factors,
        b: Rows,
        (c, c_stride): (*mut f32, usize),
        accumulate: bool,
    ) {
        // (A division by a number known at run time takes as long as several steps.)
        let vectors = if cols == self.nr { self.full } else { cols.div_ceil(self.width) };
        let last = cols - (vectors - 1) * self.width;
        let kind = match (a.rows.is_null(), b.shifts.is_null()) {
            (true, true) if a.row_stride == 1 => EVEN,
            (true, true) => STRIDED_A,
            (true, false) => SHIFTED_B,
            (false, _) => SCATTERED_A,
        };
        let tables = if cols > self.nr { &self.wide[kind as usize] } else { &self.tiles[kind as usize] };
        let tile = tables[(last < self.width) as usize][rows - 1][vectors - 1];
        // SAFETY: the caller's promise; a `Kernel` is handed out only for a level that the processor has.
        unsafe { tile(k, a, b, c, c_stride, last, accumulate) }
    }

    /// C[rows, lines] (+)= A B where the columns of B are `lines`, for `rows <= DOT_ROWS` and `lines.count <= DOT_VECTORS
    /// * width`: B is transposed in registers on its way. `c` has whole vectors, `DOT_VECTORS` of them in each row.
    ///
    /// # Safety
    /// Every element of A that `a` (a strided one) names is readable; the lines are readable for `k` floats; `c` is valid
    /// for `rows` rows `c_stride` apart.
    #[inline(always)]
    pub unsafe fn dots(
        &self,
        (rows, k): (usize, usize),
        a: Factors,
        lines: RawLines,
        (c, c_stride): (*mut f32, usize),
        accumulate: bool,
    ) {
        // SAFETY: as in `tile`.
        unsafe { self.dots[rows - 1](k, a, lines, c, c_stride, accumulate) }
    }

    /// `count` products of few rows (at most `SIDE_ROWS`) with `SIDE_COLUMNS` columns and `k` steps (at most `SIDE_STEPS`),
    /// side by side, so that their short chains overlap: `a[product][step][row]` with room for `SIDE_STEPS` steps,
    /// `b[product][step][column]`, products `SIDE_B` apart, `c[product][row][column]`. `count` is a multiple of 12.
    pub fn side_by_side(
        &self,
        (count, rows, k): (usize, usize, usize),
        a: &[f32],
        b: &[f32],
        c: &mut [f32],
        accumulate: bool,
    ) {
        assert!(k <= SIDE_STEPS && count.is_multiple_of(SIDE_SUMS));
        assert!(count * rows * SIDE_STEPS <= a.len() && count * SIDE_B <= b.len());
        assert!(count * rows * SIDE_COLUMNS <= c.len());
        // SAFETY: the operands have the sizes that the kernel reads and writes; a `Kernel` is handed out only for a
        // level that the processor has.
        unsafe { self.side[rows - 1]((count, k), a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), accumulate) }
    }

    /// `to[p * to_stride + i]` = element p of line i, for `p < steps`.
    ///
    /// # Safety
    /// Those elements are valid.
    pub unsafe fn transpose(&self, lines: RawLines, steps: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller's promise; a `Kernel` is handed out only for a level that the processor has.
        unsafe { (self.transpose)(lines, steps, to, to_stride) }
    }
}

impl Kernel {
    /// `to[p * to_stride + i]` = `from[shifts[i] + p]`, for `p < steps` and at most [`NR_MAX`] shifts. What a vector reads beyond the
    /// last step must be there too.
    pub fn transpose_shifted(&self, from: &[f32], shifts: &[usize], steps: usize, to: &mut [f32], to_stride: usize) {
        let Some(last) = shifts.iter().max() else { return };
        assert!(last + steps.next_multiple_of(self.width) <= from.len() && shifts.len() <= to_stride);
        assert!(steps > 0 && (steps - 1) * to_stride + shifts.len() <= to.len());
        // SAFETY: the last element read and the last one written are in bounds, by the assertions; a `Kernel` is handed
        // out only for a level that the processor has.
        unsafe { (self.transpose_shifted)(from.as_ptr(), shifts, steps, to.as_mut_ptr(), to_stride) }
    }
}

/// The kernel: `M` x `V` vector accumulators, one step of k an outer product; `PART` says that the last vector of a row
/// is partial.
#[inline(always)]
unsafe fn tile<L: Lane, const M: usize, const V: usize, const KIND: u8, const PART: bool>(
    k: usize,
    a: Factors,
    b: Rows,
    c: *mut f32,
    c_stride: usize,
    last: usize,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what the contract of `TileFn` grants.
    unsafe {
        let mask = L::mask(last);
        let load = |from: *const f32, v: usize| {
            let from = from.add(v * L::WIDTH);
            if PART && v + 1 == V { L::load_part(from, mask) } else { L::load(from) }
        };
        let mut sums = [[L::zero(); V]; M];
        if accumulate {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load(c.add(row * c_stride), v);
                }
            }
        }
        let (mut row_of_b, mut column_of_a) = (b.start, a.start);
        // Rows of A are reached from every third of them: those between are one or two strides away.
        let (stride, three) = (a.row_stride, 3 * a.row_stride);
        let mut next = if b.next.is_null() { c.wrapping_add(M * c_stride).cast_const() } else { b.next };
        let mut p = 0;
        while p < k {
            if p < M * BEAT {
                L::prefetch(next);
                L::prefetch(next.wrapping_add(LINE));
                next = next.wrapping_add(c_stride);
            }
            let end = k.min(p + BEAT);
            while p < end {
                if KIND == SHIFTED_B {
                    row_of_b = b.start.add(*b.shifts.add(p));
                }
                if KIND == SCATTERED_A {
                    column_of_a = a.start.add(*a.steps.add(p));
                }
                let mut columns = [L::zero(); V];
                for (v, column) in columns.iter_mut().enumerate() {
                    *column = load(row_of_b, v);
                }
                if KIND == EVEN {
                    for line in (0..V * L::WIDTH).step_by(LINE) {
                        L::prefetch(row_of_b.wrapping_add(AHEAD * b.step + line));
                    }
                }
                let mut third = column_of_a;
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = L::splat(match KIND {
                        SCATTERED_A => column_of_a.add(*a.rows.add(row)),
                        STRIDED_A => {
                            if row > 0 && row.is_multiple_of(3) {
                                third = third.wrapping_add(three);
                            }
                            third.wrapping_add(row % 3 * stride)
                        }
                        _ => column_of_a.add(row),
                    });
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = L::fma(factor, column, *sum);
                    }
                    if KIND == STRIDED_A || KIND == SCATTERED_A {
                        // Keeps the compiler from loading all of the factors first: there are no registers for that.
                        compiler_fence(Ordering::SeqCst);
                    }
                }
                if KIND != SHIFTED_B {
                    row_of_b = row_of_b.wrapping_add(b.step);
                }
                if KIND != SCATTERED_A {
                    column_of_a = column_of_a.wrapping_add(a.step);
                }
                p += 1;
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = c.add(row * c_stride + v * L::WIDTH);
                if PART && v + 1 == V { L::store_part(to, mask, *sum) } else { L::store(to, *sum) }
            }
        }
    }
}

/// [`Kernel::dots`] for `M` rows.
#[inline(always)]
unsafe fn dots<L: Lane, const M: usize>(
    k: usize,
    a: Factors,
    b: RawLines,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what the contract of `DotsFn` grants.
    unsafe {
        let mut sums = [[L::zero(); M]; DOT_VECTORS];
        if accumulate {
            for (v, sums) in sums.iter_mut().enumerate() {
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum = L::load(c.add(row * c_stride + v * L::WIDTH));
                }
            }
        }
        let whole = k / L::WIDTH * L::WIDTH;
        let starts = [b.starts(0), b.starts(L::WIDTH)];
        // Written out, so that the sums stay in registers.
        let [first, second] = &mut sums;
        for p in (0..whole).step_by(L::WIDTH) {
            steps::<L, M>(first, L::transposed(&starts[0], p).as_ref(), a, p);
            steps::<L, M>(second, L::transposed(&starts[1], p).as_ref(), a, p);
        }
        if whole < k {
            for (sums, starts) in sums.iter_mut().zip(&starts) {
                let rest = rest::<L>(starts, whole, k - whole);
                let block = L::transposed(&rest.each_ref().map(|line| line.as_ptr()), 0);
                steps::<L, M>(sums, &block.as_ref()[..k - whole], a, whole);
            }
        }
        for (v, sums) in sums.iter().enumerate() {
            for (row, sum) in sums.iter().enumerate() {
                L::store(c.add(row * c_stride + v * L::WIDTH), *sum);
            }
        }
    }
}

/// [`Kernel::side_by_side`] for `M` rows, `J` products at a time.
#[inline(always)]
unsafe fn side<L: Lane, const M: usize, const J: usize>(
    (count, k): (usize, usize),
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what `side_by_side` has checked.
    unsafe {
        for first in (0..count).step_by(J) {
            let a = a.add(first * SIDE_STEPS * M);
            for lane in (0..SIDE_COLUMNS).step_by(L::WIDTH) {
                let (b, c) = (b.add(first * SIDE_B + lane), c.add(first * M * SIDE_COLUMNS + lane));
                let mut sums = [[L::zero(); M]; J];
                if accumulate {
                    for (j, sums) in sums.iter_mut().enumerate() {
                        for (row, sum) in sums.iter_mut().enumerate() {
                            *sum = L::load(c.add((j * M + row) * SIDE_COLUMNS));
                        }
                    }
                }
                let (mut factors, mut columns) = (a, b);
                for _ in 0..k {
                    for (j, sums) in sums.iter_mut().enumerate() {
                        let column = L::load(columns.add(j * SIDE_B));
                        for (row, sum) in sums.iter_mut().enumerate() {
                            *sum = L::fma(L::splat(factors.add(j * SIDE_STEPS * M + row)), column, *sum);
                        }
                    }
                    factors = factors.add(M);
                    columns = columns.add(SIDE_COLUMNS);
                }
                for (j, sums) in sums.iter().enumerate() {
                    for (row, sum) in sums.iter().enumerate() {
                        L::store(c.add((j * M + row) * SIDE_COLUMNS), *sum);
                    }
                }
            }
        }
    }
}

/// Multiplies and adds the columns of a block, which are the steps of k from `p` on.
#[inline(always)]
unsafe fn steps<L: Lane, const M: usize>(sums: &mut [L::Vector; M], block: &[L::Vector], a: Factors, p: usize) {
    // Keeps the compiler from loading all of the factors before the block: there are no registers for both.
    compiler_fence(Ordering::SeqCst);
    let mut from = a.start.wrapping_add(p * a.step);
    for &column in block {
        for (row, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the factor is readable by the contract of the caller.
            *sum = unsafe { L::fma(L::splat(from.wrapping_add(row * a.row_stride)), column, *sum) };
        }
        from = from.wrapping_add(a.step);
    }
}

/// `WIDTH` lines of which only `steps` floats, from `at` on, are readable: a copy, zeros after it.
#[inline(always)]
unsafe fn rest<L: Lane>(lines: &[*const f32; WIDTH_MAX], at: usize, steps: usize) -> [[f32; WIDTH_MAX]; WIDTH_MAX] {
    let mut copy = [[0.0; WIDTH_MAX]; WIDTH_MAX];
    for (copy, line) in copy.iter_mut().zip(lines).take(L::WIDTH) {
        for (p, copy) in copy[..steps].iter_mut().enumerate() {
            // SAFETY: these floats are readable by the contract of the caller.
            *copy = unsafe { *line.add(at + p) };
        }
    }
    copy
}

/// [`Kernel::transpose`].
#[inline(always)]
unsafe fn transpose<L: Lane>(lines: RawLines, steps: usize, to: *mut f32, to_stride: usize) {
    // SAFETY: the caller's promise; absent lines and steps are not stored.
    unsafe {
        let whole = steps / L::WIDTH * L::WIDTH;
        for first in (0..lines.count).step_by(L::WIDTH) {
            let here = L::WIDTH.min(lines.count - first);
            let starts = lines.starts(first);
            for p in (0..whole).step_by(L::WIDTH) {
                let block = L::transposed(&starts, p);
                store::<L>(block.as_ref(), here, to.add(p * to_stride + first), to_stride);
            }
            if whole > 0 && whole < steps {
                // The last block overlaps the one before.
                let block = L::transposed(&starts, steps - L::WIDTH);
                let to = to.add(whole * to_stride + first);
                store::<L>(&block.as_ref()[L::WIDTH - (steps - whole)..], here, to, to_stride);
            } else if whole < steps {
                let rest = rest::<L>(&starts, whole, steps - whole);
                let block = L::transposed(&rest.each_ref().map(|line| line.as_ptr()), 0);
                let to = to.add(whole * to_stride + first);
                store::<L>(&block.as_ref()[..steps - whole], here, to, to_stride);
            }
        }
    }
}

/// [`Kernel::transpose_shifted`].
#[inline(always)]
unsafe fn transpose_shifted<L: Lane>(from: *const f32, shifts: &[usize], steps: usize, to: *mut f32, to_stride: usize) {
    for (number, shifts) in shifts.chunks(L::WIDTH).enumerate() {
        // In the place of lanes that are not there, the first one.
        let mut starts = [from.wrapping_add(shifts[0]); WIDTH_MAX];
        for (start, shift) in starts.iter_mut().zip(shifts) {
            *start = from.wrapping_add(*shift);
        }
        for p in (0..steps).step_by(L::WIDTH) {
            // SAFETY: the caller's promise; absent lanes and steps are not stored.
            unsafe {
                let block = L::transposed(&starts, p);
                let here = L::WIDTH.min(steps - p);
                let to = to.add(p * to_stride + number * L::WIDTH);
                store::<L>(&block.as_ref()[..here], shifts.len(), to, to_stride);
            }
        }
    }
}

/// Stores the first `count` lanes of vectors, `stride` apart.
#[inline(always)]
unsafe fn store<L: Lane>(vectors: &[L::Vector], count: usize, to: *mut f32, stride: usize) {
    // SAFETY: the places are valid by the contract of the caller. A whole vector is stored where what it writes too much
    // is written again by those after it.
    unsafe {
        let mask = L::mask(count);
        for (j, &vector) in vectors.iter().enumerate() {
            let after = (vectors.len() - 1 - j) * stride + count;
            let whole = count == L::WIDTH || (count == stride && after >= L::WIDTH);
            let to = to.add(j * stride);
            if whole { L::store(to, vector) } else { L::store_part(to, mask, vector) }
        }
    }
}

/// Defines `$kernel`: the tile function compiled for `$lane` with `$feature`, for every listed number of rows, and 1 to
/// the listed number of vectors.
macro_rules! kernel {
    ($kernel:ident, $module:ident, $lane:ty, $(#[$feature:meta])?, mr: $mr:literal, rows: $rows:tt, vectors: $vectors:tt, nr: $nr:literal) => {
        mod $module {
            use super::*;

            $(#[$feature])?
            pub unsafe fn tile<const M: usize, const V: usize, const KIND: u8, const PART: bool>(
                k: usize,
                a: Factors,
                b: Rows,
                c: *mut f32,
                c_stride: usize,
                last: usize,
                accumulate: bool,
            ) {
                // SAFETY: the contract of `TileFn` is passed on.
                unsafe { super::tile::<$lane, M, V, KIND, PART>(k, a, b, c, c_stride, last, accumulate) }
            }

            $(#[$feature])?
            pub unsafe fn dots<const M: usize>(
                k: usize,
                a: Factors,
                b: RawLines,
                c: *mut f32,
                c_stride: usize,
                accumulate: bool,
            ) {
                // SAFETY: the contract of `DotsFn` is passed on.
                unsafe { super::dots::<$lane, M>(k, a, b, c, c_stride, accumulate) }
            }

            $(#[$feature])?
            pub unsafe fn side<const M: usize, const J: usize>(
                size: (usize, usize),
                a: *const f32,
                b: *const f32,
                c: *mut f32,
                accumulate: bool,
            ) {
                // SAFETY: the contract of `Kernel::side_by_side` is passed on.
                unsafe { super::side::<$lane, M, J>(size, a, b, c, accumulate) }
            }

            $(#[$feature])?
            pub unsafe fn transpose_shifted(
                from: *const f32,
                shifts: &[usize],
                steps: usize,
                to: *mut f32,
                to_stride: usize,
            ) {
                // SAFETY: the contract of `TransposeShiftedFn` is passed on.
                unsafe { super::transpose_shifted::<$lane>(from, shifts, steps, to, to_stride) }
            }

            $(#[$feature])?
            pub unsafe fn transpose(lines: RawLines, steps: usize, to: *mut f32, to_stride: usize) {
                // SAFETY: the contract of `TransposeFn` is passed on.
                unsafe { super::transpose::<$lane>(lines, steps, to, to_stride) }
            }
        }

        static $kernel: Kernel = Kernel {
            mr: $mr,
            nr: $nr,
            full: $nr / <$lane as Lane>::WIDTH,
            width: <$lane as Lane>::WIDTH,
            tiles: [
                kernel!(@kind $module, EVEN, $rows, $vectors),
                kernel!(@kind $module, STRIDED_A, $rows, $vectors),
                kernel!(@kind $module, SHIFTED_B, $rows, $vectors),
                kernel!(@kind $module, SCATTERED_A, $rows, $vectors),
            ],
            wide: [kernel!(@wide $module, EVEN), kernel!(@wide $module, STRIDED_A)],
            transpose: $module::transpose,
            transpose_shifted: $module::transpose_shifted,
            side: [$module::side::<1, 12>, $module::side::<2, 6>, $module::side::<3, 4>, $module::side::<4, 3>],
            dots: &[
                $module::dots::<1>, $module::dots::<2>, $module::dots::<3>, $module::dots::<4>,
                $module::dots::<5>, $module::dots::<6>, $module::dots::<7>, $module::dots::<8>,
            ],
        };
    };
    (@wide $module:ident, $kind:ident) => {
        [kernel!(@wide $module, $kind, false), kernel!(@wide $module, $kind, true)]
    };
    (@wide $module:ident, $kind:ident, $part:literal) => {
        &[kernel!(@row $module, $kind, $part, 1, [1 2 3 4 5 6 7 8]), kernel!(@row $module, $kind, $part, 2, [1 2 3 4])]
    };
    (@kind $module:ident, $kind:ident, $rows:tt, $vectors:tt) => {
        [kernel!(@rows $module, $kind, false, $rows, $vectors), kernel!(@rows $module, $kind, true, $rows, $vectors)]
    };
    (@rows $module:ident, $kind:ident, $part:literal, [$($m:literal)*], $vectors:tt) => {
        &[$(kernel!(@row $module, $kind, $part, $m, $vectors)),*]
    };
    (@row $module:ident, $kind:ident, $part:literal, $m:literal, [$($v:literal)*]) => {
        &[$($module::tile::<$m, $v, { $kind }, $part> as TileFn),*]
    };
}

// 28 sums, 2 columns, 1 factor: 31 of the 32 registers. 16 loads for 28 FMAs keep both FMA ports busy.
#[cfg(target_arch = "x86_64")]
kernel!(AVX512, avx512, lane::Avx512, #[target_feature(enable = "avx512f,avx2,fma")],
    mr: 14, rows: [1 2 3 4 5 6 7 8 9 10 11 12 13 14], vectors: [1 2], nr: 32);

// 12 sums, 2 columns, 2 factors: all 16 registers.
#[cfg(target_arch = "x86_64")]
kernel!(AVX2, avx2, lane::Avx2, #[target_feature(enable = "avx2,fma")],
    mr: 6, rows: [1 2 3 4 5 6], vectors: [1 2], nr: 16);

// 24 sums, 3 columns, 1 factor of the 32 registers.
#[cfg(target_arch = "aarch64")]
kernel!(NEON, neon, lane::Neon, #[target_feature(enable = "neon")],
    mr: 8, rows: [1 2 3 4 5 6 7 8], vectors: [1 2 3], nr: 12);

kernel!(SCALAR, scalar, lane::Scalar, , mr: 4, rows: [1 2 3 4], vectors: [1 2 3 4], nr: 4);
