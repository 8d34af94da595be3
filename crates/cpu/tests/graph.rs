//! Graphs on the device: laziness, errors that lead home, gradients, updates.

use std::sync::Arc;

use glassbox_cpu::{Cpu, Run};
use tensor::{Array, ConvOptions, DType, Shape, Tensor, Values, Var};

#[test]
fn a_gradient_is_a_graph_that_can_be_differentiated_again() {
    let x = Tensor::from_vec(vec![2.0f64, 3.0], [2]);
    let y = (&x * &x * &x).sum(..);
    let first = y.grad([&x]).remove(0);
    assert_eq!(first.to_vec::<f64>().unwrap(), [12.0, 27.0]);
    let second = first.sum(..).grad([&x]).remove(0);
    assert_eq!(second.to_vec::<f64>().unwrap(), [12.0, 18.0]);
}

#[test]
fn a_bad_op_is_an_error_at_the_first_evaluation_and_names_the_line() {
    let a = Tensor::zeros([64, 400], DType::F32);
    let b = Tensor::zeros([256, 120], DType::F32);
    let y = (a.matmul(&b) + 1.0).relu();
    let text = y.run().unwrap_err().to_string();
    assert!(text.contains("[64, 400] x [256, 120] (inner sizes 400 and 256)"), "{text}");
    assert!(text.contains("graph.rs:20"), "{text}");
}

#[test]
fn a_graph_traced_before_an_update_is_stale_after_it() {
    let w = Var::new("w", Array::of(Shape::new(&[2]).unwrap(), vec![1f32, 2.0]));
    let loss = (w.tensor() * w.tensor()).sum(..);
    let gradient = loss.grad([&w.tensor()]).remove(0);
    let old = w.tensor();
    let update = w.update(&(w.tensor() - gradient * 0.25));
    Cpu::shared().unwrap().run(&[&loss], &[update]).unwrap();
    assert_eq!(w.value().to_f64(), [0.5, 1.0]);
    assert_eq!(loss.item::<f32>().unwrap(), 5.0);
    let text = (old * 2.0).run().map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("w changed after this graph was traced"), "{text}");
}

#[test]
fn a_deep_graph_is_built_differentiated_and_dropped_without_recursion() {
    let x = Tensor::scalar(1f32);
    let mut y = x.clone();
    for _ in 0..200_000 {
        y = y * 1.0;
    }
    assert_eq!(y.grad([&x]).remove(0).item::<f32>().unwrap(), 1.0);
}

#[test]
fn a_stale_graph_is_refused_even_if_the_variable_was_looked_at_before() {
    let w = Var::new("w", Array::of(Shape::new(&[1]).unwrap(), vec![1f32]));
    let leaf = w.tensor();
    let graph = &leaf * 10.0;
    assert_eq!(leaf.to_vec::<f32>().unwrap(), [1.0]);
    Cpu::shared().unwrap().run(&[], &[w.update(&(&leaf + 1.0))]).unwrap();
    assert!(graph.run().unwrap_err().to_string().contains("w changed after this graph was traced"));
    assert!((leaf + w.tensor()).run().is_err(), "two versions of one variable in a graph");
}

#[test]
fn a_thread_may_build_tensors_while_it_ends() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!((Tensor::scalar(1f32) + 1.0).item::<f32>().unwrap(), 2.0);
        }
    }
    thread_local!(static LAST: Last = const { Last });
    let thread = std::thread::spawn(|| {
        LAST.with(|_| ());
        assert_eq!((Tensor::scalar(2f32) + 1.0).item::<f32>().unwrap(), 3.0);
    });
    thread.join().unwrap();
}

#[test]
fn too_little_memory_is_an_error() {
    let text = Tensor::zeros([1 << 50], DType::F32).narrow(0, 0..1 << 49).run().unwrap_err().to_string();
    assert!(text.contains("bytes for its results"), "{text}");
}

#[test]
fn values_that_outgrow_the_address_space_together_are_an_error() {
    let x = Tensor::zeros([(1 << 60) - 1], DType::U8);
    let orders: Vec<Tensor> = [false, true, false].iter().map(|&down| (&x + 1i64).argsort(0, down)).collect();
    let last: Vec<Tensor> = orders.iter().map(|order| order.cumsum(0).narrow(0, 0..1)).collect();
    let text = Tensor::concat(&last, 0).run().unwrap_err().to_string();
    assert!(text.contains("bytes for its results"), "{text}");
}

#[test]
fn a_value_of_the_wrong_size_is_an_error_wherever_it_was_put() {
    let (large, small) = (Shape::new(&[1 << 20]).unwrap(), Array::zeros(DType::F32, Shape::new(&[1]).unwrap()));
    let refused = |x: &Tensor| {
        let text = (x * 2.0).sum(..).run().unwrap_err().to_string();
        assert!(text.contains("in place of f32 [1048576]"), "{text}");
    };
    let mut hollow = Array::zeros(DType::F32, large);
    *hollow.values_mut() = Values::F32(vec![1.0]);
    refused(&Tensor::from_array(hollow));
    let sum = Tensor::zeros(large, DType::F32) + 1.0;
    let var = Var::new("w", Array::zeros(DType::F32, large));
    let leaf = var.tensor();
    var.state().value = Arc::new(small.clone());
    refused(&leaf);
    if !cfg!(debug_assertions) {
        sum.realise(Arc::new(small));
        refused(&sum);
    }
}

#[test]
fn a_convolution_too_large_for_its_kernel_fails_before_any_variable_has_changed() {
    let w = Var::new("w", Array::of(Shape::new(&[2]).unwrap(), vec![1f32, 2.0]));
    let mut options = ConvOptions::new(1);
    options.stride = vec![1 << 24];
    let wide =
        Tensor::zeros([1, 1, 160], DType::F32).conv_transpose(&Tensor::ones([1, 1, 1], DType::F32), &options, &[]);
    // The update comes first, and would be made in place.
    let next = w.tensor() * 3.0;
    let output = next.sum(..) + wide.narrow(2, 0..1).sum(..);
    let outcome = Cpu::shared().unwrap().run(&[&output], &[w.update(&next)]);
    assert!(outcome.is_err());
    assert_eq!(w.value().to_f64(), [1.0, 2.0]);
}

#[test]
fn a_number_asked_for_in_two_shapes_is_whole_in_both() {
    let graph = || {
        let wide = Tensor::ones([1, 5], DType::F32).expand([7, 2, 5]);
        let limited = wide.clamp(-1.0, 2.0);
        [limited.reshape([7, 10]), limited, wide]
    };
    let outputs = graph();
    let values = Cpu::shared().unwrap().run(&[&outputs[2], &outputs[1], &outputs[0]], &[]).unwrap();
    assert!(values.iter().all(|value| value.to_f64() == [1.0; 70]), "{values:?}");
}
