//! Gradient clipping.

use nn::clip::{Norm, clip_grad_norm_of, clip_grad_value};

use super::cases::{Case, values};

pub fn check(case: &Case) -> Result<(), String> {
    let gradients = [case.input("input/w"), case.input("input/b")];
    let clipped = match case.kind() {
        "clip_grad_norm_" => {
            let p = case.float("norm_type");
            let norm = if p.is_infinite() { Norm::Max } else { Norm::P(p) };
            let (total, clipped) = clip_grad_norm_of(&gradients, case.float("max_norm"), norm);
            case.compare("output/total_norm", &values(&[&total])?[0])?;
            clipped
        }
        "clip_grad_value_" => clip_grad_value(&gradients, case.float("clip_value")),
        kind => return Err(format!("unknown clipping {kind}")),
    };
    let found = values(&[&clipped[0], &clipped[1]])?;
    case.compare("output/w", &found[0])?;
    case.compare("output/b", &found[1])
}
