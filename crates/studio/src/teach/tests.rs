//! The numbers of the lessons against those known from the course, and against differences.

use super::*;

fn numbers(id: &str, values: Option<&[f64]>) -> Lesson {
    let example = EXAMPLES.iter().find(|example| example.id == id).unwrap();
    let own: Vec<f64> = example.inputs.iter().map(|input| input.value).collect();
    lesson(&Cpu::new(1).unwrap(), example, values.unwrap_or(&own)).unwrap()
}

fn of<'a>(lesson: &'a Lesson, name: &str) -> &'a Taught {
    lesson.nodes.iter().find(|node| node.name == name).unwrap()
}

#[test]
fn the_courses_product_has_the_courses_gradients() {
    let lesson = numbers("product", None);
    let pair = |name: &str| (of(&lesson, name).value, of(&lesson, name).gradient);
    assert_eq!(pair("x"), (-2.0, -4.0));
    assert_eq!(pair("y"), (5.0, -4.0));
    assert_eq!(pair("z"), (-4.0, 3.0));
    assert_eq!(pair("q"), (3.0, -4.0));
    assert_eq!(pair("f"), (-12.0, 1.0));
}

#[test]
fn the_courses_neuron_has_the_courses_gradients() {
    let lesson = numbers("neuron", None);
    let near = |name: &str, value: f64, gradient: f64| {
        let node = of(&lesson, name);
        assert!((node.value - value).abs() < 5e-3 && (node.gradient - gradient).abs() < 5e-3, "{node:?}");
    };
    near("f", 0.73, 1.0);
    near("a", 1.0, 0.2);
    near("w0", 2.0, -0.2);
    near("x0", -1.0, 0.39);
    near("w1", -3.0, -0.39);
    near("x1", -2.0, -0.59);
    near("b", -3.0, 0.2);
}

#[test]
fn what_flows_along_the_wires_adds_up_to_the_gradient() {
    for example in &EXAMPLES {
        let lesson = numbers(example.id, None);
        for (at, node) in lesson.nodes.iter().enumerate() {
            let users: Vec<&Wire> = lesson.wires.iter().filter(|wire| wire.from == at).collect();
            let sum: f64 = users.iter().map(|wire| wire.back).sum();
            let last = if users.is_empty() { 1.0 } else { sum };
            assert!((node.gradient - last).abs() < 1e-12, "{}: {node:?}", example.id);
            for wire in users {
                let through = wire.local * lesson.nodes[wire.to].gradient;
                assert!((wire.back - through).abs() < 1e-12, "{}: {wire:?}", example.id);
            }
        }
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    for example in &EXAMPLES {
        let own: Vec<f64> = example.inputs.iter().map(|input| input.value).collect();
        let lesson = numbers(example.id, None);
        for (at, input) in example.inputs.iter().enumerate() {
            let moved = |by: f64| {
                let mut values = own.clone();
                values[at] += by;
                numbers(example.id, Some(&values)).nodes.last().unwrap().value
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let told = of(&lesson, input.name).gradient;
            assert!((slope - told).abs() < 1e-8, "{} {}: {told}, but the slope is {slope}", example.id, input.name);
        }
    }
}

#[test]
fn exclusive_or_is_learnt() {
    let example = EXAMPLES.iter().find(|example| example.id == "xor").unwrap();
    let mut values: Vec<f64> = example.inputs.iter().map(|input| input.value).collect();
    let cpu = Cpu::new(1).unwrap();
    let answers = |values: &[f64]| -> Vec<f64> {
        let told = rows(&cpu, example, values).unwrap();
        told["answers"].as_array().unwrap().iter().map(|answer| answer.as_f64().unwrap()).collect()
    };
    let wrong =
        |answers: Vec<f64>| answers.iter().zip(example.rows).filter(|(y, row)| (*y - row[2]).abs() > 0.2).count();
    assert!(wrong(answers(&values)) > 0);
    learn(&cpu, example, &mut values, example.rate, 1000).unwrap();
    assert_eq!(wrong(answers(&values)), 0, "{:?}", answers(&values));
}

#[test]
fn inputs_that_make_no_sense_are_refused() {
    let example = &EXAMPLES[0];
    assert_eq!(given(example, "z:1.5,x:0").unwrap(), [0.0, 5.0, 1.5]);
    for set in ["w:1", "x", "x:", "x:NaN", "x:inf", "x:1e999"] {
        assert_eq!(given(example, set).unwrap_err().status(), 400, "{set}");
    }
}
