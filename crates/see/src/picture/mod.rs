//! Pictures of what was seen: PNG where pixels are meant, SVG where words belong to them. No picture needs anything else.

mod colour;
mod explanation;
mod letters;
mod lines;
mod plate;
mod scatter;
pub mod svg;
mod tiles;

pub use colour::{heat, signed};
pub use explanation::{Explained, Explanation};
pub use lines::{Chart, Line, lines};
pub use plate::plate;
pub use scatter::{COLOURS, scatter};
pub use tiles::{feature_maps, filter, filter_sheet, tile_sheet};

use std::path::Path;

use data::{DataError, Image, encode_png};
use train::{Error, Result};

/// Writes an SVG.
///
/// # Errors
/// If the file cannot be written.
pub fn write_svg(path: &Path, svg: &str) -> Result<()> {
    std::fs::write(path, svg).map_err(|source| Error::io(path, "write", source))
}

/// A picture as a PNG file, in memory.
///
/// # Errors
/// If it has no pixels.
pub fn png(image: &Image) -> Result<Vec<u8>, DataError> {
    let Image { channels, height, width, .. } = *image;
    let plane = height * width;
    let level = |at: usize| (255.0 * image.pixels[at % channels * plane + at / channels].clamp(0.0, 1.0)).round() as u8;
    encode_png(channels, height, width, &(0..channels * plane).map(level).collect::<Vec<u8>>())
}

/// A picture `times` as large, pixel by pixel.
pub fn enlarged(image: &Image, times: usize) -> Image {
    let times = times.max(1);
    Image::from_fn(image.channels, image.height * times, image.width * times, |c, y, x| {
        image.at(c, y / times, x / times)
    })
}
