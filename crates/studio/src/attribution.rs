//! What an answer hangs on: a map over the input, and what can be checked of it.

use nn::{Description, Layer, Pass};
use see::{Method, Net, Options, attribute, black, certify, tokens_read};
use serde_json::{Value, json};
use tensor::Tensor;

use crate::bench::{Bench, Progress};
use crate::error::{Error, Result};
use crate::inputs::{class, fed, one_class_a_row, part_of, row};
use crate::query::Query;
use crate::tensors::{describe, finite};

/// Numbers that are sent of a map.
const MOST: usize = 1 << 18;

/// `/api/methods`: how maps can be made.
pub fn methods(_: &crate::Studio, _: &Query) -> Result<Value> {
    let one = |method: Method| json!({ "name": method.name(), "about": method.about(), "signed": method.is_signed() });
    Ok(json!({ "methods": Method::ALL.map(one) }))
}

/// `/api/attribution?run=&step=&part=&row=&method=&class=`: a map for the score of a class (without `class`: of the answer), with its
/// certificates. Absence is black, as the model is fed it; of a text no token, and only occlusion can be asked.
pub fn attribution(bench: &mut Bench, query: &Query) -> Result<Value> {
    one_class_a_row(bench.network().input)?;
    let (step, at): (u64, usize) = (query.number("step")?, query.number("row")?);
    let is_text = bench.network().input.tokens.is_some();
    let usual = if is_text { Method::Occlusion } else { Method::Integrated };
    let name = query.get("method").unwrap_or(usual.name());
    let method = Method::ALL.into_iter().find(|method| method.name() == name);
    let method = method.ok_or_else(|| Error::Asked(format!("there is no method {name:?}")))?;
    if is_text && method != Method::Occlusion {
        return Err(Error::Asked("a token has no gradient: of a text only occlusion can be asked".to_owned()));
    }
    let wanted: Option<usize> = query.get("class").map(|_| query.number("class")).transpose()?;
    let (part, rows) = part_of(bench.run()?, query)?;
    let mut object = bench.asked(step, |network, progress| {
        let sample = row(rows.as_ref(), at)?;
        let label = class(&sample.target);
        let x = fed(network.input, sample)?;
        let model = Heard { model: network.model, progress };
        let net = Net { model: &model, ..network.net() };
        let values = network.cpu.run(&[&x, &network.model.forward(&x, &Pass::eval())], &[])?;
        let [x, logits] = [0, 1].map(|at| values[at].as_slice::<f32>().unwrap_or_default());
        let of = wanted.unwrap_or_else(|| train::metric::best(logits));
        let mut options = Options { baseline: black(network.input), batch: BATCH, ..Options::default() };
        let tokens = network.input.tokens.as_ref().zip(tokens_read(x)).map(|(tokenizer, read)| {
            // A token that is covered is none.
            (options.baseline, options.window) = (vec![0.0], 1);
            let words: Vec<String> =
                (0..read.shape().count()).map(|at| tokenizer.decode(&[read.get_f64(at) as u32])).collect();
            (read, words)
        });
        let x = tokens.as_ref().map_or(values[0].as_ref(), |(read, _)| read);
        progress.check()?;
        let map = attribute(&net, x, of, method, &options);
        progress.check()?;
        let map = map?;
        let checks = certify(&net, x, &map, &options);
        progress.check()?;
        let checks = checks?;
        let mut object = json!({
            "part": part, "row": at, "class": label, "of": of, "method": method.name(), "about": method.about(),
            "signed": method.is_signed(), "score": finite(map.score), "layer": map.layer,
            "certificates": checks.to_json(),
        });
        object["tokens"] = tokens.map(|(_, words)| words).into();
        object["map"] = describe(&map.places, None, MOST)?;
        Ok(object)
    })?;
    object["step"] = step.into();
    Ok(object)
}

/// Inputs evaluated at once: a training beside it needs the memory.
const BATCH: usize = 8;

/// A model that refuses as soon as nobody waits for its answers: a map asks it many hundred times.
struct Heard<'a> {
    model: &'a dyn Layer,
    progress: &'a Progress,
}

impl Layer for Heard<'_> {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        match self.progress.check() {
            Ok(()) => self.model.forward(x, pass),
            Err(_) => x.refused("attribution", "nobody waits for it any more", None),
        }
    }

    fn describe(&self) -> Description {
        self.model.describe()
    }
}
