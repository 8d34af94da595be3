//! How a tensor lies in memory: offset and strides. Views change only this.

use crate::shape::{AxisSet, MAX_RANK, Shape};

/// Where element `[i, j, ...]` lies: `offset + i * strides[0] + j * strides[1] + ...`, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Dimensions seen through this layout.
    pub shape: Shape,
    /// Distance between neighbours along each axis; 0 repeats, negative runs backwards.
    pub strides: [isize; MAX_RANK],
    /// Position of element `[0, 0, ...]`.
    pub offset: usize,
}

impl Layout {
    /// Row-major, from position 0.
    pub fn contiguous(shape: Shape) -> Layout {
        Layout { shape, strides: shape.strides(), offset: 0 }
    }

    /// Strides of the axes that exist.
    pub fn strides(&self) -> &[isize] {
        &self.strides[..self.shape.rank()]
    }

    /// Whether the elements lie row-major without gaps (whatever the offset).
    pub fn is_contiguous(&self) -> bool {
        let mut next = 1isize;
        for axis in (0..self.shape.rank()).rev() {
            if self.shape[axis] != 1 && self.strides[axis] != next {
                return self.shape.count() == 0;
            }
            next *= self.shape[axis] as isize;
        }
        true
    }

    /// Axis `i` of the result is axis `order[i]` of `self`.
    pub fn permute(&self, order: &[u8]) -> Layout {
        let mut out = *self;
        for (axis, &from) in order.iter().enumerate() {
            out.shape[axis] = self.shape[from as usize];
            out.strides[axis] = self.strides[from as usize];
        }
        out
    }

    /// Repeats axes of size 1 (and new leading axes) to reach `shape`; the shapes must broadcast.
    pub fn expand(&self, shape: Shape) -> Layout {
        let lead = shape.rank() - self.shape.rank();
        let mut out = Layout { shape, strides: [0; MAX_RANK], offset: self.offset };
        for axis in 0..self.shape.rank() {
            out.strides[lead + axis] =
                if self.shape[axis] == 1 && shape[lead + axis] != 1 { 0 } else { self.strides[axis] };
        }
        out
    }

    /// Elements `start, start + step, ...` (`len` of them) along `axis`.
    pub fn slice(&self, axis: usize, start: usize, len: usize, step: isize) -> Layout {
        let mut out = *self;
        if len > 0 && self.shape.count() > 0 {
            out.offset = (self.offset as isize + start as isize * self.strides[axis]) as usize;
        }
        out.strides[axis] = self.strides[axis] * step;
        out.shape[axis] = len;
        out
    }

    /// The same elements in the same row-major order under another shape, if strides can say it without a copy.
    pub fn reshape(&self, shape: Shape) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { shape, strides: shape.strides(), offset: self.offset });
        }
        if self.shape.count() == 0 {
            return Some(Layout { shape, strides: shape.strides(), offset: 0 });
        }
        // Walk groups of old axes and new axes of equal product; each old group must be one evenly strided run.
        let old: Vec<(usize, isize)> =
            (0..self.shape.rank()).filter(|&a| self.shape[a] != 1).map(|a| (self.shape[a], self.strides[a])).collect();
        let mut out = Layout { shape, strides: [0; MAX_RANK], offset: self.offset };
        let mut next_old = 0;
        let mut axis = 0;
        while axis < shape.rank() {
            if shape[axis] == 1 {
                axis += 1;
                continue;
            }
            let first_old = next_old;
            let mut old_count = old[next_old].0;
            next_old += 1;
            let mut end = axis + 1;
            let mut new_count = shape[axis];
            while old_count != new_count {
                if old_count < new_count {
                    old_count *= old[next_old].0;
                    next_old += 1;
                } else {
                    new_count *= shape[end];
                    end += 1;
                }
            }
            let group = &old[first_old..next_old];
            if group.windows(2).any(|pair| pair[0].1 != pair[1].1 * pair[1].0 as isize) {
                return None;
            }
            let mut stride = group[group.len() - 1].1;
            for a in (axis..end).rev() {
                out.strides[a] = stride;
                stride *= shape[a] as isize;
            }
            axis = end;
        }
        Some(out)
    }

    /// Position of the element whose row-major index is `index`.
    pub fn position(&self, mut index: usize) -> usize {
        let mut position = self.offset as isize;
        for axis in (0..self.shape.rank()).rev() {
            position += (index % self.shape[axis]) as isize * self.strides[axis];
            index /= self.shape[axis];
        }
        position as usize
    }

    /// Positions of all elements in row-major order.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.shape.count()).map(|index| self.position(index))
    }

    /// Axes along which the layout repeats one element.
    pub fn repeated(&self) -> AxisSet {
        (0..self.shape.rank()).filter(|&axis| self.strides[axis] == 0 && self.shape[axis] != 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    #[test]
    fn reshape_of_a_transpose_needs_a_copy_but_splitting_an_axis_does_not() {
        let transposed = Layout::contiguous(shape(&[4, 6])).permute(&[1, 0]);
        assert!(transposed.reshape(shape(&[24])).is_none());
        let split = transposed.reshape(shape(&[2, 3, 1, 4])).unwrap();
        let want: Vec<usize> = transposed.positions().collect();
        assert_eq!(split.positions().collect::<Vec<_>>(), want);
    }

    #[test]
    fn flip_reads_backwards() {
        let flipped = Layout::contiguous(shape(&[2, 3])).slice(1, 2, 3, -1);
        assert_eq!(flipped.positions().collect::<Vec<_>>(), [2, 1, 0, 5, 4, 3]);
    }
}
