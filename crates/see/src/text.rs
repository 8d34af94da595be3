//! Attribution for texts: which letters the next one hangs on, or which tokens the class.
//!
//! A letter is a number, and has no gradient; what stands for it (its row of a table, or a one-hot row) has. So the network is asked as
//! a function of those: the graph of the pass is cut behind them, and any values put there. All methods that ask for a score or a
//! gradient then hold for text, with their certificates. A token that is covered is no token (0), which changes nothing else, so of a
//! class it can be asked how far its score falls without each.

use std::collections::HashSet;

use nn::{Description, Layer, Pass};
use tensor::{Array, Shape, Tensor};
use train::{Error, Input, Result};

use crate::attention::{AttentionMap, attention_maps, nodes};
use crate::attribute::{Method, Options, attribute, certify};
use crate::net::{Net, floats};
use crate::picture::Explained;

/// What a text's next letter, or its class, hangs on.
#[derive(Debug, Clone)]
pub struct TextExplanation {
    /// What was asked.
    pub about: String,
    /// Whether a class was asked for, and not what follows.
    pub is_class: bool,
    /// The letters of the text, or its tokens.
    pub letters: Vec<String>,
    /// Every letter with its probability to follow, or every class, the likeliest first.
    pub answers: Vec<(String, f32)>,
    /// The letter or class whose score is explained.
    pub class: String,
    /// For each method one number a letter or token, and what was checked of it.
    pub maps: Vec<Explained>,
    /// What the places looked at.
    pub attention: Vec<AttentionMap>,
}

/// The methods that can be asked of a text: it has no feature maps of places.
pub const TEXT_METHODS: [Method; 5] =
    [Method::Gradient, Method::GradientInput, Method::SmoothGrad, Method::Integrated, Method::Occlusion];

/// What the letter after `symbols` hangs on: the likeliest, or `class`. `net` reads `[N, T]` numbers of `letters` and gives
/// `[N, T, letters]`. Absence is the mean of what stands for the letters of the alphabet.
///
/// The weights of `net` are shuffled meanwhile and then put back: nothing else may use its scope at the same time.
///
/// # Errors
/// If the text is empty, the network does not read it, or a method cannot be asked of a text.
pub fn explain_text(
    net: &Net,
    letters: &[String],
    symbols: &[usize],
    class: Option<usize>,
    methods: &[Method],
    options: &Options,
    about: &str,
) -> Result<TextExplanation> {
    if let Some(method) = methods.iter().find(|method| !TEXT_METHODS.contains(method)) {
        let names: Vec<&str> = TEXT_METHODS.iter().map(|method| method.name()).collect();
        let what = format!("{} asks for feature maps, and a text has none", method.name());
        return Err(Error::usage(what, format!("ask for one of {}, or all", names.join(", "))));
    }
    let model = Behind { model: net.model, symbols };
    let behind = Net { model: &model, ..*net };
    let x = model.stand_in(net)?;
    let logits = behind.output(&x)?.to_f64();
    let likeliest = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let class = class.unwrap_or(likeliest);
    let options = Options { baseline: mean_letter(net, letters.len(), &x)?, window: 1, ..options.clone() };
    let maps = methods.iter().map(|&method| {
        let map = attribute(&behind, &x, class, method, &options)?;
        Ok(Explained { checks: certify(&behind, &x, &map, &options)?, map })
    });
    let maps = maps.collect::<Result<Vec<Explained>>>()?;
    let name = |symbol: usize| letters.get(symbol).cloned().unwrap_or_default();
    Ok(TextExplanation {
        about: about.to_owned(),
        is_class: false,
        letters: symbols.iter().map(|&symbol| name(symbol)).collect(),
        answers: answers(&logits, letters),
        class: name(class),
        maps,
        attention: attention_maps(net, &numbers(symbols))?,
    })
}

/// Names with their probabilities, the likeliest first.
fn answers(logits: &[f64], names: &[String]) -> Vec<(String, f32)> {
    let probabilities = crate::explain::softmax(logits);
    let mut answers: Vec<(String, f32)> = names.iter().cloned().zip(probabilities.iter().map(|&p| p as f32)).collect();
    answers.sort_by(|a, b| b.1.total_cmp(&a.1));
    answers
}

/// The tokens `[1, T]` of a row, without what fills it up; `None` if there are none.
pub fn tokens_read(x: &[f32]) -> Option<Array> {
    let read = 1 + x.iter().rposition(|&token| token > 0.0)?;
    Some(Array::of(Shape::new(&[1, read])?, x[..read].to_vec()))
}

/// What the class of a text hangs on: how far the score of `class` (the likeliest, if none is given) falls without each of its tokens
/// `x`, as the model is fed them (`train::text_tokens`). `net` reads `[N, T]` tokens, of which 0 is none.
///
/// The weights of `net` are shuffled meanwhile and then put back: nothing else may use its scope at the same time.
///
/// # Errors
/// If there are no tokens, or the network does not read them.
pub fn explain_tokens(
    net: &Net,
    input: &Input,
    x: &[f32],
    class: Option<usize>,
    options: &Options,
    about: &str,
) -> Result<TextExplanation> {
    let (Some(tokenizer), Some(x)) = (&input.tokens, tokens_read(x)) else {
        return Err(Error::usage("there are no tokens to hang on", "give a text to a network that reads tokens"));
    };
    let logits = net.output(&x)?.to_f64();
    let likeliest = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let class = class.unwrap_or(likeliest);
    let options = Options { baseline: vec![0.0], window: 1, ..options.clone() };
    let map = attribute(net, &x, class, Method::Occlusion, &options)?;
    let maps = vec![Explained { checks: certify(net, &x, &map, &options)?, map }];
    Ok(TextExplanation {
        about: about.to_owned(),
        is_class: true,
        letters: floats(&x).iter().map(|&token| tokenizer.decode(&[token as u32])).collect(),
        answers: answers(&logits, &input.classes),
        class: input.classes.get(class).cloned().unwrap_or_default(),
        maps,
        attention: Vec::new(),
    })
}

/// Numbers of letters as a model of text reads them: `[1, T]`.
fn numbers(symbols: &[usize]) -> Array {
    let values: Vec<f32> = symbols.iter().map(|&symbol| symbol as f32).collect();
    let shape = Shape::new(&[1, values.len()]).unwrap_or(Shape::SCALAR);
    Array::of(shape, values)
}

/// A model of text as a function of what stands for its letters: from `[N, width, T]` to the logits `[N, letters]` of what follows
/// the last place.
struct Behind<'a> {
    model: &'a dyn Layer,
    symbols: &'a [usize],
}

impl Behind<'_> {
    /// What stands for the letters in a pass of the text, as the graph has it, and the logits `[1, T, letters]`.
    fn pass(&self, pass: &Pass) -> Result<(Tensor, Tensor)> {
        let x = Tensor::from_array(numbers(self.symbols));
        let output = self.model.forward(&x, pass);
        output.check()?;
        match &stand_ins(&x, &output)[..] {
            [only] if only.count().is_multiple_of(self.symbols.len()) => Ok((only.clone(), output)),
            found => Err(Error::usage(
                format!("the network reads its letters in {} places", found.len()),
                "only a network that reads them in one can be asked which letters its answer hangs on",
            )),
        }
    }

    /// `[1, width, T]`: what stands for the letters of the text.
    fn stand_in(&self, net: &Net) -> Result<Array> {
        if self.symbols.is_empty() {
            return Err(Error::usage("an empty text has no letters to hang on", "give a text"));
        }
        let (found, _) = self.pass(&Pass::eval())?;
        let (places, width) = (self.symbols.len(), found.count() / self.symbols.len());
        let values = found.reshape([1, places, width]).permute(&[0, 2, 1]);
        Ok((*net.cpu.run(&[&values], &[])?.swap_remove(0)).clone())
    }
}

impl Layer for Behind<'_> {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        // (The first pass, on which all others depend, has told an error.)
        let (from, output) = match self.pass(pass) {
            Ok(found) => found,
            Err(error) => return x.refused("text", error.to_string(), None),
        };
        // A row at a time: of many rows a layer may make another graph, in which something else stands for the letters.
        let one = |row: usize| {
            let to = x.narrow(0, row..row + 1).permute(&[0, 2, 1]).reshape(*from.shape());
            output.replaced(&from, &to).select(1, self.symbols.len() - 1)
        };
        let rows: Vec<Tensor> = (0..x.dims().first().copied().unwrap_or(0)).map(one).collect();
        Tensor::concat(&rows, 0)
    }

    fn describe(&self) -> Description {
        self.model.describe()
    }
}

/// The float values that are made of `x` by way of integers: what stands for letters.
fn stand_ins(x: &Tensor, output: &Tensor) -> Vec<Tensor> {
    let mut all = Vec::new();
    nodes(output, |node| all.push(node.clone()));
    // Nodes are numbered as they are made, so inputs come first.
    all.sort_by_key(|node| node.id());
    let mut numbers = HashSet::from([x.id()]);
    let mut found = Vec::new();
    for node in all {
        if !node.inputs().iter().any(|input| numbers.contains(&input.id())) {
            continue;
        }
        let is_number = !node.dtype().is_float() || node.inputs().iter().all(|input| input.id() == x.id());
        if is_number {
            numbers.insert(node.id());
        } else {
            found.push(node);
        }
    }
    found
}

/// The mean of what stands for the letters, a number for each of the channels of `x`.
fn mean_letter(net: &Net, letters: usize, x: &Array) -> Result<Vec<f32>> {
    let width = x.shape().get(1).copied().unwrap_or(1);
    let places = x.shape().get(2).copied().unwrap_or(1).max(1);
    let mut sums = vec![0.0f64; width];
    // In texts as long as the one that is asked about: of others a layer may make another graph.
    for first in (0..letters).step_by(places) {
        let text: Vec<usize> = (first..first + places).map(|letter| letter % letters).collect();
        let values = Behind { model: net.model, symbols: &text }.stand_in(net)?;
        let counted = places.min(letters - first);
        for (channel, sum) in sums.iter_mut().enumerate() {
            *sum += floats(&values)[channel * places..][..counted].iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
    Ok(sums.iter().map(|sum| (sum / letters.max(1) as f64) as f32).collect())
}
