//! RMSprop (Tieleman and Hinton 2012; centred: Graves 2013).

use tensor::{Tensor, Update, Var};

use super::Optimiser;
use super::group::{Book, Group};

/// `v = alpha v + (1 - alpha) g^2; p = p - lr g / (sqrt(v) + eps)`; centred, v loses the squared mean of g.
pub struct RmsProp {
    /// Share of the old mean square kept: 0.99.
    pub alpha: f64,
    /// Added to the root: 1e-8.
    pub eps: f64,
    /// Added to the gradient: this times the parameter.
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
    momentum: f64,
    centred: bool,
    book: Book,
}

impl RmsProp {
    /// Over `groups`, with momentum (0: none), centred or not.
    #[track_caller]
    pub fn new(groups: Vec<Group>, momentum: f64, centred: bool) -> RmsProp {
        let names = [Some("square_avg"), centred.then_some("grad_avg"), (momentum != 0.0).then_some("momentum")];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let book = Book::new(groups, &names);
        RmsProp { alpha: 0.99, eps: 1e-8, weight_decay: 0.0, maximize: false, momentum, centred, book }
    }

    /// With another share kept.
    pub fn alpha(mut self, alpha: f64) -> RmsProp {
        self.alpha = alpha;
        self
    }

    /// With another epsilon.
    pub fn eps(mut self, eps: f64) -> RmsProp {
        self.eps = eps;
        self
    }

    /// With weight decay.
    pub fn weight_decay(mut self, decay: f64) -> RmsProp {
        self.weight_decay = decay;
        self
    }

    /// Climbing instead, if `true`.
    pub fn maximize(mut self, maximize: bool) -> RmsProp {
        self.maximize = maximize;
        self
    }
}

impl Optimiser for RmsProp {
    fn parameters(&self) -> Vec<Var> {
        self.book.parameters()
    }

    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update> {
        let rates = self.book.numbers(|group| lr * group.lr_scale);
        self.book.updates(gradients, |group, index, p, moments, g| {
            let decay = group.weight_decay.unwrap_or(self.weight_decay);
            let g = if self.maximize { -g } else { g.clone() };
            let g = if decay == 0.0 { g } else { g + p * decay };
            let square = &moments[0] * self.alpha + &g * &g * (1.0 - self.alpha);
            let mut next = vec![square.clone()];
            let spread = if self.centred {
                let mean = &moments[1] + (&g - &moments[1]) * (1.0 - self.alpha);
                next.push(mean.clone());
                square - &mean * &mean
            } else {
                square
            };
            let along = g / (spread.sqrt() + self.eps);
            let along = if self.momentum == 0.0 {
                along
            } else {
                let direction = &moments[moments.len() - 1] * self.momentum + along;
                next.push(direction.clone());
                direction
            };
            (p - along * rates[index].of(p.dtype()), next)
        })
    }

    fn state(&self) -> Vec<Var> {
        self.book.state()
    }
}
