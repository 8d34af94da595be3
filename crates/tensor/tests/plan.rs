//! What the planner puts into one kernel.

use glassbox_tensor::plan::{Fusion, Kernel, Next, Plan, build, trace};
use glassbox_tensor::{Array, AttentionOptions, DType, Op, RandomKey, Shape, Tensor, Update, Var};

fn planned(outputs: &[&Tensor], updates: &[Update]) -> Plan {
    build(&trace(outputs, updates).unwrap(), Fusion::On)
}

fn variable(name: &str, dims: &[usize]) -> Var {
    Var::new(name, Array::zeros(DType::F32, Shape::new(dims).unwrap()))
}

fn log_softmax(x: &Tensor) -> Tensor {
    x - x.logsumexp_keep(-1)
}

#[test]
fn softmax_is_one_kernel() {
    let x = Tensor::from_vec(vec![0f32; 64 * 10], [64, 10]);
    let plan = planned(&[&log_softmax(&x).exp()], &[]);
    assert_eq!(plan.steps.len(), 1, "{plan}");
}

#[test]
fn batch_norm_with_its_statistics_is_one_kernel() {
    let x = Tensor::from_vec(vec![0f32; 8 * 4 * 6 * 6], [8, 4, 6, 6]);
    let (scale, shift) = (variable("scale", &[1, 4, 1, 1]), variable("shift", &[1, 4, 1, 1]));
    let axes = [0isize, 2, 3];
    let normal = (&x - x.mean_keep(axes)) * (x.var_keep(axes, 0.0) + 1e-5).rsqrt();
    let y = (normal * scale.tensor() + shift.tensor()).relu();
    let plan = planned(&[&y], &[]);
    assert_eq!(plan.steps.len(), 1, "{plan}");
}

#[test]
fn a_normalisation_is_computed_again_for_its_gradient_instead_of_being_kept() {
    let x = Tensor::from_vec(vec![0f32; 64 * 32], [64, 32]);
    let (scale, w) = (variable("scale", &[32]), variable("w", &[32, 32]));
    let centred = &x - x.mean_keep(-1);
    let normal = &centred * ((&centred * &centred).mean_keep(-1) + 1e-5).rsqrt();
    let y = (normal * scale.tensor()).matmul(&w.tensor());
    let loss = (&y * &y).sum(..);
    let grads = loss.grad([&x, &scale.tensor(), &w.tensor()]);
    let plan = planned(&grads.iter().collect::<Vec<_>>(), &[]);
    let Kernel::Fused(forward) = &plan.steps[0].kernel else { panic!("{plan}") };
    let whole = forward.stores.iter().filter(|store| !forward.code[store.register as usize].row).count();
    assert_eq!(whole, 1, "what the product reads: {plan}");
}

/// A chain of products, each normalised over its rows and rectified: what a training step of it asks for.
fn normalised_layers(layers: usize) -> (Vec<Update>, usize) {
    let (rows, columns) = (2048, 128);
    let mut y = Tensor::from_vec(vec![0f32; rows * columns], [rows, columns]);
    let weights: Vec<Var> = (0..layers).map(|layer| variable(&format!("w{layer}"), &[columns, columns])).collect();
    for weight in &weights {
        let x = y.matmul(&weight.tensor());
        y = ((&x - x.mean_keep(0)) * (x.var_keep(0, 0.0) + 1e-5).rsqrt()).relu();
    }
    let grads = (&y * &y).sum(..).grad(weights.iter().map(|w| w.tensor()).collect::<Vec<_>>().iter());
    let updates = weights.iter().zip(&grads).map(|(w, grad)| w.update(&(w.tensor() - grad * 0.1)));
    (updates.collect(), rows * columns * size_of::<f32>())
}

#[test]
fn a_step_keeps_no_more_than_the_inputs_of_its_normalisations_and_every_weight_changes_in_place() {
    let layers = 12;
    let (updates, bytes) = normalised_layers(layers);
    let plan = planned(&[], &updates);
    assert!(plan.updates.iter().all(|next| matches!(next, Next::InPlace(_))), "{plan}");
    // Their outputs are made again; the gradient of a weight is made when its layer's is, which then is let go.
    assert!(plan.arena < (layers + 5) * bytes, "{} values: {plan}", plan.arena / bytes);
    let again = plan.steps.iter().filter(|step| step.ops.len() == 1 && step.ops[0].0 == "relu").count();
    assert!(again > layers / 2, "{again} values made again: {plan}");
}

#[test]
fn what_is_only_summed_is_no_part_of_an_epilogue() {
    let x = Tensor::from_vec(vec![0f32; 64 * 32], [64, 32]);
    let (w, scale) = (variable("w", &[32, 32]), variable("scale", &[32]));
    let y = x.matmul(&w.tensor());
    let plan = planned(&[&y, &(&y * &x).sum(0), &(&y * scale.tensor()).sum(0)], &[]);
    let Kernel::Op { epilogue, .. } = &plan.steps[0].kernel else { panic!("{plan}") };
    assert!(epilogue.is_none(), "{plan}");
    assert_eq!(plan.steps.len(), 2, "{plan}");
}

#[test]
fn a_factor_of_one_costs_nothing() {
    let x = Tensor::from_vec(vec![0f32; 64 * 32], [64, 32]);
    let plan = planned(&[&(&x * 1.0).sum(0), &x.sum(1)], &[]);
    assert!(!plan.steps.iter().any(|step| step.ops.iter().any(|(name, _)| *name == "mul")), "{plan}");
}

#[test]
fn bias_and_activation_run_in_the_epilogue_of_the_product() {
    let x = Tensor::from_vec(vec![0f32; 64 * 20], [64, 20]);
    let (w, b) = (variable("w", &[30, 20]), variable("b", &[30]));
    let y = (x.matmul(&w.tensor().transpose(0, 1)) + b.tensor()).relu();
    let plan = planned(&[&y], &[]);
    assert!(matches!(plan.steps[..], [ref step] if matches!(step.kernel, Kernel::Op { op: Op::MatMul, .. })), "{plan}");
}

#[test]
fn attention_on_the_parts_of_one_product_and_its_gradient_copy_nothing() {
    let (x, w) = (variable("x", &[2 * 5, 12]), variable("w", &[36, 12]));
    let all = x.tensor().matmul(&w.tensor().transpose(0, 1)).reshape([2, 5, 3, 3, 4]);
    let [q, k, v] = [0, 1, 2].map(|which| all.select(2, which).transpose(1, 2));
    let options = AttentionOptions { causal: true, ..Default::default() };
    let y = q.attention(&k, &v, &options).transpose(1, 2).reshape([10, 12]);
    let loss = (&y * &y).sum(..);
    let plan = planned(&[&loss.grad([&w.tensor()]).remove(0)], &[]);
    let kernels: Vec<&str> = plan.steps.iter().map(|step| step.ops[0].0).collect();
    let calls = kernels.iter().filter(|name| ["matmul", "attention_pass", "attention_grad"].contains(name)).count();
    assert_eq!(calls, 4, "{plan}");
    assert!(!kernels.iter().any(|name| ["concat", "pad", "permute", "reshape"].contains(name)), "{plan}");
}

#[test]
fn a_training_step_updates_parameters_and_moments_in_place_in_one_plan() {
    let x = Tensor::from_vec(vec![0f32; 64 * 4], [64, 4]);
    let target = Tensor::from_vec(vec![0i64; 64], [64, 1]);
    let shapes: [&[usize]; 6] = [&[128, 4], &[128], &[128, 128], &[128], &[2, 128], &[2]];
    let params: Vec<Var> = shapes.iter().enumerate().map(|(i, dims)| variable(&format!("p{i}"), dims)).collect();
    let moments: Vec<Var> = shapes.iter().enumerate().map(|(i, dims)| variable(&format!("m{i}"), dims)).collect();
    let mut h = x;
    for layer in 0..3 {
        h = h.matmul(&params[2 * layer].tensor().transpose(0, 1)) + params[2 * layer + 1].tensor();
        h = if layer < 2 { h.relu() } else { h };
    }
    let loss = -log_softmax(&h).gather(1, &target).mean(..);
    let leaves: Vec<Tensor> = params.iter().map(Var::tensor).collect();
    let rate = Tensor::scalar(0.1f32);
    let mut updates = Vec::new();
    for ((param, moment), gradient) in params.iter().zip(&moments).zip(loss.grad(&leaves)) {
        let next = moment.tensor() * 0.9 + gradient;
        updates.push(param.update(&(param.tensor() - &next * &rate)));
        updates.push(moment.update(&next));
    }
    let plan = planned(&[&loss], &updates);
    let in_place = plan.updates.iter().filter(|next| matches!(next, Next::InPlace(_))).count();
    // The reductions that make the gradients of the biases keep theirs apart.
    assert!(in_place >= 6, "{plan}");
    assert!(plan.steps.len() <= 19, "{plan}");
}

#[test]
fn another_learning_rate_or_random_step_is_the_same_plan_but_another_shape_is_not() {
    let hash = |rate: f32, step: u32, n: usize| {
        let x = Tensor::normal([n, 3], RandomKey::new(1).step(step), DType::F32) * Tensor::scalar(rate);
        trace(&[&x], &[]).unwrap().hash
    };
    assert_eq!(hash(0.1, 1, 4), hash(0.2, 2, 4));
    assert_ne!(hash(0.1, 1, 4), hash(0.1, 1, 5));
}

#[test]
fn which_leaf_stands_where_is_part_of_the_hash() {
    let (a, b) = (Tensor::from_vec(vec![1f32; 3], [3]), Tensor::from_vec(vec![2f32; 3], [3]));
    let hash = |t: Tensor| trace(&[&t], &[]).unwrap().hash;
    assert_eq!(hash(&a + &b), hash(&b + &a));
    assert_ne!(hash(&a + &b), hash(&a + &a));
}

#[test]
fn a_chain_of_100_000_ops_is_planned_without_recursion() {
    let x = Tensor::from_vec(vec![1f32; 8], [8]);
    let mut y = x.clone();
    for _ in 0..100_000 {
        y = y * &x;
    }
    let plan = planned(&[&y], &[]);
    assert!((1_000..3_000).contains(&plan.steps.len()), "{}", plan.steps.len());
    assert!(plan.arena <= 4 * 64, "{} bytes", plan.arena);
}

#[test]
fn a_graph_that_reads_a_variable_before_and_after_a_change_is_stale() {
    let w = variable("w", &[2]);
    let before = w.tensor() * 2.0;
    w.set(Array::zeros(DType::F32, Shape::new(&[2]).unwrap())).unwrap();
    let text = trace(&[&(before + w.tensor())], &[]).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("w changed after this graph was traced"), "{text}");
}
