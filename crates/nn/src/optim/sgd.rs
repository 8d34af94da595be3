//! Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013).

use tensor::{Tensor, Update, Var};

use super::group::{Book, Group};
use super::{Optimiser, group::Number};

/// `b = momentum b + (1 - dampening) g; p = p - lr b`; with Nesterov `p = p - lr (g + momentum b)`.
pub struct Sgd {
    /// Share of the old direction kept. May change from step to step, but not from or to 0.
    pub momentum: f64,
    /// Share of the gradient held back from the momentum.
    pub dampening: f64,
    /// Whether to look ahead along the momentum. It needs one, and no dampening.
    pub nesterov: bool,
    /// Added to the gradient: this times the parameter.
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
    book: Book,
}

impl Sgd {
    /// Plain or with momentum (0: plain), over `groups`.
    #[track_caller]
    pub fn new(groups: Vec<Group>, momentum: f64) -> Sgd {
        let book = Book::new(groups, if momentum == 0.0 { &[] } else { &["momentum"] });
        Sgd { momentum, dampening: 0.0, nesterov: false, weight_decay: 0.0, maximize: false, book }
    }

    /// With Nesterov's momentum, if `true`.
    pub fn nesterov(mut self, nesterov: bool) -> Sgd {
        self.nesterov = nesterov;
        self
    }

    /// With a share of the gradient held back from the momentum.
    pub fn dampening(mut self, dampening: f64) -> Sgd {
        self.dampening = dampening;
        self
    }

    /// With weight decay.
    pub fn weight_decay(mut self, decay: f64) -> Sgd {
        self.weight_decay = decay;
        self
    }

    /// Climbing instead, if `true`.
    pub fn maximize(mut self, maximize: bool) -> Sgd {
        self.maximize = maximize;
        self
    }
}

impl Optimiser for Sgd {
    fn parameters(&self) -> Vec<Var> {
        self.book.parameters()
    }

    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update> {
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            return self.book.refused("Nesterov's momentum needs a momentum and no dampening".to_owned());
        }
        let rates = self.book.numbers(|group| lr * group.lr_scale);
        let momentum = Number::new(self.momentum);
        // PyTorch's first step starts the momentum from the whole gradient.
        let fresh = Number::new(if self.book.taken() == 0 { 1.0 } else { 1.0 - self.dampening });
        self.book.updates(gradients, |group, index, p, moments, g| {
            let (dtype, decay) = (p.dtype(), group.weight_decay.unwrap_or(self.weight_decay));
            let g = if self.maximize { -g } else { g.clone() };
            let g = if decay == 0.0 { g } else { g + p * decay };
            let rate = rates[index].of(dtype);
            let Some(old) = moments.first() else { return (p - g * rate, Vec::new()) };
            let momentum = momentum.of(dtype);
            let held = if self.dampening == 0.0 { g.clone() } else { &g * fresh.of(dtype) };
            let direction = old * momentum + held;
            let along = if self.nesterov { g + &direction * momentum } else { direction.clone() };
            (p - along * rate, vec![direction])
        })
    }

    fn state(&self) -> Vec<Var> {
        self.book.state()
    }
}
