//! Single ops on large tensors: what limits them is memory. `bytes` are those of the fewest passes.

use cpu::Cpu;
use nn::{Adam, Group, Layer, Optimiser, Pass, Scope, batch_norm2d, layer_norm};
use tensor::{Array, Result, Tensor, Var};

use crate::case::{Case, Kind, Sizes, Traced, Work, key, labels, normal};

/// Bytes of a number.
const F32: usize = size_of::<f32>();

/// The optimiser alone: read p, g, m, v; write p, m, v.
pub const ADAM: Case =
    Case::new(Kind::Op, "op-adam", "Adam over 25 million parameters", 25_000_000, 1, |cpu, sizes| {
        let n = sizes.batch;
        let value = cpu.run(&[&Tensor::normal([n], key("p"), tensor::DType::F32)], &[])?.remove(0);
        let value = std::sync::Arc::try_unwrap(value).unwrap_or_else(|shared| Array::clone(&shared));
        let p = Var::new("p", value);
        let gradient = normal(cpu, &[n], "g")?;
        let optimiser = Adam::new(vec![Group::new(vec![p])]);
        let trace =
            move || Traced { outputs: Vec::new(), updates: optimiser.step(std::slice::from_ref(&gradient), 1e-3) };
        Ok(Work { parameters: n, bytes: Some(7 * n * F32), trace: Box::new(trace) })
    });

/// Cross-entropy and its gradient: read x twice, write dx.
pub const SOFTMAX_CE: Case = Case::new(
    Kind::Op,
    "op-softmax-ce",
    "cross-entropy of [4096, 32000] and its gradient",
    4096,
    32000,
    |cpu, sizes| {
        let (x, y) = scores(cpu, sizes)?;
        let trace = move || {
            let loss = x.cross_entropy(&y);
            let dx = loss.grad([&x]).remove(0);
            Traced { outputs: vec![loss, dx], updates: Vec::new() }
        };
        Ok(Work { parameters: 0, bytes: Some(3 * sizes.batch * sizes.length * F32), trace: Box::new(trace) })
    },
);

/// Cross-entropy: read x.
pub const SOFTMAX_CE_FORWARD: Case =
    Case::new(Kind::Op, "op-softmax-ce-fwd", "cross-entropy of [4096, 32000]", 4096, 32000, |cpu, sizes| {
        let (x, y) = scores(cpu, sizes)?;
        let trace = move || Traced { outputs: vec![x.cross_entropy(&y)], updates: Vec::new() };
        Ok(Work { parameters: 0, bytes: Some(sizes.batch * sizes.length * F32), trace: Box::new(trace) })
    });

fn scores(cpu: &Cpu, sizes: Sizes) -> Result<(Tensor, Tensor)> {
    Ok((normal(cpu, &[sizes.batch, sizes.length], "x")?, labels(&[sizes.batch], sizes.length, "y")))
}

/// Layer normalisation and its gradients: read x, write y; read x and dy, write dx.
pub const LAYER_NORM: Case =
    Case::new(Kind::Op, "op-layernorm", "layer norm of [4096, 1024] and its gradients", 4096, 1024, |cpu, sizes| {
        let at = Scope::root(0);
        let norm = layer_norm(&at / "norm", sizes.length);
        let shape = [sizes.batch, sizes.length];
        with_gradients(cpu, &at, norm, &shape, 5)
    });

/// Layer normalisation: read x, write y.
pub const LAYER_NORM_FORWARD: Case =
    Case::new(Kind::Op, "op-layernorm-fwd", "layer norm of [4096, 1024]", 4096, 1024, |cpu, sizes| {
        let at = Scope::root(0);
        let norm = layer_norm(&at / "norm", sizes.length);
        let x = normal(cpu, &[sizes.batch, sizes.length], "x")?;
        let parameters = at.parameters().iter().map(|var| var.shape().count()).sum();
        let bytes = Some(2 * x.count() * F32);
        let trace = move || Traced { outputs: vec![norm.forward(&x, &Pass::eval())], updates: Vec::new() };
        Ok(Work { parameters, bytes, trace: Box::new(trace) })
    });

/// Batch normalisation and its gradients: read x twice, write y; read x and dy twice, write dx.
pub const BATCH_NORM: Case =
    Case::new(Kind::Op, "op-batchnorm", "batch norm of [64, 64, 32, 32] and its gradients", 64, 32, |cpu, sizes| {
        let at = Scope::root(0);
        let norm = batch_norm2d(&at / "norm", 64);
        let shape = [sizes.batch, 64, sizes.length, sizes.length];
        with_gradients(cpu, &at, norm, &shape, 8)
    });

/// `passes` over the tensor are the fewest.
fn with_gradients(cpu: &Cpu, at: &Scope, layer: impl Layer + 'static, shape: &[usize], passes: usize) -> Result<Work> {
    let (x, dy) = (normal(cpu, shape, "x")?, normal(cpu, shape, "dy")?);
    let parameters = at.trainable();
    let count = parameters.iter().map(|var| var.shape().count()).sum();
    let bytes = Some(passes * x.count() * F32);
    let mut step = 0;
    let trace = move || {
        step += 1;
        let pass = Pass::train(key("pass").step(step));
        let y = layer.forward(&x, &pass);
        // The gradient of sum(y dy) is that of y against dy.
        let of: Vec<Tensor> = [x.clone()].into_iter().chain(parameters.iter().map(Var::tensor)).collect();
        let gradients = (&y * &dy).sum(..).grad(&of);
        Traced { outputs: [y].into_iter().chain(gradients).collect(), updates: pass.updates() }
    };
    Ok(Work { parameters: count, bytes, trace: Box::new(trace) })
}

/// `gelu(x w + b)`: read x, write y.
pub const GELU_CHAIN: Case =
    Case::new(Kind::Op, "op-gelu-chain", "gelu(x w + b) over [8192, 8192]", 8192, 8192, |cpu, sizes| {
        let x = normal(cpu, &[sizes.batch, sizes.length], "x")?;
        let (w, b) = (normal(cpu, &[sizes.length], "w")?, normal(cpu, &[sizes.length], "b")?);
        let bytes = Some(2 * x.count() * F32);
        let trace = move || Traced { outputs: vec![(&x * &w + &b).gelu()], updates: Vec::new() };
        Ok(Work { parameters: 0, bytes, trace: Box::new(trace) })
    });
