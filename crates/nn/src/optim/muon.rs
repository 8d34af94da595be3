//! Muon (Jordan et al. 2024): steps along the matrix nearest to the momentum that turns and does not stretch.

use tensor::{Tensor, Update, Var};

use super::Optimiser;
use super::group::{Book, Group};

/// Of the polynomial `a x + b x^3 + c x^5`, which takes singular values above about 0.002 to 0.7 to 1.2 in five steps.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];

/// `b = momentum b + (1 - momentum) g; p = p - lr scale O(b)`, where `O(b)` has the singular vectors of `b` and singular values near 1,
/// and `scale = sqrt(max(1, rows / columns))`; with Nesterov `O((1 - momentum) g + momentum b)`. Weights of more axes, such as filters
/// `[out, in, h, w]`, count as matrices `[out, in h w]`. It is meant for the matrices within a network: what it reads symbols with, its
/// head, biases and norms go to the other optimiser, for the same gradients (`others`).
pub struct Muon {
    /// Share of the old direction kept: 0.95.
    pub momentum: f64,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
    /// The share `lr` of this is taken from each weight before the step.
    pub weight_decay: f64,
    /// Whether weights are brought to length `sqrt(rows)` before each step, for matrices whose length a norm takes away again.
    pub normed: bool,
    /// Steps towards `O`: 5.
    pub steps: usize,
    book: Book,
    others: Box<dyn Optimiser>,
}

impl Muon {
    /// Over the matrices of `groups`; the parameters of `others` stay its own, at the same learning rate times their groups' scales.
    #[track_caller]
    pub fn new(groups: Vec<Group>, others: Box<dyn Optimiser>) -> Muon {
        let book = Book::new(groups, &["muon"]).counted("muon_step");
        Muon { momentum: 0.95, nesterov: true, weight_decay: 0.0, normed: false, steps: 5, book, others }
    }

    /// With another momentum.
    pub fn momentum(mut self, momentum: f64) -> Muon {
        self.momentum = momentum;
        self
    }

    /// With Nesterov's momentum, if `true`.
    pub fn nesterov(mut self, nesterov: bool) -> Muon {
        self.nesterov = nesterov;
        self
    }

    /// With weight decay.
    pub fn weight_decay(mut self, decay: f64) -> Muon {
        self.weight_decay = decay;
        self
    }

    /// With weights of one length, if `true`.
    pub fn normed(mut self, normed: bool) -> Muon {
        self.normed = normed;
        self
    }
}

impl Optimiser for Muon {
    fn parameters(&self) -> Vec<Var> {
        [self.book.parameters(), self.others.parameters()].concat()
    }

    fn step(&self, gradients: &[Tensor], lr: f64) -> Vec<Update> {
        let (own, rest) = gradients.split_at(self.book.parameters().len().min(gradients.len()));
        let rates = self.book.numbers(|group| lr * group.lr_scale);
        let mut updates = self.book.updates(own, |group, index, p, moments, g| {
            let &[rows, _, ..] = p.dims() else {
                let message = format!("a parameter of shape {} is no matrix", p.shape());
                let help = "give it to the other optimiser".to_owned();
                return (p.refused("Muon step", message, Some(help)), moments.to_vec());
            };
            let columns = p.dims()[1..].iter().product::<usize>();
            let direction = &moments[0] + (g - &moments[0]) * (1.0 - self.momentum);
            let along = if self.nesterov { g + (&direction - g) * self.momentum } else { direction.clone() };
            let along = self.orthogonal(&along.reshape([rows, columns])).reshape(*p.shape());
            let rate = rates[index].of(p.dtype());
            let decay = group.weight_decay.unwrap_or(self.weight_decay);
            let p = if self.normed { p * ((rows as f64).sqrt() / length(p)) } else { p.clone() };
            let p = if decay == 0.0 { p } else { &p * (1.0 - rate * decay) };
            let scale = (rows as f64 / columns.max(1) as f64).max(1.0).sqrt();
            (p - along * (rate * scale), vec![direction])
        });
        updates.extend(self.others.step(rest, lr));
        updates
    }

    fn state(&self) -> Vec<Var> {
        [self.book.state(), self.others.state()].concat()
    }
}

impl Muon {
    /// The matrix of the singular vectors of `x [rows, columns]` with singular values near 1, but for those that are tiny beside its length.
    fn orthogonal(&self, x: &Tensor) -> Tensor {
        let tall = x.dims()[0] > x.dims()[1];
        let turned = |x: &Tensor| if tall { x.transpose(0, 1) } else { x.clone() };
        let x = turned(x);
        let [a, b, c] = COEFFICIENTS;
        let start = &x / length(&x);
        turned(&(0..self.steps).fold(start, |x, _| {
            let gram = x.matmul(&x.transpose(0, 1));
            let more = &gram * b + gram.matmul(&gram) * c;
            &x * a + more.matmul(&x)
        }))
    }
}

/// The root of the sum of squares, at least 1e-7.
fn length(x: &Tensor) -> Tensor {
    (x * x).sum(..).sqrt().clamp(1e-7, f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sgd;
    use tensor::{Array, DType, RandomKey, Shape};

    fn muon(params: &[&Var], others: &[&Var]) -> Muon {
        let group = |vars: &[&Var]| vec![Group::new(vars.iter().map(|&var| var.clone()).collect())];
        Muon::new(group(params), Box::new(Sgd::new(group(others), 0.5)))
    }

    fn random(name: &str, dims: &[usize]) -> Var {
        let shape = Shape::new(dims).unwrap();
        let key = RandomKey::new(5).stream(name);
        Var::new(
            name,
            Array::of(shape, (0..shape.count()).map(|at| key.uniform(at as u64) - 0.5).collect::<Vec<f32>>()),
        )
    }

    #[test]
    fn a_step_turns_and_does_not_stretch_whatever_the_gradient() {
        for dims in [&[6, 40][..], &[40, 6], &[8, 2, 3, 3]] {
            let (w, bias) = (random("w", dims), random("bias", &[3]));
            let (before, bias_before) = (w.value().to_f64(), bias.value().to_f64());
            let gradients = [random("g", dims).tensor(), Tensor::from_vec(vec![1f32, 2.0, 3.0], [3])];
            let updates = muon(&[&w], &[&bias]).step(&gradients, 1.0);
            cpu::Cpu::shared().unwrap().run(&[], &updates).unwrap();
            let step: Vec<f64> = before.iter().zip(w.value().to_f64()).map(|(a, b)| a - b).collect();
            let (rows, columns) = (dims[0], step.len() / dims[0]);
            // Products of its shorter side's vectors, which are the squares of its singular values: near the unit matrix.
            let short = rows.min(columns);
            let at = |i: usize, k: usize| if rows <= columns { step[i * columns + k] } else { step[k * columns + i] };
            let scale = (rows as f64 / columns as f64).max(1.0);
            for (i, j) in (0..short).flat_map(|i| (0..short).map(move |j| (i, j))) {
                let product: f64 = (0..rows.max(columns)).map(|k| at(i, k) * at(j, k)).sum::<f64>() / scale;
                assert!((product - f64::from(i == j)).abs() < 0.5, "{dims:?} {i} {j}: {product}");
            }
            let moved = bias_before.iter().zip(bias.value().to_f64()).map(|(a, b)| a - b);
            assert!(moved.zip([1.0, 2.0, 3.0]).all(|(found, wanted)| (found - wanted).abs() < 1e-6));
        }
    }

    #[test]
    fn lengths_are_brought_to_the_root_of_the_rows_before_a_step_if_asked() {
        let w = random("w", &[4, 9]);
        let none = Tensor::from_array(Array::zeros(DType::F32, Shape::new(&[4, 9]).unwrap()));
        let updates = muon(&[&w], &[]).normed(true).step(&[none], 1.0);
        cpu::Cpu::shared().unwrap().run(&[], &updates).unwrap();
        let square: f64 = w.value().to_f64().iter().map(|x| x * x).sum();
        assert!((square - 4.0).abs() < 1e-5, "{square}");
    }

    #[test]
    fn names_of_its_state_differ_and_vectors_are_refused() {
        let (w, bias) = (random("w", &[2, 3]), random("bias", &[3]));
        let names: Vec<String> = muon(&[&w], &[&bias]).state().iter().map(|var| var.name().to_owned()).collect();
        assert_eq!(names, ["muon_step", "muon/w", "step", "momentum/bias"]);
        let updates = muon(&[&bias], &[]).step(&[bias.tensor()], 1.0);
        let error = cpu::Cpu::shared().unwrap().run(&[], &updates).unwrap_err().to_string();
        assert!(error.contains("no matrix") && error.contains("the other optimiser"), "{error}");
    }
}
