//! Samples of elementwise ops.

use std::panic::Location;

use super::*;
use crate::dtype::DType;
use crate::op::{Binary, Unary};
use crate::ops;

pub(crate) fn unary(op: Unary, range: (f64, f64)) -> Vec<Sample> {
    let numbers: Numbers = match range {
        POSITIVE => positive,
        AWAY_FROM_ZERO => away_from_zero,
        _ => line,
    };
    let apply = move |x: &Tensor| apply_unary(op, x);
    let mut samples = over_views(numbers, apply);
    samples.push(values("special", vec![special()], move |t| apply(&t[0])));
    samples.push(values("wide", vec![uniform(&[997], (-100.0, 100.0), 40)], move |t| apply(&t[0])));
    if ops::unary::function(op).int.is_some() {
        let edges = [i64::MIN, i64::MAX, -1, 0, 1, 255, 256, i64::from(i32::MIN)];
        for dtype in [DType::I64, DType::I32, DType::U8] {
            let x = array(&[edges.len()], edges.to_vec()).cast(dtype);
            samples.push(values(dtype.name(), vec![x], move |t| apply(&t[0])));
        }
    }
    samples
}

fn apply_unary(op: Unary, x: &Tensor) -> Tensor {
    match op {
        Unary::Neg => x.neg(),
        Unary::Abs => x.abs(),
        Unary::Sign => x.sign(),
        Unary::Exp => x.exp(),
        Unary::Expm1 => x.expm1(),
        Unary::Log => x.log(),
        Unary::Log1p => x.log1p(),
        Unary::Sqrt => x.sqrt(),
        Unary::Rsqrt => x.rsqrt(),
        Unary::Recip => x.recip(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => x.sigmoid(),
        Unary::Erf => x.erf(),
        Unary::Gelu => x.gelu(),
        Unary::GeluSlope => x.gelu_slope(),
        Unary::Relu => x.relu(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round(),
        Unary::IsNan => x.is_nan(),
        Unary::Not => x.not(),
    }
}

pub(crate) fn not() -> Vec<Sample> {
    vec![
        values("plain", vec![booleans(&[5, 7], 1)], |t| t[0].not()),
        values("scalar", vec![booleans(&[], 2)], |t| t[0].not()),
        values("size 0", vec![booleans(&[0, 3], 3)], |t| t[0].not()),
        values("transposed", vec![booleans(&[4, 6], 4)], |t| t[0].transpose(0, 1).not()),
        values("long", vec![booleans(&[LONG], 5)], |t| t[0].not()),
    ]
}

/// Two shapes that broadcast, and how the left one lies.
const PAIRS: [(&str, &[usize], &[usize], View); 13] = [
    ("plain", &[4, 5], &[4, 5], Tensor::clone),
    ("scalars", &[], &[], Tensor::clone),
    ("row", &[4, 5], &[5], Tensor::clone),
    ("column and row", &[4, 1], &[1, 5], Tensor::clone),
    ("scalar on the right", &[2, 3], &[], Tensor::clone),
    ("scalar on the left", &[], &[2, 3], Tensor::clone),
    ("middle", &[2, 1, 3], &[4, 1], Tensor::clone),
    ("size 1", &[1, 1], &[1], Tensor::clone),
    ("size 0", &[0, 3], &[1, 3], Tensor::clone),
    ("transposed", &[5, 4], &[4, 5], |x| x.transpose(0, 1)),
    ("flipped", &[4, 5], &[4, 1], |x| x.flip(0)),
    ("long", &[LONG], &[LONG], Tensor::clone),
    ("long rows", &[3, 1501], &[3, 1], Tensor::clone),
];

pub(crate) fn binary(op: Binary) -> Vec<Sample> {
    let (left, right): (Numbers, Numbers) = match op {
        Binary::Div => (line, away_from_zero),
        Binary::Pow => (|dims, seed| uniform(dims, (0.3, 3.0), seed), line),
        // Quotients stay a fifth away from whole numbers, where the remainder jumps.
        Binary::Rem => (
            |dims, seed| {
                let place = |u: f64| 2.0 * (5.0 * u).floor() - 4.0 + 0.5 + (5.0 * u).fract();
                array(dims, units(dims, seed).into_iter().map(place).collect())
            },
            |dims, seed| uniform(dims, (1.95, 2.05), seed),
        ),
        // Whole numbers and a bit, against halves and a bit: no ties.
        Binary::Max | Binary::Min => (
            |dims, seed| array(dims, units(dims, seed).into_iter().map(|u| split(u, 0.0)).collect()),
            |dims, seed| array(dims, units(dims, seed).into_iter().map(|u| split(u, 0.5)).collect()),
        ),
        _ => (line, line),
    };
    let apply = move |a: &Tensor, b: &Tensor| ops::binary::binary(op, a.into(), b.into(), Location::caller());
    let logic = matches!(op, Binary::And | Binary::Or | Binary::Xor);
    let mut samples = Vec::new();
    if !logic {
        for (&(name, a, b, view), seed) in PAIRS.iter().zip(1..) {
            let inputs = vec![left(a, seed), right(b, 100 + seed)];
            samples.push(sample(name, inputs, move |t| apply(&view(&t[0]), &t[1])));
        }
        samples.push(sample("expanded on the right", vec![left(&[3, 4], 50), right(&[3, 1], 51)], move |t| {
            apply(&t[0], &t[1].expand([3, 4]))
        }));
        samples.push(sample("a number on the right", vec![left(&[3, 4], 52)], move |t| {
            ops::binary::binary(op, (&t[0]).into(), 1.95.into(), Location::caller())
        }));
        samples.push(sample("a number on the left", vec![right(&[3, 4], 53)], move |t| {
            ops::binary::binary(op, 2.75.into(), (&t[0]).into(), Location::caller())
        }));
        samples.push(values("special", special_pairs(), move |t| apply(&t[0], &t[1])));
    }
    let edges = [i64::MIN, i64::MAX, -7, -2, -1, 0, 1, 2, 3, 7, 255, i64::from(i32::MIN), i64::from(i32::MAX)];
    let n = edges.len();
    let a = array(&[n * n], (0..n * n).map(|i| edges[i / n]).collect());
    let b = array(&[n * n], (0..n * n).map(|i| edges[i % n]).collect());
    for dtype in [DType::I64, DType::I32, DType::U8] {
        let inputs = vec![a.cast(dtype), b.cast(dtype)];
        samples.push(values(dtype.name(), inputs, move |t| apply(&t[0], &t[1])));
    }
    let (rows, row) = (integers(&[33, 5], -9, 9, 60), integers(&[5], 1, 5, 61));
    samples.push(values("i64 broadcast", vec![rows, row], move |t| apply(&t[0], &t[1])));
    if logic || op.compares() {
        let inputs = vec![booleans(&[4, 9], 62), booleans(&[9], 63)];
        samples.push(values("bool", inputs, move |t| apply(&t[0], &t[1])));
        let inputs = vec![booleans(&[LONG], 64), booleans(&[LONG], 65)];
        samples.push(values("long bool", inputs, move |t| apply(&t[0].flip(0), &t[1])));
    }
    samples
}

fn split(u: f64, offset: f64) -> f64 {
    (8.0 * u).floor() - 4.0 + offset + 0.3 * (8.0 * u).fract()
}

pub(crate) fn select() -> Vec<Sample> {
    let choose = |t: &[Tensor]| t[1].where_else(&t[0], &t[2]);
    let case = |name: &str, c: &[usize], a: &[usize], b: &[usize], seed: u64| {
        sample(name, vec![booleans(c, seed), line(a, seed + 1), line(b, seed + 2)], choose)
    };
    let n = SPECIAL.len();
    let alternate = array(&[n], (0..n).map(|i| i % 2 == 0).collect());
    vec![
        case("plain", &[4, 5], &[4, 5], &[4, 5], 1),
        case("scalars", &[], &[], &[], 5),
        case("condition broadcast", &[5], &[4, 5], &[4, 5], 9),
        case("choices broadcast", &[4, 5], &[4, 1], &[], 13),
        case("size 1", &[1], &[1, 1], &[1], 17),
        case("size 0", &[0, 3], &[3], &[1, 3], 21),
        case("long", &[LONG], &[LONG], &[LONG], 25),
        case("long rows", &[3, 1], &[3, 1501], &[1501], 29),
        sample("transposed, flipped", vec![booleans(&[6, 4], 30), line(&[4, 6], 31), line(&[6, 1], 32)], |t| {
            t[1].transpose(0, 1).flip(0).where_else(&t[0], &t[2])
        }),
        sample("a number", vec![booleans(&[3, 4], 33), line(&[4], 34)], |t| t[1].where_else(&t[0], 0.5)),
        sample("keep", vec![booleans(&[3, 4], 35), line(&[3, 4], 36)], |t| t[1].keep_where(&t[0])),
        values("not a number, not taken", vec![line(&[9], 37)], |t| t[0].log().keep_where(&t[0].gt(0.0))),
        values("special", vec![alternate, special(), uniform(&[n], (-1.0, 1.0), 38)], choose),
        values("i64", vec![booleans(&[5, 7], 39), integers(&[7], -9, 9, 40), integers(&[5, 1], -9, 9, 41)], choose),
        values("bool", vec![booleans(&[5, 7], 42), booleans(&[5, 7], 43), booleans(&[5, 7], 44)], choose),
    ]
}

pub(crate) fn clamp() -> Vec<Sample> {
    let mut samples = over_views(line, |x| x.clamp(-1.0, 2.0));
    samples.push(sample("one side", vec![line(&[33], 50)], |t| t[0].clamp(f64::NEG_INFINITY, 1.0)));
    samples.push(sample("the other side", vec![line(&[33], 54)], |t| t[0].clamp(-1.0, f64::INFINITY)));
    samples.push(sample("open ends", vec![line(&[33], 53)], |t| t[0].hardtanh(-1.0, 2.0)));
    samples.push(sample("limits crossed", vec![line(&[33], 51)], |t| t[0].clamp(2.0, -1.0)));
    samples.push(values("special", vec![special()], |t| t[0].clamp(-1.0, 0.0)));
    samples.push(values("limit not a number", vec![special()], |t| t[0].clamp(f64::NAN, 1.0)));
    for dtype in [DType::I64, DType::I32, DType::U8] {
        samples.push(values(dtype.name(), vec![integers(&[40], 0, 20, 52).cast(dtype)], |t| t[0].clamp(5, 11)));
    }
    samples
}

pub(crate) fn cast() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut inputs = vec![("float", special())];
    inputs.push(("i64", array(&[7], vec![i64::MIN, i64::MAX, -129, -1, 0, 1, 300])));
    let other =
        [("i32", DType::I32), ("u8", DType::U8), ("bool", DType::Bool), ("f16", DType::F16), ("bf16", DType::BF16)];
    let sources: Vec<_> =
        other.iter().map(|&(name, dtype)| (name, uniform(&[19], (-3.0, 3.0), 7).cast(dtype))).collect();
    inputs.extend(sources);
    for (name, x) in inputs {
        for to in DType::ALL {
            if to != x.dtype() {
                // Floats run in both widths; the way through f64 makes a node of every pair.
                let build = move |t: &[Tensor]| match t[0].dtype() {
                    from if from == to => t[0].cast(if to == DType::F32 { DType::F64 } else { DType::F32 }),
                    _ => t[0].cast(to),
                };
                samples.push(values(&format!("{name} to {to}"), vec![x.clone()], build));
            }
        }
    }
    samples.push(values("transposed, long", vec![line(&[83, 99], 8)], |t| t[0].transpose(0, 1).cast(DType::I64)));
    samples.push(values("size 0", vec![line(&[0, 3], 9)], |t| t[0].cast(DType::I32)));
    samples
}
