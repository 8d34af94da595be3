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
    let &[rows, channels @ (1 | 3), height, width] = shape else {
        return Ok(());
    };
    let shown = rows.min(MOST);
    let zoom = LEAST_SIDE.div_ceil(height.min(width).max(1)).max(1);
    let (cell_y, cell_x) = (height * zoom + GAP, width * zoom + GAP);
    let (columns, lines) = (shown.min(COLUMNS), shown.div_ceil(COLUMNS));
    let pixel = |row: usize, c: usize, y: usize, x_: usize| {
        let value = x[((row * channels + c) * height + y) * width + x_];
        value * input.std[c % input.std.len()] + input.mean[c % input.mean.len()]
    };
    let sheet = Image::from_fn(channels, lines * cell_y + GAP, columns * cell_x + GAP, |c, y, x| {
        let (Some(y), Some(x)) = (y.checked_sub(GAP), x.checked_sub(GAP)) else { return 0.5 };
        let row = y / cell_y * COLUMNS + x / cell_x;
        let (y, x) = (y % cell_y / zoom, x % cell_x / zoom);
        if row < shown && y < height && x < width { pixel(row, c, y, x) } else { 0.5 }
    });
    Ok(write_png(path, &sheet)?)
}
