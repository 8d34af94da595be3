//! Divergence: when the numbers of a training are none any more, or so large that nothing can come of them.

use nn::Scope;

use crate::error::{Error, Result};
use crate::metric::Scores;

/// A loss so many times the first one is no loss any more. Cross-entropy begins near ln(classes); a loss a million times that
/// comes of logits in the millions, where neighbouring f32 lie too far apart to tell probabilities. A spike that training
/// recovers from is far below.
const ABSURD: f64 = 1e6;

/// Watches over the numbers of a training.
pub(crate) struct Watch {
    step: u64,
    epoch: u64,
    /// What a loss is at first.
    usual: f64,
}

impl Watch {
    /// Over a training whose loss is `usual` at first.
    pub fn new(usual: f64) -> Watch {
        Watch { step: 0, epoch: 0, usual }
    }

    /// Before the first step of a training on `classes` classes, a loss is expected to be this.
    pub fn expected(classes: usize) -> f64 {
        tensor::math::f64::log(classes.max(2) as f64)
    }

    /// What a loss is at first.
    pub fn usual(&self) -> f64 {
        self.usual
    }

    /// Says which step is looked at.
    pub fn at(&mut self, step: u64, epoch: u64) {
        (self.step, self.epoch) = (step, epoch);
    }

    /// The loss and the length of the gradient of a step.
    pub fn step(&mut self, loss: f32, grad_norm: f32) -> Result<()> {
        if self.step <= 1 && loss.is_finite() {
            self.usual = self.usual.max(f64::from(loss));
        }
        self.loss("the loss", f64::from(loss))?;
        if grad_norm.is_finite() {
            return Ok(());
        }
        Err(self.diverged(format!("the length of the gradient became {grad_norm}")))
    }

    /// What was measured on the rows of `part`.
    pub fn scores(&self, part: &str, scores: Result<Scores>) -> Result<Scores> {
        match scores {
            Ok(scores) => self.loss(&format!("the {part} loss"), scores.loss.value()).map(|()| scores),
            Err(Error::NotFinite { number, row, .. }) => {
                Err(self.diverged(format!("a logit of {row} ({part}) became {number}")))
            }
            Err(error) => Err(error),
        }
    }

    /// The parameters and buffers of a model.
    pub fn weights(&self, scope: &Scope) -> Result<()> {
        for (name, array) in scope.state()? {
            let odd = array.as_slice::<f32>().and_then(|values| values.iter().find(|x| !x.is_finite()));
            if let Some(odd) = odd {
                return Err(self.diverged(format!("a number of {name} became {odd}")));
            }
        }
        Ok(())
    }

    fn loss(&self, name: &str, loss: f64) -> Result<()> {
        if !loss.is_finite() {
            return Err(self.diverged(format!("{name} became {loss}")));
        }
        if loss > ABSURD * self.usual {
            return Err(self.diverged(format!("{name} became {loss:.2e}, from {:.2} at first,", self.usual)));
        }
        Ok(())
    }

    fn diverged(&self, what: String) -> Error {
        let help = "use a smaller learning rate (--lr, or on a branch from a checkpoint: glassbox resume RUN --as NAME --set \
                    train.lr=X), and check the data for extreme values";
        Error::Diverged { what, step: self.step, epoch: self.epoch, help: help.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tensor::{Array, Shape};

    use super::*;

    fn said(outcome: Result<()>) -> String {
        outcome.err().map(|error| error.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_loss_diverges_if_it_is_no_number_or_a_million_times_the_first() {
        let mut watch = Watch::new(Watch::expected(10));
        watch.at(1, 1);
        assert_eq!(said(watch.step(2.5, 1.0)), "");
        watch.at(2, 1);
        assert_eq!(said(watch.step(2.4e6, 1.0)), "");
        assert_eq!(
            said(watch.step(1e20, 1.0)),
            "the loss became 1.00e20, from 2.50 at first, at step 2 (epoch 1), so training stopped"
        );
        assert!(said(watch.step(f32::NAN, 1.0)).starts_with("the loss became NaN at step 2 (epoch 1)"));
        assert!(said(watch.step(1.0, f32::INFINITY)).starts_with("the length of the gradient became inf at step 2"));
    }

    #[test]
    fn measures_of_a_part_diverge_too() {
        let watch = Watch::new(Watch::expected(2));
        let mut scores = Scores::new(2);
        scores.add(&[f32::NAN], &[0.0, 0.0], &[0]);
        assert!(said(watch.scores("test", Ok(scores)).map(drop)).starts_with("the test loss became NaN"));
        let odd = Error::NotFinite { number: f32::NAN, row: "row 3".to_owned(), help: String::new() };
        assert!(said(watch.scores("test", Err(odd)).map(drop)).starts_with("a logit of row 3 (test) became NaN"));
    }

    #[test]
    fn a_weight_that_is_no_number_is_named() {
        let scope = Scope::root(0);
        let bias = nn::linear(&scope / "fc1", 2, 2);
        let watch = Watch::new(Watch::expected(2));
        assert_eq!(said(watch.weights(&scope)), "");
        drop(bias);
        let mut state = scope.state().unwrap();
        state.insert("fc1.bias".to_owned(), Arc::new(Array::of(Shape::new(&[2]).unwrap(), vec![0.0f32, f32::NAN])));
        scope.load_state(&state, "test").unwrap();
        assert!(said(watch.weights(&scope)).starts_with("a number of fc1.bias became NaN"));
    }
}
