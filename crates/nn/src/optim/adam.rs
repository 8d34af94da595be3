//! Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) and AMSGrad (Reddi et al. 2018).

use tensor::math::f64::pow;
use tensor::{Tensor, Update, Var};

use super::Optimiser;
use super::group::{Book, Group, Number};

/// `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p = p - lr m' / (sqrt(v') + eps)`, m' and v' corrected for their start
/// at 0.
pub struct Adam {
    /// Shares of the old moments kept: 0.9 and 0.999. The first may change from step to step.
    pub betas: [f64; 2],
    /// Added to the root: 1e-8.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
    /// Whether weight decay shrinks the parameter itself (AdamW) or is added to the gradient (Adam).
    pub decoupled: bool,
    amsgrad: bool,
    book: Book,
}

impl Adam {
    /// Adam over `groups`.
    #[track_caller]
    pub fn new(groups: Vec<Group>) -> Adam {
        let book = Book::new(groups, &["exp_avg", "exp_avg_sq"]);
        let (betas, eps) = ([0.9, 0.999], 1e-8);
        Adam { betas, eps, weight_decay: 0.0, maximize: false, decoupled: false, amsgrad: false, book }
    }

    /// AdamW over `groups`: weight decay, 0.01 at first, apart from the gradient.
    #[track_caller]
    pub fn w(groups: Vec<Group>) -> Adam {
        Adam { decoupled: true, weight_decay: 0.01, ..Adam::new(groups) }
    }

    /// With other shares kept.
    pub fn betas(mut self, first: f64, second: f64) -> Adam {
        self.betas = [first, second];
        self
    }

    /// With another epsilon.
    pub fn eps(mut self, eps: f64) -> Adam {
        self.eps = eps;
        self
    }

    /// With another weight decay.
    pub fn weight_decay(mut self, decay: f64) -> Adam {
        self.weight_decay = decay;
        self
    }

    /// With the largest second moment so far instead of the current one. Drops the moments gathered before.
    pub fn amsgrad(mut self) -> Adam {
        self.amsgrad = true;
        self.book = self.book.with(&["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]);
        self
    }

    /// Climbing instead, if `true`.
    pub fn maximize(mut self, maximize: bool) -> Adam {
        self.maximize = maximize;
        self
    }
}

impl Optimiser for Adam {
    fn parameters(&self) -> Vec<Var> {
        self.book.parameters()
    }

    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update> {
        let [beta1, beta2] = self.betas;
        let t = self.book.taken() as f64 + 1.0;
        let corrections = [1.0 - pow(beta1, t), (1.0 - pow(beta2, t)).sqrt()];
        let decay = |group: &Group| group.weight_decay.unwrap_or(self.weight_decay);
        let steps = self.book.numbers(|group| lr * group.lr_scale / corrections[0]);
        let shrink = self.book.numbers(|group| 1.0 - lr * group.lr_scale * decay(group));
        // By its inverse: a product costs a tenth of a quotient.
        let (inverse_root, fresh) = (Number::new(1.0 / corrections[1]), Number::new(1.0 - beta1));
        self.book.updates(gradients, |group, index, p, moments, g| {
            let dtype = p.dtype();
            let g = if self.maximize { -g } else { g.clone() };
            let (p, g) = match (decay(group), self.decoupled) {
                (0.0, _) => (p.clone(), g),
                (_, true) => (p * shrink[index].of(dtype), g),
                (decay, false) => (p.clone(), g + p * decay),
            };
            let mean = &moments[0] + (&g - &moments[0]) * fresh.of(dtype);
            let square = &moments[1] * beta2 + &g * &g * (1.0 - beta2);
            let mut next = vec![mean.clone(), square.clone()];
            let square = if self.amsgrad {
                let largest = moments[2].maximum(square);
                next.push(largest.clone());
                largest
            } else {
                square
            };
            let size = square.sqrt() * inverse_root.of(dtype) + self.eps;
            (p - mean / size * steps[index].of(dtype), next)
        })
    }

    fn state(&self) -> Vec<Var> {
        self.book.state()
    }
}
