//! The specification of recurrent layers: one cell after the other, one step after the other. The kernels of devices use
//! the same cells.
//!
//! Sums are chains of fused multiply-adds in the order of the hidden units, started from what is added to them.

use super::Extent;
use crate::op::{Cell, Recurrence};
use crate::real::Real;

/// h', c' and i, f, g, o of one unit from the four sums and c.
#[inline(always)]
pub fn lstm<T: Real>([i, f, g, o]: [T; 4], c: T) -> (T, T, [T; 4]) {
    let (i, f, g, o) = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid());
    let c = f * c + i * g;
    (o * c.tanh(), c, [i, f, g, o])
}

/// Gradients of the four sums and of c, from i, f, g, o, c, c' and the gradients of h' and c'.
#[inline(always)]
pub fn lstm_adjoint<T: Real>([i, f, g, o]: [T; 4], c: T, next_c: T, dh: T, dc: T) -> ([T; 4], T) {
    let t = next_c.tanh();
    let dc = dc + dh * o * (T::ONE - t * t);
    let of_gate = |d: T, y: T| d * y * (T::ONE - y);
    let da = [of_gate(dc * g, i), of_gate(dc * c, f), dc * i * (T::ONE - g * g), of_gate(dh * t, o)];
    (da, dc * f)
}

/// h' and r, z, n of one unit from the sums of r and z, the input's and the state's parts of n, and h.
#[inline(always)]
pub fn gru<T: Real>([r, z, n]: [T; 3], s: T, h: T) -> (T, [T; 3]) {
    let (r, z) = (r.sigmoid(), z.sigmoid());
    let n = (n + r * s).tanh();
    ((T::ONE - z) * n + z * h, [r, z, n])
}

/// Gradients of the sums of r and z, of the input's and the state's parts of n, and of h where it passes z.
#[inline(always)]
pub fn gru_adjoint<T: Real>([r, z, n]: [T; 3], s: T, h: T, dh: T) -> ([T; 4], T) {
    let dn = dh * (T::ONE - z) * (T::ONE - n * n);
    let dr = dn * s * r * (T::ONE - r);
    let dz = dh * (h - n) * z * (T::ONE - z);
    ([dr, dz, dn, dn * r], dh * z)
}

/// h' of a plain unit.
#[inline(always)]
pub fn plain<T: Real>(cell: Cell, a: T) -> T {
    match cell {
        Cell::RnnTanh => a.tanh(),
        _ if a > T::ZERO || a.is_nan() => a,
        _ => T::ZERO,
    }
}

/// The gradient of the sum of a plain unit.
#[inline(always)]
pub fn plain_adjoint<T: Real>(cell: Cell, h: T, dh: T) -> T {
    match cell {
        Cell::RnnTanh => dh * (T::ONE - h * h),
        _ if h > T::ZERO || h.is_nan() => dh,
        _ => T::ZERO,
    }
}

impl Recurrence {
    /// The index of the `n`-th step that is taken, and the rows of the state before and after it.
    #[inline(always)]
    pub fn step(self, n: usize, steps: usize) -> (usize, usize, usize) {
        if self.reverse { (steps - 1 - n, steps - n, steps - 1 - n) } else { (n, n, n + 1) }
    }
}

/// What the layer reads.
#[derive(Clone, Copy)]
pub struct Given<'a, T> {
    /// The input's part of the sums, `[steps, batch, gates * hidden]`.
    pub gates: &'a [T],
    /// The weight of the state, `[gates * hidden, hidden]`.
    pub weight: &'a [T],
    /// h before the first step, `[batch, hidden]`.
    pub h: &'a [T],
    /// LSTM: c before the first step, `[batch, hidden]`. GRU: the bias of the state's part of n, `[hidden]`.
    pub other: &'a [T],
    /// Steps of each sample; all, if `None`.
    pub lengths: Option<&'a [i64]>,
}

/// Whether sample `n` takes step `t`.
#[inline(always)]
pub fn takes(lengths: Option<&[i64]>, n: usize, t: usize) -> bool {
    lengths.is_none_or(|lengths| (t as i64) < lengths[n])
}

/// Fills `saved`: see [`crate::ops::recurrent`].
#[inline(always)]
pub fn forward<T: Real>(of: Recurrence, size: Extent, given: Given<'_, T>, saved: &mut [T]) {
    let Extent { steps, batch, hidden } = size;
    let (gates, all) = (of.cell.gates(), of.cell.gates() * hidden);
    let at = |field: usize, row: usize, n: usize, j: usize| ((field * (steps + 1) + row) * batch + n) * hidden + j;
    let first = of.cell.differentiated();
    let (_, start, _) = of.step(0, steps);
    saved.fill(T::ZERO);
    saved[at(0, start, 0, 0)..][..batch * hidden].copy_from_slice(given.h);
    if of.cell == Cell::Lstm {
        saved[at(1, start, 0, 0)..][..batch * hidden].copy_from_slice(given.other);
    }
    for step in 0..steps {
        let (t, before, after) = of.step(step, steps);
        for n in 0..batch {
            for j in 0..hidden {
                if !takes(given.lengths, n, t) {
                    for field in 0..first {
                        saved[at(field, after, n, j)] = saved[at(field, before, n, j)];
                    }
                    continue;
                }
                let mut sums = [T::ZERO; 4];
                for (gate, sum) in sums[..gates].iter_mut().enumerate() {
                    let of_input = given.gates[(t * batch + n) * all + gate * hidden + j];
                    *sum = if of.cell == Cell::Gru && gate == 2 { given.other[j] } else { of_input };
                    for k in 0..hidden {
                        *sum = saved[at(0, before, n, k)].fma(given.weight[(gate * hidden + j) * hidden + k], *sum);
                    }
                }
                let h = match of.cell {
                    Cell::Lstm => {
                        let (h, c, acts) = lstm(sums, saved[at(1, before, n, j)]);
                        saved[at(1, after, n, j)] = c;
                        (0..4).for_each(|gate| saved[at(2 + gate, t, n, j)] = acts[gate]);
                        h
                    }
                    Cell::Gru => {
                        let [r, z, s, _] = sums;
                        let n_input = given.gates[(t * batch + n) * all + 2 * hidden + j];
                        let (h, [r, z, new]) = gru([r, z, n_input], s, saved[at(0, before, n, j)]);
                        [r, z, new, s].into_iter().zip(1..).for_each(|(y, field)| saved[at(field, t, n, j)] = y);
                        h
                    }
                    cell => plain(cell, sums[0]),
                };
                saved[at(0, after, n, j)] = h;
            }
        }
    }
}

/// Fills `out`: see [`crate::ops::recurrent`]. `g` is the gradient of the differentiated fields of `saved`.
#[inline(always)]
pub fn backward<T: Real>(
    of: Recurrence,
    size: Extent,
    (saved, weight, g): (&[T], &[T], &[T]),
    lengths: Option<&[i64]>,
    out: &mut [T],
) {
    let Extent { steps, batch, hidden } = size;
    let at = |field: usize, row: usize, n: usize, j: usize| ((field * (steps + 1) + row) * batch + n) * hidden + j;
    let (width, all) = (of.cell.gradients() * hidden, of.cell.gates() * hidden);
    let to_state = width - all;
    // What reaches the state other than through the sums, and what reaches c.
    let mut rest = vec![T::ZERO; batch * hidden];
    let mut through_c = vec![T::ZERO; batch * hidden];
    out.fill(T::ZERO);
    for step in (0..=steps).rev() {
        let row = if step == steps { of.step(steps - 1, steps).2 } else { of.step(step, steps).1 };
        for n in 0..batch {
            for j in 0..hidden {
                let mut dh = g[at(0, row, n, j)] + rest[n * hidden + j];
                if step < steps {
                    let after = of.step(step, steps).0;
                    for k in 0..all {
                        dh = out[(after * batch + n) * width + to_state + k].fma(weight[k * hidden + j], dh);
                    }
                }
                let lstm = of.cell == Cell::Lstm;
                let dc = if lstm { g[at(1, row, n, j)] + through_c[n * hidden + j] } else { T::ZERO };
                if step == 0 {
                    out[(steps * batch + n) * width + j] = dh;
                    if lstm {
                        out[(steps * batch + n) * width + hidden + j] = dc;
                    }
                    continue;
                }
                let (t, before, _) = of.step(step - 1, steps);
                if !takes(lengths, n, t) {
                    (rest[n * hidden + j], through_c[n * hidden + j]) = (dh, dc);
                    continue;
                }
                let kept = |field: usize| saved[at(field, t, n, j)];
                let da = &mut out[(t * batch + n) * width..][..width];
                match of.cell {
                    Cell::Lstm => {
                        let acts = [kept(2), kept(3), kept(4), kept(5)];
                        let c = saved[at(1, before, n, j)];
                        let (sums, dc) = lstm_adjoint(acts, c, saved[at(1, row, n, j)], dh, dc);
                        (0..4).for_each(|gate| da[gate * hidden + j] = sums[gate]);
                        (rest[n * hidden + j], through_c[n * hidden + j]) = (T::ZERO, dc);
                    }
                    Cell::Gru => {
                        let h = saved[at(0, before, n, j)];
                        let ([dr, dz, dn, ds], past) = gru_adjoint([kept(1), kept(2), kept(3)], kept(4), h, dh);
                        [dr, dz, dn, dr, dz, ds].into_iter().zip(0..).for_each(|(d, at)| da[at * hidden + j] = d);
                        rest[n * hidden + j] = past;
                    }
                    cell => {
                        da[j] = plain_adjoint(cell, saved[at(0, row, n, j)], dh);
                        rest[n * hidden + j] = T::ZERO;
                    }
                }
            }
        }
    }
}
