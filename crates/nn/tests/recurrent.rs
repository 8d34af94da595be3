//! Recurrent layers beyond PyTorch's numbers: names, initial values, errors, bits.

extern crate glassbox_nn as nn;

use std::sync::Arc;

use cpu::Cpu;
use nn::{Layer, Pass, Recurrent, Scope, embedding, gru, lstm, rnn};
use tensor::{Array, DType, RandomKey, Tensor, Var};

const LAYERS: [fn(Scope, usize, usize) -> Recurrent; 3] = [lstm, gru, rnn];

fn values(tensors: &[&Tensor]) -> Vec<Arc<Array>> {
    Cpu::shared().and_then(|cpu| cpu.run(tensors, &[])).unwrap()
}

fn bits(array: &Array) -> Vec<u32> {
    array.as_slice::<f32>().unwrap().iter().map(|x| x.to_bits()).collect()
}

fn normal(dims: &[usize], stream: &str) -> Tensor {
    let x = Tensor::normal(dims, RandomKey::new(5).stream(stream), DType::F32);
    Tensor::from_array(values(&[&x]).remove(0))
}

fn error(tensor: &Tensor) -> String {
    Cpu::shared().and_then(|cpu| cpu.run(&[tensor], &[])).unwrap_err().to_string()
}

#[test]
fn names_and_shapes_are_pytorchs_whatever_the_order_of_the_settings() {
    let scope = Scope::root(0);
    let _layer = lstm(&scope / "l", 3, 4).bidirectional(true).bias(false).layers(2).bias(true);
    let mut found: Vec<(String, Vec<usize>)> =
        scope.parameters().iter().map(|p| (p.name().to_string(), p.shape().to_vec())).collect();
    found.sort();
    let mut wanted = Vec::new();
    for (layer, inputs) in [(0, 3), (1, 8)] {
        for suffix in ["", "_reverse"] {
            wanted.push((format!("l/weight_ih_l{layer}{suffix}"), vec![16, inputs]));
            wanted.push((format!("l/weight_hh_l{layer}{suffix}"), vec![16, 4]));
            wanted.push((format!("l/bias_ih_l{layer}{suffix}"), vec![16]));
            wanted.push((format!("l/bias_hh_l{layer}{suffix}"), vec![16]));
        }
    }
    wanted.sort();
    assert_eq!(found, wanted);
    assert!(scope.check().is_ok());
}

#[test]
fn every_parameter_starts_uniform_within_one_over_the_root_of_the_hidden_units() {
    let scope = Scope::root(3);
    let _layer = gru(&scope / "l", 30, 25);
    for parameter in scope.parameters() {
        let largest = parameter.value().to_f64().into_iter().fold(0.0f64, |m, x| m.max(x.abs()));
        assert!((0.18..=0.2).contains(&largest), "{} reaches {largest}", parameter.name());
    }
}

#[test]
fn a_sample_of_a_packed_batch_has_the_bits_it_has_alone() {
    for make in LAYERS {
        let scope = Scope::root(1);
        let layer = make(&scope / "l", 6, 40).layers(2).bidirectional(true).batch_first(true);
        let x = normal(&[4, 5, 6], "x");
        let lengths = [2usize, 5, 1, 4];
        let given = Tensor::from_vec(lengths.map(|length| length as i64).to_vec(), [4]);
        let batch = layer.sequence(&x, None, Some(&given), &Pass::eval());
        let parts = values(&[&batch.output, &batch.hidden]);
        for (n, &length) in lengths.iter().enumerate() {
            let alone = x.narrow(0, n..n + 1).narrow(1, 0..length);
            let alone = layer.sequence(&alone, None, None, &Pass::eval());
            let alone = values(&[&alone.output, &alone.hidden.select(1, 0)]);
            let [output, hidden] = [&parts[0], &parts[1]].map(|part| Tensor::from_array(part.clone()));
            let output = output.select(0, n);
            let of_batch = values(&[&output.narrow(0, 0..length), &hidden.select(1, n), &output.narrow(0, length..5)]);
            assert_eq!(bits(&of_batch[0]), bits(&alone[0]));
            assert_eq!(bits(&of_batch[1]), bits(&alone[1]));
            assert!(of_batch[2].to_f64().iter().all(|&x| x == 0.0));
        }
    }
}

#[test]
fn rows_of_a_small_table_give_the_bits_of_the_same_rows_written_out() {
    let scope = Scope::root(2);
    let table = embedding(&scope / "e", 5, 8);
    let layer = lstm(&scope / "l", 8, 16).batch_first(true);
    let index: Vec<i64> = (0..24).map(|i| i * 7 % 5).collect();
    let rows = table.forward(&Tensor::from_vec(index, [3, 8]), &Pass::eval());
    let written = Tensor::from_array(values(&[&rows]).remove(0));
    let pass = Pass::eval();
    let found = values(&[&layer.forward(&rows, &pass), &layer.forward(&written, &pass)]);
    assert_eq!(bits(&found[0]), bits(&found[1]));
    // The gradient of the table is that of the rows, summed: another order, the same numbers.
    let parameter = scope.find("e.weight").map(|p: Var| p.tensor()).unwrap();
    let weight = normal(&[3, 8, 16], "weight");
    let by_table = (layer.forward(&rows, &pass) * &weight).sum(..).grad([&parameter]).remove(0);
    let by_rows = (layer.forward(&written, &pass) * &weight).sum(..).grad([&written]).remove(0);
    let index = Tensor::from_vec((0..24).map(|i| i * 7 % 5).collect::<Vec<i64>>(), [3, 8]);
    let found = values(&[&by_table, &by_rows.index_add(0, &index, 5)]);
    let far = found[0].to_f64().iter().zip(found[1].to_f64()).any(|(a, b)| (a - b).abs() > 1e-5 * b.abs().max(0.1));
    assert!(!far);
}

#[test]
fn odd_sizes_run_forwards_and_backwards_with_the_bits_of_one_thread() {
    for make in LAYERS {
        for (steps, batch, hidden) in [(1, 1, 1), (1, 1, 100), (7, 1, 100), (3, 33, 17)] {
            let scope = Scope::root(4);
            let layer = make(&scope / "l", 5, hidden).layers(2);
            let run = |threads: usize| {
                let x = normal(&[steps, batch, 5], "x");
                let loss = layer.forward(&x, &Pass::eval()).sum(..);
                let mut wrt = vec![x];
                wrt.extend(scope.parameters().iter().map(Var::tensor));
                let gradients = loss.grad(&wrt);
                let roots: Vec<&Tensor> = [&loss].into_iter().chain(&gradients).collect();
                let found = Cpu::new(threads).unwrap().run(&roots, &[]).unwrap();
                found.iter().map(|array| bits(array)).collect::<Vec<_>>()
            };
            assert_eq!(run(1), run(3));
        }
    }
}

#[test]
fn dropout_lies_between_the_layers_and_only_in_training() {
    let scope = Scope::root(5);
    let one = lstm(&scope / "one", 4, 8).dropout(0.5);
    let two = lstm(&scope / "two", 4, 8).layers(2).dropout(0.5);
    let x = normal(&[3, 2, 4], "x");
    let pair = |layer: &Recurrent| {
        let train = Pass::train(RandomKey::new(9).step(1));
        let found = values(&[&layer.forward(&x, &Pass::eval()), &layer.forward(&x, &train)]);
        bits(&found[0]) == bits(&found[1])
    };
    assert!(pair(&one));
    assert!(!pair(&two));
}

#[test]
fn what_does_not_fit_is_an_error_that_says_so() {
    let scope = Scope::root(6);
    let layer = lstm(&scope / "l", 4, 8).batch_first(true);
    let x = normal(&[2, 3, 4], "x");
    let with = |lengths: Vec<i64>| {
        let count = lengths.len();
        let lengths = Tensor::from_vec(lengths, [count]);
        error(&layer.sequence(&x, None, Some(&lengths), &Pass::eval()).output)
    };
    let text = with(vec![3, 0]);
    assert!(text.contains("sample 1 has length 0, which is not 1 to 3"), "{text}");
    let text = with(vec![4, 1]);
    assert!(text.contains("sample 0 has length 4, which is not 1 to 3"), "{text}");
    let text = with(vec![3]);
    assert!(text.contains("lengths [1] for 2 samples"), "{text}");
    let text = error(&layer.forward(&normal(&[2, 3, 5], "y"), &Pass::eval()));
    assert!(text.contains("[2, 3, 5]") && text.contains("4 inputs") && text.contains("at l"), "{text}");
    let text = error(&layer.forward(&normal(&[3, 4], "z"), &Pass::eval()));
    assert!(text.contains("unsqueeze(0)"), "{text}");
    let text = error(&layer.forward(&Tensor::zeros([2, 0, 4], DType::F32), &Pass::eval()));
    assert!(text.contains("at least one step"), "{text}");
    let state = normal(&[1, 3, 8], "state");
    let text = error(&layer.sequence(&x, Some(&[state.clone(), state.clone()]), None, &Pass::eval()).output);
    assert!(text.contains("a state of [1, 3, 8], not [1, 2, 8]"), "{text}");
    let text = error(&layer.sequence(&x, Some(&[state]), None, &Pass::eval()).output);
    assert!(text.contains("a state of 1 tensors, not 2"), "{text}");
}

#[test]
fn forget_gates_remember_at_first_if_they_are_told_to() {
    let scope = Scope::root(3);
    let init = nn::Init::Uniform { low: -0.08, high: 0.08 };
    let _layer = lstm(&scope / "l", 5, 4).layers(2).init(init).forget_bias(1.0);
    for parameter in scope.parameters() {
        let values = parameter.value().to_f64();
        let of_input = parameter.name().contains("bias_ih");
        for (row, value) in values.iter().enumerate() {
            let remembers = of_input && (4..8).contains(&row);
            assert!(if remembers { *value == 1.0 } else { value.abs() <= 0.08 }, "{} {row}: {value}", parameter.name());
        }
    }
}
