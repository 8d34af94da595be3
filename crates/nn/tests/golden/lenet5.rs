//! LeNet-5: logits, loss, gradients, and three steps of SGD, each one plan.

use nn::{Flatten, Group, Layer, Optimiser, Pass, Relu, Scope, Sequential, Sgd, conv2d, linear, max_pool2d};
use tensor::{RandomKey, Tensor, Var};

use super::cases::{Case, values};

fn lenet5(at: &Scope) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", 1, 6, 5).padding(2))
        .then(Relu)
        .then(max_pool2d(2)) // [N, 6, 14, 14]
        .then(conv2d(at / "conv2", 6, 16, 5))
        .then(Relu)
        .then(max_pool2d(2)) // [N, 16, 5, 5]
        .then(Flatten) // [N, 400]
        .then(linear(at / "fc1", 400, 120))
        .then(Relu)
        .then(linear(at / "fc2", 120, 84))
        .then(Relu)
        .then(linear(at / "fc3", 84, 10)) // logits
}

pub fn check(case: &Case) -> Result<(), String> {
    if case.kind() != "LeNet5" {
        return Err(format!("unknown net {}", case.kind()));
    }
    let scope = Scope::root_of(0, case.dtype());
    let model = lenet5(&scope);
    scope.load_state(&case.under("param/").into_iter().collect(), case.name()).map_err(|error| error.to_string())?;
    let (x, target, params) = (case.input("input/x"), case.input("input/target"), scope.parameters());

    {
        let logits = model.forward(&x, &Pass::eval());
        let loss = logits.cross_entropy(&target);
        let leaves: Vec<Tensor> = params.iter().map(Var::tensor).chain([x.clone()]).collect();
        let gradients = loss.grad(&leaves);
        let found = values(&[&[&logits, &loss], gradients.iter().collect::<Vec<_>>().as_slice()].concat())?;
        case.compare("output/logits", &found[0])?;
        case.compare("output/loss", &found[1])?;
        for (param, found) in params.iter().zip(&found[2..]) {
            case.compare(&format!("grad/{}", nn::state::torch_name(param.name())), found)?;
        }
        case.compare("grad/x", &found[params.len() + 2])?;
    }

    let optimiser = Sgd::new(vec![Group::new(params.clone())], case.float("momentum"));
    let device = cpu::Cpu::shared().map_err(|error| error.to_string())?;
    let mut losses = Vec::new();
    for step in 0..case.size("steps") {
        let pass = Pass::train(RandomKey::new(0).step(step as u32));
        let loss = model.forward(&x, &pass).cross_entropy(&target);
        let leaves: Vec<Tensor> = params.iter().map(Var::tensor).collect();
        let mut updates = optimiser.step(&loss.grad(&leaves), case.float("lr"));
        updates.extend(pass.updates());
        let found = device.run(&[&loss], &updates).map_err(|error| error.to_string())?;
        losses.push(Tensor::from_array(found[0].clone()));
    }
    case.compare("output/losses", &values(&[&Tensor::stack(&losses, 0)])?[0])?;
    params.iter().try_for_each(|param| {
        case.compare(&format!("output/step3/{}", nn::state::torch_name(param.name())), &param.value())
    })
}
