//! What ops make of NaN, infinities, signed zeros, ties and nothing at all.

use glassbox_tensor::reference::evaluate;
use glassbox_tensor::{ConvOptions, DType, Element, PoolOptions, Tensor};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn vector(values: &[f64]) -> Tensor {
    Tensor::from_vec(values.to_vec(), [values.len()])
}

fn values<T: Element>(x: &Tensor) -> Vec<T> {
    let value = evaluate(&[x]).unwrap_or_else(|error| panic!("{error}")).remove(0);
    value.as_slice::<T>().unwrap_or_else(|| panic!("{} is not the type asked for", value.dtype())).to_vec()
}

/// Equal bit for bit, all NaN being one.
#[track_caller]
fn assert_bits(x: &Tensor, want: &[f64]) {
    let bits = |v: &[f64]| -> Vec<u64> { v.iter().map(|x| if x.is_nan() { NAN } else { *x }.to_bits()).collect() };
    let got = values::<f64>(x);
    assert_eq!(bits(&got), bits(want), "{got:?} instead of {want:?}");
}

#[test]
fn maximum_and_minimum_are_nan_beside_nan_on_either_side() {
    let (a, b) = (vector(&[NAN, 1.0, -INF, INF]), vector(&[1.0, NAN, 0.0, 0.0]));
    assert_bits(&a.maximum(&b), &[NAN, NAN, 0.0, INF]);
    assert_bits(&a.minimum(&b), &[NAN, NAN, -INF, 0.0]);
}

#[test]
fn reductions_to_an_extreme_are_nan_wherever_the_nan_stands() {
    for at in [0, 1, 15, 16, 17, 40] {
        let mut x = vec![-INF; 41];
        x[at] = NAN;
        assert_bits(&vector(&x).max(0), &[NAN]);
        assert_bits(&vector(&x).min(0), &[NAN]);
    }
    assert_bits(&vector(&[-INF, -INF]).max(0), &[-INF]);
    assert_bits(&vector(&[INF, INF]).min(0), &[INF]);
}

#[test]
fn relu_and_clamp_and_sign_keep_nan() {
    let x = vector(&[NAN, INF, -INF, 0.0, -0.0]);
    assert_bits(&x.relu(), &[NAN, INF, 0.0, 0.0, -0.0]);
    assert_bits(&x.clamp(-1.0, 2.0), &[NAN, 2.0, -1.0, 0.0, -0.0]);
    assert_bits(&x.sign(), &[NAN, 1.0, -1.0, 0.0, -0.0]);
}

#[test]
fn clamp_with_crossed_limits_is_the_upper_one_as_in_pytorch() {
    assert_bits(&vector(&[0.0, 1.5, 5.0]).clamp(2.0, 1.0), &[1.0, 1.0, 1.0]);
}

#[test]
fn round_goes_to_even_and_keeps_the_sign_of_zero() {
    assert_bits(&vector(&[0.5, 1.5, 2.5, -0.5, -1.5, NAN]).round(), &[0.0, 2.0, 2.0, -0.0, -2.0, NAN]);
}

#[test]
fn comparisons_with_nan_fail_except_not_equal() {
    let (x, y) = (vector(&[NAN, NAN, 1.0]), vector(&[NAN, 1.0, NAN]));
    for holds in [x.eq(&y), x.lt(&y), x.le(&y), x.gt(&y), x.ge(&y)] {
        assert_eq!(values::<bool>(&holds), [false; 3]);
    }
    assert_eq!(values::<bool>(&x.ne(&y)), [true; 3]);
    assert_eq!(values::<bool>(&vector(&[0.0]).eq(vector(&[-0.0]))), [true]);
}

#[test]
fn sorting_is_stable_and_puts_nan_last_ascending_and_first_descending() {
    let x = vector(&[1.0, NAN, -INF, INF, 1.0, -0.0, 0.0]);
    assert_eq!(values::<i64>(&x.argsort(0, false)), [2, 5, 6, 0, 4, 3, 1]);
    assert_eq!(values::<i64>(&x.argsort(0, true)), [1, 3, 0, 4, 5, 6, 2]);
    assert_eq!(values::<i64>(&x.top_k(2, 0).1), [1, 3]);
}

#[test]
fn argmax_and_argmin_take_the_first_nan_then_the_first_extreme() {
    let x = Tensor::from_vec(vec![1.0, NAN, NAN, 3.0, 3.0, 1.0, -0.0, 0.0, -1.0, INF, -INF, -INF], [4, 3]);
    assert_eq!(values::<i64>(&x.argmax(1)), [1, 0, 0, 0]);
    assert_eq!(values::<i64>(&x.argmin(1)), [1, 2, 2, 1]);
}

#[test]
fn a_nan_in_the_branch_not_taken_does_not_reach_the_result() {
    let (x, keep) = (vector(&[NAN, INF, 2.0]), Tensor::from_vec(vec![false, false, true], [3]));
    assert_bits(&x.keep_where(&keep), &[0.0, 0.0, 2.0]);
    assert_bits(&x.where_else(&keep, 7.0), &[7.0, 7.0, 2.0]);
}

#[test]
fn powers_follow_c99() {
    let (a, b) =
        (vector(&[0.0, 0.0, -0.0, NAN, 1.0, -2.0, -2.0, INF]), vector(&[0.0, -1.0, -1.0, 0.0, NAN, 3.0, 0.5, -1.0]));
    assert_bits(&a.pow(&b), &[1.0, INF, -INF, 1.0, 1.0, -8.0, NAN, 0.0]);
}

#[test]
fn whole_numbers_divide_towards_zero_and_take_remainders_with_the_sign_of_the_divisor() {
    let ints = |v: &[i64]| Tensor::from_vec(v.to_vec(), [v.len()]);
    let (a, b) = (ints(&[7, -7, 7, -7, 5, i64::MIN]), ints(&[2, 2, -2, -2, 0, -1]));
    assert_eq!(values::<i64>(&(&a / &b)), [3, -3, -3, 3, 0, i64::MIN]);
    assert_eq!(values::<i64>(&(&a % &b)), [1, 1, -1, -1, 0, 0]);
}

#[test]
fn whole_powers_wrap_and_negative_exponents_truncate_as_in_pytorch() {
    let ints = |v: &[i64]| Tensor::from_vec(v.to_vec(), [v.len()]);
    let (a, b) = (ints(&[2, 2, 1, -1, -1, 2, 0, 1]), ints(&[10, 64, -1, -1, -2, -1, 0, i64::MAX]));
    assert_eq!(values::<i64>(&a.pow(&b)), [1024, 0, 1, -1, 1, 0, 1, 1]);
}

#[test]
fn logsumexp_of_infinities_is_finite_arithmetic() {
    let x = Tensor::from_vec(vec![-INF, -INF, INF, 1.0, -INF, 1.0, NAN, 1.0, 1000.0, 1000.0], [5, 2]);
    assert_bits(&x.logsumexp(1), &[-INF, INF, 1.0, NAN, 1000.0 + 2f64.ln()]);
}

#[test]
fn casts_truncate_saturate_and_make_zero_of_nan() {
    let x = vector(&[NAN, INF, -INF, -1.9, 1.9, 300.0]);
    assert_eq!(values::<u8>(&x.cast(DType::U8)), [0, 255, 0, 0, 1, 255]);
    assert_eq!(values::<i32>(&x.cast(DType::I32)), [0, i32::MAX, i32::MIN, -1, 1, 300]);
    assert_eq!(values::<bool>(&x.cast(DType::Bool)), [true; 6]);
}

#[test]
fn sums_of_nothing_are_zero_products_one_and_means_nan() {
    let x = Tensor::from_vec(Vec::<f64>::new(), [2, 0]);
    assert_bits(&x.sum(1), &[0.0, 0.0]);
    assert_bits(&x.prod(1), &[1.0, 1.0]);
    assert_bits(&x.mean(1), &[NAN, NAN]);
    assert_bits(&x.sum(..), &[0.0]);
    assert_eq!(x.sum(0).dims(), [0]);
    assert_eq!(x.max(0).dims(), [0]);
}

#[test]
fn a_matrix_product_with_nothing_inside_is_zeros() {
    let (a, b) = (Tensor::zeros([2, 3, 0], DType::F64), Tensor::zeros([0, 2], DType::F64));
    assert_bits(&a.matmul(&b), &[0.0; 12]);
}

#[test]
fn an_empty_batch_goes_through_convolution_and_pooling() {
    let x = Tensor::zeros([0, 3, 8, 8], DType::F32);
    let y = x.conv(&Tensor::ones([4, 3, 3, 3], DType::F32), &ConvOptions::new(2)).max_pool(&PoolOptions::new(&[2, 2]));
    assert_eq!(y.dims(), [0, 4, 3, 3]);
    assert!(values::<f32>(&y).is_empty());
    assert_eq!(values::<f32>(&y.adaptive_avg_pool(&[2, 2])).len(), 0);
}

#[test]
fn max_pool_keeps_nan_and_its_padding_is_never_the_largest() {
    let x = Tensor::from_vec(vec![-5.0, -6.0, NAN, -INF, -INF, -INF], [1, 1, 6]);
    let options = PoolOptions { stride: vec![1], padding: vec![1], ..PoolOptions::new(&[3]) };
    assert_bits(&x.max_pool(&options).flatten(0), &[-5.0, NAN, NAN, NAN, -INF, -INF]);
}

#[test]
fn mean_pooling_divides_as_pytorch_with_windows_over_the_end() {
    let x = |n: usize| Tensor::arange(n, DType::F64).reshape([1, 1, n]) + 1.0;
    let options = PoolOptions { stride: vec![2], padding: vec![1], ceil: true, ..PoolOptions::new(&[3]) };
    assert_bits(&x(5).avg_pool(&options).flatten(0), &[1.0, 3.0, 3.0]);
    let inside = PoolOptions { count_include_pad: false, ..options };
    assert_bits(&x(5).avg_pool(&inside).flatten(0), &[1.5, 3.0, 4.5]);
    let unpadded = PoolOptions { stride: vec![2], ceil: true, ..PoolOptions::new(&[3]) };
    assert_bits(&x(4).avg_pool(&unpadded).flatten(0), &[2.0, 3.5]);
}

#[test]
fn adaptive_pooling_averages_overlapping_windows_as_pytorch() {
    let x = Tensor::arange(5, DType::F64).reshape([1, 1, 5]) + 1.0;
    assert_bits(&x.adaptive_avg_pool(&[3]).flatten(0), &[1.5, 3.0, 4.5]);
}

#[test]
fn a_dilated_maximum_steps_over_padding_and_values_between() {
    let x = Tensor::arange(4, DType::F64).reshape([1, 1, 4]);
    let options = PoolOptions { stride: vec![1], padding: vec![1], dilation: vec![3], ..PoolOptions::new(&[2]) };
    assert_bits(&x.max_pool(&options).flatten(0), &[2.0, 3.0, 1.0]);
}

#[test]
fn an_infinity_shows_only_in_the_windows_of_an_adaptive_mean_that_hold_it() {
    let x = Tensor::from_vec(vec![INF, 1.0, 2.0, 3.0, 5.0], [1, 1, 5]);
    assert_bits(&x.adaptive_avg_pool(&[3]), &[INF, 2.0, 4.0]);
    let pooled = x.adaptive_avg_pool(&[3]);
    let weight = Tensor::from_vec(vec![NAN, 1.0, 1.0], [1, 1, 3]);
    let gradient = pooled.vector_jacobian(&weight, [&x]).remove(0);
    assert_bits(&gradient, &[NAN, NAN, 1.0 / 3.0, 1.0 / 3.0 + 0.5, 0.5]);
}
