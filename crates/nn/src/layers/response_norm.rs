//! Local response normalisation, as AlexNet has it.

use tensor::Tensor;

use crate::layer::{Description, Layer};
use crate::pass::Pass;

/// `y = x / (k + alpha * sum of the squares of the neighbouring channels)^beta` (Krizhevsky et al. 2012, section 3.3): see
/// [`local_response_norm`].
#[derive(Debug, Clone, Copy)]
pub struct LocalResponseNorm {
    size: usize,
    alpha: f64,
    beta: f64,
    k: f64,
}

/// Over `size` channels, half of them on either side; alpha 1e-4, beta 0.75 and k 2 as published. PyTorch divides alpha by `size`
/// and has k 1: what it calls alpha is `size` times ours.
pub fn local_response_norm(size: usize) -> LocalResponseNorm {
    LocalResponseNorm { size, alpha: 1e-4, beta: 0.75, k: 2.0 }
}

impl LocalResponseNorm {
    /// The factor of the sum of squares.
    pub fn alpha(mut self, alpha: f64) -> LocalResponseNorm {
        self.alpha = alpha;
        self
    }

    /// The power.
    pub fn beta(mut self, beta: f64) -> LocalResponseNorm {
        self.beta = beta;
        self
    }

    /// What is added to the sum.
    pub fn k(mut self, k: f64) -> LocalResponseNorm {
        self.k = k;
        self
    }
}

impl Layer for LocalResponseNorm {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        if x.error().is_some() {
            return x.clone();
        }
        if x.rank() < 2 || self.size == 0 {
            let message = format!("{} over {} channels", x.shape(), self.size);
            return x.refused(
                "local_response_norm",
                message,
                Some("it needs [N, C, ..] and at least one channel".into()),
            );
        }
        let (channels, before) = (x.dims()[1], self.size / 2);
        let squares = (x * x).pad(1, before, self.size - 1 - before, 0.0);
        let neighbours = (0..self.size).map(|shift| squares.narrow(1, shift..shift + channels));
        let sum = neighbours.reduce(|sum, next| sum + next).unwrap_or_else(|| squares.clone());
        x / (sum * self.alpha + self.k).pow(self.beta)
    }

    fn describe(&self) -> Description {
        let LocalResponseNorm { size, alpha, beta, k } = self;
        Description::of("local_response_norm", format!("{size} channels, alpha {alpha}, beta {beta}, k {k}"))
    }
}
