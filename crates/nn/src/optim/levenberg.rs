//! Stochastic diagonal Levenberg-Marquardt (LeCun et al. 1998, appendix C): each parameter has the step that its own curvature allows.

use tensor::math::f64::pow;
use tensor::{Tensor, Update, Var};

use super::Optimiser;
use super::group::{Book, Group, Number};

/// `h = d h + (1 - d) rows g^2; p = p - lr g / (damping + h')`, h' corrected for its start at 0.
///
/// The paper has h, the diagonal of the Gauss-Newton matrix, from a backward pass of its own over 500 rows before each pass
/// over the data. Here it is that of Fisher's matrix, which is the same in expectation where the loss is a logarithm of a
/// probability: the mean square of a row's gradient, of which the square of the mean over independent rows is a `rows`-th.
pub struct Levenberg {
    /// Rows of which a gradient is the mean.
    pub rows: usize,
    /// Added to the curvature, so that flat directions are not taken too far: 0.02.
    pub damping: f64,
    /// Share of the old curvature kept: 0.99.
    pub kept: f64,
    book: Book,
}

impl Levenberg {
    /// Over `groups`, for gradients that are means over `rows` rows. Groups have no weight decay.
    #[track_caller]
    pub fn new(groups: Vec<Group>, rows: usize) -> Levenberg {
        Levenberg { rows, damping: 0.02, kept: 0.99, book: Book::new(groups, &["curvature"]) }
    }
}

impl Optimiser for Levenberg {
    fn parameters(&self) -> Vec<Var> {
        self.book.parameters()
    }

    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update> {
        let rates = self.book.numbers(|group| lr * group.lr_scale);
        let correction = Number::new(1.0 / (1.0 - pow(self.kept, self.book.taken() as f64 + 1.0)));
        self.book.updates(gradients, |_, index, p, moments, g| {
            let dtype = p.dtype();
            let curvature = &moments[0] * self.kept + g * g * ((1.0 - self.kept) * self.rows as f64);
            let damped = &curvature * correction.of(dtype) + self.damping;
            (p - g / damped * rates[index].of(dtype), vec![curvature])
        })
    }

    fn state(&self) -> Vec<Var> {
        self.book.state()
    }
}

#[cfg(test)]
mod tests {
    use cpu::Cpu;
    use tensor::Array;

    use super::*;

    #[test]
    fn steep_and_flat_directions_take_steps_by_their_curvature() {
        let p = Var::new("p", Array::of(tensor::Shape::new(&[2]).unwrap(), vec![0.0f64, 0.0]));
        let optimiser = Levenberg::new(vec![Group::new(vec![p.clone()])], 4);
        for step in 1..4 {
            let gradient = Tensor::from_vec(vec![3.0f64, 0.01], [2]);
            Cpu::shared().unwrap().run(&[], &optimiser.step(&[gradient], 0.1)).unwrap();
            let wanted = [3.0, 0.01].map(|g| -0.1 * f64::from(step) * g / (0.02 + 4.0 * g * g));
            let found = p.value().to_f64();
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {wanted:?}");
        }
    }
}
