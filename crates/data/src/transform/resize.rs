//! Resizing by the triangle (bilinear) filter, widened where the image shrinks, so that nothing is skipped (antialiasing).
//!
//! Filter, window and centres are those of Pillow's `Image.resize(.., BILINEAR)` and of torchvision's `antialias=True`:
//! output pixel i looks at centre (i + 0.5) s - 0.5, s = input size / output size, with a triangle of half width max(s, 1).

use super::geometry;
use crate::{DataError, Image};
use tensor::philox::RandomKey;

/// To `height` x `width`.
pub(super) fn resize(image: Image, height: usize, width: usize) -> Result<Image, DataError> {
    if image.pixels.is_empty() || height == 0 || width == 0 {
        return Err(DataError::argument(
            "Resize",
            format!("{} x {} cannot become {height} x {width}", image.height, image.width),
            "use sizes of 1 or more",
        ));
    }
    Ok(resize_rows(resize_columns(image, width), height))
}

/// To this length of the shorter side; the longer is cut to whole pixels.
pub(super) fn resize_shorter(image: Image, side: usize) -> Result<Image, DataError> {
    let (height, width) = (image.height, image.width);
    let longer = (side * height.max(width)) / height.min(width).max(1);
    if height <= width { resize(image, side, longer) } else { resize(image, longer, side) }
}

/// A random window of `area` of the image and 3:4 to 4:3 of proportions, resized.
pub(super) fn random_resized_crop(
    image: Image,
    height: usize,
    width: usize,
    area: (f32, f32),
    key: RandomKey,
) -> Result<Image, DataError> {
    /// After so many windows that do not fit, the middle is taken.
    const TRIALS: u64 = 10;
    let whole = (image.height * image.width) as f32;
    let longest = libm::logf(4.0 / 3.0);
    for trial in 0..TRIALS {
        let draw = |index: u64| key.uniform(4 * trial + index);
        let window = whole * (area.0 + (area.1 - area.0) * draw(0));
        let ratio = libm::expf(longest * (2.0 * draw(1) - 1.0));
        let (h, w) = ((window / ratio).sqrt().round() as usize, (window * ratio).sqrt().round() as usize);
        if (1..=image.height).contains(&h) && (1..=image.width).contains(&w) {
            let top = key.below(4 * trial + 2, (image.height - h + 1) as u64) as usize;
            let left = key.below(4 * trial + 3, (image.width - w + 1) as u64) as usize;
            return resize(geometry::crop(image, top, left, h, w, "RandomResizedCrop")?, height, width);
        }
    }
    let (h, w) = (image.height.min(image.width * 4 / 3).max(1), image.width.min(image.height * 4 / 3).max(1));
    let (top, left) = ((image.height - h) / 2, (image.width - w) / 2);
    resize(geometry::crop(image, top, left, h, w, "RandomResizedCrop")?, height, width)
}

/// The input pixels that one output pixel sees: the first, and the weights from there on. They sum to 1.
struct Window {
    first: usize,
    weights: Vec<f32>,
}

fn windows(input: usize, output: usize) -> Vec<Window> {
    let scale = input as f64 / output as f64;
    let half_width = scale.max(1.0);
    let window = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let first = (centre - half_width + 0.5).max(0.0) as usize;
        let end = ((centre + half_width + 0.5) as usize).min(input);
        let triangle = |j: usize| (1.0 - ((j as f64 + 0.5 - centre) / half_width).abs()).max(0.0);
        let total: f64 = (first..end).map(triangle).sum();
        Window { first, weights: (first..end).map(|j| (triangle(j) / total) as f32).collect() }
    };
    (0..output).map(window).collect()
}

fn resize_columns(image: Image, width: usize) -> Image {
    if width == image.width {
        return image;
    }
    let windows = windows(image.width, width);
    let mut pixels = Vec::with_capacity(image.channels * image.height * width);
    for row in image.pixels.chunks_exact(image.width) {
        pixels.extend(windows.iter().map(|window| {
            let seen = &row[window.first..window.first + window.weights.len()];
            seen.iter().zip(&window.weights).fold(0.0f32, |sum, (x, weight)| sum + x * weight)
        }));
    }
    Image { width, pixels, ..image }
}

fn resize_rows(image: Image, height: usize) -> Image {
    if height == image.height {
        return image;
    }
    let (windows, width) = (windows(image.height, height), image.width);
    let mut pixels = vec![0.0f32; image.channels * height * width];
    for (channel, out) in image.pixels.chunks_exact(image.plane()).zip(pixels.chunks_exact_mut(height * width)) {
        for (window, out) in windows.iter().zip(out.chunks_exact_mut(width)) {
            let seen = channel[window.first * width..].chunks_exact(width);
            for (row, weight) in seen.zip(&window.weights) {
                out.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * weight);
            }
        }
    }
    Image { height, pixels, ..image }
}
