//! Matrix products, C = A B or C += A B: the engine under linear layers, attention and convolution.
//!
//! The order of every sum is fixed: `c = fma(a[i, p], b[p, j], c)` for p ascending, from 0 or from what C holds. Threads,
//! vector width and blocking never show in the result.

mod blocked;
mod direct;
mod driver;
mod kernel;
mod lane;
mod lines;
mod pack;
mod side;
mod tile;
mod wide;

use crate::machine::Machine;
use crate::pool::Disjoint;
pub(crate) use driver::{Job, SMALL, run};
pub(crate) use kernel::{Kernel, MR_MAX, NR_MAX, SIDE_B, SIDE_COLUMNS, SIDE_ROWS, SIDE_STEPS};
pub(crate) use lines::RawLines;
pub(crate) use pack::{Lines, Panels, Strided};
use std::ops::Range;
pub(crate) use tile::{Factors, Rows};
pub use wide::gemm_f64;

/// The sizes of a batched product: `batch` times [m, k] x [k, n] -> [m, n].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Number of products.
    pub batch: usize,
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
}

/// An operand: element (i, j) of batch item b lies at `b * batch_stride + i * row_stride + j * col_stride`.
/// Any stride may be 0 (repeated elements), and a transpose is an exchange of two strides.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    /// The elements.
    pub data: &'a [T],
    /// From one row to the next.
    pub row_stride: usize,
    /// From one column to the next.
    pub col_stride: usize,
    /// From one batch item to the next.
    pub batch_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// One contiguous row-major matrix of `columns` columns.
    pub fn row_major(data: &'a [T], columns: usize) -> Self {
        Matrix { data, row_stride: columns, col_stride: 1, batch_stride: 0 }
    }

    /// Each matrix of the batch transposed.
    pub fn transposed(self) -> Self {
        Matrix { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// With batch items `stride` elements apart.
    pub fn batched(self, stride: usize) -> Self {
        Matrix { batch_stride: stride, ..self }
    }
}

/// The result: rows are contiguous, `row_stride` apart.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    /// The elements.
    pub data: &'a mut [T],
    /// From one row to the next.
    pub row_stride: usize,
    /// From one batch item to the next.
    pub batch_stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// One contiguous row-major matrix of `columns` columns.
    pub fn row_major(data: &'a mut [T], columns: usize) -> Self {
        MatrixMut { data, row_stride: columns, batch_stride: 0 }
    }

    /// With batch items `stride` elements apart.
    pub fn batched(self, stride: usize) -> Self {
        MatrixMut { batch_stride: stride, ..self }
    }
}

/// Where the sums start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// From zero: C = A B, whatever C held.
    Zero,
    /// From C: C += A B, the chain going on from the value that C holds.
    C,
}

/// Called once for each finished tile of C, while it is still in the cache. Tiles do not overlap and cover C.
pub type Epilogue<'a, T> = &'a (dyn Fn(Tile<'_, T>) + Sync);

/// A finished rectangle of C, open to a last change.
pub struct Tile<'a, T> {
    /// Which batch item.
    pub batch: usize,
    /// Its rows in C.
    pub rows: Range<usize>,
    /// Its columns in C.
    pub cols: Range<usize>,
    c: Disjoint<'a, T>,
    start: usize,
    row_stride: usize,
}

impl<'a, T> Tile<'a, T> {
    /// # Safety
    /// The rectangle is in bounds, and nobody else touches it while the tile lives.
    pub(crate) unsafe fn new(
        c: Disjoint<'a, T>,
        batch_stride: usize,
        row_stride: usize,
        batch: usize,
        (r0, r1): (usize, usize),
        (c0, c1): (usize, usize),
    ) -> Self {
        let start = batch * batch_stride + r0 * row_stride + c0;
        Tile { batch, rows: r0..r1, cols: c0..c1, c, start, row_stride }
    }

    /// The elements of row `row` of C (a number in `rows`) in the columns `cols`.
    pub fn row(&mut self, row: usize) -> &mut [T] {
        assert!(self.rows.contains(&row), "row {row} is not in the tile");
        // SAFETY: nobody else touches the rectangle, and the borrow of `self` keeps its rows from being lent twice.
        unsafe { self.c.slice(self.start + (row - self.rows.start) * self.row_stride, self.cols.len()) }
    }
}

/// Calls `epilogue` on a C that is complete: for kernels that do not work tile by tile. C is `batch` items of `rows` x
/// `columns`, contiguous.
pub(crate) fn finish(machine: &Machine, c: &mut [f32], rows: usize, columns: usize, epilogue: Epilogue<'_, f32>) {
    /// Elements of a tile: enough to be worth handing out, few enough to stay in cache.
    const TILE: usize = 8192;
    if rows * columns == 0 {
        return;
    }
    let together = (TILE / columns).clamp(1, rows);
    let (batch, across) = (c.len() / (rows * columns), rows.div_ceil(together));
    let c = Disjoint::new(c);
    machine.pool.run(batch * across, |unit| {
        let (batch, first) = (unit / across, unit % across * together);
        let end = rows.min(first + together);
        // SAFETY: each unit has rows of its own, in bounds.
        epilogue(unsafe { Tile::new(c, rows * columns, columns, batch, (first, end), (0, columns)) });
    });
}

/// Why a product cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GemmError {
    /// A slice ends before the last element that its sizes and strides reach.
    #[error("matrix {operand} needs {needed} elements for its sizes and strides, and has {found}")]
    TooShort {
        /// "A", "B" or "C".
        operand: &'static str,
        /// Elements up to the last one reached.
        needed: usize,
        /// Elements in the slice.
        found: usize,
    },
    /// Sizes and strides of an operand, multiplied, exceed the address space.
    #[error("the sizes and strides of matrix {operand} overflow")]
    Overflow {
        /// "A", "B" or "C".
        operand: &'static str,
    },
    /// Rows or batch items of C lie on one another.
    #[error("matrix C overlaps itself: row stride {row_stride}, batch stride {batch_stride}, {m} x {n}")]
    Overlap {
        /// Row stride of C.
        row_stride: usize,
        /// Batch stride of C.
        batch_stride: usize,
        /// Rows of C.
        m: usize,
        /// Columns of C.
        n: usize,
    },
}

/// C = A B (or C += A B) in f32 for every batch item, then `epilogue` on each tile.
pub fn gemm(
    machine: &Machine,
    size: Size,
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    accumulate: Accumulate,
    c: MatrixMut<'_, f32>,
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), GemmError> {
    check(size, &a, &b, &c)?;
    let Size { batch, m, n, k } = size;
    let a_lanes = lanes(&a, a.row_stride, a.col_stride, k);
    let b_lanes = lanes(&b, b.col_stride, b.row_stride, k);
    let a_period = if a.batch_stride == 0 { 1 } else { batch };
    let job = Job {
        batch,
        m,
        n,
        k,
        a: &a_lanes,
        a_period,
        b: &b_lanes,
        c: Disjoint::new(c.data),
        c_row_stride: c.row_stride,
        c_batch_stride: c.batch_stride,
        accumulate: accumulate == Accumulate::C,
        epilogue,
    };
    run(machine, &job);
    Ok(())
}

fn lanes<'a>(matrix: &Matrix<'a, f32>, lane_stride: usize, k_stride: usize, k: usize) -> Strided<'a> {
    Strided {
        data: matrix.data,
        batch_stride: matrix.batch_stride,
        lane_stride,
        k_inner: k.max(1),
        k_inner_stride: k_stride,
        k_outer_stride: k.max(1) * k_stride,
    }
}

fn check<T>(size: Size, a: &Matrix<'_, T>, b: &Matrix<'_, T>, c: &MatrixMut<'_, T>) -> Result<(), GemmError> {
    let Size { batch, m, n, k } = size;
    let in_bounds = |operand, found, extents: [(usize, usize); 3]| {
        let needed = reach(extents).ok_or(GemmError::Overflow { operand })?;
        if needed <= found { Ok(()) } else { Err(GemmError::TooShort { operand, needed, found }) }
    };
    in_bounds("A", a.data.len(), [(batch, a.batch_stride), (m, a.row_stride), (k, a.col_stride)])?;
    in_bounds("B", b.data.len(), [(batch, b.batch_stride), (k, b.row_stride), (n, b.col_stride)])?;
    in_bounds("C", c.data.len(), [(batch, c.batch_stride), (m, c.row_stride), (n, 1)])?;
    let item = if m == 0 || n == 0 { 0 } else { (m - 1) * c.row_stride + n };
    let rows_apart = m <= 1 || c.row_stride >= n;
    let items_apart = batch <= 1 || c.batch_stride >= item;
    if rows_apart && items_apart {
        return Ok(());
    }
    Err(GemmError::Overlap { row_stride: c.row_stride, batch_stride: c.batch_stride, m, n })
}

/// One more than the highest index that the (extent, stride) pairs reach; `None` on overflow.
fn reach(extents: [(usize, usize); 3]) -> Option<usize> {
    if extents.iter().any(|&(extent, _)| extent == 0) {
        return Some(0);
    }
    let last =
        extents.iter().try_fold(0usize, |sum, &(extent, stride)| sum.checked_add((extent - 1).checked_mul(stride)?))?;
    last.checked_add(1)
}

#[cfg(test)]
mod tests;
