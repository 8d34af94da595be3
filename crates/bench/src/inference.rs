//! Forward passes in evaluation, one sample at a time.

use cpu::Cpu;
use nn::{Layer, Pass, Scope};
use tensor::Result;

use crate::case::{Case, Kind, Traced, Work, normal};
use crate::models::perceptron;
use zoo::nets::{resnet18_small, resnet50};

/// A perceptron.
pub const MLP: Case = Case::new(Kind::Inference, "inf-mlp", "784-512-512-10, one sample", 1, 1, |cpu, sizes| {
    let at = Scope::root(0);
    let net = perceptron(&at, &[784, 512, 512, 10]);
    evaluated(cpu, &at, net, &[sizes.batch, 784])
});

/// LeNet-5.
pub const LENET5: Case =
    Case::new(Kind::Inference, "inf-lenet5", "LeNet-5, one picture of 28 x 28", 1, 28, |cpu, sizes| {
        let at = Scope::root(0);
        let net = zoo::lenet::lenet5(&at, 10, 0.0);
        evaluated(cpu, &at, net, &[sizes.batch, 1, 28, 28])
    });

/// ResNet-18 for small pictures.
pub const RESNET18: Case =
    Case::new(Kind::Inference, "inf-resnet18", "ResNet-18, one picture of 32 x 32", 1, 32, |cpu, sizes| {
        let at = Scope::root(0);
        let net = resnet18_small(&at, 3, 10);
        evaluated(cpu, &at, net, &[sizes.batch, 3, sizes.length, sizes.length])
    });

/// ResNet-50.
pub const RESNET50: Case =
    Case::new(Kind::Inference, "inf-resnet50", "ResNet-50, one picture of 224 x 224", 1, 224, |cpu, sizes| {
        let at = Scope::root(0);
        let net = resnet50(&at, 3, 1000);
        evaluated(cpu, &at, net, &[sizes.batch, 3, sizes.length, sizes.length])
    });

fn evaluated(cpu: &Cpu, at: &Scope, net: impl Layer + 'static, shape: &[usize]) -> Result<Work> {
    let x = normal(cpu, shape, "x")?;
    let parameters = at.parameters().iter().map(|var| var.shape().count()).sum();
    let trace = move || Traced { outputs: vec![net.forward(&x, &Pass::eval())], updates: Vec::new() };
    Ok(Work { parameters, bytes: None, trace: Box::new(trace) })
}
