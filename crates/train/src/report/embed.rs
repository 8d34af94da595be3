//! Pictures within a page.

use data::{DataError, Image, Transform, augmentation_key, encode_png};

/// Larger pictures are made so small.
const MOST_SIDE: usize = 96;

/// Bytes as base64 (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= part.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// A PNG as the address of an image.
pub fn png_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// A picture as the address of an image, small.
///
/// # Errors
/// If it has no pixels.
pub fn picture_uri(image: Image) -> Result<String, DataError> {
    let side = image.height.max(image.width);
    let image = if side > MOST_SIDE {
        let scaled = |size: usize| (size * MOST_SIDE / side).max(1);
        let (height, width) = (scaled(image.height), scaled(image.width));
        // Nothing of a resize is random, so any key will do.
        Transform::Resize { height, width }.apply(image, augmentation_key(0, 0, 0))?
    } else {
        image
    };
    let Image { channels, height, width, .. } = image;
    let level = |at: usize| {
        let (place, channel) = (at / channels, at % channels);
        (255.0 * image.pixels[channel * height * width + place].clamp(0.0, 1.0)).round() as u8
    };
    let bytes: Vec<u8> = (0..channels * height * width).map(level).collect();
    Ok(png_uri(&encode_png(channels, height, width, &bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn large_pictures_become_small() {
        assert!(picture_uri(Image::filled(3, 500, 900, 0.5)).unwrap().len() < 2000);
    }
}
