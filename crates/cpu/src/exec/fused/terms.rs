//! The loops of sums of products ([`super::affine`]): lines of a tile, piece by piece.

use std::ops::{Add, Mul, Sub};

use tensor::ops::binary::{max, min};

use super::ahead::{Ahead, SEGMENT};
use super::pieces::{Broken, Pieces};
use super::vector::{Vector, with_vectors};
use crate::simd::Simd;

/// The ports: x, s, t and u of the first term, the same of the second, and v.
pub const PORTS: usize = 9;
pub const X: usize = 0;
pub const S: usize = 1;
pub const T: usize = 2;
pub const U: usize = 3;
pub const X2: usize = 4;
pub const LAST: usize = 8;

/// Where the values of a port lie, from the first line of a tile on: one for each point, or one for all of a line.
#[derive(Clone, Copy)]
pub struct Values {
    pub data: *const f32,
    pub many: bool,
    /// From a line to the next, in numbers.
    pub step: isize,
    /// From a piece of a line to the next.
    pub jump: isize,
    /// As `step`, if it is a register, which holds all of a tile; else 0.
    pub within: isize,
}

/// A sum of products over the lines of a tile.
pub struct Lines {
    pub ports: [Values; PORTS],
    /// Whether there is a second term.
    pub two: bool,
    /// Within which sums are kept.
    pub within: Within,
    pub out: Broken,
    /// Whether a number may be written twice: it is not added to what is there.
    pub again: bool,
    /// Lines, and points of each.
    pub count: usize,
    pub len: usize,
    pub pieces: Pieces,
}

/// Limits of a value.
#[derive(Clone, Copy)]
pub enum Within {
    All,
    Relu,
    Clamp(f32, f32),
}

/// Writes lines of points; every [`SEGMENT`] points asks for what is needed next.
///
/// # Safety
/// Ports hold as many floats as their steps and `len` say; `out` has room for all lines, and lies over none of them but, number by
/// number, the last.
pub unsafe fn run(simd: Simd, lines: &Lines, ahead: &mut Ahead) {
    // SAFETY: by the promise of the caller; a `Simd` says what the processor has.
    with_vectors!(simd, |V| unsafe { all::<V>(lines, ahead) });
}

#[inline(always)]
unsafe fn all<V: Vector>(lines: &Lines, ahead: &mut Ahead) {
    let many = (0..PORTS).filter(|&port| lines.ports[port].many).fold(0, |all, port| all | bit(port));
    macro_rules! cases {
        ($($case:expr),*) => {
            match lines.two {
                $(two if (many, two) == (bit(X) | $case, has($case, X2)) => each::<V, { $case }>(lines, ahead),)*
                true => each::<V, { bit(X2) | ANY }>(lines, ahead),
                false => each::<V, { ANY }>(lines, ahead),
            }
        };
    }
    // SAFETY: by the promise of the caller.
    unsafe {
        cases!(
            0,
            bit(U),
            bit(LAST),
            bit(U) | bit(LAST),
            bit(X2),
            bit(X2) | bit(LAST),
            bit(T) | bit(X2),
            bit(T) | bit(X2) | bit(LAST)
        )
    }
}

/// `MANY`: the ports, beside x, that have one value for each point, with x of the second term if there is one.
#[inline(always)]
unsafe fn each<V: Vector, const MANY: u32>(lines: &Lines, ahead: &mut Ahead) {
    let (two, any) = (has(MANY, X2), MANY & ANY != 0);
    macro_rules! many {
        ($port:expr) => {
            if any { lines.ports[$port].many } else { $port == X || has(MANY, $port) }
        };
    }
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
    for row in 0..lines.count as isize {
        let starts = lines.ports.map(|port| port.data.wrapping_offset(row * port.step));
        // SAFETY: of all that follows: within what the caller promises.
        let mut single = unsafe { [V::splat(0.0); PORTS] };
        for (single, start) in single.iter_mut().zip(starts) {
            *single = unsafe { V::splat(*start) };
        }
        for piece in lines.pieces.of(lines.len) {
            let (number, mut at) = (piece.number as isize, 0);
            while at < piece.count {
                ahead.ask();
                let (within, len) = ((piece.skip + at) as isize, SEGMENT.min(piece.count - at));
                at += len;
                let mut data = starts;
                for port in 0..PORTS {
                    if many!(port) {
                        data[port] = starts[port].wrapping_offset(number * lines.ports[port].jump + within);
                    }
                }
                let out = lines.out.data.wrapping_offset(row * lines.out.rows + number * lines.out.jump + within);
                macro_rules! vector {
                    ($at:expr) => {{
                        macro_rules! port {
                            ($port:expr) => {
                                if many!($port) { V::load(data[$port].add($at)) } else { single[$port] }
                            };
                        }
                        sum!(port, add, sub, mul).store(out.add($at));
                    }};
                }
                let whole = len - len % V::WIDTH;
                unsafe {
                    for at in (0..whole).step_by(V::WIDTH) {
                        vector!(at);
                    }
                    if whole < len && whole > 0 && lines.again {
                        // The last numbers, with some before them.
                        vector!(len - V::WIDTH);
                    } else {
                        for at in whole..len {
                            macro_rules! port {
                                ($port:expr) => {
                                    *data[$port].add(if many!($port) { at } else { 0 })
                                };
                            }
                            *out.add(at) = sum!(port, add, sub, mul);
                        }
                    }
                    limit::<V>(lines.within, out, len);
                }
            }
        }
    }
}

/// Keeps `len` floats within limits.
#[inline(always)]
unsafe fn limit<V: Vector>(within: Within, out: *mut f32, len: usize) {
    let whole = len - len % V::WIDTH;
    // SAFETY: of all that follows: by the promise of the caller.
    unsafe {
        match within {
            Within::All => {}
            Within::Relu => {
                for at in (0..whole).step_by(V::WIDTH) {
                    V::load(out.add(at)).relu().store(out.add(at));
                }
                for at in whole..len {
                    let x = *out.add(at);
                    *out.add(at) = if x < 0.0 { 0.0 } else { x };
                }
            }
            Within::Clamp(low, high) => {
                let (lows, highs) = (V::splat(low), V::splat(high));
                for at in (0..whole).step_by(V::WIDTH) {
                    V::load(out.add(at)).max(lows).min(highs).store(out.add(at));
                }
                for at in whole..len {
                    *out.add(at) = min(max(*out.add(at), low), high);
                }
            }
        }
    }
}

const fn bit(port: usize) -> u32 {
    1 << port
}

const fn has(ports: u32, port: usize) -> bool {
    ports & bit(port) != 0
}

/// Any port may have one value for each point.
const ANY: u32 = 1 << PORTS;
