//! Transforms of samples: preparation, and augmentation drawn from counter-based random numbers.

mod colour;
mod geometry;
mod key;
mod resize;

pub use key::{AugmentationKey, augmentation_key};

use crate::{DataError, Image, Sample, Tokenizer};
use std::sync::Arc;

/// Greatest height, width and border that a transform may be set to, so that a typing error does not fill the memory.
const MAX_SIDE: usize = 1 << 14;

/// How the border that `Transform::Pad` adds is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadMode {
    /// With one value.
    Constant(f32),
    /// With the mirrored image, the edge itself not repeated.
    Reflect,
}

/// One change of an image. Those that draw random numbers say so; the others do the same to every sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// (x - mean) / std, per channel of an image or per column of a table row. One entry serves all channels.
    Normalise {
        /// Mean of each channel.
        mean: Vec<f32>,
        /// Standard deviation of each channel, above 0.
        std: Vec<f32>,
    },
    /// To a fixed size, by the triangle filter widened where the image shrinks (antialiasing), as Pillow does it.
    Resize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// As `Resize`, to this length of the shorter side, keeping the proportions.
    ResizeShorter(usize),
    /// The middle; half a pixel goes to the top left.
    CenterCrop {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// Random: a window anywhere in the image, which first gets a black border.
    RandomCrop {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Width of the border on all sides.
        padding: usize,
    },
    /// Random: a window of `area` of the image and a width to height between 3:4 and 4:3, resized (Szegedy et al. 2015).
    RandomResizedCrop {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Least and greatest share of the image's area, in 0..=1; usual is (0.08, 1).
        area: (f32, f32),
    },
    /// Random: left becomes right with this probability.
    HorizontalFlip {
        /// In 0..=1.
        probability: f32,
    },
    /// Random: a half of the samples, and in every other epoch the other half, left becomes right; so that two epochs show each sample from
    /// both sides (Jordan 2024, section 3.6).
    AlternateFlip,
    /// Random: top becomes bottom with this probability.
    VerticalFlip {
        /// In 0..=1.
        probability: f32,
    },
    /// A border on all sides.
    Pad {
        /// Its width.
        amount: usize,
        /// Its content.
        mode: PadMode,
    },
    /// Random: about the centre, by an angle up to `degrees` either way, bilinear, black outside.
    Rotation {
        /// Greatest angle, 0 to 180.
        degrees: f32,
    },
    /// Random: by whole pixels, up to `pixels` in each direction, black where nothing was.
    Shift {
        /// Greatest distance.
        pixels: usize,
    },
    /// Random: brightness, contrast, saturation, hue, in this order, each by a factor of up to 1 +- its value.
    /// Grey images keep their (absent) saturation and hue. Expects values in 0..=1: put it before `Normalise`.
    ColourJitter {
        /// 0 or more; 0 leaves it alone.
        brightness: f32,
        /// 0 or more.
        contrast: f32,
        /// 0 or more.
        saturation: f32,
        /// Greatest turn of the colour circle, 0 to 0.5.
        hue: f32,
    },
    /// Random: to all pixels a multiple of each direction, from a normal distribution of this standard deviation (Krizhevsky et al. 2012,
    /// section 4.1; `directions` as long as pixels differ along them, as usual). Expects three channels in 0..=1.
    ColourPca {
        /// Where the colours of the pictures differ most: red, green, blue of each.
        directions: [[f32; 3]; 3],
        /// 0 or more; usual is 0.1.
        strength: f32,
    },
    /// Random: a square of one colour about any pixel, cut at the border (DeVries and Taylor 2017).
    Cutout {
        /// Its side.
        side: usize,
        /// Its colour: one value for each channel, or one for all.
        colour: Vec<f32>,
    },
    /// To one channel: 0.299 R + 0.587 G + 0.114 B.
    Grey,
    /// To three channels, equal if the image was grey.
    Rgb,
    /// Of a text, a row of bytes: its tokens, cut or filled up with 0 to a length. A blank is put before it, so that its first word is
    /// the token that it is elsewhere.
    Tokens {
        /// What cuts it.
        tokenizer: Arc<Tokenizer>,
        /// Tokens of a row.
        length: usize,
    },
}

impl Transform {
    /// Its name, as in the enum.
    pub fn name(&self) -> &'static str {
        match self {
            Transform::Normalise { .. } => "Normalise",
            Transform::Resize { .. } => "Resize",
            Transform::ResizeShorter(_) => "ResizeShorter",
            Transform::CenterCrop { .. } => "CenterCrop",
            Transform::RandomCrop { .. } => "RandomCrop",
            Transform::RandomResizedCrop { .. } => "RandomResizedCrop",
            Transform::HorizontalFlip { .. } => "HorizontalFlip",
            Transform::AlternateFlip => "AlternateFlip",
            Transform::VerticalFlip { .. } => "VerticalFlip",
            Transform::Pad { .. } => "Pad",
            Transform::Rotation { .. } => "Rotation",
            Transform::Shift { .. } => "Shift",
            Transform::ColourJitter { .. } => "ColourJitter",
            Transform::ColourPca { .. } => "ColourPca",
            Transform::Cutout { .. } => "Cutout",
            Transform::Grey => "Grey",
            Transform::Rgb => "Rgb",
            Transform::Tokens { .. } => "Tokens",
        }
    }

    /// The changed image; a pure function of the image and the key.
    ///
    /// # Errors
    /// If the image has the wrong channels or is too small.
    pub fn apply(&self, image: Image, key: AugmentationKey) -> Result<Image, DataError> {
        image.check()?;
        let AugmentationKey { draw, always, epoch } = key;
        let key = draw.stream(self.name());
        match *self {
            Transform::Normalise { ref mean, ref std } => colour::normalise(image, mean, std),
            Transform::Resize { height, width } => resize::resize(image, height, width),
            Transform::ResizeShorter(side) => resize::resize_shorter(image, side),
            Transform::CenterCrop { height, width } => {
                let (top, left) = (image.height.saturating_sub(height) / 2, image.width.saturating_sub(width) / 2);
                geometry::crop(image, top, left, height, width, "CenterCrop")
            }
            Transform::RandomCrop { height, width, padding } => {
                geometry::random_crop(image, height, width, padding, key)
            }
            Transform::RandomResizedCrop { height, width, area } => {
                resize::random_resized_crop(image, height, width, area, key)
            }
            Transform::HorizontalFlip { probability } => {
                Ok(if key.uniform(0) < probability { geometry::mirror(image) } else { image })
            }
            Transform::AlternateFlip => {
                let first = always.stream(self.name()).uniform(0) < 0.5;
                Ok(if first == epoch.is_multiple_of(2) { geometry::mirror(image) } else { image })
            }
            Transform::VerticalFlip { probability } => {
                Ok(if key.uniform(0) < probability { geometry::upside_down(image) } else { image })
            }
            Transform::Pad { amount, mode } => geometry::pad(image, amount, mode),
            Transform::Rotation { degrees } => Ok(geometry::rotate(image, degrees * (2.0 * key.uniform(0) - 1.0))),
            Transform::Shift { pixels } => Ok(geometry::random_shift(image, pixels, key)),
            Transform::ColourJitter { brightness, contrast, saturation, hue } => {
                colour::jitter(image, [brightness, contrast, saturation, hue], key)
            }
            Transform::ColourPca { ref directions, strength } => colour::along(image, directions, strength, key),
            Transform::Cutout { side, ref colour } => geometry::cutout(image, side, colour, key),
            Transform::Grey => colour::grey(image),
            Transform::Rgb => colour::rgb(image),
            Transform::Tokens { ref tokenizer, length } => Ok(tokens(&image, tokenizer, length)),
        }
    }

    /// What is wrong with its settings, whatever the image.
    fn problem(&self) -> Option<String> {
        let size = |height: usize, width: usize| {
            let fine = (1..=MAX_SIDE).contains(&height) && (1..=MAX_SIDE).contains(&width);
            (!fine).then(|| format!("{height} x {width} is not a size from 1 x 1 to {MAX_SIDE} x {MAX_SIDE}"))
        };
        let border = |width: usize| (width > MAX_SIDE).then(|| format!("{width} is more than {MAX_SIDE} pixels"));
        let outside = |name: &str, value: f32, most: f32| {
            (!(0.0..=most).contains(&value)).then(|| format!("{name} is {value}, but must be in 0 ..= {most}"))
        };
        match self {
            Transform::Normalise { mean, std } => {
                if mean.len() != std.len() || mean.is_empty() {
                    return Some(format!("{} means for {} standard deviations", mean.len(), std.len()));
                }
                if let Some(m) = mean.iter().find(|m| !m.is_finite()) {
                    return Some(format!("the mean {m} is not a number to subtract"));
                }
                let wrong = std.iter().find(|s| !(s.is_finite() && **s > 0.0));
                wrong.map(|s| format!("the standard deviation {s} is not above 0"))
            }
            Transform::Resize { height, width } | Transform::CenterCrop { height, width } => size(*height, *width),
            Transform::RandomCrop { height, width, padding } => size(*height, *width).or_else(|| border(*padding)),
            Transform::ResizeShorter(side) => size(*side, *side),
            Transform::RandomResizedCrop { height, width, area: (least, most) } => {
                size(*height, *width).or_else(|| {
                    let fine = 0.0 < *least && least <= most && *most <= 1.0;
                    (!fine).then(|| format!("the area {least} ..= {most} is not a range within 0 ..= 1"))
                })
            }
            Transform::HorizontalFlip { probability } | Transform::VerticalFlip { probability } => {
                outside("probability", *probability, 1.0)
            }
            Transform::Pad { amount, mode } => border(*amount).or_else(|| match mode {
                PadMode::Constant(value) if !value.is_finite() => {
                    Some(format!("the border's value {value} is not finite"))
                }
                _ => None,
            }),
            Transform::Shift { pixels } => border(*pixels),
            Transform::Rotation { degrees } => outside("degrees", *degrees, 180.0),
            Transform::ColourJitter { brightness, contrast, saturation, hue } => {
                outside("brightness", *brightness, f32::MAX)
                    .or_else(|| outside("contrast", *contrast, f32::MAX))
                    .or_else(|| outside("saturation", *saturation, f32::MAX))
                    .or_else(|| outside("hue", *hue, 0.5))
            }
            Transform::ColourPca { directions, strength } => {
                let wrong = directions.iter().flatten().find(|x| !x.is_finite());
                wrong
                    .map(|x| format!("{x} is no part of a direction"))
                    .or_else(|| outside("strength", *strength, f32::MAX))
            }
            Transform::Cutout { colour, .. } if colour.is_empty() => Some("there is no colour".to_owned()),
            Transform::Cutout { side, colour } => match colour.iter().find(|value| !value.is_finite()) {
                Some(value) => Some(format!("the colour {value} is not finite")),
                None => border(*side),
            },
            Transform::Grey | Transform::Rgb | Transform::AlternateFlip => None,
            Transform::Tokens { length, .. } => {
                let fine = (1..=MAX_SIDE).contains(length);
                (!fine).then(|| format!("{length} tokens: a row has from 1 to {MAX_SIDE}"))
            }
        }
    }

    /// Whether a row of a table or of a text can be changed by it.
    fn takes_rows(&self) -> bool {
        matches!(self, Transform::Normalise { .. } | Transform::Tokens { .. })
    }
}

/// A text as a row of tokens.
fn tokens(text: &Image, tokenizer: &Tokenizer, length: usize) -> Image {
    let bytes = std::iter::once(b' ').chain(text.pixels.iter().map(|&byte| byte as u8)).collect::<Vec<u8>>();
    let tokens = tokenizer.encode(&String::from_utf8_lossy(&bytes));
    let mut pixels: Vec<f32> = tokens.into_iter().take(length).map(|token| token as f32).collect();
    pixels.resize(length, 0.0);
    Image { channels: length, height: 1, width: 1, pixels }
}

/// Transforms in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transforms(pub Vec<Transform>);

impl Transforms {
    /// None.
    pub fn new() -> Self {
        Transforms::default()
    }

    /// These, then `transform`.
    pub fn then(mut self, transform: Transform) -> Self {
        self.0.push(transform);
        self
    }

    /// The changed image. Each transform draws from its own stream of `key`, so equal neighbours draw differently.
    ///
    /// # Errors
    /// If a transform does not fit the image.
    pub fn apply_image(&self, mut image: Image, key: AugmentationKey) -> Result<Image, DataError> {
        for (i, transform) in self.0.iter().enumerate() {
            image = transform.apply(image, key.of_transform(i))?;
        }
        Ok(image)
    }

    /// The changed sample. A row of a table `[D]` counts as D channels of one pixel: it can be normalised only; that of a text becomes
    /// tokens.
    ///
    /// # Errors
    /// If a transform does not fit the sample.
    pub fn apply(&self, sample: Sample, key: AugmentationKey) -> Result<Sample, DataError> {
        if self.0.is_empty() {
            return Ok(sample);
        }
        let (channels, height, width) = match sample.shape[..] {
            [channels, height, width] => (channels, height, width),
            [columns] if self.0.iter().all(Transform::takes_rows) => (columns, 1, 1),
            _ => {
                let other = self.0.iter().find(|t| !t.takes_rows());
                return Err(DataError::argument(
                    "transforms",
                    format!(
                        "{} cannot be applied to a sample of shape {:?}",
                        other.map_or("Normalise", Transform::name),
                        sample.shape
                    ),
                    "images of shape [C, H, W] take all transforms, table rows of shape [D] take Normalise",
                ));
            }
        };
        let image = self.apply_image(Image { channels, height, width, pixels: sample.x }, key)?;
        let shape = if sample.shape.len() == 1 { vec![image.channels] } else { image.shape().to_vec() };
        Ok(Sample { x: image.pixels, shape, target: sample.target })
    }

    /// Checks the settings, whatever the images.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), DataError> {
        let mut normalised = false;
        for transform in &self.0 {
            if let Some(why) = transform.problem() {
                return Err(DataError::argument(transform.name(), why, "correct this setting of the transform"));
            }
            let on_colours = matches!(transform, Transform::ColourJitter { .. } | Transform::ColourPca { .. });
            if normalised && on_colours {
                return Err(DataError::argument(
                    transform.name(),
                    "it comes after Normalise, but works on values between 0 and 1",
                    "put Normalise last",
                ));
            }
            normalised |= matches!(transform, Transform::Normalise { .. });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
