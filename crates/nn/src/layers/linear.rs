//! The affine map.

use tensor::{Error, ErrorKind, Tensor};

use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;

/// `y = x W^T + b`: `[.., inputs] -> [.., outputs]`.
pub struct Linear {
    place: Place,
    inputs: usize,
    outputs: usize,
    weight: Param,
    bias: Option<Param>,
}

/// A linear layer with `weight [outputs, inputs]` and `bias [outputs]`.
#[track_caller]
pub fn linear(at: Scope, inputs: usize, outputs: usize) -> Linear {
    let shape = [outputs, inputs];
    let weight = at.parameter("weight", &shape, Init::layer_weight());
    let bias = Some(at.parameter("bias", &[outputs], Init::layer_bias(&shape)));
    Linear { place: Place::new(&at), inputs, outputs, weight, bias }
}

impl Linear {
    /// Without a bias, if `false`.
    pub fn bias(mut self, bias: bool) -> Linear {
        if let Some(withdrawn) = self.bias.take_if(|_| !bias) {
            withdrawn.withdraw();
        }
        self
    }

    /// With another initial weight.
    pub fn init(self, weight: Init) -> Linear {
        self.weight.redeclare(&[self.outputs, self.inputs], weight);
        self
    }

    /// With another initial bias.
    pub fn bias_init(self, init: Init) -> Linear {
        self.bias.iter().for_each(|bias| bias.redeclare(&[self.outputs], init));
        self
    }

    fn affine(&self, x: &Tensor) -> Tensor {
        if x.error().is_none() && x.dims().last() != Some(&self.inputs) {
            let found = x.dims().last().copied().unwrap_or(0);
            let name = self.place.path().rsplit('/').next().unwrap_or_default();
            let message = format!("{} into {} inputs", x.shape(), self.inputs);
            let help = format!("linear(at / {name:?}, {found}, {})", self.outputs);
            return x.refused("linear", message, Some(help));
        }
        let weight = self.weight.tensor();
        if weight.error().is_none() && x.error().is_none() && x.dtype() != weight.dtype() {
            let message = format!("input {} and weight {}", x.dtype(), weight.dtype());
            return Tensor::failure(Error::new(ErrorKind::DType, "linear", message).help("cast the input"));
        }
        // One matrix product over all leading dimensions.
        let flat = if x.rank() > 2 { x.reshape([x.count() / self.inputs.max(1), self.inputs]) } else { x.clone() };
        let y = flat.matmul(&weight.transpose(0, 1));
        let y = self.bias.iter().fold(y, |y, bias| y + bias.tensor());
        if x.rank() > 2 && y.error().is_none() {
            let mut dims = x.dims().to_vec();
            dims[x.rank() - 1] = self.outputs;
            return y.reshape(dims);
        }
        y
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("linear", pass, || self.affine(x))
    }

    fn describe(&self) -> Description {
        let settings = format!("{} -> {}", self.inputs, self.outputs);
        Description::of("linear", settings).at(&self.place, [&self.weight].into_iter().chain(&self.bias))
    }
}
