//! Small jobs for tests: everything that can be forgotten when a training is interrupted is in them.

use std::sync::Arc;

use data::{Dataset, InMemory, Targets, Transform, Values};
use nn::losses::{CrossEntropy, Reduction};
use nn::schedule::{OneCycle, Plateau};
use nn::{
    Adam, Average, Flatten, Group, Layer, Optimiser, Pass, Relu, Schedule, Scope, Sequential, Sgd, batch_norm2d,
    causal_self_attention, conv2d, dropout, layer_norm, linear, lstm, max_pool2d,
};
use tensor::{RandomKey, Tensor};

use crate::config::{Settings, Source};
use crate::job::{Job, Losses, steps};
use crate::splits::{Goal, Input, Splits};

const SIDE: usize = 8;
const CLASSES: usize = 3;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Convolution, batch norm, dropout; AdamW by one cycle, with averages.
    Conv,
    /// Two layers of LSTM over the rows of the pictures, with dropout between them; SGD with momentum by a plateau, which is
    /// reached soon.
    Recurrent,
    /// A transformer block over the rows of the pictures, each of which looks at those above it, with dropout; Adam by a
    /// cosine, with averages.
    Attention,
}

/// The settings of a job: 3 epochs of 7 steps.
pub(crate) fn settings(kind: Kind) -> Settings {
    let (optimizer, schedule, average) = match kind {
        Kind::Conv => ("adamw", "one_cycle", 0.9),
        Kind::Recurrent => ("sgd", "plateau", 0.0),
        Kind::Attention => ("adam", "cosine", 0.5),
    };
    Settings::new()
        .int("train.epochs", 3, 1..=1000, "")
        .int("train.batch", 8, 1..=1000, "")
        .word("train.optimizer", optimizer, &["adamw", "adam", "sgd"], "")
        .float("train.lr", 0.02, 0.0..=10.0, "")
        .word("train.schedule", schedule, &["one_cycle", "plateau", "cosine", "constant"], "")
        .float("train.average", average, 0.0..=1.0, "")
        .int("train.patience", 0, 0..=100, "")
        .int("train.seed", 5, 0..=i64::MAX, "")
        .int("train.max_steps", 0, 0..=i64::MAX, "")
        .int("data.workers", 2, 0..=8, "")
        .int("eval.batch", 9, 1..=100, "")
        .int("checkpoint.every", 0, 0..=1000, "")
        .int("checkpoint.keep", 2, 0..=1000, "")
        .flag("checkpoint.keep_best", true, "")
        .int("checkpoint.keep_every", 0, 0..=1000, "")
        .word("checkpoint.on_error", "stop", &["stop", "skip"], "")
        .flag("ledger.on", true, "")
        .int("ledger.hash_every", 2, 0..=1000, "")
        .int("ledger.norms_every", 3, -1..=1000, "")
}

/// A job with some settings changed.
pub(crate) fn job(kind: Kind, changes: &[(&str, &str)]) -> Job {
    let mut settings = settings(kind);
    for (name, value) in changes {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let scope = Scope::root(settings.get_int("train.seed").unwrap() as u64);
    let model: Box<dyn Layer> = match kind {
        Kind::Conv => Box::new(conv(&scope)),
        Kind::Recurrent => Box::new(Reader {
            scan: lstm(&scope / "lstm", SIDE, 6).layers(2).dropout(0.2).batch_first(true),
            head: linear(&scope / "head", 6, CLASSES),
        }),
        Kind::Attention => Box::new(Looker::new(&scope)),
    };
    let splits = splits(0);
    let total = steps(&settings, splits.train.len()).unwrap();
    let lr = settings.get_float("train.lr").unwrap();
    let groups = vec![Group::new(scope.trainable())];
    let optimizer: Box<dyn Optimiser> = match settings.get_word("train.optimizer").unwrap() {
        "sgd" => Box::new(Sgd::new(groups, 0.9)),
        "adam" => Box::new(Adam::new(groups)),
        _ => Box::new(Adam::w(groups)),
    };
    let schedule = match settings.get_word("train.schedule").unwrap() {
        "one_cycle" => Schedule::OneCycle(OneCycle::new(lr, total)),
        "plateau" => Schedule::Plateau(Plateau { patience: 0, threshold: 0.5, ..Plateau::new(lr) }),
        "cosine" => Schedule::Cosine { lr, min: 0.0, steps: total },
        _ => Schedule::Constant { lr },
    };
    let kept = settings.get_float("train.average").unwrap();
    let all = [scope.parameters(), scope.buffers()].concat();
    let average = (kept > 0.0).then(|| Average::new(all, kept));
    let rows = CrossEntropy { reduction: Reduction::None, ..CrossEntropy::default() };
    let loss = Box::new(move |logits: &Tensor, labels: &Tensor| Losses::mean_of(rows.loss(logits, labels)));
    Job { recipe: "test".to_owned(), settings, splits, scope, model, loss, optimizer, schedule, average, begun: false }
}

#[rustfmt::skip]
fn conv(at: &Scope) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv", 1, 4, 3).padding(1)).then(batch_norm2d(at / "bn", 4)).then(Relu) // [N, 4, 8, 8]
        .then(max_pool2d(2)).then(Flatten)                                                         // [N, 64]
        .then(dropout(at / "dropout", 0.3))
        .then(linear(at / "head", 64, CLASSES))                                                    // logits
}

/// The last state of an LSTM over the rows of a picture.
struct Reader {
    scan: nn::Recurrent,
    head: nn::Linear,
}

impl Layer for Reader {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let rows = x.reshape([x.dims()[0], SIDE, SIDE]);
        let states = self.scan.forward(&rows, pass);
        self.head.forward(&states.slice(1, SIDE as isize - 1, SIDE as isize, 1).reshape([x.dims()[0], 6]), pass)
    }

    fn describe(&self) -> nn::Description {
        nn::Description::of("recurrent", "")
    }
}

/// One block of a transformer (Vaswani et al. 2017, norms first) over the rows of a picture, and what its last row has seen.
struct Looker {
    rows: nn::Linear,
    places: nn::Param,
    norm: nn::LayerNorm,
    heads: nn::MultiheadAttention,
    drop: nn::Dropout,
    head: nn::Linear,
}

impl Looker {
    const WIDTH: usize = 8;

    fn new(at: &Scope) -> Looker {
        let width = Looker::WIDTH;
        Looker {
            rows: linear(at / "rows", SIDE, width),
            places: (at / "places").parameter("weight", &[SIDE, width], nn::Init::Normal { mean: 0.0, std: 0.1 }),
            norm: layer_norm(at / "norm", width),
            heads: causal_self_attention(at / "heads", width, 2),
            drop: dropout(at / "dropout", 0.2),
            head: linear(at / "head", width, CLASSES),
        }
    }
}

impl Layer for Looker {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let x = self.rows.forward(&x.reshape([x.dims()[0], SIDE, SIDE]), pass) + self.places.tensor(); // [N, rows, width]
        let seen = self.heads.forward(&self.norm.forward(&x, pass), pass);
        let x = x + self.drop.forward(&seen, pass);
        self.head.forward(&x.select(1, SIDE - 1), pass)
    }

    fn describe(&self) -> nn::Description {
        nn::Description::of("transformer block", "")
    }
}

/// Pictures of noise with a bright corner for each class; `salt` makes others.
pub(crate) fn splits(salt: u64) -> Splits {
    let part = |name: &str, rows: usize| -> Arc<dyn Dataset> {
        let labels: Vec<usize> = (0..rows).map(|row| row % CLASSES).collect();
        let noise = RandomKey::new(salt).stream(name).permutation(rows * SIDE * SIDE);
        let mut bytes: Vec<u8> = noise.iter().map(|n| (n % 200) as u8).collect();
        labels.iter().enumerate().for_each(|(row, class)| bytes[row * SIDE * SIDE + class] = 255);
        let names = (0..CLASSES).map(|class| class.to_string()).collect();
        let set = InMemory::new(name, &[1, SIDE, SIDE], Values::Bytes(bytes), Targets::Classes(labels), names);
        Arc::new(set.unwrap())
    };
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    Splits {
        train: part("train", 60),
        val: Some(part("val", 20)),
        test: part("test", 20),
        input: Input {
            goal: Goal::Class,
            shape: vec![1, SIDE, SIDE],
            mean: vec![0.4],
            std: vec![0.25],
            classes,
            columns: Vec::new(),
            tokens: None,
        },
        augment: vec![Transform::Shift { pixels: 1 }],
        source: None,
        files: Vec::new(),
        notes: Vec::new(),
    }
}
