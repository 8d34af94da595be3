//! What `grad` answers when there is no gradient, and what it differentiates by.

use glassbox_tensor::reference::evaluate;
use glassbox_tensor::{DType, ErrorKind, Tensor};

#[track_caller]
fn assert_no_gradient(gradient: &Tensor, kind: ErrorKind, says: &str) {
    let error = gradient.error().unwrap_or_else(|| panic!("{gradient:?} instead of an error"));
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(text.contains(says) && text.contains("differentiate.rs"), "{text}");
}

fn x() -> Tensor {
    Tensor::from_vec(vec![1.0, 2.0, 3.0], [3])
}

#[test]
fn only_a_float_scalar_has_a_gradient() {
    let x = x();
    assert_no_gradient(
        &(&x * 2.0).grad([&x])[0],
        ErrorKind::Argument,
        "only a float scalar has a gradient, not f64 [3]",
    );
    assert_no_gradient(&x.argmax(0).grad([&x])[0], ErrorKind::Argument, "not i64 []");
}

#[test]
fn what_the_scalar_does_not_depend_on_is_an_error_and_not_zero() {
    let (x, other) = (x(), x());
    let gradients = x.sum(..).grad([&x, &other]);
    assert!(gradients[0].error().is_none());
    assert_no_gradient(&gradients[1], ErrorKind::NoGradient, "the result does not depend on the value");
}

#[test]
fn the_way_through_detach_or_integers_or_steps_is_an_error_and_not_zero() {
    let x = x();
    for y in [x.detach(), x.cast(DType::I64).cast(DType::F64), x.gt(0.0).cast(DType::F64), x.floor()] {
        assert_no_gradient(&y.sum(..).grad([&x])[0], ErrorKind::NoGradient, "only through steps, indices or detach");
    }
}

#[test]
fn beside_another_way_a_detached_one_counts_for_nothing() {
    let x = x();
    let gradient = (&x * x.detach()).sum(..).grad([&x]).remove(0);
    assert_eq!(evaluate(&[&gradient]).unwrap()[0].to_f64(), [1.0, 2.0, 3.0]);
}

#[test]
fn an_integer_has_no_gradient() {
    let index = Tensor::from_vec(vec![0i64, 2], [2]);
    let y = x().gather(0, &index).sum(..);
    assert_no_gradient(&y.grad([&index])[0], ErrorKind::NoGradient, "only through steps, indices or detach");
    let doubled = &index + &index;
    assert_no_gradient(&doubled.vector_jacobian(&index, [&index])[0], ErrorKind::DType, "not i64");
}

#[test]
fn a_cotangent_has_the_shape_and_dtype_of_the_value() {
    let x = x();
    let y = &x * 2.0;
    let short = Tensor::zeros([2], DType::F64);
    assert_no_gradient(&y.vector_jacobian(&short, [&x])[0], ErrorKind::Shape, "a cotangent of [2] for a value of [3]");
    let narrow = Tensor::zeros([3], DType::F32);
    assert_no_gradient(&y.vector_jacobian(&narrow, [&x])[0], ErrorKind::DType, "a cotangent of f32 for a value of f64");
}

#[test]
fn an_error_on_the_way_comes_back_as_the_gradient() {
    let x = x();
    let bad = x.reshape([2, 2]).sum(..);
    assert_no_gradient(&bad.grad([&x])[0], ErrorKind::Shape, "reshape");
}

#[test]
fn a_constant_that_was_repeated_can_be_differentiated_by() {
    let (x, c) = (x(), Tensor::full([1], 2.0, DType::F64));
    let gradient = (&x * &c).sum(..).grad([&c]).remove(0);
    assert_eq!(evaluate(&[&gradient]).unwrap()[0].to_f64(), [6.0]);
}

#[test]
fn the_gradient_by_a_node_in_between_and_by_the_scalar_itself() {
    let x = x();
    let middle = &x * &x;
    let total = (&middle * 2.0).sum(..);
    let gradients = total.grad([&middle, &total, &x]);
    let values = evaluate(&gradients.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(values[0].to_f64(), [2.0, 2.0, 2.0]);
    assert_eq!(values[1].to_f64(), [1.0]);
    assert_eq!(values[2].to_f64(), [4.0, 8.0, 12.0]);
}

#[test]
fn a_tensor_used_twice_collects_both_gradients() {
    let x = x();
    let gradient = (x.narrow(0, 0..2) * x.narrow(0, 1..3)).sum(..).grad([&x]).remove(0);
    assert_eq!(evaluate(&[&gradient]).unwrap()[0].to_f64(), [2.0, 4.0, 2.0]);
}

#[test]
fn a_product_of_jacobians_by_differentiating_the_cotangent() {
    // The forward derivative in direction v is the gradient of <v, J^T u> by u.
    let (x, u, v) = (x(), Tensor::zeros([], DType::F64), Tensor::from_vec(vec![1.0, 0.0, -1.0], [3]));
    let pulled = (&x * &x).sum(..).vector_jacobian(&u, [&x]).remove(0);
    let forward = (pulled * v).sum(..).grad([&u]).remove(0);
    assert_eq!(evaluate(&[&forward]).unwrap()[0].to_f64(), [2.0 - 6.0]);
}
