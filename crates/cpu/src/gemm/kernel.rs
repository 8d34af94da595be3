//! Micro-kernels: one tile of C held in registers while k runs, for each instruction set and tile shape.

use super::lane::{self, Lane};
use crate::simd::{Level, Simd};

/// C[rows, cols] (+)= A[rows, k] B[k, cols] for a tile shape fixed in the function.
///
/// A and B: see [`Factors`] and [`Rows`]. C: row-major with `c_stride`, valid up to the full width of the tile.
type TileFn = unsafe fn(k: usize, a: Factors, b: Rows, c: *mut f32, c_stride: usize, accumulate: bool);

/// Where element (row, p) of A lies: packed, at `start + p * mr + row`; or, if `rows` is not null, at
/// `start + rows[row] + steps[p]`.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    pub start: *const f32,
    pub rows: *const usize,
    pub steps: *const usize,
}

impl Factors {
    /// A packed panel.
    #[inline(always)]
    pub fn packed(start: *const f32) -> Factors {
        Factors { start, rows: std::ptr::null(), steps: std::ptr::null() }
    }
}

/// Where row p of B begins: at `start + p * step`, or, if `shifts` is not null, at `start + shifts[p]`. Each row is
/// readable up to the full width of the tile. Not both A and B are scattered.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub start: *const f32,
    pub step: usize,
    pub shifts: *const usize,
}

impl Rows {
    /// Rows `step` apart.
    #[inline(always)]
    pub fn even(start: *const f32, step: usize) -> Rows {
        Rows { start, step, shifts: std::ptr::null() }
    }
}

/// How a kernel finds its operands.
const EVEN: u8 = 0;
const SHIFTED_B: u8 = 1;
const SCATTERED_A: u8 = 2;

/// The kernels of one instruction set, and the sizes that fit them.
pub(crate) struct Kernel {
    /// Rows of a full tile.
    pub mr: usize,
    /// Columns of a full tile.
    pub nr: usize,
    /// Floats in a vector; `nr` is a multiple.
    pub width: usize,
    /// `tiles[rows - 1][vectors - 1]` computes `rows` rows of `vectors` vectors, with evenly spaced rows of B.
    tiles: &'static [&'static [TileFn]],
    /// The same with the rows of B at given shifts.
    shifted: &'static [&'static [TileFn]],
    /// The same with the elements of A at given places.
    scattered: &'static [&'static [TileFn]],
}

/// Most columns of any full tile, and most rows.
pub(crate) const NR_MAX: usize = 32;
pub(crate) const MR_MAX: usize = 14;

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

    /// C[rows, cols] (+)= A B for one tile, `rows <= mr` and `cols <= nr`.
    ///
    /// # Safety
    /// Every element of A that `a` names is readable (packed, a panel of `k * mr` floats); `b` has `k` rows, each
    /// readable for `nr` floats; `c` has `rows` rows `c_stride` apart, each valid for `cols` floats and touched by nobody
    /// else.
    #[inline(always)]
    pub unsafe fn tile(
        &self,
        (rows, cols, k): (usize, usize, usize),
        a: Factors,
        b: Rows,
        (c, c_stride): (*mut f32, usize),
        accumulate: bool,
    ) {
        let vectors = cols.div_ceil(self.width);
        let tiles = match (a.rows.is_null(), b.shifts.is_null()) {
            (true, true) => self.tiles,
            (true, false) => self.shifted,
            (false, _) => self.scattered,
        };
        let tile = tiles[rows - 1][vectors - 1];
        if vectors * self.width == cols {
            // SAFETY: the caller's promise; a `Kernel` is handed out only for a level that the processor has.
            return unsafe { tile(k, a, b, c, c_stride, accumulate) };
        }
        // The last columns do not fill a vector: compute in a full tile aside. A copy changes no bits.
        let mut aside = [0.0f32; MR_MAX * NR_MAX];
        for row in 0..rows {
            // SAFETY: `cols` floats of row `row` of C and of the tile aside are in bounds, and they do not overlap.
            unsafe {
                let (c, aside) = (c.add(row * c_stride), aside.as_mut_ptr().add(row * NR_MAX));
                if accumulate {
                    std::ptr::copy_nonoverlapping(c, aside, cols);
                }
            }
        }
        // SAFETY: as above, with the tile aside for C.
        unsafe { tile(k, a, b, aside.as_mut_ptr(), NR_MAX, accumulate) };
        for row in 0..rows {
            // SAFETY: as above.
            unsafe {
                std::ptr::copy_nonoverlapping(aside.as_ptr().add(row * NR_MAX), c.add(row * c_stride), cols);
            }
        }
    }
}

/// The kernel: `M` x `V` vector accumulators, one step of k an outer product. `MR` is the row count of a packed panel.
#[inline(always)]
unsafe fn tile<L: Lane, const MR: usize, const M: usize, const V: usize, const KIND: u8>(
    k: usize,
    a: Factors,
    b: Rows,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
) {
    // SAFETY: every pointer stays within what the contract of `TileFn` grants.
    unsafe {
        let mut sums = [[L::zero(); V]; M];
        // The tile below comes next.
        for row in 0..M {
            for v in 0..V {
                L::prefetch(c.wrapping_add((M + row) * c_stride + v * L::WIDTH));
            }
        }
        if accumulate {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = L::load(c.add(row * c_stride + v * L::WIDTH));
                }
            }
        }
        let (mut row_of_b, mut column_of_a) = (b.start, a.start);
        for p in 0..k {
            if KIND == SHIFTED_B {
                row_of_b = b.start.add(*b.shifts.add(p));
            }
            if KIND == SCATTERED_A {
                column_of_a = a.start.add(*a.steps.add(p));
            }
            let mut columns = [L::zero(); V];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = L::load(row_of_b.add(v * L::WIDTH));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let at = if KIND == SCATTERED_A { *a.rows.add(row) } else { row };
                let factor = L::splat(column_of_a.add(at));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = L::fma(factor, column, *sum);
                }
            }
            if KIND != SHIFTED_B {
                row_of_b = row_of_b.wrapping_add(b.step);
            }
            if KIND != SCATTERED_A {
                column_of_a = column_of_a.add(MR);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                L::store(c.add(row * c_stride + v * L::WIDTH), *sum);
            }
        }
    }
}

/// Defines `$kernel`: the tile function compiled for `$lane` with `$feature`, for every listed number of rows, and 1 to
/// the listed number of vectors.
macro_rules! kernel {
    ($kernel:ident, $function:ident, $lane:ty, $(#[$feature:meta])?, mr: $mr:literal, rows: $rows:tt, vectors: $vectors:tt, nr: $nr:literal) => {
        $(#[$feature])?
        unsafe fn $function<const M: usize, const V: usize, const KIND: u8>(
            k: usize,
            a: Factors,
            b: Rows,
            c: *mut f32,
            c_stride: usize,
            accumulate: bool,
        ) {
            // SAFETY: the contract of `TileFn` is passed on.
            unsafe { tile::<$lane, $mr, M, V, KIND>(k, a, b, c, c_stride, accumulate) }
        }

        static $kernel: Kernel = Kernel {
            mr: $mr,
            nr: $nr,
            width: <$lane as Lane>::WIDTH,
            tiles: kernel!(@rows $function, EVEN, $rows, $vectors),
            shifted: kernel!(@rows $function, SHIFTED_B, $rows, $vectors),
            scattered: kernel!(@rows $function, SCATTERED_A, $rows, $vectors),
        };
    };
    (@rows $function:ident, $kind:ident, [$($m:literal)*], $vectors:tt) => {
        &[$(kernel!(@row $function, $kind, $m, $vectors)),*]
    };
    (@row $function:ident, $kind:ident, $m:literal, [$($v:literal)*]) => {
        &[$($function::<$m, $v, { $kind }> as TileFn),*]
    };
}

// 28 sums, 2 columns, 1 factor: 31 of the 32 registers. 16 loads for 28 FMAs keep both FMA ports busy.
#[cfg(target_arch = "x86_64")]
kernel!(AVX512, tile_avx512, lane::Avx512, #[target_feature(enable = "avx512f,avx2,fma")],
    mr: 14, rows: [1 2 3 4 5 6 7 8 9 10 11 12 13 14], vectors: [1 2], nr: 32);

// 12 sums, 2 columns, 2 factors: all 16 registers.
#[cfg(target_arch = "x86_64")]
kernel!(AVX2, tile_avx2, lane::Avx2, #[target_feature(enable = "avx2,fma")],
    mr: 6, rows: [1 2 3 4 5 6], vectors: [1 2], nr: 16);

// 24 sums, 3 columns, 1 factor of the 32 registers.
#[cfg(target_arch = "aarch64")]
kernel!(NEON, tile_neon, lane::Neon, #[target_feature(enable = "neon")],
    mr: 8, rows: [1 2 3 4 5 6 7 8], vectors: [1 2 3], nr: 12);

kernel!(SCALAR, tile_scalar, lane::Scalar, , mr: 4, rows: [1 2 3 4], vectors: [1 2 3 4], nr: 4);
