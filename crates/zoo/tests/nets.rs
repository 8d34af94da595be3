//! The published nets: their parameter counts, and their logits against PyTorch's (tests/golden/nets.py) for weights that a formula gives.

use std::sync::Arc;

use cpu::Run;
use glassbox_zoo::nets::{PUBLISHED, published};
use nn::{Layer, Pass, Scope, State};
use serde_json::Value;
use tensor::{Array, Shape, Tensor};

fn crc32(text: &str) -> u32 {
    !text.bytes().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// Numbers in -1 to 1 that depend on a name and an index.
fn noise(name: &str, count: usize) -> Vec<f32> {
    let start = crc32(name);
    let one = |index: u32| {
        let mut x = index.wrapping_mul(2_654_435_761).wrapping_add(start);
        x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
        x = (x ^ (x >> 12)).wrapping_mul(0x297a_2d39);
        ((x ^ (x >> 15)) >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count as u32).map(one).collect()
}

/// A parameter or buffer: weights of variance 2 / fan in, scales near 1, the rest small.
fn filled(name: &str, shape: &[usize]) -> Array {
    let mut values = noise(name, shape.iter().product());
    let (factor, offset) = match name.rsplit('.').next().unwrap() {
        _ if shape.len() > 1 => ((6.0 / shape[1..].iter().product::<usize>() as f64).sqrt() as f32, 0.0),
        "running_var" => (0.5, 1.0),
        "weight" => (0.125, 1.0),
        _ => (0.125, 0.0),
    };
    values.iter_mut().for_each(|value| *value = *value * factor + offset);
    Array::of(Shape::new(shape).unwrap(), values)
}

fn fill(at: &Scope) {
    let vars = at.parameters().into_iter().chain(at.buffers());
    let state: State = vars
        .map(|var| {
            let name = nn::state::torch_name(var.name());
            let value = if var.dtype().is_float() { Arc::new(filled(&name, var.shape())) } else { var.value() };
            (name, value)
        })
        .collect();
    at.load_state(&state, "the formula").unwrap();
}

#[test]
fn published_nets_have_the_published_parameters_and_equal_pytorch() {
    let text = include_str!("../../../tests/golden/nets.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(PUBLISHED.iter().all(|net| cases.iter().any(|case| case["name"] == net.name)), "every net has a case");
    let mut failures = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let (at, size) = (Scope::root(0), number("size"));
        let net = published(name, &at, [3, size, size], number("classes")).unwrap();
        let parameters: usize = at.trainable().iter().map(|var| var.shape().count()).sum();
        if parameters != number("parameters") {
            failures.push(format!("{name} has {parameters} parameters, not {}", number("parameters")));
            continue;
        }
        fill(&at);
        let picture = Tensor::from_vec(noise("picture", 3 * size * size), [1, 3, size, size]);
        let logits = net.forward(&picture, &Pass::eval()).to_vec::<f32>().unwrap();
        let deviation = case["deviation"].as_f64().unwrap();
        for (index, wanted) in case["logits"].as_array().unwrap().iter().enumerate() {
            let (found, wanted) = (f64::from(logits[index]), wanted.as_f64().unwrap());
            let close = (found - wanted).abs() <= 1e-4 * deviation;
            if !close {
                failures.push(format!("{name}: logit {index} is {found}, PyTorch's {wanted} (deviation {deviation})"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_net_refuses_pictures_that_it_cannot_take() {
    let refused =
        |name, size| published(name, &Scope::root(0), [3, size, size], 10).err().map(|error| error.to_string());
    assert_eq!(refused("vgg16", 32), None);
    let small = refused("xception", 64).unwrap();
    assert!(small.contains("at least 71 x 71 pixels, not 64 x 64") && small.contains("data.size=71"), "{small}");
    let large = refused("alexnet", 256).unwrap();
    assert!(large.contains("exactly 227 x 227 pixels, not 256 x 256"), "{large}");
    assert!(refused("vgg17", 224).unwrap().contains("vgg16_bn"));
}
