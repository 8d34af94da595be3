//! Names, initial values, errors, modes: what a model promises beside its numbers.

extern crate glassbox_nn as nn;

use cpu::{Cpu, Run};
use nn::clip::{Norm, total_norm};
use nn::losses::{BceWithLogits, CrossEntropy, Nll, Reduction, huber, smooth_l1};
use nn::{
    Adam, Flatten, Group, Init, Layer, Optimiser, Pass, Relu, Scope, Sequential, Sgd, Summary, batch_norm2d, conv2d,
    dropout, embedding, linear, max_pool2d,
};
use tensor::{Array, DType, RandomKey, Shape, Tensor, Var};

fn names(vars: &[Var]) -> Vec<&str> {
    vars.iter().map(Var::name).collect()
}

fn small(at: &Scope) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", 1, 4, 3).padding(1).bias(false))
        .then(batch_norm2d(at / "bn1", 4))
        .then(Relu)
        .then(max_pool2d(2))
        .then(Flatten)
        .then(linear(at / "fc1", 16, 3))
}

#[test]
fn parameters_come_in_the_order_of_declaration_without_withdrawn_ones() {
    let scope = Scope::root(0);
    let _model = small(&scope);
    let wanted = ["conv1/weight", "bn1/weight", "bn1/bias", "fc1/weight", "fc1/bias"];
    assert_eq!(names(&scope.parameters()), wanted);
    assert_eq!(names(&scope.buffers()), ["bn1/running_mean", "bn1/running_var", "bn1/num_batches_tracked"]);
    assert_eq!(names(&(&scope / "bn1").parameters()), ["bn1/weight", "bn1/bias"]);
    assert!(scope.find("fc1.bias").is_some_and(|var| var.name() == "fc1/bias"));
    assert!(scope.find("conv1/bias").is_none());
}

#[test]
fn another_layer_does_not_change_initial_values_and_another_seed_does() {
    let value = |seed: u64, more: bool| {
        let scope = Scope::root(seed);
        if more {
            let _more = linear(&scope / "before", 5, 5);
        }
        let _layer = linear(&scope / "fc1", 7, 3);
        scope.find("fc1/weight").expect("a weight").value()
    };
    assert_eq!(value(1, false), value(1, true));
    assert_ne!(value(1, false), value(2, false));
    let bound = 1.0 / 7f64.sqrt();
    assert!(value(1, false).to_f64().iter().all(|x| x.abs() <= bound));
}

#[test]
fn a_name_declared_twice_is_an_error_of_check_load_and_run_that_says_where() {
    let scope = Scope::root(0);
    let model = Sequential::new().then(linear(&scope / "fc", 4, 4)).then(linear(&scope / "fc", 4, 4));
    for message in [
        scope.check().expect_err("twice").to_string(),
        scope.state().expect_err("twice").to_string(),
        model.forward(&Tensor::ones([1, 4], DType::F32), &Pass::eval()).run().expect_err("twice").to_string(),
    ] {
        assert!(message.contains("fc/weight is declared twice: at "), "{message}");
        assert!(message.matches("tests/model.rs:").count() >= 2, "{message}");
    }
}

#[test]
fn a_change_after_use_is_an_error() {
    let scope = Scope::root(0);
    let layer = linear(&scope / "fc", 4, 4);
    let _used = scope.parameters();
    let _changed = layer.bias(false);
    assert!(scope.check().expect_err("changed").to_string().contains("fc/bias was changed after it was used"));
}

#[test]
fn a_wrong_width_is_refused_with_the_layer_its_line_and_the_line_to_write() {
    let scope = Scope::root(0);
    let model = Sequential::new().then(Flatten).then(linear(&scope / "fc1", 256, 120)).then(Relu);
    let error = model.forward(&Tensor::ones([64, 16, 5, 5], DType::F32), &Pass::eval()).run().expect_err("400 of 256");
    let text = error.to_string();
    assert!(text.contains("shape mismatch in linear: [64, 400] into 256 inputs"), "{text}");
    assert!(text.contains("at fc1, crates/nn/tests/model.rs:"), "{text}");
    assert!(text.contains("the input comes from reshape at flatten, crates/nn/tests/model.rs:"), "{text}");
    assert!(text.contains("help: linear(at / \"fc1\", 400, 120)"), "{text}");
}

#[test]
fn layers_without_names_are_called_after_the_layer_before_them() {
    let scope = Scope::root(0);
    let model =
        Sequential::new().then(linear(&scope / "a", 2, 2)).then(Relu).then(Relu).then(linear(&scope / "b", 2, 2));
    let pass = Pass::eval().watching();
    model.forward(&Tensor::ones([1, 2], DType::F32), &pass);
    let paths: Vec<String> = pass.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["a", "a/relu", "a/relu2", "b"]);
}

#[test]
fn layers_without_names_are_called_after_the_last_layer_within_a_container() {
    let scope = Scope::root(0);
    let block = |name: &str| Sequential::new().then(nn::residual(Sequential::new().then(linear(&scope / name, 2, 2))));
    let model = Sequential::new().then(block("a").then(Relu)).then(block("b").then(Relu)).then(Relu);
    let pass = Pass::eval().watching();
    model.forward(&Tensor::ones([1, 2], DType::F32), &pass);
    let paths: Vec<String> = pass.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["a", "a/relu", "b", "b/relu", "b/relu/relu"]);
}

/// Its layers see every input twice.
struct Twice(Sequential);

impl Layer for Twice {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.0.forward(x, pass) + self.0.forward(&x.flip(-1), pass)
    }

    fn describe(&self) -> nn::Description {
        self.0.describe()
    }
}

#[test]
fn a_layer_that_is_passed_twice_is_one_row_of_a_summary() {
    let scope = Scope::root(0);
    let model = Twice(Sequential::new().then(linear(&scope / "a", 2, 2)).then(Relu));
    let summary = Summary::of(&model, &Tensor::zeros([1, 2], DType::F32)).expect("a model");
    assert_eq!(summary.rows.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["a", "a/relu"]);
    assert_eq!(summary.parameters, 6);
}

#[test]
fn a_summary_tells_shapes_and_parameters() {
    let scope = Scope::root(0);
    let summary = Summary::of(&small(&scope), &Tensor::zeros([2, 1, 4, 4], DType::F32)).expect("a model");
    assert_eq!(summary.parameters, 36 + 8 + 51);
    assert_eq!(summary.rows[0].output, [2, 4, 4, 4]);
    let text = summary.to_string();
    assert!(text.contains("conv1") && text.contains("1 -> 4, 3x3, padding 1") && text.contains("[2, 16]"), "{text}");
    assert!(text.ends_with("95 parameters"), "{text}");
}

#[test]
fn dropout_depends_on_seed_step_and_path_alone() {
    let scope = Scope::root(0);
    let (one, other) = (dropout(&scope / "one", 0.5), dropout(&scope / "other", 0.5));
    let x = Tensor::ones([64], DType::F32);
    let key = RandomKey::new(3);
    let run = |layer: &dyn Layer, key: RandomKey| layer.forward(&x, &Pass::train(key)).to_vec::<f32>().expect("runs");
    let first = run(&one, key.step(1));
    assert_eq!(first, run(&one, key.step(1)));
    assert_ne!(first, run(&one, key.step(2)));
    assert_ne!(first, run(&other, key.step(1)));
    assert!(first.iter().all(|&x| x == 0.0 || x == 2.0) && first.contains(&0.0) && first.contains(&2.0));
    assert_eq!(one.forward(&x, &Pass::eval()).to_vec::<f32>().expect("runs"), vec![1.0; 64]);
    let pass = Pass::train(key);
    let twice = [one.forward(&x, &pass), one.forward(&x, &pass)].map(|y| y.to_vec::<f32>().expect("runs"));
    assert_ne!(twice[0], twice[1]);
}

#[test]
fn frozen_parameters_are_not_trainable() {
    let scope = Scope::root(0);
    let _model = small(&scope);
    scope.freeze("bn1", true);
    assert_eq!(names(&scope.trainable()), ["conv1/weight", "fc1/weight", "fc1/bias"]);
    scope.freeze("bn1", false);
    assert_eq!(scope.trainable().len(), 5);
}

#[test]
fn a_checkpoint_of_another_model_is_refused_whole_and_told_whole() {
    let scope = Scope::root(0);
    let _model = small(&scope);
    let before = scope.state().expect("a state");
    let mut state = before.clone();
    state.remove("fc1.bias");
    state.insert("fc1.weight".into(), Array::zeros(DType::F32, Shape::new(&[2, 16]).expect("a shape")).into());
    state.insert("fc9.weight".into(), Array::zeros(DType::F32, Shape::SCALAR).into());
    let text = scope.load_state(&state, "runs/a/model.safetensors").expect_err("another model").to_string();
    let wanted = "runs/a/model.safetensors is a checkpoint of another model: 8 tensors found, 8 expected\n  \
        different: fc1.weight is f32 [2, 16] there, f32 [3, 16] here\n  \
        missing: fc1.bias, f32 [3]\n  unexpected: fc9.weight, f32 []\n  \
        help: take the checkpoint of this model";
    assert_eq!(text, wanted);
    assert_eq!(scope.state().expect("a state"), before);
    scope.load_state(&before, "itself").expect("its own state");
}

#[test]
fn the_padding_row_of_an_embedding_starts_at_zero() {
    let scope = Scope::root(0);
    let _table = embedding(&scope / "table", 3, 2).padding(1);
    let value = scope.parameters()[0].value().to_f64();
    assert!(value[2..4] == [0.0, 0.0] && value[0] != 0.0 && value[5] != 0.0);
}

#[test]
fn batch_norm_needs_two_values_a_channel_to_train() {
    let scope = Scope::root(0);
    let layer = nn::batch_norm1d(&scope / "bn", 3);
    let x = Tensor::ones([1, 3], DType::F32);
    let error = layer.forward(&x, &Pass::train(RandomKey::new(0))).run().expect_err("one value");
    assert!(error.to_string().contains("one value a channel has no variance"), "{error}");
    assert!(layer.forward(&x, &Pass::eval()).run().is_ok());
}

#[test]
fn a_layer_used_twice_in_a_pass_updates_its_statistics_twice() {
    let scope = Scope::root(0);
    let layer = nn::batch_norm1d(&scope / "bn", 1);
    let pass = Pass::train(RandomKey::new(0));
    let x = Tensor::from_vec(vec![0f32, 2.0], [2, 1]);
    layer.forward(&x, &pass);
    layer.forward(&x, &pass);
    assert_eq!(pass.updates().len(), 3);
    Cpu::shared().expect("a device").run(&[], &pass.updates()).expect("runs");
    assert_eq!(scope.find("bn/num_batches_tracked").expect("a counter").value().to_f64(), [2.0]);
    assert!((scope.find("bn/running_mean").expect("a mean").value().get_f64(0) - 0.19).abs() < 1e-6);
}

#[test]
fn an_optimiser_restored_from_its_state_goes_on_exactly() {
    let device = Cpu::shared().expect("a device");
    let gradient = |t: u64| Tensor::from_vec(vec![t as f32, 0.5, -1.0], [3]);
    let make = || {
        let var = Var::new("fc1/weight", Array::of(Shape::new(&[3]).expect("a shape"), vec![1f32, 2.0, 3.0]));
        (var.clone(), Adam::w(vec![Group::new(vec![var])]))
    };
    let (whole, optimiser) = make();
    let (resumed, first) = make();
    let step = |optimiser: &dyn Optimiser, t| {
        device.run(&[], &optimiser.step(&[gradient(t)], 0.1)).expect("runs");
    };
    (0..4).for_each(|t| step(&optimiser, t));
    (0..2).for_each(|t| step(&first, t));
    let names: Vec<String> = first.state().iter().map(|var| var.name().to_string()).collect();
    assert_eq!(names, ["step", "exp_avg/fc1/weight", "exp_avg_sq/fc1/weight"]);
    let second = Adam::w(vec![Group::new(vec![resumed.clone()])]);
    nn::state::restore(&second.state(), &nn::state::snapshot(&first.state()), "memory").expect("the same optimiser");
    (2..4).for_each(|t| step(&second, t));
    assert_eq!(whole.value(), resumed.value());
}

#[test]
fn building_a_step_changes_nothing_until_it_is_run() {
    let var = Var::new("w", Array::of(Shape::SCALAR, vec![1f32]));
    let optimiser = Sgd::new(vec![Group::new(vec![var.clone()])], 0.9);
    let before = nn::state::snapshot(&optimiser.state());
    let _updates = optimiser.step(&[Tensor::scalar(1f32)], 0.1);
    assert_eq!(nn::state::snapshot(&optimiser.state()), before);
    let short = optimiser.step(&[], 0.1);
    let error = Cpu::shared().expect("a device").run(&[], &short).expect_err("no gradients");
    assert!(error.to_string().contains("0 gradients for 1 parameters"), "{error}");
}

#[test]
fn initial_distributions_have_their_mean_and_deviation() {
    let shape = Shape::new(&[100, 100]).expect("a shape");
    let statistics = |init: Init| {
        let v = init.values(shape, DType::F64, RandomKey::new(5)).to_f64();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (mean, (v.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / v.len() as f64).sqrt(), v)
    };
    let (mean, std, _) = statistics(Init::Normal { mean: 1.0, std: 2.0 });
    assert!((mean - 1.0).abs() < 0.1 && (std - 2.0).abs() < 0.1, "{mean} {std}");
    let (mean, std, v) = statistics(Init::Uniform { low: -1.0, high: 3.0 });
    assert!((mean - 1.0).abs() < 0.1 && (std - 4.0 / 12f64.sqrt()).abs() < 0.1, "{mean} {std}");
    assert!(v.iter().all(|x| (-1.0..3.0).contains(x)));
    let (_, _, v) = statistics(Init::TruncatedNormal { mean: 0.0, std: 1.0, low: -0.5, high: 0.5 });
    assert!(v.iter().all(|x| x.abs() <= 0.5) && v.iter().all(|&x| x != -0.5));
}

#[test]
fn orthogonal_rows_or_columns_are_orthonormal() {
    for (rows, columns) in [(4, 9), (9, 4)] {
        let shape = Shape::new(&[rows, columns]).expect("a shape");
        let v = Init::Orthogonal { gain: 2.0 }.values(shape, DType::F64, RandomKey::new(1)).to_f64();
        let at = |i: usize, k: usize| if rows < columns { v[i * columns + k] } else { v[k * columns + i] };
        for i in 0..4 {
            for j in 0..4 {
                let dot: f64 = (0..9).map(|k| at(i, k) * at(j, k)).sum();
                assert!((dot - if i == j { 4.0 } else { 0.0 }).abs() < 1e-12, "{rows} {i} {j} {dot}");
            }
        }
    }
}

#[test]
fn a_target_out_of_range_is_an_error_not_a_silent_zero() {
    let logits = Tensor::zeros([2, 3], DType::F32);
    let error = logits.cross_entropy(&Tensor::from_vec(vec![0i64, 3], [2])).run().expect_err("class 3 of 3");
    assert!(error.to_string().contains("index 3"), "{error}");
    let text = logits.cross_entropy(&Tensor::zeros([3], DType::F32)).run().expect_err("floats").to_string();
    assert!(text.contains("logits [N, C, ..] need i64 targets [N, ..]"), "{text}");
}

#[test]
fn the_nodes_of_an_update_belong_to_the_layer_and_to_the_line_that_made_the_optimiser() {
    let scope = Scope::root(0);
    let _layer = linear(&scope / "fc1", 2, 2);
    let optimiser = Sgd::new(vec![Group::new(scope.parameters())], 0.9);
    let gradients: Vec<Tensor> = scope.parameters().iter().map(|p| Tensor::ones(p.shape(), p.dtype())).collect();
    let updates = optimiser.step(&gradients, 0.1);
    let update = updates.iter().find(|update| update.var.name() == "fc1/weight").expect("an update");
    let origin = update.value.origin().to_string();
    assert!(origin.starts_with("fc1, crates/nn/tests/model.rs:"), "{origin}");
}

#[test]
fn a_box_of_a_layer_is_a_layer() {
    let scope = Scope::root(0);
    let boxed: Box<dyn Layer> = Box::new(linear(&scope / "fc", 2, 3));
    let y = Sequential::new().then(boxed).forward(&Tensor::ones([1, 2], DType::F32), &Pass::eval());
    assert_eq!(y.dims(), [1, 3]);
}

#[test]
fn dropout_of_everything_leaves_zeros() {
    let scope = Scope::root(0);
    let x = Tensor::from_vec(vec![1f32, f32::NAN], [2]);
    let y = dropout(&scope / "all", 1.0).forward(&x, &Pass::train(RandomKey::new(0)));
    assert_eq!(y.to_vec::<f32>().expect("runs"), [0.0, 0.0]);
}

#[test]
fn senseless_settings_are_errors_of_the_run_never_panics() {
    let scope = Scope::root(0);
    let x = Tensor::ones([2, 4, 8, 8], DType::F32);
    let none: [usize; 0] = [];
    let layers: Vec<Box<dyn Layer>> = vec![
        Box::new(conv2d(&scope / "a", 4, 4, 3).padding(none)),
        Box::new(conv2d(&scope / "b", 4, 4, [3, 3, 3])),
        Box::new(conv2d(&scope / "c", 4, 4, 0)),
        Box::new(conv2d(&scope / "d", 4, 4, 3).groups(0)),
        Box::new(conv2d(&scope / "e", 4, 4, 3).groups(3)),
        Box::new(conv2d(&scope / "f", 4, 4, 3).stride(0)),
        Box::new(conv2d(&scope / "g", 4, 4, 3).dilation(none).padding_same()),
        Box::new(conv2d(&scope / "h", 4, 4, 9)),
        Box::new(nn::conv_transpose2d(&scope / "i", 4, 4, 3).output_padding(5)),
        Box::new(max_pool2d(0)),
        Box::new(max_pool2d(none)),
        Box::new(max_pool2d(2).padding(2)),
        Box::new(nn::avg_pool2d(2).divisor(0)),
        Box::new(nn::adaptive_avg_pool2d(0)),
        Box::new(nn::reflection_pad2d([9, 0], [0, 0])),
        Box::new(nn::layer_norm(&scope / "j", 7)),
        Box::new(nn::group_norm(&scope / "k", 3, 4)),
        Box::new(batch_norm2d(&scope / "l", 3)),
        Box::new(nn::Softmax(9)),
        Box::new(dropout(&scope / "m", 1.5)),
        Box::new(linear(&scope / "o", usize::MAX, usize::MAX)),
        Box::new(nn::multihead_attention(&scope / "p", usize::MAX, 1)),
    ];
    for layer in layers {
        for input in [&x, &Tensor::zeros([0], DType::F32), &Tensor::scalar(1i64)] {
            for pass in [Pass::eval(), Pass::train(RandomKey::new(0))] {
                let y = layer.forward(input, &pass);
                assert!(y.check().is_err(), "{} {:?}: {y:?}", layer.describe().kind, layer.describe().path);
            }
        }
    }
}

#[test]
fn same_padding_needs_no_padding_of_its_own() {
    let scope = Scope::root(0);
    let none: [usize; 0] = [];
    let layer = conv2d(&scope / "a", 1, 1, 4).padding(none).padding_same();
    assert_eq!(layer.forward(&Tensor::ones([1, 1, 5, 6], DType::F32), &Pass::eval()).dims(), [1, 1, 5, 6]);
}

#[test]
fn a_norm_of_other_channels_is_refused_not_broadcast() {
    let scope = Scope::root(0);
    let (narrow, wide, flat) = ([2, 1, 4], [2, 4, 4], [2, 4, 1]);
    let layers: Vec<(Box<dyn Layer>, [usize; 3], &str)> = vec![
        (Box::new(nn::group_norm(&scope / "a", 1, 4)), narrow, "[2, 1, 4] into 4 channels"),
        (Box::new(nn::group_norm(&scope / "b", 1, 1)), wide, "[2, 4, 4] into 1 channels"),
        (Box::new(nn::instance_norm1d(&scope / "c", 4).affine(true)), narrow, "[2, 1, 4] into 4 channels"),
        (Box::new(nn::instance_norm2d(&scope / "d", 4)), wide, "[2, 4, 4] into 4 channels"),
        (Box::new(nn::instance_norm1d(&scope / "e", 4)), flat, "one value a channel has no variance"),
    ];
    for (layer, shape, message) in layers {
        let y = layer.forward(&Tensor::ones(shape, DType::F32), &Pass::eval());
        let text = y.check().expect_err(message).to_string();
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn a_padding_row_that_is_not_there_is_an_error() {
    let scope = Scope::root(0);
    let _table = embedding(&scope / "table", 3, 2).padding(3);
    assert!(scope.check().expect_err("row 3 of 3").to_string().contains("table/weight has no row 3"));
}

#[test]
fn nesterov_without_momentum_or_with_dampening_is_an_error() {
    let scope = Scope::root(0);
    let _layer = linear(&scope / "fc", 2, 2);
    let gradients: Vec<Tensor> = scope.parameters().iter().map(|p| Tensor::ones(p.shape(), p.dtype())).collect();
    let sgd = |momentum: f64| Sgd::new(vec![Group::new(scope.parameters())], momentum).nesterov(true);
    for sgd in [sgd(0.0), sgd(0.9).dampening(0.5)] {
        let text = sgd.step(&gradients, 0.1)[0].value.check().expect_err("no Nesterov").to_string();
        assert!(text.contains("Nesterov's momentum needs a momentum and no dampening"), "{text}");
    }
    assert!(sgd(0.9).step(&gradients, 0.1).iter().all(|update| update.value.check().is_ok()));
}

#[test]
fn the_gradient_of_an_infinite_difference_is_the_slope_of_the_straight_part() {
    let x = Tensor::from_vec(vec![f64::INFINITY, f64::NEG_INFINITY, 0.25], [3]);
    let (zeros, ones) = (Tensor::zeros([3], DType::F64), Tensor::ones([3], DType::F64));
    for y in [huber(&x, &zeros, 1.0, Reduction::None), smooth_l1(&x, &zeros, 1.0, Reduction::None)] {
        let gradient = &y.vector_jacobian(&ones, [&x])[0];
        assert_eq!(gradient.to_vec::<f64>().expect("runs"), [1.0, -1.0, 0.25]);
    }
}

#[test]
fn the_norm_of_infinite_order_is_the_largest_and_order_0_is_none() {
    let gradient = [Tensor::from_vec(vec![3f32, -4.0, 1.0], [3])];
    assert_eq!(total_norm(&gradient, Norm::P(f64::INFINITY)).item::<f32>().expect("runs"), 4.0);
    for p in [0.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(total_norm(&gradient, Norm::P(p)).check().is_err(), "{p}");
    }
}

#[test]
fn weights_and_settings_of_losses_that_do_not_fit_are_refused_not_broadcast() {
    let (x, target) = (Tensor::zeros([2, 3], DType::F32), Tensor::from_vec(vec![0i64, 1], [2]));
    let probabilities = Tensor::full([2, 3], 0.5f32, DType::F32);
    let weight = |classes: usize| Some(Tensor::ones([classes], DType::F32));
    let ce = |classes: usize| CrossEntropy { weight: weight(classes), ..CrossEntropy::default() };
    let smooth = |share: f64| CrossEntropy { label_smoothing: share, ..CrossEntropy::default() };
    let wide = Some(Tensor::ones([2, 2, 3], DType::F32));
    for (loss, message) in [
        (ce(1).loss(&x, &target), "weights [1] for 3 classes of [2, 3]"),
        (ce(4).loss(&x, &target), "weights [4] for 3 classes of [2, 3]"),
        (ce(1).loss(&x, &probabilities), "weights [1] for 3 classes of [2, 3]"),
        (Nll { weight: weight(4), ..Nll::default() }.loss(&x, &target), "weights [4] for 3 classes of [2, 3]"),
        (smooth(2.0).loss(&x, &target), "label smoothing 2 is no share"),
        (smooth(f64::NAN).loss(&x, &probabilities), "label smoothing NaN is no share"),
        (
            BceWithLogits { pos_weight: wide.clone(), ..BceWithLogits::default() }.loss(&x, &probabilities),
            "weights that broadcast [2, 3] to [2, 2, 3]",
        ),
        (
            BceWithLogits { weight: wide, ..BceWithLogits::default() }.loss(&x, &probabilities),
            "weights that broadcast [2, 3] to [2, 2, 3]",
        ),
        (huber(&x, &probabilities, 0.0, Reduction::Mean), "delta 0 is not positive"),
        (smooth_l1(&x, &probabilities, -1.0, Reduction::Mean), "beta -1 is negative"),
    ] {
        let text = loss.check().expect_err(message).to_string();
        assert!(text.contains(message), "{text}");
    }
    assert!(ce(3).loss(&x, &target).check().is_ok() && ce(3).loss(&x, &probabilities).check().is_ok());
}

#[test]
fn a_setting_out_of_range_is_not_called_a_shape() {
    let (scope, x) = (Scope::root(0), Tensor::ones([1, 1, 4, 4], DType::F32));
    let layers: [Box<dyn Layer>; 2] = [Box::new(dropout(&scope / "drop", 1.5)), Box::new(nn::avg_pool2d(2).divisor(0))];
    for layer in layers {
        let text = layer.forward(&x, &Pass::eval()).check().expect_err("no such setting").to_string();
        assert!(text.starts_with("bad argument to "), "{text}");
    }
}
