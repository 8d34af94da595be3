//! Losses: what training makes small. Semantics are PyTorch's, reductions included.

pub mod classes;
pub mod logits;
pub mod regression;

pub use classes::{CrossEntropy, Nll};
pub use logits::{BceWithLogits, kl_div};
pub use regression::{huber, l1, mse, smooth_l1};

use tensor::{Error, ErrorKind, Tensor};

/// How the losses of all elements become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// They stay apart.
    None,
    /// Their mean (weighted where there are weights).
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum, divided by the size of the first axis.
    BatchMean,
}

impl Reduction {
    /// Of unweighted losses.
    #[track_caller]
    fn of(self, losses: Tensor) -> Tensor {
        match self {
            Reduction::None => losses,
            Reduction::Mean => losses.mean(..),
            Reduction::Sum => losses.sum(..),
            Reduction::BatchMean => {
                let batch = losses.dims().first().copied().unwrap_or(1);
                losses.sum(..) / batch as f64
            }
        }
    }
}

/// The refusal of a setting that makes no sense.
#[track_caller]
fn refused_argument(op: &str, message: String) -> Tensor {
    Tensor::failure(Error::new(ErrorKind::Argument, op, message))
}
