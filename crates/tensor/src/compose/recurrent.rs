//! Recurrent layers written out step by step: what their higher derivatives are made of.

use crate::error::ErrorKind;
use crate::op::{Cell, Recurrence};
use crate::ops::recurrent::{Extent, extent};
use crate::tensor::Tensor;

/// The gradients of the inputs of `y`, the adjoint of a recurrent layer, from the gradient `g` of `y`.
///
/// `y` is written out as the gradient of the steps, in ops that all have rules; then that is differentiated.
pub(crate) fn adjoint(of: Recurrence, y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let [_, given @ .., cotangent] = y.inputs() else { return vec![None] };
    let size = extent(cotangent.shape());
    let count = of.cell.inputs();
    // Each input by a node of its own: what is asked for is the gradient by this place of use alone.
    let own = |x: &Tensor| x.unsqueeze(0);
    let (lifted, lengths) = (given[..count].iter().map(own).collect::<Vec<_>>(), given.get(count));
    let lifted_cotangent = own(cotangent);
    let inputs: Vec<Tensor> = lifted.iter().map(|x| x.squeeze(0)).collect();
    let written = written_adjoint(of, size, &inputs, lengths, &lifted_cotangent.squeeze(0));
    let wrt = lifted.iter().chain([&lifted_cotangent]);
    let mut found: Vec<Option<Tensor>> = written
        .vector_jacobian(g, wrt)
        .into_iter()
        .map(|part| {
            let independent = part.error().is_some_and(|error| error.kind() == ErrorKind::NoGradient);
            (!independent).then(|| part.squeeze(0))
        })
        .collect();
    let of_cotangent = found.pop().flatten();
    let mut parts = vec![None];
    parts.extend(found);
    parts.extend(lengths.map(|_| None));
    parts.push(of_cotangent);
    parts
}

/// What `RecurrentGrad` gives, written out.
fn written_adjoint(
    of: Recurrence,
    size: Extent,
    inputs: &[Tensor],
    lengths: Option<&Tensor>,
    cotangent: &Tensor,
) -> Tensor {
    let Extent { steps, batch, hidden } = size;
    let dtype = cotangent.dtype();
    // The gradient of a zero that is added to the state's part of n is that part's gradient.
    let zero = Tensor::zeros([steps, batch, hidden], dtype);
    let states = written(of, size, inputs, lengths, &zero);
    let mut wrt = vec![&inputs[0], &inputs[2]];
    match of.cell {
        Cell::Lstm => wrt.push(&inputs[3]),
        Cell::Gru => wrt.push(&zero),
        Cell::RnnTanh | Cell::RnnRelu => {}
    }
    let mut parts = states.vector_jacobian(cotangent, wrt);
    let width = of.cell.gradients() * hidden;
    let mut rows = parts.remove(0);
    let mut last = parts.remove(0);
    match of.cell {
        Cell::Lstm => last = Tensor::concat(&[last, parts.remove(0)], 1),
        Cell::Gru => rows = Tensor::concat(&[rows.clone(), rows.narrow(2, 0..2 * hidden), parts.remove(0)], 2),
        Cell::RnnTanh | Cell::RnnRelu => {}
    }
    let filled = last.dims().get(1).copied().unwrap_or(width);
    let last = last.pad(1, 0, width - filled, 0.0).unsqueeze(0);
    Tensor::concat(&[rows, last], 0)
}

/// The states of all steps, `[fields, T+1, N, H]`.
fn written(of: Recurrence, size: Extent, inputs: &[Tensor], lengths: Option<&Tensor>, zero: &Tensor) -> Tensor {
    let hidden = size.hidden;
    let (gates, weight) = (&inputs[0], inputs[1].transpose(0, 1));
    let mut h = inputs[2].clone();
    let mut c = (of.cell == Cell::Lstm).then(|| inputs[3].clone());
    let (mut all_h, mut all_c) = (vec![h.clone()], c.clone().into_iter().collect::<Vec<_>>());
    for step in 0..size.steps {
        let (t, ..) = of.step(step, size.steps);
        let (from_input, from_state) = (gates.select(0, t), h.matmul(&weight));
        let part = |x: &Tensor, gate: usize| x.narrow(1, gate * hidden..(gate + 1) * hidden);
        let sum = |gate: usize| part(&from_input, gate) + part(&from_state, gate);
        let taken = lengths.map(|lengths| lengths.gt(t as i64).unsqueeze(1));
        let or_stay = |new: Tensor, old: &Tensor| match &taken {
            Some(taken) => new.where_else(taken, old),
            None => new,
        };
        let new = match (of.cell, &mut c) {
            (Cell::Lstm, Some(c)) => {
                let (i, f, g, o) = (sum(0).sigmoid(), sum(1).sigmoid(), sum(2).tanh(), sum(3).sigmoid());
                let next = f * &*c + i * g;
                let new = o * next.tanh();
                *c = or_stay(next, c);
                all_c.push(c.clone());
                new
            }
            (Cell::Gru, _) => {
                let (r, z) = (sum(0).sigmoid(), sum(1).sigmoid());
                let s = part(&from_state, 2) + &inputs[3] + zero.select(0, t);
                let n = (part(&from_input, 2) + r * s).tanh();
                (1.0 - &z) * n + z * &h
            }
            (Cell::RnnRelu, _) => sum(0).relu(),
            _ => sum(0).tanh(),
        };
        h = or_stay(new, &h);
        all_h.push(h.clone());
    }
    if of.reverse {
        all_h.reverse();
        all_c.reverse();
    }
    let fields: Vec<Tensor> = [all_h, all_c].iter().filter(|f| !f.is_empty()).map(|f| Tensor::stack(f, 0)).collect();
    Tensor::stack(&fields, 0)
}
