//! Shapes, axes and NumPy broadcasting.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut, RangeFull};

/// The largest number of dimensions a tensor may have.
pub const MAX_RANK: usize = 8;

/// The largest number of elements a tensor may have: as many f64 as memory can address.
pub const MAX_COUNT: usize = isize::MAX as usize / 8;

/// Up to [`MAX_RANK`] numbers stored in place: the dimensions of a tensor, row-major.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a scalar: no dimensions, one element.
    pub const SCALAR: Shape = Shape { dims: [0; MAX_RANK], rank: 0 };

    /// A shape of these dimensions, or `None` when there are more than [`MAX_RANK`] or their product more than [`MAX_COUNT`].
    pub fn new(dims: &[usize]) -> Option<Shape> {
        let count = dims.iter().filter(|&&d| d != 0).try_fold(1usize, |n, &d| n.checked_mul(d))?;
        if dims.len() > MAX_RANK || count > MAX_COUNT {
            return None;
        }
        let mut shape = Shape { dims: [0; MAX_RANK], rank: dims.len() as u8 };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Some(shape)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.iter().product()
    }

    /// Row-major strides, in elements.
    pub fn strides(&self) -> [isize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut next = 1isize;
        for axis in (0..self.rank()).rev() {
            strides[axis] = next;
            next *= self[axis] as isize;
        }
        strides
    }

    /// The same shape with every axis in `axes` of size 1.
    pub fn keep(&self, axes: AxisSet) -> Shape {
        let mut kept = *self;
        axes.iter().for_each(|axis| kept[axis] = 1);
        kept
    }

    /// The same shape without the axes in `axes`.
    pub fn without(&self, axes: AxisSet) -> Shape {
        let mut left = Shape::SCALAR;
        (0..self.rank()).filter(|&axis| !axes.contains(axis)).for_each(|axis| left.push(self[axis]));
        left
    }

    /// Appends a dimension. The rank must be below [`MAX_RANK`].
    pub(crate) fn push(&mut self, dim: usize) {
        self.dims[self.rank as usize] = dim;
        self.rank += 1;
    }

    /// The common shape of `self` and `other` under NumPy's rule (align right; equal or 1), if there is one.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        if self == other {
            return Some(*self);
        }
        let (long, short) = if self.rank >= other.rank { (self, other) } else { (other, self) };
        let mut out = *long;
        let lead = long.rank() - short.rank();
        for axis in 0..short.rank() {
            out[lead + axis] = match (long[lead + axis], short[axis]) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        // The common shape can have more elements than either.
        Shape::new(&out)
    }
}

impl Shape {
    /// Why [`Shape::broadcast`] gave nothing.
    pub(crate) fn no_broadcast(&self, other: &Shape) -> String {
        let fits = |(&a, &b): (&usize, &usize)| a == b || a == 1 || b == 1;
        if self.iter().rev().zip(other.iter().rev()).all(fits) {
            return format!("{self} and {other} together have more elements than memory can address");
        }
        format!("{self} and {other} do not broadcast")
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }
}

impl DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut [usize] {
        &mut self.dims[..self.rank as usize]
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}", &**self)
    }
}

/// The dimensions a caller asks for, before they are checked.
#[derive(Debug, Clone)]
pub struct Dims(pub Vec<usize>);

impl From<&[usize]> for Dims {
    fn from(dims: &[usize]) -> Dims {
        Dims(dims.to_vec())
    }
}
impl<const N: usize> From<[usize; N]> for Dims {
    fn from(dims: [usize; N]) -> Dims {
        Dims(dims.to_vec())
    }
}
impl From<Vec<usize>> for Dims {
    fn from(dims: Vec<usize>) -> Dims {
        Dims(dims)
    }
}
impl From<&Vec<usize>> for Dims {
    fn from(dims: &Vec<usize>) -> Dims {
        Dims(dims.clone())
    }
}
impl From<Shape> for Dims {
    fn from(shape: Shape) -> Dims {
        Dims(shape.to_vec())
    }
}
impl From<&Shape> for Dims {
    fn from(shape: &Shape) -> Dims {
        Dims(shape.to_vec())
    }
}

/// A set of axes, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AxisSet(pub u8);

impl AxisSet {
    /// The set of all axes of a tensor of `rank` dimensions.
    pub fn all(rank: usize) -> AxisSet {
        AxisSet(((1u16 << rank) - 1) as u8)
    }

    /// Whether `axis` is in the set.
    pub fn contains(self, axis: usize) -> bool {
        self.0 >> axis & 1 == 1
    }

    /// Adds `axis`.
    pub fn insert(&mut self, axis: usize) {
        self.0 |= 1 << axis;
    }

    /// Whether no axis is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The axes, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_RANK).filter(move |&axis| self.contains(axis))
    }
}

impl FromIterator<usize> for AxisSet {
    fn from_iter<I: IntoIterator<Item = usize>>(axes: I) -> AxisSet {
        let mut set = AxisSet::default();
        axes.into_iter().for_each(|axis| set.insert(axis));
        set
    }
}

/// The axes a caller asks for: one axis, several, or all (`..`); negative axes count from the end.
#[derive(Debug, Clone)]
pub enum Axes {
    /// Every axis.
    All,
    /// These axes.
    Of(Vec<isize>),
}

impl Axes {
    /// The set of axes in a tensor of `rank` dimensions, or what is wrong with the request.
    pub fn resolve(&self, rank: usize) -> Result<AxisSet, String> {
        match self {
            Axes::All => Ok(AxisSet::all(rank)),
            Axes::Of(axes) => {
                let mut set = AxisSet::default();
                for &axis in axes {
                    let axis = resolve_axis(axis, rank)?;
                    if set.contains(axis) {
                        return Err(format!("axis {axis} is named twice in {axes:?}"));
                    }
                    set.insert(axis);
                }
                Ok(set)
            }
        }
    }
}

/// The index of `axis` (negative counts from the end) in a tensor of `rank` dimensions, or what is wrong with it.
pub fn resolve_axis(axis: isize, rank: usize) -> Result<usize, String> {
    let index = if axis < 0 { axis + rank as isize } else { axis };
    if (0..rank as isize).contains(&index) {
        Ok(index as usize)
    } else {
        Err(format!("axis {axis} is out of range for {rank} dimensions"))
    }
}

impl From<RangeFull> for Axes {
    fn from(_: RangeFull) -> Axes {
        Axes::All
    }
}
impl From<isize> for Axes {
    fn from(axis: isize) -> Axes {
        Axes::Of(vec![axis])
    }
}
impl From<&[isize]> for Axes {
    fn from(axes: &[isize]) -> Axes {
        Axes::Of(axes.to_vec())
    }
}
impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Axes {
        Axes::Of(axes.to_vec())
    }
}
impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Axes {
        Axes::Of(axes)
    }
}
impl From<AxisSet> for Axes {
    fn from(set: AxisSet) -> Axes {
        Axes::Of(set.iter().map(|axis| axis as isize).collect())
    }
}
