//! Transforms of place: crop, pad, flip, shift, rotate.

use super::PadMode;
use crate::{DataError, Image};
use tensor::philox::RandomKey;

/// The window of `height` x `width` whose top left pixel is (top, left).
pub(super) fn crop(
    image: Image,
    top: usize,
    left: usize,
    height: usize,
    width: usize,
    name: &'static str,
) -> Result<Image, DataError> {
    if top + height > image.height || left + width > image.width {
        return Err(DataError::argument(
            name,
            format!("an image of {} x {} is smaller than the crop {height} x {width}", image.height, image.width),
            "put a Resize before it, or crop less",
        ));
    }
    if (height, width) == (image.height, image.width) {
        return Ok(image);
    }
    Ok(window(&image, top, left, height, width))
}

/// The pixels of a window that lies within the image.
fn window(image: &Image, top: usize, left: usize, height: usize, width: usize) -> Image {
    let mut pixels = Vec::with_capacity(image.channels * height * width);
    for c in 0..image.channels {
        for y in top..top + height {
            let start = (c * image.height + y) * image.width + left;
            pixels.extend_from_slice(&image.pixels[start..start + width]);
        }
    }
    Image { channels: image.channels, height, width, pixels }
}

/// A window anywhere in the image with a black border of `padding`.
pub(super) fn random_crop(
    image: Image,
    height: usize,
    width: usize,
    padding: usize,
    key: RandomKey,
) -> Result<Image, DataError> {
    let image = pad(image, padding, PadMode::Constant(0.0))?;
    let free = |size: usize, window: usize| size.saturating_sub(window) as u64 + 1;
    let top = key.below(0, free(image.height, height)) as usize;
    let left = key.below(1, free(image.width, width)) as usize;
    crop(image, top, left, height, width, "RandomCrop")
}

/// A square of `side` about any pixel, cut at the border, in one colour.
pub(super) fn cutout(mut image: Image, side: usize, colour: &[f32], key: RandomKey) -> Result<Image, DataError> {
    let [channels, height, width] = image.shape();
    if colour.is_empty() || ![1, channels].contains(&colour.len()) {
        return Err(DataError::argument(
            "Cutout",
            format!("a colour of {} values for an image of {channels} channels", colour.len()),
            "give one value for each channel, or one for all",
        ));
    }
    let span = |number: u64, size: usize| {
        let start = key.below(number, size as u64) as usize + side.div_ceil(2);
        start.saturating_sub(side).min(size)..start.min(size)
    };
    let (rows, columns) = (span(0, height), span(1, width));
    for (channel, plane) in image.pixels.chunks_mut((height * width).max(1)).enumerate() {
        for y in rows.clone() {
            plane[y * width..][columns.clone()].fill(colour[channel % colour.len()]);
        }
    }
    Ok(image)
}

/// A border of `amount` on all sides.
pub(super) fn pad(image: Image, amount: usize, mode: PadMode) -> Result<Image, DataError> {
    if amount == 0 {
        return Ok(image);
    }
    if mode == PadMode::Reflect && amount >= image.height.min(image.width) {
        return Err(DataError::argument(
            "Pad",
            format!("an image of {} x {} cannot be mirrored over {amount} pixels", image.height, image.width),
            "pad by less than the image's height and width",
        ));
    }
    let [channels, height, width] = image.shape();
    match mode {
        PadMode::Constant(value) => Ok(place(&image, height + 2 * amount, width + 2 * amount, amount, amount, value)),
        PadMode::Reflect => {
            let mirrored = |at: usize, size: usize| {
                let inside = at.abs_diff(amount);
                if inside < size { inside } else { 2 * (size - 1) - inside }
            };
            Ok(Image::from_fn(channels, height + 2 * amount, width + 2 * amount, |c, y, x| {
                image.at(c, mirrored(y, height), mirrored(x, width))
            }))
        }
    }
}

/// A canvas of `height` x `width` filled with `value`, on which the image lies at (top, left); what lies beyond is cut off.
fn place(image: &Image, height: usize, width: usize, top: usize, left: usize, value: f32) -> Image {
    let mut canvas = Image::filled(image.channels, height, width, value);
    let (rows, columns) = (image.height.min(height.saturating_sub(top)), image.width.min(width.saturating_sub(left)));
    for c in 0..image.channels {
        for y in 0..rows {
            let from = (c * image.height + y) * image.width;
            let to = (c * height + top + y) * width + left;
            canvas.pixels[to..to + columns].copy_from_slice(&image.pixels[from..from + columns]);
        }
    }
    canvas
}

/// Left becomes right.
pub(super) fn mirror(mut image: Image) -> Image {
    image.pixels.chunks_exact_mut(image.width.max(1)).for_each(<[f32]>::reverse);
    image
}

/// Top becomes bottom.
pub(super) fn upside_down(image: Image) -> Image {
    let [channels, height, width] = image.shape();
    Image::from_fn(channels, height, width, |c, y, x| image.at(c, height - 1 - y, x))
}

/// By up to `pixels` whole pixels down or up, and right or left.
pub(super) fn random_shift(image: Image, pixels: usize, key: RandomKey) -> Image {
    // A window at a random place of the image with a border of `pixels` on all sides.
    let [_, height, width] = image.shape();
    let draw = |index: u64| key.below(index, 2 * pixels as u64 + 1) as usize;
    let (top, left) = (draw(0), draw(1));
    let bordered = place(&image, height + 2 * pixels, width + 2 * pixels, pixels, pixels, 0.0);
    window(&bordered, top, left, height, width)
}

/// About the centre by `degrees` against the clock, bilinear, black outside.
pub(super) fn rotate(image: Image, degrees: f32) -> Image {
    if degrees == 0.0 {
        return image;
    }
    let [channels, height, width] = image.shape();
    let (sin, cos) = libm::sincos(f64::from(degrees).to_radians());
    let (sin, cos) = (sin as f32, cos as f32);
    let (middle_y, middle_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let plane = image.plane();
    let mut pixels = vec![0.0; channels * plane];
    for y in 0..height {
        for x in 0..width {
            let (dy, dx) = (y as f32 - middle_y, x as f32 - middle_x);
            let (sy, sx) = (middle_y + dx * sin + dy * cos, middle_x + dx * cos - dy * sin);
            let (top, left) = (floor(sy), floor(sx));
            let (fy, fx) = (sy - top as f32, sx - left as f32);
            // A source pixel, black outside; a negative place becomes a large unsigned one.
            let at = |pixels: &[f32], y: i32, x: i32| {
                let (y, x) = (y as usize, x as usize);
                if y < height && x < width { pixels[y * width + x] } else { 0.0 }
            };
            for (source, out) in image.pixels.chunks_exact(plane).zip(pixels.chunks_exact_mut(plane)) {
                let upper = at(source, top, left) * (1.0 - fx) + at(source, top, left + 1) * fx;
                let lower = at(source, top + 1, left) * (1.0 - fx) + at(source, top + 1, left + 1) * fx;
                out[y * width + x] = upper * (1.0 - fy) + lower * fy;
            }
        }
    }
    Image { pixels, ..image }
}

/// The greatest whole number not above x, for |x| below 2^31. Faster than `f32::floor` where the processor lacks it.
fn floor(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(towards_zero as f32 > x)
}
