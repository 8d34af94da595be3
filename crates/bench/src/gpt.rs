//! A small transformer that continues a text (Radford et al. 2019), without biases and dropout, head tied to the table.

use nn::{Gelu, Init, Layer, LayerNorm, Linear, Param, Pass, Scope, layer_norm, linear};
use tensor::{AttentionOptions, Tensor};

/// Sizes of the transformer.
#[derive(Clone, Copy)]
pub(crate) struct Config {
    pub(crate) vocabulary: usize,
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) context: usize,
}

/// The transformer.
pub(crate) struct Gpt {
    tokens: Param,
    positions: Param,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

struct Block {
    heads: usize,
    norm1: LayerNorm,
    qkv: Linear,
    project: Linear,
    norm2: LayerNorm,
    expand: Linear,
    contract: Linear,
}

/// Initial weights are small, so that the sum over the layers is.
const SMALL: Init = Init::Normal { mean: 0.0, std: 0.02 };

impl Gpt {
    pub(crate) fn new(at: &Scope, config: Config) -> Gpt {
        let Config { vocabulary, layers, width, heads, context } = config;
        Gpt {
            tokens: (at / "te").parameter("weight", &[vocabulary, width], SMALL),
            positions: (at / "pe").parameter("weight", &[context, width], SMALL),
            blocks: (0..layers).map(|i| Block::new(at / "b" / format!("{i}"), width, heads)).collect(),
            norm: layer_norm(at / "n", width).bias(false),
        }
    }

    /// Logits `[N, T, vocabulary]` of the symbols that follow `x [N, T]`.
    pub(crate) fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let tokens = self.tokens.tensor();
        let h = tokens.embedding(x) + self.positions.tensor(); // [N, T, width]
        let h = self.blocks.iter().fold(h, |h, block| block.forward(&h, pass));
        let h = self.norm.forward(&h, pass);
        let (n, t, width) = (h.dims()[0], h.dims()[1], h.dims()[2]);
        let logits = h.reshape([n * t, width]).matmul(&tokens.transpose(0, 1));
        logits.reshape([n, t, tokens.dims()[0]])
    }
}

impl Block {
    fn new(at: Scope, width: usize, heads: usize) -> Block {
        let plain = |name: &str, inputs, outputs| linear(&at / name, inputs, outputs).bias(false).init(SMALL);
        Block {
            heads,
            norm1: layer_norm(&at / "n1", width).bias(false),
            qkv: plain("qkv", width, 3 * width),
            project: plain("p", width, width),
            norm2: layer_norm(&at / "n2", width).bias(false),
            expand: plain("f1", width, 4 * width),
            contract: plain("f2", 4 * width, width),
        }
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let (n, t, width) = (x.dims()[0], x.dims()[1], x.dims()[2]);
        let qkv = self.qkv.forward(&self.norm1.forward(x, pass), pass); // [N, T, 3 width]
        let of_heads = |part: &Tensor| part.reshape([n, t, self.heads, width / self.heads]).transpose(1, 2);
        let [q, k, v] = [0, 1, 2].map(|i| of_heads(&qkv.narrow(2, i * width..(i + 1) * width)));
        let y = q
            .attention(&k, &v, &AttentionOptions { causal: true, ..Default::default() })
            .transpose(1, 2)
            .reshape([n, t, width]);
        let x = x + self.project.forward(&y, pass);
        let inner = Gelu.forward(&self.expand.forward(&self.norm2.forward(&x, pass), pass), pass);
        x + self.contract.forward(&inner, pass)
    }
}
