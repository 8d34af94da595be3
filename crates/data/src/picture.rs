//! Picture files: reading PNG and JPEG within bounds, whatever their extension, and writing PNG.

use crate::bytes::{read_file, write_file};
use crate::{DataError, Image};
use png::{BitDepth, ColorType, Transformations};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Greatest number of pixels that is decoded unless told otherwise: 64 million, above any camera's common size.
pub const MAX_PIXELS: usize = 64 << 20;

/// No picture file may be larger than this: 512 MiB.
pub(crate) const MAX_FILE: u64 = 512 << 20;

/// Least compressed size: a JPEG spends at least one bit on a block of 64 pixels, deflate at least one byte on 1,032.
/// A header that claims more than the file can hold is refused before anything is allocated.
const JPEG_PIXELS_PER_BYTE: usize = 64 * 8;
const DEFLATE_RATIO: usize = 1032;

const PNG_MAGIC: &[u8] = &[0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A];
const JPEG_MAGIC: &[u8] = &[0xFF, 0xD8, 0xFF];
const JPEG_SCAN: [u8; 2] = [0xFF, 0xDA];
const JPEG_END: [u8; 2] = [0xFF, 0xD9];

/// A decoded picture as its file holds it; transparency is dropped, a palette is looked up, EXIF rotation is ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[H, W, C]`, in row-major order.
    pub depth: Depth,
}

/// The numbers of a picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Depth {
    /// 0 is black, 255 is white.
    Eight(Vec<u8>),
    /// 0 is black, 65,535 is white.
    Sixteen(Vec<u16>),
}

impl Picture {
    /// The picture as `[channels, H, W]` in 0..=1: 1 for grey (BT.601), 3 for RGB (three equal ones if it is grey).
    pub fn to_image(&self, channels: usize) -> Image {
        match &self.depth {
            Depth::Eight(values) => self.planes(channels, values, |v| f32::from(v) / 255.0),
            Depth::Sixteen(values) => self.planes(channels, values, |v| f32::from(v) / 65535.0),
        }
    }

    fn planes<T: Copy>(&self, channels: usize, values: &[T], unit: impl Fn(T) -> f32) -> Image {
        let mut pixels = Vec::with_capacity(channels * self.height * self.width);
        if channels == 1 && self.channels == 3 {
            let luma = |p: &[T]| 0.299 * unit(p[0]) + 0.587 * unit(p[1]) + 0.114 * unit(p[2]);
            pixels.extend(values.chunks_exact(3).map(luma));
        } else {
            for c in 0..channels {
                pixels.extend(values.iter().skip(c % self.channels).step_by(self.channels).map(|&v| unit(v)));
            }
        }
        Image { channels, height: self.height, width: self.width, pixels }
    }

    /// Bytes that the numbers take in memory.
    pub(crate) fn size(&self) -> usize {
        match &self.depth {
            Depth::Eight(values) => values.len(),
            Depth::Sixteen(values) => 2 * values.len(),
        }
    }
}

/// Reads a PNG or JPEG of at most `max_pixels` pixels; its first bytes tell which it is.
///
/// # Errors
/// If the file cannot be read, is neither, is too large, cut off or damaged.
pub fn read_picture(path: &Path, max_pixels: usize) -> Result<Picture, DataError> {
    decode_picture(&read_file(path, MAX_FILE)?, path, max_pixels)
}

/// As `read_picture`, from bytes; `path` is only for messages.
///
/// # Errors
/// As for `read_picture`.
pub fn decode_picture(bytes: &[u8], path: &Path, max_pixels: usize) -> Result<Picture, DataError> {
    let (format, decode): (_, Decode) = match bytes {
        _ if bytes.starts_with(PNG_MAGIC) => ("PNG", decode_png),
        _ if bytes.starts_with(JPEG_MAGIC) => ("JPEG", decode_jpeg),
        [] => return Err(DataError::broken(path, "picture", "it is empty", "remove the file or fetch it again")),
        _ => {
            let start: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
            return Err(DataError::broken(
                path,
                "picture",
                format!("it is neither PNG nor JPEG: it starts with {}", start.join(" ")),
                "convert it to PNG or JPEG",
            ));
        }
    };
    // A decoder that panics on a damaged file has found it broken, too.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes, max_pixels)));
    decoded
        .unwrap_or_else(|_| Err("the decoder gave up".to_owned()))
        .map_err(|why| DataError::broken(path, format, why, "fetch it again, remove it, or have broken files skipped"))
}

/// Height and width of a picture, as the header of its file says.
///
/// # Errors
/// If the file cannot be read, or no header of a PNG or JPEG is in it.
pub fn picture_size(path: &Path) -> Result<(usize, usize), DataError> {
    let bytes = read_file(path, MAX_FILE)?;
    header_size(&bytes).filter(|&(height, width)| height > 0 && width > 0).ok_or_else(|| {
        DataError::broken(path, "picture", "no header of a PNG or JPEG is in it", "fetch it again or remove it")
    })
}

fn header_size(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.starts_with(PNG_MAGIC) {
        let size = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        return Some((size(20)?, size(16)?));
    }
    let short = |at: usize| Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    let mut at = bytes.starts_with(JPEG_MAGIC).then_some(2usize)?;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)?) {
            // A frame, of whatever coding: precision, height, width.
            (0xFF, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                return Some((short(at + 5)?, short(at + 7)?));
            }
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0xD9 | 0xDA) => return None,
            (0xFF, 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => at = at.checked_add(2)?.checked_add(short(at + 2)?)?,
            _ => return None,
        }
    }
}

type Decode = fn(&[u8], usize) -> Result<Picture, String>;

fn decode_png(bytes: &[u8], max_pixels: usize) -> Result<Picture, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let packed = reader.info().raw_bytes().saturating_sub(height);
    check_size(width, height, max_pixels, packed <= bytes.len().saturating_mul(DEFLATE_RATIO), bytes.len())?;
    let size = reader.output_buffer_size().ok_or("it does not fit into memory")?;
    let mut values = vec![0; size];
    let info = reader.next_frame(&mut values).map_err(|e| e.to_string())?;
    reader.finish().map_err(|e| e.to_string())?;
    values.truncate(info.buffer_size());
    let (stored, channels) = match info.color_type {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (4, 3),
        ColorType::Indexed => return Err("its palette is missing".to_owned()),
    };
    let depth = match info.bit_depth {
        BitDepth::Sixteen => {
            let values: Vec<u16> = values.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
            Depth::Sixteen(first_channels(values, stored, channels))
        }
        _ => Depth::Eight(first_channels(values, stored, channels)),
    };
    Ok(Picture { channels, height, width, depth })
}

fn decode_jpeg(bytes: &[u8], max_pixels: usize) -> Result<Picture, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string().trim().to_owned())?;
    let info = decoder.info().ok_or("its header holds no size")?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let fits = width * height <= bytes.len().saturating_mul(JPEG_PIXELS_PER_BYTE);
    check_size(width, height, max_pixels, fits, bytes.len())?;
    let (channels, colours) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (1, ColorSpace::Luma),
        _ => (3, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    // The decoder fills what is missing of the last rows with grey, so that an end without its marker must be noticed here.
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|two| two == marker);
    if last(JPEG_END) < last(JPEG_SCAN) {
        return Err("it is cut off: its end marker is missing".to_owned());
    }
    let values = decoder.decode().map_err(|e| e.to_string().trim().to_owned())?;
    if values.len() != channels * height * width {
        return Err(format!("its colours cannot be read: {:?}", decoder.input_colorspace()));
    }
    Ok(Picture { channels, height, width, depth: Depth::Eight(values) })
}

fn check_size(width: usize, height: usize, max_pixels: usize, fits: bool, bytes: usize) -> Result<(), String> {
    if width.saturating_mul(height) > max_pixels {
        return Err(format!("{width} x {height} is more than {max_pixels} pixels, the most that is decoded"));
    }
    if !fits {
        return Err(format!("{width} x {height} pixels cannot come from {bytes} bytes: it is cut off"));
    }
    Ok(())
}

/// Of each `stored` values the first `kept`: without transparency.
fn first_channels<T: Copy>(values: Vec<T>, stored: usize, kept: usize) -> Vec<T> {
    if stored == kept {
        return values;
    }
    values.chunks_exact(stored).flat_map(|pixel| pixel[..kept].iter().copied()).collect()
}

/// Writes a grey or RGB image as a PNG of 8 bits; 0 is black, 1 is white, and values outside are cut off.
///
/// The file appears whole or not at all.
///
/// # Errors
/// If the image has neither 1 nor 3 channels, has no pixels, or the file cannot be written.
pub fn write_png(path: &Path, image: &Image) -> Result<(), DataError> {
    let plane = image.plane();
    if image.pixels.len() != image.channels * plane {
        let why = format!("{} pixels for an image of shape {:?}", image.pixels.len(), image.shape());
        return Err(DataError::argument("PNG", why, "pass one value for each channel, row and column"));
    }
    let byte = |i: usize| (image.pixels[i % image.channels * plane + i / image.channels] * 255.0).round() as u8;
    let bytes: Vec<u8> = (0..image.pixels.len()).map(byte).collect();
    write_file(path, &encode_png(image.channels, image.height, image.width, &bytes)?)
}

/// The bytes of a PNG file that shows `bytes`, `[H, W, C]` with C = 1 (grey) or 3 (RGB).
///
/// # Errors
/// If the sizes are not those of such a picture.
pub fn encode_png(channels: usize, height: usize, width: usize, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let wrong = |why: String| DataError::argument("PNG", why, "pass H x W x C bytes with C = 1 or 3, and no size of 0");
    let described = format!("{} bytes for {height} x {width} x {channels}", bytes.len());
    let colours = match channels {
        1 => ColorType::Grayscale,
        3 => ColorType::Rgb,
        _ => return Err(wrong(described)),
    };
    let (Ok(columns), Ok(rows)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(wrong(described));
    };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, columns, rows);
    encoder.set_color(colours);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(bytes)?;
        writer.finish()
    });
    written.map_err(|e| wrong(format!("{described}: {e}")))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
