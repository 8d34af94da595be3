//! Views and running sums against plain loops.

use glassbox_tensor::reference::evaluate;
use glassbox_tensor::{DType, Tensor};

fn numbers(t: &Tensor) -> Vec<f64> {
    evaluate(&[t]).unwrap_or_else(|error| panic!("{error}"))[0].to_f64()
}

/// `[4, 5, 6]`, numbered.
fn cube() -> Tensor {
    Tensor::arange(120, DType::F64).reshape([4, 5, 6])
}

fn at(i: usize, j: usize, k: usize) -> f64 {
    (i * 30 + j * 6 + k) as f64
}

/// Row-major, the values of `f`.
fn collect(dims: [usize; 3], f: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
    let mut out = Vec::new();
    for i in 0..dims[0] {
        for j in 0..dims[1] {
            for k in 0..dims[2] {
                out.push(f(i, j, k));
            }
        }
    }
    out
}

#[test]
fn permute_flip_and_slice_equal_plain_loops() {
    assert_eq!(numbers(&cube().permute(&[2, 0, 1])), collect([6, 4, 5], |i, j, k| at(j, k, i)));
    assert_eq!(numbers(&cube().flip(1)), collect([4, 5, 6], |i, j, k| at(i, 4 - j, k)));
    assert_eq!(numbers(&cube().slice(2, 1, 6, 2)), collect([4, 5, 3], |i, j, k| at(i, j, 1 + 2 * k)));
    assert_eq!(numbers(&cube().slice(-2, -3, -1, 1)), collect([4, 2, 6], |i, j, k| at(i, 2 + j, k)));
    assert_eq!(
        numbers(&cube().flip(0).slice(0, 0, 4, 3).transpose(0, 2)),
        collect([6, 5, 2], |i, j, k| at(3 - 3 * k, j, i))
    );
}

#[test]
fn slices_are_limited_to_the_axis_as_in_python() {
    let x = Tensor::arange(5, DType::F64);
    for (start, end, step, want) in [
        (0isize, 99isize, 1usize, vec![0.0, 1.0, 2.0, 3.0, 4.0]),
        (-2, 99, 1, vec![3.0, 4.0]),
        (-99, 2, 1, vec![0.0, 1.0]),
        (3, 1, 1, vec![]),
        (0, -1, 2, vec![0.0, 2.0]),
        (isize::MIN, isize::MAX, 4, vec![0.0, 4.0]),
    ] {
        assert_eq!(numbers(&x.slice(0, start, end, step)), want, "{start}..{end} by {step}");
    }
}

#[test]
fn reshape_reads_a_view_in_row_major_order() {
    let transposed = cube().permute(&[2, 0, 1]);
    assert_eq!(numbers(&transposed.reshape([8, 15])), numbers(&transposed));
    let repeated = Tensor::arange(3, DType::F64).unsqueeze(1).expand([3, 2]).reshape([6]);
    assert_eq!(numbers(&repeated), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
    assert_eq!(numbers(&Tensor::arange(6, DType::F64).flip(0).reshape([2, 3])), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
}

#[test]
fn cumsum_equals_a_plain_loop_along_every_axis() {
    let mut sums = [0.0; 3].map(|_: f64| vec![0.0; 120]);
    let flat = |i: usize, j: usize, k: usize| i * 30 + j * 6 + k;
    for i in 0..4 {
        for j in 0..5 {
            for k in 0..6 {
                let before = [
                    if i > 0 { sums[0][flat(i - 1, j, k)] } else { 0.0 },
                    if j > 0 { sums[1][flat(i, j - 1, k)] } else { 0.0 },
                    if k > 0 { sums[2][flat(i, j, k - 1)] } else { 0.0 },
                ];
                (0..3).for_each(|axis| sums[axis][flat(i, j, k)] = before[axis] + at(i, j, k));
            }
        }
    }
    for (axis, want) in sums.iter().enumerate() {
        assert_eq!(&numbers(&cube().cumsum(axis as isize)), want, "axis {axis}");
    }
}

#[test]
fn padding_and_joining_put_values_where_a_loop_would() {
    let padded = cube().pad(1, 2, 1, -1.0);
    let inside = |j: usize| (2..7).contains(&j);
    assert_eq!(numbers(&padded), collect([4, 8, 6], |i, j, k| if inside(j) { at(i, j - 2, k) } else { -1.0 }));
    let joined = Tensor::concat(&[cube().narrow(2, 4..6), cube().narrow(2, 0..4)], 2);
    assert_eq!(numbers(&joined), collect([4, 5, 6], |i, j, k| at(i, j, (k + 4) % 6)));
    assert_eq!(numbers(&Tensor::arange(4, DType::F64).pad_reflect(0, 2, 1)), [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0]);
    assert_eq!(Tensor::zeros([0], DType::F64).pad_reflect(0, 0, 0).dims(), [0]);
}

#[test]
fn indices_read_and_add_where_a_loop_would() {
    let index = Tensor::from_vec(vec![3i64, 0, 3], [3]);
    assert_eq!(numbers(&cube().index_select(0, &index)), collect([3, 5, 6], |i, j, k| at([3, 0, 3][i], j, k)));
    let added = Tensor::from_vec(vec![1.0, 2.0, 4.0], [3]).index_add(0, &index, 4);
    assert_eq!(numbers(&added), [2.0, 0.0, 0.0, 5.0]);
    let one = Tensor::from_vec(vec![1.0, 2.0], [2]).index_add(-1, &Tensor::scalar(1i64), 3);
    assert_eq!(one.dims(), [2, 3]);
    assert_eq!(numbers(&one), [0.0, 1.0, 0.0, 0.0, 2.0, 0.0]);
    let hot = Tensor::from_vec(vec![1i64, -1, 2], [3]).one_hot(3, DType::F64);
    assert_eq!(numbers(&hot), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let bytes = Tensor::from_vec(vec![5u8, 255], [2]).one_hot(300, DType::F64).sum(1);
    assert_eq!(numbers(&bytes), [1.0, 1.0]);
}

#[test]
fn a_slice_of_one_element_may_have_any_step() {
    let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    for step in [3, 1 << 62, 1 << 63, usize::MAX] {
        let y = x.slice(0, 1, 2, step);
        assert_eq!(numbers(&y), [4.0, 5.0, 6.0]);
        assert_eq!(numbers(&y.sum(..).grad([&x]).remove(0)), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }
}

#[test]
fn eight_dimensions_are_the_limit() {
    let x = Tensor::zeros([1; 8], DType::F32);
    assert!(x.error().is_none());
    assert!(x.unsqueeze(0).error().is_some());
    assert!(Tensor::zeros([1; 9], DType::F32).error().is_some());
    assert!(Tensor::stack(&[x.clone(), x.clone()], 0).error().is_some());
    assert!(x.index_select(0, &Tensor::zeros([2, 2], DType::I64)).error().is_some());
}

#[test]
fn shapes_beyond_what_memory_can_address_are_errors_and_not_panics() {
    let half = usize::MAX / 2;
    let column = Tensor::full([1 << 40, 1], 1.0, DType::F32);
    let row = Tensor::full([1, 1 << 40], 1.0, DType::F32);
    for bad in [
        Tensor::zeros([half, 3], DType::F32),
        &column + &row,
        column.matmul(&row),
        column.pad(0, half, half, 0.0),
        column.expand([1 << 40, 1 << 40]),
    ] {
        assert!(bad.error().is_some(), "{bad:?}");
    }
}
