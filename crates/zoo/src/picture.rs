//! Pictures from outside, made like those that a network was trained on.

use data::{DataError, Image, Transform, augmentation_key};

/// A longer picture is reduced to this length before it is put into a square: with it, the square has as many pixels as
/// `data::picture::MAX_PIXELS`.
const MOST_SIDE: usize = 1 << 13;

/// The picture as a network that knows light on dark squares expects it, and whether it had to be inverted.
///
/// # Errors
/// If the picture has no pixels.
pub fn prepared(image: Image, light_on_dark: bool) -> Result<(Image, bool), DataError> {
    if !light_on_dark {
        return Ok((image, false));
    }
    let inverted = border_mean(&image) > 0.5;
    let image = if inverted { invert(image) } else { image };
    Ok((squared(reduced(image)?), inverted))
}

/// The picture no longer than `MOST_SIDE`, in its proportions.
fn reduced(image: Image) -> Result<Image, DataError> {
    let side = image.height.max(image.width);
    if side <= MOST_SIDE {
        return Ok(image);
    }
    let scaled = |size: usize| (size * MOST_SIDE / side).max(1);
    let (height, width) = (scaled(image.height), scaled(image.width));
    // Nothing of a resize is random, so any key will do.
    Transform::Resize { height, width }.apply(image, augmentation_key(0, 0, 0))
}

/// Mean of the outermost pixels: what the background is like.
fn border_mean(image: &Image) -> f32 {
    let (height, width) = (image.height, image.width);
    let mut sum = 0.0;
    let mut count = 0usize;
    for c in 0..image.channels {
        for y in 0..height {
            for x in 0..width {
                if y == 0 || x == 0 || y + 1 == height || x + 1 == width {
                    sum += image.at(c, y, x);
                    count += 1;
                }
            }
        }
    }
    sum / count.max(1) as f32
}

fn invert(mut image: Image) -> Image {
    image.pixels.iter_mut().for_each(|x| *x = 1.0 - *x);
    image
}

/// The picture in the middle of a black square, so that resizing keeps its proportions.
fn squared(image: Image) -> Image {
    let side = image.height.max(image.width);
    let (top, left) = ((side - image.height) / 2, (side - image.width) / 2);
    if top == 0 && left == 0 && image.height == image.width {
        return image;
    }
    let inside = |at: usize, border: usize, size: usize| at.checked_sub(border).filter(|&at| at < size);
    Image::from_fn(image.channels, side, side, |c, y, x| {
        match (inside(y, top, image.height), inside(x, left, image.width)) {
            (Some(y), Some(x)) => image.at(c, y, x),
            _ => 0.0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dark_on_light_is_inverted_and_squared() {
        let mut paper = Image::filled(1, 4, 2, 1.0);
        paper.pixels[2] = 0.0;
        let (image, inverted) = prepared(paper, true).unwrap();
        assert!(inverted);
        assert_eq!(image.shape(), [1, 4, 4]);
        assert_eq!((image.at(0, 1, 1), image.pixels.iter().sum::<f32>()), (1.0, 1.0));
    }

    #[test]
    fn light_on_dark_squares_stay_as_they_are() {
        let image = Image::from_fn(1, 3, 3, |_, y, x| if (y, x) == (1, 1) { 1.0 } else { 0.0 });
        assert_eq!(prepared(image.clone(), true).unwrap(), (image, false));
    }

    #[test]
    fn a_long_picture_needs_no_square_of_its_length() {
        let (image, _) = prepared(Image::filled(1, 1, 3_000_000, 0.25), true).unwrap();
        assert_eq!(image.shape(), [1, MOST_SIDE, MOST_SIDE]);
    }
}
