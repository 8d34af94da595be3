//! Forward passes in evaluation, one sample at a time.

use cpu::Cpu;
use nn::{Layer, Pass, Scope};
use tensor::Result;

use crate::case::{Case, Kind, Sizes, Traced, Work, normal};
use crate::models::perceptron;
use crate::resnet::{resnet18_cifar, resnet50};

const fn inference(
    name: &'static str,
    about: &'static str,
    length: usize,
    make: fn(&Cpu, Sizes) -> Result<Work>,
) -> Case {
    Case { name, about, kind: Kind::Inference, sizes: Sizes { batch: 1, length }, make }
}

/// A perceptron.
pub const MLP: Case = inference("inf-mlp", "784-512-512-10, one sample", 1, |cpu, sizes| {
    let at = Scope::root(0);
    let net = perceptron(&at, &[784, 512, 512, 10]);
    evaluated(cpu, &at, net, &[sizes.batch, 784])
});

/// LeNet-5.
pub const LENET5: Case = inference("inf-lenet5", "LeNet-5, one picture of 28 x 28", 28, |cpu, sizes| {
    let at = Scope::root(0);
    let net = zoo::lenet::lenet5(&at, 10);
    evaluated(cpu, &at, net, &[sizes.batch, 1, 28, 28])
});

/// ResNet-18 for small pictures.
pub const RESNET18: Case = inference("inf-resnet18", "ResNet-18, one picture of 32 x 32", 32, |cpu, sizes| {
    let at = Scope::root(0);
    let net = resnet18_cifar(&at, 10);
    evaluated(cpu, &at, net, &[sizes.batch, 3, sizes.length, sizes.length])
});

/// ResNet-50.
pub const RESNET50: Case = inference("inf-resnet50", "ResNet-50, one picture of 224 x 224", 224, |cpu, sizes| {
    let at = Scope::root(0);
    let net = resnet50(&at, 1000);
    evaluated(cpu, &at, net, &[sizes.batch, 3, sizes.length, sizes.length])
});

fn evaluated(cpu: &Cpu, at: &Scope, net: impl Layer + 'static, shape: &[usize]) -> Result<Work> {
    let x = normal(cpu, shape, "x")?;
    let parameters = at.parameters().iter().map(|var| var.shape().count()).sum();
    let trace = move || Traced { outputs: vec![net.forward(&x, &Pass::eval())], updates: Vec::new() };
    Ok(Work { parameters, bytes: None, trace: Box::new(trace) })
}
