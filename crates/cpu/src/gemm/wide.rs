//! The product in f64: plain loops over register-sized tiles, for checks of gradients and for statistics.

use super::{Accumulate, Epilogue, GemmError, Matrix, MatrixMut, Size, Tile, check};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::simd::Simd;

/// Rows and columns of a tile of sums: 4 x 16 doubles are 8 AVX-512 or 16 AVX2 registers.
const ROWS: usize = 4;
const COLS: usize = 16;
/// Steps of k between which the sums rest in C: 256 x 16 doubles of B stay in the first-level cache.
const KC: usize = 256;
/// Columns of a unit.
const UNIT_COLS: usize = 128;
/// Rows of a unit.
const UNIT_ROWS: usize = 64;

/// C = A B (or C += A B) in f64 for every batch item, then `epilogue` on each tile.
pub fn gemm_f64(
    machine: &Machine,
    size: Size,
    a: Matrix<'_, f64>,
    b: Matrix<'_, f64>,
    accumulate: Accumulate,
    c: MatrixMut<'_, f64>,
    epilogue: Option<Epilogue<'_, f64>>,
) -> Result<(), GemmError> {
    check(size, &a, &b, &c)?;
    let (down, across) = (size.m.div_ceil(UNIT_ROWS), size.n.div_ceil(UNIT_COLS));
    let (row_stride, batch_stride) = (c.row_stride, c.batch_stride);
    let all = Disjoint::new(c.data);
    machine.pool.run(size.batch * down * across, |unit| {
        let (batch, place) = (unit / (down * across), unit % (down * across));
        let (r0, c0) = (place / across * UNIT_ROWS, place % across * UNIT_COLS);
        let rows = (r0, size.m.min(r0 + UNIT_ROWS));
        let cols = (c0, size.n.min(c0 + UNIT_COLS));
        // SAFETY: the rectangles of different units do not overlap, and `check` saw that they are in bounds.
        let mut tile = unsafe { Tile::new(all, batch_stride, row_stride, batch, rows, cols) };
        let a = Matrix { data: a.data.get(batch * a.batch_stride..).unwrap_or_default(), ..a };
        let b = Matrix { data: b.data.get(batch * b.batch_stride..).unwrap_or_default(), ..b };
        rectangle(machine.simd, size.k, a, b, accumulate, &mut tile);
        if let Some(epilogue) = epilogue {
            epilogue(tile);
        }
    });
    Ok(())
}

/// One rectangle of C, all of k.
fn rectangle(
    simd: Simd,
    k: usize,
    a: Matrix<'_, f64>,
    b: Matrix<'_, f64>,
    accumulate: Accumulate,
    c: &mut Tile<'_, f64>,
) {
    if accumulate == Accumulate::Zero {
        for row in c.rows.clone() {
            c.row(row).fill(0.0);
        }
    }
    let mut b_panel = vec![[0.0; COLS]; KC.min(k)];
    let mut a_panel = vec![[0.0; ROWS]; KC.min(k)];
    for k0 in (0..k).step_by(KC) {
        let steps = KC.min(k - k0);
        for col in c.cols.clone().step_by(COLS) {
            let cols = COLS.min(c.cols.end - col);
            for (p, row) in b_panel[..steps].iter_mut().enumerate() {
                let from = &b.data[(k0 + p) * b.row_stride + col * b.col_stride..];
                (0..cols).for_each(|j| row[j] = from[j * b.col_stride]);
            }
            for row in c.rows.clone().step_by(ROWS) {
                let rows = ROWS.min(c.rows.end - row);
                for (p, column) in a_panel[..steps].iter_mut().enumerate() {
                    let from = &a.data[row * a.row_stride + (k0 + p) * a.col_stride..];
                    (0..rows).for_each(|i| column[i] = from[i * a.row_stride]);
                }
                let mut sums = [[0.0; COLS]; ROWS];
                let start = col - c.cols.start;
                for (i, sums) in sums[..rows].iter_mut().enumerate() {
                    sums[..cols].copy_from_slice(&c.row(row + i)[start..start + cols]);
                }
                simd.run(
                    #[inline(always)]
                    || multiply(&a_panel[..steps], &b_panel[..steps], &mut sums),
                );
                for (i, sums) in sums[..rows].iter().enumerate() {
                    c.row(row + i)[start..start + cols].copy_from_slice(&sums[..cols]);
                }
            }
        }
    }
}

#[inline(always)]
fn multiply(a: &[[f64; ROWS]], b: &[[f64; COLS]], sums: &mut [[f64; COLS]; ROWS]) {
    let mut local = *sums;
    for (a, b) in a.iter().zip(b) {
        for (factor, sums) in a.iter().zip(&mut local) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = factor.mul_add(*b, *sum);
            }
        }
    }
    *sums = local;
}
