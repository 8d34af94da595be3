//! Times convolutions: `cargo run --release -p glassbox-cpu --example conv -- [PART OF A NAME]`.
//!
//! Prints GFLOP/s (over the best of several times) of the forward pass and of both gradients, for 1 and 2 threads.

use glassbox_cpu::conv::{ConvGeometry, conv_forward, conv_input_gradient, conv_weight_gradient};
use glassbox_cpu::machine::Machine;
use glassbox_cpu::pool::Pool;
use glassbox_cpu::simd::{Simd, SimdError};
use std::time::Instant;

fn main() -> Result<(), SimdError> {
    let simd = Simd::from_env()?;
    println!("{}; GFLOP/s (milliseconds): forward, input gradient, weight gradient", simd.level());
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, batch, groups, channels, outputs, size, kernel, stride) in [
        ("lenet conv1", 64, 1, 1, 6, 28, 5, 1),
        ("lenet conv2", 64, 1, 6, 16, 14, 5, 1),
        ("resnet stem", 4, 1, 3, 64, 224, 7, 2),
        ("resnet stage 1", 4, 1, 64, 64, 56, 3, 1),
        ("resnet stage 2", 4, 1, 128, 128, 28, 3, 1),
        ("resnet stage 3", 4, 1, 256, 256, 14, 3, 1),
        ("resnet stage 4", 4, 1, 512, 512, 7, 3, 1),
        ("resnet down", 4, 1, 64, 128, 56, 3, 2),
        ("resnet 1x1", 4, 1, 256, 64, 56, 1, 1),
        ("fifty 256 to 64", 8, 1, 256, 64, 56, 1, 1),
        ("fifty 64 to 256", 8, 1, 64, 256, 56, 1, 1),
        ("fifty 512 to 128", 8, 1, 512, 128, 28, 1, 1),
        ("fifty 128 to 512", 8, 1, 128, 512, 28, 1, 1),
        ("fifty 1024 to 256", 8, 1, 1024, 256, 14, 1, 1),
        ("fifty 256 to 1024", 8, 1, 256, 1024, 14, 1, 1),
        ("fifty 2048 to 512", 8, 1, 2048, 512, 7, 1, 1),
        ("fifty 512 to 2048", 8, 1, 512, 2048, 7, 1, 1),
        ("fifty down 256", 8, 1, 256, 512, 56, 1, 2),
        ("fifty down 1024", 8, 1, 1024, 2048, 14, 1, 2),
        ("fifty three 128", 8, 1, 128, 128, 56, 3, 2),
        ("fifty three 256", 8, 1, 256, 256, 28, 3, 2),
        ("fifty three 512", 8, 1, 512, 512, 14, 3, 2),
        ("fifty 14", 8, 1, 256, 256, 14, 3, 1),
        ("fifty stem", 8, 1, 3, 64, 224, 7, 2),
        ("cifar 16", 32, 1, 16, 16, 32, 3, 1),
        ("cifar stem", 64, 1, 3, 64, 32, 3, 1),
        ("cifar 64", 64, 1, 64, 64, 32, 3, 1),
        ("cifar 128", 64, 1, 128, 128, 16, 3, 1),
        ("cifar 256", 64, 1, 256, 256, 8, 3, 1),
        ("cifar 512", 64, 1, 512, 512, 4, 3, 1),
        ("cifar down", 64, 1, 64, 128, 32, 3, 2),
        ("one 64", 1, 1, 64, 64, 32, 3, 1),
        ("one 128", 1, 1, 128, 128, 16, 3, 1),
        ("one 256", 1, 1, 256, 256, 8, 3, 1),
        ("one 512", 1, 1, 512, 512, 4, 3, 1),
        ("one imagenet 512", 1, 1, 512, 512, 7, 3, 1),
        ("narrow 960", 16, 1, 960, 160, 3, 1, 1),
        ("narrow 576", 16, 1, 576, 96, 6, 1, 1),
        ("narrow 192", 16, 1, 192, 32, 12, 1, 1),
        ("narrow 160", 16, 1, 160, 960, 3, 1, 1),
        ("narrow 320", 16, 1, 320, 1280, 3, 1, 1),
        ("narrow 112", 16, 1, 112, 672, 7, 1, 1),
        ("narrow 480", 16, 1, 480, 80, 7, 1, 1),
        ("narrow 128", 32, 1, 128, 512, 5, 1, 1),
        ("thin 32 to 16", 16, 1, 32, 16, 48, 1, 1),
        ("thin 16 to 96", 16, 1, 16, 96, 48, 1, 1),
        ("thin 96 to 24", 16, 1, 96, 24, 24, 1, 1),
        ("thin 144 to 32", 16, 1, 144, 32, 12, 1, 1),
        ("thin 64 to 8", 16, 1, 64, 8, 24, 1, 1),
        ("thin 8 to 8", 16, 1, 8, 8, 48, 1, 1),
        ("few 31", 512, 1, 24, 64, 31, 3, 1),
        ("few 15", 512, 1, 64, 64, 15, 3, 1),
        ("few 15 wide", 512, 1, 64, 160, 15, 3, 1),
        ("few 7", 512, 1, 160, 160, 7, 3, 1),
        ("few 3", 512, 1, 160, 160, 3, 3, 1),
        ("small 24", 64, 1, 24, 24, 32, 3, 1),
        ("small 48", 64, 1, 48, 48, 16, 3, 1),
        ("grouped", 4, 32, 128, 128, 56, 3, 1),
        ("depthwise", 4, 128, 128, 128, 56, 3, 1),
        ("depthwise down", 4, 128, 128, 128, 56, 3, 2),
        ("depthwise 3", 16, 960, 960, 960, 3, 3, 1),
        ("depthwise 6", 16, 576, 576, 576, 6, 3, 1),
        ("depthwise 7", 16, 672, 672, 672, 7, 5, 1),
        ("depthwise 8", 64, 480, 480, 480, 8, 3, 1),
        ("depthwise 12", 16, 384, 384, 384, 12, 3, 1),
        ("depthwise 14", 16, 480, 480, 480, 14, 5, 1),
        ("depthwise 16", 16, 240, 240, 240, 16, 3, 1),
        ("depthwise 28", 16, 144, 144, 144, 28, 3, 1),
        ("depthwise 32", 16, 144, 144, 144, 32, 5, 1),
        ("depthwise 6 to 3", 16, 576, 576, 576, 6, 3, 2),
        ("depthwise 12 to 6", 16, 192, 192, 192, 12, 3, 2),
        ("depthwise 48 to 24", 16, 96, 96, 96, 48, 3, 2),
    ] {
        if !name.contains(&wanted) {
            continue;
        }
        let padding = kernel / 2;
        let output = (size + 2 * padding - kernel) / stride + 1;
        let geometry = ConvGeometry {
            batch,
            groups,
            channels,
            outputs,
            input: [1, size, size],
            kernel: [1, kernel, kernel],
            output: [1, output, output],
            stride: [1, stride, stride],
            padding: [0, padding, padding],
            dilation: [1, 1, 1],
        };
        let mut x = vec![0.5; batch * channels * size * size];
        let mut w = vec![0.25; outputs * channels / groups * kernel * kernel];
        let mut y = vec![0.0; batch * outputs * output * output];
        let gflop = 2.0 * (y.len() * channels / groups * kernel * kernel) as f64 / 1e9;
        print!("{name:>15}:");
        for threads in [1, 2] {
            let machine = Machine { pool: Pool::new(threads), simd };
            let times = [
                best(|| conv_forward(&machine, &geometry, &x, &w, &mut y, None).is_ok()),
                best(|| conv_input_gradient(&machine, &geometry, &w, &y, &mut x, None).is_ok()),
                best(|| conv_weight_gradient(&machine, &geometry, &x, &y, &mut w, None).is_ok()),
            ];
            print!("  {threads}:");
            for seconds in times {
                print!(" {:6.1} ({:7.3})", gflop / seconds, seconds * 1e3);
            }
        }
        println!();
    }
    Ok(())
}

/// The fastest of many runs, in seconds, over about a quarter of a second.
fn best(mut task: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut fastest = f64::INFINITY;
    while start.elapsed().as_secs_f64() < 0.25 {
        let from = Instant::now();
        if !task() {
            return f64::NAN;
        }
        fastest = fastest.min(from.elapsed().as_secs_f64());
    }
    fastest
}
