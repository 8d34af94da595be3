//! Losses: values and gradients.

use nn::losses::{BceWithLogits, CrossEntropy, Nll, Reduction, huber, kl_div, l1, mse, smooth_l1};
use tensor::Tensor;

use super::cases::{Case, values};

pub fn check(case: &Case) -> Result<(), String> {
    let (x, target) = (case.input("input/x"), case.input("input/target"));
    let y = loss(case, &x, &target)?;
    case.compare("output/y", &values(&[&y])?[0])?;
    let mut wanted = vec![("grad/x", &x)];
    if case.has("grad/target") {
        wanted.push(("grad/target", &target));
    }
    if case.under("grad/").len() != wanted.len() {
        return Err("not all gradients are checked".into());
    }
    let gradients = y.vector_jacobian(&case.input("input/cotangent"), wanted.iter().map(|(_, t)| *t));
    let found = values(&gradients.iter().collect::<Vec<_>>())?;
    wanted.iter().zip(found).try_for_each(|((name, _), found)| case.compare(name, &found))
}

fn loss(case: &Case, x: &Tensor, target: &Tensor) -> Result<Tensor, String> {
    let reduction = match case.setting("reduction").as_str() {
        Some("none") => Reduction::None,
        Some("mean") => Reduction::Mean,
        Some("sum") => Reduction::Sum,
        Some("batchmean") => Reduction::BatchMean,
        other => return Err(format!("unknown reduction {other:?}")),
    };
    let tensor = |name: &str| case.setting(name).as_str().map(|name| case.input(name));
    let ignore_index = case.setting("ignore_index").as_i64();
    Ok(match case.kind() {
        "CrossEntropyLoss" => {
            let label_smoothing = case.float("label_smoothing");
            CrossEntropy { weight: tensor("weight"), ignore_index, label_smoothing, reduction }.loss(x, target)
        }
        "NLLLoss" => Nll { weight: tensor("weight"), ignore_index, reduction }.loss(x, target),
        "BCEWithLogitsLoss" => {
            BceWithLogits { weight: tensor("weight"), pos_weight: tensor("pos_weight"), reduction }.loss(x, target)
        }
        "MSELoss" => mse(x, target, reduction),
        "L1Loss" => l1(x, target, reduction),
        "HuberLoss" => huber(x, target, case.float("delta"), reduction),
        "SmoothL1Loss" => smooth_l1(x, target, case.float("beta"), reduction),
        "KLDivLoss" => kl_div(x, target, case.flag("log_target"), reduction),
        kind => return Err(format!("unknown loss {kind}")),
    })
}
