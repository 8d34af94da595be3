//! Times whole training steps of a small GPT (Radford et al. 2019): 6 layers of width 384 with 6 heads, 256 tokens of 65
//! kinds, batch 8, AdamW. The kernels of a step are listed with `plan`.
//!
//! `cargo run --release -p glassbox-nn --example gpt_mini -- [THREADS] [TOKENS] [BATCH] [plan]`

use std::time::{Duration, Instant};

use cpu::Cpu;
use glassbox_nn::{
    Adam, Embedding, Gelu, Group, Init, Layer, LayerNorm, Linear, MultiheadAttention, Optimiser, Param, Pass, Scope,
    causal_self_attention, embedding, layer_norm, linear,
};
use tensor::{RandomKey, Tensor, Update, Var};

const VOCABULARY: usize = 65;
const WIDTH: usize = 384;
const HEADS: usize = 6;
const LAYERS: usize = 6;
const INIT: Init = Init::Normal { mean: 0.0, std: 0.02 };

/// x + attention(norm(x)), then x + mlp(norm(x)).
struct Block {
    norm1: LayerNorm,
    attention: MultiheadAttention,
    norm2: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl Block {
    fn new(at: Scope) -> Block {
        let plain = |at: Scope, inputs, outputs| linear(at, inputs, outputs).bias(false).init(INIT);
        Block {
            norm1: layer_norm(&at / "norm1", WIDTH).bias(false),
            attention: causal_self_attention(&at / "attention", WIDTH, HEADS).bias(false).init(INIT),
            norm2: layer_norm(&at / "norm2", WIDTH).bias(false),
            widen: plain(&at / "fc1", WIDTH, 4 * WIDTH),
            narrow: plain(&at / "fc2", 4 * WIDTH, WIDTH),
        }
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let x = x + self.attention.forward(&self.norm1.forward(x, pass), pass);
        let wide = Gelu.forward(&self.widen.forward(&self.norm2.forward(&x, pass), pass), pass);
        x + self.narrow.forward(&wide, pass)
    }
}

/// Token and place embeddings, blocks, and a head that shares the table of tokens.
struct Gpt {
    tokens: Embedding,
    places: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    table: Param,
}

impl Gpt {
    fn new(at: &Scope, context: usize) -> Gpt {
        let tokens = embedding(at / "tokens", VOCABULARY, WIDTH).init(INIT);
        Gpt {
            places: embedding(at / "places", context, WIDTH).init(INIT),
            blocks: (0..LAYERS).map(|i| Block::new(at / format!("block{i}").as_str())).collect(),
            norm: layer_norm(at / "norm", WIDTH).bias(false),
            table: tokens.weight().clone(),
            tokens,
        }
    }

    /// Logits `[batch x tokens, VOCABULARY]` of tokens `[batch, tokens]`.
    fn forward(&self, tokens: &Tensor, pass: &Pass) -> Tensor {
        let places = Tensor::arange(tokens.dims()[1], tensor::DType::I64);
        let x = self.tokens.forward(tokens, pass) + self.places.forward(&places, pass);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, pass));
        let x = self.norm.forward(&x, pass);
        x.reshape([tokens.count(), WIDTH]).matmul(&self.table.tensor().transpose(0, 1))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| args.get(index).map_or(Ok(default), |text: &String| text.parse::<usize>());
    let (threads, context, batch) = (number(0, 1)?, number(1, 256)?, number(2, 8)?);
    let cpu = Cpu::new(threads)?;
    let at = Scope::root(0);
    let net = Gpt::new(&at, context);
    let key = RandomKey::new(1);
    let random = |stream: &str| -> Vec<i64> {
        let key = key.stream(stream);
        (0..(batch * context) as u64).map(|i| key.below(i, VOCABULARY as u64) as i64).collect()
    };
    let (x, labels) = (random("x"), random("labels"));
    let (matrices, vectors) = at.parameters().into_iter().partition(|var: &Var| var.shape().rank() >= 2);
    let groups = vec![Group::new(matrices), Group::new(vectors).weight_decay(0.0)];
    let optimizer = Adam::w(groups).betas(0.9, 0.99).weight_decay(0.1);
    let parameters = optimizer.parameters();
    let trace = |step: u32| -> (Tensor, Vec<Update>) {
        let x = Tensor::from_vec(x.clone(), [batch, context]);
        let labels = Tensor::from_vec(labels.clone(), [batch * context]);
        let loss = net.forward(&x, &Pass::train(key.step(step))).cross_entropy(&labels);
        let leaves: Vec<Tensor> = parameters.iter().map(Var::tensor).collect();
        let updates = optimizer.step(&loss.grad(&leaves), 1e-3);
        (loss, updates)
    };

    let mut whole: Vec<Duration> = Vec::new();
    let (start, mut losses) = (Instant::now(), Vec::new());
    while whole.len() < 4 || (start.elapsed() < Duration::from_secs(12) && whole.len() < 40) {
        let start = Instant::now();
        let (loss, updates) = trace(whole.len() as u32);
        losses.push(cpu.run(&[&loss], &updates)?[0].get_f64(0));
        drop((loss, updates));
        whole.push(start.elapsed());
    }
    whole.remove(0);
    whole.sort();
    let (middle, best) = (whole[whole.len() / 2], whole[0]);
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    println!(
        "{threads} threads, {batch} x {context} tokens: {middle:.1?} a step (best {best:.1?} of {}), loss {first:.3} to {last:.3}",
        whole.len()
    );
    if args.iter().any(|arg| arg == "plan") {
        list_kernels(&cpu, &trace)?;
    }
    Ok(())
}

/// Each kernel of a step: the least of several runs.
fn list_kernels(cpu: &Cpu, trace: &dyn Fn(u32) -> (Tensor, Vec<Update>)) -> Result<(), Box<dyn std::error::Error>> {
    let (loss, updates) = trace(0);
    let plan = cpu.plan(&[&loss], &updates)?;
    drop((loss, updates));
    let mut least = vec![Duration::MAX; plan.steps.len()];
    for step in 0..5 {
        let (loss, updates) = trace(step);
        let (_, times) = cpu.run_timed(&[&loss], &updates)?;
        least.iter_mut().zip(times).for_each(|(least, time)| *least = time.min(*least));
    }
    println!("{plan}");
    for (index, (time, step)) in least.iter().zip(&plan.steps).enumerate() {
        let ops: Vec<&str> = step.ops.iter().map(|(name, _)| *name).collect();
        println!("{index:4} {time:9.1?}  {}", ops.join(" "));
    }
    println!("     {:9.1?}  in kernels", least.iter().sum::<Duration>());
    Ok(())
}
