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
    let mut pixels = Vec::with_capacity(image.channels * height * width);
    for row in 0..image.channels * height {
        let start = (row / height * image.height + top + row % height) * image.width + left;
        pixels.extend_from_slice(&image.pixels[start..start + width]);
    }
    Ok(Image { channels: image.channels, height, width, pixels })
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
    // For each place along the padded side, the place in the image; none in a constant border.
    let source = |at: usize, size: usize| -> Option<usize> {
        let inside = at.checked_sub(amount).filter(|&i| i < size);
        match mode {
            PadMode::Constant(_) => inside,
            PadMode::Reflect if at < amount => Some(amount - at),
            PadMode::Reflect => inside.or_else(|| Some(2 * (size - 1) - (at - amount))),
        }
    };
    let border = if let PadMode::Constant(value) = mode { value } else { 0.0 };
    Ok(Image::from_fn(channels, height + 2 * amount, width + 2 * amount, |c, y, x| {
        match (source(y, height), source(x, width)) {
            (Some(y), Some(x)) => image.at(c, y, x),
            _ => border,
        }
    }))
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
    let draw = |index: u64| key.below(index, 2 * pixels as u64 + 1) as isize - pixels as isize;
    let (down, right) = (draw(0), draw(1));
    let [channels, height, width] = image.shape();
    let source = |at: usize, by: isize, size: usize| at.checked_add_signed(-by).filter(|&i| i < size);
    Image::from_fn(channels, height, width, |c, y, x| match (source(y, down, height), source(x, right, width)) {
        (Some(y), Some(x)) => image.at(c, y, x),
        _ => 0.0,
    })
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
    // A source pixel, black outside.
    let at = |c: usize, y: f32, x: f32| {
        let inside = y >= 0.0 && x >= 0.0 && y < height as f32 && x < width as f32;
        if inside { image.at(c, y as usize, x as usize) } else { 0.0 }
    };
    Image::from_fn(channels, height, width, |c, y, x| {
        let (dy, dx) = (y as f32 - middle_y, x as f32 - middle_x);
        let (sy, sx) = (middle_y + dx * sin + dy * cos, middle_x + dx * cos - dy * sin);
        let (top, left) = (sy.floor(), sx.floor());
        let (fy, fx) = (sy - top, sx - left);
        let upper = at(c, top, left) * (1.0 - fx) + at(c, top, left + 1.0) * fx;
        let lower = at(c, top + 1.0, left) * (1.0 - fx) + at(c, top + 1.0, left + 1.0) * fx;
        upper * (1.0 - fy) + lower * fy
    })
}
