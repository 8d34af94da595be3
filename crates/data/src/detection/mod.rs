//! Pictures with boxes around what is to be found in them: VOC, YOLO and COCO, read into one structure.

mod coco;
mod elements;
mod voc;
pub(crate) mod xml;
mod yolo;

pub(crate) use coco::looks_like_coco;
pub use coco::read_coco;
pub use voc::read_voc;
pub(crate) use yolo::pairs as yolo_pairs;
pub use yolo::read_yolo;

use std::path::{Path, PathBuf};

use crate::folder_scan::relative;
use crate::picture::{MAX_PIXELS, read_picture};
use crate::{DataError, Image, dataset::out_of_range};

/// No annotation file may be larger than this: 256 MiB.
pub(crate) const MAX_ANNOTATION: u64 = 256 << 20;

/// Boxes may reach so many pixels out of their picture before it is a fault: tools count from 0 or from 1, and round.
const BORDER: f32 = 1.5;

/// A box, in pixels: from its left and upper edge to its right and lower edge, 0 at the picture's own edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Its class, an index of [`Detection::classes`].
    pub class: usize,
    /// Left edge.
    pub x0: f32,
    /// Upper edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Lower edge.
    pub y1: f32,
    /// Hard to see (VOC) or a crowd that is not told apart (COCO): usually not counted in measures.
    pub aside: bool,
}

/// A picture and its boxes.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotated {
    /// The file of the picture.
    pub picture: PathBuf,
    /// Its part, an index of [`Detection::parts`].
    pub part: usize,
    /// Columns of pixels; 0 if the file is broken.
    pub width: usize,
    /// Rows of pixels; 0 if the file is broken.
    pub height: usize,
    /// What is in it.
    pub objects: Vec<Bounds>,
}

/// Something wrong at one place of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file within the dataset, and the line in it where there is one.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

impl Fault {
    pub(crate) fn new(place: impl Into<String>, why: impl Into<String>) -> Fault {
        Fault { place: place.into(), why: why.into() }
    }
}

/// A dataset of pictures with boxes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detection {
    /// All pictures, sorted by part and path.
    pub pictures: Vec<Annotated>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Names of the parts: "train", "val", ...; "all" if there are none.
    pub parts: Vec<String>,
    /// The files that hold the boxes, with their part if they have one.
    pub annotations: Vec<(PathBuf, Option<usize>)>,
    /// What is wrong with it. Boxes that cannot be used are left out of `pictures`.
    pub faults: Vec<Fault>,
    /// What was seen and left out.
    pub notes: Vec<String>,
}

impl Detection {
    /// The picture of a row, as `[channels, H, W]`.
    ///
    /// # Errors
    /// If there is no such row, or its file is broken.
    pub fn picture(&self, row: usize, channels: usize) -> Result<Image, DataError> {
        let found = self.pictures.get(row).ok_or_else(|| out_of_range(row, self.pictures.len()))?;
        Ok(read_picture(&found.picture, MAX_PIXELS)?.to_image(channels))
    }

    /// The number of the part called `name`.
    fn part(&mut self, name: &str) -> usize {
        index_of(&mut self.parts, name)
    }

    /// Sorts all that is listed, so that nothing depends on the order of files.
    fn sorted(mut self) -> Detection {
        self.pictures.sort_by(|a, b| (a.part, &a.picture).cmp(&(b.part, &b.picture)));
        self.annotations.sort();
        self.faults.sort();
        self
    }
}

/// The place of `name` in `names`, which gains it if it is new.
fn index_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// Why a box cannot be used in a picture of this size, if it cannot. Nothing is known of a picture of size 0.
fn box_fault(bounds: &Bounds, width: usize, height: usize) -> Option<String> {
    let Bounds { x0, y0, x1, y1, .. } = *bounds;
    let shown = format!("the box from ({x0}, {y0}) to ({x1}, {y1})");
    if ![x0, y0, x1, y1].iter().all(|edge| edge.is_finite()) {
        return Some(format!("{shown} has an edge that is no number"));
    }
    if x1 <= x0 || y1 <= y0 {
        return Some(format!("{shown} is empty"));
    }
    let beyond = |edge: f32, size: usize| edge > size as f32 + BORDER;
    let outside = x0 < -BORDER || y0 < -BORDER || beyond(x1, width) || beyond(y1, height);
    (width > 0 && outside).then(|| format!("{shown} reaches out of the picture of {width} x {height} pixels"))
}

/// The box within the picture.
fn clipped(bounds: Bounds, width: usize, height: usize) -> Bounds {
    if width == 0 {
        return bounds;
    }
    let clip = |edge: f32, size: usize| edge.clamp(0.0, size as f32);
    let (x0, x1) = (clip(bounds.x0, width), clip(bounds.x1, width));
    let (y0, y1) = (clip(bounds.y0, height), clip(bounds.y1, height));
    Bounds { x0, y0, x1, y1, ..bounds }
}

/// The path within the dataset, for messages.
fn shown(root: &Path, path: &Path) -> String {
    relative(root, path)
}

#[cfg(test)]
mod tests;
