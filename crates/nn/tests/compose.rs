//! Composite functions where PyTorch's golden values do not reach: far ends, second derivatives, resized shapes.

use cpu::Run;
use tensor::{DType, Resize, Tensor};

type Function = (&'static str, fn(&Tensor) -> Tensor);

const FUNCTIONS: [Function; 12] = [
    ("leaky_relu", |x| x.leaky_relu(0.1)),
    ("elu", |x| x.elu(1.5)),
    ("gelu", Tensor::gelu),
    ("gelu_tanh", Tensor::gelu_tanh),
    ("silu", Tensor::silu),
    ("softplus", |x| x.softplus(1.0, 20.0)),
    ("softplus without threshold", |x| x.softplus(2.0, f64::INFINITY)),
    ("hardtanh", |x| x.hardtanh(-1.0, 1.0)),
    ("softmax", |x| x.softmax(0)),
    ("log_softmax", |x| x.log_softmax(0)),
    ("layer_norm", |x| x.layer_norm(1, 1e-5)),
    ("rms_norm", |x| x.rms_norm(1, 1e-5)),
];

fn numbers(x: &Tensor) -> Vec<f64> {
    x.run().expect("runs").to_f64()
}

#[test]
fn far_from_zero_neither_values_nor_gradients_nor_second_derivatives_become_nan() {
    let far = vec![-1e4f32, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4];
    for (name, f) in FUNCTIONS {
        let x = Tensor::from_vec(far.clone(), [far.len()]);
        let y = f(&x);
        let first = (&y * &y).sum(..).grad([&x]).swap_remove(0);
        let second = first.sum(..).grad([&x]).swap_remove(0);
        for (what, values) in [("value", &y), ("gradient", &first), ("second derivative", &second)] {
            assert!(numbers(values).iter().all(|v| !v.is_nan()), "{what} of {name}: {:?}", numbers(values));
        }
    }
}

#[test]
fn second_derivatives_equal_differences_of_first_ones() {
    let at = [-1.7, -0.6, 0.3, 0.8, 2.2];
    let gradient = |f: fn(&Tensor) -> Tensor, at: &[f64]| {
        let x = Tensor::from_vec(at.to_vec(), [at.len()]);
        let y = f(&x);
        let first = (&y * &y * &y).sum(..).grad([&x]).swap_remove(0);
        (x, first)
    };
    for (name, f) in FUNCTIONS {
        let (x, first) = gradient(f, &at);
        let second = numbers(&(&first * &first).sum(..).grad([&x]).swap_remove(0));
        for i in 0..at.len() {
            let moved = |by: f64| {
                let mut at = at;
                at[i] += by;
                numbers(&gradient(f, &at).1).iter().map(|g| g * g).sum::<f64>()
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(
                (second[i] - difference).abs() < 1e-5 * (1.0 + difference.abs()),
                "{name}: {} {difference}",
                second[i]
            );
        }
    }
}

#[test]
fn masked_logits_have_probability_zero_and_no_gradient() {
    let x = Tensor::from_vec(vec![1f32, f32::NEG_INFINITY, 2.0], [1, 3]);
    assert_eq!(numbers(&x.softmax(1))[1], 0.0);
    let gradient = x.cross_entropy(&Tensor::from_vec(vec![2i64], [1])).grad([&x]).swap_remove(0);
    let gradient = numbers(&gradient);
    assert!(gradient[1] == 0.0 && gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
}

#[test]
fn whole_factors_repeat_and_other_sizes_select_the_same_elements() {
    let x = Tensor::arange(6, DType::F32).reshape([1, 1, 2, 3]);
    let twice = numbers(&x.resize_nearest(&Resize::By(vec![1.0, 2.0])));
    assert_eq!(twice, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
    assert_eq!(numbers(&x.resize_nearest(&Resize::To(vec![1, 2]))), [0.0, 1.0]);
    let refused = x.resize_linear(&Resize::To(vec![2]), false).run().expect_err("one size for two axes").to_string();
    assert!(refused.contains("resize_linear: To([2]) of [1, 1, 2, 3]"), "{refused}");
    assert!(x.resize_nearest(&Resize::By(vec![f64::NAN, 1.0])).run().is_err());
    assert!(x.resize_nearest(&Resize::By(vec![1e300, 1.0])).run().is_err());
}

#[test]
fn an_outer_product_multiplies_each_with_each() {
    let a = Tensor::from_vec(vec![1f32, 2.0], [2]);
    let b = Tensor::from_vec(vec![3f32, 4.0, 5.0], [3]);
    assert_eq!(numbers(&a.outer(&b)), [3.0, 4.0, 5.0, 6.0, 8.0, 10.0]);
    assert_eq!(a.outer(&b).dims(), [2, 3]);
}
