//! Micro-kernels, for each instruction set and tile shape.

use super::lane::{self, Lane};
use super::lines::{RawLines, dots, transpose, transpose_shifted};
use super::side::side;
use super::tile::{EVEN, Factors, Rows, SCATTERED_A, SHIFTED_B, STRIDED_A, TileFn, tile};
use crate::simd::{Level, Simd};

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
    /// Tiles of more rows than `mr`, of one full vector, where A is scattered.
    tall: &'static [TileFn],
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

    /// Most rows of a tile of `columns` columns where A is scattered.
    pub fn rows(&self, columns: usize) -> usize {
        if columns == self.width { self.mr + self.tall.len() } else { self.mr }
    }

    /// C[rows, cols] (+)= A B for one tile, `rows <= mr` (or `rows(cols)`) and `cols <= nr` (or `columns(rows)`).
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
        if rows > self.mr {
            assert!(kind == SCATTERED_A && cols == self.width);
            // SAFETY: as below.
            return unsafe { self.tall[rows - self.mr - 1](k, a, b, c, c_stride, last, accumulate) };
        }
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

/// Defines `$kernel`: the tile function compiled for `$lane` with `$feature`, for every listed number of rows, and 1 to
/// the listed number of vectors.
macro_rules! kernel {
    ($kernel:ident, $module:ident, $lane:ty, $(#[$feature:meta])?, mr: $mr:literal, rows: $rows:tt, vectors: $vectors:tt, nr: $nr:literal, tall: [$($tall:literal)*]) => {
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
            tall: &[$($module::tile::<$tall, 1, SCATTERED_A, false> as TileFn),*],
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
    mr: 14, rows: [1 2 3 4 5 6 7 8 9 10 11 12 13 14], vectors: [1 2], nr: 32, tall: []);

// 12 sums, 2 columns, 2 factors: all 16 registers. Six sums alone would wait for themselves.
#[cfg(target_arch = "x86_64")]
kernel!(AVX2, avx2, lane::Avx2, #[target_feature(enable = "avx2,fma")],
    mr: 6, rows: [1 2 3 4 5 6], vectors: [1 2], nr: 16, tall: [7 8 9 10 11 12]);

// 24 sums, 3 columns, 1 factor of the 32 registers.
#[cfg(target_arch = "aarch64")]
kernel!(NEON, neon, lane::Neon, #[target_feature(enable = "neon")],
    mr: 8, rows: [1 2 3 4 5 6 7 8], vectors: [1 2 3], nr: 12, tall: []);

kernel!(SCALAR, scalar, lane::Scalar, , mr: 4, rows: [1 2 3 4], vectors: [1 2 3 4], nr: 4, tall: []);
