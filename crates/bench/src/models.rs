//! Small models: a perceptron, a variational autoencoder.

use nn::{Layer, Linear, Pass, Relu, Scope, Sequential, linear};
use tensor::{RandomKey, Tensor};

/// Linear layers with ReLU between them.
pub(crate) fn perceptron(at: &Scope, sizes: &[usize]) -> Sequential {
    let mut net = Sequential::new();
    for (i, pair) in sizes.windows(2).enumerate() {
        let number = 2 * i;
        net = net.then(linear(at / format!("{number}"), pair[0], pair[1]));
        if i + 2 < sizes.len() {
            net = net.then(Relu);
        }
    }
    net
}

/// A variational autoencoder (Kingma and Welling 2014): 784 pixels, one hidden layer each way.
pub(crate) struct Vae {
    encoder: Linear,
    mean: Linear,
    log_variance: Linear,
    decoder: Linear,
    output: Linear,
}

impl Vae {
    #[rustfmt::skip]
    pub(crate) fn new(at: &Scope, pixels: usize, hidden: usize, latent: usize) -> Vae {
        Vae {
            encoder: linear(at / "a", pixels, hidden),        // [N, hidden]
            mean: linear(at / "m", hidden, latent),           // [N, latent]
            log_variance: linear(at / "v", hidden, latent),   // [N, latent]
            decoder: linear(at / "d", latent, hidden),        // [N, hidden]
            output: linear(at / "o", hidden, pixels),         // logits of pixels
        }
    }

    /// Logits of the pixels, and mean and logarithm of the variance of the code `[N, latent]`.
    pub(crate) fn forward(&self, x: &Tensor, noise: RandomKey, pass: &Pass) -> [Tensor; 3] {
        let hidden = self.encoder.forward(x, pass).relu();
        let (mean, log_variance) = (self.mean.forward(&hidden, pass), self.log_variance.forward(&hidden, pass));
        let noise = Tensor::normal(mean.shape(), noise, mean.dtype());
        let code = &mean + noise * (&log_variance * 0.5).exp();
        let logits = self.output.forward(&self.decoder.forward(&code, pass).relu(), pass);
        [logits, mean, log_variance]
    }
}
