//! Every case computes, at small sizes: losses of training fall, results are numbers. Nothing is timed.

use cpu::Cpu;
use glassbox_bench::{CASES, Case, Effort, Kind, Sizes, find, measure, peak_rss_mib, profile};

/// Sizes at which a debug build takes moments.
fn small(case: &Case) -> Sizes {
    let length = match case.name {
        "charlstm" | "chargru" | "gpt-mini" | "gpt-long" => 6,
        "op-batchnorm" => 4,
        // Statistics of two values are no statistics.
        "mobilenet" | "densenet" => 64,
        _ if case.kind == Kind::Op => case.sizes.length.min(40),
        // Five halvings of the picture.
        _ => case.sizes.length.min(32),
    };
    let batch = if case.kind == Kind::Op {
        case.sizes.batch.min(50)
    } else {
        case.sizes.batch.min(if length == 64 { 4 } else { 2 })
    };
    Sizes { batch, length }
}

#[test]
fn every_loss_is_finite_and_falls() {
    let cpu = Cpu::new(2).unwrap();
    for case in CASES.iter().filter(|case| case.kind == Kind::Training) {
        let mut work = (case.make)(&cpu, small(case)).unwrap();
        // A Q-value moves slowly; residual nets at such a rate jump first.
        let steps = if case.name.starts_with("resnet") { 4 } else { 12 };
        let losses: Vec<f64> = (0..steps).map(|_| work.step(&cpu).unwrap()).collect();
        assert!(losses.iter().all(|loss| loss.is_finite()), "{}: {losses:?}", case.name);
        let least = losses[1..].iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least < losses[0], "{}: {losses:?}", case.name);
    }
}

#[test]
fn every_other_case_gives_numbers() {
    let cpu = Cpu::new(2).unwrap();
    for case in CASES.iter().filter(|case| case.kind != Kind::Training) {
        let mut work = (case.make)(&cpu, small(case)).unwrap();
        for _ in 0..2 {
            assert!(work.step(&cpu).unwrap().is_finite(), "{}", case.name);
        }
    }
}

#[test]
fn parameters_are_those_of_the_papers() {
    let cpu = Cpu::new(1).unwrap();
    for (name, parameters) in [
        ("mlp", 669_706),
        ("lenet5", 61_706),
        ("resnet18", 11_173_962),
        ("resnet50", 25_557_032),
        ("charlstm", 4_269_121),
        ("gpt-mini", 10_745_088),
        ("vae", 652_824),
        ("dqn", 17_410),
        ("mobilenet", 2_351_972),
        ("densenet", 7_056_356),
        ("unet", 1_927_240),
        ("cifar", 836_440),
        ("chargru", 822_849),
    ] {
        let case = find(name).unwrap();
        let sizes = Sizes { batch: 1, length: if name == "gpt-mini" { 256 } else { small(&case).length } };
        assert_eq!((case.make)(&cpu, sizes).unwrap().parameters, parameters, "{name}");
    }
}

#[test]
fn a_measurement_and_a_profile_are_consistent() {
    let cpu = Cpu::new(1).unwrap();
    let case = find("dqn").unwrap();
    let mut work = (case.make)(&cpu, small(&case)).unwrap();
    let effort = Effort { warm_up: 1, steps: 5, budget: 0.0, series: 1, patience: 0.0 };
    let timing = measure(&cpu, &mut work, &effort).unwrap();
    assert!(timing.min_ms <= timing.p10_ms && timing.p10_ms <= timing.median_ms && timing.median_ms <= timing.p90_ms);
    assert!(timing.steps >= 3 && timing.value.is_finite());
    assert!(peak_rss_mib().is_none_or(|mib| mib > 1.0));
    let (kernels, whole, outside) = profile(&cpu, &mut work, 0.0).unwrap();
    assert!(!kernels.is_empty() && outside <= whole);
    assert!(kernels.iter().any(|kernel| kernel.flops > 0));
}

#[test]
fn a_mistyped_case_finds_its_neighbour() {
    let error = find("resnet81").err().unwrap().to_string();
    assert!(error.contains("there is no case resnet81") && error.contains("did you mean resnet18?"), "{error}");
}
