//! Pictures of what a run was fed.

use std::path::Path;

use data::{Image, write_png};

use crate::error::Result;
use crate::splits::Input;

/// Pictures in one row of a sheet.
const COLUMNS: usize = 8;
/// Pictures on a sheet, at most.
const MOST: usize = 64;
/// Grey lines between them.
const GAP: usize = 2;
/// Small pictures are shown at least this large.
const LEAST_SIDE: usize = 56;

/// Writes a batch `[N, C, H, W]` as one sheet, as the model was fed it but for the normalisation. Other inputs than
/// pictures are left out.
///
/// # Errors
/// If the file cannot be written.
pub fn write_batch(path: &Path, x: &[f32], shape: &[usize], input: &Input) -> Result<()> {
    let Some(pictures) = as_seen(x, shape, input) else { return Ok(()) };
    Ok(write_png(path, &sheet(&pictures))?)
}

/// The pictures of a batch `[N, C, H, W]`, at most 64, as they were before the normalisation; `None` for other inputs.
pub fn as_seen(x: &[f32], shape: &[usize], input: &Input) -> Option<Vec<Image>> {
    let &[rows, channels @ (1 | 3), height, width] = shape else { return None };
    let size = channels * height * width;
    let picture = |row: usize| {
        Image::from_fn(channels, height, width, |c, y, x_| {
            let value = x[row * size + (c * height + y) * width + x_];
            value * input.std[c % input.std.len()] + input.mean[c % input.mean.len()]
        })
    };
    (size > 0 && x.len() >= rows * size).then(|| (0..rows.min(MOST)).map(picture).collect())
}

/// Pictures of one size side by side, with lines between them.
pub fn sheet(pictures: &[Image]) -> Image {
    let Some(&Image { channels, height, width, .. }) = pictures.first() else { return Image::filled(1, 1, 1, 0.5) };
    let zoom = LEAST_SIDE.div_ceil(height.min(width).max(1)).max(1);
    let (cell_y, cell_x) = (height * zoom + GAP, width * zoom + GAP);
    let (columns, lines) = (pictures.len().min(COLUMNS), pictures.len().div_ceil(COLUMNS));
    Image::from_fn(channels, lines * cell_y + GAP, columns * cell_x + GAP, |c, y, x| {
        let (Some(y), Some(x)) = (y.checked_sub(GAP), x.checked_sub(GAP)) else { return 0.5 };
        let picture = pictures.get(y / cell_y * COLUMNS + x / cell_x);
        let (y, x) = (y % cell_y / zoom, x % cell_x / zoom);
        picture.filter(|_| y < height && x < width).map_or(0.5, |picture| picture.at(c, y, x))
    })
}

/// A picture for a terminal with 24-bit colours, of so many columns: each letter is an upper half-block, two pixels high.
pub fn half_blocks(picture: &Image, columns: usize) -> String {
    let rows = (picture.height * columns / picture.width.max(1)).max(2) / 2 * 2;
    let level = |y: usize, x: usize, c: usize| {
        let (y, x) = (y * picture.height / rows, x * picture.width / columns);
        (255.0 * picture.at(c % picture.channels, y, x).clamp(0.0, 1.0)).round() as u8
    };
    let mut text = String::new();
    for y in (0..rows).step_by(2) {
        for x in 0..columns {
            let [r, g, b] = [0, 1, 2].map(|c| level(y, x, c));
            let [s, h, c] = [0, 1, 2].map(|c| level(y + 1, x, c));
            text.push_str(&format!("\x1b[38;2;{r};{g};{b};48;2;{s};{h};{c}m\u{2580}"));
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_holds_its_pictures_side_by_side() {
        let pictures: Vec<Image> = (0..9).map(|n| Image::filled(1, 28, 28, n as f32 / 10.0)).collect();
        let sheet = sheet(&pictures);
        assert_eq!(sheet.shape(), [1, 2 * 58 + 2, 8 * 58 + 2]);
        assert_eq!((sheet.at(0, 10, 70), sheet.at(0, 70, 10), sheet.at(0, 70, 100)), (0.1, 0.8, 0.5));
    }

    #[test]
    fn half_blocks_show_two_pixels_a_letter() {
        let picture = Image::from_fn(1, 2, 2, |_, y, _| y as f32);
        let letter = "\x1b[38;2;0;0;0;48;2;255;255;255m\u{2580}";
        assert_eq!(half_blocks(&picture, 2), format!("{letter}{letter}\x1b[0m\n"));
    }
}
