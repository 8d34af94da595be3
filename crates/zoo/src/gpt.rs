//! A small GPT (Radford et al. 2019, in the form of nanoGPT) that continues a text letter by letter: recipe `gpt`.

use nn::{
    Description, Dropout, Gelu, Init, Layer, LayerNorm, Linear, Param, Pass, Place, Scope, dropout, layer_norm, linear,
};
use tensor::{Array, AttentionOptions, DType, Shape, Tensor, Update, Var};
use train::{Error, Input, Result, Settings};

use crate::recipe::{Recipe, nothing};
use crate::settings::Defaults;
use crate::text_data::{TextDefaults, text_loss, text_settings, windows};

/// Sizes of a [`Gpt`]. Those that make no sense are an error of its output.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Different letters.
    pub symbols: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads of attention; `width` is a multiple of them.
    pub heads: usize,
    /// Numbers for each place.
    pub width: usize,
    /// Places that can be read at once.
    pub context: usize,
    /// Share dropped in training: of what is put into the blocks, and of what each part of a block adds.
    pub drop: f64,
    /// Whether the head is the table of letters.
    pub tied: bool,
}

/// The transformer: tables of letters and places, blocks with the norms first, a norm, a head; no biases.
pub struct Gpt {
    place: Place,
    sizes: Sizes,
    letters: Param,
    places: Param,
    drop: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Option<Linear>,
}

struct Block {
    heads: usize,
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    drop1: Dropout,
    norm2: LayerNorm,
    expand: Linear,
    contract: Linear,
    drop2: Dropout,
}

/// Initial weights (GPT-2).
const SMALL: Init = Init::Normal { mean: 0.0, std: 0.02 };

impl Gpt {
    /// With the initial weights of GPT-2: what is added to the sum over the layers is the smaller, the more layers there are.
    #[track_caller]
    pub fn new(at: &Scope, sizes: Sizes) -> Gpt {
        let Sizes { symbols, layers, heads, width, context, drop, tied } = sizes;
        let added = Init::Normal { mean: 0.0, std: 0.02 / (2.0 * layers as f64).sqrt() };
        Gpt {
            place: Place::new(at),
            sizes,
            letters: (at / "letters").parameter("weight", &[symbols, width], SMALL),
            places: (at / "places").parameter("weight", &[context, width], SMALL),
            drop: dropout(at / "dropout", drop),
            blocks: (0..layers)
                .map(|i| Block::new(at / "blocks" / format!("{i}"), width, heads, drop, added))
                .collect(),
            norm: layer_norm(at / "norm", width).bias(false),
            head: (!tied).then(|| linear(at / "head", width, symbols).bias(false).init(SMALL)),
        }
    }

    /// Places that can be read at once.
    pub fn context(&self) -> usize {
        self.sizes.context
    }

    /// Logits `[N, T, symbols]` of `h [N, T, width]`.
    fn logits(&self, h: &Tensor, pass: &Pass) -> Tensor {
        let h = self.norm.forward(h, pass);
        match &self.head {
            Some(head) => head.forward(&h, pass),
            None => {
                let (n, t) = (h.dims().first().copied().unwrap_or(0), h.dims().get(1).copied().unwrap_or(0));
                let flat = h.reshape([n * t, self.sizes.width]).matmul(&self.letters.tensor().transpose(0, 1));
                flat.reshape([n, t, self.sizes.symbols])
            }
        }
    }
}

impl Block {
    fn new(at: Scope, width: usize, heads: usize, drop: f64, added: Init) -> Block {
        let plain = |name: &str, from, to, init| linear(&at / name, from, to).bias(false).init(init);
        Block {
            heads,
            norm1: layer_norm(&at / "norm1", width).bias(false),
            qkv: plain("qkv", width, 3 * width, SMALL),
            out: plain("out", width, width, added),
            drop1: dropout(&at / "dropout1", drop),
            norm2: layer_norm(&at / "norm2", width).bias(false),
            expand: plain("expand", width, 4 * width, SMALL),
            contract: plain("contract", 4 * width, width, added),
            drop2: dropout(&at / "dropout2", drop),
        }
    }

    /// `x [N, T, width]` after the block; `attend` says what queries find, given queries, keys and values `[N, heads, T, width / heads]`.
    fn forward(&self, x: &Tensor, pass: &Pass, attend: impl FnOnce([Tensor; 3]) -> Tensor) -> Tensor {
        if x.error().is_some() {
            return x.clone();
        }
        let &[n, t, width] = x.dims() else {
            return x.refused("gpt", format!("{} is not [N, T, width]", x.shape()), None);
        };
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            let message = format!("{} heads cannot share {width} numbers", self.heads);
            return x.refused(
                "gpt",
                message,
                Some("give at least one head, and a width that is a multiple of them".to_owned()),
            );
        }
        let qkv = self.qkv.forward(&self.norm1.forward(x, pass), pass); // [N, T, 3 width]
        let of_heads = |part: &Tensor| part.reshape([n, t, self.heads, width / self.heads]).transpose(1, 2);
        let [q, k, v] = [0, 1, 2].map(|i| of_heads(&qkv.narrow(2, i * width..(i + 1) * width)));
        let found = attend([q, k, v]).transpose(1, 2).reshape([n, t, width]);
        let x = x + self.drop1.forward(&self.out.forward(&found, pass), pass);
        let inner = Gelu.forward(&self.expand.forward(&self.norm2.forward(&x, pass), pass), pass); // [N, T, 4 width]
        x + self.drop2.forward(&self.contract.forward(&inner, pass), pass)
    }
}

impl Layer for Gpt {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("gpt", pass, || {
            let length = x.dims().last().copied().unwrap_or(0);
            let h = self.letters.tensor().embedding(&x.cast(DType::I64)) + self.places.tensor().narrow(0, 0..length);
            let h = self.blocks.iter().fold(self.drop.forward(&h, pass), |h, block| {
                let causal = AttentionOptions { causal: true, ..AttentionOptions::default() };
                block.forward(&h, pass, |[q, k, v]| q.attention(&k, &v, &causal))
            });
            self.logits(&h, pass)
        })
    }

    fn describe(&self) -> Description {
        let Sizes { layers, heads, width, context, .. } = self.sizes;
        let parts = self.blocks.iter().flat_map(|block| {
            let Block { norm1, qkv, out, norm2, expand, contract, .. } = block;
            [norm1.describe(), qkv.describe(), out.describe(), norm2.describe(), expand.describe(), contract.describe()]
        });
        let parts: Vec<Description> =
            parts.chain([self.norm.describe()]).chain(self.head.iter().map(Layer::describe)).collect();
        Description::of("gpt", format!("{layers} blocks of {heads} heads, width {width}, context {context}"))
            .at(&self.place, [&self.letters, &self.places])
            .made_of(parts)
    }
}

/// Keys and values of what was read, so that one more letter costs one pass over them and not one over all before it.
///
/// The letter that is read looks at all `context` places under a mask. A place that is masked has weight 0, which changes no bit of
/// a sum, so the logits are those of [`Gpt::forward`] to the bit.
pub struct Cache {
    /// Of each block, `[1, heads, context, width / heads]`.
    blocks: Vec<[Var; 2]>,
    read: usize,
}

impl Cache {
    /// Nothing read.
    pub fn new(model: &Gpt) -> Cache {
        let Sizes { layers, heads, width, context, .. } = model.sizes;
        let zeros = |name: &str| {
            let shape = Shape::new(&[1, heads, context, width / heads.max(1)]).unwrap_or(Shape::SCALAR);
            Var::new(name, Array::zeros(DType::F32, shape))
        };
        Cache { blocks: (0..layers).map(|_| [zeros("keys"), zeros("values")]).collect(), read: 0 }
    }

    /// Letters read.
    pub fn len(&self) -> usize {
        self.read
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.read = 0;
    }

    /// Logits `[1, 1, symbols]` of what follows `symbol`, read behind all that was read so far, and what to run with them. At most
    /// `context` can be read.
    pub fn read(&mut self, model: &Gpt, symbol: usize) -> (Tensor, Vec<Update>) {
        let pass = Pass::eval();
        let context = model.sizes.context;
        let [x, at] = [symbol, self.read].map(|number| Tensor::from_vec(vec![number as i64], [1, 1]));
        let places = Tensor::arange(context, DType::I64);
        let (own, seen) = (places.eq(at.squeeze(0)).unsqueeze(-1), places.le(at.squeeze(0))); // [context, 1], [context]
        let mut updates = Vec::new();
        let h = model.letters.tensor().embedding(&x) + model.places.tensor().embedding(&at); // [1, 1, width]
        let h = model.blocks.iter().zip(&self.blocks).fold(h, |h, (block, kept)| {
            block.forward(&h, &pass, |[q, k, v]| {
                let mut keep = |new: &Tensor, kept: &Var| {
                    let all = new.where_else(&own, kept.tensor());
                    updates.push(kept.update(&all));
                    all
                };
                let (keys, values) = (keep(&k, &kept[0]), keep(&v, &kept[1]));
                q.attention(&keys, &values, &AttentionOptions { mask: Some(&seen), ..AttentionOptions::default() })
            })
        });
        self.read += 1;
        (model.logits(&h, &pass), updates)
    }
}

/// The sizes that the settings say.
///
/// # Errors
/// If the width is no multiple of the heads.
pub(crate) fn sizes(settings: &Settings, input: &Input) -> Result<Sizes> {
    let size = |name: &str| settings.get_size(name);
    let (width, heads) = (size("model.width")?, size("model.heads")?);
    if !width.is_multiple_of(heads) {
        return Err(Error::usage(
            format!("model.width {width} cannot be shared by {heads} heads"),
            "set model.width to a multiple of model.heads",
        ));
    }
    Ok(Sizes {
        symbols: input.classes.len(),
        layers: size("model.layers")?,
        heads,
        width,
        context: size("data.length")?,
        drop: settings.get_float("model.dropout")?,
        tied: settings.get_flag("model.tied")?,
    })
}

fn defaults() -> Settings {
    let training = Defaults {
        epochs: 3,
        batch: 32,
        optimizer: "muon",
        lr: 0.02,
        weight_decay: 0.1,
        schedule: "warmup_cosine",
        smoothing: 0.0,
    };
    let text = TextDefaults { length: 128, test: 0.1, val: 0.02, beta2: 0.99, clip: 1.0, clamp: 0.0 };
    text_settings(training, text)
        .float("train.momentum", 0.95, 0.0..=0.9999, "share of the last step that sgd and muon keep")
        .float(
            "train.others",
            0.15,
            0.0..=1e6,
            "rate of what muon leaves to adamw (tables, head, norms), as a share of train.lr",
        )
        .int("model.layers", 4, 1..=128, "blocks")
        .int("model.heads", 4, 1..=128, "heads of attention in each")
        .int("model.width", 192, 1..=65_536, "numbers for each place; a multiple of the heads")
        .float(
            "model.dropout",
            0.1,
            0.0..=0.95,
            "share dropped in training: of the input, and of what each half of a block adds",
        )
        .flag("model.tied", true, "the head is the table of letters")
}

/// A text, letter by letter, by a transformer.
pub const RECIPE: Recipe = Recipe {
    name: "gpt",
    about: "a small GPT that continues a text letter by letter; needs --data FILE",
    settings: defaults,
    splits: windows,
    model: |at, settings, input: &Input| Ok(Box::new(Gpt::new(at, sizes(settings, input)?))),
    loss: text_loss,
    begin: nothing,
    light_on_dark: false,
};
