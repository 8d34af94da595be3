//! The strip machine: a straight line of f32 instructions carried out on a strip of eight vectors at a time.
//!
//! One value, the accumulator, stays in registers from step to step; the other argument of a step comes from memory. So
//! a chain of instructions reads what it needs and writes what is wanted once, strip after strip, as a loop written for
//! it would. Every step rounds as its op does alone: nothing is contracted, and the vector width cannot show.

use std::mem::MaybeUninit;

use super::vector::{Vector, with_vectors};
use crate::simd::{Simd, prefetch};

/// Vectors in the accumulator: with half of the 16 registers of AVX2 taken, the other half is free for arguments.
const VECTORS: usize = 8;
/// Floats of the longest strip: eight registers of AVX-512.
pub const LONGEST: usize = 128;

/// What a step does. `a` and `b` are its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// acc = a
    Take,
    /// a = acc
    Save,
    /// acc = acc + a
    Add,
    /// acc = acc - a
    Sub,
    /// acc = a - acc
    SubFrom,
    /// acc = acc * a
    Mul,
    /// acc = acc / a
    Div,
    /// acc = a / acc
    DivInto,
    /// acc = max(acc, a)
    Max,
    /// acc = max(a, acc)
    MaxOf,
    /// acc = min(acc, a)
    Min,
    /// acc = min(a, acc)
    MinOf,
    /// acc = a + b
    AddBoth,
    /// acc = a - b
    SubBoth,
    /// acc = a * b
    MulBoth,
    /// acc = a / b
    DivBoth,
    /// acc = acc + a * b, rounded twice
    AddProduct,
    /// acc = acc * acc
    Square,
    /// acc = sqrt(acc)
    Sqrt,
    /// acc = 1 / sqrt(acc), rounded twice
    Rsqrt,
    /// acc = 1 / acc
    Recip,
    /// acc = -acc
    Neg,
    /// acc = |acc|
    Abs,
    /// acc = acc < 0 ? 0 : acc
    Relu,
}

/// One step of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What it does.
    pub code: Code,
    /// Its ports a and b.
    pub ports: [u16; 2],
}

impl Step {
    /// The ports it reads.
    pub fn reads(&self) -> &[u16] {
        match self.code {
            Code::Save | Code::Square | Code::Sqrt | Code::Rsqrt | Code::Recip => &[],
            Code::Neg | Code::Abs | Code::Relu => &[],
            Code::AddBoth | Code::SubBoth | Code::MulBoth | Code::DivBoth | Code::AddProduct => &self.ports,
            _ => &self.ports[..1],
        }
    }
}

/// Where a step finds values: a float a point, or, if it repeats, one strip for all.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    /// The first value.
    pub data: *mut f32,
    /// All ones, or zero if the strip repeats.
    pub mask: usize,
}

impl Port {
    /// No port.
    pub const NONE: Port = Port { data: std::ptr::null_mut(), mask: 0 };
}

/// Floats of a strip.
pub fn length(simd: Simd) -> usize {
    with_vectors!(simd, |V| V::WIDTH * VECTORS)
}

/// Carries out `steps` for `len` points. `spare` has room for a strip of [`LONGEST`] floats for each port.
///
/// # Safety
/// Ports that repeat hold a strip, the others `len`; ports that are saved to may be written, and a port that lies
/// over another one is the same from its first float on.
pub unsafe fn run(simd: Simd, steps: &[Step], ports: &[Port], spare: *mut f32, len: usize) {
    // SAFETY: by the promise of the caller; a `Simd` says what the processor has.
    with_vectors!(simd, |V| unsafe { strips::<V>(steps, ports, spare, len) });
}

/// Points that memory is asked for ahead of a long chain, where a vector is a cache line: Adam over 25 million numbers took 0.84 to 0.88
/// of the time with AVX-512 (Granite Rapids). With AVX2 nothing is asked for: on Zen 3 it gained nothing there, and cost a tenth in the cache.
const AHEAD: usize = 2048;

/// More ports than a chain has.
pub const MOST_PORTS: usize = 48;
/// More steps than a chain has.
pub const MOST_STEPS: usize = 64;

/// A step with its ports looked up.
#[derive(Clone, Copy)]
struct Ready {
    code: Code,
    a: Port,
    b: Port,
}

#[inline(always)]
unsafe fn strips<V: Vector>(steps: &[Step], ports: &[Port], spare: *mut f32, len: usize) {
    let strip = V::WIDTH * VECTORS;
    let mut ready = [const { MaybeUninit::<Ready>::uninit() }; MOST_STEPS];
    let mut look_up = |ports: &[Port]| -> &[Ready] {
        for (ready, step) in ready.iter_mut().zip(steps) {
            let [a, b] = step.ports.map(|port| ports.get(port as usize).copied().unwrap_or(Port::NONE));
            ready.write(Ready { code: step.code, a, b });
        }
        // SAFETY: as many as there are steps are written.
        unsafe { std::slice::from_raw_parts(ready.as_ptr().cast(), steps.len().min(MOST_STEPS)) }
    };
    let whole = len - len % strip;
    if whole > 0 {
        let ready = look_up(ports);
        let ahead = V::WIDTH == 16 && len >= 2 * AHEAD;
        let mut at = 0;
        while at < whole {
            if ahead {
                ask::<V>(ports, at + AHEAD);
            }
            // SAFETY: by the promise of the caller.
            unsafe { one::<V>(ready, at) };
            at += strip;
        }
    }
    if whole == len {
        return;
    }
    // The rest in spare strips.
    let mut copies = [Port::NONE; MOST_PORTS];
    for (number, (copy, port)) in copies.iter_mut().zip(ports).enumerate() {
        *copy = *port;
        if port.mask != 0 {
            // SAFETY: the spare strip of the port, and the rest of its floats.
            unsafe {
                copy.data = spare.add(number * LONGEST);
                std::ptr::copy_nonoverlapping(port.data.add(whole), copy.data, len - whole);
            }
        }
    }
    // SAFETY: by the promise of the caller; spare strips are long enough.
    unsafe { one::<V>(look_up(&copies), 0) };
    for step in steps.iter().filter(|step| step.code == Code::Save) {
        let (port, copy) = (&ports[step.ports[0] as usize], &copies[step.ports[0] as usize]);
        if port.mask != 0 {
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(copy.data, port.data.add(whole), len - whole) };
        }
    }
}

/// Asks the second-level cache for a strip of each port, from point `at` on, which may lie beyond the last.
#[inline(always)]
fn ask<V: Vector>(ports: &[Port], at: usize) {
    for port in ports.iter().filter(|port| port.mask != 0) {
        for vector in 0..VECTORS {
            prefetch(port.data.wrapping_add(at + vector * V::WIDTH).cast_const().cast());
        }
    }
}

/// One strip, from point `at` on.
#[inline(always)]
unsafe fn one<V: Vector>(steps: &[Ready], at: usize) {
    // SAFETY of every block: ports hold a strip from their place on, by the promise of the caller.
    let mut acc = unsafe { [V::splat(0.0); VECTORS] };
    macro_rules! each {
        (|$x:ident, $i:ident| $value:expr) => {
            for $i in 0..VECTORS {
                let $x = acc[$i];
                acc[$i] = unsafe { $value };
            }
        };
    }
    for step in steps {
        macro_rules! a {
            ($i:ident) => {
                V::load(step.a.data.add((at & step.a.mask) + $i * V::WIDTH))
            };
        }
        macro_rules! b {
            ($i:ident) => {
                V::load(step.b.data.add((at & step.b.mask) + $i * V::WIDTH))
            };
        }
        match step.code {
            Code::Take => each!(|_x, i| a!(i)),
            Code::Save => {
                for (i, x) in acc.into_iter().enumerate() {
                    unsafe { x.store(step.a.data.add((at & step.a.mask) + i * V::WIDTH)) };
                }
            }
            Code::Add => each!(|x, i| x.add(a!(i))),
            Code::Sub => each!(|x, i| x.sub(a!(i))),
            Code::SubFrom => each!(|x, i| a!(i).sub(x)),
            Code::Mul => each!(|x, i| x.mul(a!(i))),
            Code::Div => each!(|x, i| x.div(a!(i))),
            Code::DivInto => each!(|x, i| a!(i).div(x)),
            Code::Max => each!(|x, i| x.max(a!(i))),
            Code::MaxOf => each!(|x, i| a!(i).max(x)),
            Code::Min => each!(|x, i| x.min(a!(i))),
            Code::MinOf => each!(|x, i| a!(i).min(x)),
            Code::AddBoth => each!(|_x, i| a!(i).add(b!(i))),
            Code::SubBoth => each!(|_x, i| a!(i).sub(b!(i))),
            Code::MulBoth => each!(|_x, i| a!(i).mul(b!(i))),
            Code::DivBoth => each!(|_x, i| a!(i).div(b!(i))),
            Code::AddProduct => each!(|x, i| x.add(a!(i).mul(b!(i)))),
            Code::Square => each!(|x, i| x.mul(x)),
            Code::Sqrt => each!(|x, i| x.sqrt()),
            Code::Rsqrt => each!(|x, i| V::splat(1.0).div(x.sqrt())),
            Code::Recip => each!(|x, i| V::splat(1.0).div(x)),
            Code::Neg => each!(|x, i| x.neg()),
            Code::Abs => each!(|x, i| x.abs()),
            Code::Relu => each!(|x, i| x.relu()),
        }
    }
}
