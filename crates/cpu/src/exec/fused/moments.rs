//! Sums made together: those of one or two arrays, of their squares and their product, each array less a number of its row
//! or times a number of its column.
//!
//! Normalisations and their gradients are made of such sums. A sum folds in 16 chains, additions of which each waits for
//! the one before; several sums side by side take little longer than one, and what is summed never goes through memory.
//! Differences, products and sums round one by one, in the order of [`tensor::order`], as they do apart.

use tensor::order::LANES;

use super::ahead::Ahead;
use super::chain::Function;
use super::frame::Frame;
use super::kernels::Arg;
use super::pieces::Broken;
use super::program::{Kind, Line, Pass, What};
use super::sums::{Points, Row, Values, add, add_alone};
use super::walk::{Operand, Tile};

/// Sums made in one loop.
#[derive(Debug, PartialEq)]
pub struct Moments {
    x: Array,
    y: Option<Array>,
    /// The reductions that are the sums of x, x x, y and x y, by their numbers in the pass.
    pub sums: [Option<u16>; 4],
}

/// Rows whose sums are made side by side, if they are summed as they are: the chains of one wait for themselves.
const TOGETHER: usize = 4;

const X: usize = 0;
const XX: usize = 1;
const Y: usize = 2;
const XY: usize = 3;

/// A line, less a number of its row or times a number of its column.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Array {
    line: u16,
    /// A line of one value a row.
    less: Option<u16>,
    /// An operand of one value a column.
    times: Option<u16>,
}

impl Array {
    fn plain(line: u16) -> Array {
        Array { line, less: None, times: None }
    }

    fn is_plain(&self) -> bool {
        (self.less, self.times) == (None, None)
    }
}

impl Moments {
    /// The lines that it reads.
    pub fn inputs(&self) -> Vec<u16> {
        let of = |array: &Array| [Some(array.line), array.less].into_iter().flatten();
        of(&self.x).chain(self.y.iter().flat_map(of)).collect()
    }

    /// Whether x is summed as it is, and nothing else.
    fn alone(&self) -> bool {
        self.x.is_plain() && matches!(self.sums, [Some(_), None, None, None])
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
pub fn find(lines: &[Line], operands: &[Operand], levels: &[usize], folds: &[u16]) -> Vec<Moments> {
    let term = |fold: u16| term(lines, operands, lines[fold as usize].args[0]);
    let mut all: Vec<(usize, Moments)> = Vec::new();
    let sums = folds.iter().enumerate().filter(|&(_, &fold)| lines[fold as usize].function == Some(Function::Sum));
    let mut sums: Vec<(usize, u16, Term)> =
        sums.map(|(number, &fold)| (levels[fold as usize], number as u16, term(fold))).collect();
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

fn term(lines: &[Line], operands: &[Operand], line: u16) -> Term {
    let array = |line: u16| array(lines, operands, line);
    let whole = array(line).unwrap_or(Array::plain(line));
    if let (Some(Function::Mul), &[a, b]) = (lines[line as usize].function, lines[line as usize].inputs())
        && whole.times.is_none()
    {
        match (array(a), array(b)) {
            (Some(x), Some(y)) if x == y => return Term::Square(x),
            (Some(x), Some(y)) => return Term::Product(x, y),
            _ => {}
        }
    }
    Term::One(whole)
}

/// A line of a value a point, taken apart if it is a difference of one and a number of the row, or a product of one and a number
/// of the column.
fn array(lines: &[Line], operands: &[Operand], line: u16) -> Option<Array> {
    let many = |line: u16| {
        let line = &lines[line as usize];
        line.kind == Kind::Full && !matches!(line.what, What::Spread { .. })
    };
    let parts = |line: u16| match (lines[line as usize].function, lines[line as usize].inputs()) {
        (Some(function), &[a, b]) => Some((function, a, b)),
        _ => None,
    };
    let difference = |line: u16| {
        let Some((Function::Sub, a, b)) = parts(line) else { return None };
        let less = match lines[b as usize].what {
            What::Spread { .. } => Some(lines[b as usize].args[0]),
            _ => (lines[b as usize].kind == Kind::Uniform).then_some(b),
        };
        (less.is_some() && many(a)).then_some(Array { line: a, less, times: None })
    };
    let product = |line: u16| {
        let Some((Function::Mul, a, b)) = parts(line) else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(of, by)| {
            let times = lines[by as usize].columns(operands);
            let whole = many(of) && of != by && difference(of).is_none();
            (times.is_some() && whole).then_some(Array { line: of, less: None, times })
        })
    };
    difference(line).or_else(|| product(line)).or_else(|| many(line).then_some(Array::plain(line)))
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
        if moments.alone() {
            for k in (0..tile.kn).step_by(TOGETHER) {
                self.add_alone(moments, k, std::array::from_fn(|i| of_row(k + i)[X]), tile, ahead);
            }
        } else {
            (0..tile.kn).for_each(|k| self.add_row(moments, k, of_row(k), tile, ahead));
        }
    }

    /// The sums of whole rows.
    pub(super) fn whole_sums(&mut self, moments: &Moments, pass: &Pass, tile: &Tile, ahead: &mut Ahead) {
        if moments.alone() {
            for k in (0..tile.kn).step_by(TOGETHER) {
                let mut chains = [[0.0f32; LANES]; TOGETHER];
                let pointers = chains.each_mut().map(|chains| chains.as_mut_ptr());
                self.add_alone(moments, k, pointers, tile, ahead);
                for (k, &chains) in (k..tile.kn).zip(&chains) {
                    self.write_sum(pass, moments.sums[X], tile.k0 + k, chains);
                }
            }
        } else {
            for k in 0..tile.kn {
                let mut chains = [[0.0f32; LANES]; 4];
                let pointers = chains.each_mut().map(|chains| chains.as_mut_ptr());
                self.add_row(moments, k, pointers, tile, ahead);
                for (&sum, &chains) in moments.sums.iter().zip(&chains) {
                    self.write_sum(pass, sum, tile.k0 + k, chains);
                }
            }
        }
        for number in moments.sums.into_iter().flatten() {
            if let Some((line, row, size)) = self.row_of(pass, number) {
                self.regs[line] = Arg { data: self.row_register(row, tile.k0, size), many: true };
            }
        }
    }

    /// Adds row `k` of a tile to the chains of its sums.
    fn add_row(&self, moments: &Moments, k: usize, chains: [*mut f32; 4], tile: &Tile, ahead: &mut Ahead) {
        let row = Row { arrays: self.arrays(moments, tile, k), points: self.points(tile) };
        // SAFETY: see above.
        unsafe { add(self.simd, &row, chains, ahead) };
    }

    /// Adds up to [`TOGETHER`] rows of a tile from row `k` on, which are summed as they are, to the chains of each.
    fn add_alone(&self, moments: &Moments, k: usize, chains: [*mut f32; TOGETHER], tile: &Tile, ahead: &mut Ahead) {
        let (points, jump) = (self.points(tile), self.arrays(moments, tile, k)[0].jump);
        let of = |k: usize| self.arrays(moments, tile, k)[0].data;
        // SAFETY of both: see above.
        if k + TOGETHER <= tile.kn {
            let rows = std::array::from_fn(|i| of(k + i));
            unsafe { add_alone::<TOGETHER>(self.simd, rows, jump, chains, points, ahead) };
        } else {
            for (k, chains) in (k..tile.kn).zip(chains) {
                unsafe { add_alone::<1>(self.simd, [of(k)], jump, [chains], points, ahead) };
            }
        }
    }

    /// Writes what chains come to, the sum `number` of kept point `k`.
    fn write_sum(&self, pass: &Pass, number: Option<u16>, k: usize, chains: [f32; LANES]) {
        let Some((_, row, size)) = number.and_then(|number| self.row_of(pass, number)) else { return };
        let value = tensor::order::fold_lanes(chains, |a, b| a + b);
        // SAFETY: a row register has room for a value of each kept point.
        unsafe { self.row_register(row, k, size).cast::<f32>().write(value) };
    }

    /// Line, row register and bytes of a value of a reduction.
    fn row_of(&self, pass: &Pass, number: u16) -> Option<(usize, usize, usize)> {
        let line = pass.folds[number as usize] as usize;
        let of = &self.program.lines[line];
        if let Kind::Row(row) = of.kind { Some((line, row, of.size)) } else { None }
    }

    /// Where the values of the arrays of row `k` of a tile lie.
    fn arrays(&self, moments: &Moments, tile: &Tile, k: usize) -> [Values; 2] {
        let place = |line: u16| match self.broken(line, tile) {
            Some(Broken { data, rows, jump }) => (data.wrapping_offset(k as isize * rows).cast_const(), jump),
            None => (self.regs[line as usize].data.cast::<f32>().wrapping_add(k * tile.rn), 0),
        };
        let of = |array: Array| Values {
            data: place(array.line).0,
            jump: place(array.line).1,
            less: array.less.map_or(0.0, |line| {
                let value = self.regs[line as usize];
                // SAFETY: see above.
                unsafe { *value.data.cast::<f32>().wrapping_add(if value.many { k } else { 0 }) }
            }),
            times: array.times.map_or(std::ptr::null(), |operand| self.columns(operand, tile)),
        };
        [of(moments.x), moments.y.map_or(Values::NONE, of)]
    }

    /// The points of the rows of a tile.
    fn points(&self, tile: &Tile) -> Points {
        Points { phase: tile.r0 % LANES, len: tile.rn, pieces: self.pieces(tile) }
    }
}
