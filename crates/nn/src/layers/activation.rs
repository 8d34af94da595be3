//! Activations: functions without parameters.

use tensor::Tensor;

use crate::layer::{Description, Layer};
use crate::pass::Pass;

/// `max(x, 0)`.
#[derive(Debug, Clone, Copy)]
pub struct Relu;
/// `min(max(x, 0), 6)`.
#[derive(Debug, Clone, Copy)]
pub struct Relu6;
/// `x` where x > 0, else the given slope times x. PyTorch's default slope is 0.01.
#[derive(Debug, Clone, Copy)]
pub struct LeakyRelu(pub f64);
/// `x` where x > 0, else `alpha (e^x - 1)`. PyTorch's default alpha is 1.
#[derive(Debug, Clone, Copy)]
pub struct Elu(pub f64);
/// `x Phi(x)`, exact.
#[derive(Debug, Clone, Copy)]
pub struct Gelu;
/// GELU, approximated by tanh.
#[derive(Debug, Clone, Copy)]
pub struct GeluTanh;
/// `x sigmoid(x)`.
#[derive(Debug, Clone, Copy)]
pub struct Silu;
/// `1 / (1 + e^-x)`.
#[derive(Debug, Clone, Copy)]
pub struct Sigmoid;
/// The hyperbolic tangent.
#[derive(Debug, Clone, Copy)]
pub struct Tanh;
/// `ln(1 + e^(beta x)) / beta`; `x` where beta x > threshold. PyTorch's defaults are 1 and 20.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Softplus {
    pub beta: f64,
    pub threshold: f64,
}
/// Limits to an interval. PyTorch's default is -1 to 1.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Hardtanh {
    pub low: f64,
    pub high: f64,
}
/// Softmax along the given axis.
#[derive(Debug, Clone, Copy)]
pub struct Softmax(pub isize);
/// Logarithm of softmax along the given axis.
#[derive(Debug, Clone, Copy)]
pub struct LogSoftmax(pub isize);

macro_rules! activations {
    ($($layer:ident, $kind:literal, $self:ident, $x:ident => $y:expr, $settings:expr;)*) => {$(
        impl Layer for $layer {
            fn forward(&$self, $x: &Tensor, _: &Pass) -> Tensor {
                $y
            }
            fn describe(&$self) -> Description {
                Description::of($kind, $settings)
            }
        }
    )*};
}

#[rustfmt::skip]
activations! {
    Relu, "relu", self, x => x.relu(), "";
    Relu6, "relu6", self, x => x.relu6(), "";
    LeakyRelu, "leaky_relu", self, x => x.leaky_relu(self.0), format!("slope {}", self.0);
    Elu, "elu", self, x => x.elu(self.0), format!("alpha {}", self.0);
    Gelu, "gelu", self, x => x.gelu(), "";
    GeluTanh, "gelu_tanh", self, x => x.gelu_tanh(), "";
    Silu, "silu", self, x => x.silu(), "";
    Sigmoid, "sigmoid", self, x => x.sigmoid(), "";
    Tanh, "tanh", self, x => x.tanh(), "";
    Softplus, "softplus", self, x => x.softplus(self.beta, self.threshold), format!("beta {}", self.beta);
    Hardtanh, "hardtanh", self, x => x.hardtanh(self.low, self.high), format!("{} to {}", self.low, self.high);
    Softmax, "softmax", self, x => x.softmax(self.0), format!("axis {}", self.0);
    LogSoftmax, "log_softmax", self, x => x.log_softmax(self.0), format!("axis {}", self.0);
}
