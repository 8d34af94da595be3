//! The instructions of a program as loops over a tile: one function for each op and dtype, chosen when a plan is prepared.
//!
//! The formulas are those of [`tensor::ops`], inlined into loops that are compiled for each vector width.

use tensor::DType;
use tensor::op::{Binary, Unary};
use tensor::ops::binary::{holds, integer, real};
use tensor::ops::select::clamp;
use tensor::real::Real;

use crate::simd::Simd;

/// Values that an instruction reads: one a point, or one for all points.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// The first value.
    pub data: *const u8,
    /// Whether there is one a point.
    pub many: bool,
}

impl Arg {
    /// No value.
    pub const NONE: Arg = Arg { data: std::ptr::null(), many: false };
}

/// One instruction applied to the points of a tile.
pub struct Call {
    /// Where the results go.
    pub out: *mut u8,
    /// The arguments.
    pub args: [Arg; 3],
    /// Number of points.
    pub len: usize,
}

/// A loop over a tile. Its safety: arguments and result have the types it was chosen for and room for `len`, and the
/// result overlaps no argument.
pub type Kernel = unsafe fn(Simd, &Call);

#[inline(always)]
unsafe fn many<'a, T>(arg: Arg, len: usize) -> &'a [T] {
    // SAFETY: by the promise of the kernel's caller.
    unsafe { std::slice::from_raw_parts(arg.data.cast(), len) }
}

#[inline(always)]
unsafe fn one<T: Copy>(arg: Arg) -> T {
    // SAFETY: by the promise of the kernel's caller.
    unsafe { *arg.data.cast::<T>() }
}

#[inline(always)]
unsafe fn map1<A: Copy, R: Copy>(call: &Call, f: impl Fn(A) -> R) {
    // SAFETY: by the promise of the kernel's caller.
    unsafe {
        let out: &mut [R] = std::slice::from_raw_parts_mut(call.out.cast(), call.len);
        if call.args[0].many {
            let a: &[A] = many(call.args[0], call.len);
            for (y, a) in out.iter_mut().zip(a) {
                *y = f(*a);
            }
        } else {
            out.fill(f(one(call.args[0])));
        }
    }
}

#[inline(always)]
unsafe fn map2<A: Copy, B: Copy, R: Copy>(call: &Call, f: impl Fn(A, B) -> R) {
    // SAFETY: by the promise of the kernel's caller.
    unsafe {
        let out: &mut [R] = std::slice::from_raw_parts_mut(call.out.cast(), call.len);
        match (call.args[0].many, call.args[1].many) {
            (true, true) => {
                let (a, b): (&[A], &[B]) = (many(call.args[0], call.len), many(call.args[1], call.len));
                for (y, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                    *y = f(*a, *b);
                }
            }
            (true, false) => {
                let (a, b): (&[A], B) = (many(call.args[0], call.len), one(call.args[1]));
                for (y, a) in out.iter_mut().zip(a) {
                    *y = f(*a, b);
                }
            }
            (false, true) => {
                let (a, b): (A, &[B]) = (one(call.args[0]), many(call.args[1], call.len));
                for (y, b) in out.iter_mut().zip(b) {
                    *y = f(a, *b);
                }
            }
            (false, false) => out.fill(f(one(call.args[0]), one(call.args[1]))),
        }
    }
}

#[inline(always)]
unsafe fn choose<T: Copy>(call: &Call, pick: impl Fn(u8, T, T) -> T) {
    let [condition, a, b] = call.args;
    // SAFETY: by the promise of the kernel's caller.
    unsafe {
        if !condition.many {
            let taken = if one::<u8>(condition) != 0 { a } else { b };
            map1::<T, T>(&Call { out: call.out, args: [taken, Arg::NONE, Arg::NONE], len: call.len }, |x| x);
            return;
        }
        let out: &mut [T] = std::slice::from_raw_parts_mut(call.out.cast(), call.len);
        let c: &[u8] = many(condition, call.len);
        match (a.many, b.many) {
            (true, true) => {
                let (a, b): (&[T], &[T]) = (many(a, call.len), many(b, call.len));
                for (y, (c, (a, b))) in out.iter_mut().zip(c.iter().zip(a.iter().zip(b))) {
                    *y = pick(*c, *a, *b);
                }
            }
            (true, false) => {
                let (a, b): (&[T], T) = (many(a, call.len), one(b));
                for (y, (c, a)) in out.iter_mut().zip(c.iter().zip(a)) {
                    *y = pick(*c, *a, b);
                }
            }
            (false, true) => {
                let (a, b): (T, &[T]) = (one(a), many(b, call.len));
                for (y, (c, b)) in out.iter_mut().zip(c.iter().zip(b)) {
                    *y = pick(*c, a, *b);
                }
            }
            (false, false) => {
                let (a, b): (T, T) = (one(a), one(b));
                for (y, c) in out.iter_mut().zip(c) {
                    *y = pick(*c, a, b);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn limit<T: Copy, W: Copy + PartialOrd>(call: &Call, widen: impl Fn(T) -> W, narrow: impl Fn(W) -> T) {
    // SAFETY: by the promise of the kernel's caller.
    unsafe {
        let (lo, hi): (W, W) = (one(call.args[1]), one(call.args[2]));
        map1::<T, T>(
            call,
            #[inline(always)]
            |x| narrow(clamp(widen(x), lo, hi)),
        );
    }
}

/// x^y; squares, which are most of the powers that are asked for, are products.
#[inline(always)]
unsafe fn powers(call: &Call) {
    // SAFETY: by the promise of the kernel's caller.
    unsafe {
        if call.args[0].many && !call.args[1].many && one::<f32>(call.args[1]) == 2.0 {
            map1::<f32, f32>(
                call,
                #[inline(always)]
                |x| x * x,
            );
        } else {
            map2::<f32, f32, f32>(call, Real::pow);
        }
    }
}

/// A kernel compiled for every vector width, or for the plain one (types that are not worth the code).
macro_rules! kernel {
    (wide $map:ident()) => {
        |simd: Simd, call: &Call| {
            simd.run(
                #[inline(always)]
                // SAFETY: the promise of the kernel's caller.
                || unsafe { $map(call) },
            )
        }
    };
    (wide $map:ident<$($t:ty),*>($($f:expr),*)) => {
        |simd: Simd, call: &Call| {
            simd.run(
                #[inline(always)]
                // SAFETY: the promise of the kernel's caller.
                || unsafe { $map::<$($t),*>(call $(, $f)*) },
            )
        }
    };
    (plain $map:ident<$($t:ty),*>($($f:expr),*)) => {
        // SAFETY: the promise of the kernel's caller.
        |_: Simd, call: &Call| unsafe { $map::<$($t),*>(call $(, $f)*) }
    };
}

macro_rules! unary_floats {
    ($width:ident $t:ty, $op:expr, $($name:ident => $f:expr),*) => {
        match $op {
            $(Unary::$name => kernel!($width map1<$t, $t>(#[inline(always)] $f)),)*
            Unary::IsNan => kernel!($width map1<$t, u8>(#[inline(always)] |x: $t| u8::from(x.is_nan()))),
            Unary::Not => return None,
        }
    };
}

macro_rules! unary_float_table {
    ($width:ident $t:ty, $op:expr) => {
        unary_floats!($width $t, $op,
            Neg => |x: $t| -x,
            Abs => |x: $t| Real::abs(x),
            Sign => |x: $t| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x * 0.0 },
            Exp => |x: $t| Real::exp(x),
            Expm1 => |x: $t| Real::expm1(x),
            Log => |x: $t| Real::log(x),
            Log1p => |x: $t| Real::log1p(x),
            Sqrt => |x: $t| Real::sqrt(x),
            Rsqrt => |x: $t| 1.0 / Real::sqrt(x),
            Recip => |x: $t| 1.0 / x,
            Sin => |x: $t| Real::sin(x),
            Cos => |x: $t| Real::cos(x),
            Tanh => |x: $t| Real::tanh(x),
            Sigmoid => |x: $t| Real::sigmoid(x),
            Erf => |x: $t| Real::erf(x),
            Gelu => |x: $t| Real::gelu(x),
            GeluSlope => |x: $t| Real::gelu_slope(x),
            Relu => |x: $t| if x < 0.0 { 0.0 } else { x },
            Floor => |x: $t| Real::floor(x),
            Ceil => |x: $t| Real::ceil(x),
            Round => |x: $t| Real::round(x)
        )
    };
}

macro_rules! unary_ints {
    ($t:ty, $op:expr) => {
        match $op {
            Unary::Neg => kernel!(plain map1<$t, $t>(|x: $t| i64::from(x).wrapping_neg() as $t)),
            Unary::Abs => kernel!(plain map1<$t, $t>(|x: $t| i64::from(x).wrapping_abs() as $t)),
            Unary::Sign => kernel!(plain map1<$t, $t>(|x: $t| i64::from(x).signum() as $t)),
            Unary::Relu => kernel!(plain map1<$t, $t>(|x: $t| i64::from(x).max(0) as $t)),
            Unary::Not => kernel!(plain map1<$t, $t>(|x: $t| <$t>::from(x == 0))),
            _ => return None,
        }
    };
}

/// The kernel of a function of one number of `dtype`.
#[allow(clippy::neg_multiply)]
pub fn unary(op: Unary, dtype: DType) -> Option<Kernel> {
    Some(match dtype {
        DType::F32 => unary_float_table!(wide f32, op),
        DType::F64 => unary_float_table!(plain f64, op),
        DType::I32 => unary_ints!(i32, op),
        DType::I64 => unary_ints!(i64, op),
        DType::U8 => unary_ints!(u8, op),
        DType::Bool if op == Unary::Not => kernel!(wide map1<u8, u8>(#[inline(always)] |x: u8| u8::from(x == 0))),
        _ => return None,
    })
}

macro_rules! comparisons {
    ($width:ident $t:ty, $op:expr, $($name:ident)*) => {
        match $op {
            $(Binary::$name => Some(kernel!($width map2<$t, $t, u8>(
                #[inline(always)] |a: $t, b: $t| u8::from(holds(Binary::$name, a, b))))),)*
            _ => None,
        }
    };
}

macro_rules! binary_table {
    ($width:ident $t:ty, $op:expr, $f:ident, |$a:ident| $wide:expr, |$r:ident| $narrow:expr, $($name:ident)*) => {
        match $op {
            $(Binary::$name => kernel!($width map2<$t, $t, $t>(#[inline(always)] |a: $t, b: $t| {
                let (a, b) = ({ let $a = a; $wide }, { let $a = b; $wide });
                let $r = $f(Binary::$name, a, b);
                $narrow
            })),)*
            op => return compare::<$t>(op),
        }
    };
}

/// The kernel of a function of two numbers of `dtype`.
pub fn binary(op: Binary, dtype: DType) -> Option<Kernel> {
    Some(match dtype {
        DType::F32 if op == Binary::Pow => kernel!(wide powers()),
        DType::F32 if op.compares() => return comparisons!(wide f32, op, Eq Ne Lt Le Gt Ge),
        DType::F32 => binary_table!(wide f32, op, real, |a| a, |r| r, Add Sub Mul Div Rem Max Min),
        DType::F64 => binary_table!(plain f64, op, real, |a| a, |r| r, Add Sub Mul Div Rem Pow Max Min),
        DType::I32 => binary_table!(plain i32, op, integer, |a| i64::from(a), |r| r as i32,
            Add Sub Mul Div Rem Pow Max Min And Or Xor),
        DType::I64 => binary_table!(plain i64, op, integer, |a| a, |r| r,
            Add Sub Mul Div Rem Pow Max Min And Or Xor),
        DType::U8 => binary_table!(plain u8, op, integer, |a| i64::from(a), |r| r as u8,
            Add Sub Mul Div Rem Pow Max Min And Or Xor),
        DType::Bool => match op {
            Binary::And => kernel!(wide map2<u8, u8, u8>(#[inline(always)] |a: u8, b: u8| a & b)),
            Binary::Or => kernel!(wide map2<u8, u8, u8>(#[inline(always)] |a: u8, b: u8| a | b)),
            Binary::Xor => kernel!(wide map2<u8, u8, u8>(#[inline(always)] |a: u8, b: u8| a ^ b)),
            op => return compare::<u8>(op),
        },
        DType::F16 | DType::BF16 => return None,
    })
}

fn compare<T: Copy + PartialOrd>(op: Binary) -> Option<Kernel> {
    comparisons!(plain T, op, Eq Ne Lt Le Gt Ge)
}

/// The kernel of a choice between values of `dtype`: arguments (condition, a, b).
pub fn select(dtype: DType) -> Kernel {
    // Of a choice between two loads the compiler makes one load from an address that is chosen, number by number.
    macro_rules! choose {
        ($width:ident $t:ty) => {
            kernel!($width choose<$t>(#[inline(always)] |c: u8, a: $t, b: $t| {
                b ^ (a ^ b) & <$t>::from(c != 0).wrapping_neg()
            }))
        };
    }
    match dtype.size() {
        1 => choose!(wide u8),
        2 => choose!(plain u16),
        4 => choose!(wide u32),
        _ => choose!(wide u64),
    }
}

/// GELU of `x` and its slope, written to `outs`: the bits of both kernels.
///
/// # Safety
/// `x` holds `len` f32 or is one, both results have room for `len`; neither overlaps `x` or the other.
pub unsafe fn gelu_and_slope(simd: Simd, x: Arg, outs: [*mut u8; 2], len: usize) {
    simd.run(
        #[inline(always)]
        || {
            // SAFETY: by the promise of the caller.
            let [y, slope] = outs.map(|out| unsafe { std::slice::from_raw_parts_mut(out.cast::<f32>(), len) });
            // SAFETY: by the promise of the caller.
            let x: &[f32] = unsafe { many(x, if x.many { len } else { 1 }) };
            if x.len() == len {
                for ((y, slope), x) in y.iter_mut().zip(slope).zip(x) {
                    let x = *x;
                    let both = (Real::gelu(x), Real::gelu_slope(x));
                    (*y, *slope) = both;
                }
            } else {
                y.fill(Real::gelu(x[0]));
                slope.fill(Real::gelu_slope(x[0]));
            }
        },
    );
}

/// The kernel of a ReLU's gradient, 0 where y <= 0: arguments (y, g), f32.
pub fn relu_gradient() -> Kernel {
    kernel!(wide map2<f32, f32, f32>(#[inline(always)] |y: f32, g: f32| if y <= 0.0 { 0.0 } else { g }))
}

/// The kernel that is g where lo < y < hi, else 0: arguments (y, g, both limits side by side), f32.
pub fn inside() -> Kernel {
    kernel!(wide where_inside())
}

#[inline(always)]
unsafe fn where_inside(call: &Call) {
    // SAFETY: by the promise of the kernel's caller.
    unsafe {
        let [low, high]: [f32; 2] = one(call.args[2]);
        map2::<f32, f32, f32>(
            call,
            #[inline(always)]
            |y, g| if (y > low) & (y < high) { g } else { 0.0 },
        );
    }
}

/// The kernel of limiting values of `dtype`: arguments (x, lo, hi), for integers lo and hi as i64.
pub fn limits(dtype: DType) -> Option<Kernel> {
    Some(match dtype {
        DType::F32 => kernel!(wide limit<f32, f32>(#[inline(always)] |x| x, #[inline(always)] |x| x)),
        DType::F64 => kernel!(plain limit<f64, f64>(|x| x, |x| x)),
        DType::I32 => kernel!(plain limit<i32, i64>(i64::from, |x| x as i32)),
        DType::I64 => kernel!(plain limit<i64, i64>(|x| x, |x| x)),
        DType::U8 => kernel!(plain limit<u8, i64>(i64::from, |x| x as u8)),
        _ => return None,
    })
}

/// The kernel that only copies, repeating a single value.
pub fn copy(dtype: DType) -> Kernel {
    match dtype.size() {
        1 => kernel!(wide map1<u8, u8>(#[inline(always)] |x| x)),
        2 => kernel!(plain map1<u16, u16>(|x| x)),
        4 => kernel!(wide map1<u32, u32>(#[inline(always)] |x| x)),
        _ => kernel!(wide map1<u64, u64>(#[inline(always)] |x| x)),
    }
}

macro_rules! casts {
    ($width:ident $from:ty, $to:expr, |$x:ident| $wide:expr, $zero:expr) => {
        match $to {
            DType::F16 => kernel!($width map1<$from, u16>(#[inline(always)] |$x: $from| f32_to_f16($wide as f32))),
            DType::BF16 => kernel!($width map1<$from, u16>(#[inline(always)] |$x: $from| f32_to_bf16($wide as f32))),
            DType::F32 => kernel!($width map1<$from, f32>(#[inline(always)] |$x: $from| $wide as f32)),
            DType::F64 => kernel!($width map1<$from, f64>(#[inline(always)] |$x: $from| $wide as f64)),
            DType::I32 => kernel!($width map1<$from, i32>(#[inline(always)] |$x: $from| $wide as i32)),
            DType::I64 => kernel!($width map1<$from, i64>(#[inline(always)] |$x: $from| $wide as i64)),
            DType::U8 => kernel!($width map1<$from, u8>(#[inline(always)] |$x: $from| $wide as u8)),
            DType::Bool => kernel!($width map1<$from, u8>(#[inline(always)] |$x: $from| u8::from($wide != $zero))),
        }
    };
}

/// The kernel that converts from one dtype to another, as [`tensor::Array::cast`] does.
#[allow(clippy::unnecessary_cast, clippy::redundant_closure)]
pub fn cast(from: DType, to: DType) -> Kernel {
    use tensor::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
    if from == to {
        return copy(from);
    }
    match from {
        DType::F16 if to == DType::F32 => kernel!(wide map1<u16, f32>(#[inline(always)] |x: u16| f16_to_f32(x))),
        DType::BF16 if to == DType::F32 => kernel!(wide map1<u16, f32>(#[inline(always)] |x: u16| bf16_to_f32(x))),
        DType::F16 => casts!(plain u16, to, |x| f16_to_f32(x), 0.0),
        DType::BF16 => casts!(plain u16, to, |x| bf16_to_f32(x), 0.0),
        DType::F32 => casts!(wide f32, to, |x| x, 0.0),
        DType::F64 => casts!(plain f64, to, |x| x, 0.0),
        DType::I32 => casts!(plain i32, to, |x| i64::from(x), 0),
        // Bytes to f32 are what masks and pictures become.
        DType::U8 | DType::Bool if to == DType::F32 => kernel!(wide map1<u8, f32>(#[inline(always)] |x: u8| x as f32)),
        DType::I64 => casts!(plain i64, to, |x| x, 0),
        DType::U8 | DType::Bool => casts!(plain u8, to, |x| x, 0),
    }
}
