//! Times elementwise chains, reductions and pooling, on one thread unless told, in cache and out of it: the best of many runs.
//!
//! `cargo run --release -p glassbox-cpu --example elementwise -- [PART OF A NAME [THREADS]]`

use std::time::Instant;

use glassbox_cpu::Cpu;
use tensor::{Array, DType, PoolOptions, RandomKey, Tensor, Update, Var};

type Built = (Vec<Tensor>, Vec<Update>);
type Build = Box<dyn Fn(&Cpu, &[usize]) -> Box<dyn Fn() -> Built>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let cpu = Cpu::new(std::env::args().nth(2).map_or(Ok(1), |threads| threads.parse())?)?;
    for (name, shapes, build) in cases() {
        if !name.contains(&wanted) {
            continue;
        }
        print!("{name:>22}:");
        for shape in shapes {
            let graph = build(&cpu, &shape);
            let points: usize = shape.iter().product();
            let start = Instant::now();
            let (mut best, mut rounds) = (f64::INFINITY, 0);
            while rounds < 5 || start.elapsed().as_secs_f64() < 0.4 {
                let (outputs, updates) = graph();
                let outputs: Vec<&Tensor> = outputs.iter().collect();
                let before = Instant::now();
                cpu.run(&outputs, &updates)?;
                best = best.min(before.elapsed().as_nanos() as f64);
                rounds += 1;
            }
            print!("  {shape:?} {:8.1} us, {:6.0} ns/k", best / 1e3, best / points as f64 * 1e3);
        }
        println!();
    }
    Ok(())
}

fn random(cpu: &Cpu, shape: &[usize], seed: u64) -> Tensor {
    let x = Tensor::normal(shape, RandomKey::new(seed), DType::F32);
    Tensor::from_array(cpu.run(&[&x], &[]).expect("normal numbers").remove(0))
}

fn zero(shape: &[usize]) -> Var {
    Var::new("v", Array::zeros(DType::F32, tensor::Shape::new(shape).expect("a shape")))
}

fn number(x: f32) -> Tensor {
    Tensor::from_vec(vec![x], [0usize; 0])
}

fn case(name: &'static str, shapes: &[&[usize]], build: Build) -> (&'static str, Vec<Vec<usize>>, Build) {
    (name, shapes.iter().map(|shape| shape.to_vec()).collect(), build)
}

fn cases() -> Vec<(&'static str, Vec<Vec<usize>>, Build)> {
    let flat: &[&[usize]] = &[&[1 << 12], &[1 << 14], &[1 << 22]];
    let rows: &[&[usize]] =
        &[&[32, 1024], &[4096, 1024], &[1000, 77], &[256, 4096], &[4000, 300], &[40000, 128], &[100000, 64]];
    let pictures: &[&[usize]] = &[&[4, 8, 32, 32], &[64, 64, 32, 32], &[64, 16, 7, 7]];
    vec![
        case(
            "adam",
            flat,
            Box::new(|cpu, shape| {
                let g = random(cpu, shape, 1);
                let [p, m, v] = [0; 3].map(|_| zero(shape));
                let [fresh, root, step] = [0.1, 1.1, 1e-3].map(number);
                Box::new(move || {
                    let (p0, m0, v0) = (p.tensor(), m.tensor(), v.tensor());
                    let mean = &m0 + (&g - &m0) * &fresh;
                    let square = &v0 * 0.999 + &g * &g * 0.001;
                    let size = square.sqrt() * &root + 1e-8;
                    let next = &p0 - &mean / size * &step;
                    (vec![], vec![p.update(&next), m.update(&mean), v.update(&square)])
                })
            }),
        ),
        case(
            "momentum",
            flat,
            Box::new(|cpu, shape| {
                let g = random(cpu, shape, 1);
                let [p, m] = [0; 2].map(|_| zero(shape));
                let step = number(1e-3);
                Box::new(move || {
                    let (p0, m0) = (p.tensor(), m.tensor());
                    let mean = &m0 * 0.9 + (&g + &p0 * 1e-4);
                    let next = &p0 - &mean * &step;
                    (vec![], vec![p.update(&next), m.update(&mean)])
                })
            }),
        ),
        case("add", flat, unary(|x| x + 1.0)),
        case("relu(x) 0.5 + x", flat, unary(|x| x.relu() * 0.5 + x)),
        case("gelu", flat, unary(Tensor::gelu)),
        case("exp", flat, unary(Tensor::exp)),
        case("transpose", &[&[128, 128], &[2048, 2048]], unary(|x| x.transpose(0, 1) + 1.0)),
        case(
            "normal",
            flat,
            Box::new(|_, shape| {
                let shape = shape.to_vec();
                Box::new(move || (vec![Tensor::normal(&shape[..], RandomKey::new(3), DType::F32)], vec![]))
            }),
        ),
        case("cast to f16 and back", flat, unary(|x| x.cast(DType::F16).cast(DType::F32))),
        case("softmax", rows, unary(|x| x.softmax(-1))),
        case("sum of rows", rows, unary(|x| x.sum(1))),
        case("sum of columns", rows, unary(|x| x.sum(0))),
        case("centred rows", rows, unary(|x| x - x.mean_keep(-1))),
        case("layer norm", rows, normed(false)),
        case("layer norm, gradient", rows, normed(true)),
        case(
            "relu gradient, its sum",
            &[&[64, 128], &[128, 400], &[128, 512], &[4096, 1024], &[256, 3072], &[4000, 300], &[40000, 128]],
            Box::new(rectified),
        ),
        case("max pool 2", pictures, unary(|x| x.max_pool(&PoolOptions::new(&[2, 2])))),
        case("max pool 2, gradient", pictures, gradient(|x| x.max_pool(&PoolOptions::new(&[2, 2])))),
        case("max pool 3/2", pictures, unary(|x| x.max_pool(&overlapping()))),
        case("max pool 3/2, gradient", pictures, gradient(|x| x.max_pool(&overlapping()))),
    ]
}

fn unary(f: impl Fn(&Tensor) -> Tensor + Copy + 'static) -> Build {
    Box::new(move |cpu, shape| {
        let x = random(cpu, shape, 1);
        Box::new(move || (vec![f(&x)], vec![]))
    })
}

/// The result, and the gradients of its product with another tensor.
fn gradient(f: impl Fn(&Tensor) -> Tensor + Copy + 'static) -> Build {
    Box::new(move |cpu, shape| {
        let x = random(cpu, shape, 1);
        let dy = random(cpu, f(&x).dims(), 2);
        Box::new(move || {
            let y = f(&x);
            let dx = (&y * &dy).sum(..).grad([&x]).remove(0);
            (vec![y, dx], vec![])
        })
    })
}

/// With a scale and a shift, whose gradients are asked for too where there are any.
fn normed(shift: bool) -> Build {
    Box::new(move |cpu, shape| {
        let (x, dy) = (random(cpu, shape, 1), random(cpu, shape, 2));
        let [scale, bias] = [3, 4].map(|seed| random(cpu, &shape[1..], seed));
        Box::new(move || {
            let y = x.layer_norm(1, 1e-5) * &scale + &bias;
            if !shift {
                return (vec![y], vec![]);
            }
            let mut all = (&y * &dy).sum(..).grad([&x, &scale, &bias]);
            all.push(y);
            (all, vec![])
        })
    })
}

/// What a layer's gradient does between two products: ReLU's gradient, and its sum, with which the bias is changed.
fn rectified(cpu: &Cpu, shape: &[usize]) -> Box<dyn Fn() -> Built> {
    let (y, dy) = (random(cpu, shape, 1), random(cpu, shape, 2));
    let [p, m] = [0; 2].map(|_| zero(&shape[1..]));
    Box::new(move || {
        let dx = dy.full_like(0.0).where_else(&y.le(0.0), &dy);
        let mean = m.tensor() * 0.9 + dx.sum(0);
        let next = p.tensor() - &mean * 1e-3;
        (vec![dx], vec![p.update(&next), m.update(&mean)])
    })
}

fn overlapping() -> PoolOptions {
    PoolOptions { stride: vec![2, 2], padding: vec![1, 1], ..PoolOptions::new(&[3, 3]) }
}
