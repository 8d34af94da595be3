//! The recipes on pictures learn, on a few rows: what they reach on real data is in docs/results.md.

#[path = "../few/mod.rs"]
mod few;
mod transfer;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use cpu::{Cpu, Run};
use data::{Image, write_png};
use few::{few_digits, folder};
use glassbox_zoo as zoo;
use train::{Event, Job, Source, fit};

fn job(recipe: &str, changes: &[(&str, &str)], data: Option<&Path>) -> train::Result<Job> {
    let recipe = zoo::find(recipe).unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in changes {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    recipe.job(settings, data)
}

/// The test accuracy of a training, and the loss of its first and last step.
fn trained(job: &mut Job, run: &Path) -> (f64, [f32; 2]) {
    let mut losses = Vec::new();
    let mut listen = |event: &Event| {
        if let Event::Step(step) = event {
            losses.push(step.loss);
        }
    };
    let cpu = Cpu::new(2).unwrap();
    let end = fit(&cpu, job, Some(run), "test", &AtomicBool::new(false), &mut listen).unwrap();
    (end.figures["test_accuracy"].as_f64().unwrap(), [losses[0], losses[losses.len() - 1]])
}

/// `CLASS/N.png` of 32 x 32: each class has stripes of its own width, in colours that vary.
fn stripes(dir: &Path, pictures: usize) {
    for (class, width) in [("fine", 1), ("middle", 2), ("wide", 4)] {
        std::fs::create_dir_all(dir.join(class)).unwrap();
        for number in 0..pictures {
            let shade = |c: usize, y: usize, x: usize| {
                let noise = (number * 7919 + c * 104_729 + y * 1301 + x * 3571) % 97;
                let stripe = if ((x + number) / width).is_multiple_of(2) { 0.6 } else { 0.2 };
                stripe + 0.1 * (number + c) as f32 % 0.3 + noise as f32 / 970.0
            };
            let picture = Image::from_fn(3, 32, 32, shade);
            write_png(&dir.join(class).join(format!("{number}.png")), &picture).unwrap();
        }
    }
}

#[test]
fn the_network_of_1998_learns_the_shipped_digits() {
    let folder = folder("lenet-1998");
    let mut job = job("lenet-1998", &[("train.epochs", "2")], None).unwrap();
    let (accuracy, _) = trained(&mut job, &folder.join("run"));
    assert!(accuracy > 0.8, "{accuracy}");
    assert_eq!(job.parameters(), 60_000);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn clothes_are_mirrored_if_that_is_asked() {
    let folder = folder("fashion");
    few_digits(&folder.join("data"), 200);
    let changes = [("train.epochs", "2"), ("train.batch", "20"), ("data.flip", "true")];
    let mut job = job("fashion", &changes, Some(&folder.join("data"))).unwrap();
    assert_eq!(job.splits.augment.len(), 2);
    let (_, [first, last]) = trained(&mut job, &folder.join("run"));
    assert!(last < first, "{first} {last}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn windows_of_pictures_are_learned_and_five_of_each_are_asked() {
    let folder = folder("windows");
    stripes(&folder.join("data"), 20);
    let changes = |window| {
        let model = [("model.width", "4"), ("data.size", "32"), ("data.window", window), ("data.colour", "0.1")];
        [&model[..], &[("train.batch", "10"), ("train.epochs", "3")]].concat()
    };
    let mut job = job("images", &changes("24"), Some(&folder.join("data"))).unwrap();
    let (_, [first, last]) = trained(&mut job, &folder.join("run"));
    assert!(last < first, "{first} {last}");
    assert_eq!(zoo::open(&folder.join("run")).unwrap().input.shape, [3, 32, 32]);
    let error = self::job("images", &changes("33"), Some(&folder.join("data"))).err().unwrap().to_string();
    assert!(error.contains("windows of 33 x 33 do not fit into pictures of 32 x 32"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn pieces_of_training_pictures_are_painted_over_in_the_mean_colour() {
    let folder = folder("pieces");
    stripes(&folder.join("data"), 20);
    let changes = |side| {
        [("model.width", "4"), ("data.size", "32"), ("data.cut", side), ("train.batch", "10"), ("train.epochs", "1")]
    };
    let job = |side| self::job("images", &changes(side), Some(&folder.join("data")));
    let (with, without) = (job("32").unwrap(), job("0").unwrap());
    assert_eq!(with.splits.augment.len(), without.splits.augment.len() + 1);
    // As large as the pictures, about any of their pixels: at least a quarter is covered.
    let cut = with.splits.input.prepare(&with.splits.augment[with.splits.augment.len() - 1..]);
    let seen = cut.apply(with.splits.train.get(0).unwrap(), data::augmentation_key(0, 0, 0)).unwrap();
    // The mean colour is 0 to the net.
    let painted = |channel: usize| seen.x[channel * 1024..][..1024].iter().filter(|&&x| x.abs() < 1e-6).count();
    assert!((0..3).all(|channel| painted(channel) >= 256), "{:?}", [0, 1, 2].map(painted));
    let error = job("33").err().unwrap().to_string();
    assert!(error.contains("squares of 33 x 33 cover whole pictures of 32 x 32"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_net_of_few_passes_sees_white_pieces_and_learns_stripes() {
    let folder = folder("cifar");
    stripes(&folder.join("data"), 40);
    let sizes = [("model.first", "8"), ("model.width", "8"), ("train.batch", "20")];
    // A head that has 60 steps to learn in must be fast.
    let changes = [&sizes[..], &[("train.epochs", "15"), ("train.others", "1")]].concat();
    let mut job = job("cifar", &changes, Some(&folder.join("data"))).unwrap();
    let kernel = job.scope.find("whiten/weight").unwrap();
    let sample = job.splits.input.prepare(&[]).apply(job.splits.train.get(0).unwrap(), data::augmentation_key(0, 0, 0));
    let x = tensor::Tensor::from_vec(sample.unwrap().x, [1, 3, 32, 32]);
    let seen = x.conv(&kernel.tensor(), &tensor::ConvOptions { stride: vec![2, 2], ..tensor::ConvOptions::new(2) });
    let spread = seen.var([0, 2, 3], 0.0).to_vec::<f32>().unwrap();
    // The pieces of one picture, along directions of all.
    assert!(spread.iter().all(|&variance| variance < 6.0), "{spread:?}");
    assert!(spread.iter().sum::<f32>() / 24.0 > 0.3, "{spread:?}");
    let (accuracy, _) = trained(&mut job, &folder.join("run"));
    assert!(accuracy > 0.8, "{accuracy}");
    std::fs::remove_dir_all(folder).unwrap();
}
