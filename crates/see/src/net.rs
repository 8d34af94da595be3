//! A network to look into, and the values of its layers.

use std::collections::HashMap;
use std::sync::Arc;

use cpu::Cpu;
use nn::{Pass, Scope};
use tensor::{Array, Tensor};
use train::suggest::did_you_mean;
use train::{Error, Result};

/// A network to look into: a model, and the scope whose variables hold its weights, trained or not.
///
/// The weights of a run are loaded into the scope by `train::load_model` (the newest) or `train::load_weights` (of any
/// checkpoint, such as one that `train::Run::checkpoint` computed again).
#[derive(Clone, Copy)]
pub struct Net<'a> {
    /// What computes.
    pub cpu: &'a Cpu,
    /// From `[N, ..]` inputs to `[N, classes]` numbers.
    pub model: &'a dyn nn::Layer,
    /// Its parameters by path.
    pub scope: &'a Scope,
}

/// A layer that an input passes.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerInfo {
    /// Its path; the second time that a layer is passed it is called `path:2`.
    pub path: String,
    /// What kind of layer: `conv2d`, `relu`, ...
    pub kind: &'static str,
    /// The shape of its output.
    pub shape: Vec<usize>,
}

/// A value of a layer.
#[derive(Debug, Clone)]
pub struct Value {
    /// The layer.
    pub layer: LayerInfo,
    /// Its output, or the gradient in it.
    pub value: Arc<Array>,
}

/// A pass, watched.
pub(crate) struct Traced {
    pub x: Tensor,
    pub output: Tensor,
    pub layers: Vec<(LayerInfo, Tensor)>,
}

impl Net<'_> {
    /// The layers that `x [N, ..]` passes, in order. Nothing is computed.
    ///
    /// # Errors
    /// If the model does not take `x`.
    pub fn layers(&self, x: &Array) -> Result<Vec<LayerInfo>> {
        Ok(self.trace(x)?.layers.into_iter().map(|(layer, _)| layer).collect())
    }

    /// What the model says of `x [N, ..]`: `[N, classes]`.
    ///
    /// # Errors
    /// If the model does not take `x`.
    pub fn output(&self, x: &Array) -> Result<Arc<Array>> {
        let traced = self.trace(x)?;
        Ok(self.cpu.run(&[&traced.output], &[])?.swap_remove(0))
    }

    /// The outputs of all layers for `x [N, ..]`, in order: feature maps where they are `[N, C, H, W]`.
    ///
    /// # Errors
    /// If the model does not take `x`.
    pub fn activations(&self, x: &Array) -> Result<Vec<Value>> {
        let traced = self.trace(x)?;
        self.values(traced.layers)
    }

    /// The output of one layer for `x [N, ..]`.
    ///
    /// # Errors
    /// If the model does not take `x`, or has no such layer.
    pub fn activation(&self, x: &Array, path: &str) -> Result<Value> {
        let traced = self.trace(x)?;
        let found = traced.find(path)?;
        Ok(self.values(vec![found])?.swap_remove(0))
    }

    /// The gradients of the score of `class`, summed over the rows of `x [N, ..]`, in the output of each layer that it
    /// depends on; the first is that in the input, called `input`.
    ///
    /// # Errors
    /// If the model does not take `x`, or has no such class.
    pub fn gradients(&self, x: &Array, class: usize) -> Result<Vec<Value>> {
        let traced = self.trace(x)?;
        let score = traced.score(class)?.sum(..);
        let input = LayerInfo { path: "input".to_owned(), kind: "input", shape: x.shape().to_vec() };
        let places: Vec<(LayerInfo, Tensor)> = std::iter::once((input, traced.x)).chain(traced.layers).collect();
        let gradients = places.into_iter().filter_map(|(layer, node)| {
            let gradient = score.grad([&node]).swap_remove(0);
            gradient.error().is_none().then_some((layer, gradient))
        });
        self.values(gradients.collect())
    }

    /// The pass of `x` through the model in evaluation.
    pub(crate) fn trace(&self, x: &Array) -> Result<Traced> {
        self.trace_tensor(Tensor::from_array(x.clone()))
    }

    pub(crate) fn trace_tensor(&self, x: Tensor) -> Result<Traced> {
        let pass = Pass::eval().watching();
        let output = self.model.forward(&x, &pass);
        output.check()?;
        let mut times: HashMap<String, usize> = HashMap::new();
        let named = pass.seen().into_iter().map(|seen| {
            let count = times.entry(seen.path.clone()).or_insert(0);
            *count += 1;
            let path = if *count > 1 { format!("{}:{count}", seen.path) } else { seen.path };
            (LayerInfo { path, kind: seen.kind, shape: seen.output.dims().to_vec() }, seen.output)
        });
        let layers = named.collect();
        Ok(Traced { x, output, layers })
    }

    fn values(&self, nodes: Vec<(LayerInfo, Tensor)>) -> Result<Vec<Value>> {
        let asked: Vec<&Tensor> = nodes.iter().map(|(_, node)| node).collect();
        let values = self.cpu.run(&asked, &[])?;
        Ok(nodes.into_iter().zip(values).map(|((layer, _), value)| Value { layer, value }).collect())
    }
}

impl Traced {
    /// The score of `class` for each row: `[N]`.
    pub(crate) fn score(&self, class: usize) -> Result<Tensor> {
        match self.output.dims() {
            &[_, classes] if class < classes => Ok(self.output.select(1, class)),
            &[_, classes] => Err(Error::usage(
                format!("the network tells {classes} classes apart, and none is class {class}"),
                format!("give a class from 0 to {}", classes.saturating_sub(1)),
            )),
            shape => Err(Error::usage(
                format!("the network gives {shape:?}, not a number for each class"),
                "give a network whose output is [N, classes]",
            )),
        }
    }

    /// The layer called `path` and its output.
    pub(crate) fn find(&self, path: &str) -> Result<(LayerInfo, Tensor)> {
        self.layers.iter().find(|(layer, _)| layer.path == path).cloned().ok_or_else(|| {
            let help = did_you_mean(path, self.layers.iter().map(|(layer, _)| layer.path.as_str()));
            Error::usage(format!("the network has no layer {path:?}"), help)
        })
    }
}

/// The numbers of an f32 array; none of another.
pub(crate) fn floats(array: &Array) -> &[f32] {
    array.as_slice().unwrap_or_default()
}
