//! Sums of products carried out in one loop: `((x - s) t) u`, plus another such term, plus `v`.
//!
//! What a normalisation writes has this form, forwards and backwards: arrays, numbers of the row, scales and shifts of the
//! columns. As loops of their own, each difference, product and sum would go through the first-level cache. Here they
//! round one by one as they do alone; what a form lacks is `- 0`, `* 1` or `+ -0`, which change no number.

use std::ops::{Add, Mul, Sub};

use super::ahead::{Ahead, SEGMENT};
use super::chain::Function;
use super::frame::Frame;
use super::kernels::Arg;
use super::program::{Kind, Line, Pass, Placed, What};
use super::vector::{Vector, with_vectors};
use super::walk::{Operand, Order, Tile};
use crate::simd::Simd;

/// A sum of products: x, s, t, u of the first term, the same of the second, v.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    ports: [Port; PORTS],
    /// Whether there is a second term.
    two: bool,
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
}

/// The ports: x, s, t and u of the first term, the same of the second, and v.
const PORTS: usize = 9;
const X: usize = 0;
const S: usize = 1;
const T: usize = 2;
const U: usize = 3;
const X2: usize = 4;
const LAST: usize = 8;
const ONE: Port = Port::Neutral(1.0);
const NEUTRAL: Affine = {
    let (s, v) = (Port::Neutral(0.0), Port::Neutral(-0.0));
    Affine { ports: [v, s, ONE, ONE, v, s, ONE, ONE, v], two: false }
};

impl Affine {
    /// The lines that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = u16> {
        self.ports.into_iter().filter_map(|port| match port {
            Port::Line(line) | Port::Spread(line) => Some(line),
            Port::Neutral(_) | Port::Columns(_) => None,
        })
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
}

impl Finder<'_> {
    /// The line as a sum of products, if it and at least one line that nothing else needs are one.
    pub fn find(&self, line: u16) -> Option<Affine> {
        let mut found = NEUTRAL;
        let mut members = 0;
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
            && (free || self.once(line))
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

    fn port(&self, line: u16) -> Port {
        match self.lines[line as usize].what {
            What::Spread { .. } => Port::Spread(self.lines[line as usize].args[0]),
            What::Load { operand, buffered: false, .. }
                // (A program that folds never writes what it reads.)
                if self.order == Order::Rows && self.operands[operand as usize].is_one_line() =>
            {
                Port::Columns(operand)
            }
            _ => Port::Line(line),
        }
    }
}

/// Where the values of a port lie, from the first point of a line of a tile on: one for each point, or one for all.
#[derive(Clone, Copy)]
struct Values {
    data: *const f32,
    many: bool,
}

// SAFETY notes in this block: sums are of f32; their lines have a value for each point of a tile, for each row, or one.
impl Frame<'_> {
    /// Computes a sum of products on one tile; meanwhile asks for what is needed next.
    pub(super) fn affine(&mut self, placed: &Placed, affine: &Affine, pass: &Pass, tile: &Tile, ahead: &mut Ahead) {
        let out = self.place(placed, pass, tile);
        let (lines, len) = self.lines_of(tile);
        for number in 0..lines {
            let mut ports: [Values; PORTS] =
                std::array::from_fn(|port| self.of_port(&affine.ports[port], tile, number, len));
            if affine.ports[U] == ONE {
                ports.swap(T, U);
            }
            for at in (0..len).step_by(SEGMENT) {
                ahead.ask();
                let out = out.cast::<f32>().wrapping_add(number * len + at);
                let here =
                    ports.map(|port| Values { data: port.data.wrapping_add(if port.many { at } else { 0 }), ..port });
                // SAFETY: see above; the buffer has room for the tile.
                unsafe { run(self.simd, &here, affine.two, out, SEGMENT.min(len - at)) };
            }
        }
        self.regs[placed.line as usize] = Arg { data: out, many: true };
    }

    /// The values of a port for one line of a tile: one for each point, or one.
    fn of_port(&self, port: &Port, tile: &Tile, number: usize, len: usize) -> Values {
        let of = |arg: Arg| Values { data: arg.data.cast(), many: arg.many };
        let after = |values: Values, points: usize| Values { data: values.data.wrapping_add(points), ..values };
        match *port {
            Port::Neutral(ref value) => Values { data: value, many: false },
            Port::Line(line) => {
                let values = of(self.regs[line as usize]);
                if values.many { after(values, number * len) } else { values }
            }
            Port::Spread(line) => {
                let values = of(self.regs[line as usize]);
                match self.program.order {
                    Order::Rows if values.many => Values { many: false, ..after(values, number) },
                    _ => values,
                }
            }
            Port::Columns(operand) => {
                let operand = &self.program.operands[operand as usize];
                let first = operand.first(tile) * operand.size as isize;
                Values { data: self.memory(operand).wrapping_offset(first).cast(), many: true }
            }
        }
    }
}

/// Writes `len` points.
///
/// # Safety
/// Ports hold `len` floats, or one; `out` has room, and lies over none of them.
unsafe fn run(simd: Simd, ports: &[Values; PORTS], two: bool, out: *mut f32, len: usize) {
    // SAFETY: by the promise of the caller; a `Simd` says what the processor has.
    with_vectors!(simd, |V| unsafe { lines::<V>(ports, two, out, len) });
}

#[inline(always)]
unsafe fn lines<V: Vector>(ports: &[Values; PORTS], two: bool, out: *mut f32, len: usize) {
    let is = |many: [usize; 3]| (0..PORTS).all(|port| ports[port].many == many.contains(&port));
    // SAFETY: by the promise of the caller.
    unsafe {
        match two {
            false if is([X, X, X]) => line::<V, 0>(ports, out, len),
            false if is([X, U, X]) => line::<V, { bit(U) }>(ports, out, len),
            false if is([X, LAST, X]) => line::<V, { bit(LAST) }>(ports, out, len),
            false if is([X, U, LAST]) => line::<V, { bit(U) | bit(LAST) }>(ports, out, len),
            false => line::<V, { ANY }>(ports, out, len),
            true if is([X, X2, X]) => line::<V, { bit(X2) }>(ports, out, len),
            true if is([X, X2, LAST]) => line::<V, { bit(X2) | bit(LAST) }>(ports, out, len),
            true => line::<V, { bit(X2) | ANY }>(ports, out, len),
        }
    }
}

const fn bit(port: usize) -> u32 {
    1 << port
}

/// Any port may have one value for each point.
const ANY: u32 = 1 << PORTS;

/// `MANY`: the ports, beside x, that have one value for each point, with x of the second term if there is one.
#[inline(always)]
unsafe fn line<V: Vector, const MANY: u32>(ports: &[Values; PORTS], out: *mut f32, len: usize) {
    let (two, any) = (MANY & bit(X2) != 0, MANY & ANY != 0);
    let data = ports.map(|values| values.data);
    macro_rules! many {
        ($port:expr) => {
            if any { ports[$port].many } else { $port == X || MANY & bit($port) != 0 }
        };
    }
    let whole = len - len % V::WIDTH;
    // Macros, since closures are not compiled for the vector width of their function.
    macro_rules! sum {
        ($port:ident, $add:ident, $sub:ident, $mul:ident) => {{
            let first = $port!(X).$sub($port!(S)).$mul($port!(T)).$mul($port!(U));
            let sum = if two {
                first.$add($port!(X2).$sub($port!(X2 + S)).$mul($port!(X2 + T)).$mul($port!(X2 + U)))
            } else {
                first
            };
            sum.$add($port!(LAST))
        }};
    }
    // SAFETY: of all that follows: within what the caller promises.
    unsafe {
        let mut single = [V::splat(0.0); PORTS];
        for (single, from) in single.iter_mut().zip(data) {
            *single = V::splat(*from);
        }
        for at in (0..whole).step_by(V::WIDTH) {
            macro_rules! port {
                ($port:expr) => {
                    if many!($port) { V::load(data[$port].add(at)) } else { single[$port] }
                };
            }
            sum!(port, add, sub, mul).store(out.add(at));
        }
        for at in whole..len {
            macro_rules! port {
                ($port:expr) => {
                    *data[$port].add(if many!($port) { at } else { 0 })
                };
            }
            *out.add(at) = sum!(port, add, sub, mul);
        }
    }
}
