//! How fast the loader is: `GLASSBOX_DATA=DIR cargo run --release --example throughput`.
//!
//! Prints samples per second of one pass over MNIST and CIFAR-10 (JPEG folders), by number of workers.

use glassbox_data::{
    Dataset, FolderOptions, FolderSplits, Loader, LoaderConfig, MnistDir, Transform, Transforms, mean_std,
};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var_os("GLASSBOX_DATA").ok_or("GLASSBOX_DATA names no folder")?);
    let start = Instant::now();
    let mnist = MnistDir::open(&root.join("mnist"))?;
    println!("MNIST opened in {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let normalise = mean_std(&mnist.train)?.normalise();
    println!("MNIST mean and deviation in {:.2} s", start.elapsed().as_secs_f64());
    let mnist: Arc<dyn Dataset> = Arc::new(mnist.train);
    measure("MNIST, plain", &mnist, &Transforms::new())?;
    measure("MNIST, normalised", &mnist, &Transforms::new().then(normalise.clone()))?;
    let augment = Transforms::new().then(Transform::Rotation { degrees: 10.0 }).then(Transform::Shift { pixels: 2 });
    measure("MNIST, rotated, shifted, normalised", &mnist, &augment.then(normalise))?;

    for (name, cache_bytes) in [("cached", 512 << 20), ("from files", 0)] {
        let start = Instant::now();
        let parts =
            FolderSplits::open(&root.join("cifar10"), &FolderOptions { cache_bytes, ..FolderOptions::default() })?;
        println!("CIFAR-10 {name} opened in {:.2} s", start.elapsed().as_secs_f64());
        let normalise = Transform::Normalise { mean: vec![0.49, 0.48, 0.45], std: vec![0.25, 0.24, 0.26] };
        let augment = Transforms::new()
            .then(Transform::RandomCrop { height: 32, width: 32, padding: 4 })
            .then(Transform::HorizontalFlip { probability: 0.5 })
            .then(normalise);
        let train: Arc<dyn Dataset> = Arc::new(parts.train);
        measure(&format!("CIFAR-10 {name}, plain"), &train, &Transforms::new())?;
        measure(&format!("CIFAR-10 {name}, cropped, flipped, normalised"), &train, &augment)?;
    }
    Ok(())
}

fn measure(name: &str, dataset: &Arc<dyn Dataset>, transforms: &Transforms) -> Result<(), Box<dyn Error>> {
    let mut line = format!("{name}:");
    for workers in [0, 1, 2] {
        let config = LoaderConfig { batch: 128, workers, transforms: transforms.clone(), ..LoaderConfig::default() };
        let mut loader = Loader::new(Arc::clone(dataset), config)?;
        let start = Instant::now();
        for batch in loader.epoch() {
            std::hint::black_box(batch?);
        }
        let rate = dataset.len() as f64 / start.elapsed().as_secs_f64();
        line += &format!("  {rate:.0}/s ({workers} workers)");
    }
    println!("{line}");
    Ok(())
}
