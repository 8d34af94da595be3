//! The loops of sums made together ([`super::moments`]): their chains stay in registers along a part of a row.

use tensor::order::LANES;

use super::ahead::{Ahead, SEGMENT};
use super::pieces::Pieces;
use super::vector::{Vector, with_vectors};
use crate::simd::Simd;

/// A part of a row.
pub struct Row {
    /// The first and, if there is one, the second array.
    pub arrays: [Values; 2],
    /// The points.
    pub points: Points,
}

/// Which points of a row are added.
#[derive(Clone, Copy)]
pub struct Points {
    /// The chain of the first point.
    pub phase: usize,
    /// Their number.
    pub len: usize,
    /// How they are broken.
    pub pieces: Pieces,
}

/// Where the values of an array lie; null if there is none.
#[derive(Clone, Copy)]
pub struct Values {
    /// The start of the first piece.
    pub data: *const f32,
    /// From a piece to the next.
    pub jump: isize,
    /// What is subtracted from each.
    pub less: f32,
    /// By which they are multiplied, point by point, or null.
    pub times: *const f32,
}

impl Values {
    /// No array.
    pub const NONE: Values = Values { data: std::ptr::null(), jump: 0, less: 0.0, times: std::ptr::null() };
}

/// Adds the points of a row to the chains of the sums of x, x x, y and x y; every [`SEGMENT`] points asks for what is needed next. (A
/// number less zero is itself.)
///
/// # Safety
/// The arrays hold the points, and so does what multiplies them; chains are 16 floats each.
pub unsafe fn add(simd: Simd, row: &Row, chains: [*mut f32; 4], ahead: &mut Ahead) {
    // SAFETY: by the promise of the caller; a `Simd` says what the processor has.
    with_vectors!(simd, |V| unsafe { loops::<V>(row, chains, ahead) });
}

/// The same of rows of which only their sums are wanted.
///
/// # Safety
/// Each row holds the points, its pieces `jump` apart; chains are 16 floats each.
pub unsafe fn add_alone<const ROWS: usize>(
    simd: Simd,
    rows: [*const f32; ROWS],
    jump: isize,
    chains: [*mut f32; ROWS],
    points: Points,
    ahead: &mut Ahead,
) {
    // SAFETY: as above.
    with_vectors!(simd, |V| unsafe { alone::<V, ROWS>(rows, jump, chains, points, ahead) });
}

/// For each register of the 16 lanes in turn, `$part` of those of its lanes that are among `$lanes`.
macro_rules! of_lanes {
    ($vector:ident, $lanes:expr, |$v:ident, $part:ident| $block:block) => {
        for $v in 0..LANES / $vector::WIDTH {
            let within = |lane: usize| lane.saturating_sub($v * $vector::WIDTH).min($vector::WIDTH);
            let $part = within($lanes.start)..within($lanes.end);
            if !$part.is_empty() {
                $block
            }
        }
    };
}

/// Points before the first whole group of 16, and those that end the last one.
#[inline(always)]
fn whole_groups(phase: usize, len: usize) -> (usize, usize) {
    let head = ((LANES - phase) % LANES).min(len);
    (head, len - (len - head) % LANES)
}

#[inline(always)]
unsafe fn alone<V: Vector, const ROWS: usize>(
    rows: [*const f32; ROWS],
    jump: isize,
    chains: [*mut f32; ROWS],
    points: Points,
    ahead: &mut Ahead,
) {
    // SAFETY: of all that follows: within the rows, by the promise of the caller, and within the chains. (A chain is never -0, so that
    // the zeros of lanes without a point change nothing.)
    unsafe {
        let mut sums = [[V::splat(0.0); LANES / 4]; ROWS];
        for (sums, chains) in sums.iter_mut().zip(chains) {
            *sums = load::<V>(chains);
        }
        for piece in points.pieces.of(points.len) {
            let phase = (points.phase + piece.place) % LANES;
            let (head, rest) = whole_groups(phase, piece.count);
            let mut data = rows;
            for row in &mut data {
                *row = row.wrapping_offset(piece.number as isize * jump).wrapping_add(piece.skip);
            }
            macro_rules! part {
                ($lanes:expr, $back:expr) => {
                    of_lanes!(V, $lanes, |v, lanes| {
                        for (sums, row) in sums.iter_mut().zip(data) {
                            let from = row.wrapping_add(v * V::WIDTH).wrapping_sub($back);
                            sums[v] = sums[v].add(V::part(from, lanes.clone()));
                        }
                    })
                };
            }
            if head > 0 {
                part!(phase..phase + head, phase);
            }
            for first in (head..rest.max(head + 1)).step_by(SEGMENT) {
                for _ in 0..ROWS {
                    ahead.ask();
                }
                for at in (first..rest.min(first + SEGMENT)).step_by(LANES) {
                    for v in 0..LANES / V::WIDTH {
                        for (sums, row) in sums.iter_mut().zip(data) {
                            sums[v] = sums[v].add(V::load(row.add(at + v * V::WIDTH)));
                        }
                    }
                }
            }
            if rest < piece.count {
                part!(0..piece.count - rest, 0usize.wrapping_sub(rest));
            }
        }
        for (sums, chains) in sums.into_iter().zip(chains) {
            store(sums, chains);
        }
    }
}

#[inline(always)]
unsafe fn loops<V: Vector>(row: &Row, sums: [*mut f32; 4], ahead: &mut Ahead) {
    let [x, y] = &row.arrays;
    // SAFETY: of all: the promise of the caller.
    unsafe {
        match (x.times.is_null(), y.data.is_null(), y.times.is_null()) {
            (true, true, _) => row_of::<V, false, false, false>(row, sums, ahead),
            (false, true, _) => row_of::<V, true, false, false>(row, sums, ahead),
            (true, false, true) => row_of::<V, false, true, false>(row, sums, ahead),
            (false, false, true) => row_of::<V, true, true, false>(row, sums, ahead),
            (true, false, false) => row_of::<V, false, true, true>(row, sums, ahead),
            (false, false, false) => row_of::<V, true, true, true>(row, sums, ahead),
        }
    }
}

/// `TX` and `TY`: whether x and y are multiplied; `TWO`: whether there is a y.
#[inline(always)]
unsafe fn row_of<V: Vector, const TX: bool, const TWO: bool, const TY: bool>(
    row: &Row,
    sums: [*mut f32; 4],
    ahead: &mut Ahead,
) {
    let &Row { arrays, points } = row;
    // SAFETY: of all that follows: within the arrays, by the promise of the caller, and within the chains. (A chain is never -0, so that
    // the zeros of lanes without a point change nothing.)
    unsafe {
        let [mut of_x, mut of_xx, mut of_y, mut of_xy] = sums.map(|sums| load::<V>(sums));
        let (less_x, less_y) = (V::splat(arrays[0].less), V::splat(arrays[1].less));
        macro_rules! add {
            ($v:expr, $a:expr, $b:expr) => {{
                let (v, a) = ($v, $a);
                of_x[v] = of_x[v].add(a);
                of_xx[v] = of_xx[v].add(a.mul(a));
                if TWO {
                    let b = $b;
                    of_y[v] = of_y[v].add(b);
                    of_xy[v] = of_xy[v].add(a.mul(b));
                }
            }};
        }
        for piece in points.pieces.of(points.len) {
            let phase = (points.phase + piece.place) % LANES;
            let (head, rest) = whole_groups(phase, piece.count);
            let [mut x, mut y] = arrays;
            for of in [&mut x, &mut y] {
                of.data = of.data.wrapping_offset(piece.number as isize * of.jump).wrapping_add(piece.skip);
                of.times = of.times.wrapping_add(piece.place);
            }
            macro_rules! part {
                ($of:ident, $times:ident, $less:ident, $back:expr, $lanes:ident) => {{
                    let value = V::part($of.data.wrapping_sub($back), $lanes.clone());
                    if $times {
                        value.mul(V::part($of.times.wrapping_sub($back), $lanes.clone()))
                    } else {
                        value.sub($less).keep($lanes.clone())
                    }
                }};
            }
            macro_rules! parts {
                ($lanes:expr, $back:expr) => {
                    of_lanes!(V, $lanes, |v, lanes| {
                        let back = usize::wrapping_sub($back, v * V::WIDTH);
                        add!(v, part!(x, TX, less_x, back, lanes), part!(y, TY, less_y, back, lanes));
                    })
                };
            }
            macro_rules! value {
                ($of:ident, $times:ident, $less:ident, $at:expr) => {{
                    let value = V::load($of.data.add($at));
                    if $times { value.mul(V::load($of.times.add($at))) } else { value.sub($less) }
                }};
            }
            if head > 0 {
                parts!(phase..phase + head, phase);
            }
            for first in (head..rest.max(head + 1)).step_by(SEGMENT) {
                ahead.ask();
                for at in (first..rest.min(first + SEGMENT)).step_by(LANES) {
                    for v in 0..LANES / V::WIDTH {
                        let at = at + v * V::WIDTH;
                        add!(v, value!(x, TX, less_x, at), value!(y, TY, less_y, at));
                    }
                }
            }
            if rest < piece.count {
                parts!(0..piece.count - rest, usize::wrapping_sub(0, rest));
            }
        }
        for (sums, chains) in [of_x, of_xx, of_y, of_xy].into_iter().zip(sums) {
            store(sums, chains);
        }
    }
}

/// 16 chains in registers; those past the end are not used.
#[inline(always)]
unsafe fn load<V: Vector>(chains: *const f32) -> [V; LANES / 4] {
    // SAFETY: of both: within the chains.
    let mut registers = unsafe { [V::splat(0.0); LANES / 4] };
    for (v, register) in registers[..LANES / V::WIDTH].iter_mut().enumerate() {
        *register = unsafe { V::load(chains.add(v * V::WIDTH)) };
    }
    registers
}

#[inline(always)]
unsafe fn store<V: Vector>(registers: [V; LANES / 4], chains: *mut f32) {
    for (v, register) in registers[..LANES / V::WIDTH].iter().enumerate() {
        // SAFETY: within the chains.
        unsafe { register.store(chains.add(v * V::WIDTH)) };
    }
}
