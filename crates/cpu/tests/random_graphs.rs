//! Random graphs: fused = one kernel for each op = the reference interpreter, bit for bit; what variables become too, and nothing
//! if an index is out of range.
//!
//! `GLASSBOX_GRAPHS` sets how many. A failure prints the smallest prefix of the graph that still fails, and its seed.

use std::fmt::Write;
use std::sync::Arc;

use glassbox_cpu::Cpu;
use glassbox_cpu::simd::Simd;
use tensor::{Array, Axes, DType, RandomKey, Tensor, Update, Values, Var, reference};

const GRAPHS: u64 = 10_000;
/// Ops of a graph.
const STEPS: usize = 12;

/// What is asked for: tensors, and what variables become.
struct Graph {
    wanted: Vec<Tensor>,
    updates: Vec<Update>,
}

/// A graph of random ops.
struct Generator {
    key: RandomKey,
    drawn: u64,
    made: Vec<Tensor>,
}

impl Generator {
    fn below(&mut self, bound: usize) -> usize {
        self.drawn += 1;
        self.key.below(self.drawn, bound as u64) as usize
    }

    fn pick(&mut self) -> Tensor {
        // The latest ones more often: chains, not stars.
        let count = self.made.len();
        let back = self.below(count).min(self.below(count));
        self.made[count - 1 - back].clone()
    }

    fn float(&mut self) -> Tensor {
        for _ in 0..8 {
            let x = self.pick();
            if x.dtype().is_float() {
                return x;
            }
        }
        self.made[0].clone()
    }

    fn leaf(&mut self, dims: &[usize], dtype: DType) -> Tensor {
        Tensor::from_array(self.array(dims, dtype))
    }

    fn array(&mut self, dims: &[usize], dtype: DType) -> Array {
        let count: usize = dims.iter().product();
        let key = self.key.stream("values").step(self.made.len() as u32);
        let values: Vec<f64> = (0..count as u64)
            .map(|i| match key.below(i, 40) {
                0 => 0.0,
                1 => -0.0,
                2 => 1.0,
                _ => f64::from(key.uniform(i) * 8.0 - 4.0),
            })
            .collect();
        Array::of(tensor::Shape::new(dims).unwrap(), values).cast(dtype)
    }

    fn dims(&mut self, large: bool) -> Vec<usize> {
        let small = [1, 2, 3, 4, 5, 7, 16, 17, 33];
        let rank = self.below(4);
        let mut dims: Vec<usize> = (0..rank).map(|_| small[self.below(small.len())]).collect();
        while dims.iter().product::<usize>() > 3000 {
            dims.pop();
        }
        if large {
            let sizes = [70, 300, 1025, 4096, 4097, 9000, 20_000];
            let at = self.below(dims.len() + 1);
            dims.truncate(2);
            dims.insert(at.min(dims.len()), sizes[self.below(sizes.len())]);
            while dims.iter().product::<usize>() > 200_000 {
                let smallest = (0..dims.len()).min_by_key(|&i| dims[i]).unwrap();
                dims.remove(smallest);
            }
        }
        dims
    }

    fn step(&mut self) {
        let x = self.pick();
        let y = match self.below(12) {
            0..=1 => self.unary(),
            2..=4 => self.binary(x),
            5..=6 => self.reduction(),
            7..=8 => self.view(x),
            9 => self.product(),
            10 => self.choice(x),
            _ => self.composite(),
        };
        if y.error().is_none() && y.count() < 1 << 19 {
            self.made.push(y);
        }
    }

    fn unary(&mut self) -> Tensor {
        let x = self.float();
        match self.below(21) {
            0 => x.neg(),
            1 => x.abs(),
            2 => x.sign(),
            3 => x.exp(),
            4 => x.expm1(),
            5 => x.log(),
            6 => x.log1p(),
            7 => x.sqrt(),
            8 => x.rsqrt(),
            9 => x.recip(),
            10 => x.sin(),
            11 => x.cos(),
            12 => x.tanh(),
            13 => x.sigmoid(),
            14 => x.erf(),
            15 => x.relu(),
            16 => x.floor(),
            17 => x.ceil(),
            18 => x.round(),
            19 => x.clamp(-1.0, 1.5),
            _ => x.is_nan(),
        }
    }

    /// Another tensor that broadcasts with x: some of its axes, of the same dtype.
    fn partner(&mut self, x: &Tensor) -> Tensor {
        for _ in 0..4 {
            let other = self.pick();
            if other.dtype() == x.dtype() && other.shape().broadcast(x.shape()).is_some() {
                return other;
            }
        }
        let mut dims = x.dims().to_vec();
        for dim in &mut dims {
            if self.below(3) == 0 {
                *dim = 1;
            }
        }
        let cut = if dims.is_empty() { 0 } else { self.below(dims.len()) };
        self.leaf(&dims[cut..], x.dtype())
    }

    fn binary(&mut self, x: Tensor) -> Tensor {
        let y = self.partner(&x);
        if x.dtype() == DType::Bool {
            return match self.below(4) {
                0 => x.and(&y),
                1 => x.or(&y),
                2 => x.xor(&y),
                _ => x.eq(&y),
            };
        }
        match self.below(14) {
            0..=1 => &x + &y,
            2 => &x - &y,
            3..=4 => &x * &y,
            5 => &x / &y,
            6 => &x % &y,
            7 => x.pow(&y),
            8 => x.maximum(&y),
            9 => x.minimum(&y),
            10 => x.lt(&y),
            11 => x.ge(&y),
            12 => x.ne(&y),
            _ => x * 2i64 + 1i64,
        }
    }

    fn axes(&mut self, rank: usize) -> Axes {
        let set: Vec<isize> = (0..rank as isize).filter(|_| self.below(2) == 0).collect();
        Axes::Of(set)
    }

    fn reduction(&mut self) -> Tensor {
        let mut x = self.pick();
        if x.dtype() == DType::Bool {
            x = x.cast(DType::F32);
        }
        let axes = self.axes(x.rank());
        match self.below(7) {
            0..=1 => x.sum(axes),
            2 => x.sum_keep(axes),
            3 => x.max_keep(axes),
            4 => x.min(axes),
            5 => x.prod(axes),
            _ => x.max(axes),
        }
    }

    fn view(&mut self, x: Tensor) -> Tensor {
        let rank = x.rank();
        match self.below(6) {
            0 if rank >= 2 => x.transpose(-1, -2),
            1 => x.reshape([x.count()]),
            2 if rank >= 1 && x.dims()[0] > 1 => x.narrow(0, 1..x.dims()[0]),
            3 if rank >= 1 => x.flip(rank as isize - 1),
            4 if rank < 4 && x.count() < 2000 => {
                let mut dims = x.dims().to_vec();
                dims.insert(0, 3);
                x.expand(dims)
            }
            5 if rank >= 3 => x.transpose(0, 2),
            _ => x.unsqueeze(self.below(rank + 1) as isize),
        }
    }

    fn product(&mut self) -> Tensor {
        let x = self.float();
        if x.rank() == 0 || x.count() > 4000 {
            return x.tanh();
        }
        let k = *x.dims().last().unwrap();
        let n = 1 + self.below(20);
        let w = self.leaf(&[k, n], x.dtype());
        let y = x.matmul(&w);
        match self.below(3) {
            0 => y,
            1 => (y + self.leaf(&[n], x.dtype())).relu(),
            _ => y.tanh(),
        }
    }

    fn choice(&mut self, x: Tensor) -> Tensor {
        if x.dtype() == DType::Bool {
            return x.cast([DType::F32, DType::F64, DType::I64, DType::I32, DType::U8][self.below(5)]);
        }
        match self.below(4) {
            0 => {
                let y = self.partner(&x);
                x.where_else(&x.gt(&y), &y)
            }
            1 => x.cast([DType::F32, DType::F64, DType::I64, DType::I32, DType::U8, DType::Bool][self.below(6)]),
            2 => {
                let key = self.key.stream("random").step(self.drawn as u32);
                let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
                match self.below(2) {
                    0 => Tensor::uniform(x.shape(), key, dtype),
                    _ => Tensor::normal(x.shape(), key, dtype),
                }
            }
            _ if x.rank() > 0 => {
                let axis = self.below(x.rank()) as isize;
                Tensor::iota(x.shape(), axis, x.dtype()) + &x
            }
            _ => x.cast(DType::F16).cast(DType::F32),
        }
    }

    fn composite(&mut self) -> Tensor {
        let x = self.float();
        if x.rank() == 0 {
            return x.exp();
        }
        let axis = self.below(x.rank()) as isize;
        match self.below(9) {
            4 => Tensor::concat(&[x.clone(), x.tanh(), x.clone()], axis),
            5 => x.pad(axis, 1, 2, 0.5),
            6 if x.dims()[axis as usize] > 0 => {
                let last = x.dims()[axis as usize] as i64 - 1;
                let beyond = i64::from(self.key.stream("beyond").below(self.drawn, 16) == 0);
                x.index_select(axis, &Tensor::from_vec(vec![last, 0, last + beyond], [3]))
            }
            7 if x.rank() >= 2 && x.count() < 2000 => x.matmul(&x.transpose(-1, -2)),
            8 => (x.tanh() * &x).sum([axis]).grad([&x]).remove(0),
            0 => {
                let e = (&x - x.max_keep([axis])).exp();
                &e / e.sum_keep([axis])
            }
            1 => {
                let centred = &x - x.mean_keep([axis]);
                let variance = (&centred * &centred).mean_keep([axis]);
                centred * (variance + 1e-5).rsqrt()
            }
            2 => {
                let loss = (&x * &x).sum(..);
                loss.grad([&x]).remove(0) + 1.0
            }
            _ => x.cumsum(axis),
        }
    }
}

fn graph(seed: u64, steps: usize) -> Graph {
    let mut generator = Generator { key: RandomKey::new(seed), drawn: 0, made: Vec::new() };
    let large = seed.is_multiple_of(64);
    let dims = generator.dims(large);
    let dtype = [DType::F32, DType::F32, DType::F32, DType::F64][generator.below(4)];
    let var = Var::new("var", generator.array(&dims, dtype));
    let changes = seed % 3 == 1;
    generator.made.push(if changes { var.tensor() } else { Tensor::from_array(Array::clone(&var.value())) });
    if generator.below(3) == 0 {
        let dtype = [DType::I64, DType::I32, DType::U8, DType::Bool][generator.below(4)];
        let leaf = generator.leaf(&dims, dtype);
        generator.made.push(leaf);
    }
    for _ in 0..steps {
        generator.step();
    }
    // The last one, and at times one in the middle, which must then be stored.
    let mut wanted = vec![generator.made.last().unwrap().clone()];
    for _ in 0..generator.below(3) {
        let other = generator.pick();
        wanted.push(other);
    }
    // The latest tensor that the variable can become.
    let fits = |tensor: &&Tensor| tensor.shape() == var.shape() && tensor.dtype() == var.dtype();
    let next = generator.made.iter().rev().find(fits).filter(|_| changes);
    Graph { wanted, updates: next.map(|next| var.update(next)).into_iter().collect() }
}

/// Bits, with all NaN alike.
fn bits(array: &Array) -> Vec<u64> {
    match array.values() {
        Values::F32(v) => v.iter().map(|x| if x.is_nan() { u64::MAX } else { u64::from(x.to_bits()) }).collect(),
        Values::F64(v) => v.iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect(),
        Values::I64(v) => v.iter().map(|&x| x as u64).collect(),
        _ => array.to_f64().iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect(),
    }
}

fn compare(kind: &str, found: &[Arc<Array>], wanted: &[Arc<Array>]) -> Result<(), String> {
    for (output, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        if found.shape() != wanted.shape() || found.dtype() != wanted.dtype() {
            return Err(format!("{kind}: output {output} has another shape or dtype"));
        }
        let (a, b) = (bits(found), bits(wanted));
        if let Some(at) = (0..a.len()).find(|&i| a[i] != b[i]) {
            let (found, wanted) = (found.get_f64(at), wanted.get_f64(at));
            return Err(format!("{kind}: output {output} element {at} is {found:e}, the reference says {wanted:e}"));
        }
    }
    Ok(())
}

/// The results of a graph, and then what its variables are.
type Found = Result<Vec<Arc<Array>>, String>;

fn check(cpus: &[Cpu], seed: u64, steps: usize) -> Result<(), String> {
    // A run remembers values in the graph: each way gets a graph of its own.
    let Graph { wanted, updates } = graph(seed, steps);
    let before: Vec<Arc<Array>> = updates.iter().map(|update| update.var.value()).collect();
    let roots: Vec<&Tensor> = wanted.iter().chain(updates.iter().map(|update| &update.value)).collect();
    let expected = reference::evaluate(&roots).map_err(|error| error.to_string());
    let compare_to_expected = |kind: &str, run: &dyn Fn(&[&Tensor], &[Update]) -> Found| {
        let Graph { wanted, updates } = graph(seed, steps);
        let found = run(&wanted.iter().collect::<Vec<_>>(), &updates);
        let variables = updates.iter().map(|update| update.var.value());
        match (&expected, found) {
            (Ok(expected), Ok(found)) => {
                let found: Vec<Arc<Array>> = found.into_iter().chain(variables).collect();
                compare(kind, &found, expected)
            }
            (Err(_), Err(_)) => compare(&format!("{kind} and failed"), &variables.collect::<Vec<_>>(), &before),
            (_, Err(error)) => Err(format!("{kind}: {error}")),
            (Err(error), _) => Err(format!("{kind}: no error, where the reference says {error}")),
        }
    };
    for cpu in cpus {
        compare_to_expected("fused", &|wanted, updates| cpu.run(wanted, updates).map_err(|error| error.to_string()))?;
        compare_to_expected("unfused", &|wanted, updates| {
            cpu.run_unfused(wanted, updates).map_err(|error| error.to_string())
        })?;
    }
    Ok(())
}

fn print(seed: u64, steps: usize) -> String {
    let mut text = String::new();
    let mut seen: Vec<u64> = Vec::new();
    fn visit(node: &Tensor, seen: &mut Vec<u64>, text: &mut String) -> usize {
        if let Some(at) = seen.iter().position(|&id| id == node.id()) {
            return at;
        }
        let inputs: Vec<usize> = node.inputs().iter().map(|input| visit(input, seen, text)).collect();
        seen.push(node.id());
        let _ = writeln!(text, "  %{} = {:?}{inputs:?} {} {}", seen.len() - 1, node.op(), node.dtype(), node.shape());
        seen.len() - 1
    }
    let Graph { wanted, updates } = graph(seed, steps);
    let outputs: Vec<usize> = wanted.iter().map(|node| visit(node, &mut seen, &mut text)).collect();
    let plan = Cpu::new(1).unwrap().plan(&wanted.iter().collect::<Vec<_>>(), &updates);
    let plan = plan.map_or_else(|error| error.to_string(), |plan| plan.to_string());
    format!("{text}  outputs {outputs:?}\n{plan}")
}

#[test]
fn fused_and_unfused_graphs_have_the_bits_of_the_reference() {
    let count = std::env::var("GLASSBOX_GRAPHS").ok().and_then(|count| count.parse().ok()).unwrap_or(GRAPHS);
    let first: u64 = std::env::var("GLASSBOX_GRAPH").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let usual = [Cpu::new(2).unwrap()];
    let rare: Vec<Cpu> = Simd::available().iter().map(|simd| Cpu::with(3, simd.level()).unwrap()).collect();
    for seed in first..first + count {
        let cpus: &[Cpu] = if seed.is_multiple_of(16) { &rare } else { &usual };
        if check(cpus, seed, STEPS).is_err() {
            let steps = (0..=STEPS).find(|&steps| check(cpus, seed, steps).is_err()).unwrap_or(STEPS);
            let error = check(cpus, seed, steps).unwrap_err();
            panic!("graph {seed} with {steps} steps: {error}\n{}", print(seed, steps));
        }
    }
}
