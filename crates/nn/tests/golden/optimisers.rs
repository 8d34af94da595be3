//! Optimisers: parameters over ten steps.

use nn::{Adam, Group, Muon, Optimiser, RmsProp, Sgd};
use tensor::{Tensor, Var};

use super::cases::{Case, number, values};

pub fn check(case: &Case) -> Result<(), String> {
    let var = |name: &str| Ok(Var::new(name, (*case.array(&format!("param/{name}")).ok_or("no parameter")?).clone()));
    let params: Vec<Var> = ["w", "b"].iter().map(|name| var(name)).collect::<Result<_, String>>()?;
    let lr = case.float("lr");
    let groups = case.groups().iter().map(|group| {
        let names = group["params"].as_array().ok_or("no parameters")?;
        let of = |name: &str| params.iter().find(|var| names.iter().any(|n| n == name) && var.name() == name).cloned();
        let mut made = Group::new(["w", "b"].iter().filter_map(|name| of(name)).collect());
        made.lr_scale = number(&group["lr"]).map_or(1.0, |own| own / lr);
        made.weight_decay = number(&group["weight_decay"]);
        Ok(made)
    });
    let optimiser = build(case, groups.collect::<Result<_, String>>()?)?;
    let device = cpu::Cpu::shared().map_err(|error| error.to_string())?;
    let mut history = vec![Vec::new(); params.len()];
    for step in 0..10 {
        let gradient = |var: &Var| case.input(&format!("grad/{}", var.name())).select(0, step);
        let gradients: Vec<Tensor> = optimiser.parameters().iter().map(gradient).collect();
        device.run(&[], &optimiser.step(&gradients, lr)).map_err(|error| error.to_string())?;
        params.iter().zip(&mut history).for_each(|(var, history)| history.push(Tensor::from_array(var.value())));
    }
    params.iter().zip(&history).try_for_each(|(var, history)| {
        let all = Tensor::stack(history, 0);
        case.compare(&format!("output/{}", var.name()), &values(&[&all])?[0])
    })
}

fn build(case: &Case, groups: Vec<Group>) -> Result<Box<dyn Optimiser>, String> {
    let decay = case.float("weight_decay");
    if case.kind() == "Muon" {
        let muon = Muon::new(groups, Box::new(Sgd::new(Vec::new(), 0.0))).momentum(case.float("momentum"));
        return Ok(Box::new(muon.nesterov(case.flag("nesterov")).weight_decay(decay)));
    }
    let maximize = case.flag("maximize");
    Ok(match case.kind() {
        "SGD" => {
            let sgd = Sgd::new(groups, case.float("momentum")).dampening(case.float("dampening"));
            Box::new(sgd.nesterov(case.flag("nesterov")).weight_decay(decay).maximize(maximize))
        }
        "RMSprop" => {
            let rms = RmsProp::new(groups, case.float("momentum"), case.flag("centered"));
            Box::new(rms.alpha(case.float("alpha")).eps(case.float("eps")).weight_decay(decay).maximize(maximize))
        }
        "Adam" | "AdamW" => {
            let adam = if case.kind() == "Adam" { Adam::new(groups) } else { Adam::w(groups) };
            let betas: Vec<f64> =
                case.setting("betas").as_array().ok_or("no betas")?.iter().filter_map(number).collect();
            let adam = adam.betas(betas[0], betas[1]).eps(case.float("eps")).weight_decay(decay).maximize(maximize);
            Box::new(if case.flag("amsgrad") { adam.amsgrad() } else { adam })
        }
        kind => return Err(format!("unknown optimiser {kind}")),
    })
}
