//! Samples of recurrent layers.

use super::*;
use crate::op::Cell;
use crate::ops::recurrent::ScanOptions;

/// Name, steps, samples, hidden units, lengths, reverse.
type Case = (&'static str, usize, usize, usize, Option<&'static [i64]>, bool);

const SMALL: [Case; 7] = [
    ("plain", 3, 2, 3, None, false),
    ("one step", 1, 2, 2, None, false),
    ("size 1", 1, 1, 1, None, false),
    ("no batch", 2, 0, 3, None, false),
    ("reverse", 3, 2, 2, None, true),
    ("lengths", 3, 4, 2, Some(&[1, 3, 2, 3]), false),
    ("lengths, reverse", 3, 3, 2, Some(&[2, 1, 3]), true),
];

const LARGE: [Case; 5] = [
    ("odd sizes", 4, 5, 37, None, false),
    ("beyond one tile", 3, 31, 70, None, false),
    ("beyond one tile, lengths, reverse", 3, 17, 33, Some(&[1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]), true),
    ("enough for several threads", 2, 64, 128, None, false),
    ("one long row", 9, 1, 130, None, true),
];

/// Inputs: gates, weight, h, and c or the bias.
fn inputs(cell: Cell, (_, steps, batch, hidden, ..): Case, seed: u64) -> Vec<Array> {
    let (width, narrow) = (cell.gates() * hidden, (-1.0, 1.0));
    let scale = 1.0 / (hidden as f64).sqrt();
    let mut all = vec![
        uniform(&[steps, batch, width], (-1.5, 1.5), seed),
        uniform(&[width, hidden], (-scale, scale), seed + 1),
        uniform(&[batch, hidden], narrow, seed + 2),
    ];
    match cell {
        Cell::Lstm => all.push(uniform(&[batch, hidden], narrow, seed + 3)),
        Cell::Gru => all.push(uniform(&[hidden], narrow, seed + 3)),
        Cell::RnnTanh | Cell::RnnRelu => {}
    }
    all
}

/// Everything the layer gives, in one row.
fn apply(cell: Cell, case: Case, x: &[Tensor]) -> Tensor {
    let lengths = case.4.map(|lengths| Tensor::from_vec(lengths.to_vec(), [lengths.len()]));
    let options = ScanOptions { lengths: lengths.as_ref(), reverse: case.5 };
    let all: Vec<Tensor> = match cell {
        Cell::Lstm => x[0].lstm(&x[1], &x[2], &x[3], &options).into(),
        Cell::Gru => x[0].gru(&x[1], &x[3], &x[2], &options).into(),
        Cell::RnnTanh | Cell::RnnRelu => x[0].rnn(cell == Cell::RnnRelu, &x[1], &x[2], &options).into(),
    };
    Tensor::concat(&all.iter().map(|y| y.flatten(0)).collect::<Vec<_>>(), 0)
}

pub(crate) fn recurrent(cell: Cell) -> Vec<Sample> {
    let mut samples: Vec<Sample> = SMALL
        .into_iter()
        .chain(LARGE)
        .zip((1..).step_by(4))
        .map(|(case, seed)| Sample {
            differentiable: seed <= 4 * SMALL.len() as u64,
            ..sample(case.0, inputs(cell, case, seed), move |x| apply(cell, case, x))
        })
        .collect();
    let case = ("strided gates", 4, 2, 3, None, false);
    let mut strided = inputs(cell, ("", 2, 4, 3, None, false), 60);
    strided[2] = uniform(&[2, 3], (-1.0, 1.0), 63);
    if cell == Cell::Lstm {
        strided[3] = uniform(&[2, 3], (-1.0, 1.0), 64);
    }
    samples.push(sample(case.0, strided, move |x| {
        let gates = x[0].transpose(0, 1).flip(2);
        apply(cell, case, &[&[gates], &x[1..]].concat())
    }));
    let case = ("the state of one layer of several", 2, 2, 3, None, false);
    let mut of_several = inputs(cell, case, 80);
    of_several[2] = uniform(&[3, 2, 3], (-1.0, 1.0), 84);
    samples.push(sample(case.0, of_several, move |x| {
        apply(cell, case, &[&[x[0].clone(), x[1].clone(), x[2].select(0, 0)], &x[3..]].concat())
    }));
    let case = ("special", 1, 4, 6, None, false);
    let mut odd = inputs(cell, case, 70);
    odd[2] = special().reshaped(shape(&[4, 6]));
    samples.push(values(case.0, odd, move |x| apply(cell, case, x)));
    samples
}

pub(crate) fn recurrent_grad(cell: Cell) -> Vec<Sample> {
    SMALL
        .into_iter()
        .chain([LARGE[0], LARGE[2]])
        .zip((101..).step_by(8))
        .map(|(case, seed)| {
            let (_, steps, batch, hidden, ..) = case;
            let states = if cell == Cell::Lstm { 2 } else { 1 };
            let outputs = (steps + states) * batch * hidden;
            let mut all = inputs(cell, case, seed);
            all.push(uniform(&[outputs], (-1.0, 1.0), seed + 6));
            let build = move |x: &[Tensor]| {
                let (cotangent, x) = x.split_last().expect("the cotangent is the last input");
                let parts = apply(cell, case, x).vector_jacobian(cotangent, x);
                Tensor::concat(&parts.iter().map(|y| y.flatten(0)).collect::<Vec<_>>(), 0)
            };
            Sample { differentiable: steps * batch * hidden <= 20, ..sample(case.0, all, build) }
        })
        .collect()
}
