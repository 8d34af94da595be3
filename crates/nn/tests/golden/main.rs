//! Every golden value from PyTorch: layers, losses, attention, optimisers, clipping, LeNet-5, schedules, initialisers.

extern crate glassbox_nn as nn;

mod attention;
mod cases;
mod clips;
mod layers;
mod lenet5;
mod losses;
mod optimisers;
mod plain;
mod recurrent;

use cases::{Case, index, tensors};

/// Runs every case of `group`, in both dtypes, and says all that fails.
fn every(group: &str, run: fn(&Case) -> Result<(), String>) {
    let index = index();
    let cases: Vec<_> = index.iter().filter(|case| case["group"] == group).collect();
    assert!(!cases.is_empty(), "the index has cases of {group}");
    let mut failures = Vec::new();
    for case in &cases {
        for dtype in [tensor::DType::F64, tensor::DType::F32] {
            let case = Case::new(case, dtype);
            if let Err(message) = run(&case) {
                failures.push(format!("{} {dtype}: {message}", case.name()));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), 2 * cases.len(), failures.join("\n"));
}

#[test]
fn layers_equal_pytorch() {
    every("layer", layers::check);
}

#[test]
fn losses_equal_pytorch() {
    every("loss", losses::check);
}

#[test]
fn attention_equals_pytorch() {
    every("attention", attention::check);
}

#[test]
fn optimisers_equal_pytorch() {
    every("optimiser", optimisers::check);
}

#[test]
fn clipping_equals_pytorch() {
    every("clip", clips::check);
}

#[test]
fn lenet5_and_three_steps_of_sgd_equal_pytorch() {
    every("net", lenet5::check);
}

#[test]
fn recurrent_layers_equal_pytorch() {
    every("recurrent", recurrent::check);
}

#[test]
fn every_case_belongs_to_a_group_that_is_run() {
    let groups = ["layer", "loss", "attention", "optimiser", "clip", "net", "recurrent"];
    let index = index();
    assert_eq!(index.len(), 286);
    assert!(index.iter().all(|case| groups.contains(&case["group"].as_str().unwrap_or_default())));
}

#[test]
fn every_tensor_of_the_files_belongs_to_a_case() {
    let names: std::collections::HashSet<String> =
        index().iter().filter_map(|case| case["name"].as_str().map(String::from)).collect();
    for file in ["nn", "optim", "lenet5", "attention", "recurrent"] {
        for name in tensors(file, tensor::DType::F64).keys() {
            assert!(names.contains(name.split('/').next().unwrap_or_default()), "{name}");
        }
    }
}
