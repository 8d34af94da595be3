//! Gradients where the derivative jumps or does not exist: PyTorch's conventions.

use glassbox_tensor::reference::evaluate;
use glassbox_tensor::{DType, PoolOptions, Tensor};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn vector(values: &[f64]) -> Tensor {
    Tensor::from_vec(values.to_vec(), [values.len()])
}

#[track_caller]
fn assert_values(x: &Tensor, want: &[f64]) {
    let got = evaluate(&[x]).unwrap_or_else(|error| panic!("{error}"))[0].to_f64();
    let same = got.len() == want.len() && got.iter().zip(want).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    assert!(same, "{got:?} instead of {want:?}");
}

/// The gradient of the sum of `y`.
fn slope(y: &Tensor, x: &Tensor) -> Tensor {
    y.sum(..).grad([x]).remove(0)
}

#[test]
fn relu_and_abs_have_slope_0_at_0() {
    let x = vector(&[0.0, -0.0, 1.0, -1.0]);
    assert_values(&slope(&x.relu(), &x), &[0.0, 0.0, 1.0, 0.0]);
    assert_values(&slope(&x.abs(), &x), &[0.0, 0.0, 1.0, -1.0]);
}

#[test]
fn relu_passes_the_gradient_at_nan() {
    let x = vector(&[NAN]);
    assert_values(&slope(&x.relu(), &x), &[1.0]);
}

#[test]
fn clamp_passes_the_gradient_at_both_ends() {
    let x = vector(&[-1.0, 2.0, -1.1, 2.1, 0.0]);
    assert_values(&slope(&x.clamp(-1.0, 2.0), &x), &[1.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn ties_of_maximum_and_minimum_share_the_gradient() {
    let (a, b) = (vector(&[1.0, 2.0, 3.0]), vector(&[1.0, 3.0, 2.0]));
    assert_values(&slope(&a.maximum(&b), &a), &[0.5, 0.0, 1.0]);
    assert_values(&slope(&a.maximum(&b), &b), &[0.5, 1.0, 0.0]);
    assert_values(&slope(&a.minimum(&b), &a), &[0.5, 1.0, 0.0]);
}

#[test]
fn beside_a_nan_both_operands_of_maximum_get_the_gradient() {
    let (a, b) = (vector(&[NAN, 1.0]), vector(&[1.0, NAN]));
    assert_values(&slope(&a.maximum(&b), &a), &[1.0, 1.0]);
    assert_values(&slope(&a.maximum(&b), &b), &[1.0, 1.0]);
}

#[test]
fn an_infinite_gradient_gives_the_losing_operand_zero_and_not_nan() {
    let (a, b) = (vector(&[2.0]), vector(&[1.0]));
    let parts = a.maximum(&b).vector_jacobian(&vector(&[INF]), [&a, &b]);
    assert_values(&parts[0], &[INF]);
    assert_values(&parts[1], &[0.0]);
}

#[test]
fn the_largest_of_a_row_share_the_gradient_and_nan_counts_as_largest() {
    let x = vector(&[3.0, 1.0, 3.0]);
    assert_values(&slope(&x.max(0), &x), &[0.5, 0.0, 0.5]);
    let x = vector(&[3.0, NAN, 1.0]);
    assert_values(&slope(&x.max(0), &x), &[0.0, 1.0, 0.0]);
}

#[test]
fn max_pool_sends_the_gradient_of_a_tie_to_the_first() {
    let x = Tensor::from_vec(vec![2.0, 2.0, 1.0, 2.0], [1, 1, 4]);
    let options = PoolOptions { stride: vec![1], ..PoolOptions::new(&[2]) };
    assert_values(&slope(&x.max_pool(&options), &x), &[1.0, 1.0, 0.0, 1.0]);
}

#[test]
fn powers_of_zero_have_finite_slopes_for_exponents_from_0_on() {
    let (a, b) = (vector(&[0.0, 0.0, 0.0, 0.0, -2.0, -2.0]), vector(&[0.0, 1.0, 2.0, -1.0, 2.0, 3.0]));
    assert_values(&slope(&a.pow(&b), &a), &[0.0, 1.0, 0.0, -INF, -4.0, 12.0]);
    assert_values(&slope(&a.pow(&b), &b), &[0.0, 0.0, 0.0, -INF, NAN, NAN]);
}

#[test]
fn a_product_with_zeros_has_the_product_of_the_others_as_gradient_and_its_second_derivatives() {
    let x = vector(&[0.0, 2.0, 3.0]);
    let first = slope(&x.prod(0), &x);
    assert_values(&first, &[6.0, 0.0, 0.0]);
    assert_values(&slope(&first.narrow(0, 1..2), &x), &[3.0, 0.0, 0.0]);
    let x = vector(&[0.0, 0.0, 3.0]);
    let first = slope(&x.prod(0), &x);
    assert_values(&first, &[0.0, 0.0, 0.0]);
    assert_values(&slope(&first.narrow(0, 0..1), &x), &[0.0, 3.0, 0.0]);
}

#[test]
fn no_gradient_leaks_from_the_branch_not_taken() {
    let x = vector(&[NAN, 2.0]);
    let y = (&x * &x).where_else(&x.gt(0.0), 5.0);
    assert_values(&slope(&y, &x), &[NAN, 4.0]);
    let y = (&x * 3.0).keep_where(&x.gt(0.0));
    assert_values(&slope(&y, &x), &[0.0, 3.0]);
}

#[test]
fn a_softmax_with_masked_places_has_no_nan_in_its_gradient() {
    let x = vector(&[1.0, -INF, 2.0]);
    let log_probability = (&x - x.logsumexp_keep(0)).narrow(0, 0..1);
    let gradient = evaluate(&[&slope(&log_probability, &x)]).unwrap()[0].to_f64();
    assert!(gradient.iter().all(|g| g.is_finite()) && gradient[1] == 0.0, "{gradient:?}");
}

#[test]
fn a_cast_passes_the_gradient_back_in_the_dtype_of_its_input_through_half_precision_too() {
    let x = Tensor::from_vec(vec![1.5f32, -2.0], [2]);
    let y = x.cast(DType::F64) * 3.0;
    let gradient = slope(&y, &x);
    assert_eq!(gradient.dtype(), DType::F32);
    assert_values(&gradient, &[3.0, 3.0]);
    let through = &x * &x + x.cast(DType::BF16).cast(DType::F32);
    assert_values(&slope(&through, &x), &[4.0, -3.0]);
}
