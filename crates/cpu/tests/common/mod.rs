//! Training steps built from ops alone: a multilayer perceptron and LeNet-5, cross-entropy, Adam.

use tensor::{Array, ConvOptions, PoolOptions, RandomKey, Shape, Tensor, Update, Var};

/// A classifier with its parameters and their Adam moments.
pub struct Net {
    params: Vec<Var>,
    moments: Vec<[Var; 2]>,
    forward: fn(&[Tensor], &Tensor) -> Tensor,
    input: Tensor,
    target: Tensor,
    step: i32,
}

impl Net {
    fn new(shapes: &[&[usize]], input: &[usize], classes: usize, forward: fn(&[Tensor], &Tensor) -> Tensor) -> Net {
        let key = RandomKey::new(7);
        let variable = |name: String, dims: &[usize], scale: f32| {
            let (shape, key) = (Shape::new(dims).unwrap(), key.stream(&name));
            let values = (0..shape.count() as u64).map(|i| (key.uniform(i) - 0.5) * scale).collect();
            Var::new(name, Array::of::<f32>(shape, values))
        };
        let fan_in = |dims: &[usize]| dims[1..].iter().product::<usize>().max(1) as f32;
        let params = shapes
            .iter()
            .enumerate()
            .map(|(i, dims)| variable(format!("p{i}"), dims, 2.0 / fan_in(dims).sqrt()))
            .collect();
        let moments = shapes
            .iter()
            .enumerate()
            .map(|(i, dims)| [variable(format!("m{i}"), dims, 0.0), variable(format!("v{i}"), dims, 0.0)])
            .collect();
        let count = input.iter().product::<usize>() as u64;
        let x = (0..count).map(|i| key.stream("x").uniform(i) * 2.0 - 1.0).collect();
        let target = (0..input[0] as u64).map(|i| key.stream("t").below(i, classes as u64) as i64).collect();
        Net {
            params,
            moments,
            forward,
            input: Tensor::from_vec::<f32>(x, input),
            target: Tensor::from_vec::<i64>(target, [input[0], 1]),
            step: 0,
        }
    }

    /// 4-128-128-2 with ReLU, batch 64.
    pub fn perceptron() -> Net {
        Net::new(&[&[128, 4], &[128], &[128, 128], &[128], &[2, 128], &[2]], &[64, 4], 2, |p, x| {
            let linear = |x: &Tensor, i: usize| x.matmul(&p[i].transpose(0, 1)) + &p[i + 1];
            let h = linear(x, 0).relu();
            let h = linear(&h, 2).relu();
            linear(&h, 4)
        })
    }

    /// LeNet-5 with ReLU and max pooling on 28 x 28.
    pub fn lenet(batch: usize) -> Net {
        let shapes: [&[usize]; 10] =
            [&[6, 1, 5, 5], &[6], &[16, 6, 5, 5], &[16], &[120, 400], &[120], &[84, 120], &[84], &[10, 84], &[10]];
        Net::new(&shapes, &[batch, 1, 28, 28], 10, |p, x| {
            let pool = PoolOptions::new(&[2, 2]);
            let linear = |x: &Tensor, i: usize| x.matmul(&p[i].transpose(0, 1)) + &p[i + 1];
            let conv = |x: &Tensor, i: usize, padding: usize| {
                let mut options = ConvOptions::new(2);
                options.padding = vec![padding; 2];
                let channels = p[i].dims()[0];
                x.conv(&p[i], &options) + p[i + 1].reshape([1, channels, 1, 1])
            };
            let h = conv(x, 0, 2).relu().max_pool(&pool);
            let h = conv(&h, 2, 0).relu().max_pool(&pool).flatten(1);
            let h = linear(&h, 4).relu();
            let h = linear(&h, 6).relu();
            linear(&h, 8)
        })
    }

    /// The loss of the next step, and the updates that Adam makes of it.
    pub fn trace(&mut self) -> (Tensor, Vec<Update>) {
        self.step += 1;
        let leaves: Vec<Tensor> = self.params.iter().map(Var::tensor).collect();
        let logits = (self.forward)(&leaves, &self.input);
        let loss = -(&logits - logits.logsumexp_keep(-1)).gather(1, &self.target).mean(..);
        let (beta1, beta2) = (0.9f64, 0.999f64);
        let correction = |beta: f64| Tensor::scalar((1.0 - beta.powi(self.step)) as f32);
        let (correction1, correction2) = (correction(beta1), correction(beta2));
        let rate = Tensor::scalar(1e-3f32);
        let mut updates = Vec::new();
        for ((param, [m, v]), gradient) in self.params.iter().zip(&self.moments).zip(loss.grad(&leaves)) {
            let next_m = m.tensor() * beta1 + &gradient * (1.0 - beta1);
            let next_v = v.tensor() * beta2 + &gradient * &gradient * (1.0 - beta2);
            let change = (&next_m / &correction1) / ((&next_v / &correction2).sqrt() + 1e-8);
            updates.push(param.update(&(param.tensor() - change * &rate)));
            updates.push(m.update(&next_m));
            updates.push(v.update(&next_v));
        }
        (loss, updates)
    }

    /// The bits of all parameters and moments.
    #[allow(dead_code)]
    pub fn bits(&self) -> Vec<u32> {
        let all = self.params.iter().chain(self.moments.iter().flatten());
        all.flat_map(|var| var.value().as_slice::<f32>().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>())
            .collect()
    }
}
