//! What a case is, and the table of all of them.

use cpu::Cpu;
use tensor::{RandomKey, Result, Tensor, Update};
use train::Error;
use train::suggest::did_you_mean;

use crate::{inference, nets, ops, others};

/// A net or an op to be timed.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What one step of it is.
    pub kind: Kind,
    /// Its sizes.
    pub sizes: Sizes,
    /// Makes its data and parameters.
    pub make: fn(&Cpu, Sizes) -> Result<Work>,
}

impl Case {
    pub(crate) const fn new(
        kind: Kind,
        name: &'static str,
        about: &'static str,
        batch: usize,
        length: usize,
        make: fn(&Cpu, Sizes) -> Result<Work>,
    ) -> Case {
        Case { name, about, kind, sizes: Sizes { batch, length }, make }
    }
}

/// What one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Forward pass, loss, gradient and optimiser.
    Training,
    /// A forward pass in evaluation.
    Inference,
    /// One op, with its gradient or without.
    Op,
}

/// The sizes that may be changed: for tests, and to see how the time grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Samples of a step; rows of an op; parameters of an optimiser.
    pub batch: usize,
    /// Pixels of a side, symbols of a sequence, numbers of a row; 1 where nothing of the kind may change.
    pub length: usize,
}

/// A case that is ready to run.
pub struct Work {
    /// Trained parameters.
    pub parameters: usize,
    /// Bytes that a step must at least read and write, where memory is its limit.
    pub bytes: Option<usize>,
    /// Traces the next step.
    pub trace: Box<dyn FnMut() -> Traced>,
}

/// A step as a graph: what [`Cpu::run`] takes.
pub struct Traced {
    /// Values asked for: the loss first, in training.
    pub outputs: Vec<Tensor>,
    /// Changes of parameters and state.
    pub updates: Vec<Update>,
}

impl Work {
    /// Runs a step; its loss in training, else the first element of the first output.
    ///
    /// # Errors
    /// Those of [`Cpu::run`].
    pub fn step(&mut self, cpu: &Cpu) -> Result<f64> {
        let traced = (self.trace)();
        let values = cpu.run(&traced.outputs.iter().collect::<Vec<_>>(), &traced.updates)?;
        Ok(values.first().map_or(0.0, |value| value.get_f64(0)))
    }
}

/// All cases.
pub const CASES: [Case; 25] = [
    nets::MLP,
    nets::LENET5,
    nets::RESNET18,
    nets::RESNET50,
    nets::CHARLSTM,
    nets::GPT_MINI,
    nets::VAE,
    nets::DQN,
    others::MOBILENET,
    others::DENSENET,
    others::UNET,
    others::CIFAR,
    others::CHARGRU,
    others::GPT_LONG,
    inference::MLP,
    inference::LENET5,
    inference::RESNET18,
    inference::RESNET50,
    ops::ADAM,
    ops::SOFTMAX_CE,
    ops::SOFTMAX_CE_FORWARD,
    ops::LAYER_NORM,
    ops::LAYER_NORM_FORWARD,
    ops::BATCH_NORM,
    ops::GELU_CHAIN,
];

/// The case called `name`.
///
/// # Errors
/// If there is none; the error names the nearest.
pub fn find(name: &str) -> std::result::Result<Case, Error> {
    CASES.into_iter().find(|case| case.name == name).ok_or_else(|| {
        let help = did_you_mean(name, CASES.iter().map(|case| case.name));
        Error::usage(format!("there is no case {name}"), format!("{help} (--case list names all)"))
    })
}

/// The seed of all data and parameters.
const SEED: u64 = 1234;

/// The random numbers of `name`.
pub(crate) fn key(name: &str) -> RandomKey {
    RandomKey::new(SEED).stream(name)
}

/// Normal numbers in memory.
pub(crate) fn normal(cpu: &Cpu, shape: &[usize], name: &str) -> Result<Tensor> {
    in_memory(cpu, &Tensor::normal(shape, key(name), tensor::DType::F32))
}

/// Numbers between 0 and 1 in memory.
pub(crate) fn uniform(cpu: &Cpu, shape: &[usize], name: &str) -> Result<Tensor> {
    in_memory(cpu, &Tensor::uniform(shape, key(name), tensor::DType::F32))
}

fn in_memory(cpu: &Cpu, values: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from_array(cpu.run(&[values], &[])?.remove(0)))
}

/// Labels below `classes`.
pub(crate) fn labels(shape: &[usize], classes: usize, name: &str) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let key = key(name);
    Tensor::from_vec((0..count).map(|i| key.below(i, classes as u64) as i64).collect(), shape)
}
