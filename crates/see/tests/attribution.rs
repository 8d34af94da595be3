//! Maps of a network that learned digits: they add up, they look at the weights, and what they point at matters.

use std::sync::OnceLock;

use cpu::Cpu;
use data::{Dataset, Target, digits, mean_std};
use glassbox_see::{Method, Net, Options, Pca, attribute, black, certify, embed, picture, rank_correlation};
use nn::{
    Adam, Flatten, Group, Layer, Optimiser, Pass, Relu, Scope, Sequential, adaptive_avg_pool2d, conv2d, linear,
    max_pool2d,
};
use tensor::{Array, RandomKey, Shape, Tensor, Values, Var};
use train::{Goal, Input};

/// A network, and some rows with their classes.
struct Trained {
    scope: Scope,
    model: Sequential,
    input: Input,
    rows: Vec<(Array, usize)>,
}

/// LeNet-5 after some passes over the shipped digits, made once for all tests. (A test that shuffles weights takes its own.)
fn trained(make: impl Fn(&Scope) -> Sequential, steps: usize) -> Trained {
    let (train, test) = digits().unwrap();
    let norm = mean_std(&train).unwrap();
    let input = Input {
        goal: Goal::Class,
        shape: vec![1, 28, 28],
        mean: norm.mean,
        std: norm.std,
        classes: train.class_names().to_vec(),
        columns: Vec::new(),
        tokens: None,
    };
    let scope = Scope::root(1);
    let model = make(&scope);
    let cpu = Cpu::new(0).unwrap();
    let optimizer = Adam::new(vec![Group::new(scope.trainable())]);
    let row = |set: &dyn Dataset, row: usize| {
        let sample = input.prepare(&[]).apply(set.get(row).unwrap(), data::augmentation_key(0, 0, row)).unwrap();
        let Target::Class(class) = sample.target else { panic!("a digit without class") };
        (sample.x, class)
    };
    const BATCH: usize = 64;
    for step in 0..steps {
        let key = RandomKey::new(9).step(step as u32);
        let rows: Vec<_> =
            (0..BATCH).map(|at| row(&train, key.below(at as u64, train.len() as u64) as usize)).collect();
        let x = Tensor::from_vec(rows.iter().flat_map(|(x, _)| x.clone()).collect(), [BATCH, 1, 28, 28]);
        let labels = Tensor::from_vec(rows.iter().map(|(_, class)| *class as i64).collect(), [BATCH]);
        let loss = model.forward(&x, &Pass::train(key)).cross_entropy(&labels);
        let gradients = loss.grad(&scope.trainable().iter().map(Var::tensor).collect::<Vec<_>>());
        cpu.run(&[&loss], &optimizer.step(&gradients, 0.002)).unwrap();
    }
    let array = |x: Vec<f32>| Array::of(Shape::new(&[1, 1, 28, 28]).unwrap(), x);
    let rows = (0..20).map(|at| row(&test, at * 47)).map(|(x, class)| (array(x), class)).collect();
    Trained { scope, model, input, rows }
}

fn lenet(at: &Scope) -> Sequential {
    Sequential::new()
        .then(conv2d(at / "conv1", 1, 6, 5).padding(2))
        .then(Relu)
        .then(max_pool2d(2))
        .then(conv2d(at / "conv2", 6, 16, 5))
        .then(Relu)
        .then(max_pool2d(2))
        .then(Flatten)
        .then(linear(at / "fc1", 400, 84))
        .then(Relu)
        .then(linear(at / "fc2", 84, 10))
}

/// The same weights for every test, each with a scope of its own.
fn fresh() -> Trained {
    static WEIGHTS: OnceLock<nn::State> = OnceLock::new();
    let state = WEIGHTS.get_or_init(|| trained(lenet, 250).scope.state().unwrap());
    let made = trained(lenet, 0);
    made.scope.load_state(state, "the test").unwrap();
    made
}

#[test]
fn integrated_gradients_add_up_within_a_percent_on_20_pictures() {
    let Trained { scope, model, input, rows } = fresh();
    let cpu = Cpu::new(0).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let options = Options { baseline: black(&input), steps: 256, stages: 1, removals: 1, ..Options::default() };
    for (x, class) in &rows {
        let map = attribute(&net, x, *class, Method::Integrated, &options).unwrap();
        let complete = certify(&net, x, &map, &options).unwrap().completeness.unwrap();
        assert!(complete.residual < 0.01, "{complete:?}");
    }
    // With few points they do not, and the certificate says so.
    let rough = Options { steps: 1, ..options };
    let worst = rows.iter().map(|(x, class)| {
        let map = attribute(&net, x, *class, Method::Integrated, &rough).unwrap();
        certify(&net, x, &map, &rough).unwrap().completeness.unwrap().residual
    });
    assert!(worst.fold(0.0, f64::max) > 0.02);
}

#[test]
fn maps_point_at_what_matters_and_change_with_the_weights() {
    let Trained { scope, model, input, rows } = fresh();
    let cpu = Cpu::new(0).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let options = Options { baseline: black(&input), steps: 32, ..Options::default() };
    for method in Method::ALL {
        let (mut falls, mut random, mut alike, mut beats) = (0.0, 0.0, 0.0, 0.0);
        for (x, class) in rows.iter().take(8) {
            let map = attribute(&net, x, *class, method, &options).unwrap();
            assert_eq!(map.places.shape().to_vec(), [28, 28]);
            let checks = certify(&net, x, &map, &options).unwrap();
            falls += checks.deletion.fall() / 8.0;
            random += checks.deletion.random_fall() / 8.0;
            beats += checks.deletion.beats / 8.0;
            alike += checks.randomisation.last() / 8.0;
        }
        // (Grad-CAM's 10 x 10 places are too coarse for strokes: beside them is nothing to cover.)
        if method != Method::GradCam {
            assert!(falls > 2.0 * random && beats > 0.7, "{}: {falls} {random} {beats}", method.name());
        }
        assert!(alike < 0.75, "{}: {alike}", method.name());
    }
}

#[test]
fn a_map_that_ignores_the_weights_is_found_out() {
    let Trained { scope, model, input, rows } = fresh();
    let cpu = Cpu::new(0).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let options = Options { baseline: black(&input), ..Options::default() };
    let (x, class) = &rows[0];
    let map = attribute(&net, x, *class, Method::Gradient, &options).unwrap();
    // The places of a random map: the score falls no further than at random.
    let mut noise = map.clone();
    if let Values::F32(values) = noise.places.values_mut() {
        values.iter_mut().enumerate().for_each(|(at, value)| *value = RandomKey::new(5).uniform(at as u64));
    }
    let checks = certify(&net, x, &noise, &options).unwrap();
    let sensible = certify(&net, x, &map, &options).unwrap();
    assert!(checks.deletion.beats < 1.0 && checks.deletion.fall() < 0.5 * sensible.deletion.fall(), "{checks:?}");
    // One that is the picture itself: it is like the gradient times input, whatever the weights.
    let ink: Vec<f64> = x.to_f64().iter().map(|x| x + 1.0).collect();
    assert!((rank_correlation(&ink, &ink) - 1.0).abs() < 1e-12);
}

#[test]
fn grad_cam_is_cam_where_a_mean_and_a_linear_layer_follow() {
    let scope = Scope::root(3);
    let model = Sequential::new()
        .then(conv2d(&scope / "conv1", 3, 6, 3).padding(1))
        .then(Relu)
        .then(max_pool2d(2))
        .then(conv2d(&scope / "conv2", 6, 8, 3).padding(1))
        .then(Relu)
        .then(adaptive_avg_pool2d(1))
        .then(Flatten)
        .then(linear(&scope / "head", 8, 5));
    let cpu = Cpu::new(1).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let key = RandomKey::new(8);
    let x = Array::of(Shape::new(&[1, 3, 12, 12]).unwrap(), (0..432).map(|at| key.uniform(at) - 0.4).collect());
    let maps = net.activation(&x, "conv2/relu").unwrap().value;
    let weight = scope.find("head/weight").unwrap().value();
    for class in 0..5 {
        let found = attribute(&net, &x, class, Method::GradCam, &Options::default()).unwrap();
        assert_eq!(found.layer.as_deref(), Some("conv2/relu"));
        // CAM (Zhou et al. 2016): sum_k w[class, k] A_k; Grad-CAM has a mean over 36 places in it.
        let cam: Vec<f32> = (0..36)
            .map(|at| {
                let sum: f64 = (0..8).map(|k| weight.get_f64(class * 8 + k) * maps.get_f64(k * 36 + at)).sum();
                (sum / 36.0).max(0.0) as f32
            })
            .collect();
        let small = Tensor::from_vec(cam, [1, 1, 6, 6]);
        let large = small.resize_linear(&tensor::Resize::To(vec![12, 12]), false);
        let large = cpu.run(&[&large], &[]).unwrap().swap_remove(0);
        for at in 0..144 {
            let (a, b) = (found.map.get_f64(at), large.get_f64(at));
            assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "class {class}, place {at}: {a} {b}");
        }
    }
}

/// The mean of what a model says of a picture and of its mirror image.
struct BothWays(Sequential);

impl Layer for BothWays {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        (self.0.forward(x, pass) + self.0.forward(&x.flip(-1), pass)) * 0.5
    }

    fn describe(&self) -> nn::Description {
        self.0.describe()
    }
}

#[test]
fn grad_cam_of_a_net_that_is_asked_both_ways_is_that_of_both_passes() {
    let net = |scope: &Scope| {
        Sequential::new()
            .then(conv2d(scope / "conv1", 3, 6, 3).padding(1))
            .then(Relu)
            .then(adaptive_avg_pool2d(1))
            .then(Flatten)
            .then(linear(scope / "head", 6, 4))
    };
    // The same seed, the same weights.
    let (scope, again, cpu) = (Scope::root(4), Scope::root(4), Cpu::new(1).unwrap());
    let (one_way, both) = (net(&scope), BothWays(net(&again)));
    let key = RandomKey::new(5);
    let shape = Shape::new(&[1, 3, 10, 10]).unwrap();
    let x = Array::of(shape, (0..300).map(|at| key.uniform(at) - 0.4).collect());
    let mirror = |array: &Array| {
        let flipped = Tensor::from_array(array.clone()).flip(-1);
        (*cpu.run(&[&flipped], &[]).unwrap().swap_remove(0)).clone()
    };
    let maps = |layer: Option<&str>, model: &dyn Layer, x: &Array| {
        let options = Options { layer: layer.map(str::to_owned), ..Options::default() };
        attribute(&Net { cpu: &cpu, model, scope: &again }, x, 2, Method::GradCam, &options).unwrap()
    };
    let found = maps(None, &both, &x);
    assert_eq!(found.layer.as_deref(), Some("conv1/relu, both ways"));
    // The answer is the same for the mirrored picture, and the map is mirrored with it.
    let turned = maps(None, &both, &mirror(&x));
    let back = mirror(&turned.map);
    for at in 0..100 {
        assert!((found.map.get_f64(at) - back.get_f64(at)).abs() < 1e-6, "{at}");
    }
    // The parts before they are added and cut at 0: the linear net's own CAM, and that of the mirrored picture, mirrored back.
    let cam = |x: &Array| -> Vec<f64> {
        let net = Net { cpu: &cpu, model: &one_way, scope: &scope };
        let maps = net.activation(x, "conv1/relu").unwrap().value;
        let weight = scope.find("head/weight").unwrap().value();
        (0..100)
            .map(|at| (0..6).map(|k| weight.get_f64(12 + k) * maps.get_f64(k * 100 + at)).sum::<f64>() / 100.0)
            .collect()
    };
    let reversed = cam(&mirror(&x));
    let reversed: Vec<f64> = (0..100).map(|at| reversed[at / 10 * 10 + 9 - at % 10]).collect();
    for (at, (straight, reversed)) in cam(&x).iter().zip(&reversed).enumerate() {
        let expected = (0.5 * (straight + reversed)).max(0.0);
        assert!((found.map.get_f64(at) - expected).abs() < 1e-6, "{at}: {} {expected}", found.map.get_f64(at));
    }
    // A pass that is asked for by its name is mirrored back, too.
    let second = maps(Some("conv1/relu:2"), &both, &x);
    assert_eq!(second.layer.as_deref(), Some("conv1/relu:2"));
    for (at, reversed) in reversed.iter().enumerate() {
        assert!((second.map.get_f64(at) - (0.5 * reversed).max(0.0)).abs() < 1e-6, "{at}");
    }
}

#[test]
fn on_a_linear_model_every_method_tells_the_weights() {
    let scope = Scope::root(2);
    let model = Sequential::new().then(linear(&scope / "fc", 12, 3));
    let cpu = Cpu::new(1).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let x = Array::of(Shape::new(&[1, 12]).unwrap(), (0..12).map(|at| at as f32 / 4.0 - 1.0).collect());
    let weight = scope.find("fc/weight").unwrap().value();
    let options = Options { baseline: vec![0.5], window: 1, ..Options::default() };
    for (method, of) in [
        (Method::Gradient, (|w, _| f64::abs(w)) as fn(f64, f64) -> f64),
        (Method::SmoothGrad, |w, _| f64::abs(w)),
        (Method::GradientInput, |w, x| w * (x - 0.5)),
        (Method::Integrated, |w, x| w * (x - 0.5)),
        (Method::Occlusion, |w, x| w * (x - 0.5)),
    ] {
        let map = attribute(&net, &x, 1, method, &options).unwrap();
        for at in 0..12 {
            let expected = of(weight.get_f64(12 + at), x.get_f64(at));
            assert!((map.places.get_f64(at) - expected).abs() < 1e-5, "{}: {at}", method.name());
        }
    }
    let refused = attribute(&net, &x, 1, Method::GradCam, &options).unwrap_err().to_string();
    assert!(refused.contains("no layer that gives feature maps") && refused.contains("another method"), "{refused}");
    let refused = attribute(&net, &x, 3, Method::Gradient, &options).unwrap_err().to_string();
    assert!(refused.contains("tells 3 classes apart, and none is class 3"), "{refused}");
}

#[test]
fn no_map_depends_on_batch_or_threads() {
    let Trained { scope, model, rows, .. } = fresh();
    let (x, class) = &rows[3];
    for method in Method::ALL {
        let with = |threads: usize, batch: usize| {
            let cpu = Cpu::new(threads).unwrap();
            let net = Net { cpu: &cpu, model: &model, scope: &scope };
            let options = Options { steps: 20, samples: 7, batch, ..Options::default() };
            attribute(&net, x, *class, method, &options).unwrap()
        };
        let first = with(1, 1);
        assert_eq!(first, with(2, 5), "{}", method.name());
        assert_eq!(first, with(3, 64), "{}", method.name());
    }
}

#[test]
fn activations_and_gradients_have_the_names_and_shapes_of_the_layers() {
    let Trained { scope, model, rows, .. } = fresh();
    let cpu = Cpu::new(1).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let (x, class) = &rows[0];
    let seen = net.activations(x).unwrap();
    let paths: Vec<&str> = seen.iter().map(|value| value.layer.path.as_str()).collect();
    assert_eq!(paths[..3], ["conv1", "conv1/relu", "conv1/max_pool"], "{paths:?}");
    let gradients = net.gradients(x, *class).unwrap();
    assert_eq!((gradients[0].layer.path.as_str(), gradients.len()), ("input", seen.len() + 1));
    for (value, gradient) in seen.iter().zip(&gradients[1..]) {
        assert_eq!(value.value.shape(), gradient.value.shape());
    }
    // The gradient in the logits is 1 for the class, 0 for all others.
    let last = gradients.last().unwrap().value.to_f64();
    assert!(last.iter().enumerate().all(|(at, &g)| g == f64::from(u8::from(at == *class))));
    assert!(net.activation(x, "conv3").unwrap_err().to_string().contains("did you mean conv"));
}

#[test]
fn an_embedding_brings_rows_of_a_class_together() {
    let Trained { scope, model, input, .. } = fresh();
    let cpu = Cpu::new(0).unwrap();
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let (_, test) = digits().unwrap();
    let rows: Vec<usize> = (0..300).map(|at| at * 3).collect();
    let features = embed(&net, &input, &test, &rows, "fc1/relu", 64).unwrap();
    assert_eq!(features.shape().to_vec(), [300, 84]);
    assert_eq!(features, embed(&net, &input, &test, &rows, "fc1/relu", 7).unwrap());
    let pca = Pca::of(features.as_slice().unwrap(), 84, 2);
    let places = pca.project(features.as_slice().unwrap());
    let classes: Vec<usize> = rows
        .iter()
        .map(|&row| if let Target::Class(class) = test.target(row).unwrap() { class } else { panic!("no class") })
        .collect();
    let apart = |a: usize, b: usize| (places[a][0] - places[b][0]).hypot(places[a][1] - places[b][1]);
    let mean = |same: bool| {
        let pairs = (0..300).flat_map(|a| (0..a).map(move |b| (a, b)));
        let chosen: Vec<f64> =
            pairs.filter(|&(a, b)| (classes[a] == classes[b]) == same).map(|(a, b)| apart(a, b)).collect();
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    assert!(mean(true) < 0.6 * mean(false), "{} {}", mean(true), mean(false));
    let svg = picture::scatter("fc1/relu", &places, &classes, &input.classes);
    assert_eq!(svg.matches("<circle").count(), 300 + 10);
}
