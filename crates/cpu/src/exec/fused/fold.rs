//! Reductions over tiles, in the order of [`tensor::order`].

use tensor::DType;
use tensor::op::Reduction;
use tensor::ops::binary::{max, min};
use tensor::order::{BLOCK, LANES, fold, fold_lanes};

use super::frame::Frame;
use super::kernels::Arg;
use super::program::{Kind, Line, Pass, What};
use super::walk::{Order, Tile};
use crate::simd::Simd;

/// A tile to be folded: `rows` folded points of `width` kept ones each, tile[r][k]; or, with width and stride 1, one line.
pub struct Folded {
    /// The values.
    pub tile: *const u8,
    /// Number of folded points.
    pub rows: usize,
    /// Number of kept points.
    pub width: usize,
    /// From one folded point to the next, in elements.
    pub stride: isize,
    /// The chain that takes the first folded point.
    pub phase: usize,
}

/// The functions of one reduction of one dtype. Chains are kept as `[LANES][width]`.
pub struct Fold {
    /// Sets chains of this width to the identity.
    pub start: unsafe fn(chains: *mut u8, width: usize),
    /// Adds a tile to the chains; of columns (a width above 1) no others are touched than those of its rows.
    pub add: unsafe fn(Simd, chains: *mut u8, &Folded),
    /// Folds the chains into one value for each kept point.
    pub finish: unsafe fn(Simd, chains: *mut u8, width: usize, out: *mut u8),
    /// Folds whole lines, tile[k][r], each of at most a block: one value a line.
    pub lines: unsafe fn(Simd, tile: *const u8, count: usize, length: usize, out: *mut u8),
    /// Folds block results: block b of kept point k lies at `partial + b * stride + k`.
    pub combine: unsafe fn(partial: *const u8, blocks: usize, stride: usize, width: usize, out: *mut u8),
}

// SAFETY notes in this block: chains, row registers and block results have room for what the program keeps in them.
impl Frame<'_> {
    /// A reduction over a tile that holds whole rows.
    pub(super) fn fold_whole(&mut self, index: usize, line: &Line, fold: &Fold, tile: &Tile) {
        let Kind::Row(row) = line.kind else { return };
        let out = self.row_register(row, tile.k0, line.size);
        let (data, stride) = (self.regs[line.args[0] as usize].data, self.stride(line, tile));
        // SAFETY: see above.
        unsafe {
            if self.program.order == Order::Rows {
                (fold.lines)(self.simd, data, tile.kn, tile.rn, out);
            } else {
                (fold.start)(self.chains, tile.kn);
                (fold.add)(
                    self.simd,
                    self.chains,
                    &Folded { tile: data, rows: tile.rn, width: tile.kn, stride, phase: 0 },
                );
                (fold.finish)(self.simd, self.chains, tile.kn, out);
            }
        }
        self.regs[index] = Arg { data: out, many: true };
    }

    /// Adds a tile to the chains of the reduction `number` of a pass: `[LANES][kn]` of columns, `[kn][LANES]` of rows.
    pub(super) fn add_fold(&self, pass: &Pass, number: usize, tile: &Tile) {
        let line = &self.program.lines[pass.folds[number] as usize];
        let What::Fold(fold) = line.what else { return };
        let (data, chains) = (self.regs[line.args[0] as usize].data, self.chains_of(number));
        let (lines, width) = if self.program.order == Order::Rows { (tile.kn, 1) } else { (1, tile.kn) };
        let stride = self.stride(line, tile);
        for k in 0..lines {
            let data = data.wrapping_add(k * tile.rn * line.size);
            let folded = Folded { tile: data, rows: tile.rn, width, stride, phase: tile.r0 % LANES };
            // SAFETY: see above.
            unsafe { (fold.add)(self.simd, chains.wrapping_add(k * LANES * line.size), &folded) };
        }
    }

    /// From one folded point of a tile to the next, of what a reduction reads.
    fn stride(&self, line: &Line, tile: &Tile) -> isize {
        match (self.program.order, &self.program.lines[line.args[0] as usize].what) {
            (Order::Rows, _) => 1,
            (_, &What::Load { operand, lines: true, .. }) => {
                self.program.operands[operand as usize].lines().unwrap_or_default()
            }
            _ => tile.kn as isize,
        }
    }

    /// Begins the chains of a pass for `kn` kept points.
    pub(super) fn start_chains(&self, pass: &Pass, kn: usize) {
        for (number, &line) in pass.folds.iter().enumerate() {
            let What::Fold(fold) = self.program.lines[line as usize].what else { continue };
            // SAFETY: see above.
            unsafe { (fold.start)(self.chains_of(number), kn) };
        }
    }

    /// Brings what the chains of a pass come to in the block from `block` on to its places.
    pub(super) fn finish_chains(&self, pass: &Pass, (k0, kn): (usize, usize), block: usize) {
        for (number, &line) in pass.folds.iter().enumerate() {
            let line = &self.program.lines[line as usize];
            let Kind::Row(row) = line.kind else { continue };
            let out = if self.program.blocks() == 1 {
                self.row_register(row, k0, line.size)
            } else {
                self.block_result(number, block / BLOCK, k0, line.size)
            };
            self.finish_fold(line, number, kn, out);
        }
    }

    /// Writes what the chains of a reduction come to, for each of `kn` kept points.
    fn finish_fold(&self, line: &Line, number: usize, kn: usize, out: *mut u8) {
        let What::Fold(fold) = line.what else { return };
        let chains = self.chains_of(number);
        let (lines, width) = if self.program.order == Order::Rows { (kn, 1) } else { (1, kn) };
        for k in 0..lines {
            let chains = chains.wrapping_add(k * LANES * line.size);
            // SAFETY: see above.
            unsafe { (fold.finish)(self.simd, chains, width, out.wrapping_add(k * line.size)) };
        }
    }

    /// The chains of the reduction `number` of a pass.
    pub(super) fn chains_of(&self, number: usize) -> *mut u8 {
        self.chains.wrapping_add(number * LANES * self.program.tile_kept * 8)
    }

    /// Where the result of a block of a reduction goes, for the kept points from `k0` on.
    fn block_result(&self, fold: usize, block: usize, k0: usize, size: usize) -> *mut u8 {
        let skipped = if self.shared { k0 } else { k0 - self.base };
        let before = (fold * self.program.blocks() + block) * self.capacity * 8;
        self.partial.wrapping_add(before + skipped * size)
    }

    /// Folds the block results of a pass into row registers.
    pub(super) fn combine(&mut self, pass: &Pass, k0: usize, kn: usize) {
        let blocks = self.program.blocks();
        for (number, &fold_line) in pass.folds.iter().enumerate() {
            let line = &self.program.lines[fold_line as usize];
            let (What::Fold(fold), Kind::Row(row)) = (&line.what, line.kind) else { continue };
            let out = self.row_register(row, k0, line.size);
            if blocks > 1 {
                let partial = self.block_result(number, 0, k0, line.size);
                let stride = self.capacity * 8 / line.size;
                // SAFETY: see above.
                unsafe { (fold.combine)(partial, blocks, stride, kn, out) };
            }
            self.regs[fold_line as usize] = Arg { data: out, many: true };
        }
    }
}

#[inline(always)]
unsafe fn add<T: Copy>(chains: *mut T, folded: &Folded, op: impl Fn(T, T) -> T) {
    let &Folded { tile, rows, width, stride, phase } = folded;
    // SAFETY: the chains hold LANES * width values and the tile rows of width, stride apart, which the caller promises.
    unsafe {
        if (width, stride) == (1, 1) {
            let chains = std::slice::from_raw_parts_mut(chains, LANES);
            let tile: &[T] = std::slice::from_raw_parts(tile.cast(), rows);
            let mut local: [T; LANES] = std::array::from_fn(|lane| chains[lane]);
            let (head, tile) = tile.split_at(((LANES - phase) % LANES).min(rows));
            for (chain, x) in local[phase..].iter_mut().zip(head) {
                *chain = op(*chain, *x);
            }
            let (groups, rest) = tile.as_chunks::<LANES>();
            for group in groups {
                for lane in 0..LANES {
                    local[lane] = op(local[lane], group[lane]);
                }
            }
            for (chain, x) in local.iter_mut().zip(rest) {
                *chain = op(*chain, *x);
            }
            chains.copy_from_slice(&local);
            return;
        }
        // The compiler must not see that a maximum goes where the first of two numbers came from: it would make stores under
        // a mask, which some processors carry out number by number.
        let to = std::hint::black_box(chains);
        let mut row = 0;
        while row < rows {
            let lane = (phase + row) % LANES;
            // Lines without gaps are one line.
            let here = if stride == width as isize { (LANES - lane).min(rows - row) } else { 1 };
            let line: *const T = tile.cast::<T>().offset(row as isize * stride);
            let (from, to, count) = (chains.add(lane * width), to.add(lane * width), here * width);
            let whole = count - count % LANES;
            for at in (0..whole).step_by(LANES) {
                let mut group: [T; LANES] = from.add(at).cast::<[T; LANES]>().read();
                let other: [T; LANES] = line.add(at).cast::<[T; LANES]>().read();
                for (chain, x) in group.iter_mut().zip(other) {
                    *chain = op(*chain, x);
                }
                to.add(at).cast::<[T; LANES]>().write(group);
            }
            for at in whole..count {
                to.add(at).write(op(from.add(at).read(), line.add(at).read()));
            }
            row += here;
        }
    }
}

#[inline(always)]
unsafe fn finish<T: Copy>(chains: *mut T, width: usize, out: *mut T, op: impl Fn(T, T) -> T) {
    // SAFETY: as promised for `Fold::finish`.
    unsafe {
        let chains = std::slice::from_raw_parts_mut(chains, LANES * width);
        let mut half = LANES / 2;
        while half > 0 {
            let (low, high) = chains.split_at_mut(half * width);
            for (a, b) in low.iter_mut().zip(high.iter()) {
                *a = op(*a, *b);
            }
            half /= 2;
        }
        std::slice::from_raw_parts_mut(out, width).copy_from_slice(&chains[..width]);
    }
}

#[inline(always)]
unsafe fn lines<T: Copy>(
    tile: *const T,
    count: usize,
    length: usize,
    out: *mut T,
    identity: T,
    op: impl Fn(T, T) -> T + Copy,
) {
    // SAFETY: as promised for `Fold::lines`.
    unsafe {
        let tile = std::slice::from_raw_parts(tile, count * length);
        let out = std::slice::from_raw_parts_mut(out, count);
        for (i, y) in out.iter_mut().enumerate() {
            let mut chains = [identity; LANES];
            let (groups, rest) = tile[i * length..][..length].as_chunks::<LANES>();
            for group in groups {
                for lane in 0..LANES {
                    chains[lane] = op(chains[lane], group[lane]);
                }
            }
            for (chain, x) in chains.iter_mut().zip(rest) {
                *chain = op(*chain, *x);
            }
            *y = fold_lanes(chains, op);
        }
    }
}

unsafe fn combine<T: Copy>(
    partial: *const T,
    blocks: usize,
    stride: usize,
    width: usize,
    out: *mut T,
    identity: T,
    op: fn(T, T) -> T,
) {
    for k in 0..width {
        // SAFETY: as promised for `Fold::combine`.
        unsafe { *out.add(k) = fold(blocks, &|b| *partial.add(b * stride + k), identity, op) };
    }
}

macro_rules! table {
    ($t:ty, $identity:expr, $op:expr) => {{
        const FOLD: Fold = Fold {
            // SAFETY: of each function: the promise of its caller.
            start: |chains, width| unsafe {
                std::slice::from_raw_parts_mut(chains.cast::<$t>(), LANES * width).fill($identity)
            },
            add: |simd, chains, folded| {
                simd.run(
                    #[inline(always)]
                    // SAFETY: as above.
                    || unsafe { add::<$t>(chains.cast(), folded, $op) },
                )
            },
            finish: |simd, chains, width, out| {
                simd.run(
                    #[inline(always)]
                    // SAFETY: as above.
                    || unsafe { finish::<$t>(chains.cast(), width, out.cast(), $op) },
                )
            },
            lines: |simd, tile, count, length, out| {
                simd.run(
                    #[inline(always)]
                    // SAFETY: as above.
                    || unsafe { lines::<$t>(tile.cast(), count, length, out.cast(), $identity, $op) },
                )
            },
            // SAFETY: as above.
            combine: |partial, blocks, stride, width, out| unsafe {
                combine::<$t>(partial.cast(), blocks, stride, width, out.cast(), $identity, $op)
            },
        };
        &FOLD
    }};
}

/// The identities are those of [`tensor::ops::reduce::identity`].
macro_rules! reductions {
    ($t:ty, $op:expr, $sum:expr, $prod:expr) => {
        match $op {
            Reduction::Sum => table!(
                $t,
                0 as $t,
                #[inline(always)]
                $sum
            ),
            Reduction::Prod => table!(
                $t,
                1 as $t,
                #[inline(always)]
                $prod
            ),
            Reduction::Max => table!(
                $t,
                f64::NEG_INFINITY as $t,
                #[inline(always)]
                |a: $t, b: $t| max(a, b)
            ),
            Reduction::Min => table!(
                $t,
                f64::INFINITY as $t,
                #[inline(always)]
                |a: $t, b: $t| min(a, b)
            ),
        }
    };
}

/// The functions of a reduction of `dtype`, if it is defined.
pub fn of(op: Reduction, dtype: DType) -> Option<&'static Fold> {
    Some(match dtype {
        DType::F32 => reductions!(f32, op, |a: f32, b: f32| a + b, |a: f32, b: f32| a * b),
        DType::F64 => reductions!(f64, op, |a: f64, b: f64| a + b, |a: f64, b: f64| a * b),
        DType::I32 => reductions!(i32, op, |a: i32, b: i32| a.wrapping_add(b), |a: i32, b: i32| a.wrapping_mul(b)),
        DType::I64 => reductions!(i64, op, |a: i64, b: i64| a.wrapping_add(b), |a: i64, b: i64| a.wrapping_mul(b)),
        DType::U8 => reductions!(u8, op, |a: u8, b: u8| a.wrapping_add(b), |a: u8, b: u8| a.wrapping_mul(b)),
        _ => return None,
    })
}
