//! Attention with several heads.

use tensor::{AttentionOptions, Tensor};

use super::linear::{Linear, linear};
use crate::init::{Gain, Init};
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;

/// Attention of several heads (Vaswani et al. 2017), batch first: queries `[batch, queries, width]` against keys and
/// values `[batch, keys, width]`. As a [`Layer`], a sequence looks at itself.
pub struct MultiheadAttention {
    place: Place,
    width: usize,
    heads: usize,
    causal: bool,
    in_weight: Param,
    in_bias: Option<Param>,
    out: Linear,
}

/// Attention of `heads` heads, each `width / heads` wide: `in_proj_weight [3 width, width]` (queries, keys, values),
/// `in_proj_bias [3 width]`, and the linear layer `out_proj`.
#[track_caller]
pub fn multihead_attention(at: Scope, width: usize, heads: usize) -> MultiheadAttention {
    let rows = width.saturating_mul(3);
    let shape = [rows, width];
    let in_weight = at.parameter("in_proj_weight", &shape, Init::XavierUniform { gain: Gain::Linear });
    let in_bias = Some(at.parameter("in_proj_bias", &[rows], Init::Constant(0.0)));
    let out = linear(&at / "out_proj", width, width).bias_init(Init::Constant(0.0));
    MultiheadAttention { place: Place::new(&at), width, heads, causal: false, in_weight, in_bias, out }
}

/// [`multihead_attention`] in which a place looks at itself and what stands before it only.
#[track_caller]
pub fn causal_self_attention(at: Scope, width: usize, heads: usize) -> MultiheadAttention {
    multihead_attention(at, width, heads).causal(true)
}

impl MultiheadAttention {
    /// Query i looks at the keys 0 to i only, if `true`.
    pub fn causal(mut self, causal: bool) -> MultiheadAttention {
        self.causal = causal;
        self
    }

    /// Without biases, if `false`.
    pub fn bias(mut self, bias: bool) -> MultiheadAttention {
        if let Some(withdrawn) = self.in_bias.take_if(|_| !bias) {
            withdrawn.withdraw();
        }
        self.out = self.out.bias(bias);
        self
    }

    /// With another initial value of both weights.
    pub fn init(mut self, init: Init) -> MultiheadAttention {
        self.in_weight.redeclare(&[self.width.saturating_mul(3), self.width], init);
        self.out = self.out.init(init);
        self
    }

    /// What `queries` find in `keys` and `values`: `[batch, queries, width]`. The mask broadcasts to
    /// `[batch, heads, queries, keys]`: `Bool` says which pairs take part (PyTorch's layer says which do not), floats are
    /// added to the scores.
    pub fn attend(&self, inputs: [&Tensor; 3], mask: Option<&Tensor>, pass: &Pass) -> Tensor {
        self.place.run("multihead_attention", pass, || {
            if let Some(refused) = self.refused(inputs) {
                return refused;
            }
            let rows = |from: usize, to: usize, x: &Tensor| {
                let range = from * self.width..to * self.width;
                let weight = self.in_weight.tensor().narrow(0, range.clone());
                let y = x.reshape([x.dims()[0] * x.dims()[1], self.width]).matmul(&weight.transpose(0, 1));
                self.in_bias.iter().fold(y, |y, bias| y + bias.tensor().narrow(0, range.clone()))
            };
            let apart = [self.heads, self.width / self.heads];
            let [q, k, v] = if inputs[0].id() == inputs[1].id() && inputs[1].id() == inputs[2].id() {
                // One product for all three.
                let [x, ..] = inputs;
                let all = rows(0, 3, x).reshape([&x.dims()[..2], &[3], &apart].concat());
                [0, 1, 2].map(|which| all.select(2, which).transpose(1, 2))
            } else {
                [0, 1, 2].map(|which| {
                    let x = inputs[which];
                    rows(which, which + 1, x).reshape([&x.dims()[..2], &apart].concat()).transpose(1, 2)
                })
            };
            let y = q.attention(&k, &v, &AttentionOptions { mask, causal: self.causal, ..Default::default() });
            self.out.forward(&y.transpose(1, 2).reshape(inputs[0].shape()), pass)
        })
    }

    fn refused(&self, inputs: [&Tensor; 3]) -> Option<Tensor> {
        if self.heads == 0 || !self.width.is_multiple_of(self.heads) {
            let message = format!("width {} in {} heads", self.width, self.heads);
            return Some(inputs[0].refused("multihead_attention", message, None));
        }
        let wrong = |x: &&&Tensor| x.error().is_some() || x.rank() != 3 || x.dims().last() != Some(&self.width);
        inputs.iter().find(wrong).map(|x| {
            let message = format!("{} is not [batch, length, {}]", x.shape(), self.width);
            x.refused("multihead_attention", message, None)
        })
    }
}

impl Layer for MultiheadAttention {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.attend([x; 3], None, pass)
    }

    fn describe(&self) -> Description {
        let causal = if self.causal { ", causal" } else { "" };
        let settings = format!("{} in {} heads{causal}", self.width, self.heads);
        Description::of("multihead_attention", settings)
            .at(&self.place, [&self.in_weight].into_iter().chain(&self.in_bias))
            .made_of([self.out.describe()])
    }
}
