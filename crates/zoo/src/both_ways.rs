//! A net that is asked twice: about a picture and about its mirror image.

use nn::{Description, Layer, Pass, Sequential};
use tensor::Tensor;

/// Asked after training, the mean of the logits of a picture and of its mirror image.
pub(crate) struct BothWays(pub Sequential);

impl Layer for BothWays {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        if pass.is_training() {
            return self.0.forward(x, pass);
        }
        (self.0.forward(x, pass) + self.0.forward(&x.flip(-1), pass)) * 0.5
    }

    fn describe(&self) -> Description {
        self.0.describe()
    }
}
