//! Convolutions that Winograd's algorithm computes: near the reference by the stated bound, and the same bits at any
//! vector width, on any number of threads, fused or not.

use std::sync::Arc;

use glassbox_cpu::Cpu;
use glassbox_cpu::conv::WINOGRAD_ERROR;
use glassbox_cpu::simd::Simd;
use tensor::reference::evaluate;
use tensor::{Array, ConvOptions, RandomKey, Tensor, Update, Var};

/// [samples, channels, outputs, height, width], padding.
const SHAPES: [([usize; 5], usize); 3] = [([2, 32, 40, 8, 12], 1), ([3, 36, 32, 7, 7], 1), ([1, 32, 32, 10, 6], 0)];

fn normal(shape: &[usize], name: &str) -> Tensor {
    let dims: Vec<usize> = shape.to_vec();
    let count = dims.iter().product::<usize>() as u64;
    let key = RandomKey::new(5).stream(name);
    Tensor::from_vec::<f32>((0..count).map(|i| key.uniform(i) - 0.5).collect(), dims)
}

/// y, dx, dw of a convolution alone.
fn graph(([n, c, o, h, w], padding): ([usize; 5], usize)) -> [Tensor; 3] {
    let options = ConvOptions { padding: vec![padding; 2], ..ConvOptions::new(2) };
    let (x, weight) = (normal(&[n, c, h, w], "x"), normal(&[o, c, 3, 3], "w"));
    let y = x.conv(&weight, &options);
    let dy = normal(y.dims(), "dy");
    let [dx, dw]: [Tensor; 2] = y.vector_jacobian(&dy, [&x, &weight]).try_into().unwrap_or_else(|_| panic!());
    [y, dx, dw]
}

fn bits(values: &[Arc<Array>]) -> Vec<u32> {
    values.iter().flat_map(|value| value.as_slice::<f32>().unwrap().iter().map(|x| x.to_bits())).collect()
}

fn devices() -> Vec<Cpu> {
    let levels = Simd::available().into_iter().map(|simd| simd.level());
    levels.flat_map(|level| [1, 3].map(|threads| Cpu::with(threads, level).unwrap())).collect()
}

#[test]
fn results_are_near_the_reference() {
    let device = Cpu::new(2).unwrap();
    for shape in SHAPES {
        let outputs = graph(shape);
        let found = device.run(&outputs.each_ref(), &[]).unwrap();
        // Terms of the longest chain, each at most 1/4.
        let ([n, c, o, h, w], _) = shape;
        let most = [c * 9, o * 9, n * h * w];
        for ((output, found), terms) in outputs.iter().zip(&found).zip(most) {
            let exact = evaluate(&[output]).unwrap().remove(0);
            let bound = WINOGRAD_ERROR * f64::from(f32::EPSILON) * terms as f64 / 4.0;
            for i in 0..exact.shape().count() {
                let error = (exact.get_f64(i) - found.get_f64(i)).abs();
                assert!(error <= bound, "{error:e} of {bound:e} at {i}, {shape:?}");
            }
        }
    }
}

#[test]
fn a_step_has_the_same_bits_everywhere() {
    // Bias, activation and an optimiser step in the epilogues.
    let step = |device: &Cpu, fused: bool| {
        let ([n, c, o, h, w], padding) = SHAPES[0];
        let options = ConvOptions { padding: vec![padding; 2], ..ConvOptions::new(2) };
        let x = normal(&[n, c, h, w], "x");
        let value = |tensor: Tensor| device.run(&[&tensor], &[]).unwrap().remove(0);
        let variable = |name: &str, shape: &[usize]| Var::new(name, Array::clone(&value(normal(shape, name))));
        let weights = [variable("w1", &[o, c, 3, 3]), variable("w2", &[32, o, 3, 3]), variable("b", &[o])];
        let leaves: Vec<Tensor> = weights.iter().map(Var::tensor).collect();
        let hidden = (x.conv(&leaves[0], &options) + leaves[2].reshape([1, o, 1, 1])).relu();
        let loss = hidden.conv(&leaves[1], &options).relu().mean(..);
        let updates: Vec<Update> = weights
            .iter()
            .zip(loss.grad(&leaves))
            .map(|(var, gradient)| var.update(&(var.tensor() - gradient * 0.5)))
            .collect();
        let run = if fused { Cpu::run } else { Cpu::run_unfused };
        let loss = run(device, &[&loss], &updates).unwrap();
        let values: Vec<Arc<Array>> = weights.iter().map(Var::value).collect();
        [bits(&loss), bits(&values)]
    };
    let devices = devices();
    let first = step(&devices[0], false);
    for device in &devices {
        for fused in [false, true] {
            assert!(
                step(device, fused) == first,
                "{} x {}, fused: {fused}",
                device.machine().simd.level(),
                device.machine().pool.threads()
            );
        }
    }
}
