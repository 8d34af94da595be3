//! What a step costs to trace: the number of its nodes.

extern crate glassbox_nn as nn;

use std::collections::HashSet;

use nn::{
    Flatten, Group, Layer, Optimiser, Pass, Relu, Scope, Sequential, Sgd, clip_grad_norm, conv2d, linear, max_pool2d,
};
use tensor::{DType, RandomKey, Tensor, Var};

fn count<'a>(roots: impl IntoIterator<Item = &'a Tensor>) -> usize {
    let (mut seen, mut stack) = (HashSet::new(), roots.into_iter().cloned().collect::<Vec<_>>());
    while let Some(node) = stack.pop() {
        if seen.insert(node.id()) {
            stack.extend(node.inputs().iter().cloned());
        }
    }
    seen.len()
}

#[test]
fn common_losses_and_a_step_of_lenet5_have_few_nodes() {
    let logits = Tensor::zeros([8, 10], DType::F32);
    let loss = logits.cross_entropy(&Tensor::zeros([8], DType::I64));
    assert!(count([&loss]) <= 17, "cross-entropy: {}", count([&loss]));

    let scope = Scope::root(0);
    let model = Sequential::new()
        .then(conv2d(&scope / "conv1", 1, 6, 5).padding(2))
        .then(Relu)
        .then(max_pool2d(2))
        .then(conv2d(&scope / "conv2", 6, 16, 5))
        .then(Relu)
        .then(max_pool2d(2))
        .then(Flatten)
        .then(linear(&scope / "fc1", 400, 120))
        .then(Relu)
        .then(linear(&scope / "fc2", 120, 84))
        .then(Relu)
        .then(linear(&scope / "fc3", 84, 10));
    let pass = Pass::train(RandomKey::new(0));
    let x = Tensor::zeros([8, 1, 28, 28], DType::F32);
    let loss = model.forward(&x, &pass).cross_entropy(&Tensor::zeros([8], DType::I64));
    let params = scope.parameters();
    let (norm, gradients) = clip_grad_norm(&loss.grad(&params.iter().map(Var::tensor).collect::<Vec<_>>()), 1.0);
    let optimiser = Sgd::new(vec![Group::new(params)], 0.9);
    let updates = optimiser.step(&gradients, 0.1);
    let nodes = count(updates.iter().map(|update| &update.value).chain([&loss, &norm]));
    assert!(nodes <= 330, "a step: {nodes}");
}
