//! Averaged weights (Polyak and Juditsky 1992, in their exponential form): a second set that follows the trained one slowly.

use tensor::{Error, ErrorKind, Tensor, Update, Var};

use crate::error::Result;
use crate::state::{State, restore, torch_name};

/// `a = a + (1 - d) (w - a)` after every step, for parameters and running statistics.
///
/// Early steps keep less, `min(d, (1 + t) / (10 + t))` after t steps, so that the initial values are soon forgotten.
pub struct Average {
    decay: f64,
    /// Each variable and its average, which bears its name.
    pairs: Vec<(Var, Var)>,
}

impl Average {
    /// Of `vars`, from their values now; each step keeps `decay` of the average. Only floats are averaged.
    pub fn new(vars: Vec<Var>, decay: f64) -> Average {
        let copy = |var: &Var| Var::new(var.name(), (*var.value()).clone());
        let floats = vars.into_iter().filter(|var| var.dtype().is_float());
        Average { decay, pairs: floats.map(|var| (var.clone(), copy(&var))).collect() }
    }

    /// The share of the average that step `step` (from 0) keeps.
    pub fn kept(&self, step: u64) -> f64 {
        let step = step as f64;
        self.decay.min((1.0 + step) / (10.0 + step))
    }

    /// The updates of the averages that belong to a step's `updates`: to be run with them.
    #[track_caller]
    pub fn updates(&self, updates: &[Update], step: u64) -> Vec<Update> {
        let fresh = 1.0 - self.kept(step);
        let next = |var: &Var| updates.iter().find(|update| update.var.is(var)).map(|update| update.value.clone());
        let one = |(var, average): &(Var, Var)| {
            let (old, next) = (average.tensor(), next(var).unwrap_or_else(|| var.tensor()));
            // As data, so that the plan of a step stays the same.
            let fresh = match var.dtype() {
                tensor::DType::F32 => Tensor::scalar(fresh as f32),
                tensor::DType::F64 => Tensor::scalar(fresh),
                other => {
                    Tensor::failure(Error::new(ErrorKind::Argument, "average", format!("{other} is not averaged")))
                }
            };
            average.update(&(&old + (next - &old) * fresh))
        };
        self.pairs.iter().map(one).collect()
    }

    /// The averages, under the names of what they are averages of.
    pub fn state(&self) -> Vec<Var> {
        self.pairs.iter().map(|(_, average)| average.clone()).collect()
    }

    /// Gives the averages the values of the same names in `state`, which may hold others too (what is not averaged). `from`
    /// names the source in the error.
    ///
    /// # Errors
    /// If one is missing or of another shape.
    pub fn restore(&self, state: &State, from: &str) -> Result<()> {
        let vars = self.state();
        let names: Vec<String> = vars.iter().map(|var| torch_name(var.name())).collect();
        let own = state.iter().filter(|(name, _)| names.contains(&torch_name(name)));
        restore(&vars, &own.map(|(name, array)| (name.clone(), array.clone())).collect(), from)
    }

    /// Exchanges the variables' values with their averages: to look at the averaged model, and back.
    ///
    /// # Errors
    /// None in practice: both are of one shape.
    pub fn swap(&self) -> tensor::Result<()> {
        for (var, average) in &self.pairs {
            let (value, mean) = (var.value(), average.value());
            var.set((*mean).clone())?;
            average.set((*value).clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cpu::Cpu;
    use tensor::{Array, Shape};

    use super::*;

    fn number(var: &Var) -> f64 {
        var.value().get_f64(0)
    }

    #[test]
    fn an_average_follows_slowly_and_can_change_places() {
        let var = Var::new("w", Array::of(Shape::SCALAR, vec![0.0f32]));
        let average = Average::new(vec![var.clone()], 0.5);
        let cpu = Cpu::shared().unwrap();
        let mut wanted = 0.0;
        for step in 0..20 {
            let next = [var.update(&(var.tensor() + 1.0))];
            let updates = [next.to_vec(), average.updates(&next, step)].concat();
            cpu.run(&[], &updates).unwrap();
            wanted += (1.0 - average.kept(step)) * ((step + 1) as f64 - wanted);
        }
        assert!((average.kept(0), average.kept(100)) == (0.1, 0.5));
        assert!((number(&average.state()[0]) - wanted).abs() < 1e-4 && number(&var) == 20.0);
        average.swap().unwrap();
        assert!((number(&var) - wanted).abs() < 1e-4 && number(&average.state()[0]) == 20.0);
    }

    #[test]
    fn what_a_step_leaves_alone_is_averaged_as_it_is() {
        let var = Var::new("w", Array::of(Shape::SCALAR, vec![3.0f64]));
        let average = Average::new(vec![var.clone()], 0.9);
        var.set(Array::of(Shape::SCALAR, vec![13.0f64])).unwrap();
        Cpu::shared().unwrap().run(&[], &average.updates(&[], 0)).unwrap();
        assert_eq!(number(&average.state()[0]), 12.0);
    }
}
