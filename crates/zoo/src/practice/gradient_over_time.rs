//! How far back a loss at the end of a sequence reaches: the length of its gradient in the state after each step, of networks as they
//! begin. In a plain one it fades or grows with each step; the cell of an LSTM keeps it as far as its forget gates are open.

use nn::{Init, Pass, Recurrent, Scope, gru, lstm, rnn};
use see::picture::{Chart, lines};
use serde_json::{Value, json};
use tensor::{DType, RandomKey, Tensor};
use train::Result;

use super::{Bench, Experiment, Findings, line};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "gradient-over-time",
    about: "how far back a loss reaches: the length of its gradient in each state of a plain network, a GRU and an LSTM",
    make,
};

const STEPS: usize = 100;
const HIDDEN: usize = 64;
const INPUTS: usize = 8;
const ROWS: usize = 32;

/// A layer under a path.
type Make = fn(Scope) -> Recurrent;

/// Mean length over the rows of the gradient of the loss in the state after each step.
struct Lengths {
    /// In h.
    hidden: Vec<f64>,
    /// In c, of an LSTM; without the last, from which the last h is made in one op.
    cell: Vec<f64>,
}

fn make(bench: &mut Bench) -> Result<Findings> {
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    let chart = |title: &str, y: &str| Chart {
        title: title.to_owned(),
        x: "step of the sequence".to_owned(),
        y: y.to_owned(),
        log_y: true,
        ..Chart::default()
    };
    let mut charts = [
        chart("cells as they usually begin", "length of dL/dh"),
        chart("the cell of an LSTM, by the bias of its forget gate", "length of dL/dc"),
        chart("a plain network, by the size of its weights", "length of dL/dh"),
    ];
    let mut tell = |chart: &mut Chart, colour: usize, name: &str, lengths: &[f64]| {
        let points = lengths.iter().enumerate().map(|(at, &length)| [at as f64 + 1.0, length]).collect();
        chart.lines.push(line(name, points, colour, false));
        let (count, first) = (lengths.len(), lengths[0]);
        let last = lengths[count - 1];
        // The mean factor by which a step back changes it.
        let factor = tensor::math::f64::pow(first / last, 1.0 / (count - 1) as f64);
        words.push(format!(
            "{name:44} {last:.2e} after step {count}, {first:.2e} after step 1: times {factor:.3} a step back"
        ));
        numbers.push(json!({ "case": name, "lengths": lengths, "factor": factor }));
    };
    let cells: [(&str, Make); 3] = [
        ("plain", |at| rnn(at, INPUTS, HIDDEN)),
        ("GRU", |at| gru(at, INPUTS, HIDDEN)),
        ("LSTM", |at| lstm(at, INPUTS, HIDDEN)),
    ];
    for (colour, (name, make)) in cells.into_iter().enumerate() {
        tell(&mut charts[0], colour, name, &look(bench, make)?.hidden);
    }
    let biases: [(&str, Make); 4] = [
        ("LSTM, c, forget bias as usual", |at| lstm(at, INPUTS, HIDDEN)),
        ("LSTM, c, forget bias 1", |at| lstm(at, INPUTS, HIDDEN).forget_bias(1.0)),
        ("LSTM, c, forget bias 3", |at| lstm(at, INPUTS, HIDDEN).forget_bias(3.0)),
        ("LSTM, c, forget bias 5", |at| lstm(at, INPUTS, HIDDEN).forget_bias(5.0)),
    ];
    for (colour, (name, make)) in biases.into_iter().enumerate() {
        tell(&mut charts[1], colour, name, &look(bench, make)?.cell);
    }
    // Weights uniform within this many times 1 / sqrt(hidden) have eigenvalues up to it over sqrt(3).
    let sizes: [(&str, Make); 3] = [
        ("plain, weights as usual (times 1)", |at| scaled(at, 1.0)),
        ("plain, weights times 2", |at| scaled(at, 2.0)),
        ("plain, weights times 4", |at| scaled(at, 4.0)),
    ];
    for (colour, (name, make)) in sizes.into_iter().enumerate() {
        tell(&mut charts[2], colour, name, &look(bench, make)?.hidden);
    }
    let title = format!("A loss after step {STEPS}, and its gradient in the state after each step before");
    let pictures = vec![("gradient-over-time.svg", lines(&title, &charts))];
    Ok(Findings { words, numbers: Value::from(numbers), pictures })
}

fn scaled(at: Scope, size: f64) -> Recurrent {
    let bound = size / (HIDDEN as f64).sqrt();
    rnn(at, INPUTS, HIDDEN).init(Init::Uniform { low: -bound, high: bound })
}

/// A loss that is linear in the last h, and its gradients in all states.
fn look(bench: &Bench, make: Make) -> Result<Lengths> {
    let scope = Scope::root(0);
    let layer = make(&scope / "layer");
    let key = RandomKey::new(0);
    let x = Tensor::normal([STEPS, ROWS, INPUTS], key.stream("inputs"), DType::F32);
    // A sum is a value of its own, which the next step begins with; a view would be looked through.
    let zero = Tensor::zeros([1, ROWS, HIDDEN], DType::F32);
    let own = |state: Tensor| state + &zero;
    let (mut hidden, mut cell): (Vec<Tensor>, Vec<Tensor>) = (Vec::new(), Vec::new());
    for at in 0..STEPS {
        let state: Vec<Tensor> = hidden.last().into_iter().chain(cell.last()).cloned().collect();
        let start = (!state.is_empty()).then_some(&state[..]);
        let after = layer.sequence(&x.narrow(0, at..at + 1), start, None, &Pass::eval());
        hidden.push(own(after.hidden));
        cell.extend(after.cell.map(own));
    }
    let weights = Tensor::normal([1, ROWS, HIDDEN], key.stream("outputs"), DType::F32);
    let loss = (&hidden[STEPS - 1] * &weights).sum(..);
    cell.pop();
    let gradients = loss.grad(&[&hidden[..], &cell[..]].concat());
    let values = bench.cpu.run(&gradients.iter().collect::<Vec<_>>(), &[])?;
    let length = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let mean = |value: &tensor::Array| {
        let numbers: &[f32] = value.as_slice().unwrap_or_default();
        numbers.chunks_exact(HIDDEN).map(length).sum::<f64>() / ROWS as f64
    };
    let mut all: Vec<f64> = values.iter().map(|value| mean(value)).collect();
    let cell = all.split_off(STEPS);
    Ok(Lengths { hidden: all, cell })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_plain_network_fades_as_its_eigenvalues_say_and_an_open_forget_gate_keeps() {
        let (cpu, stop, dir) = (cpu::Cpu::new(1).unwrap(), AtomicBool::new(false), std::path::Path::new("nowhere"));
        let bench = Bench {
            cpu: &cpu,
            dir,
            data: None,
            set: &[],
            command: "",
            stop: &stop,
            stopped: false,
            listen: &mut |_, _| {},
        };
        let plain = look(&bench, |at| rnn(at, INPUTS, HIDDEN)).unwrap().hidden;
        let per_step = (plain[0] / plain[STEPS - 1]).powf(1.0 / (STEPS - 1) as f64);
        // Of infinitely many units 1 / sqrt(3) = 0.577 at most; the largest eigenvalue of 64 lies around that.
        assert!((0.5..0.7).contains(&per_step), "{per_step}");
        let open = look(&bench, |at| lstm(at, INPUTS, HIDDEN).forget_bias(5.0)).unwrap();
        assert_eq!((open.hidden.len(), open.cell.len()), (STEPS, STEPS - 1));
        assert!(open.cell[0] > 0.2 * open.cell[STEPS - 2], "{} {}", open.cell[0], open.cell[STEPS - 2]);
    }
}
