//! NumPy's npy (one array) and npz (a zip of arrays), as far as numbers and truth values go. No pickle, ever.

use crate::bytes::{MAX_BYTES, read_file};
use crate::zip::Zip;
use crate::{DataError, InMemory, Targets, Values};
use std::path::{Path, PathBuf};

const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy's arrays have at most 64 axes.
const MAX_RANK: usize = 64;

/// An array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct NpyArray {
    /// Sizes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// The numbers in row-major order, whatever the file's.
    pub values: NpyValues,
}

/// The numbers of an array, in the type that they were stored in.
#[derive(Debug, Clone, PartialEq)]
pub enum NpyValues {
    /// `bool`
    Bool(Vec<bool>),
    /// `uint8`
    U8(Vec<u8>),
    /// `int32`
    I32(Vec<i32>),
    /// `int64`
    I64(Vec<i64>),
    /// `float32`
    F32(Vec<f32>),
    /// `float64`
    F64(Vec<f64>),
}

impl NpyArray {
    /// All numbers as f32, rounded where that type is too narrow; true is 1.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            NpyValues::Bool(v) => v.iter().map(|&x| f32::from(u8::from(x))).collect(),
            NpyValues::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            NpyValues::I32(v) => v.iter().map(|&x| x as f32).collect(),
            NpyValues::I64(v) => v.iter().map(|&x| x as f32).collect(),
            NpyValues::F32(v) => v.clone(),
            NpyValues::F64(v) => v.iter().map(|&x| x as f32).collect(),
        }
    }

    /// All numbers as classes; `None` if one is negative or not whole.
    pub fn to_classes(&self) -> Option<Vec<usize>> {
        match &self.values {
            NpyValues::Bool(v) => Some(v.iter().map(|&x| usize::from(x)).collect()),
            NpyValues::U8(v) => Some(v.iter().map(|&x| usize::from(x)).collect()),
            NpyValues::I32(v) => v.iter().map(|&x| usize::try_from(x).ok()).collect(),
            NpyValues::I64(v) => v.iter().map(|&x| usize::try_from(x).ok()).collect(),
            NpyValues::F32(_) | NpyValues::F64(_) => {
                self.to_f32().iter().map(|&x| (x >= 0.0 && x.fract() == 0.0).then_some(x as usize)).collect()
            }
        }
    }
}

/// Reads an npy file.
///
/// # Errors
/// If it cannot be read, is cut off or damaged, or holds another type than those of `NpyValues`.
pub fn read_npy(path: &Path) -> Result<NpyArray, DataError> {
    parse_npy(&read_file(path, MAX_BYTES)?, path)
}

/// As `read_npy`, from bytes; `path` is only for messages.
///
/// # Errors
/// As for `read_npy`.
pub fn parse_npy(bytes: &[u8], path: &Path) -> Result<NpyArray, DataError> {
    parse(bytes).map_err(|why| DataError::broken(path, "npy", why, "save it again with numpy.save or numpy.savez"))
}

/// The arrays of an npz file; each is unpacked when it is asked for.
#[derive(Debug, Clone)]
pub struct Npz {
    path: PathBuf,
    zip: Zip,
}

impl Npz {
    /// Reads an npz file.
    ///
    /// # Errors
    /// If it cannot be read or is no zip archive.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Npz::parse(read_file(path, MAX_BYTES)?, path)
    }

    /// As `open`, from bytes; `path` is only for messages.
    ///
    /// # Errors
    /// As for `open`.
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Self, DataError> {
        let zip = Zip::parse(bytes)
            .map_err(|why| DataError::broken(path, "npz", why, "the file is cut off or damaged: fetch it again"))?;
        Ok(Npz { path: path.to_owned(), zip })
    }

    /// Names of the arrays, without `.npy`, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.zip.names().map(|name| name.strip_suffix(".npy").unwrap_or(name)).collect()
    }

    /// The array of this name.
    ///
    /// # Errors
    /// If there is none, or it is damaged or of another type than those of `NpyValues`.
    pub fn array(&self, name: &str) -> Result<NpyArray, DataError> {
        let broken =
            |why: String, help: String| DataError::broken(&self.path, "npz", format!("array {name}: {why}"), help);
        let Some(entry) = self.names().iter().position(|n| *n == name) else {
            return Err(broken("not in the file".to_owned(), format!("the arrays are {}", self.names().join(", "))));
        };
        self.zip
            .unpack(entry, MAX_BYTES)
            .and_then(|bytes| parse(&bytes))
            .map_err(|why| broken(why, "save it again with numpy.savez, or fetch it again".to_owned()))
    }

    /// Labelled images from the arrays `images` and `labels` (`[N]`, whole numbers from 0).
    ///
    /// Images are `[N, H, W]` grey, `[N, H, W, C]`, or `[N, C, H, W]`; the axis of size 1 or 3 is the channels, the last
    /// one if both could be. Bytes are divided by 255; other numbers stay as they are. Class names are the numbers.
    ///
    /// # Errors
    /// If an array is missing, broken, or has another shape.
    pub fn images(&self, images: &str, labels: &str) -> Result<InMemory, DataError> {
        let (x, y) = (self.array(images)?, self.array(labels)?);
        let wrong = |why: String| Err(DataError::broken(&self.path, "npz", why, "check which array is which"));
        let (n, height, width, channels, channels_last) = match x.shape[..] {
            [n, h, w] => (n, h, w, 1, true),
            [n, h, w, c @ (1 | 3)] => (n, h, w, c, true),
            [n, c @ (1 | 3), h, w] => (n, h, w, c, false),
            _ => return wrong(format!("array {images} has shape {:?}, which is not of grey or RGB images", x.shape)),
        };
        let Some(classes) = y.to_classes() else {
            return wrong(format!("array {labels} holds numbers that are not classes (whole, from 0)"));
        };
        if classes.len() != n {
            return wrong(format!("{n} images in {images}, but {} labels in {labels}", classes.len()));
        }
        let count = classes.iter().max().map_or(0, |&most| most.saturating_add(1));
        if count > MAX_CLASSES {
            return wrong(format!("array {labels} holds class {}, above {MAX_CLASSES}", count - 1));
        }
        let shape = [channels, height, width];
        let plane = height * width;
        let values = match x.values {
            NpyValues::U8(v) if channels_last => Values::Bytes(to_planes(&v, plane, channels)),
            NpyValues::U8(v) => Values::Bytes(v),
            _ if channels_last => Values::Floats(to_planes(&x.to_f32(), plane, channels)),
            _ => Values::Floats(x.to_f32()),
        };
        let names = (0..count).map(|class| class.to_string()).collect();
        InMemory::new(format!("{}/{images}", self.path.display()), &shape, values, Targets::Classes(classes), names)
    }
}

/// A label above this is no class but a mistake.
const MAX_CLASSES: usize = 1 << 20;

/// From `[N, plane, channels]` to `[N, channels, plane]`.
fn to_planes<T: Copy>(values: &[T], plane: usize, channels: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    for image in values.chunks_exact((plane * channels).max(1)) {
        (0..channels).for_each(|c| out.extend(image.iter().skip(c).step_by(channels)));
    }
    out
}

fn parse(bytes: &[u8]) -> Result<NpyArray, String> {
    let version = bytes.strip_prefix(NPY_MAGIC).and_then(|rest| rest.first());
    // The header's length has 2 bytes in version 1, 4 in versions 2 and 3.
    let (start, length) = match (version, bytes.get(8..12)) {
        (Some(1), Some(l)) => (10, usize::from(u16::from_le_bytes([l[0], l[1]]))),
        (Some(2 | 3), Some(l)) => (12, u32::from_le_bytes([l[0], l[1], l[2], l[3]]) as usize),
        (Some(v), Some(_)) => return Err(format!("version {v} of the format is not known")),
        _ => return Err("it does not start as an npy file does".to_owned()),
    };
    let end = start + length;
    let header = bytes.get(start..end).ok_or_else(|| format!("expected a header of {length} bytes, found fewer"))?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text".to_owned())?;
    let Header { kind, fortran, shape } = Header::parse(header)?;
    let size = match kind.as_str() {
        "|b1" | "|u1" => 1,
        "<i4" | "<f4" => 4,
        "<i8" | "<f8" => 8,
        _ => return Err(format!("type {kind} cannot be read, only bool, uint8, int32, int64, float32, float64")),
    };
    let data = &bytes[end..];
    let expected = shape.iter().try_fold(size, |n: usize, &d| n.checked_mul(d));
    if expected != Some(data.len()) {
        return Err(format!("shape {shape:?} of type {kind} does not make the {} bytes found", data.len()));
    }
    let values = match kind.as_str() {
        "|b1" => NpyValues::Bool(ordered(data.iter().map(|&b| b != 0).collect(), &shape, fortran)),
        "|u1" => NpyValues::U8(ordered(data.to_vec(), &shape, fortran)),
        "<i4" => NpyValues::I32(ordered(words(data, i32::from_le_bytes), &shape, fortran)),
        "<f4" => NpyValues::F32(ordered(words(data, f32::from_le_bytes), &shape, fortran)),
        "<i8" => NpyValues::I64(ordered(words(data, i64::from_le_bytes), &shape, fortran)),
        _ => NpyValues::F64(ordered(words(data, f64::from_le_bytes), &shape, fortran)),
    };
    Ok(NpyArray { shape, values })
}

fn words<T, const N: usize>(data: &[u8], word: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|&bytes| word(bytes)).collect()
}

/// From column-major order to row-major, if need be.
fn ordered<T: Copy>(values: Vec<T>, shape: &[usize], fortran: bool) -> Vec<T> {
    if !fortran || shape.len() < 2 {
        return values;
    }
    // Column-major strides: the first axis is the fastest.
    let strides: Vec<usize> = shape.iter().scan(1, |stride, &d| Some(std::mem::replace(stride, *stride * d))).collect();
    let source = |mut index: usize| {
        let mut at = 0;
        for (size, stride) in shape.iter().zip(&strides).rev() {
            at += index % size * stride;
            index /= size;
        }
        values[at]
    };
    (0..values.len()).map(source).collect()
}

/// What the Python dictionary at the start of an npy file says.
struct Header {
    kind: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
    fn parse(text: &str) -> Result<Self, String> {
        let after = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}':")).ok_or(format!("its header lacks {key}"))?;
            Ok::<&str, String>(rest.trim_start())
        };
        let quoted = after("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let kind = quoted.ok_or("its elements are records, not numbers")?.0.to_owned();
        let order = after("fortran_order")?;
        let fortran = order.starts_with("True");
        if !fortran && !order.starts_with("False") {
            return Err("its header lacks the order of the axes".to_owned());
        }
        let inside = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (sizes, _) = inside.ok_or("its header lacks the shape")?;
        let sizes: Vec<&str> = sizes.split(',').map(str::trim).filter(|size| !size.is_empty()).collect();
        if sizes.len() > MAX_RANK {
            return Err(format!("it has {} axes, more than {MAX_RANK}", sizes.len()));
        }
        let number = |size: &&str| size.parse().map_err(|_| format!("its shape holds '{size}'"));
        Ok(Header { kind, fortran, shape: sizes.iter().map(number).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests;
