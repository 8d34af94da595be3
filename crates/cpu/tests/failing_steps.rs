//! A step that fails leaves every variable as it was, also where the same numbers passed another check before.

use glassbox_cpu::Cpu;
use tensor::{Array, DType, ScanOptions, Shape, Tensor, Var};

const HIDDEN: usize = 4;

fn recurrent(input: &Tensor, lengths: &Tensor) -> Tensor {
    let weight = Tensor::zeros([HIDDEN, HIDDEN], DType::F32);
    let h = Tensor::zeros([input.dims()[1], HIDDEN], DType::F32);
    let [y, _] = input.rnn(false, &weight, &h, &ScanOptions { lengths: Some(lengths), reverse: false });
    y
}

/// Runs a step in which a variable changes by `passes`, before `fails` is computed.
fn leaves_the_variable(passes: &Tensor, fails: impl FnOnce() -> Tensor) {
    let var = Var::new("v", Array::zeros(DType::F32, Shape::new(passes.dims()).unwrap()));
    let next = var.tensor() + passes + 1.0;
    let fails = fails();
    assert!(fails.error().is_none(), "{fails:?}");
    Cpu::new(1).unwrap().run(&[&fails], &[var.update(&next)]).expect_err("a number out of range");
    assert!(var.value().to_f64().iter().all(|&x| x == 0.0), "{:?}", var.value());
}

#[test]
fn lengths_of_a_long_sequence_are_too_long_for_a_short_one() {
    let lengths = Tensor::from_vec(vec![3i64, 1], [2]);
    let input = Tensor::zeros([3, 2, HIDDEN], DType::F32);
    leaves_the_variable(&recurrent(&input, &lengths), || recurrent(&input.narrow(0, 0..2), &lengths));
}

#[test]
fn lengths_that_pass_may_be_no_indices() {
    let lengths = Tensor::from_vec(vec![3i64, 1, 1], [3]);
    let input = Tensor::zeros([3, 3, HIDDEN], DType::F32);
    leaves_the_variable(&recurrent(&input, &lengths), || (&input * 2.0).index_select(0, &lengths));
}

#[test]
fn indices_that_pass_may_be_no_lengths() {
    let indices = Tensor::from_vec(vec![0i64, 1, 2], [3]);
    let input = Tensor::zeros([3, 3, HIDDEN], DType::F32);
    leaves_the_variable(&input.index_select(0, &indices), || recurrent(&input, &indices));
}
