//! One row of a dataset: its numbers, their shape, and what is to be predicted from them.

use crate::DataError;

/// What is to be predicted from a sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Nothing: an unlabelled sample.
    None,
    /// A class, from 0; its name is `Dataset::class_names()[class]`.
    Class(usize),
    /// Numbers (regression): one, or several such as the coordinates of landmarks.
    Values(Vec<f32>),
    /// A class at each place of a sequence; below 0 where one does not count.
    Symbols(Vec<i64>),
}

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The numbers, in row-major order of `shape`.
    pub x: Vec<f32>,
    /// `[C, H, W]` for an image, `[D]` for a row of a table.
    pub shape: Vec<usize>,
    /// What is to be predicted.
    pub target: Target,
}

/// A picture in planes: all of the first channel, then all of the second, ...
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[C, H, W]`, row by row from the top left; 0 is black and 1 is white until normalised.
    pub pixels: Vec<f32>,
}

impl Image {
    /// An image of one value everywhere.
    pub fn filled(channels: usize, height: usize, width: usize, value: f32) -> Self {
        Image { channels, height, width, pixels: vec![value; channels * height * width] }
    }

    /// An image whose pixel at (channel, row, column) is `f(channel, row, column)`.
    pub fn from_fn(channels: usize, height: usize, width: usize, f: impl Fn(usize, usize, usize) -> f32) -> Self {
        let mut pixels = Vec::with_capacity(channels * height * width);
        for c in 0..channels {
            for y in 0..height {
                pixels.extend((0..width).map(|x| f(c, y, x)));
            }
        }
        Image { channels, height, width, pixels }
    }

    /// The pixel of channel `c` at row `y`, column `x`; panics outside the image.
    pub fn at(&self, c: usize, y: usize, x: usize) -> f32 {
        self.pixels[(c * self.height + y) * self.width + x]
    }

    /// `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// An error unless there is one value for each channel, row and column.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        check_len(&self.pixels, &self.shape())
    }

    /// Values of one channel.
    pub(crate) fn plane(&self) -> usize {
        self.height * self.width
    }
}

/// An error unless `x` holds as many numbers as `shape` says.
pub(crate) fn check_len(x: &[f32], shape: &[usize]) -> Result<(), DataError> {
    match shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
        Some(n) if n == x.len() => Ok(()),
        _ => Err(DataError::argument(
            "sample",
            format!("{} numbers for the shape {shape:?}", x.len()),
            "a dataset must return as many numbers as its shape says",
        )),
    }
}
