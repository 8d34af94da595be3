//! Transforms of values: normalising, grey and colour, jitter.

use crate::{DataError, Image};
use tensor::philox::RandomKey;

/// (x - mean) / std per channel.
pub(super) fn normalise(mut image: Image, mean: &[f32], std: &[f32]) -> Result<Image, DataError> {
    let fits = |n: usize| n == 1 || n == image.channels;
    if mean.is_empty() || !fits(mean.len()) || std.len() != mean.len() {
        return Err(DataError::argument(
            "Normalise",
            format!("{} means and {} deviations for {} channels", mean.len(), std.len(), image.channels),
            "give one mean and one deviation for each channel, or one for all",
        ));
    }
    let plane = image.plane().max(1);
    for (c, pixels) in image.pixels.chunks_exact_mut(plane).enumerate() {
        let (mean, std) = (mean[c % mean.len()], std[c % std.len()]);
        pixels.iter_mut().for_each(|x| *x = (*x - mean) / std);
    }
    Ok(image)
}

/// One channel: luma of ITU-R BT.601.
pub(super) fn grey(image: Image) -> Result<Image, DataError> {
    match image.channels {
        1 => Ok(image),
        3 => Ok(Image { channels: 1, height: image.height, width: image.width, pixels: luma(&image) }),
        _ => Err(wrong_channels("Grey", &image)),
    }
}

/// Three channels.
pub(super) fn rgb(image: Image) -> Result<Image, DataError> {
    match image.channels {
        1 => Ok(Image { channels: 3, pixels: image.pixels.repeat(3), ..image }),
        3 => Ok(image),
        _ => Err(wrong_channels("Rgb", &image)),
    }
}

/// A random multiple of each direction, for all pixels.
pub(super) fn along(
    mut image: Image,
    directions: &[[f32; 3]; 3],
    strength: f32,
    key: RandomKey,
) -> Result<Image, DataError> {
    if image.channels != 3 {
        return Err(wrong_channels("ColourPca", &image));
    }
    let plane = image.plane().max(1);
    // The sum of twelve uniform numbers is normal enough, and the same bits everywhere.
    let normal = |at: usize| (0..12).map(|part| key.uniform((12 * at + part) as u64)).sum::<f32>() - 6.0;
    for (channel, pixels) in image.pixels.chunks_exact_mut(plane).enumerate() {
        let multiple = |(at, direction): (usize, &[f32; 3])| strength * normal(at) * direction[channel];
        let by: f32 = directions.iter().enumerate().map(multiple).sum();
        pixels.iter_mut().for_each(|x| *x = (*x + by).clamp(0.0, 1.0));
    }
    Ok(image)
}

/// Brightness, contrast, saturation, hue, each by a random factor around 1 (hue: a random turn).
pub(super) fn jitter(mut image: Image, strength: [f32; 4], key: RandomKey) -> Result<Image, DataError> {
    if !matches!(image.channels, 1 | 3) {
        return Err(wrong_channels("ColourJitter", &image));
    }
    let [brightness, contrast, saturation, hue] = strength;
    let factor = |index: u64, strength: f32| {
        let least = (1.0 - strength).max(0.0);
        least + (1.0 + strength - least) * key.uniform(index)
    };
    if brightness > 0.0 {
        let f = factor(0, brightness);
        image.pixels.iter_mut().for_each(|x| *x = (*x * f).clamp(0.0, 1.0));
    }
    if contrast > 0.0 {
        let f = factor(1, contrast);
        let grey = luma(&image);
        let mean = (grey.iter().map(|&x| f64::from(x)).sum::<f64>() / grey.len().max(1) as f64) as f32;
        image.pixels.iter_mut().for_each(|x| *x = blend(*x, mean, f));
    }
    if saturation > 0.0 && image.channels == 3 {
        let f = factor(2, saturation);
        let grey = luma(&image);
        for channel in image.pixels.chunks_exact_mut(grey.len().max(1)) {
            channel.iter_mut().zip(&grey).for_each(|(x, &g)| *x = blend(*x, g, f));
        }
    }
    if hue > 0.0 && image.channels == 3 {
        turn_hue(&mut image, hue * (2.0 * key.uniform(3) - 1.0));
    }
    Ok(image)
}

/// `f` of x and 1 - f of `other`, within 0..=1.
fn blend(x: f32, other: f32, f: f32) -> f32 {
    (f * x + (1.0 - f) * other).clamp(0.0, 1.0)
}

/// Brightness of each pixel of a grey or colour image.
fn luma(image: &Image) -> Vec<f32> {
    if image.channels == 1 {
        return image.pixels.clone();
    }
    let (red, rest) = image.pixels.split_at(image.plane());
    let (green, blue) = rest.split_at(image.plane());
    red.iter().zip(green).zip(blue).map(|((r, g), b)| 0.299 * r + 0.587 * g + 0.114 * b).collect()
}

/// Turns every colour by `turn` of the colour circle, through hue, saturation and value.
pub(super) fn turn_hue(image: &mut Image, turn: f32) {
    let plane = image.plane();
    let (red, rest) = image.pixels.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let (value, least) = (r.max(*g).max(*b), r.min(*g).min(*b));
        let chroma = value - least;
        if chroma <= 0.0 {
            continue;
        }
        // Hue in sixths of the circle, from red over green to blue.
        let hue = if value == *r {
            (*g - *b) / chroma
        } else if value == *g {
            2.0 + (*b - *r) / chroma
        } else {
            4.0 + (*r - *g) / chroma
        };
        let hue = (hue + 6.0 * turn).rem_euclid(6.0);
        let channel = |offset: f32| {
            let k = (offset + hue).rem_euclid(6.0);
            value - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
        };
        (*r, *g, *b) = (channel(5.0), channel(3.0), channel(1.0));
    }
}

fn wrong_channels(transform: &'static str, image: &Image) -> DataError {
    DataError::argument(
        transform,
        format!("an image of {} channels is neither grey nor RGB", image.channels),
        "use it on images of 1 or 3 channels",
    )
}
