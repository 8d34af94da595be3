//! Attention, as a function and as a layer: output and gradients.

use nn::{Pass, Scope};
use tensor::{AttentionOptions, Tensor};

use super::cases::{Case, values};

pub fn check(case: &Case) -> Result<(), String> {
    let mask = case.has("input/attn_mask").then(|| case.input("input/attn_mask"));
    let scope = Scope::root_of(0, case.dtype());
    let mut inputs: Vec<(&str, Tensor)> = Vec::new();
    let y = match case.kind() {
        "scaled_dot_product_attention" => {
            inputs.extend(["q", "k", "v"].map(|name| (name, case.input(&format!("input/{name}")))));
            let options = AttentionOptions {
                mask: mask.as_ref(),
                causal: case.flag("is_causal"),
                scale: case.setting("scale").as_f64(),
                grouped: case.flag("enable_gqa"),
            };
            inputs[0].1.attention(&inputs[1].1, &inputs[2].1, &options)
        }
        "MultiheadAttention" => {
            let names = ["x", "key", "value"].into_iter().filter(|name| case.has(&format!("input/{name}")));
            inputs.extend(names.map(|name| (name, case.input(&format!("input/{name}")))));
            let layer = nn::multihead_attention(&scope / "layer", case.size("embed_dim"), case.size("num_heads"));
            let layer = layer.bias(case.flag("bias")).causal(case.flag("causal"));
            let state = case.under("param/").into_iter();
            let state = state.map(|(name, array)| (format!("layer.{name}"), array)).collect();
            scope.load_state(&state, case.name()).map_err(|error| error.to_string())?;
            let of = |index: usize| inputs.get(index).map_or(&inputs[0].1, |(_, input)| input);
            layer.attend([of(0), of(1), of(2)], mask.as_ref(), &Pass::eval())
        }
        kind => return Err(format!("unknown kind {kind}")),
    };
    case.compare("output/y", &values(&[&y])?[0])?;

    let mut wanted: Vec<(String, Tensor)> =
        inputs.into_iter().map(|(name, input)| (format!("grad/{name}"), input)).collect();
    wanted.extend(mask.filter(|_| case.has("grad/attn_mask")).map(|mask| ("grad/attn_mask".into(), mask)));
    wanted.extend(scope.parameters().iter().map(|p| (named(p.name()), p.tensor())));
    if case.under("grad/").len() != wanted.len() {
        return Err("not all gradients are checked".into());
    }
    let gradients = y.vector_jacobian(&case.input("input/cotangent"), wanted.iter().map(|(_, t)| t));
    let found = values(&gradients.iter().collect::<Vec<_>>())?;
    wanted.iter().zip(found).try_for_each(|((name, _), found)| case.compare(name, &found))
}

/// `layer/out_proj/weight` is `grad/out_proj.weight`.
fn named(path: &str) -> String {
    format!("grad/{}", path.trim_start_matches("layer/").replace('/', "."))
}
