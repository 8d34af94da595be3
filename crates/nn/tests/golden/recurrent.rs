//! Recurrent layers: outputs, last states, gradients, from given states and over sequences of different lengths.

use nn::{Pass, Scope};
use tensor::Tensor;

use super::cases::{Case, values};

pub fn check(case: &Case) -> Result<(), String> {
    let scope = Scope::root_of(0, case.dtype());
    let at = &scope / "layer";
    let (inputs, hidden) = (case.size("input_size"), case.size("hidden_size"));
    let layer = match case.kind() {
        "LSTM" => nn::lstm(at, inputs, hidden),
        "GRU" => nn::gru(at, inputs, hidden),
        "RNN" => nn::rnn(at, inputs, hidden).relu(case.setting("nonlinearity") == "relu"),
        kind => return Err(format!("unknown layer {kind}")),
    };
    let layer = layer.layers(case.size("num_layers")).bias(case.flag("bias")).batch_first(case.flag("batch_first"));
    let layer = layer.bidirectional(case.flag("bidirectional"));
    let state = case.under("param/").into_iter().map(|(name, array)| (format!("layer.{name}"), array)).collect();
    scope.load_state(&state, case.name()).map_err(|error| error.to_string())?;

    let x = case.input("input/x");
    let states: &[&str] = if case.kind() == "LSTM" { &["h", "c"] } else { &["h"] };
    let start: Vec<(String, Tensor)> = states
        .iter()
        .map(|state| format!("input/{state}0"))
        .filter(|name| case.has(name))
        .map(|name| (name.replace("input/", "grad/"), case.input(&name)))
        .collect();
    let begin: Vec<Tensor> = start.iter().map(|(_, state)| state.clone()).collect();
    let lengths = case.has("input/lengths").then(|| case.input("input/lengths"));
    let begin = (!begin.is_empty()).then_some(&begin[..]);
    let found = layer.sequence(&x, begin, lengths.as_ref(), &Pass::eval());
    let outputs: Vec<(&str, Tensor)> = [("y", Some(found.output)), ("h", Some(found.hidden)), ("c", found.cell)]
        .into_iter()
        .filter_map(|(name, output)| Some((name, output?)))
        .collect();
    let mut total = Tensor::scalar(0f64).cast(case.dtype());
    for (name, output) in &outputs {
        case.compare(&format!("output/{name}"), &values(&[output])?[0])?;
        total = total + (output * case.input(&format!("input/cotangent_{name}"))).sum(..);
    }

    let mut wanted = vec![("grad/x".to_string(), x)];
    wanted.extend(start);
    wanted.extend(scope.parameters().iter().map(|p| (p.name().replace("layer/", "grad/"), p.tensor())));
    if wanted.len() != case.under("grad/").len() {
        return Err("not every gradient is checked".into());
    }
    let gradients = total.grad(wanted.iter().map(|(_, t)| t));
    let found = values(&gradients.iter().collect::<Vec<_>>())?;
    wanted.iter().zip(found).try_for_each(|((name, _), found)| case.compare(name, &found))
}
