//! Times whole training steps and single inferences of convolutional nets, and each kernel of one step.
//!
//! `cargo run --release -p glassbox-nn --example conv_nets -- NET [THREADS] [ROUNDS]`, NET one of resnet18 (CIFAR, batch
//! 64), resnet50 (224 x 224, batch 8), lenet5 (batch 64), small (three stages from 24 channels, 32 x 32, batch 64); with
//! `inf-` in front, inference of one picture.

use std::time::{Duration, Instant};

use cpu::Cpu;
use glassbox_nn::layer::Description;
use glassbox_nn::{
    Adam, Flatten, Group, Layer, Optimiser, Pass, Relu, Scope, Sequential, Sgd, adaptive_avg_pool2d, batch_norm2d,
    conv2d, linear, max_pool2d,
};
use tensor::{DType, RandomKey, Tensor, Update, Var};

/// A residual block (He et al. 2016): relu(body(x) + shortcut(x)).
struct Residual {
    body: Sequential,
    shortcut: Option<Sequential>,
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let passed = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x, pass));
        (self.body.forward(x, pass) + passed).relu()
    }

    fn describe(&self) -> Description {
        let children = std::iter::once(&self.body).chain(&self.shortcut).map(Layer::describe);
        Description::of("residual", "").made_of(children)
    }
}

/// Convolution without bias, and batch norm.
fn conv_norm(at: &Scope, name: &str, [from, to, kernel, stride]: [usize; 4]) -> Sequential {
    let at = at / name;
    let conv = conv2d(&at / "conv", from, to, kernel).stride(stride).padding(kernel / 2).bias(false);
    Sequential::new().then(conv).then(batch_norm2d(&at / "bn", to))
}

fn block(at: &Scope, name: &str, convs: &[[usize; 4]]) -> Residual {
    let at = &(at / name);
    let (from, to) = (convs[0][0], convs[convs.len() - 1][1]);
    let stride = convs.iter().map(|conv| conv[3]).product();
    let mut body = Sequential::new();
    for (i, conv) in convs.iter().enumerate() {
        body = body.then(conv_norm(at, &format!("{i}"), *conv));
        if i + 1 < convs.len() {
            body = body.then(Relu);
        }
    }
    let shortcut = (stride != 1 || from != to).then(|| conv_norm(at, "down", [from, to, 1, stride]));
    Residual { body, shortcut }
}

fn resnet18(at: &Scope) -> Sequential {
    let mut net = Sequential::new().then(conv_norm(at, "stem", [3, 64, 3, 1])).then(Relu);
    let mut from = 64;
    for (stage, (to, stride)) in [(64, 1), (128, 2), (256, 2), (512, 2)].into_iter().enumerate() {
        net = net.then(block(at, &format!("{stage}a"), &[[from, to, 3, stride], [to, to, 3, 1]]));
        net = net.then(block(at, &format!("{stage}b"), &[[to, to, 3, 1], [to, to, 3, 1]]));
        from = to;
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", 512, 10))
}

fn resnet50(at: &Scope) -> Sequential {
    let mut net = Sequential::new().then(conv_norm(at, "stem", [3, 64, 7, 2])).then(Relu);
    net = net.then(max_pool2d(3).stride(2).padding(1));
    let mut from = 64;
    for (stage, (middle, count, stride)) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)].into_iter().enumerate()
    {
        for i in 0..count {
            let stride = if i == 0 { stride } else { 1 };
            let convs = [[from, middle, 1, 1], [middle, middle, 3, stride], [middle, 4 * middle, 1, 1]];
            net = net.then(block(at, &format!("{stage}-{i}"), &convs));
            from = 4 * middle;
        }
    }
    net.then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "fc", 2048, 1000))
}

fn lenet5(at: &Scope) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", 1, 6, 5).padding(2))
        .then(Relu)
        .then(max_pool2d(2))
        .then(conv2d(at / "conv2", 6, 16, 5))
        .then(Relu)
        .then(max_pool2d(2))
        .then(Flatten)
        .then(linear(at / "fc1", 400, 120))
        .then(Relu)
        .then(linear(at / "fc2", 120, 84))
        .then(Relu)
        .then(linear(at / "fc3", 84, 10))
}

fn small(at: &Scope) -> Sequential {
    let stage = |net: Sequential, name: &str, from, to| {
        net.then(conv_norm(at, &format!("{name}a"), [from, to, 3, 1]))
            .then(Relu)
            .then(conv_norm(at, &format!("{name}b"), [to, to, 3, 1]))
            .then(Relu)
    };
    let net = stage(Sequential::new(), "1", 3, 24).then(max_pool2d(2));
    let net = stage(net, "2", 24, 48).then(max_pool2d(2));
    stage(net, "3", 48, 96).then(adaptive_avg_pool2d(1)).then(Flatten).then(linear(at / "head", 96, 2))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().map_or("resnet18", String::as_str);
    let threads = args.get(1).map_or(Ok(0), |threads| threads.parse())?;
    let rounds: usize = args.get(2).map_or(Ok(10), |rounds| rounds.parse())?;
    let cpu = Cpu::new(threads)?;
    let at = Scope::root(0);
    let (inference, kind) = name.strip_prefix("inf-").map_or((false, name), |kind| (true, kind));
    let (net, input, classes) = match kind {
        "resnet18" => (resnet18(&at), [64, 3, 32, 32], 10),
        "resnet50" => (resnet50(&at), [8, 3, 224, 224], 1000),
        "lenet5" => (lenet5(&at), [64, 1, 28, 28], 10),
        "small" => (small(&at), [64, 3, 32, 32], 2),
        _ => return Err(format!("no net {name}: resnet18, resnet50, lenet5, small").into()),
    };
    let batch = if inference { 1 } else { input[0] };
    let key = RandomKey::new(1);
    let input = [batch, input[1], input[2], input[3]];
    let x = cpu.run(&[&Tensor::normal(input, key, DType::F32)], &[])?.remove(0);
    let labels: Vec<i64> = (0..batch as u64).map(|i| key.below(i, classes) as i64).collect();
    let optimizer: Box<dyn Optimiser> = match kind {
        "lenet5" | "small" => Box::new(Adam::new(vec![Group::new(at.parameters())])),
        _ => Box::new(Sgd::new(vec![Group::new(at.parameters())], 0.9).weight_decay(5e-4)),
    };
    let parameters = optimizer.parameters();
    let mut number = 0;
    let mut graph = || -> (Tensor, Vec<Update>) {
        number += 1;
        let x = Tensor::from_array(x.clone());
        if inference {
            return (net.forward(&x, &Pass::eval()), Vec::new());
        }
        let labels = Tensor::from_vec(labels.clone(), [batch]);
        let pass = Pass::train(key.step(number));
        let loss = net.forward(&x, &pass).cross_entropy(&labels);
        let leaves: Vec<Tensor> = parameters.iter().map(Var::tensor).collect();
        let mut updates = optimizer.step(&loss.grad(&leaves), 1e-3);
        updates.extend(pass.updates());
        (loss, updates)
    };

    let mut whole: Vec<Duration> = Vec::new();
    for round in 0..rounds + 2 {
        let start = Instant::now();
        let (loss, updates) = graph();
        cpu.run(&[&loss], &updates)?;
        drop((loss, updates));
        if round >= 2 {
            whole.push(start.elapsed());
        }
    }
    whole.sort();
    println!(
        "{name}, {} threads: median {:.2?}, best {:.2?}",
        cpu.machine().pool.threads(),
        whole[whole.len() / 2],
        whole[0]
    );

    let (loss, updates) = graph();
    let plan = cpu.plan(&[&loss], &updates)?;
    drop((loss, updates));
    let mut kernels: Vec<Duration> = vec![Duration::MAX; plan.steps.len()];
    for _ in 0..rounds.div_ceil(2) {
        let (loss, updates) = graph();
        let (_, times) = cpu.run_timed(&[&loss], &updates)?;
        kernels.iter_mut().zip(times).for_each(|(least, time)| *least = time.min(*least));
    }
    println!("{plan}");
    let mut by_main: Vec<(&str, Duration, usize)> = Vec::new();
    for (index, (time, step)) in kernels.iter().zip(&plan.steps).enumerate() {
        let ops: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
        println!("{index:4} {:9.1?}  {}", time, ops.join(" "));
        let main = ops.first().copied().unwrap_or("copy");
        match by_main.iter_mut().find(|(name, ..)| *name == main) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + *time, *count + 1),
            None => by_main.push((main, *time, 1)),
        }
    }
    by_main.sort_by_key(|&(_, time, _)| std::cmp::Reverse(time));
    let sum: Duration = kernels.iter().sum();
    println!("{sum:.2?} in kernels, arena {:.1} MiB; by first op:", plan.arena as f64 / (1 << 20) as f64);
    for (name, time, count) in by_main.iter().take(16) {
        println!("{time:9.1?}  {count:3} {name}");
    }
    Ok(())
}
