//! Nonlinear functions of one number, beside the primitive ones (relu, gelu, tanh, sigmoid).
//!
//! The branch that is not taken never sees an argument it could overflow on, so no gradient becomes NaN.

use std::f64::consts::FRAC_2_PI;

use crate::tensor::Tensor;

/// Above this, ln(1 + e^x) = x in f32 and f64 alike.
const SOFTPLUS_IS_IDENTITY: f64 = 80.0;

impl Tensor {
    /// `x` where x > 0, else `slope x` (Maas et al. 2013). The gradient at 0 is `slope`.
    #[track_caller]
    pub fn leaky_relu(&self, slope: f64) -> Tensor {
        self.where_else(&self.gt(0.0), self * slope)
    }

    /// `x` where x > 0, else `alpha (e^x - 1)` (Clevert et al. 2016).
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Tensor {
        let below = self.clamp(f64::NEG_INFINITY, 0.0).expm1();
        self.where_else(&self.gt(0.0), if alpha == 1.0 { below } else { below * alpha })
    }

    /// GELU's older approximation, `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    #[track_caller]
    pub fn gelu_tanh(&self) -> Tensor {
        let c = FRAC_2_PI.sqrt();
        let inner = self * (self * self * (0.044715 * c) + c);
        self * 0.5 * (inner.tanh() + 1.0)
    }

    /// `x sigmoid(x)` (Elfwing et al. 2017; also called swish).
    #[track_caller]
    pub fn silu(&self) -> Tensor {
        self * self.sigmoid()
    }

    /// `ln(1 + e^(beta x)) / beta`; `x` itself where beta x > `threshold`, as in PyTorch.
    #[track_caller]
    pub fn softplus(&self, beta: f64, threshold: f64) -> Tensor {
        let threshold = threshold.min(SOFTPLUS_IS_IDENTITY);
        let scaled = if beta == 1.0 { self.clone() } else { self * beta };
        let curve = scaled.clamp(f64::NEG_INFINITY, threshold).exp().log1p();
        self.where_else(&scaled.gt(threshold), if beta == 1.0 { curve } else { curve * (1.0 / beta) })
    }

    /// Limits to `lo..=hi`; the gradient passes strictly inside only, as in PyTorch. ([`Tensor::clamp`] passes it at the
    /// ends too.)
    #[track_caller]
    pub fn hardtanh(&self, lo: f64, hi: f64) -> Tensor {
        self.limited(lo.into(), hi.into(), false)
    }

    /// `min(max(x, 0), 6)` (Krizhevsky 2010).
    #[track_caller]
    pub fn relu6(&self) -> Tensor {
        self.hardtanh(0.0, 6.0)
    }
}
