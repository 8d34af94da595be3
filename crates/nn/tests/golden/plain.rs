//! Schedules and initialisers: numbers without tensors.

use nn::init::{Fan, Gain, Init, fans};
use nn::schedule::{Anneal, OneCycle, Plateau, Schedule};
use serde_json::Value;

use super::cases::json;

fn schedule(kind: &str, lr: f64, s: &Value) -> Schedule {
    let float = |name: &str| s[name].as_f64().unwrap_or_else(|| panic!("{kind} has no {name}"));
    let count = |name: &str| s[name].as_u64().unwrap_or_else(|| panic!("{kind} has no {name}"));
    let list = |name: &str| s[name].as_array().unwrap_or_else(|| panic!("{kind} has no {name}"));
    let milestones = || list("milestones").iter().filter_map(Value::as_u64).collect();
    match kind {
        "ConstantLR" => Schedule::Held { lr, factor: float("factor"), steps: count("total_iters") },
        "StepLR" => Schedule::Step { lr, every: count("step_size"), gamma: float("gamma") },
        "MultiStepLR" => Schedule::MultiStep { lr, milestones: milestones(), gamma: float("gamma") },
        "ExponentialLR" => Schedule::Exponential { lr, gamma: float("gamma") },
        "CosineAnnealingLR" => Schedule::Cosine { lr, min: float("eta_min"), steps: count("T_max") },
        "LinearLR" => {
            let (start, end) = (float("start_factor"), float("end_factor"));
            Schedule::Linear { lr, start, end, steps: count("total_iters") }
        }
        "SequentialLR" => {
            let one = |s: &Value| schedule(s["kind"].as_str().expect("a kind"), lr, &s["settings"]);
            Schedule::Sequence { schedules: list("schedulers").iter().map(one).collect(), milestones: milestones() }
        }
        "OneCycleLR" => Schedule::OneCycle(one_cycle(s)),
        kind => panic!("unknown schedule {kind}"),
    }
}

fn one_cycle(s: &Value) -> OneCycle {
    let float = |name: &str| s[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    let steps = s["total_steps"].as_u64();
    let steps =
        steps.unwrap_or_else(|| s["epochs"].as_u64().expect("epochs") * s["steps_per_epoch"].as_u64().expect("steps"));
    OneCycle {
        rise: float("pct_start"),
        anneal: if s["anneal_strategy"] == "cos" { Anneal::Cosine } else { Anneal::Linear },
        div: float("div_factor"),
        final_div: float("final_div_factor"),
        three_phase: s["three_phase"] == true,
        base_momentum: float("base_momentum"),
        max_momentum: float("max_momentum"),
        ..OneCycle::new(float("max_lr"), steps)
    }
}

fn close(found: f64, wanted: &Value, of: f64, what: &str) {
    let wanted = wanted.as_f64().expect("a number");
    assert!((found - wanted).abs() <= 1e-12 * of.max(wanted.abs()), "{what}: {found}, not {wanted}");
}

#[test]
fn schedules_equal_pytorch() {
    let file = json("schedules.json");
    let cases = file["schedules"].as_array().expect("schedules");
    assert_eq!(cases.len(), 25);
    for case in cases {
        let (name, kind) = (case["name"].as_str().expect("a name"), case["kind"].as_str().expect("a kind"));
        let (lr, s) = (case["base_lr"].as_f64().expect("a rate"), &case["settings"]);
        let wanted: Vec<&Value> =
            [&case["initial"]].into_iter().chain(case["lrs"].as_array().expect("rates")).collect();
        if kind == "ReduceLROnPlateau" {
            let mut plateau = Plateau {
                maximize: s["mode"] == "max",
                factor: s["factor"].as_f64().expect("factor"),
                patience: s["patience"].as_u64().expect("patience"),
                threshold: s["threshold"].as_f64().expect("threshold"),
                relative: s["threshold_mode"] == "rel",
                cooldown: s["cooldown"].as_u64().expect("cooldown"),
                min_lr: s["min_lr"].as_f64().expect("min_lr"),
                eps: s["eps"].as_f64().expect("eps"),
                ..Plateau::new(lr)
            };
            close(plateau.lr(), wanted[0], lr, name);
            for (measure, wanted) in case["metrics"].as_array().expect("metrics").iter().zip(&wanted[1..]) {
                close(plateau.observe(measure.as_f64().expect("a measure")), wanted, lr, name);
                // Every step is resumed from saved state.
                let text = plateau.state.to_json().to_string();
                let saved = serde_json::from_str(&text).expect("JSON");
                plateau.state = nn::schedule::PlateauState::from_json(&saved).expect("saved state");
            }
            continue;
        }
        let schedule = schedule(kind, lr, s);
        wanted.iter().enumerate().for_each(|(step, wanted)| close(schedule.lr(step as u64), wanted, lr, name));
        if let (Some(momenta), Schedule::OneCycle(cycle)) = (case["momenta"].as_array(), &schedule) {
            let wanted = [&case["initial_momentum"]].into_iter().chain(momenta);
            wanted.enumerate().for_each(|(step, wanted)| close(cycle.momentum(step as u64), wanted, 1.0, name));
        }
    }
}

fn shape(case: &Value) -> Vec<usize> {
    case["shape"].as_array().expect("a shape").iter().map(|n| n.as_u64().expect("a size") as usize).collect()
}

#[test]
fn initialisers_have_the_fans_gains_and_deviations_of_pytorch() {
    let file = json("init.json");
    let list = |name: &str| file[name].as_array().expect("a list").clone();
    let gain = |nonlinearity: &str, a: Option<f64>| match nonlinearity {
        "linear" | "conv2d" | "sigmoid" => Gain::Linear,
        "tanh" => Gain::Tanh,
        "relu" => Gain::Relu,
        "leaky_relu" => Gain::LeakyRelu(a.unwrap_or(0.01)),
        "selu" => Gain::Selu,
        other => panic!("unknown nonlinearity {other}"),
    };
    for case in list("gains") {
        let gain = gain(case["nonlinearity"].as_str().expect("a name"), case["param"].as_f64());
        close(gain.value(), &case["gain"], 1.0, "gain");
    }
    for case in list("fans") {
        let (fan_in, fan_out) = fans(&shape(&case));
        assert_eq!((case["fan_in"].as_u64(), case["fan_out"].as_u64()), (Some(fan_in as u64), Some(fan_out as u64)));
    }
    for case in list("xavier") {
        let init = Init::XavierUniform { gain: Gain::Value(case["gain"].as_f64().expect("a gain")) };
        close(init.std(&shape(&case)), &case["std"], 0.0, "Xavier deviation");
        close(init.bound(&shape(&case)), &case["bound"], 0.0, "Xavier bound");
    }
    for case in list("kaiming") {
        let fan = if case["mode"] == "fan_in" { Fan::In } else { Fan::Out };
        let gain = gain(case["nonlinearity"].as_str().expect("a name"), case["a"].as_f64());
        let init = Init::KaimingUniform { fan, gain };
        close(init.std(&shape(&case)), &case["std"], 0.0, "Kaiming deviation");
        close(init.bound(&shape(&case)), &case["bound"], 0.0, "Kaiming bound");
    }
}
