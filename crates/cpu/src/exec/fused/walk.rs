//! Walking memory by strides: which elements of an operand belong to a tile, run by run.

use tensor::{AxisSet, Layout, Shape};

use crate::copy::{copy_reversed, copy_run, copy_runs};
use crate::gemm::{Kernel, RawLines};
use crate::simd::Simd;

/// Nested loops over memory, outermost first. Neighbours that are one loop are merged.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    dims: Vec<Dim>,
}

/// One of the loops of a walk.
#[derive(Debug, Clone, Copy)]
struct Dim {
    count: usize,
    /// In elements.
    stride: isize,
    /// What a small index is multiplied by to be divided by `count`; 0 for a count of 1.
    inverse: u64,
}

impl Dim {
    fn new(count: usize, stride: isize) -> Dim {
        let inverse = (u64::MAX / count.max(1) as u64).wrapping_add(1);
        Dim { count, stride, inverse }
    }

    /// `index / count` and `index % count`: below 2^32 by a product, rounded up so little that it does not show (Lemire, Kaser
    /// and Kurz 2019, "Faster remainder by direct computation").
    #[inline(always)]
    fn divide(&self, index: usize) -> (usize, usize) {
        let small = self.inverse != 0 && (index | self.count) <= u32::MAX as usize;
        let quotient =
            if small { ((u128::from(self.inverse) * index as u128) >> 64) as usize } else { index / self.count };
        (quotient, index - quotient * self.count)
    }
}

impl Walk {
    fn new(loops: impl Iterator<Item = (usize, isize)>) -> Walk {
        let mut dims: Vec<Dim> = Vec::new();
        for (count, stride) in loops.filter(|&(count, _)| count != 1) {
            match dims.last_mut() {
                Some(outer) if outer.stride == stride * count as isize => {
                    *outer = Dim::new(outer.count * count, stride)
                }
                _ => dims.push(Dim::new(count, stride)),
            }
        }
        if dims.is_empty() {
            dims.push(Dim::new(1, 0));
        }
        Walk { dims }
    }

    /// Position of the element with this row-major index.
    #[inline(always)]
    pub fn at(&self, mut index: usize) -> isize {
        let Some((outermost, inner)) = self.dims.split_first() else { return 0 };
        let mut position = 0;
        for dim in inner.iter().rev() {
            let (quotient, rest) = dim.divide(index);
            position += rest as isize * dim.stride;
            index = quotient;
        }
        position + index as isize * outermost.stride
    }

    /// Whether the elements `first .. first + count` lie side by side.
    #[inline(always)]
    fn dense(&self, first: usize, count: usize) -> bool {
        match self.dims[..] {
            [dim] => dim.stride == 1 || count == 1,
            [.., dim] => count == 1 || (dim.stride == 1 && dim.divide(first).1 + count <= dim.count),
            [] => true,
        }
    }

    /// Calls `run(position, stride, count)` for each evenly strided run of the elements `first .. first + count`.
    #[inline(always)]
    fn runs(&self, first: usize, count: usize, mut run: impl FnMut(isize, isize, usize)) {
        let Some(inner) = self.dims.last() else { return };
        if self.dims.len() == 1 {
            run(first as isize * inner.stride, inner.stride, count);
            return;
        }
        let (mut next, mut left) = (first, count);
        while left > 0 {
            let here = (inner.count - inner.divide(next).1).min(left);
            run(self.at(next), inner.stride, here);
            next += here;
            left -= here;
        }
    }

    fn is_zero(&self) -> bool {
        self.dims.iter().all(|dim| dim.stride == 0)
    }
}

/// A part of the iteration space: `kept` results, and a range of what each of them folds.
#[derive(Debug, Clone, Copy)]
pub struct Tile {
    /// First kept point.
    pub k0: usize,
    /// Number of kept points.
    pub kn: usize,
    /// First folded point.
    pub r0: usize,
    /// Number of folded points.
    pub rn: usize,
}

/// How the points of a tile follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Folded points side by side: tile[k][r].
    Rows,
    /// Kept points side by side: tile[r][k].
    Columns,
}

/// Where an operand of a program lies.
#[derive(Debug, Clone)]
pub struct Operand {
    /// Its slot.
    pub slot: usize,
    /// Bytes of an element.
    pub size: usize,
    offset: isize,
    kept: Walk,
    reduced: Walk,
    /// All tiles that hold whole inner lines are contiguous, in this order of points.
    linear: Option<Order>,
    /// One element for all points.
    pub uniform: bool,
}

impl Operand {
    /// The operand that lies in `slot` as `layout` says, iterated with the axes `reduced` folded.
    pub fn new(slot: usize, size: usize, layout: &Layout, reduced: AxisSet) -> Operand {
        let axes = |folded: bool| {
            let pick = move |&axis: &usize| reduced.contains(axis) == folded;
            Walk::new((0..layout.shape.rank()).filter(pick).map(|axis| (layout.shape[axis], layout.strides[axis])))
        };
        let (kept, reduced) = (axes(false), axes(true));
        let single = |walk: &Walk, stride: usize| match walk.dims[..] {
            [dim] => dim.count == 1 || dim.stride == stride as isize,
            _ => false,
        };
        let count = |walk: &Walk| walk.dims.iter().map(|dim| dim.count).product::<usize>();
        let linear = if single(&reduced, 1) && single(&kept, count(&reduced)) {
            Some(Order::Rows)
        } else if single(&kept, 1) && single(&reduced, count(&kept)) {
            Some(Order::Columns)
        } else {
            None
        };
        let uniform = kept.is_zero() && reduced.is_zero();
        Operand { slot, size, offset: layout.offset as isize, kept, reduced, linear, uniform }
    }

    /// A contiguous slot of this shape; axes of size 1 repeat along `space`.
    pub fn contiguous(slot: usize, size: usize, shape: Shape, space: Shape, reduced: AxisSet) -> Operand {
        Operand::new(slot, size, &Layout::contiguous(shape).expand(space), reduced)
    }

    /// Position of the first point of a tile.
    #[inline(always)]
    pub fn first(&self, tile: &Tile) -> isize {
        self.offset + self.kept.at(tile.k0) + self.reduced.at(tile.r0)
    }

    /// Position of the first point, if the points of the tile lie side by side in this order.
    #[inline(always)]
    pub fn direct(&self, tile: &Tile, order: Order) -> Option<isize> {
        let dense = match order {
            Order::Rows if tile.kn == 1 => self.reduced.dense(tile.r0, tile.rn),
            Order::Rows => tile.rn == self.inner(order) && self.linear == Some(order),
            Order::Columns if tile.rn == 1 => self.kept.dense(tile.k0, tile.kn),
            Order::Columns => tile.kn == self.inner(order) && self.linear == Some(order),
        };
        dense.then(|| self.first(tile))
    }

    /// Whether the points of every tile lie side by side.
    pub fn always_direct(&self, order: Order) -> bool {
        // Tiles of several columns may be narrower than the space; those of several rows hold whole rows, but for squares and for
        // parts of rows that all jump.
        order == Order::Rows && self.linear == Some(Order::Rows)
    }

    /// Distance of folded points, if they lie evenly, and kept ones side by side.
    pub fn lines(&self) -> Option<isize> {
        match (&self.kept.dims[..], &self.reduced.dims[..]) {
            ([Dim { stride: 1, .. }], [Dim { stride, .. }]) => Some(*stride),
            _ => None,
        }
    }

    /// Whether all kept points have the same element.
    pub fn same_for_all_kept(&self) -> bool {
        self.kept.is_zero()
    }

    /// Whether all folded points have the same element.
    pub fn same_for_all_folded(&self) -> bool {
        self.reduced.is_zero()
    }

    /// Whether all kept points, several, have the same elements, which lie side by side.
    pub fn is_one_line(&self) -> bool {
        let several = self.kept.dims.iter().any(|dim| dim.count > 1);
        several && self.same_for_all_kept() && matches!(self.reduced.dims[..], [Dim { stride: 1, .. }])
    }

    /// Whether, of rows of `length` numbers that follow each other, it reads in each folded point the row of that number alone.
    pub fn lies_in_rows(&self, length: usize) -> bool {
        let by_rows = matches!(self.reduced.dims[..], [Dim { stride, .. }] if stride == length as isize);
        let within = match self.kept.dims[..] {
            [Dim { count, stride, .. }] => stride == 0 || (stride == 1 && count <= length),
            _ => false,
        };
        self.offset == 0 && by_rows && within
    }

    /// Points of a piece, if rows lie evenly and are broken into pieces that do.
    pub fn piece(&self) -> Option<usize> {
        match (&self.kept.dims[..], &self.reduced.dims[..]) {
            ([_], &[_, Dim { count, stride: 1, .. }]) => Some(count),
            _ => None,
        }
    }

    /// Where the pieces of the first row of a tile begin, and from a row and from a piece to the next.
    pub fn pieces(&self, tile: &Tile) -> (isize, isize, isize) {
        let (&[rows], &[outer, inner]) = (&self.kept.dims[..], &self.reduced.dims[..]) else { return (0, 0, 0) };
        let first = tile.k0 as isize * rows.stride + inner.divide(tile.r0).0 as isize * outer.stride;
        (self.offset + first, rows.stride, outer.stride)
    }

    /// Distance of folded points, if they lie evenly and all kept points have the same element.
    pub fn one_a_line(&self) -> Option<usize> {
        match self.reduced.dims[..] {
            [Dim { stride, .. }] if self.same_for_all_kept() => usize::try_from(stride).ok(),
            _ => None,
        }
    }

    /// Folded points after which it jumps in memory, if it does.
    pub fn run(&self) -> Option<usize> {
        match self.reduced.dims[..] {
            [_] | [] => None,
            [.., Dim { count, stride: 1 | 0, .. }] => Some(count),
            _ => None,
        }
    }

    /// Position of the first point and distance of folded ones, if it is kept points that lie side by side.
    #[inline(always)]
    fn across(&self, tile: &Tile, order: Order) -> Option<(isize, isize)> {
        match self.reduced.dims[..] {
            [Dim { stride, .. }] if order == Order::Rows && tile.kn > 1 && !(0..=1).contains(&stride) => {
                self.kept.dense(tile.k0, tile.kn).then(|| (self.first(tile), stride))
            }
            _ => None,
        }
    }

    /// The walk over points that follow each other in a tile.
    fn along(&self, order: Order) -> &Walk {
        if order == Order::Rows { &self.reduced } else { &self.kept }
    }

    fn inner(&self, order: Order) -> usize {
        self.along(order).dims.iter().map(|dim| dim.count).product()
    }

    /// Calls `stretch(position, count)` for each stretch of memory that the rows of a tile share, else for each run side by side.
    pub fn stretches(&self, tile: &Tile, order: Order, mut stretch: impl FnMut(isize, usize)) {
        match (&self.kept.dims[..], &self.reduced.dims[..]) {
            // Runs of neighbouring rows follow each other, and most of each is in the tile.
            ([row], [.., run])
                if order == Order::Rows
                    && (run.stride, row.stride) == (1, run.count as isize)
                    && run.count <= 2 * tile.rn =>
            {
                let rows = self.offset + self.kept.at(tile.k0);
                let others = (tile.kn - 1) * run.count;
                self.reduced.runs(tile.r0, tile.rn, |position, _, count| stretch(rows + position, others + count));
            }
            _ if self.along(order).dims.last().is_none_or(|dim| dim.stride != 1) => {}
            _ => self.runs(tile, order, |position, _, count, _| stretch(position, count)),
        }
    }

    /// From one row of a tile to the next in memory, if rows are broken into runs side by side and begin evenly.
    #[inline(always)]
    fn broken_rows(&self, tile: &Tile, order: Order) -> Option<isize> {
        match (&self.kept.dims[..], &self.reduced.dims[..]) {
            (&[Dim { stride, .. }], [_, .., Dim { stride: 1, .. }]) if order == Order::Rows && tile.kn > 1 => {
                Some(stride)
            }
            _ => None,
        }
    }

    /// Calls `run(position, count, place in the tile)` for each run of the first row of a tile whose rows are broken.
    #[inline(always)]
    fn first_row(&self, tile: &Tile, mut run: impl FnMut(isize, usize, usize)) {
        let (start, mut place) = (self.offset + self.kept.at(tile.k0), 0);
        self.reduced.runs(tile.r0, tile.rn, |position, _, count| {
            run(start + position, count, place);
            place += count;
        });
    }

    /// Calls `run(position, stride, count, place in the tile)` for each evenly strided run of a tile.
    #[inline(always)]
    pub fn runs(&self, tile: &Tile, order: Order, mut run: impl FnMut(isize, isize, usize, usize)) {
        let (outer, o0, on, inner, i0, n) = match order {
            Order::Rows => (&self.kept, tile.k0, tile.kn, &self.reduced, tile.r0, tile.rn),
            Order::Columns => (&self.reduced, tile.r0, tile.rn, &self.kept, tile.k0, tile.kn),
        };
        if inner.dims.len() > 1 {
            // Broken lines: neighbours of one run come before the next run, as they lie in memory.
            let mut place = 0;
            inner.runs(i0, n, |position, stride, count| {
                for o in 0..on {
                    run(self.offset + outer.at(o0 + o) + position, stride, count, o * n + place);
                }
                place += count;
            });
            return;
        }
        for o in 0..on {
            let base = self.offset + outer.at(o0 + o);
            inner.runs(i0, n, |position, stride, count| run(base + position, stride, count, o * n));
        }
    }
}

/// Copies a tile whose kept points lie side by side and whose folded ones are `stride` apart: by lines of memory.
///
/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn transpose<T: Copy>(from: *const T, stride: isize, tile: &Tile, out: *mut T) {
    for r in 0..tile.rn {
        for k in 0..tile.kn {
            // SAFETY: by the promise of the caller.
            unsafe { *out.add(k * tile.rn + r) = *from.offset(r as isize * stride + k as isize) };
        }
    }
}

/// Writes each of `count` elements `times` times.
///
/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn repeat<T: Copy>(from: *const T, count: usize, times: usize, to: *mut T) {
    for i in 0..count {
        // SAFETY: of both: by the promise of the caller.
        let value = unsafe { *from.add(i) };
        for j in 0..times {
            unsafe { *to.add(i * times + j) = value };
        }
    }
}

/// Copies the elements of a tile from memory to `out`.
///
/// # Safety
/// `base` is the operand's memory, and `out` has room for the tile.
pub unsafe fn gather(simd: Simd, operand: &Operand, base: *const u8, tile: &Tile, order: Order, out: *mut u8) {
    // Moves look at no bits: what has four bytes may go as f32.
    if operand.size == size_of::<f32>()
        && let Some((first, stride)) = operand.across(tile, order)
        && let Ok(stride) = usize::try_from(stride)
    {
        let start = base.cast::<f32>().wrapping_offset(first);
        let lines = RawLines { start, stride, count: tile.rn, more: false, whole: false };
        // SAFETY: layouts stay within their slots, which the plan promises, and places within the tile.
        unsafe { Kernel::of(simd).transpose(lines, tile.kn, out.cast(), tile.rn) };
        return;
    }
    #[inline(always)]
    unsafe fn copy<T: Copy>(simd: Simd, operand: &Operand, base: *const T, tile: &Tile, order: Order, out: *mut T) {
        if let Some(rows) = operand.broken_rows(tile, order) {
            operand.first_row(tile, |position, count, place| {
                let (from, to) = (base.wrapping_offset(position), out.wrapping_add(place));
                simd.run(
                    #[inline(always)]
                    // SAFETY: as below.
                    || unsafe { copy_runs((from, rows), (to, tile.rn as isize), count, tile.kn) },
                );
            });
            return;
        }
        if let Some((position, stride)) = operand.across(tile, order) {
            // SAFETY: as below.
            unsafe { transpose(base.offset(position), stride, tile, out) };
            return;
        }
        if let (1, &[.., line, again]) = (tile.kn, &operand.reduced.dims[..])
            && (order, line.stride, again.stride) == (Order::Rows, 1, 0)
        {
            let base = base.wrapping_offset(operand.offset + operand.kept.at(tile.k0));
            let (mut next, end) = (tile.r0, tile.r0 + tile.rn);
            while next < end {
                let (element, done) = again.divide(next);
                let to = out.wrapping_add(next - tile.r0);
                let from = base.wrapping_offset(operand.reduced.at(next));
                let count = (line.count - line.divide(element).1).min((end - next) / again.count);
                // A part of an element's copies, or all copies of some.
                let part = done > 0 || count == 0;
                let (count, times) =
                    if part { (1, (again.count - done).min(end - next)) } else { (count, again.count) };
                // SAFETY: as below. (Twice is known to the compiler.)
                unsafe { if times == 2 { repeat(from, count, 2, to) } else { repeat(from, count, times, to) } };
                next += count * times;
            }
            return;
        }
        operand.runs(tile, order, |position, stride, count, place| {
            // SAFETY: layouts stay within their slots, which the plan promises, and places within the tile.
            unsafe {
                let (from, to) = (base.offset(position), out.add(place));
                match stride {
                    1 => copy_run(from, to, count),
                    0 => std::slice::from_raw_parts_mut(to, count).fill(*from),
                    -1 => copy_reversed(from, to, count),
                    _ => (0..count).for_each(|i| *to.add(i) = *from.offset(i as isize * stride)),
                }
            }
        });
    }
    // SAFETY: by the promise of the caller.
    unsafe {
        match operand.size {
            1 => copy::<u8>(simd, operand, base, tile, order, out),
            2 => copy::<u16>(simd, operand, base.cast(), tile, order, out.cast()),
            4 => copy::<u32>(simd, operand, base.cast(), tile, order, out.cast()),
            _ => copy::<u64>(simd, operand, base.cast(), tile, order, out.cast()),
        }
    }
}

/// Copies a tile to memory; `many` is false for one value that all points have.
///
/// # Safety
/// `base` is the operand's memory, writable, and `from` holds the tile.
pub unsafe fn scatter(
    simd: Simd,
    operand: &Operand,
    base: *mut u8,
    tile: &Tile,
    order: Order,
    (from, many): (*const u8, bool),
) {
    #[inline(always)]
    unsafe fn copy<T: Copy>(
        simd: Simd,
        operand: &Operand,
        base: *mut T,
        tile: &Tile,
        order: Order,
        (from, many): (*const T, bool),
    ) {
        if let Some(rows) = operand.broken_rows(tile, order).filter(|_| many) {
            operand.first_row(tile, |position, count, place| {
                let (from, to) = (from.wrapping_add(place), base.wrapping_offset(position));
                simd.run(
                    #[inline(always)]
                    // SAFETY: as in `gather`.
                    || unsafe { copy_runs((from, tile.rn as isize), (to, rows), count, tile.kn) },
                );
            });
            return;
        }
        operand.runs(tile, order, |position, stride, count, place| {
            // SAFETY: as in `gather`.
            unsafe {
                let to = base.offset(position);
                match (stride, many) {
                    (1, true) => copy_run(from.add(place), to, count),
                    (1, false) => std::slice::from_raw_parts_mut(to, count).fill(*from),
                    (_, true) => (0..count).for_each(|i| *to.offset(i as isize * stride) = *from.add(place + i)),
                    (_, false) => (0..count).for_each(|i| *to.offset(i as isize * stride) = *from),
                }
            }
        });
    }
    // SAFETY: by the promise of the caller.
    unsafe {
        match operand.size {
            1 => copy::<u8>(simd, operand, base, tile, order, (from, many)),
            2 => copy::<u16>(simd, operand, base.cast(), tile, order, (from.cast(), many)),
            4 => copy::<u32>(simd, operand, base.cast(), tile, order, (from.cast(), many)),
            _ => copy::<u64>(simd, operand, base.cast(), tile, order, (from.cast(), many)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_divided_as_by_division() {
        let most = u32::MAX as usize;
        for count in [1, 2, 3, 7, 49, 640, 65_535, 65_537, most - 1, most, most + 1, 3 * most] {
            let dim = Dim::new(count, 1);
            for times in [0, 1, 2, 1000, most / count, most / count + 1] {
                for index in [(times * count).saturating_sub(1), times * count, times * count + 1] {
                    assert_eq!(dim.divide(index), (index / count, index % count), "{index} by {count}");
                }
            }
        }
    }
}
