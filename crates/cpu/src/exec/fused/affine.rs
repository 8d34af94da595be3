//! Sums of products carried out in one loop: `((x - s) t) u`, plus another such term, plus `v`.
//!
//! What a normalisation writes has this form, forwards and backwards: arrays, numbers of the row, scales and shifts of the
//! columns. As loops of their own, each difference, product and sum would go through the first-level cache. Here they
//! round one by one as they do alone; what a form lacks is `- 0`, `* 1` or `+ -0`, which change no number.

use tensor::order::LANES;

use super::ahead::Ahead;
use super::chain::Function;
use super::frame::Frame;
use super::kernels::Arg;
use super::pieces::Broken;
use super::program::{Kind, Line, Pass, Placed, What};
use super::strip::Code;
use super::terms::{LAST, Lines, PORTS, S, T, U, Values, Within, X, X2, run};
use super::walk::{Operand, Order, Tile};

/// A sum of products: x, s, t, u of the first term, the same of the second, v.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    ports: [Port; PORTS],
    /// Whether there is a second term.
    two: bool,
    /// Within which the sum is kept.
    limits: Limits,
}

/// Limits of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limits {
    None,
    /// 0 instead of what is negative.
    Relu,
    /// The values of two lines, each one number.
    Clamp(u16, u16),
}

/// Where one of the values of a sum comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Port {
    /// Nowhere: a number that changes nothing.
    Neutral(f32),
    /// The value of a line.
    Line(u16),
    /// The value of a line, the same for each point of a row.
    Spread(u16),
    /// What a line loads, the same for each row, from its place in memory.
    Columns(u16),
    /// The same of columns: one number for each line of a tile.
    Single(u16),
    /// What a line loads, as it lies in memory, in pieces.
    Pieces(u16),
}

const ONE: Port = Port::Neutral(1.0);
const NEUTRAL: Affine = {
    let (s, v) = (Port::Neutral(0.0), Port::Neutral(-0.0));
    Affine { ports: [v, s, ONE, ONE, v, s, ONE, ONE, v], two: false, limits: Limits::None }
};

impl Affine {
    /// The lines that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = u16> {
        self.ports.into_iter().filter_map(|port| match port {
            Port::Line(line) | Port::Spread(line) => Some(line),
            Port::Neutral(_) | Port::Columns(_) | Port::Single(_) | Port::Pieces(_) => None,
        })
    }

    /// The operands that it reads as they lie in memory, in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = u16> {
        self.ports.into_iter().filter_map(|port| if let Port::Pieces(operand) = port { Some(operand) } else { None })
    }

    /// Whether nothing is added to its terms, so that they can be added to a sum.
    pub fn is_open(&self) -> bool {
        (self.ports[LAST], self.limits) == (NEUTRAL.ports[LAST], Limits::None)
    }
}

/// The lines of a pass as sums of products.
pub struct Finder<'a> {
    /// The lines of the program.
    pub lines: &'a [Line],
    /// What they load.
    pub operands: &'a [Operand],
    /// How the points of a tile follow each other.
    pub order: Order,
    /// How often lines that are computed one by one read each line.
    pub uses: &'a [usize],
    /// Whether loads lie in pieces.
    pub pieces: bool,
}

impl Finder<'_> {
    /// The line as a sum of products, if it and at least one line that nothing else needs are one.
    pub fn find(&self, line: u16) -> Option<Affine> {
        let mut found = NEUTRAL;
        let mut members = 0;
        let mut line = line;
        if let Some((of, limits)) = self.limited(line) {
            (line, found.limits) = (of, limits);
            members += 1;
        }
        let products = match self.sum(line) {
            Some((a, b)) => {
                members += 1;
                self.sum_of(a, b, &mut found, &mut members)
            }
            None => vec![line],
        };
        for (number, &product) in products.iter().enumerate() {
            let root = product == line;
            self.term(product, root, &mut found.ports[X2 * number..][..X2], &mut members);
        }
        found.two = products.len() == 2;
        (members >= 2).then_some(found)
    }

    fn function(&self, line: u16) -> Option<(Function, u16, u16)> {
        let of = &self.lines[line as usize];
        match (of.function, of.inputs()) {
            (Some(function), &[a, b]) if of.kind == Kind::Full => Some((function, a, b)),
            _ => None,
        }
    }

    fn sum(&self, line: u16) -> Option<(u16, u16)> {
        self.function(line).and_then(|(function, a, b)| (function == Function::Add).then_some((a, b)))
    }

    /// What a line keeps within limits, if nothing else needs that.
    fn limited(&self, line: u16) -> Option<(u16, Limits)> {
        let limited = &self.lines[line as usize];
        let limits = match (limited.function?, limited.args) {
            (Function::One(Code::Relu), _) => Limits::Relu,
            (Function::Clamp, [_, low, high]) => Limits::Clamp(low, high),
            _ => return None,
        };
        (limited.kind == Kind::Full && self.once(limited.args[0])).then_some((limited.args[0], limits))
    }

    /// Whether only one line reads it, so that it need not have a place of its own.
    fn once(&self, line: u16) -> bool {
        self.uses[line as usize] == 1
    }

    /// The products of a sum of two lines; what is left goes to the last port.
    fn sum_of(&self, a: u16, b: u16, found: &mut Affine, members: &mut usize) -> Vec<u16> {
        for (inner, last) in [(a, b), (b, a)] {
            if self.once(inner)
                && inner != last
                && let Some((first, second)) = self.sum(inner)
            {
                *members += 1;
                found.ports[LAST] = self.port(last);
                return vec![first, second];
            }
        }
        for (product, last) in [(a, b), (b, a)] {
            let leaf = !matches!(self.function(last), Some((Function::Mul | Function::Sub, ..))) || !self.once(last);
            if leaf {
                found.ports[LAST] = self.port(last);
                return vec![product];
            }
        }
        vec![a, b]
    }

    /// Takes a product apart: `((x - s) t) u`.
    fn term(&self, mut line: u16, root: bool, ports: &mut [Port], members: &mut usize) {
        let mut factors = Vec::new();
        let mut free = root;
        while factors.len() < 2
            && (free || self.once(line) || self.cheap(line))
            && let Some((Function::Mul, a, b)) = self.function(line)
        {
            let inner = |line: u16| {
                self.difference(line).is_some()
                    || (self.once(line) && matches!(self.function(line), Some((Function::Mul, ..))))
            };
            let (of, by) = if inner(b) && !inner(a) { (b, a) } else { (a, b) };
            if of == by {
                break;
            }
            factors.push(by);
            *members += 1;
            (line, free) = (of, false);
        }
        for (port, &factor) in ports[T..].iter_mut().zip(factors.iter().rev()) {
            *port = self.port(factor);
        }
        (ports[X], ports[S]) = match self.difference(line) {
            Some((x, s)) => {
                *members += 1;
                (self.port(x), self.port(s))
            }
            None => (self.port(line), ports[S]),
        };
    }

    /// A difference that is as well made where it is read: nothing else reads it, or it is one of memory and a number of the row.
    fn difference(&self, line: u16) -> Option<(u16, u16)> {
        let Some((Function::Sub, x, s)) = self.function(line) else { return None };
        let cheap = |line: u16| {
            matches!(self.lines[line as usize].what, What::Load { .. } | What::Spread { .. } | What::Constant(_))
        };
        (self.once(line) || (cheap(x) && cheap(s))).then_some((x, s))
    }

    /// A product that is as well made where it is read: of memory and a number of the column.
    fn cheap(&self, line: u16) -> bool {
        let Some((Function::Mul, a, b)) = self.function(line) else { return false };
        let loaded = |line: u16| matches!(self.lines[line as usize].what, What::Load { .. });
        [(a, b), (b, a)].into_iter().any(|(of, by)| of != by && loaded(of) && self.columns(by).is_some())
    }

    fn columns(&self, line: u16) -> Option<u16> {
        if self.order == Order::Rows { self.lines[line as usize].columns(self.operands) } else { None }
    }

    fn port(&self, line: u16) -> Port {
        match self.lines[line as usize].what {
            What::Spread { .. } => Port::Spread(self.lines[line as usize].args[0]),
            What::Load { operand, .. } if self.pieces && self.lines[line as usize].kind == Kind::Full => {
                Port::Pieces(operand)
            }
            What::Load { operand, buffered: false, .. }
                if self.order == Order::Columns && self.operands[operand as usize].one_a_line().is_some() =>
            {
                Port::Single(operand)
            }
            _ => self.columns(line).map_or(Port::Line(line), Port::Columns),
        }
    }
}

// SAFETY notes in this block: sums are of f32; their lines have a value for each point of a tile, for each row, or one.
impl Frame<'_> {
    /// Computes a sum of products on one tile; meanwhile asks for what is needed next.
    pub(super) fn affine(&mut self, placed: &Placed, affine: &Affine, pass: &Pass, tile: &Tile, ahead: &mut Ahead) {
        let (_, len) = self.lines_of(tile);
        let out = match placed.store {
            Some(store) if self.program.pieces.is_some() => self.in_pieces(&pass.stores[store as usize].operand, tile),
            _ => {
                let data = self.place(placed, pass, tile);
                self.regs[placed.line as usize] = Arg { data, many: true };
                Broken { data: data.cast(), rows: len as isize, jump: 0 }
            }
        };
        let lines = self.lines_of_sum(affine, tile, out);
        // SAFETY: see above; there is room for the tile.
        unsafe { run(self.simd, &lines, ahead) };
    }

    /// Adds a sum of products on one tile of columns to the chains of the reduction `fold`.
    pub(super) fn add_affine(&mut self, fold: usize, affine: &Affine, tile: &Tile, ahead: &mut Ahead) {
        let chains = self.chains_of(fold).cast::<f32>();
        let mut row = 0;
        while row < tile.rn {
            let lane = (tile.r0 + row) % LANES;
            let here = Tile { r0: tile.r0 + row, rn: (LANES - lane).min(tile.rn - row), ..*tile };
            let out = Broken { data: chains.wrapping_add(lane * tile.kn), rows: tile.kn as isize, jump: 0 };
            let mut lines = Lines { again: false, ..self.lines_of_sum(affine, &here, out) };
            for port in &mut lines.ports {
                // (Registers hold the whole tile.)
                port.data = port.data.wrapping_offset(row as isize * port.within);
            }
            lines.ports[LAST] = Values { data: out.data, many: true, step: out.rows, jump: 0, within: 0 };
            // SAFETY: see above; there is a chain for each line, and each number of it is read before it is written.
            unsafe { run(self.simd, &lines, ahead) };
            row += here.rn;
        }
    }

    /// A sum of products on the lines of a tile.
    fn lines_of_sum(&self, affine: &Affine, tile: &Tile, out: Broken) -> Lines {
        let (count, len) = self.lines_of(tile);
        let mut ports: [Values; PORTS] = std::array::from_fn(|port| self.of_port(&affine.ports[port], tile, len));
        if affine.ports[U] == ONE {
            ports.swap(T, U);
        }
        // SAFETY: see above.
        let number = |line: u16| unsafe { *self.regs[line as usize].data.cast::<f32>() };
        let within = match affine.limits {
            Limits::None => Within::All,
            Limits::Relu => Within::Relu,
            Limits::Clamp(low, high) => Within::Clamp(number(low), number(high)),
        };
        Lines { ports, two: affine.two, within, out, again: true, count, len, pieces: self.pieces(tile) }
    }

    /// The values of a port for the lines of a tile, each of `len` points.
    fn of_port(&self, port: &Port, tile: &Tile, len: usize) -> Values {
        let of = |line: u16, step: usize| {
            let Arg { data, many } = self.regs[line as usize];
            let step = if many { step as isize } else { 0 };
            Values { data: data.cast(), many, step, jump: 0, within: step }
        };
        let in_memory = |operand: u16, many: bool, step: isize| Values {
            data: self.columns(operand, tile),
            many,
            step,
            jump: 0,
            within: 0,
        };
        match *port {
            Port::Neutral(ref value) => Values { data: value, many: false, step: 0, jump: 0, within: 0 },
            Port::Line(line) => of(line, len),
            Port::Spread(line) if self.program.order == Order::Rows => Values { many: false, ..of(line, 1) },
            Port::Spread(line) => of(line, 0),
            Port::Columns(operand) => in_memory(operand, true, 0),
            Port::Single(operand) => in_memory(
                operand,
                false,
                self.program.operands[operand as usize].one_a_line().unwrap_or_default() as isize,
            ),
            Port::Pieces(operand) => {
                let Broken { data, rows, jump } = self.in_pieces(&self.program.operands[operand as usize], tile);
                Values { data, many: true, step: rows, jump, within: 0 }
            }
        }
    }

    /// Where the numbers of a tile begin, of an operand of one number for each column, or one for each line.
    pub(super) fn columns(&self, operand: u16, tile: &Tile) -> *const f32 {
        let operand = &self.program.operands[operand as usize];
        let first = operand.first(tile) * operand.size as isize;
        self.memory(operand).wrapping_offset(first).cast_const().cast()
    }
}
