//! Sums made together: those of one or two arrays, of their squares and their product, each array less a number of its row.
//!
//! Normalisations and their gradients are made of such sums. A sum folds in 16 chains, additions of which each waits for
//! the one before; several sums side by side take little longer than one, and what is summed never goes through memory.
//! Differences, products and sums round one by one, in the order of [`tensor::order`], as they do apart.

use tensor::order::LANES;

use super::ahead::{Ahead, SEGMENT};
use super::chain::Function;
use super::frame::Frame;
use super::kernels::Arg;
use super::program::{Kind, Line, Pass, What};
use super::vector::{Vector, with_vectors};
use super::walk::Tile;
use crate::simd::Simd;

/// Sums made in one loop.
#[derive(Debug, PartialEq)]
pub struct Moments {
    x: Array,
    y: Option<Array>,
    /// The reductions that are the sums of x, x x, y and x y, by their numbers in the pass.
    pub sums: [Option<u16>; 4],
}

/// Where arrays begin, and what is subtracted from each.
type Arrays = [(*const f32, f32); 2];

/// Rows whose sums are made side by side, if they are summed as they are: the chains of one wait for themselves.
const TOGETHER: usize = 4;

/// A part of a row.
struct Row {
    arrays: Arrays,
    /// The chain of the first point.
    phase: usize,
    /// Number of points.
    len: usize,
}

const X: usize = 0;
const XX: usize = 1;
const Y: usize = 2;
const XY: usize = 3;

/// A line less a number of its row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Array {
    line: u16,
    less: Option<u16>,
}

impl Moments {
    /// The lines that it reads.
    pub fn inputs(&self) -> Vec<u16> {
        let of = |array: &Array| [Some(array.line), array.less].into_iter().flatten();
        of(&self.x).chain(self.y.iter().flat_map(of)).collect()
    }

    /// Whether x is summed as it is, and nothing else.
    fn alone(&self) -> bool {
        matches!((self.x.less, self.sums), (None, [Some(_), None, None, None]))
    }

    /// Exchanges x and y, if there is room for the square of y.
    fn turned(&mut self, x: Array) -> bool {
        if self.y != Some(x) || self.sums[XX].is_some() {
            return false;
        }
        self.y = Some(std::mem::replace(&mut self.x, x));
        self.sums.swap(X, Y);
        true
    }
}

/// What of these reductions is made together.
pub fn find(lines: &[Line], levels: &[usize], folds: &[u16]) -> Vec<Moments> {
    let mut all: Vec<(usize, Moments)> = Vec::new();
    let sums = folds.iter().enumerate().filter(|&(_, &fold)| lines[fold as usize].function == Some(Function::Sum));
    let mut sums: Vec<(usize, u16, Term)> = sums
        .map(|(number, &fold)| (levels[fold as usize], number as u16, term(lines, lines[fold as usize].args[0])))
        .collect();
    // What needs two arrays first: what needs one finds them there.
    sums.sort_by_key(|(.., term)| match term {
        Term::Product(..) => 0,
        Term::Square(_) => 1,
        Term::One(_) => 2,
    });
    for (level, number, term) in sums {
        let mut of_level = all.iter_mut().filter(|(other, _)| *other == level).map(|(_, moments)| moments);
        let free = |moments: &Moments, sum: usize| moments.sums[sum].is_none();
        let (x, y, sum) = match term {
            Term::Product(x, y) => {
                let place = |m: &mut Moments| {
                    let same = (m.x, m.y) == (x, Some(y)) || (m.x, m.y) == (y, Some(x));
                    let fits = same && free(m, XY);
                    m.sums[XY] = if fits { Some(number) } else { m.sums[XY] };
                    fits
                };
                if of_level.any(place) {
                    continue;
                }
                (x, Some(y), XY)
            }
            Term::Square(x) => {
                let place = |m: &mut Moments| {
                    let fits = (m.x == x && free(m, XX)) || m.turned(x);
                    m.sums[XX] = if fits { Some(number) } else { m.sums[XX] };
                    fits
                };
                if of_level.any(place) {
                    continue;
                }
                (x, None, XX)
            }
            Term::One(x) => {
                let place = |m: &mut Moments| {
                    let at = if m.x == x && free(m, X) {
                        X
                    } else if m.y.is_none_or(|y| y == x) && free(m, Y) {
                        m.y = Some(x);
                        Y
                    } else {
                        return false;
                    };
                    m.sums[at] = Some(number);
                    true
                };
                if of_level.any(place) {
                    continue;
                }
                (x, None, X)
            }
        };
        let mut moments = Moments { x, y, sums: [None; 4] };
        moments.sums[sum] = Some(number);
        all.push((level, moments));
    }
    all.into_iter().map(|(_, moments)| moments).collect()
}

/// What is summed.
enum Term {
    One(Array),
    Square(Array),
    Product(Array, Array),
}

fn term(lines: &[Line], line: u16) -> Term {
    if let (Some(Function::Mul), &[a, b]) = (lines[line as usize].function, lines[line as usize].inputs()) {
        match (array(lines, a), array(lines, b)) {
            (Some(x), Some(y)) if x == y => return Term::Square(x),
            (Some(x), Some(y)) => return Term::Product(x, y),
            _ => {}
        }
    }
    Term::One(array(lines, line).unwrap_or(Array { line, less: None }))
}

/// A line of a value a point, taken apart if it is a difference of one and a number of the row.
fn array(lines: &[Line], line: u16) -> Option<Array> {
    let many = |line: u16| {
        let line = &lines[line as usize];
        line.kind == Kind::Full && !matches!(line.what, What::Spread { .. })
    };
    if let (Some(Function::Sub), &[a, b]) = (lines[line as usize].function, lines[line as usize].inputs()) {
        let less = match lines[b as usize].what {
            What::Spread { .. } => Some(lines[b as usize].args[0]),
            _ => (lines[b as usize].kind == Kind::Uniform).then_some(b),
        };
        if less.is_some() && many(a) {
            return Some(Array { line: a, less });
        }
    }
    many(line).then_some(Array { line, less: None })
}

// SAFETY notes in this block: sums are of f32; their lines have a value for each point of a tile, or one for each row.
impl Frame<'_> {
    /// Adds a tile, parts of rows, to sums; meanwhile asks for what is needed next.
    pub(super) fn add_sums(&self, moments: &Moments, tile: &Tile, ahead: &mut Ahead) {
        let mut unused = [0.0f32; LANES];
        let unused = unused.as_mut_ptr();
        let of_row = |k: usize| {
            moments.sums.map(|sum| {
                sum.map_or(unused, |number| self.chains_of(number as usize).cast::<f32>().wrapping_add(k * LANES))
            })
        };
        let mut k = 0;
        while k < tile.kn {
            k += self.add_rows(moments, k, std::array::from_fn(|i| of_row(k + i)), tile, ahead);
        }
    }

    /// The sums of whole rows.
    pub(super) fn whole_sums(&mut self, moments: &Moments, pass: &Pass, tile: &Tile, ahead: &mut Ahead) {
        let mut k = 0;
        while k < tile.kn {
            let mut chains = [[[0.0f32; LANES]; 4]; TOGETHER];
            let pointers = chains.each_mut().map(|of_row| of_row.each_mut().map(|chains| chains.as_mut_ptr()));
            let done = self.add_rows(moments, k, pointers, tile, ahead);
            for (k, chains) in (k..).zip(&chains[..done]) {
                for (sum, &chains) in moments.sums.iter().zip(chains) {
                    let Some((_, row, size)) = sum.and_then(|number| self.row_of(pass, number)) else { continue };
                    let value = tensor::order::fold_lanes(chains, |a, b| a + b);
                    // SAFETY: a row register has room for a value of each kept point.
                    unsafe { self.row_register(row, tile.k0 + k, size).cast::<f32>().write(value) };
                }
            }
            k += done;
        }
        for number in moments.sums.into_iter().flatten() {
            if let Some((line, row, size)) = self.row_of(pass, number) {
                self.regs[line] = Arg { data: self.row_register(row, tile.k0, size), many: true };
            }
        }
    }

    /// Adds rows of a tile, from row `k` on, to the chains of each; returns how many.
    fn add_rows(
        &self,
        moments: &Moments,
        k: usize,
        chains: [[*mut f32; 4]; TOGETHER],
        tile: &Tile,
        ahead: &mut Ahead,
    ) -> usize {
        let (phase, len) = (tile.r0 % LANES, tile.rn);
        let (of, to) = (|k: usize| self.arrays(moments, tile, k)[0].0, chains.map(|[of_x, ..]| of_x));
        // SAFETY of all: see above.
        if moments.alone() && k + TOGETHER <= tile.kn {
            let rows = std::array::from_fn(|i| of(k + i));
            unsafe { add_alone::<TOGETHER>(self.simd, rows, to, (phase, len), ahead) };
            return TOGETHER;
        }
        if moments.alone() {
            unsafe { add_alone::<1>(self.simd, [of(k)], [to[0]], (phase, len), ahead) };
            return 1;
        }
        let row = Row { arrays: self.arrays(moments, tile, k), phase, len };
        unsafe { add(self.simd, &row, chains[0], ahead) };
        1
    }

    /// Line, row register and bytes of a value of a reduction.
    fn row_of(&self, pass: &Pass, number: u16) -> Option<(usize, usize, usize)> {
        let line = pass.folds[number as usize] as usize;
        let of = &self.program.lines[line];
        if let Kind::Row(row) = of.kind { Some((line, row, of.size)) } else { None }
    }

    /// Where the arrays of row `k` of a tile begin, and what is subtracted from each.
    fn arrays(&self, moments: &Moments, tile: &Tile, k: usize) -> Arrays {
        let of = |array: Array| {
            let data = self.regs[array.line as usize].data.cast::<f32>().wrapping_add(k * tile.rn);
            let less = array.less.map_or(0.0, |line| {
                let value = self.regs[line as usize];
                // SAFETY: see above.
                unsafe { *value.data.cast::<f32>().wrapping_add(if value.many { k } else { 0 }) }
            });
            (data, less)
        };
        [of(moments.x), moments.y.map_or((std::ptr::null(), 0.0), of)]
    }
}

/// Adds the points of a row to the chains of the four sums; every [`SEGMENT`] points asks for what is needed next. (A number
/// less zero is itself.)
///
/// # Safety
/// The first array, and the second if there is one, holds `row.len` floats; chains are 16 floats each.
unsafe fn add(simd: Simd, row: &Row, chains: [*mut f32; 4], ahead: &mut Ahead) {
    // SAFETY: by the promise of the caller; a `Simd` says what the processor has.
    with_vectors!(simd, |V| unsafe { loops::<V>(row, chains, ahead) });
}

/// The same of rows of which only their sums are wanted: the first chains, for points that begin with chain `phase`.
///
/// # Safety
/// Each row holds `len` floats; chains are 16 floats each.
unsafe fn add_alone<const ROWS: usize>(
    simd: Simd,
    rows: [*const f32; ROWS],
    chains: [*mut f32; ROWS],
    (phase, len): (usize, usize),
    ahead: &mut Ahead,
) {
    // SAFETY: as above.
    with_vectors!(simd, |V| unsafe { alone::<V, ROWS>(rows, chains, (phase, len), ahead) });
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
    chains: [*mut f32; ROWS],
    (phase, len): (usize, usize),
    ahead: &mut Ahead,
) {
    let (head, rest) = whole_groups(phase, len);
    macro_rules! points {
        ($from:expr, $to:expr, $phase:expr) => {
            for (row, chains) in rows.iter().zip(chains) {
                for i in $from..$to {
                    // SAFETY: `i` is below `len`, and the chain below 16.
                    unsafe { *chains.add($phase + i - $from) += *row.add(i) };
                }
            }
        };
    }
    points!(0, head, phase);
    // SAFETY: of all that follows: within the rows, by the promise of the caller, and within the chains.
    unsafe {
        let mut sums = [[V::splat(0.0); LANES / 4]; ROWS];
        for (sums, chains) in sums.iter_mut().zip(chains) {
            *sums = load::<V>(chains);
        }
        for first in (head..rest.max(head + 1)).step_by(SEGMENT) {
            for _ in 0..ROWS {
                ahead.ask();
            }
            for at in (first..rest.min(first + SEGMENT)).step_by(LANES) {
                for v in 0..LANES / V::WIDTH {
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        sums[v] = sums[v].add(V::load(row.add(at + v * V::WIDTH)));
                    }
                }
            }
        }
        for (sums, chains) in sums.into_iter().zip(chains) {
            store(sums, chains);
        }
    }
    points!(rest, len, 0);
}

#[inline(always)]
unsafe fn loops<V: Vector>(row: &Row, sums: [*mut f32; 4], ahead: &mut Ahead) {
    let &Row { arrays: [(x, s), (y, t)], phase, len } = row;
    let points = |from: usize, to: usize, phase: usize| {
        for i in from..to {
            let lane = phase + i - from;
            // SAFETY: `i` is below `len`, and `lane` below 16.
            unsafe {
                let a = *x.add(i) - s;
                *sums[X].add(lane) += a;
                *sums[XX].add(lane) += a * a;
                if !y.is_null() {
                    let b = *y.add(i) - t;
                    *sums[Y].add(lane) += b;
                    *sums[XY].add(lane) += a * b;
                }
            }
        }
    };
    let (head, rest) = whole_groups(phase, len);
    let groups = (rest - head) / LANES;
    points(0, head, phase);
    // SAFETY: within the arrays.
    unsafe {
        if y.is_null() {
            one::<V>((x.add(head), s), sums, groups, ahead);
        } else {
            two::<V>((x.add(head), s), (y.add(head), t), sums, groups, ahead);
        }
    }
    points(rest, len, 0);
}

/// One array, by groups of 16.
#[inline(always)]
unsafe fn one<V: Vector>(
    (x, s): (*const f32, f32),
    [of_x, of_xx, ..]: [*mut f32; 4],
    groups: usize,
    ahead: &mut Ahead,
) {
    // SAFETY: of all that follows: within the array, by the promise of the caller, and within the chains.
    unsafe {
        let (mut sum_x, mut sum_xx, s) = (load::<V>(of_x), load::<V>(of_xx), V::splat(s));
        for first in (0..groups.max(1)).step_by(SEGMENT / LANES) {
            ahead.ask();
            for group in first..groups.min(first + SEGMENT / LANES) {
                for (v, (sum_x, sum_xx)) in sum_x.iter_mut().zip(&mut sum_xx).enumerate().take(LANES / V::WIDTH) {
                    let a = V::load(x.add(group * LANES + v * V::WIDTH)).sub(s);
                    *sum_x = sum_x.add(a);
                    *sum_xx = sum_xx.add(a.mul(a));
                }
            }
        }
        store(sum_x, of_x);
        store(sum_xx, of_xx);
    }
}

/// Two arrays, by groups of 16.
#[inline(always)]
unsafe fn two<V: Vector>(
    (x, s): (*const f32, f32),
    (y, t): (*const f32, f32),
    [of_x, of_xx, of_y, of_xy]: [*mut f32; 4],
    groups: usize,
    ahead: &mut Ahead,
) {
    // SAFETY: of all that follows: as above.
    unsafe {
        let (mut sum_x, mut sum_xx, s) = (load::<V>(of_x), load::<V>(of_xx), V::splat(s));
        let (mut sum_y, mut sum_xy, t) = (load::<V>(of_y), load::<V>(of_xy), V::splat(t));
        for first in (0..groups.max(1)).step_by(SEGMENT / LANES) {
            ahead.ask();
            for group in first..groups.min(first + SEGMENT / LANES) {
                for v in 0..LANES / V::WIDTH {
                    let at = group * LANES + v * V::WIDTH;
                    let (a, b) = (V::load(x.add(at)).sub(s), V::load(y.add(at)).sub(t));
                    sum_x[v] = sum_x[v].add(a);
                    sum_xx[v] = sum_xx[v].add(a.mul(a));
                    sum_y[v] = sum_y[v].add(b);
                    sum_xy[v] = sum_xy[v].add(a.mul(b));
                }
            }
        }
        store(sum_x, of_x);
        store(sum_xx, of_xx);
        store(sum_y, of_y);
        store(sum_xy, of_xy);
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
