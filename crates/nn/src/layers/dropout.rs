//! Dropout (Srivastava et al. 2014).

use tensor::{DType, Error, ErrorKind, Tensor};

use crate::layer::{Description, Layer, Place};
use crate::pass::Pass;
use crate::scope::Scope;

/// In training, each element becomes 0 with probability `p`, and the others grow by `1 / (1 - p)`. In evaluation, nothing.
pub struct Dropout {
    place: Place,
    p: f64,
}

/// Dropout with probability `p`. It has no parameters; its path keys its random numbers.
#[track_caller]
pub fn dropout(at: Scope, p: f64) -> Dropout {
    Dropout { place: Place::new(&at), p }
}

impl Dropout {
    fn drop_out(&self, x: &Tensor, pass: &Pass) -> Tensor {
        if !(0.0..=1.0).contains(&self.p) {
            let message = format!("{} is no probability", self.p);
            return Tensor::failure(Error::new(ErrorKind::Argument, "dropout", message));
        }
        match pass.key(self.place.path()) {
            None => x.clone(),
            Some(_) if self.p == 0.0 || x.error().is_some() => x.clone(),
            Some(_) if self.p == 1.0 => x.keep_where(&Tensor::full(x.shape(), false, DType::Bool)),
            Some(key) => {
                let kept = Tensor::bernoulli(x.shape(), 1.0 - self.p, key);
                (x * (1.0 / (1.0 - self.p))).keep_where(&kept)
            }
        }
    }
}

impl Layer for Dropout {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("dropout", pass, || self.drop_out(x, pass))
    }

    fn describe(&self) -> Description {
        Description::of("dropout", format!("p {}", self.p)).at(&self.place, [])
    }
}
